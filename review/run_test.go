package review_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/signing"
)

// bounds asks for new ones until an hour from now.
func (w *world) bounds(l review.Life, quantity int64) (review.Life, error) {
	return w.s.Bounds(w.ctx, as(auth.RoleOperator), l.Version.Digest, quantity, w.now.Add(time.Hour), hooks.Rollout{})
}

func (w *world) pause(l review.Life) (review.Life, error) {
	return w.s.Pause(w.ctx, as(auth.RoleOperator), l.Version.Digest, "a look at it first")
}

func TestPauseAndResume(t *testing.T) {
	w := newWorld(t, nil)
	l, err := w.activate(w.approved(1), 3)
	w.ok(err)
	l, err = w.pause(l)
	w.ok(err)
	if l.State() != hooks.StatePaused || l.Activation.Reason != "a look at it first" {
		t.Fatalf("it is %s: %s", l.State(), l.Activation.Reason)
	}
	_, err = w.pause(l)
	w.wantCode(err, errs.CodeTransitionNotAllowed, "*")
	_, err = w.bounds(l, 2)
	w.wantCode(err, errs.CodeTransitionNotAllowed, "*")
	if e, _ := errs.As(err); !strings.Contains(e.Hint, "hook activate") {
		t.Errorf("the hint is %q", e.Hint)
	}
	l, err = w.activate(l, 3)
	w.ok(err)
	if l.State() != hooks.StateActive || l.Activation.Reason != "" {
		t.Fatalf("it is %s: %s", l.State(), l.Activation.Reason)
	}
	if got, want := w.audited(), []string{"hooks.activate ok", "hooks.disable ok", "hooks.activate ok"}; !slices.Equal(got[len(got)-3:], want) {
		t.Errorf("audited %v", got)
	}
}

// Paused, another version of the hook may run; started again, it supersedes that.
func TestPausedMakesRoom(t *testing.T) {
	w := newWorld(t, nil)
	first, err := w.activate(w.approved(1), 3)
	w.ok(err)
	_, err = w.pause(first)
	w.ok(err)
	second, err := w.activate(w.approved(2), 3)
	w.ok(err)
	first, err = w.activate(first, 3)
	w.ok(err)
	second, err = w.db.Life(w.ctx, second.Version.Digest)
	w.ok(err)
	if first.State() != hooks.StateActive || second.State() != hooks.StateSuperseded {
		t.Fatalf("they are %s and %s", first.State(), second.State())
	}
}

func TestPauseRefuses(t *testing.T) {
	w := newWorld(t, nil)
	approved := w.approved(1)
	_, err := w.pause(approved)
	w.wantCode(err, errs.CodeTransitionNotAllowed, "*")
	l, err := w.activate(approved, 3)
	w.ok(err)
	for name, c := range map[string]struct {
		p              auth.Principal
		digest, reason string
		code           errs.Code
		field          string
	}{
		"a reviewer":        {as(auth.RoleReviewer, auth.RoleAuthor), l.Version.Digest, "x", errs.CodeForbidden, "*"},
		"no reason":         {as(auth.RoleOperator), l.Version.Digest, " \n", errs.CodeBadInput, "reason"},
		"a long reason":     {as(auth.RoleOperator), l.Version.Digest, strings.Repeat("x", review.MaxReasonBytes+1), errs.CodeTooLarge, "reason"},
		"a hidden reason":   {as(auth.RoleOperator), l.Version.Digest, "a\x00b", errs.CodeBadInput, "reason"},
		"no version":        {as(auth.RoleOperator), strings.Repeat("0", 64), "x", errs.CodeNotFound, "*"},
		"no digest":         {as(auth.RoleOperator), "../x", "x", errs.CodeNotFound, "digest"},
		"nobody in a store": {auth.Principal{User: "x"}, l.Version.Digest, "x", errs.CodeForbidden, "*"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			_, err := w.s.Pause(w.ctx, c.p, c.digest, c.reason)
			w.wantCode(err, c.code, c.field)
			if after, err := w.db.Life(w.ctx, l.Version.Digest); err != nil || after.State() != hooks.StateActive {
				t.Fatalf("it is %s %v", after.State(), err)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	w := newWorld(t, nil)
	approved := w.approved(1)
	_, err := w.bounds(approved, 3)
	w.wantCode(err, errs.CodeTransitionNotAllowed, "*")
	l, err := w.activate(approved, 5)
	w.ok(err)
	v := l.Version.Digest
	for _, id := range []string{"a", "b"} {
		w.lease(v, id)
	}
	_, err = w.db.Settle(w.ctx, "a", jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}, &collector.Result{ID: "a", Fields: make([]byte, 10), Bytes: 10}, w.now)
	w.ok(err)
	w.activated = nil

	until := start.Add(2 * time.Hour)
	l, err = w.s.Bounds(w.ctx, as(auth.RoleOperator), v, 3, until, hooks.Rollout{Percent: 10, PerMinute: 5})
	w.ok(err)
	a := l.Activation
	if a.State != hooks.StateActive || a.Quantity != 3 || !a.Deadline.Equal(until) || a.Rollout != (hooks.Rollout{Percent: 10, PerMinute: 5}) {
		t.Fatalf("%+v", a)
	}
	if a.Ledger.Received != 1 || a.Ledger.Leased != 1 || a.Ledger.Issued != 2 {
		t.Fatalf("the ledger is %+v", a.Ledger)
	}
	if !slices.Equal(w.activated, []string{v}) {
		t.Errorf("told %v", w.activated)
	}
	// What is in or out is not taken back.
	_, err = w.bounds(l, 2)
	w.wantCode(err, errs.CodeQuantityReached, "quantity")
	l, err = w.bounds(l, 100)
	w.ok(err)
	if l.Activation.Quantity != 100 || l.Activation.Rollout.Percent != 50 {
		t.Fatalf("%+v", l.Activation)
	}
	if e := w.newest(); !strings.HasPrefix(e.Detail, "new bounds: quantity 100, until") {
		t.Errorf("audited %q", e.Detail)
	}
}

// newest is the newest entry of the audit log.
func (w *world) newest() auth.Entry {
	w.Helper()
	list, err := w.db.Entries(w.ctx, auth.EntryFilter{Limit: 1})
	w.ok(err)
	return list[0]
}

func TestBoundsRefuses(t *testing.T) {
	w := newWorld(t, nil)
	l, err := w.activate(w.approved(1), 3)
	w.ok(err)
	before := l
	hour := start.Add(time.Hour)
	for name, c := range map[string]struct {
		p        auth.Principal
		quantity int64
		deadline time.Time
		rollout  hooks.Rollout
		code     errs.Code
		field    string
	}{
		"a reviewer":        {as(auth.RoleReviewer), 1, hour, hooks.Rollout{}, errs.CodeForbidden, "*"},
		"more than signed":  {as(auth.RoleOperator), 101, hour, hooks.Rollout{}, errs.CodeBoundExceeded, "quantity"},
		"none":              {as(auth.RoleOperator), 0, hour, hooks.Rollout{}, errs.CodeBoundExceeded, "quantity"},
		"longer":            {as(auth.RoleOperator), 1, start.Add(8 * 24 * time.Hour), hooks.Rollout{}, errs.CodeBoundExceeded, "deadline"},
		"over already":      {as(auth.RoleOperator), 1, start, hooks.Rollout{}, errs.CodeBoundExceeded, "deadline"},
		"wider":             {as(auth.RoleOperator), 1, hour, hooks.Rollout{Percent: 51}, errs.CodeBoundExceeded, "percent"},
		"faster than fast":  {as(auth.RoleOperator), 1, hour, hooks.Rollout{PerMinute: review.MaxPerMinute + 1}, errs.CodeBoundExceeded, "per_minute"},
		"negative":          {as(auth.RoleOperator), -1, hour, hooks.Rollout{}, errs.CodeBoundExceeded, "quantity"},
		"percent less than": {as(auth.RoleOperator), 1, hour, hooks.Rollout{Percent: -1}, errs.CodeBoundExceeded, "percent"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			_, err := w.s.Bounds(w.ctx, c.p, l.Version.Digest, c.quantity, c.deadline, c.rollout)
			w.wantCode(err, c.code, c.field)
			after, err := w.db.Life(w.ctx, l.Version.Digest)
			if err != nil || !cmp.Equal(after.Activation, before.Activation) {
				t.Fatalf("%+v %v", after.Activation, err)
			}
		})
	}
	// The signatures are looked at again.
	w.policy.Persons = slices.DeleteFunc(w.policy.Persons, func(p signing.Person) bool { return p.Name == "carol" })
	_, err = w.bounds(l, 2)
	w.wantCode(err, errs.CodeThresholdNotMet, "*")
}

// TestBoundsAndLeases: under any number of leases at once, received and
// leased stay within the quantity that was asked for last.
func TestBoundsAndLeases(t *testing.T) {
	w := newWorld(t, nil)
	l, err := w.activate(w.approved(1), 40)
	w.ok(err)
	w.s.Activated = nil // the world keeps its list without a lock
	v := l.Version.Digest
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			id := string(rune('a' + i))
			err := w.db.Lease(w.ctx, jobs.Job{ID: id, PeerID: "peer of " + id, OriginalID: id, Version: v, CreatedAt: w.now}, w.now)
			if err != nil && !errs.Is(err, errs.CodeQuantityReached) && !errs.Is(err, errs.CodeHookNotActive) {
				t.Errorf("lease: %v", err)
			}
		})
		wg.Go(func() {
			_, err := w.bounds(l, int64(i+1))
			if err != nil && !errs.Is(err, errs.CodeQuantityReached) && !errs.Is(err, errs.CodeBoundExceeded) && !errs.Is(err, errs.CodeConflict) {
				t.Errorf("bounds: %v", err)
			}
		})
	}
	wg.Wait()
	l, err = w.db.Life(w.ctx, v)
	w.ok(err)
	if err := l.Activation.Ledger.Check(l.Activation.Quantity, l.Activation.MaxBytes); err != nil {
		t.Fatal(err)
	}
}
