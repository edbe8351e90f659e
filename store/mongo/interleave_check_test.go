package mongo

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store"
)

// looked is what stands in the store.
type looked struct {
	activations []activationDoc
	jobs        map[string]jobDoc
	results     map[string]resultDoc
}

func (w *interleaved) look() looked {
	l := looked{jobs: map[string]jobDoc{}, results: map[string]resultDoc{}}
	var err error
	l.activations, err = list[activationDoc](w.Context(), w.base, w.base.activations, m{}, oldestFirst(), store.MaxRepair, nil)
	noError(w.T, err)
	all, err := list[jobDoc](w.Context(), w.base, w.base.jobs, m{}, oldestFirst(), store.MaxRepair, nil)
	noError(w.T, err)
	shown, err := list[resultDoc](w.Context(), w.base, w.base.results, m{}, oldestFirst(), store.MaxRepair, nil)
	noError(w.T, err)
	for _, j := range all {
		l.jobs[j.ID] = j
	}
	for _, r := range shown {
		l.results[r.ID] = r
	}
	return l
}

// checkNow holds what is stored against what is true at any moment.
func (w *interleaved) checkNow() {
	if w.Failed() || !w.wrote {
		return
	}
	w.wrote = false
	l := w.look()
	active := 0
	for _, a := range l.activations {
		w.checkActivation(a, l)
		if a.State == hooks.StateActive {
			active++
		}
		if a.Active != activeSlotOf(a.activation()) {
			w.Errorf("version %s is %s and has the slot %s", a.Digest, a.State, a.Active)
		}
	}
	if active > 1 {
		w.Errorf("%d versions of one hook are active", active)
	}
	for id, r := range l.results {
		if j := l.jobs[id]; j.Outcome != hooks.OutcomeReceived || j.Bytes != r.Bytes {
			w.Errorf("a result of %d bytes shows of a job that is %s %q with %d", r.Bytes, j.Status, j.Outcome, j.Bytes)
		}
	}
	for id, o := range w.settled {
		if l.jobs[id].Outcome != o {
			w.Errorf("job %s was said to be %s, it is %s", id, o, l.jobs[id].Outcome)
		}
	}
	for _, j := range l.jobs {
		if j.Workload != jobs.WorkHook || leasedOf(l, j) {
			continue
		}
		if _, shows := l.results[j.ID]; j.Status == jobs.Pending || j.Outcome == hooks.OutcomeReceived && !shows {
			w.Errorf("the lease of job %s has ended, which is %s %q, its result shows: %v", j.ID, j.Status, j.Outcome, shows)
		}
	}
}

func leasedOf(l looked, j jobDoc) bool {
	return slices.ContainsFunc(l.activations, func(a activationDoc) bool {
		_, out := a.Leases[j.ID]
		return out && a.Digest == j.Version
	})
}

// checkActivation: the ledger sums, and what is kept beside it says the same.
func (w *interleaved) checkActivation(a activationDoc, l looked) {
	if err := a.Ledger.ledger().Check(a.Quantity, a.MaxBytes); err != nil {
		w.Errorf("%s: %v", a.Digest, err)
	}
	reserved := int64(0)
	for id, lease := range a.Leases {
		reserved += lease.Reserved
		if j := l.jobs[id]; j.Outcome == hooks.OutcomeReceived && lease.Reserved < j.Bytes {
			w.Errorf("job %s has brought %d bytes, of which %d are reserved", id, j.Bytes, lease.Reserved)
		}
	}
	got := []int64{a.Open, a.Room, a.Ledger.Leased, a.Ledger.Reserved}
	want := []int64{a.Quantity - a.Ledger.Received - a.Ledger.Leased, a.MaxBytes - a.Ledger.Bytes - a.Ledger.Reserved, int64(len(a.Leases)), reserved}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s: open, room, leased and reserved (-want +got)\n%s", a.Digest, diff)
	}
}

// checkAtRest: everything is decided, counted and shown, once.
func (w *interleaved) checkAtRest() {
	if w.Failed() {
		return
	}
	l := w.look()
	want, reports := map[string]*hooks.Ledger{}, map[string]int64{}
	for _, a := range l.activations {
		want[a.Digest] = &hooks.Ledger{}
	}
	for id, j := range l.jobs {
		if j.Todo != "" || j.Result != nil {
			w.Errorf("job %s has still to be mended: %s", id, j.Todo)
		}
		if j.Workload != jobs.WorkHook {
			reports[j.ProblemID]++
			continue
		}
		if j.Status == jobs.Pending {
			w.Errorf("job %s is pending", id)
		}
		want[j.Version].Issued, want[j.Version].Leased = want[j.Version].Issued+1, want[j.Version].Leased+1
		want[j.Version].Settle(j.Outcome, j.Bytes)
		if _, shows := l.results[id]; shows != (j.Outcome == hooks.OutcomeReceived) {
			w.Errorf("job %s is %s, its result shows: %v", id, j.Outcome, shows)
		}
	}
	for _, a := range l.activations {
		if diff := cmp.Diff(*want[a.Digest], a.Ledger.ledger()); diff != "" {
			w.Errorf("ledger of %s (-jobs +ledger)\n%s", a.Digest, diff)
		}
	}
	w.checkPromises(l, reports)
}

// checkPromises: what was acknowledged is there, and each action has an end.
func (w *interleaved) checkPromises(l looked, reports map[string]int64) {
	for _, acknowledged := range []map[string]bool{w.leased, w.reported, w.sent} {
		for id, was := range acknowledged {
			if _, there := l.jobs[id]; was && !there {
				w.Errorf("job %s was acknowledged, and is not there", id)
			}
		}
	}
	problems, err := list[problemDoc](w.Context(), w.base, w.base.problems, m{}, oldestFirst(), store.MaxRepair, nil)
	noError(w.T, err)
	counted := map[string]int64{}
	for _, p := range problems {
		counted[p.ID] = p.Reports
	}
	if diff := cmp.Diff(reports, counted); diff != "" {
		w.Errorf("reports (-stored +counted)\n%s", diff)
	}
	entries, err := w.base.Entries(w.Context(), auth.EntryFilter{Limit: store.MaxPage})
	noError(w.T, err)
	for _, e := range entries {
		if e.Outcome == auth.OutcomeBegun {
			w.Errorf("action %s has no end", e.ID)
		}
	}
}

// What one upload gives back is not what another one's Settle builds on,
// whoever has reserved it and wherever the Settle stands.
func TestReservationOfAnotherUpload(t *testing.T) {
	for name, c := range map[string]struct{ reserved, more int64 }{
		"room for more":    {7, 0},
		"no room for more": {6, 0},
		"a longer one":     {3, 4},
	} {
		t.Run(name, func(t *testing.T) {
			for stop := range 4 {
				a := newActing(t)
				v := a.activation("one", 1)
				v.MaxBytes = c.reserved + 6
				a.activate(v, hooks.StateApproved)
				j := jobs.Job{ID: "a", Version: "one", OriginalID: "1", CreatedAt: noon, Deadline: noon.Add(time.Minute)}
				noError(t, a.Lease(a.ctx, j, noon))
				noError(t, a.Reserve(a.ctx, "one", "a", c.reserved)) // another server's
				r := &collector.Result{ID: "a", JobID: "1", Version: "one", Fields: make([]byte, c.reserved+c.more), Bytes: c.reserved + c.more, CreatedAt: noon}
				received := jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}
				var all []step
				for range 2 { // sent twice, to two servers
					all = append(all, (&settling{d: a.DB, id: "a", decision: received, result: r, now: noon}).steps()...)
				}
				order := []int{0, 4, 1, 5, 6, 7, 2, 3}
				for _, n := range order[:stop+1] {
					noError(t, all[n](a.ctx))
				}
				noError(t, a.Reserve(a.ctx, "one", "a", -c.reserved)) // that was cut
				b := jobs.Job{ID: "b", PeerID: "other", Version: "one", OriginalID: "2", CreatedAt: noon, Deadline: noon.Add(time.Minute)}
				noError(t, a.Lease(a.ctx, b, noon))
				if err := a.Reserve(a.ctx, "one", "b", v.MaxBytes); err == nil {
					t.Error("all bytes are free")
				}
				for _, n := range order[stop+1:] {
					noError(t, all[n](a.ctx))
				}
				if l := a.reads("one").Ledger; l.Received != 1 || l.Bytes != r.Bytes || l.Reserved != 0 {
					t.Errorf("%+v", l)
				}
			}
		})
	}
}

// An activation that was done, and whose end nobody wrote, is not undone
// because somebody has disabled it since.
func TestMendKeepsWhatWasDisabled(t *testing.T) {
	a := newActing(t)
	first, second := a.activation("one", 1), a.activation("two", 2)
	a.activate(first, hooks.StateApproved)
	entry := a.grant(auth.HooksActivate).Entry()
	noError(t, a.begin(a.ctx, entry, where(a.activations, "two")))
	noError(t, a.DB.activate(a.ctx, second, hooks.StateApproved, entry.ID)) // and the server stops
	noError(t, a.Stop(a.ctx, "two", hooks.StateActive, hooks.StateDisabled, "enough", noon, a.grant(auth.HooksDisable)))
	_, err := a.Mend(a.ctx, noon.Add(time.Hour), 10)
	noError(t, err)
	same(t, []hooks.State{a.reads("one").State, a.reads("two").State}, []hooks.State{hooks.StateSuperseded, hooks.StateDisabled})
}

// One that a Mend has given up goes on, and stops: the next Mend finds it.
func TestActivateThatStoppedAfterMend(t *testing.T) {
	a := newActing(t)
	first, second := a.activation("one", 1), a.activation("two", 2)
	a.activate(first, hooks.StateApproved)
	entry := a.grant(auth.HooksActivate).Entry()
	noError(t, a.begin(a.ctx, entry, where(a.activations, "two")))
	for range 2 {
		_, ok, err := a.supersede(a.ctx, second, entry.ID)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		_, err = a.Mend(a.ctx, noon.Add(time.Hour), 10)
		noError(t, err)
		same(t, a.reads("one").State, hooks.StateActive)
	}
	same(t, a.outcomes(), []string{auth.OutcomeUnknown, auth.OutcomeOK, auth.OutcomeOK, auth.OutcomeOK, auth.OutcomeOK, auth.OutcomeOK})
}

// The end of a lease is decided by the bounds that were met, not by those of
// an activation since.
func TestConcludeByTheBoundsThatWereMet(t *testing.T) {
	a := newActing(t)
	v := a.activation("one", 1)
	a.activate(v, hooks.StateApproved)
	seen := a.reads("one")
	seen.Ledger.Received = v.Quantity
	noError(t, a.Stop(a.ctx, "one", hooks.StateActive, hooks.StateDisabled, "", noon, a.grant(auth.HooksDisable)))
	more := v
	more.Quantity++
	a.activate(more, hooks.StateDisabled)
	_, err := a.conclude(a.ctx, seen, noon)
	noError(t, err)
	same(t, a.reads("one").State, hooks.StateActive)
	seen = a.reads("one")
	seen.Ledger.Received = seen.Quantity
	_, err = a.conclude(a.ctx, seen, noon)
	noError(t, err)
	same(t, a.reads("one").State, hooks.StateExpired)
}

// A decision that the majority has not got yet is no answer.
func TestDecisionThatCannotBeReadYet(t *testing.T) {
	a := newActing(t)
	a.activate(a.activation("one", 1), hooks.StateApproved)
	j := jobs.Job{ID: "a", Version: "one", OriginalID: "1", CreatedAt: noon, Deadline: noon.Add(time.Minute)}
	noError(t, a.Lease(a.ctx, j, noon))
	s := &settling{d: a.DB, id: "a", decision: jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeEmpty}, now: noon}
	a.want(s.decidedBefore(a.ctx), errs.CodeUnavailable)
	noError(t, s.decide(a.ctx))
	noError(t, s.decidedBefore(a.ctx))
	same(t, s.settlement.Job.Outcome, hooks.OutcomeEmpty)
}
