package storetest

import (
	"strconv"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store/archive"
)

func ledgerTests() []test {
	return []test{
		{"leases are refused with their reason and leave nothing", leaseRefusals},
		{"at most so many leases out", leasesOut},
		{"settling ends what has reached a bound", settleConcludes},
		{"every outcome has its column", outcomes},
		{"reservations", reservations},
		{"reservations of others are told apart", reservationsOfOthers},
		{"a result is held against the bytes", resultOverBytes},
		{"random walks against the model", ledgerWalks},
	}
}

// leaseRefusals has one activation for each way in which a lease is refused.
func leaseRefusals(k *kit) {
	inState := func(s hooks.State) func(j *jobs.Job) {
		return func(j *jobs.Job) {
			_, err := k.ChangeState(k.ctx, j.Version, hooks.StateActive, s, "", k.clock())
			k.must(err)
		}
	}
	now := k.clock()
	at := func(d time.Duration) func(*jobs.Job) { return func(*jobs.Job) { now = k.clock().Add(time.Hour + d) } }
	for i, c := range []struct {
		name string
		prep func(j *jobs.Job)
		code errs.Code
	}{
		{"just in time", at(-time.Millisecond), ""},
		{"deadline", at(0), errs.CodeDeadlineReached},
		{"never activated", func(j *jobs.Job) { j.Version = "none" }, errs.CodeHookNotActive},
		{"paused", inState(hooks.StatePaused), errs.CodeHookNotActive},
		{"expired", inState(hooks.StateExpired), errs.CodeHookNotActive},
		{"quantity, with leases out", func(j *jobs.Job) { k.taken(j.Version); k.taken(j.Version) }, errs.CodeQuantityReached},
		{"quantity, with a result", func(j *jobs.Job) {
			k.settled(k.taken(j.Version), hooks.OutcomeReceived, 1)
			k.taken(j.Version)
		}, errs.CodeQuantityReached},
		{"taken id of a lease", func(j *jobs.Job) { j.ID = k.taken(j.Version).ID }, errs.CodeConflict},
		{"taken id of a decided job", func(j *jobs.Job) {
			done := k.taken(j.Version)
			k.settled(done, hooks.OutcomeEmpty, 0)
			j.ID = done.ID
		}, errs.CodeConflict},
		{"taken id of a report", func(j *jobs.Job) { j.ID = k.filed("p", crashed).ID }, errs.CodeConflict},
		{"open slot", func(j *jobs.Job) { j.OriginalID = k.taken(j.Version).OriginalID }, errs.CodeAlreadyAsked},
		{"slot of a success", func(j *jobs.Job) {
			done := k.taken(j.Version)
			k.settled(done, hooks.OutcomeEmpty, 0)
			j.OriginalID = done.OriginalID
		}, errs.CodeAlreadyAsked},
		{"busy peer", func(j *jobs.Job) {
			for n := range jobs.MaxHooksPerPeer {
				k.pending(j.PeerID, "busy", j.ID+strconv.Itoa(n))
			}
		}, errs.CodePeerBusy},
	} {
		now = k.clock()
		v := k.active("hook"+strconv.Itoa(i), 2).Digest
		j := k.next(v)
		c.prep(&j)
		before, leases := k.ledger(v), k.leaseIDs()
		_, missing := k.Job(k.ctx, j.ID)
		err := k.Lease(k.ctx, j, now)
		if errs.CodeOf(err) != c.code {
			k.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
		if err == nil {
			continue
		}
		k.Log(c.name)
		same(k, k.ledger(v), before)
		same(k, k.leaseIDs(), leases)
		if _, err := k.Job(k.ctx, j.ID); errs.CodeOf(err) != errs.CodeOf(missing) {
			k.Errorf("%s: the refused job: %v, before %v", c.name, err, missing)
		}
	}
}

func (k *kit) leaseIDs() []string {
	k.Helper()
	list, err := k.Leases(k.ctx, "", 10_000)
	k.must(err)
	var ids []string
	for _, l := range list {
		ids = append(ids, l.ID)
	}
	return ids
}

// The lease cap, met from a store that was moved with all leases but two out.
func leasesOut(k *kit) {
	const out = hooks.MaxLeasesOut - 2
	a := archive.Activation{Activation: k.activation(k.approved("taint", 1), 2*hooks.MaxLeasesOut)}
	a.Ledger = hooks.Ledger{Issued: out, Leased: out}
	pending := make([]archive.Record, out)
	for i := range pending {
		j := k.next(a.Digest)
		a.Leases = append(a.Leases, collector.Lease{ID: j.ID, Version: a.Digest, TakenAt: k.clock()})
		pending[i] = archive.Record{Kind: archive.KindJob, Key: j.ID, Value: j}
	}
	k.must(k.ArchivePut(k.ctx, []archive.Record{{Kind: archive.KindActivation, Key: a.Digest, Value: a}}, archive.Mark{}))
	k.must(k.ArchivePut(k.ctx, pending, archive.Mark{}))
	last := k.taken(a.Digest)
	k.taken(a.Digest)
	k.refused(k.lease(k.next(a.Digest)), errs.CodeLeasesOut)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: hooks.MaxLeasesOut, Leased: hooks.MaxLeasesOut})
	k.settled(last, hooks.OutcomeEmpty, 0)
	k.taken(a.Digest)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: hooks.MaxLeasesOut + 1, Leased: hooks.MaxLeasesOut, Empty: 1})
}

// settleConcludes: what a settlement brings about is there with it.
func settleConcludes(k *kit) {
	for i, c := range []struct {
		name  string
		bring func(v string) jobs.Job // the job before the last settlement
		o     hooks.Outcome
		bytes int64
		state hooks.State
		why   errs.Code
	}{
		{"not yet", k.taken, hooks.OutcomeReceived, 5, hooks.StateActive, ""},
		{"quantity", func(v string) jobs.Job {
			k.settled(k.taken(v), hooks.OutcomeReceived, 1)
			return k.taken(v)
		}, hooks.OutcomeReceived, 1, hooks.StateExpired, errs.CodeQuantityReached},
		{"bytes", k.taken, hooks.OutcomeReceived, 10_000, hooks.StateExpired, errs.CodeBytesReached},
		{"errors", func(v string) jobs.Job {
			for range 2*2 + 10 {
				k.settled(k.taken(v), hooks.OutcomeFailed, 0)
			}
			return k.taken(v)
		}, hooks.OutcomeTimedOut, 0, hooks.StatePaused, errs.CodeErrorRate},
		{"deadline", func(v string) jobs.Job {
			j := k.taken(v)
			k.advance(time.Hour)
			return j
		}, hooks.OutcomeReceived, 1, hooks.StateExpired, errs.CodeDeadlineReached},
		{"disabled meanwhile", func(v string) jobs.Job {
			j := k.taken(v)
			_, err := k.ChangeState(k.ctx, v, hooks.StateActive, hooks.StateDisabled, "", k.clock())
			k.must(err)
			return j
		}, hooks.OutcomeReceived, 10_000, hooks.StateDisabled, ""},
	} {
		v := k.active("hook"+strconv.Itoa(i), 2).Digest
		s := k.settled(c.bring(v), c.o, c.bytes)
		if s.Activation.State != c.state || s.Activation.Reason != string(c.why) {
			k.Errorf("%s: it is %s for %q", c.name, s.Activation.State, s.Activation.Reason)
		}
		stored, err := k.Activation(k.ctx, v)
		k.must(err)
		same(k, s.Activation, stored)
		found, err := k.ActiveByKeys(k.ctx, stored.Keys)
		k.must(err)
		if matched := len(found) > 0; matched != (c.state == hooks.StateActive) {
			k.Errorf("%s: it is matched: %v", c.name, matched)
		}
		_, err = k.ChangeState(k.ctx, v, hooks.StateActive, hooks.StateDisabled, "", k.clock()) // out of the next one's way
		k.must(err)
	}
}

func outcomes(k *kit) {
	a := k.active("taint", 100)
	var want hooks.Ledger
	for i, o := range []hooks.Outcome{
		hooks.OutcomeReceived, hooks.OutcomeEmpty, hooks.OutcomeFailed, hooks.OutcomeRefused,
		hooks.OutcomeDeferred, hooks.OutcomeCancelled, hooks.OutcomeTimedOut, "nonsense",
	} {
		for range i + 1 {
			k.settled(k.taken(a.Digest), o, 10)
			want.Issued, want.Leased = want.Issued+1, want.Leased+1
			want.Settle(o, 10)
		}
	}
	same(k, k.ledger(a.Digest), want)
}

func reservations(k *kit) {
	a := k.active("taint", 10) // 10,000 bytes
	k.refused(k.Reserve(k.ctx, a.Digest, "none", 1), errs.CodeNotFound)
	first, second := k.taken(a.Digest), k.taken(a.Digest)
	one, two := first.ID, second.ID
	k.refused(k.Reserve(k.ctx, "none", one, 1), errs.CodeNotFound)
	k.must(k.Reserve(k.ctx, a.Digest, one, 6_000))
	k.must(k.Reserve(k.ctx, a.Digest, one, 1_000))
	same(k, k.ledger(a.Digest).Reserved, int64(7_000))
	k.must(k.Reserve(k.ctx, a.Digest, one, -3_000))
	same(k, k.ledger(a.Digest).Reserved, int64(4_000))
	k.must(k.Reserve(k.ctx, a.Digest, two, 500))
	k.must(k.Reserve(k.ctx, a.Digest, one, -9_000)) // at most what it has
	same(k, k.ledger(a.Digest).Reserved, int64(500))
	leases, err := k.Leases(k.ctx, "", 10)
	k.must(err)
	if len(leases) != 2 || leases[0].Reserved+leases[1].Reserved != 500 {
		k.Errorf("leases: %+v", leases)
	}
	k.must(k.Reserve(k.ctx, a.Digest, one, 9_500))
	k.settled(first, hooks.OutcomeFailed, 0)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: 2, Leased: 1, Failed: 1, Reserved: 500})
	k.settled(second, hooks.OutcomeReceived, 700) // more than it has reserved, and there is room
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: 2, Received: 1, Failed: 1, Bytes: 700})
	k.refused(k.Reserve(k.ctx, a.Digest, two, 1), errs.CodeNotFound)
}

func reservationsOfOthers(k *kit) {
	a := k.active("taint", 10)
	first, second := k.taken(a.Digest), k.taken(a.Digest)
	one, two := first.ID, second.ID
	k.must(k.Reserve(k.ctx, a.Digest, one, 6_000))
	k.must(k.Reserve(k.ctx, a.Digest, two, 4_000))
	k.refused(k.Reserve(k.ctx, a.Digest, two, 1), errs.CodeRateLimited)     // only one's reservation is in the way
	k.refused(k.Reserve(k.ctx, a.Digest, two, 6_000), errs.CodeRateLimited) // alone it would just fit
	k.refused(k.Reserve(k.ctx, a.Digest, two, 6_001), errs.CodeBytesReached)
	k.settled(first, hooks.OutcomeReceived, 6_000)
	k.refused(k.Reserve(k.ctx, a.Digest, two, 1), errs.CodeBytesReached)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: 2, Leased: 1, Received: 1, Bytes: 6_000, Reserved: 4_000})
}

// resultOverBytes: a result that was never reserved is refused where it does
// not fit, and its job is as it was.
func resultOverBytes(k *kit) {
	a := k.active("taint", 10)
	other, j := k.taken(a.Digest), k.taken(a.Digest)
	k.must(k.Reserve(k.ctx, a.Digest, other.ID, 6_000))
	before := k.ledger(a.Digest)
	for n, code := range map[int64]errs.Code{4_001: errs.CodeRateLimited, 10_000: errs.CodeRateLimited, 10_001: errs.CodeBytesReached} {
		_, err := k.settle(j, hooks.OutcomeReceived, n)
		k.refused(err, code)
		same(k, k.ledger(a.Digest), before)
		same(k, k.job(j.ID), j)
		same(k, len(k.shown(everyResult)), 0)
	}
	k.settled(j, hooks.OutcomeReceived, 4_000)
	_, err := k.settle(other, hooks.OutcomeReceived, 6_001)
	k.refused(err, errs.CodeBytesReached)
	k.settled(other, hooks.OutcomeReceived, 6_000)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: 2, Received: 2, Bytes: 10_000})
	same(k, k.state(a.Digest), hooks.StateExpired)
}
