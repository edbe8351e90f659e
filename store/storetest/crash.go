package storetest

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

func crashTests() []test {
	return []test{
		{"a life that brings a result, stopped after each step", func(k *kit) { crashes(k, hooks.OutcomeReceived) }},
		{"a life that fails, stopped after each step", func(k *kit) { crashes(k, hooks.OutcomeFailed) }},
		{"a stalled sender after recovery", stalledSender},
		{"a running server leaves young leases to their senders", youngLease},
	}
}

// run is one hook job on its way, with the activation that it belongs to.
type run struct {
	k   *kit
	a   hooks.Activation
	job jobs.Job
}

// newRun activates a hook with quantity 1 for a report that is filed.
func newRun(k *kit) *run {
	original := k.filed("p", crashed)
	a := k.active("hook", 1)
	return &run{k: k, a: a, job: k.hookJob("p", a.Digest, original.ID)}
}

const crashBytes = 17

// steps is the collector's order: lease, send, settle.
func (r *run) steps(o hooks.Outcome) (lease, send, settle []Step) {
	k := r.k
	send = []Step{
		func(ctx context.Context) error { _, err := k.MarkSent(ctx, r.job.ID, k.clock()); return err },
		func(ctx context.Context) error {
			return k.MarkAcked(ctx, []collector.Ack{{JobID: r.job.ID, At: k.clock()}})
		},
		func(ctx context.Context) error { return k.Reserve(ctx, r.a.Digest, r.job.ID, crashBytes) },
	}
	var result *collector.Result
	if o == hooks.OutcomeReceived {
		fields := k.result(r.job, strings.Repeat("x", crashBytes))
		result = &fields
	}
	return k.LeaseSteps(r.job, k.clock()), send, k.SettleSteps(r.job.ID, k.decision(o), result, k.clock())
}

// crashes stops after no step, one step, and so on up to all.
func crashes(k *kit, o hooks.Outcome) {
	for n, last := 0, 1; n <= last; n++ {
		k.Run(strconv.Itoa(n), func(t *testing.T) {
			r := newRun(newKit(t, k.open))
			lease, send, settle := r.steps(o)
			all := slices.Concat(lease, send, settle)
			last = len(all)
			var ends []hooks.Outcome
			switch {
			case n == 0:
			case n < len(lease):
				ends = []hooks.Outcome{hooks.OutcomeCancelled}
			case n <= len(lease)+len(send):
				ends = []hooks.Outcome{hooks.OutcomeTimedOut}
			case n < last: // only the backend knows which step decides
				ends = []hooks.Outcome{hooks.OutcomeTimedOut, o}
			default:
				ends = []hooks.Outcome{o}
			}
			r.crash(all[:n], ends)
		})
	}
}

// crash makes the steps, opens the store again, recovers, lets the job's
// deadline pass, recovers again, and looks at what is left each time. In the
// end the job has one of the outcomes; without any there is no job.
func (r *run) crash(steps []Step, ends []hooks.Outcome) {
	k := r.k
	for i, step := range steps {
		if err := step(k.ctx); err != nil {
			k.Fatalf("step %d: %v", i+1, err)
		}
	}
	k.reopen()
	k.must(k.collector().Recover(k.ctx))
	k.consistent(r)
	k.advance(jobs.DefaultDeadline)
	for range 2 { // recovering twice is recovering once
		k.must(k.collector().Recover(k.ctx))
		k.consistent(r)
	}
	var want hooks.Ledger
	if len(ends) > 0 {
		job := k.job(r.job.ID)
		if !slices.Contains(ends, job.Outcome) {
			k.Errorf("the job ended %s, want one of %v", job.Outcome, ends)
		}
		want = hooks.Ledger{Issued: 1, Leased: 1}
		want.Settle(job.Outcome, job.Bytes)
	} else {
		_, err := k.Job(k.ctx, r.job.ID)
		k.refused(err, errs.CodeNotFound)
	}
	same(k, k.ledger(r.a.Digest), want)
	same(k, len(k.leaseIDs()), 0)
	k.takesMore(r, want.Received == 0)
}

// collector is that of a server that has just started.
func (k *kit) collector() *collector.Collector {
	return &collector.Collector{
		Activations: k, Jobs: k, Queries: k, Repairs: k, Peers: k, Sender: nobody{}, Now: k.clock,
		Signed: func(context.Context, string) (collector.Signed, error) { return collector.Signed{}, nil },
	}
}

// nobody is connected.
type nobody struct{}

func (nobody) Connected(string) bool { return false }

func (nobody) Cancel(string, string, string) {}

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

// takesMore demands that a run that brought nothing has given its lease back,
// and that the other has ended the activation.
func (k *kit) takesMore(r *run, want bool) {
	k.Helper()
	err := k.lease(k.next(r.a.Digest))
	if (err == nil) != want {
		k.Errorf("another lease after recovery: %v, want %v", err, want)
	}
	if over := k.state(r.a.Digest) == hooks.StateExpired; over == want {
		k.Errorf("the activation is over: %v", over)
	}
}

// A sender that slept in the middle of its lease, over a recovery, must not
// store its job any more, and settling changes nothing.
func stalledSender(k *kit) {
	for n := 1; ; n++ {
		r := newRun(newKit(k.T, k.open))
		steps := r.k.LeaseSteps(r.job, r.k.clock())
		if n >= len(steps) {
			return
		}
		for _, step := range steps[:n] {
			k.must(step(k.ctx))
		}
		r.k.must(r.k.collector().Recover(k.ctx))
		k.refused(steps[n](k.ctx), errs.CodeConflict)
		if s, err := r.k.settle(r.job, hooks.OutcomeReceived, 1); err != nil || s.OK || s.Job.Outcome != hooks.OutcomeCancelled {
			k.Errorf("settling a lost job: %+v, %v", s, err)
		}
		same(k, r.k.ledger(r.a.Digest), hooks.Ledger{Issued: 1, Cancelled: 1})
		r.k.consistent(r)
	}
}

func youngLease(k *kit) {
	r := newRun(k)
	k.must(k.LeaseSteps(r.job, k.clock())[0](k.ctx))
	c := k.collector()
	k.must(c.Sweep(k.ctx))
	same(k, k.ledger(r.a.Digest), hooks.Ledger{Issued: 1, Leased: 1})
	k.advance(time.Minute)
	k.must(c.Sweep(k.ctx))
	if k.ledger(r.a.Digest).Leased != 0 {
		return // a backend whose first step is the whole lease
	}
	same(k, k.job(r.job.ID).FailedCode, string(errs.CodeLostLease))
	_, err := c.Explain(k.ctx, r.job.ID, "")
	k.refused(err, errs.CodeLostLease)
}

// The suite's kit serves as every consumer's store.
var (
	_ auth.Accounts   = (*kit)(nil)
	_ collector.Peers = (*kit)(nil)
	_ enroll.Peers    = (*kit)(nil)
)
