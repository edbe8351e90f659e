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
		{"a refused replacement leaves the token", refusedReplacement},
		{"tokens that have ended are purged", purgeTokens},
		{"audit", audit},
		{"a refused change leaves no entry", refusedChangeLeavesNoEntry},
		{"a made-up grant does not pass", madeUpGrant},
	}
}

func users(k *kit) {
	u := auth.User{Name: "alice", Roles: []auth.Role{auth.RoleAuthor, auth.RoleReviewer}, CreatedAt: k.clock()}
	k.must(k.AddUser(k.ctx, u, k.grant(auth.TokensCreate)))
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
	login, session := k.token("login", auth.TokenLogin), k.token("session", auth.TokenSession)
	login.SessionUntil = k.clock().Add(2 * time.Hour)
	k.must(k.AddToken(k.ctx, login, k.grant(auth.LoginCreate)))
	stored, err := k.TokenByHash(k.ctx, login.Hash)
	k.must(err)
	same(k, stored, login)
	k.must(k.SpendToken(k.ctx, login.ID, session))
	got, err := k.TokenByHash(k.ctx, session.Hash)
	k.must(err)
	same(k, got, session)
	_, err = k.TokenByHash(k.ctx, login.Hash)
	k.refused(err, errs.CodeNotFound)
	again := k.token("again", auth.TokenSession)
	k.refused(k.SpendToken(k.ctx, login.ID, again), errs.CodeNotFound)
	_, err = k.TokenByHash(k.ctx, again.Hash)
	k.refused(err, errs.CodeNotFound)
}

func refusedReplacement(k *kit) {
	login, taken := k.token("login", auth.TokenLogin), k.token("session", auth.TokenSession)
	for _, t := range []auth.Token{login, taken} {
		k.must(k.AddToken(k.ctx, t, k.grant(auth.LoginCreate)))
	}
	twin := k.token("session", auth.TokenSession)
	k.refused(k.SpendToken(k.ctx, login.ID, twin), errs.CodeConflict)
	for _, t := range []auth.Token{login, taken} {
		got, err := k.TokenByHash(k.ctx, t.Hash)
		k.must(err)
		same(k, got, t)
	}
	k.must(k.SpendToken(k.ctx, login.ID, k.token("other", auth.TokenSession)))
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
	all, err := k.Entries(k.ctx, "", 200)
	k.must(err)
	return all
}

func audit(k *kit) {
	var ids []string
	for i := range 7 {
		e := auth.Entry{
			ID: k.id(), At: k.clock(), Actor: "alice", TokenID: "t", Action: "hooks.submit",
			Target: fmt.Sprintf("version/%d", i), Detail: "quantity=3 ü", Outcome: "forbidden",
		}
		k.must(k.AddEntry(k.ctx, e))
		same(k, k.entries()[0], e)
		ids = append(ids, e.ID)
	}
	slices.Reverse(ids)
	id := func(e auth.Entry) string { return e.ID }
	pages(k, ids, id, id, func(after string, limit int) ([]auth.Entry, error) { return k.Entries(k.ctx, after, limit) })
}

// Every change on a person's behalf leaves exactly its own entry; one that is
// refused leaves none.
func refusedChangeLeavesNoEntry(k *kit) {
	g := k.grant(auth.TokensCreate)
	k.must(k.AddUser(k.ctx, auth.User{Name: "alice"}, g))
	same(k, k.entries(), []auth.Entry{g.Entry()})
	k.refused(k.AddUser(k.ctx, auth.User{Name: "alice"}, k.grant(auth.TokensCreate)), errs.CodeConflict)
	k.refused(k.Disable(k.ctx, "none", "active", "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeNotFound)
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
