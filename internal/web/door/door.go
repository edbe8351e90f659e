// Package door is how people come in with a browser and go out: a password, a
// one-time link, the session, the account's own page. What was typed into a
// form whose session had ended is not lost.
//
// Any way to come in ends in begin, with an auth.SignedIn: another one, such as
// a company's own sign-in, is two routes more.
package door

import (
	"embed"
	"log/slog"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"hookline/internal/auth"
	"hookline/internal/web/kit"
)

//go:embed templates
var files embed.FS

// Parts is what a door is made from.
type Parts struct {
	Gate     *auth.Gate
	Sessions auth.Sessions
	Now      func() time.Time
	Log      *slog.Logger
	Secure   bool // served over TLS: cookies are Secure
}

// Door is a kit.Door: it knows who is signed in.
type Door struct {
	Parts
	sessions  *scs.SessionManager
	templates *kit.Templates // once Routes has made them
}

var _ kit.Door = (*Door)(nil)

// New makes a door.
func New(parts Parts) *Door {
	d := &Door{Parts: parts}
	// Not scs.New: its store in memory has a goroutine that nobody ends.
	d.sessions = &scs.SessionManager{
		Lifetime:         auth.SessionLife,
		Store:            rows{parts.Sessions, parts.Now},
		Codec:            codec{},
		HashTokenInStore: true,
	}
	return d
}

// Routes are the routes of these pages.
func (d *Door) Routes(k *kit.Kit) ([]kit.Route, error) {
	if err := k.Share(files, "templates/shared/*.html"); err != nil {
		return nil, err
	}
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	d.templates = t
	return []kit.Route{
		{Method: http.MethodGet, Path: "/sign-in", Access: kit.Public, Page: d.signInPage},
		{Method: http.MethodPost, Path: "/sign-in", Access: kit.Public, Page: d.signIn},
		{Method: http.MethodGet, Path: "/login/{code}", Access: kit.Public, Page: d.linkPage},
		{Method: http.MethodPost, Path: "/login/{code}", Access: kit.Public, Page: d.useLink},
		{Method: http.MethodPost, Path: "/logout", Access: kit.Public, Page: d.signOut},
		{Method: http.MethodGet, Path: "/account", Access: kit.SignedIn, Page: d.accountPage},
		{Method: http.MethodPost, Path: "/account/password", Access: kit.Acts(auth.AccountOwn), Page: d.setPassword},
		{Method: http.MethodPost, Path: "/account/sessions", Access: kit.Acts(auth.AccountOwn), Page: d.endOthers},
	}, nil
}
