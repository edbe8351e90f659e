package signer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
)

// generated is one key pair for all tests: making and opening one is slow on
// purpose, and the race detector makes it ten times slower.
var generated = sync.OnceValues(func() (pair [2][]byte, err error) {
	pair[0], pair[1], err = signer.Generate([]byte("correct horse"))
	return pair, err
})

func generate(t *testing.T) (private, public []byte) {
	t.Helper()
	pair, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	return pair[0], pair[1]
}

func TestGenerateLoadSign(t *testing.T) {
	private, public := generate(t)
	if !bytes.HasPrefix(private, []byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")) {
		t.Errorf("private key: %.60s", private)
	}
	s, err := signer.Load(private, []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := signing.ParsePublicKey(public)
	if err != nil || pub.ID != s.Public().ID {
		t.Fatalf("public half: %v", err)
	}
	st := statement(t, string(pub.ID))
	file, err := s.Sign(st)
	if err != nil {
		t.Fatal(err)
	}
	f, err := signing.ParseFile(file)
	if err != nil || f.Hint != pub.ID || !bytes.Equal(f.Payload, st) {
		t.Errorf("file %+v, %v", f, err)
	}
	if _, err := signer.Load(private, []byte("correct horse\n")); !errs.Is(err, errs.CodeKeyInvalid) || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("wrong passphrase: %v", err)
	}
}

// A new key is never worth less than its passphrase; an old one opens as it is.
func TestPassphraseOfANewKey(t *testing.T) {
	for _, short := range []string{"", "1234567"} {
		if _, _, err := signer.Generate([]byte(short)); !errs.Is(err, errs.CodeBadInput) {
			t.Errorf("a key with passphrase %q: %v", short, err)
		}
	}
	if err := signer.CheckPassphrase([]byte("12345678")); err != nil {
		t.Error(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	box, err := encrypted.EncryptWithCustomKDFParameters(der, []byte{}, encrypted.Legacy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Load(repack(box), nil); err != nil {
		t.Errorf("an old key without a passphrase: %v", err)
	}
}

func TestLoadRefusals(t *testing.T) {
	private, public := generate(t)
	block, _ := pem.Decode(private)
	damaged := bytes.Clone(block.Bytes)
	damaged[len(damaged)-10] ^= 1
	costly := bytes.Replace(block.Bytes, []byte(`"N":65536`), []byte(`"N":1073741824`), 1)
	if bytes.Equal(costly, block.Bytes) {
		t.Fatal("the key does not hold N")
	}
	for name, b := range map[string][]byte{
		"empty":             nil,
		"text":              []byte("hello"),
		"two keys":          append(bytes.Clone(private), private...),
		"a public key":      public,
		"a plain key":       []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		"too long":          append(bytes.Clone(private), make([]byte, 20<<10)...),
		"damaged":           repack(damaged),
		"hours of work":     repack(costly),
		"not even a box":    repack([]byte("{}")),
		"box of other type": repack([]byte(`{"kdf":{"name":"md5"}}`)),
	} {
		if _, err := signer.Load(b, []byte("correct horse")); !errs.Is(err, errs.CodeKeyInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func repack(b []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: b})
}

func TestSignRefusesWhatIsNoStatement(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := signer.New(key)
	if err != nil {
		t.Fatal(err)
	}
	st := statement(t, string(s.Public().ID))
	for _, b := range [][]byte{nil, []byte("{}"), append(bytes.Clone(st), ' '), bytes.Replace(st, []byte(`"max_reports":1`), []byte(`"max_reports":0`), 1)} {
		if _, err := s.Sign(b); err == nil {
			t.Errorf("signed %.60q", b)
		}
	}
}

func statement(t *testing.T, author string) []byte {
	t.Helper()
	from := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	b, err := hooks.Statement{
		Type:          hooks.StatementType,
		Subject:       []hooks.Subject{{Name: hooks.ScriptName, Digest: hooks.SubjectDigest{SHA256: hooks.Digest(nil)}}},
		PredicateType: hooks.PredicateType,
		Predicate: hooks.Predicate{
			Deployment: "d-" + strings.Repeat("0", 32), Hook: "h", Version: 1, Author: author,
			Level: hooks.LevelPackage, Match: hooks.Match{Fingerprints: []string{}, Package: "nginx"},
			Capabilities: hooks.ReadingOnly(), As: hooks.AsService,
			Fields:    []hooks.DeclaredField{{Name: "A", Type: hooks.TypeInt, Class: hooks.ClassTechnical, MaxBytes: 8}},
			NotBefore: from.Unix(), NotAfter: from.Add(time.Hour).Unix(),
			MaxReports: 1, MaxRunsPerPeer: 1, MaxPercent: 100, MaxBytes: 100, MaxResultBytes: 100, MaxRuntimeMS: 100,
		},
	}.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
