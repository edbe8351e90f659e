package storetest

import (
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// ledgerWalks holds the store against a plain model over random sequences of
// leases, reservations, settlements, expiry and activation.
func ledgerWalks(k *kit) {
	walks := 0
	rapid.Check(k.T, func(t *rapid.T) {
		walks++
		v := k.approved("walk", int64(walks))
		w := &walk{
			k: k, leases: map[string]int64{}, jobs: map[string]jobs.Job{},
			a: k.activation(v, rapid.Int64Range(1, 12).Draw(t, "quantity")),
		}
		w.a.MaxBytes = rapid.Int64Range(1, 500).Draw(t, "max bytes")
		k.must(k.Activate(k.ctx, w.a, hooks.StateApproved, k.grant(auth.HooksActivate)))
		t.Repeat(map[string]func(*rapid.T){
			"lease":    w.lease,
			"reserve":  w.reserve,
			"settle":   w.settle,
			"expire":   w.expire,
			"activate": w.activate,
			"":         w.check,
		})
	})
}

// walk is the model: an activation, what each lease has reserved, and the
// jobs, decided or not.
type walk struct {
	k      *kit
	a      hooks.Activation
	leases map[string]int64
	jobs   map[string]jobs.Job
}

// pick draws a job, decided or not, and sometimes one that is not there.
func (w *walk) pick(t *rapid.T) string {
	ids := append([]string{"none"}, slices.Collect(maps.Keys(w.jobs))...)
	slices.Sort(ids)
	return rapid.SampledFrom(ids).Draw(t, "job")
}

// want compares the code of the store's answer with the model's.
func (w *walk) want(t *rapid.T, err error, code errs.Code) {
	if errs.CodeOf(err) != code {
		t.Fatalf("the store answers %v (%q), the model %q", err, errs.CodeOf(err), code)
	}
}

func (w *walk) lease(t *rapid.T) {
	now := w.a.Deadline.Add(time.Duration(rapid.SampledFrom([]int{-60_000, -1, 0, 1}).Draw(t, "now")) * time.Millisecond)
	j := w.k.next(w.a.Digest)
	same := "" // as of a job that may not be asked twice
	for id, other := range w.jobs {
		if other.Status != jobs.Failed && (same == "" || id < same) {
			same = id
		}
	}
	if asked := same != "" && rapid.Bool().Draw(t, "asked before"); asked {
		j.OriginalID = w.jobs[same].OriginalID
	} else {
		same = ""
	}
	err := w.k.Lease(w.k.ctx, j, now)
	l := &w.a.Ledger
	switch {
	case w.a.State != hooks.StateActive:
		w.want(t, err, errs.CodeHookNotActive)
	case !now.Before(w.a.Deadline):
		w.want(t, err, errs.CodeDeadlineReached)
	case l.Received+l.Leased >= w.a.Quantity:
		w.want(t, err, errs.CodeQuantityReached)
	case same != "":
		w.want(t, err, errs.CodeAlreadyAsked)
	default:
		w.want(t, err, "")
		l.Issued, l.Leased, w.leases[j.ID], w.jobs[j.ID] = l.Issued+1, l.Leased+1, 0, j
	}
}

func (w *walk) reserve(t *rapid.T) {
	name, n := w.pick(t), rapid.Int64Range(-100, 200).Draw(t, "bytes")
	err := w.k.Reserve(w.k.ctx, w.a.Digest, name, n)
	mine, out := w.leases[name]
	n = max(n, -mine)
	l := &w.a.Ledger
	switch {
	case !out:
		w.want(t, err, errs.CodeNotFound)
	case l.Bytes+l.Reserved+n <= w.a.MaxBytes:
		w.want(t, err, "")
		l.Reserved, w.leases[name] = l.Reserved+n, mine+n
	case l.Bytes+mine+n > w.a.MaxBytes:
		w.want(t, err, errs.CodeBytesReached)
	default:
		w.want(t, err, errs.CodeRateLimited)
	}
}

func (w *walk) settle(t *rapid.T) {
	id := w.pick(t)
	o := rapid.SampledFrom([]hooks.Outcome{
		hooks.OutcomeReceived, hooks.OutcomeReceived, hooks.OutcomeEmpty, hooks.OutcomeFailed, hooks.OutcomeRefused,
		hooks.OutcomeDeferred, hooks.OutcomeCancelled, hooks.OutcomeTimedOut,
	}).Draw(t, "outcome")
	var bytes int64
	if o == hooks.OutcomeReceived {
		bytes = rapid.Int64Range(0, 300).Draw(t, "bytes")
	}
	j, known := w.jobs[id]
	s, err := w.k.settle(jobs.Job{ID: id, Version: w.a.Digest}, o, bytes)
	mine, out := w.leases[id]
	l := &w.a.Ledger
	switch {
	case !known:
		w.want(t, err, errs.CodeNotFound)
		return
	case out && l.Bytes+bytes > w.a.MaxBytes:
		w.want(t, err, errs.CodeBytesReached)
		return
	case out && l.Bytes+l.Reserved-mine+bytes > w.a.MaxBytes:
		w.want(t, err, errs.CodeRateLimited)
		return
	}
	w.want(t, err, "")
	if out {
		delete(w.leases, id)
		l.Settle(o, bytes)
		l.Reserved -= mine
		j.Outcome, j.Status = o, jobs.StatusOf(o)
		w.jobs[id] = j
		if to, _ := collector.Conclude(w.a, w.k.clock()); to != "" {
			w.a.State = to
		}
	}
	if s.OK != out || s.Job.Outcome != j.Outcome || s.Activation.Ledger != *l || s.Activation.State != w.a.State {
		t.Fatalf("settle returns %+v, the model has %+v, %s", s, w.a, j.Outcome)
	}
}

func (w *walk) expire(t *rapid.T) {
	ok, err := w.k.ChangeState(w.k.ctx, w.a.Digest, hooks.StateActive, hooks.StateExpired, "quantity", w.k.clock())
	w.want(t, err, "")
	if ok != (w.a.State == hooks.StateActive) {
		t.Fatalf("expired %v while %s", ok, w.a.State)
	}
	if ok {
		w.a.State = hooks.StateExpired
	}
}

func (w *walk) activate(t *rapid.T) {
	if w.a.State == hooks.StateActive {
		t.Skip("it is active")
	}
	next := w.a
	next.Quantity, next.State = rapid.Int64Range(1, 12).Draw(t, "quantity"), hooks.StateActive
	err := w.k.Activate(w.k.ctx, next, w.a.State, w.k.grant(auth.HooksActivate))
	if next.Quantity < w.a.Ledger.Received+w.a.Ledger.Leased {
		w.want(t, err, errs.CodeBoundExceeded)
		return
	}
	w.want(t, err, "")
	w.a = next
}

func (w *walk) check(t *rapid.T) {
	a, err := w.k.Activation(w.k.ctx, w.a.Digest)
	if err != nil || a.Ledger != w.a.Ledger || a.State != w.a.State || a.Quantity != w.a.Quantity {
		t.Fatalf("the store has %+v (%v), the model %+v", a, err, w.a)
	}
	if err := a.Ledger.Check(a.Quantity, a.MaxBytes); err != nil {
		t.Fatal(err)
	}
}
