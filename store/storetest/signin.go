package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/store"
)

func signInTests() []test {
	return []test{
		{"tries are counted before they are looked at", trySignIn},
		{"sessions", sessions},
		{"a session that is too large", largeSession},
		{"sessions that have ended are purged", purgeSessions},
	}
}

func trySignIn(k *kit) {
	const most = 3
	want := auth.User{Name: "alice", CreatedAt: k.clock(), Password: hashed("x")}
	for _, name := range []string{"alice", "bob"} {
		u := want
		u.Name = name
		k.must(k.AddUser(k.ctx, u, k.grant(auth.UsersManage)))
	}
	entries := len(k.entries())
	try := func(window time.Duration, through bool) {
		k.Helper()
		ok, err := k.TrySignIn(k.ctx, "alice", k.clock(), k.clock().Add(-window), most)
		if err != nil || ok != through {
			k.Errorf("through %v, %v", ok, err)
		}
		same(k, k.account("alice"), want)
	}
	counted := func(n int64) { want.Failures, want.LastFailure = n, k.clock() }
	for n := range int64(most) {
		k.advance(time.Minute)
		counted(n + 1)
		try(time.Hour, true)
	}
	k.advance(time.Minute)
	try(time.Hour, false)
	try(time.Minute+time.Millisecond, false)
	counted(1) // the last is no longer after since
	try(time.Minute, true)
	counted(2)
	try(time.Minute, true)
	k.advance(time.Second)
	k.must(k.SignedIn(k.ctx, "alice", k.clock()))
	want.Failures, want.LastFailure, want.LastSignIn = 0, time.Time{}, k.clock()
	same(k, k.account("alice"), want)
	for n := range int64(most) {
		counted(n + 1)
		try(time.Hour, true)
	}
	try(time.Hour, false)
	k.advance(2 * time.Hour) // tries from before since are no longer counted, however many there are left
	counted(1)
	try(time.Hour, true)

	_, err := k.TrySignIn(k.ctx, "nobody", k.clock(), k.clock(), most)
	k.refused(err, errs.CodeNotFound)
	k.refused(k.SignedIn(k.ctx, "nobody", k.clock()), errs.CodeNotFound)
	want.Name, want.Failures, want.LastFailure, want.LastSignIn = "bob", 0, time.Time{}, time.Time{}
	same(k, k.account("bob"), want)
	same(k, len(k.entries()), entries)
}

func (k *kit) session(key string) auth.Session {
	return auth.Session{Key: key, Data: []byte("data \x00\xff of " + key), ExpiresAt: k.clock().Add(time.Hour)}
}

// browsing reads a session; ok is false where there is none.
func (k *kit) browsing(key string) (s auth.Session, ok bool) {
	k.Helper()
	s, err := k.Session(k.ctx, key)
	if errs.Is(err, errs.CodeNotFound) {
		return s, false
	}
	k.must(err)
	return s, true
}

func sessions(k *kit) {
	a, b := k.session("a"), k.session("b.$x")
	for _, s := range []auth.Session{a, b} {
		_, err := k.Session(k.ctx, s.Key)
		k.refused(err, errs.CodeNotFound)
		k.must(k.PutSession(k.ctx, s))
	}
	k.reopen()
	a.Data, a.ExpiresAt = []byte("other"), k.clock().Add(-time.Hour) // whoever asks looks at the time
	k.must(k.PutSession(k.ctx, a))
	for _, want := range []auth.Session{a, b} {
		got, err := k.Session(k.ctx, want.Key)
		k.must(err)
		same(k, got, want)
	}
	for range 2 {
		k.must(k.EndSession(k.ctx, a.Key))
		if _, there := k.browsing(a.Key); there {
			k.Error("a session that was ended is there")
		}
	}
	if _, there := k.browsing(b.Key); !there {
		k.Error("to end one session ended another")
	}
	same(k, len(k.entries()), 0)
}

func largeSession(k *kit) {
	s := k.session("a")
	s.Data = bytes.Repeat([]byte{0xff}, store.MaxSessionBytes)
	k.must(k.PutSession(k.ctx, s))
	over := s
	over.Data = append(slices.Clone(s.Data), 0)
	err := k.PutSession(k.ctx, over)
	k.refused(err, errs.CodeTooLarge)
	if e, ok := errs.As(err); ok && e.Hint == "" {
		k.Errorf("%v has no hint", err)
	}
	if got, _ := k.browsing("a"); !bytes.Equal(got.Data, s.Data) {
		k.Errorf("a refused session left %d bytes", len(got.Data))
	}
	k.refused(k.PutSession(k.ctx, auth.Session{Key: strings.Repeat("k", store.MaxRecordBytes+1)}), errs.CodeTooLarge)
}

// Of ten sessions, one ends each minute, beside tokens that end with them.
func purgeSessions(k *kit) {
	for i := range 10 {
		s := k.session(fmt.Sprint(i))
		s.ExpiresAt = k.clock().Add(time.Duration((i*7)%10) * time.Minute)
		k.must(k.PutSession(k.ctx, s))
		if i%2 == 0 {
			t := k.token(fmt.Sprint(i), auth.TokenSession)
			t.ExpiresAt = s.ExpiresAt
			k.must(k.AddToken(k.ctx, t, k.grant(auth.TokensCreate)))
		}
	}
	left := func() (minutes []int) {
		for i := range 10 {
			if s, there := k.browsing(fmt.Sprint(i)); there {
				minutes = append(minutes, int(s.ExpiresAt.Sub(k.clock())/time.Minute))
			}
		}
		slices.Sort(minutes)
		return minutes
	}
	for _, c := range []struct {
		before   time.Duration
		limit    int
		sessions int64
		left     []int
	}{
		{-time.Millisecond, 10, 0, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{0, 10, 1, []int{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{5 * time.Minute, 2, 2, []int{3, 4, 5, 6, 7, 8, 9}},
		{5 * time.Minute, 10, 3, []int{6, 7, 8, 9}},
		{5 * time.Minute, 10, 0, []int{6, 7, 8, 9}},
	} {
		tokens := k.endedTokens(c.before, c.limit)
		n, err := k.PurgeTokens(k.ctx, k.clock().Add(c.before), c.limit)
		k.must(err)
		same(k, n, c.sessions+tokens)
		same(k, left(), c.left)
	}
}

// endedTokens is how many tokens of a user a purge will find.
func (k *kit) endedTokens(before time.Duration, limit int) (n int64) {
	k.Helper()
	list, err := k.Tokens(k.ctx, "alice", "", 200)
	k.must(err)
	for _, t := range list {
		if !t.ExpiresAt.After(k.clock().Add(before)) && n < int64(limit) {
			n++
		}
	}
	return n
}
