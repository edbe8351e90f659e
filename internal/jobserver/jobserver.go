// Package jobserver is the server's side of the peers' protocol: gRPC over
// mutual TLS, with one long stream per connected peer.
//
//	s := &jobserver.Server{Collector: c, Uploads: c, Peers: db, Enroller: service, …}
//	c.Sender = s
//	g := s.GRPC(ca.ServerTLS(time.Now))
//	go s.ClearStale(ctx)
//	err := g.Serve(listener)
//	…
//	s.Drain() // peers come back later
//	g.GracefulStop()
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
	"time"

	"golang.org/x/sync/errgroup"
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
	// Hello starts the sending of the peer's unsent jobs and the matching of
	// its recent originals, and returns at once.
	Hello(peerID string)
	Acked(ctx context.Context, peerID, jobID string) error
	Finish(ctx context.Context, peerID, jobID string, o hooks.Outcome, code, reason, hookError string) (jobs.Job, error)
	Claim(ctx context.Context, peerID, version, originalID string) error
}

// Uploads opens the upload of the result of one of a peer's hook jobs;
// *collector.Collector does.
type Uploads interface {
	NewUpload(ctx context.Context, peerID, jobID string) (*collector.Upload, error)
}

// Server implements jobpb.PeersServer, and for the collector its Sender. Set
// the exported members, then call GRPC once.
type Server struct {
	jobpb.UnimplementedPeersServer

	Collector Collector
	Uploads   Uploads // the same collector
	Peers     Peers
	Enroller  Enroller
	Policy    []byte // the policy file's bytes, for enrolment
	Name      string // of this server, unique among those that share the store
	Version   string
	Now       func() time.Time // nil is the clock
	Log       *slog.Logger     // nil is no log
	Times     Times

	hub   hub
	rates rates
	alive *health.Server
}

var (
	_ jobpb.PeersServer = (*Server)(nil)
	_ collector.Sender  = (*Server)(nil)
)

// Times bound how long a peer may take; zero members mean the defaults.
type Times struct {
	Hello  time.Duration // until the first message of a stream; 10 s
	Idle   time.Duration // between two chunks of an upload; 30 s
	Upload time.Duration // a whole upload; 2 min
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
	return t
}

func (s *Server) setDefaults() {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	s.Times = s.Times.withDefaults()
}

// GRPC makes the listener's side: this service and the standard health check,
// with the caps and pings of peers' connections. The TLS configuration is
// enroll.CA.ServerTLS.
func (s *Server) GRPC(config *tls.Config) *grpc.Server {
	s.setDefaults()
	g := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(config)),
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
	s.alive = health.NewServer()
	healthpb.RegisterHealthServer(g, s.alive)
	return g
}

// Send hands a stored job to the peer's stream and does not wait for the peer
// to read it. errs.CodePeerNotConnected: there is no stream, or it was just
// ended because the peer does not read.
func (s *Server) Send(_ context.Context, d collector.Dispatch) error { return s.hub.send(d) }

// Connected reports whether the peer has a stream on this server.
func (s *Server) Connected(peerID string) bool { return s.hub.connected(peerID) }

// Streams is the number of connected peers.
func (s *Server) Streams() int { return s.hub.size() }

// Drain asks every connected peer to come back later and ends its stream. No
// new stream is taken; other calls go on until the listener is stopped.
func (s *Server) Drain() {
	s.alive.Shutdown()
	s.hub.drain(reconnectAfter)
}

// ClearStale ends, in the store, the connections that a server of this Name
// had when it was killed. It may run while peers come back: the epoch of
// theirs is a newer one.
func (s *Server) ClearStale(ctx context.Context) {
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(16)
	after := ""
	for {
		page, err := s.Peers.Peers(ctx, after, 200)
		if err != nil || len(page) == 0 {
			if err := errors.Join(err, workers.Wait()); err != nil && !errors.Is(err, context.Canceled) {
				s.Log.WarnContext(ctx, "cannot clear connections of before the start", "error", err)
			}
			return
		}
		for _, p := range page {
			if p.Connection.Server != s.Name || s.hub.has(p.ID, p.Connection.Epoch) {
				continue
			}
			workers.Go(func() error {
				_, err := s.Peers.Disconnect(ctx, p.ID, p.Connection.Epoch, s.Now())
				return err
			})
		}
		after = page[len(page)-1].ID
	}
}
