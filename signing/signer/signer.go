// Package signer holds private keys: it makes them, opens them and signs.
//
// Only the command line of a person links it. Keys are in the format that
// cosign writes and reads: PKCS #8, encrypted with a passphrase (scrypt,
// NaCl secretbox), in a PEM block.
package signer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/signing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

const (
	pemType       = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemTypeCosign = "ENCRYPTED COSIGN PRIVATE KEY" // older cosign
	maxKeyBytes   = 16 << 10
)

// Signer is an opened private key.
type Signer struct {
	key    crypto.Signer
	public signing.PublicKey
}

// Generate makes a P-256 key pair: the private key encrypted under the
// passphrase, and the public key, both PEM. It takes some 0.3 s on purpose.
func Generate(passphrase []byte) (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot make a key")
	}
	return seal(key, passphrase)
}

func seal(key crypto.Signer, passphrase []byte) (private, public []byte, err error) {
	pub, err := signing.NewPublicKey(key.Public())
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot encode the private key")
	}
	box, err := encrypted.Encrypt(der, passphrase)
	if err != nil {
		return nil, nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot encrypt the private key")
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: box}), pub.PEM(), nil
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
	case block.Type != pemType && block.Type != pemTypeCosign:
		return nil, errs.New(errs.CodeKeyInvalid, "cannot read the private key: its PEM type is not %s", pemType).
			WithHint("make one with: hookline key generate, or import yours with: cosign import-key-pair")
	}
	der, err := encrypted.Decrypt(block.Bytes, passphrase)
	if err != nil {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot open the private key: the passphrase is wrong or the file is damaged")
	}
	return fromPKCS8(der)
}

func fromPKCS8(der []byte) (*Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot read the private key")
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot sign with this kind of key")
	}
	return New(s)
}

// New wraps a key that is held elsewhere, P-256 or Ed25519: by an agent, a
// token, or only in memory.
func New(key crypto.Signer) (*Signer, error) {
	pub, err := signing.NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, public: pub}, nil
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
	sig, err := s.sign(signing.PAE(statement))
	if err != nil {
		return nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot sign")
	}
	return signing.EncodeFile(statement, sig, s.public)
}

// sign makes a DER signature over the SHA-256 with P-256 and a pure Ed25519
// one otherwise (cosign itself would make Ed25519ph, which nobody verifies).
func (s *Signer) sign(pae []byte) ([]byte, error) {
	if _, ok := s.public.Key.(ed25519.PublicKey); ok {
		return s.key.Sign(rand.Reader, pae, crypto.Hash(0))
	}
	sum := sha256.Sum256(pae)
	return s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
}
