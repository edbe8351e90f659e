package auth_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
)

// There is always an admin who can come in, also when two take each other away
// at once.
func TestTheLastAdminStays(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	viewer := []auth.Role{auth.RoleViewer}
	w.wantCode(w.gate.SetOff(w.ctx, admin, "admin", true), errs.CodeConflict)
	w.wantCode(w.gate.SetRoles(w.ctx, admin, "admin", viewer), errs.CodeConflict)
	w.ok(w.gate.SetRoles(w.ctx, admin, "admin", []auth.Role{auth.RoleAdmin, auth.RoleAuthor}))
	w.ok(w.gate.AddUser(w.ctx, admin, "bob", []auth.Role{auth.RoleAdmin}))
	w.ok(w.gate.SetOff(w.ctx, admin, "bob", true))
	w.wantCode(w.gate.SetOff(w.ctx, admin, "admin", true), errs.CodeConflict) // bob is one, but off
	w.ok(w.gate.SetOff(w.ctx, admin, "bob", false))

	var done atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			err := w.gate.SetRoles(w.ctx, admin, []string{"admin", "bob"}[i%2], viewer)
			switch {
			case err == nil:
				done.Add(1)
			case !errs.Is(err, errs.CodeConflict):
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	users, err := w.db.Users(w.ctx, "", 10)
	w.ok(err)
	left := slices.DeleteFunc(users, func(u auth.User) bool { return !slices.Contains(u.Roles, auth.RoleAdmin) })
	if len(left) != 1 || done.Load() == 0 {
		t.Errorf("%d admins are left, %d were taken away", len(left), done.Load())
	}
}

func TestAccounts(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	bob := w.user(admin, "bob", auth.RoleViewer)
	w.wantCode(w.gate.AddUser(w.ctx, admin, "bob", []auth.Role{auth.RoleViewer}), errs.CodeConflict)
	w.wantCode(w.gate.AddUser(w.ctx, admin, "carol", nil), errs.CodeBadInput)
	w.wantCode(w.gate.AddUser(w.ctx, admin, "Carol", []auth.Role{auth.RoleViewer}), errs.CodeBadInput)
	w.wantCode(w.gate.AddUser(w.ctx, bob, "carol", []auth.Role{auth.RoleViewer}), errs.CodeForbidden)
	w.wantCode(w.gate.ChangeUser(w.ctx, admin, "bob", auth.Change{}), errs.CodeBadInput)
	w.wantCode(w.gate.SetRoles(w.ctx, admin, "bob", nil), errs.CodeBadInput)
	w.wantCode(w.gate.SetRoles(w.ctx, admin, "bob", []auth.Role{"root"}), errs.CodeBadInput)
	w.wantCode(w.gate.SetRoles(w.ctx, admin, "carol", []auth.Role{auth.RoleAdmin}), errs.CodeNotFound)
	w.wantCode(w.gate.SetRoles(w.ctx, bob, "bob", []auth.Role{auth.RoleAdmin}), errs.CodeForbidden)
	w.wantCode(w.gate.SetOff(w.ctx, bob, "admin", true), errs.CodeForbidden)
	_, err := w.gate.EndSessions(w.ctx, bob, "admin")
	w.wantCode(err, errs.CodeForbidden)
	_, err = w.gate.EndSessions(w.ctx, bob, "bob")
	w.ok(err)

	w.ok(w.gate.SetRoles(w.ctx, admin, "bob", []auth.Role{auth.RoleAuthor}))
	a, err := w.gate.Account(w.ctx, bob, "bob")
	w.ok(err)
	if !slices.Equal(a.Roles, []auth.Role{auth.RoleAuthor}) || a.HasPassword || a.Off || !a.LockedUntil.IsZero() {
		t.Errorf("bob is %+v", a)
	}
	_, err = w.gate.Account(w.ctx, bob, "admin")
	w.wantCode(err, errs.CodeNotFound)
	_, err = w.gate.Users(w.ctx, bob, "", 10)
	w.wantCode(err, errs.CodeForbidden)
	list, err := w.gate.Users(w.ctx, admin, "", 10)
	w.ok(err)
	if len(list) != 2 || list[0].Name != "admin" || list[1].Name != "bob" {
		t.Errorf("users %+v", list)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	secret, made, err := w.gate.CreateToken(w.ctx, admin, "bob", []auth.Role{auth.RoleViewer}, "laptop", time.Hour)
	w.ok(err)
	bob := w.principal(secret)
	names := func(p auth.Principal, user string) (out []string) {
		list, err := w.gate.Tokens(w.ctx, p, user, "", 50)
		w.ok(err)
		for _, t := range list {
			if t.Hash != [32]byte{} {
				w.Error("a hash is shown")
			}
			out = append(out, t.User+" "+string(t.Kind))
		}
		slices.Sort(out)
		return out
	}
	for _, c := range []struct {
		p    auth.Principal
		user string
		want []string
	}{
		{bob, "", []string{"bob api"}},
		{bob, "bob", []string{"bob api"}},
		{admin, "bob", []string{"bob api"}},
		{admin, "", []string{"admin api", "admin login", "bob api"}},
	} {
		if got := names(c.p, c.user); !slices.Equal(got, c.want) {
			t.Errorf("%s lists %q: %v", c.p.User, c.user, got)
		}
	}
	_, err = w.gate.Tokens(w.ctx, bob, "admin", "", 50)
	w.wantCode(err, errs.CodeForbidden)

	for _, c := range []struct {
		p  auth.Principal
		id string
		ok bool
	}{{bob, made.ID, true}, {admin, made.ID, true}, {bob, admin.TokenID, false}, {admin, "\x00nothing", false}} {
		t, err := w.gate.Token(w.ctx, c.p, c.id)
		if c.ok && (err != nil || t.ID != c.id || t.Hash != [32]byte{}) || !c.ok && !errs.Is(err, errs.CodeNotFound) {
			w.Errorf("%s sees %s: %+v %v", c.p.User, c.id, t, err)
		}
	}
	before := len(w.entries())
	_, err = w.gate.RevokeToken(w.ctx, bob, admin.TokenID)
	w.wantCode(err, errs.CodeNotFound) // as one that does not exist
	if got := w.entries()[before:]; len(got) != 1 || got[0].Outcome != "forbidden" || got[0].Actor != "bob" {
		t.Errorf("entries %+v", got)
	}
	_, err = w.gate.RevokeToken(w.ctx, bob, "\x00nothing")
	w.wantCode(err, errs.CodeNotFound)
	gone, err := w.gate.RevokeToken(w.ctx, bob, made.ID)
	w.ok(err)
	if gone.User != "bob" || gone.Hash != [32]byte{} {
		t.Errorf("revoked %+v", gone)
	}
	_, err = w.gate.Authenticate(w.ctx, secret)
	w.wantCode(err, errs.CodeUnauthenticated)
	_, err = w.gate.RevokeToken(w.ctx, admin, made.ID)
	w.wantCode(err, errs.CodeNotFound)
}
