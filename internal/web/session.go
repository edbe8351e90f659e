package web

import (
	"net/http"
	"regexp"
	"time"

	"github.com/go-chi/chi/v5"

	"hookline/internal/auth"
	"hookline/internal/errs"
)

// cookieName keeps a session. Under TLS the prefix makes browsers refuse a
// cookie that another host or plain HTTP tries to plant.
func (s *site) cookieName() string {
	if s.Secure {
		return "__Host-hookline"
	}
	return "hookline"
}

// setCookie sets the session's cookie; without a secret it deletes it. The
// cookie goes along with links from elsewhere, which only read, and with no
// form or script from elsewhere.
func (s *site) setCookie(w http.ResponseWriter, secret string, expires time.Time) {
	maxAge := 0
	if secret == "" {
		maxAge = -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS; plain HTTP is for loopback only
		Name: s.cookieName(), Value: secret, Path: "/", Expires: expires, MaxAge: maxAge,
		HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode,
	})
}

func (s *site) session(r *http.Request) (auth.Principal, error) {
	signIn := errs.New(errs.CodeUnauthenticated, "You are not signed in.").
		WithHint("Make a one-time link with `hookline open` and open it in this browser.")
	c, err := r.Cookie(s.cookieName())
	if err != nil {
		return auth.Principal{}, signIn
	}
	p, err := s.Gate.Authenticate(r.Context(), c.Value)
	if errs.Is(err, errs.CodeUnauthenticated) || err == nil && p.Kind != auth.TokenSession {
		return auth.Principal{}, signIn
	}
	return p, err
}

// askLogin shows a button and spends nothing: mail scanners and browsers
// fetch links ahead of people.
func (s *site) askLogin(w http.ResponseWriter, r *http.Request) {
	if err := s.render(w, http.StatusOK, "login", s.base("Sign in", auth.Principal{})); err != nil {
		s.fail(w, r, err)
	}
}

func (s *site) login(w http.ResponseWriter, r *http.Request) {
	secret, token, err := s.Gate.SpendLogin(r.Context(), chi.URLParam(r, "code"))
	if errs.Is(err, errs.CodeUnauthenticated) {
		err = errs.New(errs.CodeUnauthenticated, "This link was used already, or its time is over.").
			WithHint("Make another with `hookline open`.")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.setCookie(w, secret, token.ExpiresAt)
	http.Redirect(w, r, landing(r.URL.Query().Get("next")), http.StatusSeeOther) //nolint:gosec // landing lets only our own pages through
}

// landing is the page that a sign-in link leads to: one of ours, by its path,
// and never another site.
func landing(next string) string {
	if ourPages.MatchString(next) {
		return next
	}
	return "/"
}

var ourPages = regexp.MustCompile(`^/(problems|(jobs|problems|versions|peers)/[0-9a-f-]{1,64})$`)

func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	if p, err := s.session(r); err == nil {
		if err := s.Gate.EndSession(r.Context(), p); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	s.setCookie(w, "", time.Time{})
	s.failWith(w, r, http.StatusOK, errs.New(errs.CodeUnauthenticated, "You are signed out."))
}
