package storetest

import (
	"fmt"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
)

func ledgerTests() []test {
	return []test{
		{"leases are refused with their reason", leaseRefusals},
		{"at most so many leases out", leasesOut},
		{"settling counts once", settleOnce},
		{"every outcome has its column", outcomes},
		{"reservations", reservations},
		{"reservations of others are told apart", reservationsOfOthers},
		{"random walks against the model", ledgerWalks},
	}
}

func leaseRefusals(k *kit) {
	a := k.active("taint", 2)
	k.refused(k.TakeLease(k.ctx, "none", k.id(), k.clock()), errs.CodeHookNotActive)
	k.refused(k.TakeLease(k.ctx, a.Digest, k.id(), a.Deadline), errs.CodeDeadlineReached)
	lease := k.id()
	k.must(k.TakeLease(k.ctx, a.Digest, lease, a.Deadline.Add(-time.Millisecond)))
	if err := k.TakeLease(k.ctx, a.Digest, lease, k.clock()); err == nil {
		k.Error("one lease was taken twice")
	}
	k.must(k.TakeLease(k.ctx, a.Digest, k.id(), k.clock()))
	k.refused(k.TakeLease(k.ctx, a.Digest, k.id(), k.clock()), errs.CodeQuantityReached)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: 2, Leased: 2})
	_, err := k.ChangeState(k.ctx, a.Digest, hooks.StateActive, hooks.StatePaused, "", k.clock())
	k.must(err)
	k.refused(k.TakeLease(k.ctx, a.Digest, k.id(), k.clock()), errs.CodeHookNotActive)
}

func leasesOut(k *kit) {
	a := k.active("taint", hooks.MaxLeasesOut+1)
	for range hooks.MaxLeasesOut {
		k.must(k.TakeLease(k.ctx, a.Digest, k.id(), k.clock()))
	}
	k.refused(k.TakeLease(k.ctx, a.Digest, k.id(), k.clock()), errs.CodeLeasesOut)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: hooks.MaxLeasesOut, Leased: hooks.MaxLeasesOut})
}

func settleOnce(k *kit) {
	a, other := k.active("taint", 1), k.active("other", 1)
	lease := k.id()
	k.must(k.TakeLease(k.ctx, a.Digest, lease, k.clock()))
	k.must(k.Reserve(k.ctx, a.Digest, lease, 100))
	if _, ok, err := k.SettleLease(k.ctx, other.Digest, lease, hooks.OutcomeFailed, 0, k.clock()); err != nil || ok {
		k.Errorf("a lease was settled on another version: %v, %v", ok, err)
	}
	want := hooks.Ledger{Issued: 1, Received: 1, Bytes: 80}
	for i := range 3 {
		got, ok, err := k.SettleLease(k.ctx, a.Digest, lease, hooks.OutcomeReceived, 80, k.clock())
		k.must(err)
		if ok != (i == 0) {
			k.Errorf("settle number %d: %v", i+1, ok)
		}
		same(k, got.Ledger, want)
		same(k, got.Digest, a.Digest)
	}
	same(k, k.ledger(a.Digest), want)
	same(k, k.ledger(other.Digest), hooks.Ledger{})
	k.refused(k.TakeLease(k.ctx, a.Digest, k.id(), k.clock()), errs.CodeQuantityReached)
}

func outcomes(k *kit) {
	a := k.active("taint", 100)
	var want hooks.Ledger
	for i, o := range []hooks.Outcome{
		hooks.OutcomeReceived, hooks.OutcomeEmpty, hooks.OutcomeFailed, hooks.OutcomeRefused,
		hooks.OutcomeDeferred, hooks.OutcomeCancelled, hooks.OutcomeTimedOut, "nonsense",
	} {
		for range i + 1 {
			lease := k.id()
			k.must(k.TakeLease(k.ctx, a.Digest, lease, k.clock()))
			_, ok, err := k.SettleLease(k.ctx, a.Digest, lease, o, 10, k.clock())
			if err != nil || !ok {
				k.Fatalf("settling %s: %v, %v", o, ok, err)
			}
			want.Issued, want.Leased = want.Issued+1, want.Leased+1
			want.Settle(o, 10)
		}
	}
	same(k, k.ledger(a.Digest), want)
}

func reservations(k *kit) {
	a := k.active("taint", 10) // 10,000 bytes
	one, two := k.id(), k.id()
	k.refused(k.Reserve(k.ctx, a.Digest, one, 1), errs.CodeNotFound)
	k.must(k.TakeLease(k.ctx, a.Digest, one, k.clock()))
	k.must(k.TakeLease(k.ctx, a.Digest, two, k.clock()))
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
	_, _, err = k.SettleLease(k.ctx, a.Digest, one, hooks.OutcomeFailed, 0, k.clock())
	k.must(err)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: 2, Leased: 1, Failed: 1, Reserved: 500})
}

func reservationsOfOthers(k *kit) {
	a := k.active("taint", 10)
	one, two := k.id(), k.id()
	k.must(k.TakeLease(k.ctx, a.Digest, one, k.clock()))
	k.must(k.TakeLease(k.ctx, a.Digest, two, k.clock()))
	k.must(k.Reserve(k.ctx, a.Digest, one, 6_000))
	k.must(k.Reserve(k.ctx, a.Digest, two, 4_000))
	k.refused(k.Reserve(k.ctx, a.Digest, two, 1), errs.CodeRateLimited)     // only one's reservation is in the way
	k.refused(k.Reserve(k.ctx, a.Digest, two, 6_000), errs.CodeRateLimited) // alone it would just fit
	k.refused(k.Reserve(k.ctx, a.Digest, two, 6_001), errs.CodeBytesReached)
	if _, _, err := k.SettleLease(k.ctx, a.Digest, one, hooks.OutcomeReceived, 6_000, k.clock()); err != nil {
		k.Fatal(err)
	}
	k.refused(k.Reserve(k.ctx, a.Digest, two, 1), errs.CodeBytesReached)
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: 2, Leased: 1, Received: 1, Bytes: 6_000, Reserved: 4_000})
	_, _, err := k.SettleLease(k.ctx, a.Digest, two, hooks.OutcomeReceived, 4_001, k.clock())
	k.refused(err, errs.CodeBytesReached) // never reserved, and no room
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: 2, Leased: 1, Received: 1, Bytes: 6_000, Reserved: 4_000})
}

// leaseName makes readable ids for the walks.
func leaseName(i int) string { return fmt.Sprintf("lease-%06d", i) }
