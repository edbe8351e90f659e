package admin

import (
	"context"
	"strconv"
	"strings"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
)

// shownTokens is how many of a user's tokens their page has.
const shownTokens = 10

// userData is the page of a user.
type userData struct {
	Name     string
	Facts    []kit.Fact
	Self     bool // it is who looks at it
	Off      bool
	Password bool
	Min, Max int // bytes of a password
	Roles    []roleChoice
	Tokens   kit.Part[kit.TableView]
	Token    string // what a new token is for, typed
	Days     string
	MaxDays  int
}

func (p *pages) user(r *kit.Request) (kit.Answer, error) {
	a, err := p.Gate.Account(r.Context(), r.Who, r.ID("name"))
	if err != nil {
		return nil, err
	}
	data := userData{
		Name: a.Name, Self: a.Name == r.Who.User, Off: a.Off, Password: a.HasPassword, Min: auth.MinPasswordBytes, Max: auth.MaxPasswordBytes,
		Roles: roleChoices(r, a.Roles), Token: r.Typed("token"), Days: r.TypedOr("days", "90"), MaxDays: maxDays,
	}
	if r.PostForm != nil && !strings.HasSuffix(r.URL.Path, "/roles") {
		for i := range data.Roles { // another form was sent
			data.Roles[i].Chosen = holds(a, data.Roles[i].Name)
		}
	}
	data.Facts = []kit.Fact{
		{Name: "State", Cell: userState(a)},
		{Name: "Roles", Cell: kit.Text(roleNames(a.Roles))},
		{Name: "Password", Cell: kit.Text(yesNo(a.HasPassword))},
		{Name: "Last sign-in with it", Cell: kit.Time(a.LastSignIn)},
		{Name: "Made", Cell: kit.Time(a.CreatedAt)},
		{Name: "What they did", Cell: kit.Text("audit log").To("/audit?actor=" + a.Name)},
		{Name: "What was done to them", Cell: kit.Text("audit log").To("/audit?target=user%2F" + a.Name)},
	}
	data.Tokens = kit.Load(r, "tokens", func(ctx context.Context) (kit.TableView, error) {
		list, err := p.Gate.Tokens(ctx, r.Who, a.Name, "", shownTokens)
		return p.tokenTable(r).Fixed(list), err
	})
	return p.View("user", "User "+a.Name, "Users", data), nil
}

func holds(a auth.Account, role string) bool {
	for _, have := range a.Roles {
		if string(have) == role {
			return true
		}
	}
	return false
}

// done shows the user's page anew, with what became of a form.
func (p *pages) done(r *kit.Request, err error, sentence string) (kit.Answer, error) {
	if err != nil {
		return r.Again(p.user, err)
	}
	r.Say(sentence, r.ID("name"))
	return kit.Redirect{To: "/users/" + r.ID("name")}, nil
}

func (p *pages) setRoles(r *kit.Request) (kit.Answer, error) {
	err := p.Gate.SetRoles(r.Context(), r.Who, r.ID("name"), typedRoles(r))
	return p.done(r, err, "The roles of %s are changed.")
}

func (p *pages) setOff(r *kit.Request) (kit.Answer, error) {
	off := r.Typed("off") == "yes"
	err := p.Gate.SetOff(r.Context(), r.Who, r.ID("name"), off)
	if off {
		return p.done(r, err, "%s is off: nothing lets them in.")
	}
	return p.done(r, err, "%s is on again.")
}

func (p *pages) setPassword(r *kit.Request) (kit.Answer, error) {
	if r.Typed("new_password") != r.Typed("new_password_again") {
		return r.Again(p.user, errs.New(errs.CodeBadInput, "the two passwords are not the same").WithHint("type it twice"))
	}
	_, err := p.Gate.SetPassword(r.Context(), r.Who, r.ID("name"), "", r.Typed("new_password"))
	return p.done(r, err, "The password of %s is set. Tell them by a safe way; they can change it themselves.")
}

func (p *pages) endSessions(r *kit.Request) (kit.Answer, error) {
	_, err := p.Gate.EndSessions(r.Context(), r.Who, r.ID("name"))
	return p.done(r, err, "Every browser of %s is signed out.")
}

const maxDays = int(auth.MaxTokenLife / (24 * time.Hour))

// secretData is a token that is shown once.
type secretData struct {
	User, Secret string
	Until        time.Time
}

func (p *pages) addToken(r *kit.Request) (kit.Answer, error) {
	days, err := strconv.Atoi(r.Typed("days"))
	if err != nil || days < 1 || days > maxDays {
		return r.Again(p.user, errs.New(errs.CodeBadInput, "a token lives from 1 to %d days", maxDays).At("days"))
	}
	// Without roles: no user is made where there is none.
	secret, t, err := p.Gate.CreateToken(r.Context(), r.Who, r.ID("name"), nil, r.Typed("token"), time.Duration(days)*24*time.Hour)
	if err != nil {
		return r.Again(p.user, err)
	}
	return p.View("secret", "A token for "+t.User, "Users", secretData{t.User, secret, t.ExpiresAt}), nil
}
