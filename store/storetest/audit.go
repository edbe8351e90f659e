package storetest

import (
	"fmt"
	"slices"
	"time"

	"hookline/internal/auth"
)

func auditTests() []test {
	return []test{
		{"entries", audit},
		{"filters and pages", auditPages},
	}
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
	pages(k, ids, id, id, func(after string, limit int) ([]auth.Entry, error) {
		return k.Entries(k.ctx, auth.EntryFilter{After: after, Limit: limit})
	})
}

func auditPages(k *kit) {
	var all []auth.Entry
	for i := range 18 {
		e := auth.Entry{
			ID: k.id(), At: k.clock(), Actor: []string{"alice", "bob"}[i%2], Action: fmt.Sprintf("action%d", i%3),
			Target: fmt.Sprintf("target%d", i%4), Outcome: "ok",
		}
		k.must(k.AddEntry(k.ctx, e))
		all = append(all, e)
		k.advance(time.Duration(i%2) * time.Second) // two of each millisecond
	}
	id := func(e auth.Entry) string { return e.ID }
	for bits := range 8 {
		for _, s := range spansAround(all[4].At, all[12].At) {
			f := auth.EntryFilter{From: s.from, Until: s.until, Oldest: s.oldest}
			set(&f.Actor, "alice", bits&1)
			set(&f.Action, "action1", bits&2)
			set(&f.Target, "target2", bits&4)
			want := among(s, all, func(e auth.Entry) (string, time.Time, bool) {
				return e.ID, e.At, (f.Actor == "" || f.Actor == e.Actor) && (f.Action == "" || f.Action == e.Action) &&
					(f.Target == "" || f.Target == e.Target)
			})
			pagesOf(k, s.sizes(), want, id, id, func(after string, limit int) ([]auth.Entry, error) {
				f.After, f.Limit = after, limit
				return k.Entries(k.ctx, f)
			})
		}
	}
}

// span is a span of time and an order of what happened in it.
type span struct {
	from, until time.Time
	oldest      bool
}

// spansAround are a list as it is, and each bound, both, the other order, and
// spans that hold nothing.
func spansAround(from, until time.Time) []span {
	return []span{
		{},
		{oldest: true},
		{from: from},
		{until: until},
		{from: from, until: until},
		{from: from, until: until, oldest: true},
		{from: from, oldest: true},
		{until: until, oldest: true},
		{from: until, until: from},
		{from: from, until: from, oldest: true},
	}
}

// sizes are those of pages: all for the list as it is.
func (s span) sizes() []int {
	if s == (span{}) {
		return []int{1, 3, 200}
	}
	return []int{3}
}

// among is what a list of the span holds: the ids of those of all, which are
// in the order of their making, that is says belong to it.
func among[T any](s span, all []T, is func(T) (id string, at time.Time, ok bool)) []string {
	var ids []string
	for _, v := range all {
		id, at, ok := is(v)
		if ok && !at.Before(s.from) && (s.until.IsZero() || at.Before(s.until)) {
			ids = append(ids, id)
		}
	}
	if !s.oldest {
		slices.Reverse(ids)
	}
	return ids
}
