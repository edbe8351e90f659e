package door

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/internal/web/kit"
)

// keptPrefix marks the fields of a form that waits for its person to sign in.
const keptPrefix = "kept-"

// Bounds of a form that waits.
const (
	maxKept      = 200
	maxKeptBytes = 128 << 10
)

// signInData is the page to sign in.
type signInData struct {
	User    string // typed before
	To      string // where it leads
	Kept    []keptField
	Refused *refused
	Reason  string // why the person has to sign in
	Out     bool   // they have just signed out
}

// refused is why a try failed, in words.
type refused struct{ Detail, Hint string }

// keptField is one field that was typed.
type keptField struct{ Name, Value, Shown string }

func (d *Door) signInPage(r *kit.Request) (kit.Answer, error) {
	to := kit.OurPath(r.URL.Query().Get("next"))
	if r.Who.User != "" {
		return kit.Redirect{To: to}, nil
	}
	return d.asks(http.StatusOK, signInData{To: to, Out: r.URL.Query().Get("out") == "yes"}), nil
}

func (d *Door) asks(status int, data signInData) kit.Answer {
	v := d.templates.View("sign-in", "Sign in", "", data)
	v.Status = status
	return v
}

// Ask is the page for a request of nobody. A page comes when the person has
// signed in; a form waits, and is sent only when they say so.
func (d *Door) Ask(r *kit.Request, _ error) (kit.Answer, error) {
	data := signInData{To: kit.OurPath(r.URL.RequestURI())}
	if r.Method == http.MethodPost {
		data.To = kit.OurPath(r.URL.Path)
		data.Kept = kept(r.PostForm)
		data.Reason = "You are not signed in any more, so nothing was done yet. What you typed is kept on this page."
	}
	return d.asks(errs.Unauthenticated.HTTPStatus(), data), nil
}

// kept are the fields of a form in their order by name, without passwords,
// which nobody wants to find on a page.
func kept(form url.Values) []keptField {
	var fields []keptField
	size := 0
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range form[name] {
			size += len(name) + len(value)
			if strings.Contains(name, "password") || len(fields) == maxKept || size > maxKeptBytes {
				continue
			}
			fields = append(fields, keptField{Name: name, Value: value, Shown: looks.Visible(value)})
		}
	}
	return fields
}

// signIn takes a user's name and password.
func (d *Door) signIn(r *kit.Request) (kit.Answer, error) {
	data := signInData{User: r.Typed("user"), To: kit.OurPath(r.Typed("to")), Kept: keptAgain(r.PostForm)}
	in, err := d.Gate.SignIn(r.Context(), data.User, r.Typed("password"), r.RemoteAddr)
	if e, ok := errs.As(err); ok && (e.Code == errs.CodeUnauthenticated || e.Code == errs.CodeRateLimited) {
		data.Refused = &refused{e.Error(), e.Hint}
		if len(data.User) > 64 {
			data.User = ""
		}
		return d.asks(e.Kind().HTTPStatus(), data), nil
	}
	if err != nil {
		return nil, err
	}
	return d.enter(r, in, data)
}

// keptAgain are the fields that came along with the sign-in.
func keptAgain(form url.Values) []keptField {
	inner := url.Values{}
	for name, values := range form {
		if rest, ok := strings.CutPrefix(name, keptPrefix); ok {
			inner[rest] = values
		}
	}
	return kept(inner)
}

// enter begins the session and leads on: to a page at once, to a form that was
// typed before only with a click.
func (d *Door) enter(r *kit.Request, in auth.SignedIn, data signInData) (kit.Answer, error) {
	if err := d.begin(r.Context(), in); err != nil {
		return nil, err
	}
	if len(data.Kept) == 0 {
		return kit.Redirect{To: data.To}, nil
	}
	p, err := d.Who(r.Request)
	if err != nil {
		return nil, err
	}
	r.Who = p
	return d.templates.View("resend", "Send what you typed", "", data), nil
}

// linkData is the page of a one-time link; User is "" where it lets nobody in.
type linkData struct{ User string }

// linkPage shows a button and spends nothing: mail scanners and browsers
// fetch links ahead of people.
func (d *Door) linkPage(r *kit.Request) (kit.Answer, error) {
	user, err := d.Gate.LinkUser(r.Context(), r.ID("code"))
	if err != nil {
		return nil, err
	}
	return d.linkFor(user), nil
}

func (d *Door) linkFor(user string) kit.Answer {
	v := d.templates.View("link", "Sign in with a link", "", linkData{User: user})
	if user == "" {
		v.Status = errs.Unauthenticated.HTTPStatus()
	}
	return v
}

func (d *Door) useLink(r *kit.Request) (kit.Answer, error) {
	in, err := d.Gate.SpendLogin(r.Context(), r.ID("code"))
	if errs.Is(err, errs.CodeUnauthenticated) {
		return d.linkFor(""), nil
	}
	if err != nil {
		return nil, err
	}
	return d.enter(r, in, signInData{To: kit.OurPath(r.URL.Query().Get("next"))})
}

// signOut ends the session. It is nobody's mistake to be signed out already.
func (d *Door) signOut(r *kit.Request) (kit.Answer, error) {
	if r.Who.User != "" {
		if err := d.Gate.SignOut(r.Context(), r.Who); err != nil {
			return nil, err
		}
	}
	if err := d.end(r.Context()); err != nil {
		return nil, err
	}
	return kit.Redirect{To: "/sign-in?out=yes"}, nil
}
