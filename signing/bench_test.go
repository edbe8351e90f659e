package signing_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"testing"

	"hookline/hooks"
	"hookline/signing"
)

// BenchmarkVerify against BenchmarkRawVerify3 is the cost of the whole
// decision over the three P-256 verifications that it cannot do without.
func BenchmarkVerify(b *testing.B) { benchVerify(b, signing.Revocations{}) }

// BenchmarkVerifyRevocations is BenchmarkVerify with 1,000 revocations that
// concern other things.
func BenchmarkVerifyRevocations(b *testing.B) { benchVerify(b, thousand()) }

func benchVerify(b *testing.B, revoked signing.Revocations) {
	k, second := newTeam(b), newSigner(b, "erin")
	k.policy.Persons[2] = person("carol", []signing.Role{signing.RoleReviewer}, second)
	r := signing.Rules{Policy: k.load(b), Revoked: revoked, Now: start}
	st := k.statement(b, nil)
	files := sign(b, st, k.alice, k.bob, second)
	for b.Loop() {
		if _, err := r.Verify([]byte(script), st, files); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRawVerify3(b *testing.B) {
	k := newTeam(b)
	st := k.statement(b, nil)
	f, err := signing.ParseFile(sign(b, st, k.alice)[0])
	if err != nil {
		b.Fatal(err)
	}
	key, ok := k.alice.Public().Key.(*ecdsa.PublicKey)
	if !ok {
		b.Fatal("not a P-256 key")
	}
	sum := sha256.Sum256(signing.PAE(st))
	for b.Loop() {
		for range 3 {
			if !ecdsa.VerifyASN1(key, sum[:], f.Sig) {
				b.Fatal("wrong signature")
			}
		}
	}
}

// thousand is a set of as many revocations of all kinds.
func thousand() signing.Revocations {
	var list []signing.Revocation
	for i := range 250 {
		digest := hooks.Digest(fmt.Append(nil, i))
		list = append(list, revoked(signing.RevokeHook, fmt.Sprintf("hook-%d", i)), revoked(signing.RevokeVersion, digest),
			revoked(signing.RevokeKey, digest), revoked(signing.RevokeApproval, signing.ApprovalValue(digest, signing.KeyID(digest))))
	}
	return signing.NewRevocations(list...)
}

// BenchmarkFlood refuses 20,000 wrong signatures, each way in which somebody
// can send them.
func BenchmarkFlood(b *testing.B) {
	k := newTeam(b)
	p := k.load(b)
	st := k.statement(b, nil)
	ways := floods(b, k, st, 20_000)
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		b.Run(way, func(b *testing.B) {
			for b.Loop() {
				if _, err := verify(p, []byte(script), st, ways[way]); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
