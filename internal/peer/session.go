package peer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobpb"
	"hookline/signing/trust"
)

// A server that talks faster is read slower.
const (
	messagesPerSecond = 200
	messagesBurst     = 1000
)

// A server that sends other trust metadata all the time is read slower, too:
// the guard verifies each.
const (
	trustEvery = 2 * time.Second
	trustBurst = 20
)

// session is one connection with its stream.
type session struct {
	*network
	id   identity
	main *link

	told   [32]byte // digest of the trust metadata that went to the guard last
	trusts *rate.Limiter
}

// drained ends a session where the server asked to come back later.
type drained struct{ after time.Duration }

func (d *drained) Error() string { return d.Unwrap().Error() }

func (d *drained) Unwrap() error {
	return errs.New(errs.CodeUnavailable, "the server stops; again in %s", d.after)
}

// session connects and serves until something ends it; the error, never nil,
// is why. welcomed: the server was there.
func (n *network) session(ctx context.Context) (welcomed bool, err error) {
	id, err := load(n.Dir)
	if err != nil {
		return false, err
	}
	if left := id.expires().Sub(n.Now()); left < warnBefore {
		n.Log.WarnContext(ctx, "this machine's certificate ends soon; enroll again", "days", int(left.Hours()/24))
	}
	main, err := id.dial(n.Now)
	if err != nil {
		return false, err
	}
	defer main.hangUp()
	s := &session{network: n, id: id, main: main, trusts: rate.NewLimiter(rate.Every(trustEvery), trustBurst)}
	stream, err := s.open(ctx)
	welcomed = err == nil
	switch {
	case welcomed:
		err = s.serve(ctx, stream)
	case jobpb.Unimplemented(err):
		n.Log.WarnContext(ctx, "the server has no job stream; reports are still sent")
		err = s.serve(ctx, nil)
	}
	return welcomed, main.explain(err)
}

type stream struct {
	grpc.BidiStreamingClient[jobpb.PeerMessage, jobpb.ServerMessage]
	end context.CancelFunc
}

// open says hello and waits for the welcome.
func (s *session) open(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(welcomeTime, cancel)
	raw, err := s.main.client.Stream(ctx)
	if err == nil {
		err = raw.Send(s.desk.hello(s.Version))
	}
	if err == nil || errors.Is(err, io.EOF) { // Recv has the reason
		err = welcome(raw)
	}
	if !late.Stop() && err != nil && !jobpb.Unimplemented(err) {
		err = errs.New(errs.CodeUnavailable, "%s did not answer within %s", s.id.address, welcomeTime)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &stream{raw, cancel}, nil
}

func welcome(raw grpc.BidiStreamingClient[jobpb.PeerMessage, jobpb.ServerMessage]) error {
	m, err := raw.Recv()
	if err != nil {
		return err
	}
	w := m.GetWelcome()
	if w == nil {
		return errs.New(errs.CodeBadInput, "the server's first message is not a welcome")
	}
	if w.GetProtocol() != jobpb.Protocol {
		return errs.New(errs.CodeProtocolUnsupported, "the server speaks protocol %d, this machine %d", w.GetProtocol(), jobpb.Protocol)
	}
	return nil
}

// serve runs the stream and the two deliveries beside it; the first to fail
// ends all. Without a stream only the deliveries run.
func (s *session) serve(ctx context.Context, st *stream) error {
	parts, ctx := errgroup.WithContext(ctx)
	if st != nil {
		if !s.tell(ctx, guardwire.Message{Kind: guardwire.KindConnected}) {
			st.end()
			return errs.New(errs.CodeUnavailable, "the guard is gone")
		}
		s.Log.InfoContext(ctx, "connected", "server", s.id.address)
		parts.Go(func() error {
			defer st.end()
			return s.send(ctx, st)
		})
		parts.Go(func() error {
			defer st.end()
			return s.receive(ctx, st)
		})
	} else {
		parts.Go(func() error {
			sleep(ctx, oldServer)
			return errs.New(errs.CodeProtocolUnsupported, "the server has no job stream")
		})
	}
	parts.Go(func() error { return deliver(ctx, s, s.desk.files, s.file) })
	parts.Go(func() error { return deliver(ctx, s, s.desk.uploads, s.upload) })
	return parts.Wait()
}

// send says what the desk has to say.
func (s *session) send(ctx context.Context, st *stream) error {
	for {
		for _, m := range s.desk.say() {
			if err := st.Send(m); errors.Is(err, io.EOF) {
				<-ctx.Done() // receive has the reason
				return ctx.Err()
			} else if err != nil {
				return err
			}
		}
		select {
		case <-s.desk.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// receive takes what the server says. All of it is hostile.
func (s *session) receive(ctx context.Context, st *stream) error {
	limit := rate.NewLimiter(messagesPerSecond, messagesBurst)
	for {
		m, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return errs.New(errs.CodeUnavailable, "the server ended the stream")
		}
		if err != nil {
			return err
		}
		if err := s.handle(ctx, m); err != nil {
			return err
		}
		if err := limit.Wait(ctx); err != nil {
			return err
		}
	}
}

func (s *session) handle(ctx context.Context, m *jobpb.ServerMessage) error {
	gone := errs.New(errs.CodeUnavailable, "the guard is gone")
	switch b := m.GetBody().(type) {
	case *jobpb.ServerMessage_Job:
		if !s.onJob(ctx, b.Job) {
			return gone
		}
	case *jobpb.ServerMessage_Cancel:
		id := b.Cancel.GetJobId()
		if s.desk.isRunning(id) && !s.tell(ctx, guardwire.Message{
			Kind: guardwire.KindCancel, JobID: id, Reason: jobpb.Printable(b.Cancel.GetReason(), maxReason),
		}) {
			return gone
		}
	case *jobpb.ServerMessage_Settled:
		id := b.Settled.GetJobId()
		if s.desk.settled(id) && !s.tell(ctx, confirmed(guardwire.KindFinished, id, b.Settled.GetCode(), "")) {
			return gone
		}
	case *jobpb.ServerMessage_Trust:
		return s.onTrust(ctx, b.Trust.GetBundle())
	case *jobpb.ServerMessage_Drain:
		return &drained{min(time.Duration(b.Drain.GetReconnectAfterMs())*time.Millisecond, longestDrain)}
	case *jobpb.ServerMessage_Welcome:
		return errs.New(errs.CodeBadInput, "the server welcomed twice")
	}
	return nil // a newer server may say more; what is not understood is not acted on
}

// confirmed tells the guard that the server has decided.
func confirmed(kind guardwire.Kind, id, code, reason string) guardwire.Message {
	if !jobpb.IsCode(code) {
		code = ""
	}
	return guardwire.Message{Kind: kind, JobID: id, Code: code, Reason: jobpb.Printable(reason, maxReason)}
}

// onJob hands a job to the guard, or answers for it where it cannot be one.
// false: the guard is gone.
func (s *session) onJob(ctx context.Context, j *jobpb.Job) bool {
	if u, err := uuid.Parse(j.GetId()); err != nil || u.String() != j.GetId() {
		s.Log.WarnContext(ctx, "the server sent a job without a proper id")
		return true
	}
	if j.GetHook() == nil {
		s.answer(j, errs.CodeWorkloadUnknown, "this machine does not know the kind of job")
		return true
	}
	deadline := s.deadline(j)
	run := guardwire.Run{
		OriginalID: j.GetHook().GetOriginalId(), Deadline: deadline, Statement: j.GetHook().GetStatement(),
		Script: j.GetHook().GetScript(), Signatures: j.GetHook().GetSignatures(),
	}
	if err := run.Validate(); err != nil {
		s.answer(j, errs.CodeOf(err), err.Error())
		return true
	}
	code, again := s.desk.start(j.GetId(), deadline, s.Now())
	if again {
		return true
	}
	if code != "" {
		s.answer(j, code, fmt.Sprintf("this machine has %d jobs under way", maxRunning))
		return true
	}
	return s.tell(ctx, guardwire.Message{Kind: guardwire.KindRun, JobID: j.GetId(), Run: &run})
}

// onTrust hands trust metadata to the guard, which judges it. The same bytes
// again are not handed on.
func (s *session) onTrust(ctx context.Context, bundle []byte) error {
	if len(bundle) == 0 || len(bundle) > trust.MaxBundleBytes {
		s.Log.WarnContext(ctx, "the server sent trust metadata of a size that cannot be right", "bytes", len(bundle))
		return nil
	}
	digest := sha256.Sum256(bundle)
	if digest == s.told {
		return nil
	}
	s.told = digest
	if !s.tell(ctx, guardwire.Message{Kind: guardwire.KindTrust, Trust: &guardwire.Trust{Bundle: bundle}}) {
		return errs.New(errs.CodeUnavailable, "the guard is gone")
	}
	return s.trusts.Wait(ctx)
}

// deadline is when a job that has just come ends here: by the time that is
// left to it, not by the server's clock, from which ours may differ.
func (s *session) deadline(j *jobpb.Job) time.Time {
	left := min(max(0, j.GetTtlMs()), longestJob.Milliseconds())
	return s.Now().UTC().Add(time.Duration(left) * time.Millisecond)
}

// answer ends a job that never reached the guard.
func (s *session) answer(j *jobpb.Job, code errs.Code, reason string) {
	s.desk.note(finished(j.GetId(), string(code), reason, guardwire.Finish{Outcome: hooks.OutcomeRefused}))
}
