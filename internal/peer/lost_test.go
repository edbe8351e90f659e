package peer

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobpb"
)

// listen hands every connection to do.
func listen(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			do(c)
		}
	}()
	return l.Addr().String()
}

// What a person reads who enrols at an address where no hooklined is.
func TestEnrollWithoutAServer(t *testing.T) {
	for _, c := range []struct{ name, address, want string }{
		{"nobody", "127.0.0.1:1", "cannot enrol: cannot reach 127.0.0.1:1: connection refused"},
		{"no such name", "hookline.invalid:7443", "cannot enrol: cannot reach hookline.invalid:7443: "},
		{"hangs up", listen(t, func(c net.Conn) { c.Close() }), "cannot enrol: cannot speak TLS with 127.0.0.1:"},
		{"speaks HTTP", listen(t, func(c net.Conn) {
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			c.Close()
		}), "cannot enrol: cannot speak TLS with 127.0.0.1:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := enroll.Line{
				Address: c.address, Deployment: deployment, SetupKey: enroll.NewSetupKey(),
				RootDigest: strings.Repeat("ef", 32), CADigest: strings.Repeat("ab", 32),
			}
			_, err := Enroll(t.Context(), line, t.TempDir(), "host", "test")
			e, ok := errs.As(err)
			if !ok || e.Code != errs.CodeUnavailable || !strings.HasPrefix(err.Error(), c.want) || e.Hint == "" {
				t.Errorf("got %v, %+v", err, e)
			}
			noNoise(t, err.Error())
		})
	}
}

// noNoise refuses what only the libraries understand.
func noNoise(t *testing.T, text string) {
	t.Helper()
	for _, noise := range []string{"desc =", "rpc error", "transport", "dial tcp", "lookup", "\n"} {
		if strings.Contains(text, noise) {
			t.Errorf("%q holds %q", text, noise)
		}
	}
}

func TestLostConnectionsInWords(t *testing.T) {
	l := &link{address: "10.0.0.1:7443"}
	for _, c := range []struct {
		err  error
		want string
	}{
		{status.Error(codes.Unavailable, "error reading from server: EOF"), "lost the connection to 10.0.0.1:7443"},
		{status.Error(codes.Unavailable, `connection error: desc = "transport: authentication handshake failed: tls: first record does not look like a TLS handshake"`), "cannot speak TLS with 10.0.0.1:7443: tls: first record does not look like a TLS handshake"},
		{status.FromContextError(context.DeadlineExceeded).Err(), "cannot reach 10.0.0.1:7443: no answer in time"},
	} {
		err := l.explain(c.err)
		if err.Error() != c.want || !errs.Is(err, errs.CodeUnavailable) {
			t.Errorf("%v: got %v", c.err, err)
		}
	}
	coded := l.explain(jobpb.Status(errs.New(errs.CodeUnavailable, "cannot write: the disk is full")))
	if coded.Error() != "cannot write: the disk is full" {
		t.Errorf("the server's own words became %v", coded)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The log of a network side whose server goes away has one short line for each
// attempt.
func TestLogOfALostServer(t *testing.T) {
	r := newRig(t, &thief{})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	r.ok(err)
	r.address = l.Addr().String()
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(r.ca.ServerTLS(time.Now))))
	jobpb.RegisterPeersServer(g, &thief{stream: func(s side) error { _ = greet(s); <-s.Context().Done(); return nil }})
	go func() { _ = g.Serve(l) }()
	var log lockedBuffer
	r.log = slog.New(slog.NewTextHandler(&log, nil))
	r.runWith(backoff.NewConstantBackOff(5 * time.Millisecond))
	r.hear(guardwire.KindConnected)
	g.Stop()
	reasons := []string{}
	for len(reasons) < 3 {
		m := r.hear(guardwire.KindDisconnected)
		noNoise(t, m.Reason)
		reasons = append(reasons, m.Reason)
	}
	if reasons[0] != "lost the connection to "+r.address || reasons[2] != "cannot reach "+r.address+": connection refused" {
		t.Errorf("the guard heard %q", reasons)
	}
	for line := range strings.Lines(log.String()) {
		noNoise(t, strings.TrimSuffix(line, "\n"))
	}
}
