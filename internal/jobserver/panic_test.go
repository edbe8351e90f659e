package jobserver_test

import (
	"context"
	"net"
	"testing"
	"time"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/internal/jobserver"
)

type broken struct{}

func (broken) Enroll(context.Context, []byte, string, string, string) (enroll.Peer, []byte, error) {
	panic("a defect")
}

// A defect that one caller finds ends that call, not the server.
func TestPanicEndsOneCall(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	s := &jobserver.Server{
		Hub: jobserver.NewHub(), Collector: r.c, Uploads: r.c, Peers: r.db, Enroller: broken{}, Name: "broken", Version: "test",
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	r.ok(err)
	r.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, r.ca.ServerTLS(time.Now)) }()
	for range 2 {
		_, err = r.dial(nil).Enroll(t.Context(), &jobpb.EnrollRequest{Protocol: jobpb.Protocol})
		r.refused(err, errs.CodeInternal, "internal error")
	}
	cancel()
	r.ok(<-served)
}
