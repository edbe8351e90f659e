package keeper

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
)

// Signer signs bytes with a person's key: *signer.Signer.
type Signer interface {
	Public() signing.PublicKey
	SignBytes(message []byte) ([]byte, error) // P-256: DER over the SHA-256; Ed25519: pure
}

// sign adds a key's signature, in place of an older one of the same key.
func (s *sheet) sign(key Signer) error {
	pub := key.Public()
	_, id, err := tufKey(pub)
	if err != nil {
		return err
	}
	sig, err := key.SignBytes(s.payload)
	if err != nil {
		return err
	}
	if !verify(pub, s.payload, sig) {
		return errs.New(errs.CodeSignatureInvalid, "cannot sign the %s: the signature of the key %s does not verify", s.role, pub.ID.Short())
	}
	s.sigs = slices.DeleteFunc(s.sigs, func(old metadata.Signature) bool { return old.KeyID == id })
	s.sigs = append(s.sigs, metadata.Signature{KeyID: id, Signature: sig})
	slices.SortFunc(s.sigs, func(a, b metadata.Signature) int { return strings.Compare(a.KeyID, b.KeyID) })
	return nil
}

// signedBy lists the keys of a role whose signature is there and verifies.
func (s *sheet) signedBy(r roleKeys) []signing.KeyID {
	var ids []signing.KeyID
	for _, k := range r.keys {
		_, id, err := tufKey(k)
		if err != nil {
			continue
		}
		for _, sig := range s.sigs {
			if sig.KeyID == id && verify(k, s.payload, sig.Signature) && !slices.Contains(ids, k.ID) {
				ids = append(ids, k.ID)
			}
		}
	}
	return ids
}

// met reports whether enough keys of a role signed.
func (s *sheet) met(r roleKeys) bool { return r.threshold > 0 && len(s.signedBy(r)) >= r.threshold }

// keep drops what is no valid signature of one of the roles' keys.
func (s *sheet) keep(roles ...roleKeys) {
	valid := map[string]bool{}
	for _, r := range roles {
		for _, k := range r.keys {
			if _, id, err := tufKey(k); err == nil && slices.Contains(s.signedBy(r), k.ID) {
				valid[id] = true
			}
		}
	}
	s.sigs = slices.DeleteFunc(s.sigs, func(sig metadata.Signature) bool { return !valid[sig.KeyID] })
}

func verify(k signing.PublicKey, message, sig []byte) bool {
	switch key := k.Key.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(key, sum[:], sig)
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, sig)
	}
	return false
}
