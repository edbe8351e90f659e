package collector_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store/sqlite"
)

var errCrash = errors.New("the server was killed")

type sqliteStore = sqlite.DB

// fuse is the real store until a number of writes has been made; from then on
// every write fails, as for a server that was killed between two steps.
type fuse struct {
	*sqliteStore
	left int
}

func (f *fuse) step() error {
	if f.left == 0 {
		return errCrash
	}
	f.left--
	return nil
}

func (f *fuse) Reserve(ctx context.Context, version, lease string, n int64) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.sqliteStore.Reserve(ctx, version, lease, n)
}

func (f *fuse) ChangeState(ctx context.Context, version string, from, to hooks.State, reason string, now time.Time) (bool, error) {
	if err := f.step(); err != nil {
		return false, err
	}
	return f.sqliteStore.ChangeState(ctx, version, from, to, reason, now)
}

func (f *fuse) AddReport(ctx context.Context, j jobs.Job, p collector.Problem) (bool, error) {
	if err := f.step(); err != nil {
		return false, err
	}
	return f.sqliteStore.AddReport(ctx, j, p)
}

func (f *fuse) Lease(ctx context.Context, j jobs.Job, now time.Time) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.sqliteStore.Lease(ctx, j, now)
}

func (f *fuse) MarkSent(ctx context.Context, id string, now time.Time) (bool, error) {
	if err := f.step(); err != nil {
		return false, err
	}
	return f.sqliteStore.MarkSent(ctx, id, now)
}

func (f *fuse) Settle(ctx context.Context, id string, d jobs.Decision, r *collector.Result, now time.Time) (collector.Settlement, error) {
	if err := f.step(); err != nil {
		return collector.Settlement{}, err
	}
	return f.sqliteStore.Settle(ctx, id, d, r, now)
}

func (f *fuse) RecoverLease(ctx context.Context, lost jobs.Job, now time.Time) (collector.Settlement, error) {
	if err := f.step(); err != nil {
		return collector.Settlement{}, err
	}
	return f.sqliteStore.RecoverLease(ctx, lost, now)
}

// burn gives the world a collector that is killed after so many writes.
func (w *world) burn(writes int) *fuse {
	f := &fuse{sqliteStore: w.db, left: writes}
	w.c = w.collector()
	w.c.Activations, w.c.Jobs, w.c.Queries, w.c.Repairs = f, f, f, f
	return f
}

// restart is the next start of the server: empty memory, recovery first.
func (w *world) restart() {
	w.Helper()
	w.c = w.collector()
	w.ok(w.c.Recover(w.ctx))
}

// TestKilledBetweenAnyTwoSteps runs one whole life of a hook job, with a size
// that expires the activation, and kills the server after each of its writes.
// After the restart, peer and server carry on and come to the same end.
func TestKilledBetweenAnyTwoSteps(t *testing.T) {
	steps := -1
	for k := 0; steps < 0 || k <= steps; k++ {
		t.Run(fmt.Sprintf("after %d writes", k), func(t *testing.T) {
			w := newWorld(t)
			peer, v := w.peer(), w.activate(version{quantity: 1})
			id := newID()
			f := w.burn(k)
			if err := w.life(peer, id); err == nil {
				steps = k - f.left // how many writes a whole life has
			} else if !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			w.consistent(false)
			w.restart()
			w.consistent(true)
			w.ok(w.c.Recover(w.ctx)) // again changes nothing
			w.consistent(true)

			w.carryOn(peer, id)
			w.consistent(true)
			if a := w.activation(v); a.State != hooks.StateExpired || a.Ledger.Received != 1 || a.Ledger.Leased != 0 {
				t.Fatalf("activation %+v", a)
			}
		})
	}
	if steps != 6 { // report, lease, sent, two reservations, settled
		t.Fatalf("a whole life has %d writes", steps)
	}
}

// life is report, match, acknowledgement, upload, expiry.
func (w *world) life(peer, id string) error {
	original, _, err := w.c.FileReport(w.ctx, peer, id, report("/usr/bin/crasher"))
	if err != nil {
		return err
	}
	if err := w.c.MatchOriginal(w.ctx, original); err != nil {
		return err
	}
	for _, j := range w.line.jobs(peer) {
		if err := w.c.Acked(w.ctx, peer, j.ID); err != nil {
			return err
		}
		if _, err := w.upload(j, map[string]any{"Extra": "value"}, 6); err != nil {
			return err
		}
	}
	return nil
}

// carryOn is what peer and server do after a restart: the peer files what was
// not acknowledged, says hello, and repeats its answers.
func (w *world) carryOn(peer, id string) {
	w.Helper()
	_, _, err := w.c.FileReport(w.ctx, peer, id, report("/usr/bin/crasher"))
	w.ok(err)
	w.ok(w.c.Resume(w.ctx, peer))
	w.ok(w.c.MatchPeer(w.ctx, peer))
	for _, j := range w.line.jobs(peer) {
		_, err := w.upload(j, map[string]any{"Extra": "value"}, 6)
		w.ok(err)
	}
	w.ok(w.c.Sweep(w.ctx))
}

// TestKilledWhileEnding does the same for the other ends of a job.
func TestKilledWhileEnding(t *testing.T) {
	for name, end := range map[string]func(w *world, j jobs.Job) error{
		"finish": func(w *world, j jobs.Job) error {
			_, err := w.c.Finish(w.ctx, j.PeerID, j.ID, collector.End{Outcome: hooks.OutcomeFailed, Code: "hook-error"})
			return err
		},
		"refused upload": func(w *world, j jobs.Job) error {
			_, err := w.upload(j, map[string]any{"No": "d"}, 6)
			return err
		},
		"out of bytes": func(w *world, j jobs.Job) error {
			_, err := w.upload(j, map[string]any{"Extra": "0123456789"}, 6)
			if errs.Is(err, errs.CodeBytesReached) {
				err = nil
			}
			return err
		},
		"timeout": func(w *world, _ jobs.Job) error {
			w.clock.add(jobs.DefaultDeadline)
			return w.c.Sweep(w.ctx)
		},
		"activation over": func(w *world, _ jobs.Job) error {
			w.clock.add(24 * time.Hour)
			return w.c.Sweep(w.ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for k, whole := 0, false; !whole; k++ {
				w := newWorld(t)
				peer := w.peer()
				w.activate(version{maxBytes: 40, maxResult: 32})
				_, err := w.upload(w.asked(w.peer()), map[string]any{"Extra": "0123456789"}, 6)
				w.ok(err)
				j := w.asked(peer)
				w.line.connect(peer, false) // so that nobody asks it again
				f := w.burn(k)
				err = end(w, j)
				if whole = err == nil && f.left > 0; err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				w.consistent(false)
				w.restart()
				w.consistent(true)
				if err := end(w, j); err != nil {
					t.Fatalf("again after %d writes: %v", k, err)
				}
				w.consistent(true)
				if l := w.activation(j.Version).Ledger; l.Leased != 0 || l.Reserved != 0 {
					t.Fatalf("after %d writes: ledger %+v", k, l)
				}
			}
		})
	}
}

// TestAStampThatIsLost: the job was sent, and the server killed before it
// could say so. The peer, which knows the job by its id, gets it again.
func TestAStampThatIsLost(t *testing.T) {
	w := newWorld(t)
	peer := w.peer()
	w.activate(version{})
	original := w.file(peer)
	w.burn(1) // the lease
	if err := w.c.MatchOriginal(w.ctx, original); !errors.Is(err, errCrash) {
		t.Fatalf("got %v", err)
	}
	w.restart()
	w.ok(w.c.Resume(w.ctx, peer))
	w.ok(w.c.Resume(w.ctx, peer))
	if got := w.line.jobs(peer); len(got) != 2 || got[0].ID != got[1].ID {
		t.Fatalf("the peer got %v", got)
	}
	w.consistent(true)
}

func TestDeadlineExpires(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{deadline: time.Hour})
	w.clock.add(time.Hour - time.Millisecond)
	w.ok(w.c.Sweep(w.ctx))
	if a := w.activation(v); a.State != hooks.StateActive {
		t.Fatalf("activation %+v", a)
	}
	w.clock.add(time.Millisecond)
	w.ok(w.c.Sweep(w.ctx))
	if a := w.activation(v); a.State != hooks.StateExpired || a.Reason != string(errs.CodeDeadlineReached) {
		t.Fatalf("activation %+v", a)
	}
}
