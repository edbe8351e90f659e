package signing_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"hookline/internal/errs"
	"hookline/signing"
)

func TestParsePublicKey(t *testing.T) {
	for _, s := range []interface{ Public() signing.PublicKey }{newSigner(t, "erin"), newEd25519(t, "frank")} {
		want := s.Public()
		for _, text := range [][]byte{want.PEM(), append([]byte("\r\n"), append(want.PEM(), "\n\n"...)...), bytes.TrimSpace(want.PEM())} {
			got, err := signing.ParsePublicKey(text)
			if err != nil || got.ID != want.ID || !bytes.Equal(got.SPKI, want.SPKI) {
				t.Errorf("%s: %v", want.Algorithm(), err)
			}
		}
		if len(want.ID) != 64 || len(want.ID.Short()) != 16 || signing.FileName(want.ID) != string(want.ID[:16])+".sigstore.json" {
			t.Errorf("id %s", want.ID)
		}
	}
}

func TestPublicKeyRefusals(t *testing.T) {
	good := string(newSigner(t, "erin").Public().PEM())
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(good))
	longer := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append(bytes.Clone(block.Bytes), 0)}))
	headers := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: block.Bytes, Headers: map[string]string{"A": "b"}}))
	for name, text := range map[string]string{
		"empty":           "",
		"text":            "hello",
		"before":          "x\n" + good,
		"after":           good + "x",
		"two":             good + good,
		"headers":         headers,
		"cut":             good[:len(good)-10],
		"bytes after DER": longer,
		"another type":    strings.ReplaceAll(good, "PUBLIC KEY", "CERTIFICATE"),
		"P-384":           spki(t, &p384.PublicKey),
		"RSA":             spki(t, &rsaKey.PublicKey),
		"too long":        good + strings.Repeat("\n", 5000),
	} {
		if _, err := signing.ParsePublicKey([]byte(text)); !errs.Is(err, errs.CodeKeyInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func spki(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
