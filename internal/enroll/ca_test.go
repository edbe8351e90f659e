package enroll

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/internal/errs"
)

const deployment = "d-0123456789abcdef0123456789abcdef"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func testCA(t *testing.T) *CA {
	t.Helper()
	ca, err := LoadOrCreateCA(t.TempDir(), deployment, start)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestCAIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	digests := make(chan string, 8)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			ca, err := LoadOrCreateCA(dir, deployment, start)
			if err != nil {
				t.Error(err)
				return
			}
			digests <- ca.Digest()
		})
	}
	all.Wait()
	close(digests)
	first := <-digests
	for d := range digests {
		if d != first {
			t.Error("two processes made two CAs")
		}
	}
	if info, err := os.Stat(filepath.Join(dir, CAKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCARefusals(t *testing.T) {
	edit := func(change func(dir string)) func(*testing.T) error {
		return func(t *testing.T) error {
			dir := t.TempDir()
			if _, err := LoadOrCreateCA(dir, deployment, start); err != nil {
				t.Fatal(err)
			}
			change(dir)
			_, err := LoadOrCreateCA(dir, deployment, start)
			return err
		}
	}
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name string
		run  func(*testing.T) error
		code errs.Code
	}{
		{"key lost", edit(func(d string) { must(os.Remove(filepath.Join(d, CAKeyFile))) }), errs.CodeKeyInvalid},
		{"key readable", edit(func(d string) { must(os.Chmod(filepath.Join(d, CAKeyFile), 0o644)) }), errs.CodeKeyInvalid},
		{"key damaged", edit(func(d string) { must(os.WriteFile(filepath.Join(d, CAKeyFile), []byte("x"), 0o600)) }), errs.CodeKeyInvalid},
		{"certificate damaged", edit(func(d string) { must(os.WriteFile(filepath.Join(d, CACertFile), []byte("x"), 0o600)) }), errs.CodeKeyInvalid},
		{"certificate of another key", edit(func(d string) {
			other := t.TempDir()
			_, err := LoadOrCreateCA(other, deployment, start)
			must(err)
			must(os.Rename(filepath.Join(other, CACertFile), filepath.Join(d, CACertFile)))
		}), errs.CodeKeyInvalid},
		{"other deployment", func(t *testing.T) error {
			dir := t.TempDir()
			_, err := LoadOrCreateCA(dir, "d-"+strings.Repeat("f", 32), start)
			must(err)
			_, err = LoadOrCreateCA(dir, deployment, start)
			return err
		}, errs.CodeWrongDeployment},
		{"expired", func(t *testing.T) error {
			dir := t.TempDir()
			_, err := LoadOrCreateCA(dir, deployment, start)
			must(err)
			_, err = LoadOrCreateCA(dir, deployment, start.AddDate(11, 0, 0))
			return err
		}, errs.CodeExpired},
		{"no deployment", func(t *testing.T) error {
			_, err := LoadOrCreateCA(t.TempDir(), "../x", start)
			return err
		}, errs.CodeBadInput},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t); !errs.Is(err, c.code) {
				t.Errorf("got %v (%s), want %s", err, errs.CodeOf(err), c.code)
			}
		})
	}
}

func TestCAKeyAloneGetsItsCertificate(t *testing.T) {
	dir := t.TempDir()
	if _, err := createKey(filepath.Join(dir, CAKeyFile)); err != nil { // the crash came here
		t.Fatal(err)
	}
	if _, err := LoadOrCreateCA(dir, deployment, start); err != nil {
		t.Fatal(err)
	}
}

func TestCAIsConstrainedToItsDeployment(t *testing.T) {
	ca := testCA(t)
	other := &CA{Deployment: "d-" + strings.Repeat("e", 32), cert: ca.cert, key: ca.key}
	c, err := other.ServerCertificate(start)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate())
	_, err = c.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: start, DNSName: ServerName(other.Deployment)})
	if err == nil {
		t.Error("the CA can vouch for another deployment's name")
	}
}

// handshake runs TLS over a pipe and returns the client's error.
func handshake(server, client *tls.Config) error {
	a, b := net.Pipe()
	defer func() { _, _ = a.Close(), b.Close() }()
	go func() { _ = tls.Server(a, server).Handshake(); _ = a.Close() }()
	return tls.Client(b, client).Handshake()
}

func TestPinnedTLS(t *testing.T) {
	ca, thief := testCA(t), testCA(t)
	good := ca.ServerTLS(at(start))
	forged := thief.ServerTLS(at(start))
	// A thief who knows the real CA certificate can put it in the chain, but not sign with it.
	mixed, err := thief.ServerCertificate(start)
	if err != nil {
		t.Fatal(err)
	}
	mixed.Certificate[1] = ca.cert.Raw
	peerKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	peerDER, err := ca.signPeer("p", &peerKey.PublicKey, start)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := ca.ServerCertificate(start)
	if err != nil {
		t.Fatal(err)
	}
	alone.Certificate = alone.Certificate[:1]
	caAsServer := tls.Certificate{Certificate: [][]byte{ca.cert.Raw, ca.cert.Raw}, PrivateKey: ca.key}
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	static := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	for _, c := range []struct {
		name     string
		server   *tls.Config
		now      time.Time
		ok, code bool
	}{
		{"own server", good, start, true, false},
		{"own server, peer's clock behind", good, start.Add(-clockSlack / 2), true, false},
		{"own server, certificate over", static(mustCert(t, ca, start)), start.Add(serverLifetime + time.Hour), false, true},
		{"another CA", forged, start, false, true},
		{"another CA with the pinned certificate beside", static(mixed), start, false, true},
		{"a peer's certificate", static(tls.Certificate{Certificate: [][]byte{peerDER, ca.cert.Raw}, PrivateKey: peerKey}), start, false, true},
		{"no CA in the chain", static(alone), start, false, true},
		{"the CA itself", static(caAsServer), start, false, true},
		{"TLS 1.2", old, start, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := handshake(c.server, PinnedTLS(deployment, ca.Digest(), at(c.now)))
			if (err == nil) != c.ok || (c.code && !errs.Is(err, errs.CodeServerIdentity)) {
				t.Errorf("got %v (%s)", err, errs.CodeOf(err))
			}
		})
	}
	t.Run("pin of another CA", func(t *testing.T) {
		err := handshake(good, PinnedTLS(deployment, thief.Digest(), at(start)))
		if !errs.Is(err, errs.CodeServerIdentity) {
			t.Errorf("got %v", err)
		}
	})
}

func mustCert(t *testing.T, ca *CA, now time.Time) tls.Certificate {
	t.Helper()
	c, err := ca.ServerCertificate(now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServerCertificateIsRenewedInMemory(t *testing.T) {
	now := start
	m := &minter{ca: testCA(t), now: func() time.Time { return now }}
	first, err := m.current()
	if err != nil {
		t.Fatal(err)
	}
	now = start.Add(serverLifetime/2 - time.Hour)
	if again, err := m.current(); err != nil || again != first {
		t.Errorf("made anew too early: %v", err)
	}
	now = start.Add(serverLifetime/2 + time.Hour)
	if next, err := m.current(); err != nil || next == first || !next.Leaf.NotAfter.After(first.Leaf.NotAfter) {
		t.Errorf("not made anew: %v", err)
	}
}

// registry is the smallest honest Registry; the real stores have their own suite.
type registry struct {
	mu    sync.Mutex
	peers map[string]Peer
}

func (r *registry) AddPeer(_ context.Context, p Peer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.peers == nil {
		r.peers = map[string]Peer{}
	}
	if _, ok := r.peers[p.ID]; !ok {
		r.peers[p.ID] = p
	}
	return nil
}

func (r *registry) Peer(_ context.Context, id string) (Peer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.peers[id]
	if !ok {
		return Peer{}, errs.New(errs.CodeNotFound, "no such peer")
	}
	return p, nil
}

func csrOf(t *testing.T, curve elliptic.Curve) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "admin"}, DNSNames: []string{ServerName(deployment)},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, csr
}

func TestEnroll(t *testing.T) {
	ca, setup, reg := testCA(t), NewSetupKey(), &registry{}
	hashes, err := ParseHashes([]byte(HashSetupKey(setup)))
	if err != nil {
		t.Fatal(err)
	}
	now := start
	s := NewService(reg, ca, hashes, func() time.Time { return now })
	key, csr := csrOf(t, elliptic.P256())
	p, der, err := s.Enroll(t.Context(), csr, setup, "host\n\x1b[31mé"+strings.Repeat("x", 500), "v1")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Name) > maxName || strings.ContainsAny(p.Name, "\n\x1b") || !strings.HasPrefix(p.Name, "host") {
		t.Errorf("name %q", p.Name)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := CheckPeerCertificate(der, ca.Certificate(), spki, start)
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.DNSNames) > 0 || cert.Subject.CommonName != p.ID {
		t.Errorf("the certificate took something from the request: %v %v", cert.DNSNames, cert.Subject)
	}

	now = start.AddDate(0, 6, 0)
	again, der2, err := s.Enroll(t.Context(), csr, setup, "renamed", "v2")
	if err != nil || again.ID != p.ID || len(reg.peers) != 1 || !again.EnrolledAt.Equal(start) {
		t.Fatalf("the same key again: %+v, %v", again, err)
	}
	renewed, err := CheckPeerCertificate(der2, ca.Certificate(), spki, now)
	if err != nil || !renewed.NotAfter.After(cert.NotAfter) {
		t.Errorf("not renewed: %v", err)
	}
}

func TestEnrollRefusals(t *testing.T) {
	ca, setup, reg := testCA(t), NewSetupKey(), &registry{}
	hashes, err := ParseHashes([]byte(HashSetupKey(setup)))
	if err != nil {
		t.Fatal(err)
	}
	s := NewService(reg, ca, hashes, at(start))
	_, good := csrOf(t, elliptic.P256())
	_, p384 := csrOf(t, elliptic.P384())
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edCSR, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, ed)
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte(nil), good...)
	broken[len(broken)-1] ^= 1
	for _, c := range []struct {
		name, key string
		csr       []byte
		code      errs.Code
	}{
		{"wrong key", NewSetupKey(), good, errs.CodeEnrollRefused},
		{"no key", "", good, errs.CodeEnrollRefused},
		{"the hash as key", HashSetupKey(setup), good, errs.CodeEnrollRefused},
		{"P-384", setup, p384, errs.CodeKeyInvalid},
		{"Ed25519", setup, edCSR, errs.CodeKeyInvalid},
		{"bad signature", setup, broken, errs.CodeBadInput},
		{"garbage", setup, []byte("x"), errs.CodeBadInput},
		{"nothing", setup, nil, errs.CodeBadInput},
		{"huge", setup, make([]byte, maxCSRBytes+1), errs.CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := s.Enroll(t.Context(), c.csr, c.key, "h", "v"); !errs.Is(err, c.code) {
				t.Errorf("got %v (%s), want %s", err, errs.CodeOf(err), c.code)
			}
		})
	}
	if len(reg.peers) != 0 {
		t.Error("a refused peer was stored")
	}
	limited := 0
	for range 3 * failuresBurst {
		if _, _, err := s.Enroll(t.Context(), good, NewSetupKey(), "h", "v"); errs.Is(err, errs.CodeRateLimited) {
			limited++
		}
	}
	if limited < failuresBurst {
		t.Errorf("only %d guesses were held up", limited)
	}
	if _, _, err := s.Enroll(t.Context(), good, setup, "h", "v"); err != nil {
		t.Errorf("guessing locks out the right key: %v", err)
	}
}

func TestCheckPeerCertificateRefusals(t *testing.T) {
	ca, thief := testCA(t), testCA(t)
	key, _ := csrOf(t, elliptic.P256())
	other, _ := csrOf(t, elliptic.P256())
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := PeerIDOf(spki)
	sign := func(ca *CA, id string, k *ecdsa.PrivateKey) []byte {
		der, err := ca.signPeer(id, &k.PublicKey, start)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	server := mustCert(t, ca, start)
	for name, der := range map[string][]byte{
		"other CA": sign(thief, id, key), "other key": sign(ca, id, other), "other id": sign(ca, "admin", key),
		"server certificate": server.Certificate[0], "garbage": []byte("x"),
	} {
		if _, err := CheckPeerCertificate(der, ca.Certificate(), spki, start); !errs.Is(err, errs.CodeServerIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := CheckPeerCertificate(sign(ca, id, key), ca.Certificate(), spki, start.AddDate(2, 0, 0)); err == nil {
		t.Error("an expired certificate was taken")
	}
}
