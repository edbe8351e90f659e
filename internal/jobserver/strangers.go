package jobserver

import (
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"hookline/internal/enroll"
	"hookline/internal/errs"
)

const (
	// maxStrangers are the connections without a peer's certificate that may be
	// open at a time: machines that enroll, and health checks.
	maxStrangers = 1024
	// maxOfOnePeer are the connections of one key: the stream's, one for each
	// large report or result, and those of before that nobody has missed yet.
	maxOfOnePeer = 32
)

// doorman bounds the connections, in number and, of those who have no
// certificate, in time: nothing else would end one that never finishes its
// call.
type doorman struct {
	credentials.TransportCredentials

	time  time.Duration // of a stranger
	mu    sync.Mutex
	count map[string]int // by peer id; "" are the strangers
}

func newDoorman(inner credentials.TransportCredentials, most time.Duration) *doorman {
	return &doorman{TransportCredentials: inner, time: most, count: map[string]int{}}
}

// ServerHandshake is that of TLS, with a place for the connection.
func (d *doorman) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := d.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	id, most := "", maxStrangers
	if t, ok := info.(credentials.TLSInfo); ok && len(t.State.VerifiedChains) > 0 {
		id, _ = enroll.PeerIDOf(t.State.PeerCertificates[0].RawSubjectPublicKeyInfo)
		most = maxOfOnePeer
	}
	if !d.enter(id, most) {
		_ = raw.Close()
		return nil, nil, errs.New(errs.CodeRateLimited, "too many connections of one peer, or without a peer's certificate")
	}
	stop := func() bool { return true }
	if id == "" {
		stop = time.AfterFunc(d.time, func() { _ = raw.Close() }).Stop
	}
	return &guest{Conn: conn, leave: sync.OnceFunc(func() {
		stop()
		d.exit(id)
	})}, info, nil
}

func (d *doorman) enter(id string, most int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count[id] >= most {
		return false
	}
	d.count[id]++
	return true
}

func (d *doorman) exit(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count[id]--; d.count[id] == 0 {
		delete(d.count, id)
	}
}

// guest is a connection that gives its place back when it ends.
type guest struct {
	net.Conn

	leave func()
}

// Close ends the connection; gRPC calls it also where the time was over.
func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}
