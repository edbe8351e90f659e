package storetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
)

func accountTests() []test {
	return []test{
		{"users", users},
		{"tokens", tokens},
		{"a one-time token is spent once", spendToken},
		{"a change of an account leaves the rest", changeUser},
		{"pages of users and tokens", accountPages},
		{"a token is removed once", removeToken},
		{"tokens that have ended are purged", purgeTokens},
		{"a refused change leaves no entry", refusedChangeLeavesNoEntry},
		{"a made-up grant does not pass", madeUpGrant},
	}
}

// hashed looks like what is stored of a password.
func hashed(s string) string { return "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$" + s }

// user stores an account with every member set.
func (k *kit) user(name string) auth.User {
	k.Helper()
	u := auth.User{
		Name: name, Roles: []auth.Role{auth.RoleAuthor, auth.RoleReviewer}, CreatedAt: k.clock(),
		Password: hashed("one"), Off: true, Failures: 2, LastFailure: k.clock().Add(time.Second),
		LastSignIn: k.clock().Add(2 * time.Second), SessionsFrom: k.clock().Add(3 * time.Second),
	}
	k.must(k.AddUser(k.ctx, u, k.grant(auth.TokensCreate)))
	return u
}

// account reads one.
func (k *kit) account(name string) auth.User {
	k.Helper()
	u, err := k.User(k.ctx, name)
	k.must(err)
	return u
}

func users(k *kit) {
	u := k.user("alice")
	got, err := k.User(k.ctx, "alice")
	k.must(err)
	same(k, got, u)
	k.refused(k.AddUser(k.ctx, auth.User{Name: "alice"}, k.grant(auth.TokensCreate)), errs.CodeConflict)
	_, err = k.User(k.ctx, "Alice")
	k.refused(err, errs.CodeNotFound)
	got, err = k.User(k.ctx, "alice")
	k.must(err)
	same(k, got, u)
}

func (k *kit) token(name string, kind auth.TokenKind) auth.Token {
	return auth.Token{
		ID: k.id(), Kind: kind, Hash: sha256.Sum256([]byte(name)), User: "alice", Name: name,
		CreatedAt: k.clock(), ExpiresAt: k.clock().Add(time.Hour),
	}
}

func tokens(k *kit) {
	a, b := k.token("a", auth.TokenAPI), k.token("b", auth.TokenSession)
	k.must(k.AddToken(k.ctx, a, k.grant(auth.TokensCreate)))
	k.must(k.AddToken(k.ctx, b, k.grant(auth.TokensCreate)))
	for _, want := range []auth.Token{a, b} {
		got, err := k.TokenByHash(k.ctx, want.Hash)
		k.must(err)
		same(k, got, want)
	}
	_, err := k.TokenByHash(k.ctx, sha256.Sum256([]byte("c")))
	k.refused(err, errs.CodeNotFound)
	twin := k.token("a", auth.TokenAPI)
	k.refused(k.AddToken(k.ctx, twin, k.grant(auth.TokensCreate)), errs.CodeConflict)
}

func spendToken(k *kit) {
	login := k.token("login", auth.TokenLogin)
	login.SessionUntil = k.clock().Add(2 * time.Hour)
	k.must(k.AddToken(k.ctx, login, k.grant(auth.LoginCreate)))
	stored, err := k.TokenByHash(k.ctx, login.Hash)
	k.must(err)
	same(k, stored, login)
	k.must(k.SpendToken(k.ctx, login.ID))
	_, err = k.TokenByHash(k.ctx, login.Hash)
	k.refused(err, errs.CodeNotFound)
	_, err = k.Token(k.ctx, login.ID)
	k.refused(err, errs.CodeNotFound)
	k.refused(k.SpendToken(k.ctx, login.ID), errs.CodeNotFound)
}

func removeToken(k *kit) {
	all := []auth.Token{k.token("api", auth.TokenAPI), k.token("other", auth.TokenAPI)}
	for _, t := range all {
		k.must(k.AddToken(k.ctx, t, k.grant(auth.TokensCreate)))
		got, err := k.Token(k.ctx, t.ID)
		k.must(err)
		same(k, got, t)
	}
	g := k.grant(auth.TokensCreate)
	k.must(k.RemoveToken(k.ctx, all[0].ID, g))
	same(k, k.entries()[0], g.Entry())
	_, err := k.TokenByHash(k.ctx, all[0].Hash)
	k.refused(err, errs.CodeNotFound)
	_, err = k.TokenByHash(k.ctx, all[1].Hash)
	k.must(err)
	k.refused(k.RemoveToken(k.ctx, all[0].ID, k.grant(auth.TokensCreate)), errs.CodeNotFound)
	same(k, len(k.entries()), 3)
}

// Each member alone, all at once, and none: what is not named stays.
func changeUser(k *kit) {
	want, other := k.user("alice"), k.user("bob")
	password, none, on, later := hashed("other"), "", false, k.clock().Add(time.Hour)
	for i, c := range []struct {
		change auth.UserChange
		apply  func(u *auth.User)
	}{
		{auth.UserChange{}, func(*auth.User) {}},
		{auth.UserChange{Roles: []auth.Role{auth.RoleAdmin}}, func(u *auth.User) { u.Roles = []auth.Role{auth.RoleAdmin} }},
		{auth.UserChange{Password: &password}, func(u *auth.User) { u.Password = password }},
		{auth.UserChange{Off: &on}, func(u *auth.User) { u.Off = false }},
		{auth.UserChange{SessionsFrom: &later}, func(u *auth.User) { u.SessionsFrom = later }},
		{
			auth.UserChange{Roles: []auth.Role{auth.RoleViewer, auth.RoleOperator}, Password: &none, SessionsFrom: &time.Time{}},
			func(u *auth.User) {
				u.Roles, u.Password, u.SessionsFrom = []auth.Role{auth.RoleViewer, auth.RoleOperator}, "", time.Time{}
			},
		},
	} {
		g := k.grant(auth.TokensCreate)
		k.must(k.ChangeUser(k.ctx, "alice", c.change, g))
		c.apply(&want)
		k.Logf("change %d", i+1)
		same(k, k.account("alice"), want)
		same(k, k.entries()[0], g.Entry())
	}
	same(k, k.account("bob"), other)
	n := len(k.entries())
	k.refused(k.ChangeUser(k.ctx, "nobody", auth.UserChange{Off: &on}, k.grant(auth.TokensCreate)), errs.CodeNotFound)
	_, err := k.User(k.ctx, "nobody")
	k.refused(err, errs.CodeNotFound)
	same(k, len(k.entries()), n)
}

func accountPages(k *kit) {
	var names, ids, ofBob []string
	for i, name := range []string{"a", "a-b", "b", "bob", "c.d", "z9"} {
		k.user(name)
		names = append(names, name)
		for n := range 3 {
			t := k.token(fmt.Sprint(name, n), auth.TokenAPI)
			t.User = []string{"bob", name}[n%2]
			k.must(k.AddToken(k.ctx, t, k.grant(auth.TokensCreate)))
			if ids = append(ids, t.ID); t.User == "bob" {
				ofBob = append(ofBob, t.ID)
			}
		}
		k.advance(time.Duration(i%2) * time.Second)
	}
	slices.Reverse(ids)
	slices.Reverse(ofBob)
	name := func(u auth.User) string { return u.Name }
	pages(k, names, name, name, func(after string, limit int) ([]auth.User, error) { return k.Users(k.ctx, after, limit) })
	for user, want := range map[string][]string{"": ids, "bob": ofBob, "nobody": nil} {
		id := func(t auth.Token) string { return t.ID }
		pages(k, want, id, id, func(after string, limit int) ([]auth.Token, error) { return k.Tokens(k.ctx, user, after, limit) })
	}
	list, err := k.Users(k.ctx, "b", 1)
	k.must(err)
	same(k, list, []auth.User{k.account("bob")})
}

// Of ten tokens, one ends each minute; the store has them in another order.
func purgeTokens(k *kit) {
	var all []auth.Token
	for i := range 10 {
		t := k.token(fmt.Sprint(i), []auth.TokenKind{auth.TokenAPI, auth.TokenLogin, auth.TokenSession}[i%3])
		t.ExpiresAt = k.clock().Add(time.Duration((i*7)%10) * time.Minute)
		k.must(k.AddToken(k.ctx, t, k.grant(auth.TokensCreate)))
		all = append(all, t)
	}
	left := func() (minutes []int) {
		for _, t := range all {
			got, err := k.TokenByHash(k.ctx, t.Hash)
			if errs.Is(err, errs.CodeNotFound) {
				continue
			}
			k.must(err)
			same(k, got, t)
			minutes = append(minutes, int(t.ExpiresAt.Sub(k.clock())/time.Minute))
		}
		slices.Sort(minutes)
		return minutes
	}
	entries := len(k.entries())
	for _, c := range []struct {
		before time.Duration
		limit  int
		n      int64
		left   []int
	}{
		{-time.Millisecond, 10, 0, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{0, 10, 1, []int{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{5 * time.Minute, 3, 3, []int{4, 5, 6, 7, 8, 9}},
		{5 * time.Minute, 3, 2, []int{6, 7, 8, 9}},
		{5 * time.Minute, 3, 0, []int{6, 7, 8, 9}},
	} {
		n, err := k.PurgeTokens(k.ctx, k.clock().Add(c.before), c.limit)
		k.must(err)
		same(k, n, c.n)
		same(k, left(), c.left)
	}
	same(k, len(k.entries()), entries)
}

func (k *kit) entries() []auth.Entry {
	k.Helper()
	all, err := k.Entries(k.ctx, auth.EntryFilter{Limit: 200})
	k.must(err)
	return all
}

// Every change on a person's behalf leaves exactly its own entry; one that is
// refused leaves none.
func refusedChangeLeavesNoEntry(k *kit) {
	g := k.grant(auth.TokensCreate)
	k.must(k.AddUser(k.ctx, auth.User{Name: "alice"}, g))
	same(k, k.entries(), []auth.Entry{g.Entry()})
	k.refused(k.AddUser(k.ctx, auth.User{Name: "alice"}, k.grant(auth.TokensCreate)), errs.CodeConflict)
	k.refused(k.Stop(k.ctx, "none", "active", "disabled", "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeNotFound)
	if err := k.AddUser(k.ctx, auth.User{Name: "bob"}, g); err == nil {
		k.Error("one grant was good for two changes")
	}
	same(k, k.entries(), []auth.Entry{g.Entry()})
	if _, err := k.User(k.ctx, "bob"); !errs.Is(err, errs.CodeNotFound) {
		k.Errorf("a change without its entry is there: %v", err)
	}
}

func madeUpGrant(k *kit) {
	defer func() {
		if recover() == nil {
			k.Error("a grant that no gate made was accepted")
		}
		k.must(k.AddEntry(k.ctx, auth.Entry{ID: k.id()})) // and the store carries on
	}()
	_ = k.AddUser(k.ctx, auth.User{Name: "alice"}, auth.Grant{})
}
