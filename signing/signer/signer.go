// Package signer holds private keys: it makes them, opens them and signs, or
// lets an ssh-agent sign.
//
// Only the command line of a person links it. Keys in files are in the format
// that cosign writes and reads: PKCS #8, encrypted with a passphrase (scrypt,
// NaCl secretbox), in a PEM block.
package signer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/signing"
)

const (
	pemTypeCosign = "ENCRYPTED COSIGN PRIVATE KEY" // older cosign
	maxKeyBytes   = 16 << 10
)

// MinPassphrase is the shortest passphrase of a new key, in bytes. Older keys
// and those of cosign open with any, even an empty one.
const MinPassphrase = 8

// Signer is an opened private key, or one that an agent holds.
type Signer struct {
	sign   func(message []byte) ([]byte, error)
	public signing.PublicKey
}

// Generate makes a P-256 key pair: the private key encrypted under the
// passphrase, and the public key, both PEM. It takes some 0.3 s on purpose.
// A passphrase below MinPassphrase is errs.CodeBadInput.
func Generate(passphrase []byte) (private, public []byte, err error) {
	if err := CheckPassphrase(passphrase); err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot make a key")
	}
	return seal(key, passphrase)
}

// CheckPassphrase is the check that Generate makes, for asking again in time.
func CheckPassphrase(passphrase []byte) error {
	if n := len(passphrase); n < MinPassphrase {
		return errs.New(errs.CodeBadInput, "cannot make a key: its passphrase has %d bytes, fewer than %d", n, MinPassphrase).
			WithHint("whoever copies the key's file can try all short passphrases")
	}
	return nil
}

func seal(key crypto.Signer, passphrase []byte) (private, public []byte, err error) {
	pub, err := signing.NewPublicKey(key.Public())
	if err != nil {
		return nil, nil, err
	}
	box, err := cryptoutils.MarshalPrivateKeyToEncryptedDER(key, cryptoutils.StaticPasswordFunc(passphrase))
	if err != nil {
		return nil, nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot encrypt the private key")
	}
	return cryptoutils.PEMEncode(cryptoutils.EncryptedSigstorePrivateKeyPEMType, box), pub.PEM(), nil
}

// Load opens a private key that Generate or cosign made: P-256 or Ed25519.
// A wrong passphrase and a damaged file are both errs.CodeKeyInvalid.
func Load(private, passphrase []byte) (*Signer, error) {
	if len(private) > maxKeyBytes {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot read the private key: it is longer than %d bytes", maxKeyBytes)
	}
	block, rest := pem.Decode(bytes.TrimSpace(private))
	switch {
	case block == nil || len(bytes.TrimSpace(rest)) > 0:
		return nil, errs.New(errs.CodeKeyInvalid, "cannot read the private key: it is not one PEM block")
	case block.Type == "PUBLIC KEY":
		return nil, errs.New(errs.CodeKeyInvalid, "cannot sign with a public key").WithHint("give the .key file, not the .pub file")
	case block.Type != string(cryptoutils.EncryptedSigstorePrivateKeyPEMType) && block.Type != pemTypeCosign:
		return nil, errs.New(errs.CodeKeyInvalid, "cannot read the private key: its PEM type is not %s", cryptoutils.EncryptedSigstorePrivateKeyPEMType).
			WithHint("make one with: hookline key generate, or import yours with: cosign import-key-pair")
	}
	if passphrase == nil {
		passphrase = []byte{} // nil would mean that the key is not encrypted
	}
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(bytes.TrimSpace(private), cryptoutils.StaticPasswordFunc(passphrase))
	if err != nil {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot open the private key: the passphrase is wrong or the file is damaged")
	}
	return New(key)
}

// New wraps a private key in memory, P-256 or Ed25519: DER signatures over the
// SHA-256 with P-256, pure Ed25519 otherwise (cosign itself would make
// Ed25519ph, which nobody verifies).
func New(key crypto.PrivateKey) (*Signer, error) {
	half, ok := key.(crypto.Signer)
	if !ok {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot sign with this kind of key")
	}
	pub, err := signing.NewPublicKey(half.Public())
	if err != nil {
		return nil, err
	}
	s, err := signature.LoadSigner(key, crypto.SHA256)
	if err != nil {
		return nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot sign with this key")
	}
	return &Signer{public: pub, sign: func(message []byte) ([]byte, error) {
		return s.SignMessage(bytes.NewReader(message))
	}}, nil
}

// Public is the key's public half.
func (s *Signer) Public() signing.PublicKey { return s.public }

// Sign signs a statement and returns the signature file. Bytes that
// hooks.ParseStatement refuses are not signed: nobody should put a name under
// what no peer would read.
func (s *Signer) Sign(statement []byte) (file []byte, err error) {
	if _, err := hooks.ParseStatement(statement); err != nil {
		return nil, err
	}
	sig, err := s.SignBytes(signing.PAE(statement))
	if err != nil {
		return nil, err
	}
	return signing.EncodeFile(statement, sig, s.public)
}

// SignBytes signs any bytes: with P-256 it returns an ASN.1 DER signature over
// their SHA-256, with Ed25519 a pure one over the bytes themselves. It is for
// bytes that are bound to their use, such as trust metadata; see Sign.
func (s *Signer) SignBytes(message []byte) ([]byte, error) {
	sig, err := s.sign(message)
	if _, said := errs.As(err); said {
		return nil, err
	}
	if err != nil {
		return nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot sign")
	}
	return sig, nil
}
