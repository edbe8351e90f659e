package peer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"hookline/hooks"
	"hookline/internal/durable"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobpb"
)

// The files of the network side's folder.
const (
	keyFile        = "key.pem"
	certFile       = "cert.pem"
	caFile         = "ca.crt"      // of the enrolment
	signedCAFile   = "servers.pem" // those that people signed later, which then take its place
	addressFile    = "address"
	deploymentFile = "deployment"

	maxFileBytes = 64 << 10
	warnBefore   = 30 * 24 * time.Hour
)

const (
	maxMessage  = hooks.MaxStatementBytes + hooks.MaxScriptBytes + guardwire.MaxSignatures*guardwire.MaxSignatureBytes + 64<<10
	maxHeaders  = 16 << 10
	dialTime    = 20 * time.Second
	pingEvery   = 100 * time.Second // the server's pings come first, so this one is seldom sent
	pingTimeout = 20 * time.Second
)

// identity is who this machine is for its server, and who its server is.
type identity struct {
	address    string
	deployment string
	caDigests  []string // any of them may stand behind the server
	cert       tls.Certificate
}

// load reads the folder; errs.CodeNotEnrolled where it is not filled.
func load(dir string) (identity, error) {
	var id identity
	files := map[string][]byte{}
	for _, name := range []string{keyFile, certFile, caFile, addressFile, deploymentFile} {
		b, err := readFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return id, errs.New(errs.CodeNotEnrolled, "this machine is not enrolled: there is no %s", name).
				WithHint("hookline-peer enroll LINE")
		}
		if err != nil {
			return id, err
		}
		files[name] = b
	}
	var err error
	if id.cert, err = tls.X509KeyPair(files[certFile], files[keyFile]); err != nil {
		return id, errs.Wrap(errs.CodeKeyInvalid, err, "cannot use %s with %s", certFile, keyFile).WithHint("enroll again")
	}
	if id.caDigests, err = serversOf(dir, files[caFile]); err != nil {
		return id, err
	}
	id.address = strings.TrimSpace(string(files[addressFile]))
	id.deployment = strings.TrimSpace(string(files[deploymentFile]))
	return id, nil
}

// serversOf are the digests of the CAs to believe: those that people signed,
// as the guard handed them over, else the one of the enrolment.
func serversOf(dir string, enrolled []byte) ([]string, error) {
	signed, err := readFile(filepath.Join(dir, signedCAFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	digests, err := caDigests(signed)
	if err == nil && len(digests) == 0 {
		digests, err = caDigests(enrolled)
	}
	if err == nil && len(digests) == 0 {
		err = errs.New(errs.CodeKeyInvalid, "cannot use %s", caFile).WithHint("enroll again")
	}
	return digests, err
}

// maxCAs bounds how many CAs a server may have at a time.
const maxCAs = 16

// caDigests are the digests of certificates in PEM.
func caDigests(b []byte) ([]string, error) {
	var out []string
	for rest := bytes.TrimSpace(b); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		block, more := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || len(out) >= maxCAs {
			return nil, errs.New(errs.CodeKeyInvalid, "cannot use the server's certificates: they are not 1 to %d in PEM", maxCAs)
		}
		h := sha256.Sum256(block.Bytes)
		out, rest = append(out, hex.EncodeToString(h[:])), more
	}
	return out, nil
}

// keepSignedCAs keeps what the guard says people signed, for the next
// connection. Wrong ones could only lead this process astray, and nothing that
// it brings is believed.
func keepSignedCAs(dir string, ca []byte) error {
	path := filepath.Join(dir, signedCAFile)
	if len(ca) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if digests, err := caDigests(ca); err != nil || len(digests) == 0 {
		return errs.New(errs.CodeKeyInvalid, "cannot use the certificates that the guard handed over")
	}
	if have, err := readFile(path); err == nil && bytes.Equal(have, ca) {
		return nil
	}
	return durable.WriteFile(path, ca, 0o600)
}

// pinned is a configuration that believes any of the CAs.
func (id identity) pinned(now func() time.Time) *tls.Config {
	config := enroll.PinnedTLS(id.deployment, "", now)
	var verify []func(tls.ConnectionState) error
	for _, digest := range id.caDigests {
		verify = append(verify, enroll.PinnedTLS(id.deployment, digest, now).VerifyConnection)
	}
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		var doubt error = errs.New(errs.CodeServerIdentity, "there is no CA to believe").WithHint("enroll again")
		for _, v := range verify {
			if doubt = v(cs); doubt == nil {
				return nil
			}
		}
		return doubt
	}
	return config
}

func (id identity) expires() time.Time { return id.cert.Leaf.NotAfter }

// link is one gRPC connection. It remembers why the server was not reached or
// not believed, which gRPC hides in a text.
type link struct {
	*grpc.ClientConn
	client  jobpb.PeersClient
	address string
	mu      sync.Mutex
	doubt   error
	refused error // of the newest dialling, nil where it went well
}

// dial prepares a connection to the server with the pinned CA. It is made by
// the first call.
func (id identity) dial(now func() time.Time) (*link, error) {
	config := id.pinned(now)
	if id.cert.Leaf != nil {
		config.Certificates = []tls.Certificate{id.cert}
	}
	l := &link{address: id.address}
	verify := config.VerifyConnection
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		err := verify(cs)
		l.mu.Lock()
		l.doubt = err
		l.mu.Unlock()
		return err
	}
	// passthrough: the address is dialled as it is, and nothing in DNS can
	// give the connection a configuration.
	conn, err := grpc.NewClient("passthrough:///"+id.address,
		grpc.WithContextDialer(l.dial),
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: dialTime}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout}),
	)
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot use the server's address %q", id.address)
	}
	l.ClientConn, l.client = conn, jobpb.NewPeersClient(conn)
	return l, nil
}

// hangUp ends the connection and every call on it; its error tells nothing
// that a call's has not told.
func (l *link) hangUp() { _ = l.Close() }

// dial connects directly: what stands in the environment leads it nowhere else.
func (l *link) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	l.mu.Lock()
	l.refused = err
	l.mu.Unlock()
	return conn, err
}

// lost says in our words why a call ended where that is the connection's
// fault; nil where it is not.
func (l *link) lost(err error) error {
	st, ok := status.FromError(err)
	if !ok || len(st.Details()) > 0 {
		return nil
	}
	if st.Code() == codes.DeadlineExceeded {
		return unreachable(l.address, context.DeadlineExceeded)
	}
	if st.Code() != codes.Unavailable {
		return nil
	}
	l.mu.Lock()
	refused := l.refused
	l.mu.Unlock()
	if refused != nil {
		return unreachable(l.address, refused)
	}
	_, cause, handshake := strings.Cut(st.Message(), "handshake failed: ")
	if handshake {
		cause = strings.TrimSuffix(cause, `"`)
		return errs.New(errs.CodeUnavailable, "cannot speak TLS with %s: %s", l.address, jobpb.Printable(cause, maxReason)).
			WithHint("is this hooklined's address for peers, the one of --grpc?")
	}
	return errs.New(errs.CodeUnavailable, "lost the connection to %s", l.address).
		WithHint("is hooklined still running there?")
}

func unreachable(address string, err error) error {
	var slow net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout() {
		err = errors.New("no answer in time")
	}
	return errs.Wrap(errs.CodeUnavailable, errs.Plain(err), "cannot reach %s", address).
		WithHint("is hooklined running there, and is the address right?")
}

// explain turns a call's error into a coded one, the reason for not believing
// the server first.
func (l *link) explain(err error) error {
	if err == nil {
		return nil
	}
	l.mu.Lock()
	doubt := l.doubt
	l.mu.Unlock()
	var d *drained
	switch {
	case doubt != nil:
		return doubt
	case errors.As(err, &d):
		return err
	}
	if lost := l.lost(err); lost != nil {
		return lost
	}
	return jobpb.FromStatus(err)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileBytes {
		return nil, errs.New(errs.CodeBadInput, "cannot use %s: not a file of at most %d bytes", path, maxFileBytes)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return b, nil
}

func spkiOf(key *ecdsa.PrivateKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot encode this machine's key")
	}
	return spki, nil
}
