// Package jobserver is the server's side of the peers' protocol: gRPC over
// mutual TLS, with one long stream per connected peer.
//
//	hub := jobserver.NewHub()
//	c := &collector.Collector{Sender: hub, …}
//	s := &jobserver.Server{Hub: hub, Collector: c, Uploads: c, …}
//	err := s.Serve(ctx, listener, ca.ServerTLS(time.Now))
//
// Who a peer is follows from the key of its verified client certificate and
// never from a message. What a peer says is capped, rated and checked here;
// what it means is for package collector to decide. The messages and their
// order stand in peers.proto.
package jobserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/jobpb"
	"hookline/internal/jobs"
)

// Caps and times of the transport; reference figures are in docs/benchmarks.md.
const (
	maxMessage      = hooks.MaxReportBytes + 64<<10
	maxHeaders      = 8 << 10
	maxCalls        = 16 // at a time on one connection: the stream, uploads, reports
	readBuffer      = 1 << 10
	handshakeTime   = 20 * time.Second
	pingEvery       = 75 * time.Second
	pingTimeout     = 20 * time.Second
	pingAtMostEvery = 30 * time.Second // a peer that pings more often is cut off
	idleConnection  = 2 * time.Minute  // without any call
	reconnectAfter  = time.Second      // what a drained peer is told
)

// Enroller trades setup keys for certificates; *enroll.Service does.
type Enroller interface {
	Enroll(ctx context.Context, csr []byte, setupKey, name, version string) (enroll.Peer, []byte, error)
}

// Peers are the rows of enrolled peers.
type Peers interface {
	Peer(ctx context.Context, id string) (enroll.Peer, error)
	Peers(ctx context.Context, after string, limit int) ([]enroll.Peer, error)
	Connect(ctx context.Context, id, server string, h enroll.Hello, now time.Time) (epoch int64, err error)
	Disconnect(ctx context.Context, id string, epoch int64, now time.Time) (ok bool, err error)
}

// Collector takes what peers bring; *collector.Collector does.
type Collector interface {
	FileReport(ctx context.Context, peerID, id string, report hooks.Report) (j jobs.Job, created bool, err error)
	// Hello starts the sending of the peer's unacknowledged jobs and the matching of
	// its recent originals, and returns at once.
	Hello(peerID string)
	Acked(ctx context.Context, peerID, jobID string) error
	Finish(ctx context.Context, peerID, jobID string, e collector.End) (jobs.Job, error)
	Claim(ctx context.Context, peerID, version, originalID string) error
}

// Uploads opens the upload of the result of one of a peer's hook jobs;
// *collector.Collector does.
type Uploads interface {
	NewUpload(ctx context.Context, peerID, jobID string) (*collector.Upload, error)
}

// Trust is the deployment's trust metadata, which peers verify themselves.
type Trust interface {
	// Bundle is the newest bundle, encoded; changed is closed as soon as there is a newer one.
	Bundle() (encoded []byte, changed <-chan struct{})
}

// Server implements jobpb.PeersServer. Set its exported members, then call
// Serve once.
type Server struct {
	jobpb.UnimplementedPeersServer

	Hub       *Hub
	Collector Collector
	Uploads   Uploads // the same collector
	Peers     Peers
	Enroller  Enroller
	Trust     Trust
	Name      string // of this server, unique among those that share the store
	Version   string
	Now       func() time.Time // nil is the clock
	Log       *slog.Logger     // nil is no log
	Times     Times

	rates rates
	stale chan struct{} // the store has, perhaps, a connection that is none any more
}

// Times bound how long a peer may take; zero members mean the defaults.
type Times struct {
	Hello    time.Duration // until the first message of a stream; 10 s
	Idle     time.Duration // between two chunks of an upload; 30 s
	Upload   time.Duration // a whole upload; 2 min
	Stop     time.Duration // for calls under way when the server stops; 10 s
	Stranger time.Duration // a whole connection without a peer's certificate; 1 min
}

func (t Times) withDefaults() Times {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&t.Hello, 10*time.Second)
	set(&t.Idle, 30*time.Second)
	set(&t.Upload, 2*time.Minute)
	set(&t.Stop, 10*time.Second)
	set(&t.Stranger, time.Minute)
	return t
}

// Serve answers peers on the listener until ctx ends; then it asks the
// connected ones to come back later, lets calls under way finish, and returns
// nil. The TLS configuration is enroll.CA.ServerTLS.
func (s *Server) Serve(ctx context.Context, l net.Listener, config *tls.Config) error {
	s.setDefaults()
	g := s.newGRPC(config)
	alive := health.NewServer()
	healthpb.RegisterHealthServer(g, alive)

	background, cancel := context.WithCancel(ctx)
	var repair sync.WaitGroup
	repair.Go(func() { s.keepClear(background) })
	defer repair.Wait()
	defer cancel()

	ended := make(chan error, 1)
	go func() { ended <- g.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	alive.Shutdown()
	s.Hub.drain(reconnectAfter)
	s.stop(g)
	if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

func (s *Server) setDefaults() {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	s.Times = s.Times.withDefaults()
	s.stale = make(chan struct{}, 1)
}

// stop waits for calls under way, but not for ever.
func (s *Server) stop(g *grpc.Server) {
	late := time.AfterFunc(s.Times.Stop, g.Stop)
	defer late.Stop()
	g.GracefulStop()
}

func (s *Server) newGRPC(config *tls.Config) *grpc.Server {
	g := grpc.NewServer(
		grpc.Creds(newDoorman(credentials.NewTLS(config), s.Times.Stranger)),
		grpc.ReadBufferSize(readBuffer),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxCalls),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout, MaxConnectionIdle: idleConnection}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingAtMostEvery}),
		grpc.InTapHandle(admit),
		grpc.UnaryInterceptor(s.answerCall),
		grpc.StreamInterceptor(s.answerStream),
	)
	jobpb.RegisterPeersServer(g, s)
	return g
}
