package storetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
)

// Cutter is a store whose way to its server the suite can cut, for a backend
// that needs several commands for one intent.
type Cutter interface {
	// Cut lets n more commands that change something through, and any that read, and then cuts the way for good, as
	// when the process dies: the next one that changes something does not arrive, or, with lost, its answer does not
	// come back. reached says whether it has come to that. A store that is opened again has a way of its own.
	Cut(n int, lost bool) (reached func() bool)
}

// maxCommands is more than any intent needs.
const maxCommands = 60

// noLongerYoung is when a recovery looks at what may be under way.
const noLongerYoung = 2 * time.Minute

// The ways to lose a command.
const (
	notSent     = "does not arrive"
	notAnswered = "has no answer"
)

// cutTests go through each intent and stop it before and after each command.
func cutTests() []test {
	all := []test{{"the way to the server", func(k *kit) {
		if _, ok := k.Store.(Cutter); !ok {
			k.Skip("one commit each: no intent has a step to be stopped after; they are looked at whole")
		}
	}}}
	for _, i := range intents() {
		all = append(all, test{i.name, func(k *kit) { cuts(k, i) }})
	}
	return all
}

// cuts runs an intent whole, and then once for each command and each way to
// lose it. Each has a store of its own, and waits most of its time for a server
// that is out of reach: so they go side by side.
func cuts(k *kit, i intent) {
	k.Parallel()
	e := expected{intent: i, before: atRest(k, i, false), after: atRest(k, i, true)}
	k.Run("whole", func(t *testing.T) { e.look(newKit(t, k.open), 0, "") })
	if _, ok := k.Store.(Cutter); !ok {
		return
	}
	for _, way := range []string{notSent, notAnswered} {
		for n, more := 0, true; more; n++ {
			if n > maxCommands {
				k.Fatalf("%d commands and no end", n)
			}
			k.Run(fmt.Sprintf("%d %s", n+1, way), func(t *testing.T) { more = e.look(newKit(t, k.open), n, way) })
		}
	}
}

// expected is what a store may show after an intent that was cut: all of it
// or nothing.
type expected struct {
	intent
	before, after snapshot
}

// atRest is what a store shows after a server has started on it, with the
// intent or without.
func atRest(k *kit, i intent, do bool) snapshot {
	k.Helper()
	one := newKit(k.T, k.open)
	a := i.prep(one)
	if do {
		one.must(a.do(one.grantFor(i)))
	}
	one.reopen()
	one.advance(noLongerYoung)
	return one.recovered()
}

// look cuts the intent, starts a server again, and holds what it shows
// against what it may. It returns false where the intent got through.
func (e *expected) look(k *kit, n int, way string) (reached bool) {
	a, g := e.prep(k), k.grantFor(e.intent)
	cut := func() bool { return false }
	if way != "" {
		cut = k.Store.(Cutter).Cut(n, way == notAnswered)
	}
	err := a.do(g)
	if reached = cut(); !reached {
		k.must(err)
	}
	if err != nil && errs.CodeOf(err) != errs.CodeUnavailable {
		k.Errorf("cut off: %v (%s), want %s", err, errs.CodeOf(err), errs.CodeUnavailable)
	}
	k.reopen()
	k.advance(noLongerYoung)
	got := k.recovered()
	done := cmp.Diff(e.after, got) == ""
	if !done && cmp.Diff(a.even(e.before), a.even(got)) != "" {
		k.Errorf("neither before (-before +got)\n%s\nnor after (-after +got)\n%s", cmp.Diff(a.even(e.before), a.even(got)), cmp.Diff(e.after, got))
	}
	if err == nil && !done {
		k.Errorf("acknowledged and not there (-want +got):\n%s", cmp.Diff(e.after, got))
	}
	k.audited(e.intent, g, err == nil, done)
	if again := k.recovered(); cmp.Diff(got, again) != "" {
		k.Errorf("recovering twice is not recovering once (-once +twice):\n%s", cmp.Diff(got, again))
	}
	if !done || !a.repeats {
		e.repeat(k, a, done)
	}
	return reached
}

// repeat does the intent again: it is done now, or refused because it was.
func (e *expected) repeat(k *kit, a attempt, done bool) {
	g := k.grantFor(e.intent)
	err := a.do(g)
	switch allowed := a.undone; {
	case done && !slices.Contains(a.again, errs.CodeOf(err)):
		k.Errorf("done, and then again: %v (%s), want one of %q", err, errs.CodeOf(err), a.again)
	case !done && err != nil && !slices.Contains(allowed, errs.CodeOf(err)):
		k.Errorf("not done, and then again: %v (%s)", err, errs.CodeOf(err))
	}
	k.audited(e.intent, g, err == nil, err == nil)
	got := k.recovered()
	want := e.after
	if !done && err != nil {
		got, want = a.even(got), a.even(e.before)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		k.Errorf("after the same again (-want +got):\n%s", diff)
	}
	if a.then != nil {
		a.then(done || err == nil)
	}
}

// grantFor is a grant for a person's intent, and none for a machine's.
func (k *kit) grantFor(i intent) auth.Grant {
	k.Helper()
	if i.may == "" {
		return auth.Grant{}
	}
	return k.grant(i.may)
}

// recovered recovers as a server that starts does, and returns what the store
// shows.
func (k *kit) recovered() snapshot {
	k.Helper()
	k.must(k.collector().Recover(k.ctx))
	s := k.snapshot()
	k.sound(s)
	return s
}

// audited demands that the log says what became of a person's action: an
// acknowledged one is there as done, another as done exactly where it was.
func (k *kit) audited(i intent, g auth.Grant, acknowledged, done bool) {
	k.Helper()
	if i.may == "" {
		return
	}
	want := g.Entry()
	for _, e := range k.entries() {
		if e.ID != want.ID {
			continue
		}
		if ok := e.Outcome == auth.OutcomeOK; ok != done {
			k.Errorf("done %v, the audit log says %q", done, e.Outcome)
		}
		e.Outcome = want.Outcome
		same(k, e, want)
		return
	}
	if acknowledged || done {
		k.Errorf("acknowledged %v, done %v, and no audit entry", acknowledged, done)
	}
}

// snapshot is all that a store's reads show, but for the audit log and for
// the times that a recovery stamps.
type snapshot struct {
	Users    []auth.User
	Tokens   []auth.Token
	Sessions []auth.Session
	Peers    []enroll.Peer
	Newest   []string
	Versions []review.Life
	Comments []review.Comment
	Jobs     []jobs.Job
	Leases   []collector.Lease
	Problems []collector.Problem
	Results  []collector.Result
	Matched  []string
}

// What the intents call their users, tokens, sessions and match keys.
var (
	cutUsers    = []string{"alice", "bob"}
	cutTokens   = []string{"api", "login", "session", "old", "older", "oldest"}
	cutBrowsers = []string{"browser", "old browser"}
	cutKeys     = []string{"fp:one", "fp:two"}
)

func (k *kit) snapshot() (s snapshot) {
	k.Helper()
	for _, name := range cutUsers {
		s.Users = found(k, s.Users)(k.User(k.ctx, name))
	}
	for _, name := range cutTokens {
		s.Tokens = found(k, s.Tokens)(k.TokenByHash(k.ctx, sha256.Sum256([]byte(name))))
	}
	for _, key := range cutBrowsers {
		s.Sessions = found(k, s.Sessions)(k.Session(k.ctx, key))
	}
	s.Peers = listed(k.Peers(k.ctx, "", 200))(k)
	for _, l := range listed(k.Hooks(k.ctx, "", 200))(k) {
		s.Newest = append(s.Newest, l.Version.Digest)
		s.Versions = append(s.Versions, listed(k.VersionsOf(k.ctx, l.Version.Hook, 0, 200))(k)...)
	}
	for _, l := range s.Versions {
		s.Comments = append(s.Comments, k.comments(l.Version.Digest)...)
		if l.Activation != nil {
			l.Activation.ChangedAt = time.Time{}
		}
	}
	for _, j := range listed(k.Jobs(k.ctx, jobs.Filter{Limit: 200}))(k) {
		if j = k.job(j.ID); j.Outcome == hooks.OutcomeCancelled || j.Outcome == hooks.OutcomeTimedOut {
			j.CompletedAt = time.Time{}
		}
		s.Jobs = append(s.Jobs, j)
	}
	s.Leases = listed(k.Leases(k.ctx, "", 200))(k)
	s.Problems = listed(k.Problems(k.ctx, collector.ProblemFilter{Limit: 200}))(k)
	s.Results = k.shown(everyResult)
	for _, a := range listed(k.ActiveByKeys(k.ctx, cutKeys))(k) {
		s.Matched = append(s.Matched, a.Digest)
	}
	slices.Sort(s.Matched)
	return s
}

// found adds what is there to a list.
func found[T any](k *kit, to []T) func(T, error) []T {
	return func(v T, err error) []T {
		k.Helper()
		if errs.Is(err, errs.CodeNotFound) {
			return to
		}
		k.must(err)
		return append(to, v)
	}
}

// listed is a whole list, for a kit that ends its test on an error.
func listed[T any](list []T, err error) func(k *kit) []T {
	return func(k *kit) []T {
		k.Helper()
		k.must(err)
		return list
	}
}

// unlost is a snapshot without the jobs of leases that were lost, and without
// their count.
func unlost(s snapshot) snapshot {
	gone := map[string]int64{}
	var left []jobs.Job
	for _, j := range s.Jobs {
		if j.FailedCode == string(errs.CodeLostLease) {
			gone[j.Version]++
		} else {
			left = append(left, j)
		}
	}
	s.Jobs = left
	return withActivations(s, func(a *hooks.Activation) {
		a.Ledger.Issued, a.Ledger.Cancelled = a.Ledger.Issued-gone[a.Digest], a.Ledger.Cancelled-gone[a.Digest]
	})
}

// unreserved is a snapshot without what leases have reserved: bytes that an
// upload has reserved stay with its lease until that ends.
func unreserved(s snapshot) snapshot {
	s.Leases = slices.Clone(s.Leases)
	for i := range s.Leases {
		s.Leases[i].Reserved = 0
	}
	return withActivations(s, func(a *hooks.Activation) { a.Ledger.Reserved = 0 })
}

func withActivations(s snapshot, change func(a *hooks.Activation)) snapshot {
	s.Versions = slices.Clone(s.Versions)
	for i, l := range s.Versions {
		if l.Activation != nil {
			a := *l.Activation
			change(&a)
			s.Versions[i].Activation = &a
		}
	}
	return s
}
