package hooks_test

import (
	"testing"

	"pgregory.net/rapid"

	"hookline/hooks"
	"hookline/internal/errs"
)

func states() []hooks.State {
	return []hooks.State{
		hooks.StateSubmitted, hooks.StateChangesRequested, hooks.StateRejected, hooks.StateApproved, hooks.StateActive,
		hooks.StatePaused, hooks.StateExpired, hooks.StateSuperseded, hooks.StateDisabled, hooks.StateRevoked,
	}
}

func events() []hooks.Event {
	return []hooks.Event{
		hooks.EventRequestChanges, hooks.EventReject, hooks.EventApprove, hooks.EventActivate, hooks.EventPause,
		hooks.EventExpire, hooks.EventSupersede, hooks.EventDisable, hooks.EventRevoke,
	}
}

// TestNext holds every pair of state and event against the written table.
func TestNext(t *testing.T) {
	type step struct {
		s hooks.State
		e hooks.Event
	}
	want := map[step]hooks.State{
		{hooks.StateSubmitted, hooks.EventRequestChanges}: hooks.StateChangesRequested,
		{hooks.StateSubmitted, hooks.EventReject}:         hooks.StateRejected,
		{hooks.StateSubmitted, hooks.EventApprove}:        hooks.StateApproved,
		{hooks.StateChangesRequested, hooks.EventReject}:  hooks.StateRejected,
		{hooks.StateChangesRequested, hooks.EventApprove}: hooks.StateApproved,
		{hooks.StateApproved, hooks.EventActivate}:        hooks.StateActive,
		{hooks.StateActive, hooks.EventPause}:             hooks.StatePaused,
		{hooks.StateActive, hooks.EventExpire}:            hooks.StateExpired,
		{hooks.StateActive, hooks.EventSupersede}:         hooks.StateSuperseded,
		{hooks.StateActive, hooks.EventDisable}:           hooks.StateDisabled,
		{hooks.StatePaused, hooks.EventActivate}:          hooks.StateActive,
		{hooks.StatePaused, hooks.EventExpire}:            hooks.StateExpired,
		{hooks.StatePaused, hooks.EventSupersede}:         hooks.StateSuperseded,
		{hooks.StatePaused, hooks.EventDisable}:           hooks.StateDisabled,
		{hooks.StateDisabled, hooks.EventActivate}:        hooks.StateActive,
		{hooks.StateExpired, hooks.EventActivate}:         hooks.StateActive,
		{hooks.StateSuperseded, hooks.EventActivate}:      hooks.StateActive,
		{hooks.StateSubmitted, hooks.EventRevoke}:         hooks.StateRevoked,
		{hooks.StateChangesRequested, hooks.EventRevoke}:  hooks.StateRevoked,
		{hooks.StateApproved, hooks.EventRevoke}:          hooks.StateRevoked,
		{hooks.StateActive, hooks.EventRevoke}:            hooks.StateRevoked,
		{hooks.StatePaused, hooks.EventRevoke}:            hooks.StateRevoked,
		{hooks.StateExpired, hooks.EventRevoke}:           hooks.StateRevoked,
		{hooks.StateSuperseded, hooks.EventRevoke}:        hooks.StateRevoked,
		{hooks.StateDisabled, hooks.EventRevoke}:          hooks.StateRevoked,
	}
	for _, s := range append(states(), "", "unheard-of") {
		for _, e := range append(events(), "", "unheard-of") {
			got, err := hooks.Next(s, e)
			next, allowed := want[step{s, e}]
			if allowed && (err != nil || got != next) {
				t.Errorf("%s %s: got %q, %v; want %q", s, e, got, err, next)
			}
			if !allowed && (got != "" || errs.CodeOf(err) != errs.CodeTransitionNotAllowed) {
				t.Errorf("%s %s: got %q, %v; want a refusal", s, e, got, err)
			}
		}
	}
}

// Whatever happens: nothing runs that was never approved, and rejected and
// revoked are final.
func TestNextProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, approved, final := hooks.StateSubmitted, false, false
		for _, e := range rapid.SliceOfN(rapid.SampledFrom(events()), 0, 40).Draw(t, "events") {
			next, err := hooks.Next(s, e)
			if err != nil {
				continue
			}
			if final {
				t.Fatalf("%s left by %s", s, e)
			}
			approved = approved || e == hooks.EventApprove
			if next == hooks.StateActive && !approved {
				t.Fatalf("active without approval, by %s from %s", e, s)
			}
			final = next == hooks.StateRevoked || next == hooks.StateRejected
			s = next
		}
	})
}

// A ledger that is kept by the rules of Lease, Reserve and Settle never
// breaks an identity.
func TestLedgerProperty(t *testing.T) {
	outcomes := []hooks.Outcome{
		hooks.OutcomeReceived, hooks.OutcomeEmpty, hooks.OutcomeFailed, hooks.OutcomeRefused,
		hooks.OutcomeDeferred, hooks.OutcomeCancelled, hooks.OutcomeTimedOut, "unheard-of",
	}
	rapid.Check(t, func(t *rapid.T) {
		quantity := rapid.Int64Range(1, 20).Draw(t, "quantity")
		maxBytes := rapid.Int64Range(1, 5000).Draw(t, "max bytes")
		var l hooks.Ledger
		var reserved []int64 // of each lease that is out
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch i := len(reserved) - 1; {
			case rapid.Bool().Draw(t, "lease"):
				if l.Received+l.Leased < quantity {
					l.Issued, l.Leased = l.Issued+1, l.Leased+1
					reserved = append(reserved, 0)
				}
			case i >= 0 && rapid.Bool().Draw(t, "reserve"):
				n := rapid.Int64Range(1, 800).Draw(t, "bytes")
				if l.Bytes+l.Reserved+n <= maxBytes {
					l.Reserved, reserved[i] = l.Reserved+n, reserved[i]+n
				}
			case i >= 0:
				o := rapid.SampledFrom(outcomes).Draw(t, "outcome")
				l.Reserved -= reserved[i]
				l.Settle(o, reserved[i])
				reserved = reserved[:i]
			}
			if err := l.Check(quantity, maxBytes); err != nil {
				t.Fatal(err)
			}
		}
		for range reserved {
			l.Settle(hooks.OutcomeTimedOut, 0)
		}
		l.Reserved = 0
		if err := l.Check(quantity, maxBytes); err != nil || l.Leased != 0 {
			t.Fatalf("at the end: %+v, %v", l, err)
		}
	})
}

func TestLedgerCheckFindsEachBreak(t *testing.T) {
	good := hooks.Ledger{
		Issued: 12, Leased: 1, Received: 3, Empty: 1, Failed: 2, Refused: 1, Deferred: 1,
		Cancelled: 1, TimedOut: 2, Bytes: 90, Reserved: 10,
	}
	if err := good.Check(4, 100); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(l *hooks.Ledger){
		"a lease lost":         func(l *hooks.Ledger) { l.Issued++ },
		"a lease twice":        func(l *hooks.Ledger) { l.Leased++ },
		"negative":             func(l *hooks.Ledger) { l.Leased, l.Empty = -1, 3 },
		"negative reservation": func(l *hooks.Ledger) { l.Reserved = -1 },
		"one too many":         func(l *hooks.Ledger) { l.Received, l.Issued = 4, 13 },
		"too many bytes":       func(l *hooks.Ledger) { l.Bytes = 91 },
		"too many out":         func(l *hooks.Ledger) { l.Leased, l.Issued = 1001, 1012 },
	} {
		l := good
		edit(&l)
		quantity := int64(4)
		if name == "too many out" {
			quantity = 10_000
		}
		if err := l.Check(quantity, 100); err == nil {
			t.Errorf("%s is not found", name)
		}
	}
}

func TestOverIssued(t *testing.T) {
	a := hooks.Activation{Quantity: 5, Ledger: hooks.Ledger{Issued: 20}}
	if a.OverIssued() {
		t.Error("20 of 20 is over")
	}
	a.Ledger.Issued++
	if !a.OverIssued() {
		t.Error("21 of 20 is not over")
	}
}
