package storetest

import (
	"context"
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
	for _, f := range everyResultFilter() {
		_, err := s.Results(ctx, f)
		answered(t, err)
	}
	now := time.Unix(1_000_000, 0)
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

// everyJobFilter are all combinations.
func everyJobFilter() []jobs.Filter {
	all := make([]jobs.Filter, 1<<6)
	for bits := range all {
		f := &all[bits]
		narrow(bits, &f.PeerID, &f.ProblemID, &f.Original, &f.Version, (*string)(&f.Workload), (*string)(&f.Status))
	}
	return all
}

func everyResultFilter() []collector.ResultFilter {
	all := make([]collector.ResultFilter, 1<<4)
	for bits := range all {
		f := &all[bits]
		narrow(bits, &f.JobID, &f.Hook, &f.Version, &f.ProblemID)
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
		func() error { _, err := s.Entries(ctx, "", 10); return err },
		func() error { _, err := s.Peers(ctx, "", 10); return err },
		func() error { _, err := s.Hooks(ctx, "", 10); return err },
		func() error { _, err := s.VersionsOf(ctx, "h", 0, 10); return err },
		func() error { _, err := s.Problems(ctx, "", 10); return err },
		func() error { _, err := s.Problems(ctx, "1/x", 10); return err },
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
		func() error { return s.SpendToken(ctx, "t", auth.Token{ID: "t2"}) },
	}
}
