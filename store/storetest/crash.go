package storetest

import (
	"context"
	"fmt"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

func crashTests() []test {
	var all []test
	for _, how := range []ending{endReceived, endFailed} {
		for n := range len(stepsOf(&run{k: &kit{}}, how)) + 1 {
			all = append(all, test{
				fmt.Sprintf("%s, after %d steps", how, n),
				func(k *kit) { crash(k, how, n) },
			})
		}
	}
	return append(all, test{"a stalled sender after recovery", stalledSender})
}

// ending is how the walked job would end without the crash.
type ending string

const (
	endReceived ending = "received"
	endFailed   ending = "failed"
)

// run is one hook job on its way, with the activation that it belongs to.
type run struct {
	k      *kit
	a      hooks.Activation
	job    jobs.Job
	fields string
}

// step is one commit of the collector's order.
type step struct {
	name string
	do   func() error
}

// stepsOf is the collector's order: lease, store, send, settle.
func stepsOf(r *run, how ending) []step {
	k, ctx := r.k, r.k.ctx
	return []step{
		{"take lease", func() error { return k.TakeLease(ctx, r.a.Digest, r.job.ID, k.clock()) }},
		{"add hook job", func() error { return k.AddHookJob(ctx, r.job) }},
		{"mark sent", func() error { _, err := k.MarkSent(ctx, r.job.ID, k.clock()); return err }},
		{"mark acknowledged", func() error { return k.MarkAcked(ctx, r.job.ID, k.clock()) }},
		{"reserve", func() error { return k.Reserve(ctx, r.a.Digest, r.job.ID, int64(len(r.fields))) }},
		{"add hidden result", func() error { return k.AddHidden(ctx, k.result(r.job, r.fields)) }},
		{"decide", func() error { _, err := k.Decide(ctx, r.job.ID, r.decision(how)); return err }},
		{"settle", func() error {
			d := r.decision(how)
			_, _, err := k.SettleLease(ctx, r.a.Digest, r.job.ID, d.Outcome, d.Bytes, k.clock())
			return err
		}},
	}
}

func (r *run) decision(how ending) jobs.Decision {
	if how == endFailed {
		return r.k.failure(hooks.OutcomeFailed)
	}
	return r.k.success(int64(len(r.fields)))
}

// newRun activates a hook with quantity 1 for a report that is filed.
func newRun(k *kit) *run {
	original := k.filed("p", crashed)
	a := k.active("hook", 1)
	return &run{k: k, a: a, job: k.hookJob("p", a.Digest, original.ID), fields: `{"Tainted":"yes"}`}
}

// crash stops after n steps, opens the store again, recovers, lets the job's
// deadline pass, recovers again, and looks at what is left each time.
func crash(k *kit, how ending, n int) {
	r := newRun(k)
	steps := stepsOf(r, how)
	for _, s := range steps[:n] {
		if err := s.do(); err != nil {
			k.Fatalf("%s: %v", s.name, err)
		}
	}
	k.reopen()
	k.recover()
	k.consistent(r)
	k.advance(jobs.DefaultDeadline)
	for range 2 { // recovering twice is recovering once
		k.recover()
		k.consistent(r)
	}
	l := k.ledger(r.a.Digest)
	want := hooks.Ledger{Issued: 1}
	switch {
	case n == 0:
		want = hooks.Ledger{}
	case n == 1: // a lease without its job
		want.Cancelled = 1
	case n < len(steps)-1: // nobody decided
		want.TimedOut = 1
	case how == endFailed:
		want.Failed = 1
	default:
		want.Received, want.Bytes = 1, int64(len(r.fields))
	}
	same(k, l, want)
	if out, err := k.Leases(k.ctx, "", 10); err != nil || len(out) != 0 {
		k.Errorf("leases are left: %+v, %v", out, err)
	}
	k.takesMore(r, want.Received == 0)
}

// recover is what a server does when it starts.
func (k *kit) recover() {
	k.Helper()
	c := &collector.Collector{
		Activations: k, Jobs: k, Results: k, Queries: k, Repairs: k, Peers: k, Sender: nobody{}, Now: k.clock,
		Signed: func(context.Context, string) (collector.Signed, error) { return collector.Signed{}, nil },
	}
	k.must(c.Recover(k.ctx))
}

// nobody is connected.
type nobody struct{}

func (nobody) Connected(string) bool { return false }

func (nobody) Send(context.Context, collector.Dispatch) error {
	return errs.New(errs.CodePeerNotConnected, "nobody is connected")
}

// consistent demands what holds after every recovery: the ledger sums, and a
// result shows exactly where its job has succeeded.
func (k *kit) consistent(r *run) {
	k.Helper()
	if l := k.ledger(r.a.Digest); l.Received > r.a.Quantity {
		k.Errorf("received %d of %d", l.Received, r.a.Quantity)
	}
	job, err := k.Job(k.ctx, r.job.ID)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		k.Fatal(err)
	}
	_, err = k.Result(k.ctx, r.job.ID)
	if shows := err == nil; shows != (job.Status == jobs.Succeeded) {
		k.Errorf("job %q, result shows %v (%v)", job.Status, shows, err)
	}
	if n := len(k.shown(everyResult)); n > 0 && job.Status != jobs.Succeeded {
		k.Errorf("%d results show", n)
	}
}

// takesMore demands that a run that brought nothing has given its lease back.
func (k *kit) takesMore(r *run, want bool) {
	k.Helper()
	err := k.TakeLease(k.ctx, r.a.Digest, k.id(), k.clock())
	if (err == nil) != want {
		k.Errorf("another lease after recovery: %v, want %v", err, want)
	}
}

// A sender that slept between lease and job, over a recovery, must not store
// its job any more, and settling again changes nothing.
func stalledSender(k *kit) {
	r := newRun(k)
	steps := stepsOf(r, endReceived)
	k.must(steps[0].do())
	k.recover()
	k.refused(steps[1].do(), errs.CodeConflict)
	k.refused(steps[5].do(), errs.CodeJobDecided)
	k.must(steps[7].do())
	same(k, k.ledger(r.a.Digest), hooks.Ledger{Issued: 1, Cancelled: 1})
	k.consistent(r)
}

// The suite's kit serves as every consumer's store.
var (
	_ auth.Accounts   = (*kit)(nil)
	_ collector.Peers = (*kit)(nil)
	_ enroll.Peers    = (*kit)(nil)
)
