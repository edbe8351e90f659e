package jobserver

import (
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"hookline/internal/errs"
)

// maxStrangers are the connections without a peer's certificate that may be
// open at a time: machines that enroll, and health checks.
const maxStrangers = 1024

// doorman bounds, in number and in time, the connections of those who have no
// certificate: nothing else would end one that never finishes its call.
type doorman struct {
	credentials.TransportCredentials

	time  time.Duration
	slots chan struct{}
}

func newDoorman(inner credentials.TransportCredentials, most time.Duration) *doorman {
	return &doorman{TransportCredentials: inner, time: most, slots: make(chan struct{}, maxStrangers)}
}

// ServerHandshake is that of TLS; a peer's connection passes as it is.
func (d *doorman) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := d.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	if t, ok := info.(credentials.TLSInfo); ok && len(t.State.VerifiedChains) > 0 {
		return conn, info, nil
	}
	select {
	case d.slots <- struct{}{}:
	default:
		_ = raw.Close()
		return nil, nil, errs.New(errs.CodeRateLimited, "too many connections without a peer's certificate")
	}
	late := time.AfterFunc(d.time, func() { _ = raw.Close() })
	leave := sync.OnceFunc(func() {
		late.Stop()
		<-d.slots
	})
	return &stranger{Conn: conn, leave: leave}, info, nil
}

// stranger is a connection that gives its slot back when it ends.
type stranger struct {
	net.Conn

	leave func()
}

// Close ends the connection; gRPC calls it also where the time was over.
func (s *stranger) Close() error {
	s.leave()
	return s.Conn.Close()
}
