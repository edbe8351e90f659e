package server

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hookline/internal/errs"
)

func TestOwnCertificate(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	get := func(at time.Time, names ...string) *x509.Certificate {
		t.Helper()
		cert, fingerprint, err := ownCertificate(dir, names, at)
		if err != nil || len(fingerprint) != 64 {
			t.Fatalf("%v, fingerprint %q", err, fingerprint)
		}
		return cert.Leaf
	}
	first := get(now, "hookline.example", "10.0.0.5", "::1", "hookline.example")
	for _, name := range []string{"hookline.example", "10.0.0.5", "::1"} {
		if err := first.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if first.VerifyHostname("other.example") == nil || first.IsCA || first.NotAfter.Sub(now) > 398*24*time.Hour {
		t.Errorf("it is good for too much: %+v", first)
	}
	same := func(c *x509.Certificate) bool { return slices.Equal(c.Raw, first.Raw) }
	if !same(get(now.Add(300*24*time.Hour), "10.0.0.5", "::1", "hookline.example")) {
		t.Error("it is made anew without need")
	}
	if same(get(now.Add(370*24*time.Hour), "10.0.0.5", "::1", "hookline.example")) {
		t.Error("it is kept although it ends within a month")
	}
	if other := get(now, "other.example"); other.VerifyHostname("other.example") != nil {
		t.Error("it is kept although the names are others")
	}
	info, err := os.Stat(filepath.Join(dir, ownKeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode: %v %v", info, err)
	}
	for _, bad := range [][]string{{"Hookline.Example"}, {"a b"}, {"*"}, {"../x"}, {""}, slices.Repeat([]string{"a"}, 21)} {
		if _, _, err := ownCertificate(dir, bad, now); !errs.Is(err, errs.CodeBadInput) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ownKeyFile), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ownCertificate(dir, []string{"other.example"}, now); !errs.Is(err, errs.CodeBadInput) {
		t.Errorf("a key that is none: %v", err)
	}
}

// With names for its own certificate a server serves people over TLS, and
// marks its cookies so.
func TestServesWithItsOwnCertificate(t *testing.T) {
	r := newRig(t)
	r.cfg.HTTPNames = "localhost,127.0.0.1"
	r.restart()
	pem, err := os.ReadFile(filepath.Join(r.cfg.Data, ownCertFile))
	r.check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Time: r.clock.now}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.PagesURL()+"/sign-in", nil)
	r.check(err)
	resp, err := client.Do(req)
	r.check(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.TLS == nil {
		t.Errorf("%s: %d", r.PagesURL(), resp.StatusCode)
	}
}
