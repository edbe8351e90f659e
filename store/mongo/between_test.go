package mongo

import (
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/wiretest"
)

// meeting is one server, and another one that comes in between.
type meeting struct {
	acting // the other one
	late   *DB
	left   int
	do     func()
}

func newMeeting(t *testing.T) *meeting {
	address := wiretest.Address(t)
	mt := &meeting{acting: acting{t, opened(t, address, Options{}), t.Context()}}
	mt.late = opened(t, address, Options{Dial: (&cutter{ask: mt.ask}).dial})
	return mt
}

func (mt *meeting) ask([]byte) {
	if mt.left--; mt.left == 0 {
		mt.do()
	}
}

// before has something happen just before the nth command that the late
// server sends from now on.
func (mt *meeting) before(n int, do func()) { mt.left, mt.do = n, do }

// lease leaves a job of version one pending.
func (mt *meeting) lease(id string) {
	mt.Helper()
	noError(mt.T, mt.Lease(mt.ctx, mt.job(id), noon))
}

func (*meeting) job(id string) jobs.Job {
	return jobs.Job{ID: id, PeerID: id, Version: "one", OriginalID: id, CreatedAt: noon, Deadline: noon.Add(time.Minute)}
}

func (*meeting) result(id string, n int64) *collector.Result {
	return &collector.Result{ID: id, JobID: id, Version: "one", Fields: make([]byte, n), Bytes: n, CreatedAt: noon}
}

func (mt *meeting) settle(d *DB, id string, n int64) {
	mt.Helper()
	s, err := d.Settle(mt.ctx, id, jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}, mt.result(id, n), noon)
	if err != nil || !s.OK {
		mt.Errorf("settle %s: %v, %v", id, s.OK, err)
	}
}

func (mt *meeting) fails(d *DB, id string) {
	mt.Helper()
	_, err := d.Settle(mt.ctx, id, jobs.Decision{Status: jobs.Failed, Outcome: hooks.OutcomeFailed}, nil, noon)
	noError(mt.T, err)
}

func (mt *meeting) reserve(d *DB, id string, n int64) {
	mt.Helper()
	noError(mt.T, d.Reserve(mt.ctx, "one", id, n))
}

// What comes between the commands of one server is never lost or undone.
func TestBetweenTwoCommands(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(mt *meeting)
		want hooks.Ledger
	}{
		"a Settle builds on what is given back": {func(mt *meeting) {
			mt.lease("a")
			mt.reserve(mt.DB, "a", 10)
			mt.before(2, func() { mt.stepsOfSettle("a", 10, 1) })
			mt.reserve(mt.late, "a", -10)
		}, hooks.Ledger{Issued: 1, Leased: 1, Reserved: 10}},
		"the same is given back": {func(mt *meeting) {
			mt.lease("a")
			mt.reserve(mt.DB, "a", 5)
			mt.before(2, func() { mt.reserve(mt.DB, "a", -3) })
			mt.reserve(mt.late, "a", -5)
		}, hooks.Ledger{Issued: 1, Leased: 1}},
		"what lacks is given back": {func(mt *meeting) {
			mt.lease("a")
			mt.reserve(mt.DB, "a", 6)
			mt.before(4, func() { mt.reserve(mt.DB, "a", -6) })
			mt.settle(mt.late, "a", 8)
		}, hooks.Ledger{Issued: 1, Received: 1, Bytes: 8}},
		"the quantity is lowered before the last result": {func(mt *meeting) {
			mt.lease("a")
			mt.before(4, func() { mt.again(1) })
			mt.settle(mt.late, "a", 1)
		}, hooks.Ledger{Issued: 1, Received: 1, Bytes: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			mt := newMeeting(t)
			mt.activate(mt.activation("one", 1), hooks.StateApproved)
			c.do(mt)
			same(t, mt.reads("one").Ledger, c.want)
			if mt.left > 0 {
				t.Errorf("%d commands are missing", mt.left)
			}
		})
	}
}

// stepsOfSettle goes as far as n steps of a Settle.
func (mt *meeting) stepsOfSettle(id string, bytes int64, n int) {
	mt.Helper()
	s := &settling{d: mt.DB, id: id, decision: jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}, result: mt.result(id, bytes), now: noon}
	noError(mt.T, run(mt.ctx, s.steps()[:n]))
}

func (mt *meeting) disable() {
	mt.Helper()
	noError(mt.T, mt.Disable(mt.ctx, "one", hooks.StateActive, "", noon, mt.grant(auth.HooksDisable)))
}

// again disables version one, and activates it with another quantity.
func (mt *meeting) again(quantity int64) {
	mt.Helper()
	mt.disable()
	mt.enable(quantity)
}

// enable activates version one, which is disabled.
func (mt *meeting) enable(quantity int64) {
	mt.Helper()
	v := mt.reads("one")
	v.Quantity = quantity
	mt.activate(v, hooks.StateDisabled)
}

// The end of an activation that was foreseen does not come where its bounds
// are others by then.
func TestForeseenEnd(t *testing.T) {
	for name, c := range map[string]struct {
		first, then int64
		want        hooks.State
	}{
		"it is the last one":               {1, 0, hooks.StateExpired},
		"somebody has disabled it":         {1, 0, hooks.StateDisabled},
		"it was the last one":              {1, 2, hooks.StateActive},
		"it has become the last one":       {2, 1, hooks.StateExpired},
		"it is not, and was not, the last": {3, 2, hooks.StateActive},
	} {
		t.Run(name, func(t *testing.T) {
			mt := newMeeting(t)
			v := mt.activation("one", 1)
			v.Quantity = c.first
			mt.activate(v, hooks.StateApproved)
			mt.lease("a")
			mt.before(4, func() {
				if c.then > 0 {
					mt.again(c.then)
				} else if c.want == hooks.StateDisabled {
					mt.disable()
				}
			})
			mt.settle(mt.late, "a", 1)
			same(t, mt.reads("one").State, c.want)
		})
	}
}

// Others lease and activate between the look and the update of an Activate.
func TestActivateBetween(t *testing.T) {
	mt := newMeeting(t)
	v := mt.activation("one", 1)
	mt.activate(v, hooks.StateApproved)
	mt.disable()
	v.Quantity = 1
	mt.before(5, func() { // intent, mark, activation, active one, and then the update
		mt.enable(5)
		mt.lease("a")
		mt.lease("b")
		mt.disable()
	})
	err := mt.late.Activate(mt.ctx, v, hooks.StateDisabled, mt.grant(auth.HooksActivate))
	mt.want(err, errs.CodeBoundExceeded)
	got := mt.reads("one")
	if err := got.Ledger.Check(got.Quantity, got.MaxBytes); err != nil || got.State != hooks.StateDisabled {
		t.Errorf("%s, %v", got.State, err)
	}
	mt.fails(mt.DB, "a")
}

// However often a Settle breaks off, it reserves at most twice what it needs,
// and one that has no room is refused, wherever it finds that.
func TestSettleThatBreaksOff(t *testing.T) {
	mt := newMeeting(t)
	mt.activate(mt.activation("one", 1), hooks.StateApproved) // 10 bytes
	mt.lease("a")
	for range 5 {
		mt.stepsOfSettle("a", 3, 1)
	}
	same(t, mt.reads("one").Ledger.Reserved, int64(6))
	mt.lease("b")
	j := mt.job("b")
	j.Outcome, j.Bytes = hooks.OutcomeReceived, 5
	_, ok, err := mt.endLease(mt.ctx, j, nil, noon)
	if mt.want(err, errs.CodeRateLimited); ok {
		t.Error("the lease has ended")
	}
	mt.settle(mt.DB, "a", 3)
	same(t, mt.reads("one").Ledger, hooks.Ledger{Issued: 2, Leased: 1, Received: 1, Bytes: 3})
}
