package signing_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"testing"

	"hookline/signing"
)

// BenchmarkVerify against BenchmarkRawVerify3 is the cost of the whole
// decision over the three P-256 verifications that it cannot do without.
func BenchmarkVerify(b *testing.B) {
	k, second := newTeam(b), newSigner(b, "erin")
	k.policy.Persons[2] = person("carol", []signing.Role{signing.RoleReviewer}, second)
	p := k.load(b)
	st := k.statement(b, nil)
	files := sign(b, st, k.alice, k.bob, second)
	for b.Loop() {
		if _, err := verify(p, []byte(script), st, files); err != nil {
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
