package jobserver_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/internal/jobserver"
)

// Who has no certificate gets one answer, not a connection to keep.
func TestStrangersCannotStay(t *testing.T) {
	r := newRig(t, jobserver.Times{Stranger: 200 * time.Millisecond})
	m := r.machine()
	m.open()
	config := enroll.PinnedTLS(deployment, r.ca.Digest(), time.Now)
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", r.address)
	r.ok(err)
	defer func() { _ = conn.Close() }()
	// A client that says that it is one, and then nothing.
	_, err = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	r.ok(err)
	r.ok(conn.SetReadDeadline(time.Now().Add(patience)))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
	m.file() // a peer is not cut off
	if !r.hub.Connected(m.id) {
		t.Error("the peer's stream has ended")
	}
}

func TestStrangersCannotWatch(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	config := enroll.PinnedTLS(deployment, r.ca.Digest(), time.Now)
	conn, err := grpc.NewClient("passthrough:///"+r.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	r.ok(err)
	defer func() { _ = conn.Close() }()
	health := healthpb.NewHealthClient(conn)
	if got, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("a check: %v %v", got, err)
	}
	w, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	r.ok(err)
	_, err = w.Recv()
	r.refused(err, errs.CodeUnauthenticated, "")
}

// One key cannot take the places of all others.
func TestConnectionsOfOnePeerAreBounded(t *testing.T) {
	const most = 32
	r := newRig(t, jobserver.Times{})
	k, csr := newKey(t)
	reply, err := r.dial(nil).Enroll(t.Context(), &jobpb.EnrollRequest{Protocol: jobpb.Protocol, SetupKey: r.key, Csr: csr, Name: "m"})
	r.ok(err)
	config := enroll.PinnedTLS(deployment, r.ca.Digest(), time.Now)
	config.NextProtos = []string{"h2"}
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{reply.GetCertificate()}, PrivateKey: k}}
	open := func() net.Conn {
		conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", r.address)
		r.ok(err)
		t.Cleanup(func() { _ = conn.Close() })
		r.ok(conn.SetReadDeadline(time.Now().Add(patience)))
		return conn
	}
	// The server's settings come where the connection was taken.
	taken := func(c net.Conn) bool {
		_, err := c.Read(make([]byte, 1))
		return err == nil
	}
	conns := make([]net.Conn, 0, most)
	for range most {
		conns = append(conns, open())
	}
	for i, c := range conns {
		if !taken(c) {
			t.Fatalf("connection %d was refused", i+1)
		}
	}
	if taken(open()) {
		t.Errorf("connection %d was taken", most+1)
	}
	r.machine().open() // another peer
	r.ok(conns[0].Close())
	r.until("a place is free again", func() bool { return taken(open()) })
}

// A stream and each change of state cost a write of the store and a search
// for work; one peer gets no more of them than of other calls.
func TestStateChangesAreRated(t *testing.T) {
	const changes = 700 // 200 over the burst
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	s := m.open()
	start := time.Now()
	for range changes {
		r.ok(s.Send(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_State{State: hello().GetHello().GetState()}}))
	}
	r.until("all changes are stored", func() bool { return r.row(m.id).Connection.Epoch > changes })
	if took := time.Since(start); took < 1500*time.Millisecond {
		t.Errorf("%d changes in %s", changes, took)
	}
}
