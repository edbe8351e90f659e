package peer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpcpeer "google.golang.org/grpc/peer"

	"hookline/internal/durable"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/signing/trust"
)

const enrollTime = 30 * time.Second

// Enrolled is what Enroll brought back.
type Enrolled struct {
	PeerID   string
	SPKI     string    // hex SHA-256 of this machine's public key
	Policy   []byte    // the policy file, which has the digest of the enroll line; the guard keeps it
	NotAfter time.Time // of the certificate; enroll again before
}

// Enroll makes this machine a peer: it makes a key in dir (or takes the one
// that is there, which keeps the machine's id), sends a certificate request
// to the server that the line names, and stores what it got after checking
// it: the server by its pinned CA, the certificate against the own key, the
// policy against the line's anchor. Nothing is believed because the server
// says so, and nothing but the key is written before all holds.
//
// The folder and its files belong to the caller's user; a caller that is root
// hands them to the network side's user.
func Enroll(ctx context.Context, line enroll.Line, dir, hostname, version string) (Enrolled, error) {
	if err := line.Validate(); err != nil {
		return Enrolled{}, err
	}
	key, err := ownKey(dir)
	if err != nil {
		return Enrolled{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, enrollTime)
	defer cancel()
	reply, ca, err := askToEnroll(ctx, line, key, hostname, version)
	if err != nil {
		return Enrolled{}, err
	}
	spki, err := spkiOf(key)
	if err != nil {
		return Enrolled{}, err
	}
	cert, err := enroll.CheckPeerCertificate(reply.GetCertificate(), ca, spki, time.Now())
	if err != nil {
		return Enrolled{}, err
	}
	anchor := trust.Anchor{PolicyDigest: line.PolicyDigest, Deployment: line.Deployment}
	if _, err := anchor.Policy(reply.GetPolicy()); err != nil {
		return Enrolled{}, err
	}
	if err := keep(dir, line, ca, cert); err != nil {
		return Enrolled{}, err
	}
	id, digest := enroll.PeerIDOf(spki)
	return Enrolled{PeerID: id, SPKI: digest, Policy: reply.GetPolicy(), NotAfter: cert.NotAfter}, nil
}

// askToEnroll makes the one call, and finds the pinned CA in the chain of the
// connection over which it was made.
func askToEnroll(ctx context.Context, line enroll.Line, key *ecdsa.PrivateKey, hostname, version string) (*jobpb.EnrollReply, *x509.Certificate, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, nil, errs.Wrap(errs.CodeInternal, err, "cannot make a certificate request")
	}
	l, err := identity{address: line.Address, deployment: line.Deployment, caDigest: line.CADigest}.dial(time.Now)
	if err != nil {
		return nil, nil, err
	}
	defer l.hangUp()
	var server grpcpeer.Peer
	reply, err := l.client.Enroll(ctx, &jobpb.EnrollRequest{
		Protocol: jobpb.Protocol, SetupKey: line.SetupKey, Csr: csr,
		Name: jobpb.Printable(hostname, maxReason), Version: version,
	}, grpc.Peer(&server))
	if err != nil {
		return nil, nil, notEnrolled(l.explain(err))
	}
	info, ok := server.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil, nil, errs.New(errs.CodeServerIdentity, "the connection has no server certificate")
	}
	ca := enroll.PinnedCA(info.State.PeerCertificates, line.CADigest)
	if ca == nil {
		return nil, nil, errs.New(errs.CodeServerIdentity, "the server's chain does not have the pinned CA certificate")
	}
	return reply, ca, nil
}

// notEnrolled says before a reason that is about the connection what it is
// that does not happen; a refusal says so itself.
func notEnrolled(err error) error {
	e, ok := errs.As(err)
	if !ok || e.Code != errs.CodeUnavailable {
		return err
	}
	return errs.Wrap(e.Code, e, "cannot enrol").WithHint("%s", e.Hint)
}

// keep writes the certificate last: with it the folder is complete.
func keep(dir string, line enroll.Line, ca, cert *x509.Certificate) error {
	for _, f := range []struct {
		name string
		b    []byte
	}{
		{caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})},
		{deploymentFile, []byte(line.Deployment + "\n")},
		{addressFile, []byte(line.Address + "\n")},
		{certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})},
	} {
		if err := durable.WriteFile(filepath.Join(dir, f.name), f.b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// ownKey reads this machine's key, or makes it.
func ownKey(dir string) (*ecdsa.PrivateKey, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot create %s: %w", dir, err)
	}
	path := filepath.Join(dir, keyFile)
	b, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, badKey(path)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := k.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, badKey(path)
	}
	return key, nil
}

func badKey(path string) error {
	return errs.New(errs.CodeKeyInvalid, "cannot use %s: it is not a P-256 key", path).
		WithHint("remove it to enroll as a new peer")
}

func newKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, errs.Wrap(errs.CodeInternal, err, "cannot make a key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errs.Wrap(errs.CodeInternal, err, "cannot encode a key")
	}
	return key, durable.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
