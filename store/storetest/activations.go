package storetest

import (
	"fmt"
	"slices"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

func activationTests() []test {
	return []test{
		{"activate", activate},
		{"activating a newer version supersedes", supersede},
		{"activate again", activateAgain},
		{"quantity never falls below the ledger", quantityBelowLedger},
		{"disable and change state", disable},
		{"pause, and go on", pause},
		{"new bounds while active", newBounds},
		{"revoke an activation", revokeActivation},
		{"revoke a version", revokeVersion},
		{"matched by key while active", byKeys},
	}
}

func (k *kit) state(version string) hooks.State {
	k.Helper()
	a, err := k.Activation(k.ctx, version)
	k.must(err)
	return a.State
}

func activate(k *kit) {
	v := k.version("taint", 1)
	a := k.activation(v, 3)
	k.refused(k.Activate(k.ctx, a, hooks.StateApproved, k.grant(auth.HooksActivate)), errs.CodeConflict)
	_, err := k.Activation(k.ctx, v.Digest)
	k.refused(err, errs.CodeNotFound)
	k.must(k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateSubmitted, hooks.StateApproved, k.grant(auth.HooksReview)))
	k.must(k.Activate(k.ctx, a, hooks.StateApproved, k.grant(auth.HooksActivate)))
	got, err := k.Activation(k.ctx, v.Digest)
	k.must(err)
	same(k, got, a)
	k.refused(k.Activate(k.ctx, a, hooks.StateApproved, k.grant(auth.HooksActivate)), errs.CodeConflict)
	none := a
	none.Digest = "none"
	k.refused(k.Activate(k.ctx, none, hooks.StateApproved, k.grant(auth.HooksActivate)), errs.CodeNotFound)
	k.refused(k.Activate(k.ctx, none, hooks.StateDisabled, k.grant(auth.HooksActivate)), errs.CodeNotFound)
	if got := k.state(v.Digest); got != hooks.StateActive {
		k.Errorf("refused activations left it %s", got)
	}
}

func supersede(k *kit) {
	old, other := k.active("taint", 3), k.active("other", 3)
	k.advance(time.Minute)
	newer := k.activation(k.approved("taint", 2), 3)
	k.must(k.Activate(k.ctx, newer, hooks.StateApproved, k.grant(auth.HooksActivate)))
	got, err := k.Activation(k.ctx, old.Digest)
	k.must(err)
	if got.State != hooks.StateSuperseded || got.Reason == "" || !got.ChangedAt.Equal(k.clock()) {
		k.Errorf("the older one is %s for %q since %v", got.State, got.Reason, got.ChangedAt)
	}
	if k.state(newer.Digest) != hooks.StateActive || k.state(other.Digest) != hooks.StateActive {
		k.Error("activating one version touched others")
	}
	k.refused(k.lease(k.next(old.Digest)), errs.CodeHookNotActive)
	old.State, old.ChangedAt = hooks.StateActive, k.clock()
	k.must(k.Activate(k.ctx, old, hooks.StateSuperseded, k.grant(auth.HooksActivate)))
	if k.state(newer.Digest) != hooks.StateSuperseded || k.state(old.Digest) != hooks.StateActive {
		k.Error("the older version did not supersede the newer one")
	}
}

func activateAgain(k *kit) {
	a := k.active("taint", 3)
	k.taken(a.Digest)
	k.must(k.Stop(k.ctx, a.Digest, hooks.StateActive, hooks.StateDisabled, "noisy", k.clock(), k.grant(auth.HooksDisable)))
	k.advance(time.Minute)
	a.Quantity, a.Deadline, a.Rollout = 2, a.Deadline.Add(time.Hour), hooks.Rollout{Percent: 10, PerMinute: 1}
	a.ChangedAt = k.clock()
	k.refused(k.Activate(k.ctx, a, hooks.StateExpired, k.grant(auth.HooksActivate)), errs.CodeConflict)
	k.must(k.Activate(k.ctx, a, hooks.StateDisabled, k.grant(auth.HooksActivate)))
	got, err := k.Activation(k.ctx, a.Digest)
	k.must(err)
	a.Ledger = hooks.Ledger{Issued: 1, Leased: 1} // goes on
	same(k, got, a)
	if found, err := k.ActiveByKeys(k.ctx, a.Keys); err != nil || len(found) != 1 {
		k.Errorf("matched %d, %v", len(found), err)
	}
}

func quantityBelowLedger(k *kit) {
	a := k.active("taint", 3)
	for range 2 {
		k.taken(a.Digest)
	}
	k.must(k.Stop(k.ctx, a.Digest, hooks.StateActive, hooks.StateDisabled, "", k.clock(), k.grant(auth.HooksDisable)))
	a.Quantity = 1
	k.refused(k.Activate(k.ctx, a, hooks.StateDisabled, k.grant(auth.HooksActivate)), errs.CodeBoundExceeded)
	if got := k.state(a.Digest); got != hooks.StateDisabled {
		k.Errorf("a refused activation left it %s", got)
	}
	k.ledger(a.Digest)
}

func disable(k *kit) {
	a := k.active("taint", 3)
	k.refused(k.Stop(k.ctx, a.Digest, hooks.StatePaused, hooks.StateDisabled, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeConflict)
	ok, err := k.ChangeState(k.ctx, a.Digest, hooks.StatePaused, hooks.StateExpired, "size", k.clock())
	if err != nil || ok {
		k.Errorf("a change from another state: %v, %v", ok, err)
	}
	k.advance(time.Minute)
	ok, err = k.ChangeState(k.ctx, a.Digest, hooks.StateActive, hooks.StatePaused, "error-rate", k.clock())
	if err != nil || !ok {
		k.Errorf("pause: %v, %v", ok, err)
	}
	k.advance(time.Minute)
	k.must(k.Stop(k.ctx, a.Digest, hooks.StatePaused, hooks.StateDisabled, "too noisy", k.clock(), k.grant(auth.HooksDisable)))
	a.State, a.Reason, a.ChangedAt = hooks.StateDisabled, "too noisy", k.clock()
	got, err := k.Activation(k.ctx, a.Digest)
	k.must(err)
	same(k, got, a)
	k.refused(k.Stop(k.ctx, "none", hooks.StateActive, hooks.StateDisabled, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeNotFound)
}

func pause(k *kit) {
	a := k.active("taint", 3)
	j := k.taken(a.Digest)
	for _, to := range []hooks.State{hooks.StateExpired, hooks.StateActive, hooks.StateRevoked, hooks.StateApproved, ""} {
		k.refused(k.Stop(k.ctx, a.Digest, hooks.StateActive, to, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeBadInput)
	}
	same(k, k.state(a.Digest), hooks.StateActive)
	k.advance(time.Minute)
	g := k.grant(auth.HooksDisable)
	k.must(k.Stop(k.ctx, a.Digest, hooks.StateActive, hooks.StatePaused, "a moment", k.clock(), g))
	same(k, k.entries()[0], g.Entry())
	a.State, a.Reason, a.ChangedAt, a.Ledger = hooks.StatePaused, "a moment", k.clock(), hooks.Ledger{Issued: 1, Leased: 1}
	got, err := k.Activation(k.ctx, a.Digest)
	k.must(err)
	same(k, got, a)
	k.refused(k.lease(k.next(a.Digest)), errs.CodeHookNotActive)
	if found, err := k.ActiveByKeys(k.ctx, a.Keys); err != nil || len(found) != 0 {
		k.Errorf("a paused version is matched: %d, %v", len(found), err)
	}
	k.refused(k.Stop(k.ctx, a.Digest, hooks.StateActive, hooks.StatePaused, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeConflict)
	k.settled(j, hooks.OutcomeReceived, 2) // what is out is still settled
	k.must(k.Activate(k.ctx, a, hooks.StatePaused, k.grant(auth.HooksActivate)))
	k.taken(a.Digest)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: 2, Leased: 1, Received: 1, Bytes: 2})
	k.must(k.Stop(k.ctx, a.Digest, hooks.StateActive, hooks.StatePaused, "", k.clock(), k.grant(auth.HooksDisable)))
	k.must(k.Stop(k.ctx, a.Digest, hooks.StatePaused, hooks.StateDisabled, "", k.clock(), k.grant(auth.HooksDisable)))
	same(k, k.state(a.Digest), hooks.StateDisabled)
}

// An active version gets other bounds and stays active.
func newBounds(k *kit) {
	a, other := k.active("taint", 9), k.active("other", 3)
	k.settled(k.taken(a.Digest), hooks.OutcomeReceived, 5)
	k.taken(a.Digest)
	k.advance(time.Minute)
	below := a
	below.Quantity, below.Deadline, below.ChangedAt = 1, a.Deadline.Add(time.Hour), k.clock()
	n := len(k.entries())
	k.refused(k.Activate(k.ctx, below, hooks.StateActive, k.grant(auth.HooksActivate)), errs.CodeBoundExceeded)
	same(k, len(k.entries()), n)
	a.Ledger = hooks.Ledger{Issued: 2, Leased: 1, Received: 1, Bytes: 5}
	got, err := k.Activation(k.ctx, a.Digest)
	k.must(err)
	same(k, got, a)
	for _, quantity := range []int64{2, 20, 3} {
		k.advance(time.Minute)
		a.Quantity, a.Deadline, a.Rollout = quantity, a.Deadline.Add(time.Hour), hooks.Rollout{Percent: quantity, PerMinute: 2}
		a.ChangedAt = k.clock()
		k.must(k.Activate(k.ctx, a, hooks.StateActive, k.grant(auth.HooksActivate)))
		got, err := k.Activation(k.ctx, a.Digest)
		k.must(err)
		same(k, got, a)
	}
	if found, err := k.ActiveByKeys(k.ctx, a.Keys); err != nil || len(found) != 2 {
		k.Errorf("matched %d, %v", len(found), err)
	}
	k.taken(a.Digest)
	k.refused(k.lease(k.next(a.Digest)), errs.CodeQuantityReached)
	same(k, k.state(other.Digest), hooks.StateActive)
}

// What is out when an activation is revoked is still settled, and counted.
func revokeActivation(k *kit) {
	a := k.active("taint", 3)
	j := k.taken(a.Digest)
	k.refused(k.Revoke(k.ctx, a.Digest, hooks.StatePaused, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeConflict)
	k.refused(k.Revoke(k.ctx, "none", hooks.StateActive, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeNotFound)
	k.advance(time.Minute)
	k.must(k.Revoke(k.ctx, a.Digest, hooks.StateActive, "alice revoked the key", k.clock(), k.grant(auth.HooksDisable)))
	entry := k.entries()[0]
	if entry.Outcome != auth.OutcomeOK {
		k.Errorf("the audit log says %q", entry.Outcome)
	}
	a.State, a.Reason, a.ChangedAt = hooks.StateRevoked, "alice revoked the key", k.clock()
	a.Ledger = hooks.Ledger{Issued: 1, Leased: 1}
	got, err := k.Activation(k.ctx, a.Digest)
	k.must(err)
	same(k, got, a)
	k.refused(k.lease(k.next(a.Digest)), errs.CodeHookNotActive)
	if found, err := k.ActiveByKeys(k.ctx, a.Keys); err != nil || len(found) != 0 {
		k.Errorf("a revoked version is matched: %d, %v", len(found), err)
	}
	s, err := k.Settle(k.ctx, j.ID, jobs.Decision{Status: jobs.Failed, Outcome: hooks.OutcomeCancelled, Code: string(errs.CodeRevoked)}, nil, k.clock())
	if err != nil || !s.OK || s.Activation.State != hooks.StateRevoked || s.Activation.Ledger != (hooks.Ledger{Issued: 1, Cancelled: 1}) {
		k.Errorf("settled after the revocation: %+v, %v", s, err)
	}
	k.refused(k.Activate(k.ctx, a, hooks.StateActive, k.grant(auth.HooksActivate)), errs.CodeConflict)
	k.refused(k.Revoke(k.ctx, a.Digest, hooks.StateActive, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeConflict)
	k.ledger(a.Digest)
}

func revokeVersion(k *kit) {
	for i, from := range []hooks.State{hooks.StateSubmitted, hooks.StateChangesRequested, hooks.StateApproved} {
		v := k.version(fmt.Sprintf("hook%d", i), 1)
		if from != hooks.StateSubmitted {
			k.must(k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateSubmitted, from, k.grant(auth.HooksReview)))
		}
		k.refused(k.Revoke(k.ctx, v.Digest, hooks.StateRejected, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeConflict)
		k.must(k.Revoke(k.ctx, v.Digest, from, "", k.clock(), k.grant(auth.HooksDisable)))
		if got := k.life(v.Digest); got.State() != hooks.StateRevoked || got.Activation != nil || len(got.Version.Signatures) == 0 {
			k.Errorf("from %s: %s, %d signatures", from, got.State(), len(got.Version.Signatures))
		}
		k.refused(k.Activate(k.ctx, k.activation(v, 3), hooks.StateApproved, k.grant(auth.HooksActivate)), errs.CodeConflict)
		k.refused(k.AddReview(k.ctx, k.approval(v.Digest, "carol"), hooks.StateSubmitted, hooks.StateApproved, k.grant(auth.HooksReview)), errs.CodeConflict)
	}
	k.refused(k.Revoke(k.ctx, "none", hooks.StateSubmitted, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeNotFound)
	a := k.active("taint", 3)
	k.refused(k.Revoke(k.ctx, a.Digest, hooks.StateApproved, "", k.clock(), k.grant(auth.HooksDisable)), errs.CodeConflict)
	if got := k.state(a.Digest); got != hooks.StateActive {
		k.Errorf("a refused revocation left the activation %s", got)
	}
}

func byKeys(k *kit) {
	for i, keys := range [][]string{{"fp:a", "fp:b"}, {"fp:b"}, {"pkg:nginx"}, {"fp:a.$x:é"}} {
		a := k.activation(k.approved(fmt.Sprintf("hook%d", i), 1), 3)
		a.Keys = keys
		k.must(k.Activate(k.ctx, a, hooks.StateApproved, k.grant(auth.HooksActivate)))
	}
	check := func(keys []string, want ...string) {
		k.Helper()
		found, err := k.ActiveByKeys(k.ctx, keys)
		k.must(err)
		var got []string
		for _, a := range found {
			got = append(got, a.Digest)
		}
		slices.Sort(got)
		same(k, got, want)
	}
	check(nil)
	check([]string{"fp:nobody", ""})
	check([]string{"fp:a"}, "hook0-1")
	check([]string{"fp:b", "fp:a", "fp:b"}, "hook0-1", "hook1-1")
	check([]string{"pkg:nginx", "fp:a.$x:é"}, "hook2-1", "hook3-1")
	_, err := k.ChangeState(k.ctx, "hook0-1", hooks.StateActive, hooks.StateExpired, "deadline", k.clock())
	k.must(err)
	check([]string{"fp:b", "fp:a"}, "hook1-1")
}
