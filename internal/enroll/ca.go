package enroll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"net"
	"time"

	"hookline/internal/errs"
)

// Lifetimes of certificates. The start of each lies back by clockSlack, since
// clocks of machines differ.
const (
	caLifetime     = 10 * 365 * 24 * time.Hour
	serverLifetime = 30 * 24 * time.Hour
	peerLifetime   = 365 * 24 * time.Hour
	clockSlack     = 24 * time.Hour
)

// CA is the deployment's own certificate authority. It lives on the server and
// vouches for connections only: nothing that it signs can make a peer run code.
type CA struct {
	Deployment string
	cert       *x509.Certificate
	key        *ecdsa.PrivateKey
}

// ServerName is the one name in a server's certificate. It does not exist in
// DNS: peers ask for it whatever address they dial.
func ServerName(deployment string) string { return deployment + ".hookline.internal" }

// Digest is the hex SHA-256 of the CA certificate's DER, which enroll lines pin.
func (ca *CA) Digest() string { return digestOf(ca.cert.Raw) }

// Certificate is the CA's certificate.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

func digestOf(der []byte) string {
	h := sha256.Sum256(der)
	return hex.EncodeToString(h[:])
}

func caTemplate(deployment string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Hookline CA of " + deployment, Organization: []string{deployment}},
		NotBefore:             now.Add(-clockSlack),
		NotAfter:              now.Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
		// A name of this deployment and nothing else, so that the key is of
		// no use against any other program that happens to trust it.
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{ServerName(deployment)},
		ExcludedIPRanges: []*net.IPNet{
			{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
			{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
		},
	}
}

// ServerCertificate mints a fresh server certificate that exists in memory
// only. The chain includes the CA, so that a peer that knows just the pinned
// digest can check it.
func (ca *CA) ServerCertificate(now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, errs.Wrap(errs.CodeInternal, err, "cannot make the server's key")
	}
	name := ServerName(ca.Deployment)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             now.Add(-clockSlack),
		NotAfter:              now.Add(serverLifetime),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return tls.Certificate{}, errs.Wrap(errs.CodeInternal, err, "cannot sign the server's certificate")
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, errs.Wrap(errs.CodeInternal, err, "cannot read the server's certificate back")
	}
	return tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// signPeer makes the client certificate of one peer. Nothing is taken from
// the request but its public key.
func (ca *CA) signPeer(peerID string, key *ecdsa.PublicKey, now time.Time) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: peerID, Organization: []string{ca.Deployment}},
		NotBefore:             now.Add(-clockSlack),
		NotAfter:              now.Add(peerLifetime),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.cert, key, ca.key)
	if err != nil {
		return nil, errs.Wrap(errs.CodeInternal, err, "cannot sign a peer's certificate")
	}
	return der, nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails since Go 1.24
	b[0] &= 0x7f        // positive, at most 20 octets
	return new(big.Int).SetBytes(b)
}

// PeerIDOf derives a peer's id and full key digest from its public key's SPKI
// DER. Nothing else decides who a peer is.
func PeerIDOf(spki []byte) (id, digest string) {
	digest = digestOf(spki)
	return digest[:32], digest
}
