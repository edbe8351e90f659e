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
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
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
	Trust    []byte    // the trust metadata, which leads from the root of the enroll line; the guard keeps it
	NotAfter time.Time // of the certificate; enroll again before
}

// Enroll makes this machine a peer: it makes a key in dir (or takes the one
// that is there, which keeps the machine's id), sends a certificate request
// to the server that the line names, and stores what it got after checking
// it: the server by its pinned CA, the certificate against the own key, the
// trust metadata from the line's root on. Nothing is believed because the server
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
	if err := checkTrust(line, reply.GetTrust()); err != nil {
		return Enrolled{}, err
	}
	if err := keep(dir, line, ca, cert); err != nil {
		return Enrolled{}, err
	}
	id, digest := enroll.PeerIDOf(spki)
	return Enrolled{PeerID: id, SPKI: digest, Trust: reply.GetTrust(), NotAfter: cert.NotAfter}, nil
}

// checkTrust opens the metadata from the root that the line names, and refuses
// a CA that people did not sign where they signed some: the next connection
// would not believe it.
func checkTrust(line enroll.Line, b []byte) error {
	bundle, err := trust.ParseBundle(b)
	if err != nil {
		return err
	}
	trusted, err := trust.Anchor{RootDigest: line.RootDigest, Deployment: line.Deployment}.Open(bundle)
	if err != nil {
		return err
	}
	signed, err := caDigests(trusted.CA())
	if err != nil {
		return err
	}
	if len(signed) > 0 && !slices.Contains(signed, line.CADigest) {
		return errs.New(errs.CodeServerIdentity, "cannot enrol: the CA of the enroll line is none of those that people signed").
			WithHint("print a new line with the server's own CA certificate, or sign it: hookline trust replace")
	}
	return nil
}

// askToEnroll makes the one call, and finds the pinned CA in the chain of the
// connection over which it was made.
func askToEnroll(ctx context.Context, line enroll.Line, key *ecdsa.PrivateKey, hostname, version string) (*jobpb.EnrollReply, *x509.Certificate, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, nil, errs.Wrap(errs.CodeInternal, err, "cannot make a certificate request")
	}
	l, err := identity{address: line.Address, deployment: line.Deployment, caDigests: []string{line.CADigest}}.dial(time.Now)
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

// CopyKey copies this machine's key from one folder to another, so that it
// stays the same peer. A link in the place of the key is not followed; where
// there is none, nothing is copied.
func CopyKey(from, to string) error {
	f, err := os.OpenFile(filepath.Join(from, keyFile), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes))
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(to, keyFile), b, 0o600)
}
