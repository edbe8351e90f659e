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
	way    *cutter // of the late one
	left   int
	do     func()
}

func newMeeting(t *testing.T) *meeting {
	address := wiretest.Address(t)
	mt := &meeting{acting: acting{t, opened(t, address, Options{}), t.Context()}}
	mt.way = &cutter{ask: mt.ask}
	mt.late = openedSoon(t, wiretest.With(address, "serverSelectionTimeoutMS", "100"), Options{Dial: mt.way.dial})
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
		"what lacks is given back, and taken": {func(mt *meeting) {
			mt.lease("a")
			mt.lease("b")
			mt.reserve(mt.DB, "a", 6)
			mt.before(4, func() {
				mt.reserve(mt.DB, "a", -6)
				mt.reserve(mt.DB, "b", 8)
			})
			_, err := mt.late.Settle(mt.ctx, "a", jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}, mt.result("a", 8), noon)
			mt.want(err, errs.CodeRateLimited)
			mt.fails(mt.DB, "a")
		}, hooks.Ledger{Issued: 2, Leased: 1, Failed: 1, Reserved: 8}},
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

func (mt *meeting) disable() { mt.Helper(); mt.disables("one") }

func (mt *meeting) disables(version string) {
	mt.Helper()
	noError(mt.T, mt.Stop(mt.ctx, version, hooks.StateActive, hooks.StateDisabled, "", noon, mt.grant(auth.HooksDisable)))
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
	for name, c := range map[string]struct {
		do   func(mt *meeting)
		want errs.Code
		then hooks.State
	}{
		"another quantity, with leases out": {func(mt *meeting) { mt.enable(5); mt.lease("a"); mt.lease("b"); mt.disable() }, errs.CodeBoundExceeded, hooks.StateDisabled},
		"leases out":                        {func(mt *meeting) { mt.enable(3); mt.lease("a"); mt.lease("b"); mt.disable() }, errs.CodeBoundExceeded, hooks.StateDisabled},
		"it is active":                      {func(mt *meeting) { mt.enable(3) }, errs.CodeConflict, hooks.StateActive},
	} {
		t.Run(name, func(t *testing.T) {
			mt := newMeeting(t)
			v := mt.activation("one", 1)
			mt.activate(v, hooks.StateApproved)
			mt.disable()
			v.Quantity = 1
			mt.before(5, func() { c.do(mt) }) // intent, mark, activation, active one, and then the update
			mt.want(mt.late.Activate(mt.ctx, v, hooks.StateDisabled, mt.grant(auth.HooksActivate)), c.want)
			got := mt.reads("one")
			if err := got.Ledger.Check(got.Quantity, got.MaxBytes); err != nil || got.State != c.then || got.Quantity == 1 {
				t.Errorf("%s with a quantity of %d, %v", got.State, got.Quantity, err)
			}
		})
	}
}

// Whoever ends the lease of a result shows it first.
func TestRecoveredResultShows(t *testing.T) {
	mt := newMeeting(t)
	mt.activate(mt.activation("one", 1), hooks.StateApproved)
	mt.lease("a")
	mt.stepsOfSettle("a", 3, 2)
	s, err := mt.RecoverLease(mt.ctx, jobs.Job{ID: "a", Version: "one", Status: jobs.Failed}, noon)
	if err != nil || !s.OK {
		t.Errorf("%v, %v", s.OK, err)
	}
	_, err = mt.Result(mt.ctx, "a")
	noError(t, err)
	same(t, mt.reads("one").Ledger, hooks.Ledger{Issued: 1, Received: 1, Bytes: 3})
	mt.disable()
	mt.want(mt.Lease(mt.ctx, mt.job("b"), noon), errs.CodeHookNotActive)
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

// An Activate that cannot take the place of the other one gives that back; if
// that cannot be done either, Mend does it.
func TestActivateGivesThePlaceBack(t *testing.T) {
	for name, cut := range map[string]bool{"by itself": false, "with a Mend": true} {
		t.Run(name, func(t *testing.T) {
			mt := newMeeting(t)
			first, second := mt.activation("one", 1), mt.activation("two", 2)
			mt.activate(second, hooks.StateApproved)
			mt.activate(first, hooks.StateApproved)
			mt.before(8, func() { // intent, mark, activation, active one, last action, what to undo, supersede, and then the update
				same(t, mt.reads("one").State, hooks.StateSuperseded)
				_, err := mt.ChangeState(mt.ctx, "two", hooks.StateSuperseded, hooks.StateRevoked, "", noon)
				noError(t, err)
				mt.before(2, func() {
					if cut {
						mt.way.Cut(0, false)
					}
				})
			})
			code := map[bool]errs.Code{false: errs.CodeConflict, true: errs.CodeUnavailable}[cut]
			mt.want(mt.late.Activate(mt.ctx, second, hooks.StateSuperseded, mt.grant(auth.HooksActivate)), code)
			_, err := mt.Mend(mt.ctx, noon.Add(time.Hour), 10)
			noError(t, err)
			same(t, mt.reads("one").State, hooks.StateActive)
		})
	}
}

// What was superseded for nothing is left alone if others have moved it since.
func TestPutBackTooLate(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(mt *meeting, third hooks.Activation)
		want hooks.State
	}{
		"disabled": {func(mt *meeting, _ hooks.Activation) { mt.disable() }, hooks.StateDisabled},
		"superseded again": {func(mt *meeting, third hooks.Activation) {
			mt.activate(third, hooks.StateApproved)
			mt.disables("three")
		}, hooks.StateSuperseded},
	} {
		t.Run(name, func(t *testing.T) {
			mt := newMeeting(t)
			first, second, third := mt.activation("one", 1), mt.activation("two", 2), mt.activation("three", 3)
			mt.activate(first, hooks.StateApproved)
			other, _, err := mt.supersede(mt.ctx, second, "entry")
			noError(t, err)
			mt.activate(first, hooks.StateSuperseded)
			c.do(mt, third)
			noError(t, mt.putBack(mt.ctx, other, "two"))
			same(t, mt.reads("one").State, c.want)
		})
	}
}
