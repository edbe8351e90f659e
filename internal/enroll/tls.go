package enroll

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"

	"hookline/internal/errs"
)

// PinnedTLS is how a peer talks to its server: TLS 1.3, and a server whose
// chain ends in the very CA certificate with the pinned digest and carries the
// deployment's one name. The operating system's roots play no part, and there
// is no trust on first use. A refusal carries errs.CodeServerIdentity.
//
// The caller adds its client certificate, where it has one.
func PinnedTLS(deployment, caDigest string, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: ServerName(deployment),
		Time:       now,
		// The usual verification wants roots, of which there are none before
		// the first contact; VerifyConnection below is stricter and runs for
		// resumed sessions too.
		InsecureSkipVerify: true, //nolint:gosec // see above
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyServer(cs, deployment, caDigest, now())
		},
	}
}

func verifyServer(cs tls.ConnectionState, deployment, caDigest string, now time.Time) error {
	ca := PinnedCA(cs.PeerCertificates, caDigest)
	if ca == nil {
		return identityError("the server's chain does not have the pinned CA certificate")
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: roots, DNSName: ServerName(deployment), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		e := identityError("the server's certificate does not hold")
		e.Err = err
		return e
	}
	return nil
}

func identityError(text string) *errs.Error {
	return errs.New(errs.CodeServerIdentity, "%s", text).
		WithHint("check the address; the CA digest of the enroll line must be the one that `hooklined ca` prints on the server")
}

// PinnedCA returns the issuer in a server's chain that has the pinned digest,
// nil where there is none. The first certificate is the server's own.
func PinnedCA(chain []*x509.Certificate, caDigest string) *x509.Certificate {
	for i, c := range chain {
		if i > 0 && c.IsCA && digestOf(c.Raw) == caDigest {
			return c
		}
	}
	return nil
}

// CheckPeerCertificate is what a peer checks before it keeps a certificate:
// made by the pinned CA, for client authentication, for its own key and id.
func CheckPeerCertificate(der []byte, ca *x509.Certificate, spki []byte, now time.Time) (*x509.Certificate, error) {
	bad := errs.New(errs.CodeServerIdentity, "cannot use the certificate that the server made")
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		bad.Err = err
		return nil, bad
	}
	id, _ := PeerIDOf(spki)
	if string(cert.RawSubjectPublicKeyInfo) != string(spki) || cert.Subject.CommonName != id || cert.IsCA {
		return nil, errs.New(errs.CodeServerIdentity, "the certificate that the server made is not for this machine's key")
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		bad.Err = err
		return nil, bad
	}
	return cert, nil
}

// ServerTLS is the listener's side: a certificate made in memory and made anew
// when half of its life is over, and client certificates of this CA only. A
// client without one gets no further than Enroll.
func (ca *CA) ServerTLS(now func() time.Time) *tls.Config {
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	m := &minter{ca: ca, now: now}
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		Time:           now,
		ClientAuth:     tls.VerifyClientCertIfGiven,
		ClientCAs:      clients,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return m.current() },
	}
}

type minter struct {
	ca  *CA
	now func() time.Time

	mu   sync.Mutex
	cert *tls.Certificate
}

func (m *minter) current() (*tls.Certificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.cert != nil && now.Before(m.cert.Leaf.NotAfter.Add(-serverLifetime/2)) {
		return m.cert, nil
	}
	c, err := m.ca.ServerCertificate(now)
	if err != nil {
		return nil, err
	}
	m.cert = &c
	return m.cert, nil
}
