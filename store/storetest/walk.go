package storetest

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
)

// ledgerWalks holds the store against a plain model over random sequences of
// leases, reservations, settlements, expiry and activation.
func ledgerWalks(k *kit) {
	walks := 0
	rapid.Check(k.T, func(t *rapid.T) {
		walks++
		v := k.approved("walk", int64(walks))
		w := &walk{k: k, leases: map[string]int64{}, a: k.activation(v, rapid.Int64Range(1, 12).Draw(t, "quantity"))}
		w.a.MaxBytes = rapid.Int64Range(1, 500).Draw(t, "max bytes")
		k.must(k.Activate(k.ctx, w.a, hooks.StateApproved, k.grant(auth.HooksActivate)))
		t.Repeat(map[string]func(*rapid.T){
			"take":     w.take,
			"reserve":  w.reserve,
			"settle":   w.settle,
			"expire":   w.expire,
			"activate": w.activate,
			"":         w.check,
		})
	})
}

// walk is the model: an activation, and what each lease has reserved.
type walk struct {
	k      *kit
	a      hooks.Activation
	leases map[string]int64
	taken  int
}

// pick draws a lease: mostly one that is out, sometimes one that is not.
func (w *walk) pick(t *rapid.T) string {
	names := []string{"lease-none"}
	for name := range w.leases {
		names = append(names, name)
	}
	slices.Sort(names)
	return rapid.SampledFrom(names).Draw(t, "lease")
}

// want compares the code of the store's answer with the model's.
func (w *walk) want(t *rapid.T, err error, code errs.Code) {
	if errs.CodeOf(err) != code {
		t.Fatalf("the store answers %v (%q), the model %q", err, errs.CodeOf(err), code)
	}
}

func (w *walk) take(t *rapid.T) {
	now := w.a.Deadline.Add(time.Duration(rapid.SampledFrom([]int{-60_000, -1, 0, 1}).Draw(t, "now")) * time.Millisecond)
	w.taken++
	name := w.a.Digest + leaseName(w.taken)
	err := w.k.TakeLease(w.k.ctx, w.a.Digest, name, now)
	l := &w.a.Ledger
	switch {
	case w.a.State != hooks.StateActive:
		w.want(t, err, errs.CodeHookNotActive)
	case !now.Before(w.a.Deadline):
		w.want(t, err, errs.CodeDeadlineReached)
	case l.Received+l.Leased >= w.a.Quantity:
		w.want(t, err, errs.CodeQuantityReached)
	default:
		w.want(t, err, "")
		l.Issued, l.Leased, w.leases[name] = l.Issued+1, l.Leased+1, 0
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
	name := w.pick(t)
	o := rapid.SampledFrom([]hooks.Outcome{
		hooks.OutcomeReceived, hooks.OutcomeReceived, hooks.OutcomeEmpty, hooks.OutcomeFailed, hooks.OutcomeRefused,
		hooks.OutcomeDeferred, hooks.OutcomeCancelled, hooks.OutcomeTimedOut,
	}).Draw(t, "outcome")
	mine, out := w.leases[name]
	bytes := rapid.Int64Range(0, mine).Draw(t, "bytes")
	a, ok, err := w.k.SettleLease(w.k.ctx, w.a.Digest, name, o, bytes, w.k.clock())
	w.want(t, err, "")
	if ok != out {
		t.Fatalf("settled %v, the model says %v", ok, out)
	}
	if out {
		delete(w.leases, name)
		w.a.Ledger.Settle(o, bytes)
		w.a.Ledger.Reserved -= mine
	}
	if a.Ledger != w.a.Ledger {
		t.Fatalf("settle returns %+v, the model has %+v", a.Ledger, w.a.Ledger)
	}
}

func (w *walk) expire(t *rapid.T) {
	ok, err := w.k.ChangeState(w.k.ctx, w.a.Digest, hooks.StateActive, hooks.StateExpired, "quantity", w.k.clock())
	w.want(t, err, "")
	if ok != (w.a.State == hooks.StateActive) {
		t.Fatalf("expired %v while %s", ok, w.a.State)
	}
	w.a.State = hooks.StateExpired
}

func (w *walk) activate(t *rapid.T) {
	if w.a.State != hooks.StateExpired {
		t.Skip("it is active")
	}
	next := w.a
	next.Quantity, next.State = rapid.Int64Range(1, 12).Draw(t, "quantity"), hooks.StateActive
	err := w.k.Activate(w.k.ctx, next, hooks.StateExpired, w.k.grant(auth.HooksActivate))
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
