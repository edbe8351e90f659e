package jobserver

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
)

const (
	maxFact    = 128
	maxVersion = 64
	maxReason  = 500
	maxID      = 64
	storeTime  = 30 * time.Second // for a write that outlives its caller
)

type peerStream = grpc.BidiStreamingServer[jobpb.PeerMessage, jobpb.ServerMessage]

// item is one message or the end of them.
type item[T any] struct {
	msg T
	err error
}

// inbox turns a blocking Recv into a channel, so that a handler can wait for
// other things too. It ends with the first error, or when ctx ends, which
// gRPC makes sure of when the handler returns.
func inbox[T any](ctx context.Context, limit *rate.Limiter, recv func() (T, error)) <-chan item[T] {
	in := make(chan item[T])
	go func() {
		for {
			msg, err := recv()
			if err == nil {
				err = limit.Wait(ctx)
			}
			select {
			case in <- item[T]{msg, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return in
}

// Stream serves one peer: hello first, then jobs out and answers in.
func (s *Server) Stream(g peerStream) error {
	p, err := s.caller(g.Context())
	if err != nil {
		return err
	}
	if err := s.rates.wait(g.Context(), p.ID, s.Now()); err != nil {
		return err
	}
	in := inbox(g.Context(), rate.NewLimiter(messagesPerSecond, messagesBurst), g.Recv)
	hello, err := s.awaitHello(g.Context(), in)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(g.Context())
	defer end(nil)
	st := &stream{peerID: p.ID, out: make(chan *jobpb.ServerMessage, queued), ctx: ctx, end: end}
	opened := s.Hub.open(p.ID)
	defer opened()
	if st.epoch, err = s.Peers.Connect(ctx, p.ID, s.Name, hello, s.Now()); err != nil {
		defer s.clearLater() // it may be stored all the same
		return err
	}
	defer s.leave(st)
	if err := g.Send(s.welcome(st.epoch)); err != nil {
		return err
	}
	changed, err := s.sendTrust(g)
	if err != nil {
		return err
	}
	if err := s.Hub.add(st); err != nil {
		return err
	}
	opened()
	s.Collector.Hello(p.ID)
	return s.converse(st, g, in, changed)
}

// sendTrust sends the newest trust metadata; changed is closed when there is
// newer. A peer that reads slowly gets what is the newest by then, and never
// what was in between.
func (s *Server) sendTrust(g peerStream) (changed <-chan struct{}, err error) {
	bundle, changed := s.Trust.Bundle()
	return changed, g.Send(&jobpb.ServerMessage{Body: &jobpb.ServerMessage_Trust{Trust: &jobpb.Trust{Bundle: bundle}}})
}

func (s *Server) welcome(epoch int64) *jobpb.ServerMessage {
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Welcome{
		Welcome: &jobpb.Welcome{Protocol: jobpb.Protocol, Version: s.Version, Epoch: epoch},
	}}
}

// leave is the cleanup of one stream: in the hub and in the store it touches
// only what is still its own.
func (s *Server) leave(st *stream) {
	s.Hub.remove(st)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(st.ctx), storeTime)
	defer cancel()
	if _, err := s.Peers.Disconnect(ctx, st.peerID, st.epoch, s.Now()); err != nil {
		s.Log.WarnContext(ctx, "cannot store that a peer left", "peer", st.peerID, "error", err)
		s.clearLater()
	}
}

func (s *Server) awaitHello(ctx context.Context, in <-chan item[*jobpb.PeerMessage]) (enroll.Hello, error) {
	late := time.NewTimer(s.Times.Hello)
	defer late.Stop()
	select {
	case <-late.C:
		return enroll.Hello{}, errs.New(errs.CodeUnavailable, "no hello came in time")
	case <-ctx.Done():
		return enroll.Hello{}, ctx.Err()
	case it := <-in:
		if it.err != nil {
			return enroll.Hello{}, it.err
		}
		return checkHello(it.msg.GetHello())
	}
}

func checkHello(h *jobpb.Hello) (enroll.Hello, error) {
	switch {
	case h == nil:
		return enroll.Hello{}, errs.New(errs.CodeBadInput, "the first message must be a hello")
	case h.GetProtocol() != jobpb.Protocol:
		return enroll.Hello{}, errs.New(errs.CodeProtocolUnsupported,
			"the peer speaks protocol %d, the server %d", h.GetProtocol(), jobpb.Protocol).At("hello.protocol").
			WithHint("upgrade the older side")
	case h.GetPredicateLevel() < hooks.PredicateLevel:
		return enroll.Hello{}, errs.New(errs.CodeProtocolUnsupported,
			"the peer knows statements up to version %d, the server sends version %d", h.GetPredicateLevel(), hooks.PredicateLevel).
			At("hello.predicate_level").WithHint("upgrade hookline-peer")
	}
	return checkState(h.GetState(), h.GetVersion())
}

func checkState(st *jobpb.State, version string) (enroll.Hello, error) {
	switch st.GetAllowHooks() {
	case "no", "ask", "yes":
	default:
		return enroll.Hello{}, errs.New(errs.CodeBadInput, "must be no, ask or yes").At("state.allow_hooks")
	}
	f := st.GetFacts()
	return enroll.Hello{
		Version: jobpb.Printable(version, maxVersion), SendReports: st.GetSendReports(), AllowHooks: st.GetAllowHooks(),
		Facts: hooks.Facts{
			OS: jobpb.Printable(f.GetOs(), maxFact), Release: jobpb.Printable(f.GetRelease(), maxFact),
			Kernel: jobpb.Printable(f.GetKernel(), maxFact), Arch: jobpb.Printable(f.GetArch(), maxFact),
		},
	}, nil
}

// converse carries messages both ways until the peer leaves, the stream is
// replaced, or the server drains. New trust metadata goes before what waits.
func (s *Server) converse(st *stream, g peerStream, in <-chan item[*jobpb.PeerMessage], changed <-chan struct{}) (err error) {
	var waits later
	for {
		select {
		case <-changed:
			if changed, err = s.sendTrust(g); err != nil {
				return err
			}
			continue
		default:
		}
		select {
		case <-st.ctx.Done():
			return context.Cause(st.ctx)
		case <-changed: // sent above
		case m := <-st.out:
			if err := s.tell(g, m); err != nil || m.GetDrain() != nil {
				return err
			}
		case it := <-in:
			if errors.Is(it.err, io.EOF) {
				return nil
			}
			if it.err != nil {
				return it.err
			}
			if err := s.hear(st, g, &waits, it.msg); err != nil {
				return err
			}
		case <-waits.due():
			if err := s.hearAgain(st, g, &waits); err != nil {
				return err
			}
		}
	}
}

// tell sends what was queued; a job's time runs from when it is sent.
func (s *Server) tell(g peerStream, m *jobpb.ServerMessage) error {
	if j := m.GetJob(); j != nil {
		j.TtlMs = max(0, j.GetDeadlineMs()-s.Now().UnixMilli())
	}
	return g.Send(m)
}

// hear answers one message, or keeps it until the store is back.
func (s *Server) hear(st *stream, g peerStream, waits *later, m *jobpb.PeerMessage) error {
	if waits.some() && m.GetAck() == nil {
		return waits.add(m)
	}
	reply, err := s.handle(st, m)
	if cause := context.Cause(st.ctx); err != nil && cause != nil {
		return cause
	}
	if errs.Away(err) {
		s.Log.InfoContext(st.ctx, "a peer's message waits for the store", "peer", st.peerID, "error", err)
		return waits.add(m)
	}
	if err != nil || reply == nil {
		return err
	}
	return g.Send(reply)
}

// hearAgain answers what waits, until the store is away again.
func (s *Server) hearAgain(st *stream, g peerStream, waits *later) error {
	for _, m := range waits.take() {
		if err := s.hear(st, g, waits, m); err != nil {
			return err
		}
	}
	waits.done()
	return nil
}

// handle answers one message. An error ends the stream, and the peer comes
// back and says it again; but one of a store that is away does not, see later.
func (s *Server) handle(st *stream, m *jobpb.PeerMessage) (*jobpb.ServerMessage, error) {
	switch b := m.GetBody().(type) {
	case *jobpb.PeerMessage_Ack:
		if err := s.Collector.Acked(st.ctx, st.peerID, b.Ack.GetJobId()); err != nil {
			s.Log.InfoContext(st.ctx, "cannot note an acknowledgement", "peer", st.peerID, "error", err)
		}
		return nil, nil
	case *jobpb.PeerMessage_Finished:
		return s.finished(st, b.Finished)
	case *jobpb.PeerMessage_Claim:
		err := s.Collector.Claim(st.ctx, st.peerID, b.Claim.GetVersion(), b.Claim.GetOriginalId())
		if errs.Away(err) {
			return nil, err
		}
		if err != nil {
			s.Log.InfoContext(st.ctx, "cannot give a claimed job", "peer", st.peerID, "code", errs.CodeOf(err), "error", err)
		}
		return nil, nil
	case *jobpb.PeerMessage_State:
		return nil, s.changeState(st, b.State)
	case *jobpb.PeerMessage_Hello:
		return nil, errs.New(errs.CodeBadInput, "a stream has one hello")
	}
	// A newer peer may say more; what is not understood is not acted on.
	s.Log.DebugContext(st.ctx, "an unknown message was left out", "peer", st.peerID)
	return nil, nil
}

// finished passes the end of a job on. A refusal that would be the same next
// time is answered too, since the peer repeats itself until it hears an end.
func (s *Server) finished(st *stream, f *jobpb.Finished) (*jobpb.ServerMessage, error) {
	if len(f.GetJobId()) > maxID {
		return nil, errs.New(errs.CodeBadInput, "is longer than %d bytes", maxID).At("finished.job_id")
	}
	settled := &jobpb.Settled{JobId: f.GetJobId()}
	j, err := s.Collector.Finish(st.ctx, st.peerID, f.GetJobId(), collector.End{
		Outcome: hooks.Outcome(f.GetOutcome()), Code: f.GetCode(), Reason: jobpb.Printable(f.GetReason(), maxReason),
		HookError: f.GetHookError(), Denied: int64(f.GetDenied()),
	})
	switch {
	case err == nil:
		settled.Outcome, settled.Code = string(j.Outcome), j.FailedCode
	case jobpb.Final(jobpb.Status(err)):
		settled.Code = string(errs.CodeOf(err))
	default:
		return nil, err
	}
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Settled{Settled: settled}}, nil
}

// changeState stores what the owner has changed. It counts as a new
// connection, epoch and all, since what was not allowed before may be now. The
// store does it only while the epoch is this stream's: had a newer stream one
// already, its end would no longer end the connection.
func (s *Server) changeState(st *stream, state *jobpb.State) error {
	if err := s.rates.wait(st.ctx, st.peerID, s.Now()); err != nil {
		return err
	}
	p, err := s.Peers.Peer(st.ctx, st.peerID)
	if err != nil {
		return err
	}
	hello, err := checkState(state, p.Version)
	if err != nil {
		return err
	}
	hello.Renews = st.epoch
	if p.Connection.Server == s.Name && s.Hub.alone(st) {
		hello.Renews = p.Connection.Epoch // that of a change before, whose answer was lost
	}
	epoch, err := s.Peers.Connect(st.ctx, st.peerID, s.Name, hello, s.Now())
	if err == nil && s.Hub.renew(st, epoch) {
		s.Collector.Hello(st.peerID)
		return nil
	}
	if err == nil || errs.Is(err, errs.CodeConflict) {
		err = replaced()
		st.end(err) // for good, unlike a store that is away
	}
	return err
}
