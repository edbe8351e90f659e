package enroll

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"hookline/internal/errs"
)

const (
	maxCSRBytes = 4096
	maxName     = 128
	maxVersion  = 64

	// Wrong setup keys a second, and in one go; the right key always passes.
	failuresPerSecond = 1
	failuresBurst     = 20
)

// Registry is where enrolled peers are kept.
type Registry interface {
	AddPeer(ctx context.Context, p Peer) error
	Peer(ctx context.Context, id string) (Peer, error)
}

// Service enrolls machines. Make it with NewService.
type Service struct {
	peers    Registry
	ca       *CA
	hashes   KeyHashes
	now      func() time.Time
	failures *rate.Limiter
}

// NewService returns a Service that takes the setup keys with these hashes.
func NewService(peers Registry, ca *CA, hashes KeyHashes, now func() time.Time) *Service {
	return &Service{
		peers: peers, ca: ca, hashes: hashes, now: now,
		failures: rate.NewLimiter(failuresPerSecond, failuresBurst),
	}
}

// Enroll checks a setup key and a certificate request and answers with the
// peer's row and client certificate (DER). The request proves that the caller
// has the private key; only its public key is used. The same key gives the
// same peer again with a fresh certificate, which is also how one is renewed.
func (s *Service) Enroll(ctx context.Context, csr []byte, setupKey, name, version string) (Peer, []byte, error) {
	if !s.hashes.Match(setupKey) {
		return Peer{}, nil, s.refuse()
	}
	key, spki, err := publicKeyOf(csr)
	if err != nil {
		return Peer{}, nil, err
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	id, digest := PeerIDOf(spki)
	err = s.peers.AddPeer(ctx, Peer{
		ID: id, SPKI: digest, EnrolledAt: now, AllowHooks: "no",
		Name: sanitise(name, maxName, "unnamed"), Version: sanitise(version, maxVersion, "unknown"),
	})
	if err != nil {
		return Peer{}, nil, err
	}
	p, err := s.peers.Peer(ctx, id)
	if err != nil {
		return Peer{}, nil, err
	}
	if p.SPKI != digest {
		return Peer{}, nil, errs.New(errs.CodeEnrollRefused, "cannot enroll: another key has the id %s", id)
	}
	cert, err := s.ca.signPeer(id, key, now)
	return p, cert, err
}

func (s *Service) refuse() error {
	if !s.failures.AllowN(s.now(), 1) {
		return errs.New(errs.CodeRateLimited, "cannot enroll: too many wrong setup keys")
	}
	return errs.New(errs.CodeEnrollRefused, "cannot enroll: the server does not know the setup key").
		WithHint("print a new line with `hookline enroll-line`; the server needs the hash of its setup key")
}

func publicKeyOf(csr []byte) (*ecdsa.PublicKey, []byte, error) {
	if len(csr) > maxCSRBytes {
		return nil, nil, errs.New(errs.CodeTooLarge, "%d bytes are over the limit of %d", len(csr), maxCSRBytes).At("csr")
	}
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, nil, errs.Wrap(errs.CodeBadInput, err, "is not a certificate request").At("csr")
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, nil, errs.New(errs.CodeKeyInvalid, "must have a P-256 key").At("csr")
	}
	if err := r.CheckSignature(); err != nil {
		return nil, nil, errs.Wrap(errs.CodeBadInput, err, "is not signed by its own key").At("csr")
	}
	spki, err := x509.MarshalPKIXPublicKey(key) // the one encoding, whatever the request had
	if err != nil {
		return nil, nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot encode the key").At("csr")
	}
	return key, spki, nil
}

// sanitise keeps printable ASCII; a name is for people and decides nothing.
func sanitise(s string, limit int, empty string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), limit)])
	if s = strings.TrimSpace(s); s == "" {
		return empty
	}
	return s
}
