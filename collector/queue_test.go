package collector_test

import (
	"fmt"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/jobs"
)

// TestAFullQueueLosesNothing: what found no place is found by the sweep.
func TestAFullQueueLosesNothing(t *testing.T) {
	w := newWorld(t)
	for i := range 5000 {
		w.c.Hello(fmt.Sprintf("peer %d", i))
	}
	peer := w.peer()
	original := w.file(peer)
	v := w.activate(version{})
	w.c.ActivatedVersion(v)
	if got := w.line.jobs(peer); len(got) != 0 {
		t.Fatalf("the peer got %v", got)
	}
	w.ok(w.c.Sweep(w.ctx))
	if got := w.line.jobs(peer); len(got) != 1 || got[0].OriginalID != original.ID {
		t.Fatalf("the peer got %v", got)
	}

	second := w.file(peer)
	w.ok(w.c.Sweep(w.ctx))
	if got := w.line.jobs(peer); len(got) != 2 || got[1].OriginalID != second.ID {
		t.Fatalf("the peer got %v", got)
	}
}

// TestManyReportsOfOneProblemHideNoOther: a hello looks at each version.
func TestManyReportsOfOneProblemHideNoOther(t *testing.T) {
	w := newWorld(t)
	peer := w.peer()
	other, _, err := w.c.FileReport(w.ctx, peer, newID(), report("/usr/bin/other"))
	w.ok(err)
	for range 25 {
		w.file(peer)
	}
	w.activate(version{hook: "one", maxRuns: 1})
	w.activate(version{hook: "two", exe: "/usr/bin/other"})
	w.ok(w.c.MatchPeer(w.ctx, peer))
	got := w.line.jobs(peer)
	if len(got) != 2 || got[0].OriginalID != other.ID && got[1].OriginalID != other.ID {
		t.Fatalf("the peer got %v", got)
	}
}

// TestAcknowledgementsAreStampedInTheBackground, also those whose answer was
// faster.
func TestAcknowledgementsAreStampedInTheBackground(t *testing.T) {
	w := newWorld(t)
	w.activate(version{})
	a, b := w.asked(w.peer()), w.asked(w.peer())
	at := w.clock.Now()
	for _, j := range []jobs.Job{a, b, a} {
		w.ok(w.c.Acked(w.ctx, j.PeerID, j.ID))
	}
	_, err := w.c.Finish(w.ctx, b.PeerID, b.ID, collector.End{Outcome: hooks.OutcomeEmpty})
	w.ok(err)
	w.clock.add(time.Second)
	_, stop := w.running(t)
	defer stop()
	for _, j := range []jobs.Job{a, b} {
		w.until(func() bool { return w.job(j.ID).AckedAt.Equal(at) })
	}
}
