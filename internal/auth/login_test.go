package auth_test

import (
	"testing"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
)

// Who was given a token for an hour is not signed in for twelve.
func TestASessionEndsWithTheTokenThatMadeItsLink(t *testing.T) {
	for _, c := range []struct {
		name                string
		left                time.Duration // of the token when it makes the link
		spent               time.Duration // later
		linkFor, sessionFor time.Duration
	}{
		{"a long token", 48 * time.Hour, time.Minute, auth.LoginLife, auth.SessionLife},
		{"a token of an hour", time.Hour, 2 * time.Minute, auth.LoginLife, 58 * time.Minute},
		{"the last two minutes", 2 * time.Minute, time.Minute, 2 * time.Minute, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			secret, _, err := w.gate.CreateToken(w.ctx, w.admin(), "bob", []auth.Role{auth.RoleViewer}, "test", c.left)
			w.ok(err)
			made := w.now
			code, link, err := w.gate.NewLogin(w.ctx, w.principal(secret))
			w.ok(err)
			w.now = w.now.Add(c.spent)
			cookie, session, err := w.gate.SpendLogin(w.ctx, code)
			w.ok(err)
			if got := link.ExpiresAt.Sub(made); got != c.linkFor {
				t.Errorf("the link is good for %s, want %s", got, c.linkFor)
			}
			if got := session.ExpiresAt.Sub(w.now); got != c.sessionFor {
				t.Errorf("the session is good for %s, want %s", got, c.sessionFor)
			}
			w.now = session.ExpiresAt.Add(-time.Millisecond)
			w.principal(cookie)
			w.now = session.ExpiresAt
			_, err = w.gate.Authenticate(w.ctx, cookie)
			w.wantCode(err, errs.CodeUnauthenticated)
		})
	}
}
