package storetest

import (
	"context"
	mathbits "math/bits"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store"
)

// Ask asks a store all that can be asked, each list with and without each of
// its filters, and makes the changes that find nothing to change: for tests
// that look at what a backend makes of it.
func Ask(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	for _, f := range everyJobFilter() {
		_, err := s.Jobs(ctx, f)
		answered(t, err)
	}
	now := time.Unix(1_000_000, 0)
	for _, f := range everyJobFilter() {
		_, err := s.CountJobs(ctx, f, []time.Time{now, now.Add(time.Hour), now.Add(2 * time.Hour)}, 100)
		answered(t, err)
	}
	for _, f := range everyResultFilter() {
		_, err := s.Results(ctx, f)
		answered(t, err)
	}
	for _, f := range everyEntryFilter() {
		_, err := s.Entries(ctx, f)
		answered(t, err)
	}
	for _, f := range everyProblemFilter() {
		_, err := s.Problems(ctx, f)
		answered(t, err)
	}
	for _, f := range everyPeerFilter() {
		_, err := s.PeersBy(ctx, f)
		answered(t, err)
	}
	for _, ask := range append(questions(ctx, s, now), vainChanges(ctx, s, now)...) {
		answered(t, ask())
	}
}

// answered is content with an answer that there is none.
func answered(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errs.Is(err, errs.CodeNotFound) && !errs.Is(err, errs.CodeHookNotActive) {
		t.Error(err)
	}
}

// everyJobFilter are all combinations, each alone, and in a span of time from
// its beginning.
func everyJobFilter() (all []jobs.Filter) {
	for bits := range 1 << 6 {
		var f jobs.Filter
		narrow(bits, &f.PeerID, &f.ProblemID, &f.Original, &f.Version, (*string)(&f.Workload), (*string)(&f.Status))
		all = append(all, f)
		f.From, f.Until, f.Oldest = time.Unix(1_000, 0), time.Unix(2_000, 0), true
		all = append(all, f)
	}
	return all
}

// everyResultFilter are none, each, each two and all, as everyJobFilter.
func everyResultFilter() (all []collector.ResultFilter) {
	const members = 7
	for bits := range 1 << members {
		if n := mathbits.OnesCount(uint(bits)); n > 2 && n < members {
			continue
		}
		var f collector.ResultFilter
		narrow(bits, &f.JobID, &f.Hook, &f.Version, &f.ProblemID, &f.PeerID, (*string)(&f.Level), &f.Package)
		all = append(all, f)
		f.From, f.Until, f.Oldest = time.Unix(1_000, 0), time.Unix(2_000, 0), true
		all = append(all, f)
	}
	return all
}

// everyEntryFilter are all combinations, as everyJobFilter.
func everyEntryFilter() (all []auth.EntryFilter) {
	for bits := range 1 << 3 {
		var f auth.EntryFilter
		narrow(bits, &f.Actor, &f.Action, &f.Target)
		all = append(all, f)
		f.From, f.Until, f.Oldest = time.Unix(1_000, 0), time.Unix(2_000, 0), true
		all = append(all, f)
	}
	return all
}

// everyProblemFilter are all orders of all problems and of a package's, from
// the beginning and behind a page.
func everyProblemFilter() (all []collector.ProblemFilter) {
	for _, sort := range []collector.ProblemSort{collector.ByLastSeen, collector.ByFirstSeen, collector.ByReports} {
		for bits := range 1 << 3 {
			f := collector.ProblemFilter{Sort: sort, Least: bits&4 != 0}
			narrow(bits, &f.Package)
			set(&f.After, "1/x", bits&2)
			all = append(all, f)
		}
	}
	return all
}

// everyPeerFilter are all orders of all peers and of those that are connected.
func everyPeerFilter() (all []enroll.PeerFilter) {
	for _, sort := range []enroll.PeerSort{enroll.ByID, enroll.ByName, enroll.BySeen} {
		for bits := range 1 << 3 {
			f := enroll.PeerFilter{Sort: sort, Online: bits&1 != 0, Last: bits&4 != 0}
			set(&f.After, "1/x", bits&2)
			all = append(all, f)
		}
	}
	return all
}

// narrow sets the members whose bits are set.
func narrow(bits int, members ...*string) {
	for i, member := range members {
		if bits>>i&1 == 1 {
			*member = "x"
		}
	}
}

func questions(ctx context.Context, s store.Store, now time.Time) []func() error {
	return []func() error{
		func() error { _, err := s.Users(ctx, "", 10); return err },
		func() error { _, err := s.Tokens(ctx, "", "", 10); return err },
		func() error { _, err := s.Tokens(ctx, "u", "x", 10); return err },
		func() error { _, err := s.Token(ctx, "t"); return err },
		func() error { _, err := s.Session(ctx, "s"); return err },
		func() error { _, _, err := s.CountPeers(ctx, 10); return err },
		func() error { _, _, err := s.BusyProblems(ctx, now, now.Add(time.Hour), 100, 10); return err },
		func() error { _, err := s.Waiting(ctx, "", 10); return err },
		func() error { _, err := s.Waiting(ctx, "1/x", 10); return err },
		func() error { _, err := s.Comments(ctx, "d"); return err },
		func() error { _, err := s.Facts(ctx); return err },
		func() error { _, err := s.Peers(ctx, "", 10); return err },
		func() error { _, err := s.Hooks(ctx, "", 10); return err },
		func() error { _, err := s.VersionsOf(ctx, "h", 0, 10); return err },
		func() error { _, err := s.Leases(ctx, "", 10); return err },
		func() error { _, err := s.Overdue(ctx, now, "", 10); return err },
		func() error { _, err := s.ActivePast(ctx, now, 10); return err },
		func() error { _, err := s.Unacked(ctx, "p", 10); return err },
		func() error { _, err := s.Originals(ctx, "p", []string{"fp:a", "pkg:b"}, 10); return err },
		func() error { _, err := s.ActiveByKeys(ctx, []string{"fp:a"}); return err },
		func() error { _, err := s.ActiveByKeys(ctx, []string{"fp:a", "pkg:b"}); return err },
		func() error { _, err := s.LatestNumber(ctx, "h"); return err },
		func() error { _, err := s.User(ctx, "u"); return err },
		func() error { _, err := s.TokenByHash(ctx, [32]byte{}); return err },
		func() error { _, err := s.Peer(ctx, "p"); return err },
		func() error { _, err := s.Life(ctx, "d"); return err },
		func() error { _, err := s.Activation(ctx, "d"); return err },
		func() error { _, err := s.Job(ctx, "j"); return err },
		func() error { _, err := s.Problem(ctx, "p"); return err },
		func() error { _, err := s.Result(ctx, "r"); return err },
		func() error { return s.Ready(ctx) },
	}
}

func vainChanges(ctx context.Context, s store.Store, now time.Time) []func() error {
	return []func() error{
		func() error { return s.Lease(ctx, jobs.Job{ID: "j", Version: "v"}, now) },
		func() error { return s.Reserve(ctx, "v", "l", 1) },
		func() error { return s.Reserve(ctx, "v", "l", -1) },
		func() error { _, err := s.MarkSent(ctx, "j", now); return err },
		func() error { return s.MarkAcked(ctx, []collector.Ack{{JobID: "j", At: now}}) },
		func() error { _, err := s.Settle(ctx, "j", jobs.Decision{Status: jobs.Failed}, nil, now); return err },
		func() error {
			_, err := s.RecoverLease(ctx, jobs.Job{ID: "lost", Version: "v", Status: jobs.Failed}, now)
			return err
		},
		func() error {
			_, err := s.ChangeState(ctx, "v", hooks.StateActive, hooks.StateExpired, "", now)
			return err
		},
		func() error { _, err := s.Mend(ctx, now, 10); return err },
		func() error { _, err := s.Connect(ctx, "p", "s", enroll.Hello{Renews: 1}, now); return err },
		func() error { _, err := s.PurgeTokens(ctx, now, 10); return err },
		func() error { return s.SpendToken(ctx, "t") },
		func() error { _, err := s.TrySignIn(ctx, "u", now, now, 3); return err },
		func() error { return s.SignedIn(ctx, "u", now) },
		func() error { return s.PutSession(ctx, auth.Session{Key: "s", ExpiresAt: now}) },
		func() error { return s.EndSession(ctx, "s") },
	}
}
