package auth_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/internal/auth"
	"hookline/internal/errs"
)

// session asks who a browser's session is now.
func (w *world) session(s auth.SignedIn) (auth.Principal, error) {
	return w.gate.SessionPrincipal(w.ctx, s.User, s.ID, s.Since, s.Until)
}

func (w *world) link(p auth.Principal) string {
	w.Helper()
	code, _, err := w.gate.NewLogin(w.ctx, p)
	w.ok(err)
	return code
}

// A code works once, however many use it at once; its session ends.
func TestLogin(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	code := w.link(admin)
	var wg sync.WaitGroup
	var in auth.SignedIn
	var spent atomic.Int64
	for range 16 {
		wg.Go(func() {
			s, err := w.gate.SpendLogin(w.ctx, code)
			switch {
			case err == nil:
				spent.Add(1)
				in = s
			case !errs.Is(err, errs.CodeUnauthenticated):
				t.Errorf("spend: %v", err)
			}
		})
	}
	wg.Wait()
	if spent.Load() != 1 || in.User != "admin" {
		t.Fatalf("%d times, %+v", spent.Load(), in)
	}
	p, err := w.session(in)
	w.ok(err)
	w.ok(w.gate.Allow(p, auth.HooksDisable))
	_, err = w.gate.Authorize(w.ctx, p, auth.HooksSubmit, "x", "")
	w.wantCode(err, errs.CodeForbidden)
	w.now = in.Until
	_, err = w.session(in)
	w.wantCode(err, errs.CodeUnauthenticated)

	late := w.link(admin)
	w.now = w.now.Add(auth.LoginLife)
	for _, bad := range []string{"", late, code, "hkll_x"} {
		_, err = w.gate.SpendLogin(w.ctx, bad)
		w.wantCode(err, errs.CodeUnauthenticated)
	}
}

// Who was given a token for an hour is not signed in for twelve.
func TestASessionEndsWithTheTokenThatMadeItsLink(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	for _, c := range []struct {
		name                string
		left                time.Duration // of the token when it makes the link
		spent               time.Duration // later
		linkFor, sessionFor time.Duration
	}{
		{"long", 48 * time.Hour, time.Minute, auth.LoginLife, auth.SessionLife},
		{"hour", time.Hour, 2 * time.Minute, auth.LoginLife, 58 * time.Minute},
		{"two-minutes", 2 * time.Minute, time.Minute, 2 * time.Minute, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			secret, _, err := w.gate.CreateToken(w.ctx, admin, c.name, []auth.Role{auth.RoleViewer}, "test", c.left)
			w.ok(err)
			made := w.now
			code, link, err := w.gate.NewLogin(w.ctx, w.principal(secret))
			w.ok(err)
			w.now = w.now.Add(c.spent)
			in, err := w.gate.SpendLogin(w.ctx, code)
			w.ok(err)
			if got := link.ExpiresAt.Sub(made); got != c.linkFor {
				t.Errorf("the link is good for %s, want %s", got, c.linkFor)
			}
			if got := in.Until.Sub(w.now); got != c.sessionFor {
				t.Errorf("the session is good for %s, want %s", got, c.sessionFor)
			}
		})
	}
}

// Whose link was used, and when, stands in the audit log: a link can have been
// opened by somebody else.
func TestSignInAndOutAreAudited(t *testing.T) {
	w := newWorld(t)
	code, login, err := w.gate.NewLogin(w.ctx, w.admin())
	w.ok(err)
	log := w.gate.Log
	w.gate.Log = brokenLog{w.db}
	_, err = w.gate.SpendLogin(w.ctx, code)
	w.wantCode(err, errs.CodeUnavailable)
	w.gate.Log = log
	in, err := w.gate.SpendLogin(w.ctx, code)
	w.ok(err)
	p, err := w.session(in)
	w.ok(err)
	w.ok(w.gate.SignOut(w.ctx, p))
	entries := w.entries()
	for i, want := range []auth.Entry{
		{Actor: "admin", TokenID: login.ID, Action: "logins.use", Target: "user/admin", Outcome: "ok"},
		{Actor: "admin", TokenID: login.ID, Action: "logins.end", Target: "user/admin", Outcome: "ok"},
	} {
		got := entries[len(entries)-2+i]
		got.ID, got.At = "", time.Time{}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// What ends sessions ends those that began before, and links made before; not
// the one of who did it, nor any that begins later.
func TestSessionsEnd(t *testing.T) {
	end := map[string]func(w *world, p auth.Principal) (time.Time, error){
		"ended": func(w *world, p auth.Principal) (time.Time, error) { return w.gate.EndSessions(w.ctx, p, "bob") },
		"new password": func(w *world, p auth.Principal) (time.Time, error) {
			return w.gate.SetPassword(w.ctx, p, "bob", "", password)
		},
		"off": func(w *world, p auth.Principal) (time.Time, error) {
			w.ok(w.gate.SetOff(w.ctx, p, "bob", true))
			return time.Time{}, w.gate.SetOff(w.ctx, p, "bob", false)
		},
	}
	for name, f := range end {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			admin := w.admin()
			bob := w.user(admin, "bob", auth.RoleViewer)
			before, unused := w.link(bob), w.link(bob)
			in, err := w.gate.SpendLogin(w.ctx, before)
			w.ok(err)
			_, err = w.session(in)
			w.ok(err)
			from, err := f(w, admin) // in the same millisecond
			w.ok(err)
			_, err = w.session(in)
			w.wantCode(err, errs.CodeUnauthenticated)
			_, err = w.gate.SpendLogin(w.ctx, unused)
			w.wantCode(err, errs.CodeUnauthenticated)
			if !from.IsZero() {
				in.Since = from
				_, err = w.session(in)
				w.ok(err)
			}
			w.now = w.now.Add(2 * time.Millisecond)
			in, err = w.gate.SpendLogin(w.ctx, w.link(bob))
			w.ok(err)
			_, err = w.session(in)
			w.ok(err)
		})
	}
}

// A user who is off gets in by nothing, until they are on again.
func TestOff(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	secret, _, err := w.gate.CreateToken(w.ctx, admin, "bob", []auth.Role{auth.RoleViewer}, "test", time.Hour)
	w.ok(err)
	_, err = w.gate.SetPassword(w.ctx, admin, "bob", "", password)
	w.ok(err)
	w.now = w.now.Add(time.Second)
	code := w.link(w.principal(secret))
	in, err := w.gate.SignIn(w.ctx, "bob", password, "192.0.2.1")
	w.ok(err)
	w.ok(w.gate.SetOff(w.ctx, admin, "bob", true))
	for name, try := range map[string]func() error{
		"token":    func() error { _, err := w.gate.Authenticate(w.ctx, secret); return err },
		"link":     func() error { _, err := w.gate.SpendLogin(w.ctx, code); return err },
		"session":  func() error { _, err := w.session(in); return err },
		"password": func() error { _, err := w.gate.SignIn(w.ctx, "bob", password, "192.0.2.1"); return err },
	} {
		if err := try(); !errs.Is(err, errs.CodeUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.ok(w.gate.SetOff(w.ctx, admin, "bob", false))
	w.now = w.now.Add(time.Second)
	w.principal(secret)
	_, err = w.gate.SignIn(w.ctx, "bob", password, "192.0.2.1")
	w.ok(err)
}
