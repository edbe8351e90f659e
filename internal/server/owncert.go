package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"hookline/internal/durable"
	"hookline/internal/errs"
)

// The certificate that a server makes for the address for people, where nobody
// gave it one. It is its own issuer: a browser asks once, and the command line
// is told with SSL_CERT_FILE. The deployment's CA cannot sign it: that one is
// good for the peers' name alone.
const (
	ownCertFile = "http.crt"
	ownKeyFile  = "http.key"
	ownCertLife = 397 * 24 * time.Hour // browsers take no longer ones
	ownCertSoon = 30 * 24 * time.Hour  // before its end another is made
	maxOwnNames = 20
)

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

// ownCertificate is the certificate in the data folder, made where there is
// none, or none for these names, or one that ends within a month.
func ownCertificate(data string, names []string, now time.Time) (cert tls.Certificate, fingerprint string, err error) {
	if err := checkNames(names); err != nil {
		return tls.Certificate{}, "", err
	}
	certPath, keyPath := filepath.Join(data, ownCertFile), filepath.Join(data, ownKeyFile)
	cert, err = tls.LoadX509KeyPair(certPath, keyPath)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !covers(cert.Leaf, names, now) {
		cert, err = makeOwn(certPath, keyPath, names, now)
	}
	if err != nil {
		return tls.Certificate{}, "", errs.Wrap(errs.CodeBadInput, errs.Plain(err), "cannot use %s with %s", certPath, keyPath).At("--http-names").
			WithHint("remove both files, and the server makes them anew")
	}
	digest := sha256.Sum256(cert.Certificate[0])
	return cert, hex.EncodeToString(digest[:]), nil
}

func checkNames(names []string) error {
	if len(names) == 0 || len(names) > maxOwnNames {
		return errs.New(errs.CodeBadInput, "there are %d names, it takes 1 to %d", len(names), maxOwnNames).At("--http-names").
			WithHint("name the server as people do: hookline.example,10.0.0.5")
	}
	for _, name := range names {
		if net.ParseIP(name) == nil && !hostName.MatchString(name) {
			return errs.New(errs.CodeBadInput, "%q is neither a host name in lower case nor an address", name).At("--http-names").
				WithHint("name the server as people do: hookline.example,10.0.0.5")
		}
	}
	return nil
}

// covers reports whether a certificate is for exactly these names and has a
// month to go.
func covers(leaf *x509.Certificate, names []string, now time.Time) bool {
	have := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		have = append(have, ip.String())
	}
	want := make([]string, 0, len(names))
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			name = ip.String()
		}
		want = append(want, name)
	}
	slices.Sort(have)
	slices.Sort(want)
	return slices.Equal(have, slices.Compact(want)) && now.After(leaf.NotBefore) && now.Add(ownCertSoon).Before(leaf.NotAfter)
}

func makeOwn(certPath, keyPath string, names []string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: "Hookline, made by this server"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ownCertLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	// A stop in between leaves a key that does not fit: both go first.
	for _, path := range []string{certPath, keyPath} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return tls.Certificate{}, err
		}
	}
	if err := durable.WriteFile(keyPath, keyPEM, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	if err := durable.WriteFile(certPath, certPEM, 0o644); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// splitNames reads --http-names.
func splitNames(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// describeOwn is what the log says of it.
func describeOwn(data, fingerprint string) string {
	return fmt.Sprintf("%s (SHA-256 %s)", filepath.Join(data, ownCertFile), fingerprint)
}
