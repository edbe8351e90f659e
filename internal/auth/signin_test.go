package auth_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
)

const password = "four unrelated words here"

// withPassword is a world with a user bob who has one.
func withPassword(t *testing.T) (*world, auth.Principal) {
	t.Helper()
	w := newWorld(t)
	admin := w.admin()
	w.ok(w.gate.AddUser(w.ctx, admin, "bob", []auth.Role{auth.RoleViewer}))
	_, err := w.gate.SetPassword(w.ctx, admin, "bob", "", password)
	w.ok(err)
	w.now = w.now.Add(time.Second)
	return w, admin
}

func (w *world) signIn(user, password string) error {
	_, err := w.gate.SignIn(w.ctx, user, password, "192.0.2.1:4711")
	return err
}

// Whatever is wrong, the answer is the same, word for word.
func TestSignIn(t *testing.T) {
	w, admin := withPassword(t)
	in, err := w.gate.SignIn(w.ctx, "bob", password, "192.0.2.1:4711")
	w.ok(err)
	p, err := w.session(in)
	w.ok(err)
	if p.User != "bob" || p.TokenID != in.ID || !p.ExpiresAt.Equal(w.now.Add(auth.SessionLife)) {
		t.Errorf("it is %+v", p)
	}
	wrong := w.signIn("bob", "wrong password")
	w.wantCode(wrong, errs.CodeUnauthenticated)
	w.ok(w.gate.SetOff(w.ctx, admin, "bob", true))
	for name, c := range map[string][2]string{
		"nobody": {"carol", password}, "no password": {"admin", ""}, "no password, long": {"admin", password}, "off": {"bob", password},
		"no name": {"", password}, "no such name": {"(nobody)", password}, "huge": {strings.Repeat("x", 1<<20), strings.Repeat("y", 1<<20)}, "no UTF-8": {"eve", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		err := w.signIn(c[0], c[1])
		w.wantCode(err, errs.CodeUnauthenticated)
		got, _ := errs.As(err)
		want, _ := errs.As(wrong)
		if got.Error() != want.Error() || got.Hint != want.Hint {
			t.Errorf("%s: %v (%s)", name, got, got.Hint)
		}
	}
}

// Five tries, then not even the right password, until a quarter of an hour has
// passed since the last; a user that does not exist answers the same at every
// step.
func TestLockOut(t *testing.T) {
	w, _ := withPassword(t)
	type step struct {
		after time.Duration
		code  errs.Code
		hint  string
	}
	steps := []step{
		{0, "unauthenticated", ""},
		{time.Minute, "unauthenticated", ""},
		{time.Minute, "unauthenticated", ""},
		{time.Minute, "unauthenticated", ""},
		{time.Minute, "unauthenticated", ""},
		{0, "rate-limited", "wait 15 min"},
		{10 * time.Minute, "rate-limited", "wait 5 min"},
		{5*time.Minute - time.Millisecond, "rate-limited", "wait 1 min"},
		{time.Millisecond, "unauthenticated", ""},
		{time.Minute, "unauthenticated", ""}, // the count begins again
	}
	for i, s := range steps {
		w.now = w.now.Add(s.after)
		for _, user := range []string{"bob", "carol"} {
			guess := "wrong password"
			if s.code == "rate-limited" {
				guess = password
			}
			_, err := w.gate.SignIn(w.ctx, user, guess, fmt.Sprintf("198.51.100.%d", i))
			w.wantCode(err, s.code)
			if e, _ := errs.As(err); !strings.Contains(e.Hint, s.hint) {
				t.Errorf("step %d, %s: %q", i, user, e.Hint)
			}
		}
	}
	w.ok(w.signIn("bob", password))
	w.wantCode(w.signIn("bob", "wrong password"), errs.CodeUnauthenticated) // forgotten with the success
	u, err := w.db.User(w.ctx, "bob")
	w.ok(err)
	if u.Failures != 1 || !u.LastSignIn.Equal(w.now) {
		t.Errorf("%d failures, last sign-in %s", u.Failures, u.LastSignIn)
	}
}

// As many at once as one after the other: sixteen guesses are five.
func TestLockOutUnderRace(t *testing.T) {
	for _, user := range []string{"bob", "carol"} {
		w, _ := withPassword(t)
		var looked, locked atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				_, err := w.gate.SignIn(w.ctx, user, fmt.Sprintf("guess number %d", i), fmt.Sprintf("198.51.100.%d", i))
				switch errs.CodeOf(err) {
				case errs.CodeUnauthenticated:
					looked.Add(1)
				case errs.CodeRateLimited:
					locked.Add(1)
				default:
					t.Errorf("guess %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if looked.Load() != 5 || locked.Load() != 11 {
			t.Errorf("%s: %d guesses were looked at, %d locked out", user, looked.Load(), locked.Load())
		}
	}
}

// An address has twenty failures, whatever names it tries; others go on, and
// its own successes do not count.
func TestAddressesAreCapped(t *testing.T) {
	w, _ := withPassword(t)
	try := func(user, address string) error {
		_, err := w.gate.SignIn(w.ctx, user, password, address)
		return err
	}
	for range 3 {
		w.ok(try("bob", "192.0.2.1:80"))
	}
	for i := range 20 {
		w.wantCode(try(fmt.Sprintf("user%d", i), fmt.Sprintf("192.0.2.1:%d", i)), errs.CodeUnauthenticated)
	}
	w.wantCode(try("bob", "192.0.2.1:99"), errs.CodeRateLimited)
	w.wantCode(try("bob", "[::ffff:192.0.2.1]:99"), errs.CodeRateLimited)
	w.ok(try("bob", "192.0.2.2:99"))
	w.now = w.now.Add(15 * time.Minute)
	w.ok(try("bob", "192.0.2.1:99"))
}

// Who signed in stands in the log, and who failed: not by a name that does not
// exist, which can be a password typed into the wrong field.
func TestPasswordSignInsAreAudited(t *testing.T) {
	w, _ := withPassword(t)
	before := len(w.entries())
	w.ok(w.signIn("bob", password))
	w.wantCode(w.signIn("bob", "wrong password"), errs.CodeUnauthenticated)
	w.wantCode(w.signIn(password, password), errs.CodeUnauthenticated)
	got := w.entries()[before:]
	want := []auth.Entry{
		{Actor: "bob", Action: "logins.password", Target: "user/bob", Outcome: "ok"},
		{Actor: "(nobody)", Action: "logins.password", Target: "user/bob", Detail: "from 192.0.2.1", Outcome: "unauthenticated"},
		{Actor: "(nobody)", Action: "logins.password", Target: "user/(unknown)", Detail: "from 192.0.2.1", Outcome: "unauthenticated"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d entries: %+v", len(got), got)
	}
	for i, e := range got {
		if e.TokenID == "" {
			t.Errorf("entry %d has no id of a sign-in", i)
		}
		e.ID, e.TokenID, e.At = "", "", time.Time{}
		if e != want[i] {
			t.Errorf("entry %+v, want %+v", e, want[i])
		}
	}
	w.gate.Log = brokenLog{w.db}
	w.wantCode(w.signIn("bob", password), errs.CodeUnavailable)
}

// A password that was taken away while somebody signs in with it lets nobody in.
func TestASessionFromBeforeANewPasswordIsOver(t *testing.T) {
	w, admin := withPassword(t)
	in, err := w.gate.SignIn(w.ctx, "bob", password, "192.0.2.1")
	w.ok(err)
	_, err = w.gate.SetPassword(w.ctx, admin, "bob", "", password+" again")
	w.ok(err)
	_, err = w.session(in)
	w.wantCode(err, errs.CodeUnauthenticated)
	w.wantCode(w.signIn("bob", password), errs.CodeUnauthenticated)
	w.now = w.now.Add(time.Second)
	w.ok(w.signIn("bob", password+" again"))
}

// slowChange is a store in which something happens before a change is there.
type slowChange struct {
	auth.Accounts
	before func()
}

func (s slowChange) ChangeUser(ctx context.Context, name string, c auth.UserChange, g auth.Grant) error {
	s.before()
	return s.Accounts.ChangeUser(ctx, name, c, g)
}

// Nor does one that is taken away at the very moment: the old one is good until
// the new one is stored, and what it let in is over then.
func TestASessionWhileANewPasswordIsStoredIsOver(t *testing.T) {
	w, admin := withPassword(t)
	var in auth.SignedIn
	w.gate.Accounts = slowChange{w.db, func() {
		w.now = w.now.Add(time.Second)
		var err error
		in, err = w.gate.SignIn(w.ctx, "bob", password, "192.0.2.1")
		w.ok(err)
		_, err = w.session(in)
		w.ok(err)
	}}
	_, err := w.gate.SetPassword(w.ctx, admin, "bob", "", password+" again")
	w.ok(err)
	_, err = w.session(in)
	w.wantCode(err, errs.CodeUnauthenticated)
}

func TestSetPassword(t *testing.T) {
	w, admin := withPassword(t)
	in, err := w.gate.SignIn(w.ctx, "bob", password, "192.0.2.1")
	w.ok(err)
	bob, err := w.session(in)
	w.ok(err)
	set := func(p auth.Principal, user, old, new string) error {
		_, err := w.gate.SetPassword(w.ctx, p, user, old, new)
		return err
	}
	for _, bad := range []string{
		"", "short", strings.Repeat("x", 129), strings.Repeat("é", 65), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "1234567890", "Password2026!",
		"bob-2026-05-04", "aaaaaaaaaaaaa", "  Hookline  99",
	} {
		err := set(bob, "bob", password, bad)
		w.wantCode(err, errs.CodeBadInput)
		if strings.Contains(err.Error(), bad) && bad != "" {
			t.Errorf("it repeats the password: %v", err)
		}
	}
	w.wantCode(set(bob, "bob", "wrong password", "another good one"), errs.CodeBadInput)
	w.wantCode(set(bob, "admin", "", "another good one"), errs.CodeForbidden)
	w.wantCode(set(admin, "carol", "", "another good one"), errs.CodeNotFound)
	w.ok(set(admin, "admin", "", "first one of the admin")) // there is none yet
	w.wantCode(set(admin, "admin", "", "second one of the admin"), errs.CodeBadInput)
	w.ok(set(admin, "admin", "first one of the admin", "second one of the admin"))
	w.ok(set(bob, "bob", password, "Passwörter sind läng")) // typed with letters and accents apart
	w.now = w.now.Add(time.Second)
	w.ok(w.signIn("bob", "Passwo\u0308rter sind la\u0308ng"))
	w.ok(w.signIn("bob", "Passw\u00f6rter sind l\u00e4ng"))
	w.wantCode(w.signIn("bob", "Passw\u00f6rter sind l\u00e4ng "), errs.CodeUnauthenticated)
}

// Who finds a browser open cannot guess the old password either.
func TestOldPasswordsAreGuessedNoFaster(t *testing.T) {
	w, _ := withPassword(t)
	in, err := w.gate.SignIn(w.ctx, "bob", password, "192.0.2.1")
	w.ok(err)
	bob, err := w.session(in)
	w.ok(err)
	for range 5 {
		_, err := w.gate.SetPassword(w.ctx, bob, "bob", "wrong password", "another good one")
		w.wantCode(err, errs.CodeBadInput)
	}
	_, err = w.gate.SetPassword(w.ctx, bob, "bob", password, "another good one")
	w.wantCode(err, errs.CodeRateLimited)
}

// Whoever is named, a hash is made: who exists cannot be told by the time that
// the answer takes. Here the queue of hashes is full, and everybody meets it.
func TestEveryTryMakesAHash(t *testing.T) {
	w, admin := withPassword(t)
	w.ok(w.gate.AddUser(w.ctx, admin, "off", []auth.Role{auth.RoleViewer}))
	w.ok(w.gate.SetOff(w.ctx, admin, "off", true))
	auth.FullQueue(w.gate)
	for name, c := range map[string][2]string{
		"right": {"bob", password}, "wrong": {"bob", "wrong password"}, "short": {"bob", "x"}, "huge": {"bob", strings.Repeat("x", 1<<20)}, "unknown": {"carol", password},
		"no name": {"\xff", password}, "no password": {"admin", password}, "off": {"off", password},
	} {
		if err := w.signIn(c[0], c[1]); !errs.Is(err, errs.CodeUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token of a day makes no password for good: the first one is an admin's to
// set.
func TestTheFirstPasswordIsAnAdminsToSet(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	dave := w.user(admin, "dave", auth.RoleAuthor)
	_, err := w.gate.SetPassword(w.ctx, dave, "dave", "", password)
	w.wantCode(err, errs.CodeForbidden)
	w.wantCode(w.signIn("dave", password), errs.CodeUnauthenticated)
	_, err = w.gate.SetPassword(w.ctx, admin, "dave", "", password)
	w.ok(err)
	_, err = w.gate.SetPassword(w.ctx, dave, "dave", password, password+" of his own")
	w.ok(err)
	w.ok(w.signIn("dave", password+" of his own"))
	_, err = w.gate.SetPassword(w.ctx, admin, "admin", "", password)
	w.ok(err)
}
