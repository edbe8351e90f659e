package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"

	"github.com/sigstore/sigstore/pkg/signature"

	"hookline/internal/errs"
)

const (
	maxPublicKeyPEM  = 4096
	publicKeyPEMType = "PUBLIC KEY"
)

// ParsePublicKey reads one PEM block "PUBLIC KEY" with a P-256 or Ed25519 key,
// as cosign writes it. Anything before or after the block, PEM headers, other
// algorithms and any SPKI that is not the one encoding of its key are refused
// with errs.CodeKeyInvalid.
func ParsePublicKey(pemBytes []byte) (PublicKey, error) {
	if len(pemBytes) > maxPublicKeyPEM {
		return PublicKey{}, errs.New(errs.CodeKeyInvalid, "cannot read the public key: it is longer than %d bytes", maxPublicKeyPEM)
	}
	trimmed := bytes.TrimSpace(pemBytes)
	if !bytes.HasPrefix(trimmed, []byte("-----BEGIN "+publicKeyPEMType+"-----")) {
		return PublicKey{}, errs.New(errs.CodeKeyInvalid, "cannot read the public key: it does not start with a PUBLIC KEY block").
			WithHint("give the .pub file, not the private key")
	}
	block, rest := pem.Decode(trimmed)
	switch {
	case block == nil || block.Type != publicKeyPEMType:
		return PublicKey{}, errs.New(errs.CodeKeyInvalid, "cannot read the public key: the PEM block is damaged")
	case len(block.Headers) > 0:
		return PublicKey{}, errs.New(errs.CodeKeyInvalid, "cannot read the public key: PEM headers are not allowed")
	case len(bytes.TrimSpace(rest)) > 0:
		return PublicKey{}, errs.New(errs.CodeKeyInvalid, "cannot read the public key: there is something after the PEM block")
	}
	return parseSPKI(block.Bytes)
}

// NewPublicKey makes a PublicKey of a P-256 or Ed25519 key.
func NewPublicKey(key crypto.PublicKey) (PublicKey, error) {
	if err := checkAlgorithm(key); err != nil {
		return PublicKey{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return PublicKey{}, errs.Wrap(errs.CodeKeyInvalid, err, "cannot encode the public key")
	}
	sum := sha256.Sum256(der)
	return PublicKey{ID: KeyID(hex.EncodeToString(sum[:])), SPKI: der, Key: key}, nil
}

// parseSPKI insists on the one encoding of a key, so that a key has one id.
func parseSPKI(der []byte) (PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return PublicKey{}, errs.Wrap(errs.CodeKeyInvalid, err, "cannot read the public key")
	}
	pub, err := NewPublicKey(key)
	if err != nil {
		return PublicKey{}, err
	}
	if !bytes.Equal(pub.SPKI, der) {
		return PublicKey{}, errs.New(errs.CodeKeyInvalid, "cannot read the public key: its encoding is not canonical")
	}
	return pub, nil
}

func checkAlgorithm(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k != nil && k.Curve == elliptic.P256() {
			return nil
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return nil
		}
	}
	return errs.New(errs.CodeKeyInvalid, "cannot use the key: only ECDSA P-256 and Ed25519 keys are accepted").
		WithHint("make one with: hookline key generate")
}

// PEM is the key as a PUBLIC KEY block, what ParsePublicKey reads.
func (k PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: publicKeyPEMType, Bytes: k.SPKI})
}

// Algorithm names the kind of key for people: "ECDSA P-256" or "Ed25519".
func (k PublicKey) Algorithm() string {
	if _, ok := k.Key.(ed25519.PublicKey); ok {
		return "Ed25519"
	}
	return "ECDSA P-256"
}

// verify checks sig over the pre-authentication encoding pae: ASN.1 DER for
// P-256 (SHA-256), pure Ed25519 otherwise.
func (k PublicKey) verify(pae, sig []byte) bool {
	v, err := signature.LoadVerifier(k.Key, crypto.SHA256)
	return err == nil && v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(pae)) == nil
}
