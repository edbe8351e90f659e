package jobserver

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
)

// admit lets a caller without a client certificate into nothing but Enroll
// and the health check, before a byte of its message is read.
func admit(ctx context.Context, info *tap.Info) (context.Context, error) {
	switch info.FullMethodName {
	case jobpb.Peers_Enroll_FullMethodName, healthpb.Health_Check_FullMethodName:
		return ctx, nil
	}
	if spkiOf(ctx) == nil {
		return ctx, jobpb.Status(errs.New(errs.CodeUnauthenticated, "this call needs a peer's certificate").
			WithHint("enroll the machine: `hookline-peer enroll LINE`"))
	}
	return ctx, nil
}

// spkiOf is the caller's public key from its verified certificate, or nil.
func spkiOf(ctx context.Context) []byte {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.PeerCertificates) == 0 {
		return nil
	}
	return info.State.PeerCertificates[0].RawSubjectPublicKeyInfo
}

// caller is the enrolled peer whose certificate the connection has.
func (s *Server) caller(ctx context.Context) (enroll.Peer, error) {
	spki := spkiOf(ctx)
	if spki == nil {
		return enroll.Peer{}, errs.New(errs.CodeUnauthenticated, "this call needs a peer's certificate")
	}
	id, digest := enroll.PeerIDOf(spki)
	p, err := s.Peers.Peer(ctx, id)
	if errs.Is(err, errs.CodeNotFound) || (err == nil && p.SPKI != digest) {
		return enroll.Peer{}, errs.New(errs.CodeNotEnrolled, "the server does not know peer %s", id).
			WithHint("enroll the machine again")
	}
	return p, err
}

// answerCall and answerStream are the one place where errors become statuses.
func (s *Server) answerCall(ctx context.Context, in any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (out any, err error) {
	defer func() { err = s.answer(ctx, info.FullMethod, err) }()
	defer recovered(&err)
	return next(ctx, in)
}

func (s *Server) answerStream(srv any, g grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() { err = s.answer(g.Context(), info.FullMethod, err) }()
	defer recovered(&err)
	return next(srv, g)
}

// recovered turns a panic of a handler into an internal error: gRPC lets it
// end the process, and with it every other peer's stream.
func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
	}
}

func (s *Server) answer(ctx context.Context, method string, err error) error {
	if err == nil {
		return nil
	}
	told := jobpb.Status(err)
	level, code := slog.LevelInfo, errs.CodeOf(jobpb.FromStatus(told))
	if code == errs.CodeInternal && ctx.Err() == nil {
		level = slog.LevelError
	}
	id := ""
	if spki := spkiOf(ctx); spki != nil {
		id, _ = enroll.PeerIDOf(spki)
	}
	s.Log.Log(ctx, level, "a peer's call ended", "method", method, "peer", id, "code", code, "error", err)
	return told
}
