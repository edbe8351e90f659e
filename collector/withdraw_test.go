package collector_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// revoke closes a version as package review does.
func (w *world) revoke(v string) {
	w.Helper()
	w.ok(w.db.Revoke(w.ctx, v, hooks.StateActive, "alice revoked it", w.clock.Now(), w.grant(auth.HooksDisable)))
}

// TestWithdraw: every job that is out ends, however far it is, and no other.
func TestWithdraw(t *testing.T) {
	w := newWorld(t)
	v, other := w.activate(version{}), w.activate(version{hook: "other", exe: "/usr/bin/other"})
	sent, acked, uploading, done := w.asked(w.peer()), w.asked(w.peer()), w.asked(w.peer()), w.asked(w.peer())
	w.ok(w.c.Acked(w.ctx, acked.PeerID, acked.ID))
	_, err := w.upload(done, map[string]any{"Extra": "x"}, 100)
	w.ok(err)
	u, err := w.c.NewUpload(w.ctx, uploading.PeerID, uploading.ID)
	w.ok(err)
	w.ok(u.Write([]byte(`{"Extra":"x"}`)))
	elsewhere := w.peer()
	w.line.err = errors.New("the stream broke")
	_ = w.c.MatchOriginal(w.ctx, w.file(elsewhere)) // stored, not sent
	w.line.err = nil
	bystander := w.peer()
	report, _, err := w.c.FileReport(w.ctx, bystander, newID(), report("/usr/bin/other"))
	w.ok(err)
	w.ok(w.c.MatchOriginal(w.ctx, report))

	w.revoke(v)
	for range 2 { // again does nothing
		w.ok(w.c.Withdraw(w.ctx, v, "alice revoked\nit"))
	}
	for _, j := range []jobs.Job{sent, acked, uploading} {
		w.wantJob(j.ID, jobs.Failed, hooks.OutcomeCancelled, errs.CodeRevoked)
		if got := w.job(j.ID); got.FailedText != "alice revoked it" {
			t.Errorf("the reason is %q", got.FailedText)
		}
		if !slices.Contains(w.line.over, j.PeerID+" "+j.ID+": alice revoked it") {
			t.Errorf("peer %s was not told: %q", j.PeerID, w.line.over)
		}
	}
	w.wantJob(done.ID, jobs.Succeeded, hooks.OutcomeReceived, "")
	if j, err := u.Commit(w.ctx); err != nil || j.Outcome != hooks.OutcomeCancelled {
		t.Errorf("the upload ended with %+v, %v", j, err)
	}
	if j, err := w.c.Finish(w.ctx, sent.PeerID, sent.ID, collector.End{Outcome: hooks.OutcomeFailed, Code: "revoked"}); err != nil || j.Outcome != hooks.OutcomeCancelled {
		t.Errorf("the peer's word changed the decision: %+v, %v", j, err)
	}
	if l := w.activation(v).Ledger; l.Issued != 5 || l.Cancelled != 4 || l.Received != 1 || l.Leased != 0 || l.Reserved != 0 {
		t.Errorf("the ledger is %+v", l)
	}
	if l := w.activation(other).Ledger; l.Leased != 1 {
		t.Errorf("another version's ledger is %+v", l)
	}
	if len(w.line.over) != 4 {
		t.Errorf("told to stop: %q", w.line.over)
	}
	w.consistent(false)
}

// A job that was being stored when its version was revoked is not sent.
func TestWithdrawnWhileItIsStored(t *testing.T) {
	w := newWorld(t)
	v, peer := w.activate(version{}), w.peer()
	w.c.Jobs = &slowLease{Jobs: w.db, stored: func() {
		w.revoke(v)
		w.c.Repairs = noLeases{w.db} // as a store that has not got the job yet
		w.ok(w.c.Withdraw(w.ctx, v, "alice revoked it"))
		w.c.Repairs = w.db
	}}
	_ = w.c.MatchOriginal(w.ctx, w.file(peer))
	if got := w.line.jobs(peer); len(got) != 0 {
		t.Errorf("the peer got %v", got)
	}
	list, err := w.db.Jobs(w.ctx, jobs.Filter{Version: v, Limit: 10})
	w.ok(err)
	w.wantJob(list[0].ID, jobs.Failed, hooks.OutcomeCancelled, errs.CodeRevoked)
	w.consistent(true)
}

// slowLease says when a lease is stored, before the sender knows.
type slowLease struct {
	collector.Jobs
	stored func()
}

func (s *slowLease) Lease(ctx context.Context, j jobs.Job, now time.Time) error {
	err := s.Jobs.Lease(ctx, j, now)
	s.stored()
	return err
}

type noLeases struct{ collector.Repairs }

func (noLeases) Leases(context.Context, string, int) ([]collector.Lease, error) { return nil, nil }

// TestVersionsThatDoNotCount: nobody is asked for a version that the verifier
// refuses, though its state still says active, and what waits for a peer ends.
func TestVersionsThatDoNotCount(t *testing.T) {
	for _, code := range []errs.Code{errs.CodeRevoked, errs.CodeThresholdNotMet, errs.CodeKeyWindow} {
		w := newWorld(t)
		peer, v := w.peer(), w.activate(version{})
		w.line.err = errors.New("the stream broke")
		_ = w.c.MatchOriginal(w.ctx, w.file(peer)) // stored, not sent
		w.line.err = nil
		refused := errs.New(code, "two have left")
		w.c.Signed = func(ctx context.Context, version string) (collector.Signed, error) {
			s, err := w.signed(ctx, version)
			s.Refused = refused
			return s, err
		}
		w.ok(w.c.Resume(w.ctx, peer))
		list, err := w.db.Jobs(w.ctx, jobs.Filter{Version: v, Limit: 10})
		w.ok(err)
		w.wantJob(list[0].ID, jobs.Failed, hooks.OutcomeCancelled, code)
		original := w.file(peer)
		w.ok(w.c.MatchOriginal(w.ctx, original))
		w.ok(w.c.MatchPeer(w.ctx, peer))
		w.ok(w.c.MatchActivation(w.ctx, v))
		w.wantCode(w.c.Claim(w.ctx, peer, v, original.ID), code)
		if got := w.line.jobs(peer); len(got) != 0 {
			t.Errorf("%s: the peer got %v", code, got)
		}
		e, err := w.c.Explain(w.ctx, original.ID, v)
		w.ok(err)
		if e.Code != string(code) || e.Checks[1].Name != "signatures" || e.Checks[1].OK {
			t.Errorf("explained %+v", e)
		}
		refused = nil
		w.ok(w.c.MatchPeer(w.ctx, peer))
		if got := w.line.jobs(peer); len(got) == 0 {
			t.Errorf("%s: nobody is asked when it counts again", code)
		}
		w.consistent(true)
	}
}
