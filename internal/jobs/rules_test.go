package jobs

import (
	"testing"
	"time"

	"hookline/hooks"
)

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func TestStatusAndAskAgain(t *testing.T) {
	for _, c := range []struct {
		outcome             hooks.Outcome
		status              Status
		again, claimed, ran bool
	}{
		{hooks.OutcomeReceived, Succeeded, false, false, true},
		{hooks.OutcomeEmpty, Succeeded, false, false, true},
		{hooks.OutcomeFailed, Failed, false, false, true},
		{hooks.OutcomeRefused, Failed, false, false, false},
		{hooks.OutcomeDeferred, Failed, false, true, false},
		{hooks.OutcomeCancelled, Failed, true, true, false},
		{hooks.OutcomeTimedOut, Failed, true, true, false},
	} {
		j := Job{ID: "j", Status: StatusOf(c.outcome), Outcome: c.outcome}
		if j.Status != c.status || !j.Final() {
			t.Errorf("%s is %s", c.outcome, j.Status)
		}
		if j.AskAgain(false) != c.again || j.AskAgain(true) != c.claimed {
			t.Errorf("%s: ask again %v, after a claim %v", c.outcome, j.AskAgain(false), j.AskAgain(true))
		}
		if j.Ran() != c.ran {
			t.Errorf("%s: ran %v", c.outcome, j.Ran())
		}
	}
	pending := Job{Status: Pending}
	if pending.Final() || pending.AskAgain(true) || !pending.Ran() {
		t.Error("a pending job is under way and may not be asked again")
	}
}

func TestMayAsk(t *testing.T) {
	timedOut := Job{ID: "t", Status: Failed, Outcome: hooks.OutcomeTimedOut}
	deferred := Job{ID: "d", Status: Failed, Outcome: hooks.OutcomeDeferred}
	received := Job{ID: "r", Status: Succeeded, Outcome: hooks.OutcomeReceived}
	many := make([]Job, MaxAsks)
	for i := range many {
		many[i] = timedOut
	}
	for name, c := range map[string]struct {
		history      []Job
		may, claimed bool
	}{
		"never asked":                   {nil, true, true},
		"timed out":                     {[]Job{timedOut}, true, true},
		"deferred":                      {[]Job{deferred}, false, true},
		"deferred before it timed out":  {[]Job{timedOut, deferred}, false, true},
		"received before it timed out":  {[]Job{timedOut, received}, false, false},
		"one less than the cap":         {many[1:], true, true},
		"as often as the cap allows it": {many, false, false},
	} {
		if may, _ := MayAsk(c.history, false); may != c.may {
			t.Errorf("%s: %v", name, may)
		}
		if may, why := MayAsk(c.history, true); may != c.claimed || !may && why.ID == "" {
			t.Errorf("%s, claimed: %v because of %q", name, may, why.ID)
		}
	}
}

func TestDeadlines(t *testing.T) {
	for _, c := range []struct{ activation, want time.Duration }{
		{time.Hour, DefaultDeadline},
		{DefaultDeadline, DefaultDeadline},
		{time.Minute + time.Microsecond, time.Minute},
	} {
		if got := DeadlineOf(now, now.Add(c.activation)); !got.Equal(now.Add(c.want)) {
			t.Errorf("an activation of %s gives %s", c.activation, got.Sub(now))
		}
	}
	j := Job{Status: Pending, Deadline: now}
	if j.Overdue(now.Add(-time.Millisecond)) || !j.Overdue(now) {
		t.Error("the deadline itself is too late, not what is before")
	}
	if j.Status = Succeeded; j.Overdue(now.Add(time.Hour)) {
		t.Error("a final job is never overdue")
	}
}

func TestSlots(t *testing.T) {
	j := Job{ID: "j", Version: "v", OriginalID: "o"}
	for status, want := range map[Status]string{Pending: "v/o", Succeeded: "v/o", Failed: "j"} {
		if j.Status = status; SlotOf(j) != want {
			t.Errorf("%s holds %q", status, SlotOf(j))
		}
	}
}
