package collector_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// far is the real store behind a line that may be down, or lose the answers:
// then the write is done, and nobody knows.
type far struct {
	*sqliteStore

	down, mute atomic.Bool
	asked      atomic.Int64 // calls that met nothing
}

func (f *far) line() error {
	if f.down.Load() {
		f.asked.Add(1)
		return errs.New(errs.CodeUnavailable, "the store is away")
	}
	return nil
}

// heard is the answer to a write.
func (f *far) heard(err error) error {
	if f.mute.Load() {
		return errs.New(errs.CodeUnavailable, "the answer was lost")
	}
	return err
}

func (f *far) Lease(ctx context.Context, j jobs.Job, now time.Time) error {
	if err := f.line(); err != nil {
		return err
	}
	return f.heard(f.sqliteStore.Lease(ctx, j, now))
}

func (f *far) Settle(ctx context.Context, id string, d jobs.Decision, r *collector.Result, now time.Time) (collector.Settlement, error) {
	if err := f.line(); err != nil {
		return collector.Settlement{}, err
	}
	s, err := f.sqliteStore.Settle(ctx, id, d, r, now)
	return s, f.heard(err)
}

func (f *far) Job(ctx context.Context, id string) (jobs.Job, error) {
	if err := f.line(); err != nil {
		return jobs.Job{}, err
	}
	return f.sqliteStore.Job(ctx, id)
}

func (f *far) Peer(ctx context.Context, id string) (enroll.Peer, error) {
	if err := f.line(); err != nil {
		return enroll.Peer{}, err
	}
	return f.sqliteStore.Peer(ctx, id)
}

func (f *far) Overdue(ctx context.Context, now time.Time, after string, limit int) ([]jobs.Job, error) {
	if err := f.line(); err != nil {
		return nil, err
	}
	return f.sqliteStore.Overdue(ctx, now, after, limit)
}

func (f *far) Leases(ctx context.Context, after string, limit int) ([]collector.Lease, error) {
	if err := f.line(); err != nil {
		return nil, err
	}
	return f.sqliteStore.Leases(ctx, after, limit)
}

func (f *far) ActivePast(ctx context.Context, now time.Time, limit int) ([]hooks.Activation, error) {
	if err := f.line(); err != nil {
		return nil, err
	}
	return f.sqliteStore.ActivePast(ctx, now, limit)
}

// afar gives the world a collector whose store may be away.
func (w *world) afar() *far {
	f := &far{sqliteStore: w.db}
	w.c = w.collector()
	w.c.Activations, w.c.Jobs, w.c.Queries, w.c.Repairs, w.c.Peers = f, f, f, f, f
	return f
}

// gets waits until the peer has got its first job.
func (w *world) gets(peer string) jobs.Job {
	w.Helper()
	w.until(func() bool { return len(w.line.jobs(peer)) > 0 })
	return w.line.jobs(peer)[0]
}

// A lease whose answer was lost is sent to the peer, whose stream went on, as
// soon as the store is back, and not only at the peer's next hello.
func TestALeaseWithoutAnAnswerIsSentByTheSweep(t *testing.T) {
	w := newWorld(t)
	v, peer := w.activate(version{}), w.peer()
	f := w.afar()
	original := w.file(peer)
	f.mute.Store(true)
	w.wantCode(w.c.MatchOriginal(w.ctx, original), errs.CodeUnavailable)
	f.mute.Store(false)
	_, stop := w.running(t)
	defer stop()
	w.ok(w.c.Sweep(w.ctx))
	j := w.gets(peer)
	if _, err := w.upload(j, map[string]any{"Extra": "value"}, 100); err != nil {
		t.Fatal(err)
	}
	w.consistent(true)
	if l := w.activation(v).Ledger; l.Issued != 1 || l.Received != 1 || l.Leased != 0 {
		t.Errorf("ledger %+v, want one issued and received", l)
	}
}

// What the background was doing when the store went away is done when it is
// back, without any hello.
func TestTasksWaitForTheStore(t *testing.T) {
	w := newWorld(t)
	v, peer := w.activate(version{}), w.peer()
	f := w.afar()
	f.down.Store(true)
	_, stop := w.running(t)
	defer stop()
	w.file(peer)
	w.until(func() bool { return f.asked.Load() >= 2 }) // the recovery and the report's task
	before := f.asked.Load()
	w.wantCode(w.c.Sweep(w.ctx), errs.CodeUnavailable)
	if n := f.asked.Load() - before; n > 2 {
		t.Errorf("one sweep asked a store that is away %d times", n)
	}
	f.down.Store(false)
	w.ok(w.c.Sweep(w.ctx))
	w.gets(peer)
	if l := w.activation(v).Ledger; l.Issued != 1 {
		t.Errorf("ledger %+v, want one issued", l)
	}
}

// A settlement whose answer was lost counts once, however often the peer comes
// again and the sweep looks at it.
func TestASettlementWithoutAnAnswerCountsOnce(t *testing.T) {
	w := newWorld(t)
	v, peer := w.activate(version{}), w.peer()
	f := w.afar()
	j := w.asked(peer)
	f.mute.Store(true)
	_, err := w.upload(j, map[string]any{"Extra": "value"}, 100)
	w.wantCode(err, errs.CodeUnavailable)
	f.mute.Store(false)
	f.down.Store(true)
	w.wantCode(w.c.Sweep(w.ctx), errs.CodeUnavailable) // keeps the doubt
	f.down.Store(false)
	w.ok(w.c.Sweep(w.ctx))
	again, err := w.upload(j, map[string]any{"Extra": "value"}, 100)
	if err != nil || again.Outcome != hooks.OutcomeReceived {
		t.Errorf("the peer hears %+v, %v", again, err)
	}
	w.consistent(true)
	if l := w.activation(v).Ledger; l.Received != 1 || l.Leased != 0 {
		t.Errorf("ledger %+v, want one received", l)
	}
}
