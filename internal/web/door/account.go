package door

import (
	"strings"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
)

// accountData is a person's own page.
type accountData struct {
	User     string
	Facts    []kit.Fact
	Password bool // there is one
	May      bool // set one
	Min, Max int  // bytes of a password
}

func (d *Door) accountPage(r *kit.Request) (kit.Answer, error) {
	a, err := d.Gate.Account(r.Context(), r.Who, r.Who.User)
	if err != nil {
		return nil, err
	}
	roles := make([]string, 0, len(a.Roles))
	for _, role := range a.Roles {
		roles = append(roles, string(role))
	}
	data := accountData{User: a.Name, Password: a.HasPassword, May: a.HasPassword || r.May(auth.UsersManage), Min: auth.MinPasswordBytes, Max: auth.MaxPasswordBytes}
	data.Facts = []kit.Fact{
		{Name: "User", Cell: kit.Text(a.Name)},
		{Name: "Roles", Cell: kit.Text(strings.Join(roles, ", "))},
		{Name: "Account made", Cell: kit.Time(a.CreatedAt)},
		{Name: "Last sign-in with a password", Cell: kit.Time(a.LastSignIn)},
		{Name: "This session ends", Cell: kit.Time(r.Who.ExpiresAt)},
	}
	return d.templates.View("account", "Your account "+a.Name, "", data), nil
}

func (d *Door) setPassword(r *kit.Request) (kit.Answer, error) {
	from, err := d.changePassword(r)
	if errs.Is(err, errs.CodeRateLimited) || errs.Is(err, errs.CodeBadInput) {
		return r.Again(d.accountPage, err)
	}
	if err != nil {
		return nil, err
	}
	if err := d.keep(r.Context(), r.Who, from); err != nil {
		return nil, err
	}
	r.Say("The password is set. Every other browser of yours is signed out.")
	return kit.Redirect{To: "/account"}, nil
}

func (d *Door) changePassword(r *kit.Request) (from time.Time, err error) {
	if r.Typed("new_password") != r.Typed("new_password_again") {
		return time.Time{}, errs.New(errs.CodeBadInput, "the two new passwords are not the same").WithHint("type the new one twice")
	}
	return d.Gate.SetPassword(r.Context(), r.Who, r.Who.User, r.Typed("old_password"), r.Typed("new_password"))
}

func (d *Door) endOthers(r *kit.Request) (kit.Answer, error) {
	from, err := d.Gate.EndSessions(r.Context(), r.Who, r.Who.User)
	if err != nil {
		return nil, err
	}
	if err := d.keep(r.Context(), r.Who, from); err != nil {
		return nil, err
	}
	r.Say("Every other browser of yours is signed out.")
	return kit.Redirect{To: "/account"}, nil
}
