package signer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"hookline/signing/signer"
)

// What SignBytes makes is what plain cryptography verifies: trust metadata is
// held against it by another library.
func TestSignBytes(t *testing.T) {
	message := []byte("bytes of another kind")
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(message)
	for name, c := range map[string]struct {
		key    crypto.Signer
		verify func(sig []byte) bool
	}{
		"P-256":   {p256, func(sig []byte) bool { return ecdsa.VerifyASN1(&p256.PublicKey, sum[:], sig) }},
		"Ed25519": {ed, func(sig []byte) bool { return ed25519.Verify(ed.Public().(ed25519.PublicKey), message, sig) }},
	} {
		s, err := signer.New(c.key)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.SignBytes(message)
		if err != nil || !c.verify(sig) {
			t.Errorf("%s: the signature does not hold (%v)", name, err)
		}
	}
}
