package trust_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"

	"github.com/google/go-cmp/cmp"
)

// people are signers of package keeper, with the P-256 keys of newRepo.
func people(t *testing.T, names ...string) []keeper.Signer {
	t.Helper()
	out := make([]keeper.Signer, len(names))
	for i, name := range names {
		seed := sha256.Sum256([]byte(name))
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
		must(t, err)
		out[i], err = signer.New(k)
		must(t, err)
	}
	return out
}

// What package keeper makes in the years of a deployment: its people change,
// somebody revokes, the machines miss some of it, start anew, and enrol late.
func TestYearsOfADeployment(t *testing.T) {
	all := people(t, "alice", "bob", "dora", "erin", "frank")
	alice, bob, dora, erin, frank := all[0], all[1], all[2], all[3], all[4]
	now := start
	policy := newRepo(t).policy
	policy.Persons[2].Keys = []signing.PublicKey{dora.Public()} // carol's other key: keeper signs with P-256 here
	k, err := keeper.Init(t.TempDir(), keeper.Plan{
		Policy: policy.YAML(), Root: publics(alice, bob, dora), Targets: publics(alice, bob, dora),
	}, func() time.Time { return now })
	must(t, err)
	var bundles []trust.Bundle
	var anchors []trust.Anchor
	publish := func(signers ...keeper.Signer) {
		t.Helper()
		if len(k.Staged()) > 0 {
			_, err := k.Sign(signers...)
			must(t, err)
		}
		_, err := k.Freshen(signers[0], 7*day)
		must(t, err)
		b, err := k.Bundle()
		must(t, err)
		a, err := k.Anchor()
		must(t, err)
		bundles, anchors = append(bundles, b), append(anchors, a)
		now = now.Add(30 * day)
	}
	publish(alice, bob, erin) // erin signs that nothing is revoked yet
	rotate := func(out, in keeper.Signer) {
		t.Helper()
		must(t, k.Rotate(keeper.Rotation{
			Add:    byRole(publics(in)),
			Remove: byRole([]signing.KeyID{out.Public().ID}),
		}))
	}
	rotate(bob, frank)
	publish(alice, dora, bob, frank)
	_, err = k.Revoke(erin, signing.Revocation{Kind: signing.RevokeHook, Value: "a", Reason: "wrong"})
	must(t, err)
	publish(alice)
	rotate(alice, erin)
	publish(dora, frank, alice, erin)

	newest := bundles[len(bundles)-1]
	for i, anchor := range anchors {
		opened, err := anchor.Open(newest)
		must(t, err)
		if diff := cmp.Diff([]string{"a"}, names(opened)); diff != "" || opened.Roles()[0].Version != 3 {
			t.Errorf("anchor %d: root %d, %s", i, opened.Roles()[0].Version, diff)
		}
		again, err := anchor.Open(opened.Bundle())
		must(t, err)
		if diff := cmp.Diff(opened.Bundle(), again.Bundle()); diff != "" {
			t.Errorf("started anew: %s", diff)
		}
		for j, b := range bundles {
			known, err := anchor.Open(b)
			if newer := trust.Digest(b.Roots[len(b.Roots)-1]); err != nil {
				// Enrolled by a later root than the server shows.
				if wantCode(t, err, errs.CodeTrustRoot); j >= i {
					t.Errorf("anchor %d refuses bundle %d, whose root is %.8s: %v", i, j, newer, err)
				}
				continue
			}
			updated, err := known.Update(newest)
			must(t, err)
			if got := updated.RevocationsVersion(); got != opened.RevocationsVersion() {
				t.Errorf("from bundle %d: revocations %d", j, got)
			}
			if _, err := opened.Update(b); j < len(bundles)-1 && !errs.Is(err, errs.CodeTrustRollback) && !errs.Is(err, errs.CodeTrustSigned) {
				t.Errorf("bundle %d rolled back: %v", j, err)
			}
			if err := known.CheckFresh(time.Time{}, now); !errs.Is(err, errs.CodeTrustStale) {
				t.Errorf("bundle %d a month later: %v", j, err)
			}
		}
	}
}

func publics(signers ...keeper.Signer) []signing.PublicKey {
	var out []signing.PublicKey
	for _, s := range signers {
		out = append(out, s.Public())
	}
	return out
}

// byRole changes every role in one way.
func byRole[T any](list T) map[string]T {
	return map[string]T{metadata.ROOT: list, metadata.TARGETS: list, metadata.SNAPSHOT: list, metadata.TIMESTAMP: list}
}
