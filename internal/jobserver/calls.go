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
	"hookline/internal/errs"
	"hookline/internal/jobpb"
)

const maxSetupKey = 128

// Enroll answers a machine that has no certificate yet.
func (s *Server) Enroll(ctx context.Context, r *jobpb.EnrollRequest) (*jobpb.EnrollReply, error) {
	if r.GetProtocol() != jobpb.Protocol {
		return nil, errs.New(errs.CodeProtocolUnsupported, "the peer speaks protocol %d, the server %d", r.GetProtocol(), jobpb.Protocol).
			At("protocol").WithHint("upgrade the older side")
	}
	if len(r.GetSetupKey()) > maxSetupKey {
		return nil, errs.New(errs.CodeTooLarge, "is longer than %d bytes", maxSetupKey).At("setup_key")
	}
	p, cert, err := s.Enroller.Enroll(ctx, r.GetCsr(), r.GetSetupKey(), r.GetName(), r.GetVersion())
	if err != nil {
		return nil, err
	}
	bundle, _ := s.Trust.Bundle()
	s.Log.InfoContext(ctx, "a peer enrolled", "peer", p.ID, "name", p.Name)
	return &jobpb.EnrollReply{PeerId: p.ID, Certificate: cert, Trust: bundle}, nil
}

// File stores one report under the id that the peer chose.
func (s *Server) File(ctx context.Context, r *jobpb.FileRequest) (*jobpb.FileReply, error) {
	p, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.rates.wait(ctx, p.ID, s.Now()); err != nil {
		return nil, err
	}
	if err := s.rates.report(p.ID, len(r.GetReport()), s.Now()); err != nil {
		return nil, err
	}
	report, err := hooks.ParseReport(r.GetReport())
	if err != nil {
		return nil, err
	}
	j, created, err := s.Collector.FileReport(ctx, p.ID, r.GetId(), report)
	if err != nil {
		return nil, err
	}
	return &jobpb.FileReply{Created: created, Fingerprint: j.Fingerprint}, nil
}

// Upload takes the new fields of one hook job. Whatever goes wrong before the
// end leaves nothing of them.
func (s *Server) Upload(g grpc.ClientStreamingServer[jobpb.UploadChunk, jobpb.UploadReply]) error {
	ctx, cancel := context.WithTimeout(g.Context(), s.Times.Upload)
	defer cancel()
	p, err := s.caller(ctx)
	if err != nil {
		return err
	}
	if err := s.rates.wait(ctx, p.ID, s.Now()); err != nil {
		return err
	}
	// A result is 16 full chunks at most; smaller ones only cost the peer time.
	in := inbox(ctx, rate.NewLimiter(messagesPerSecond, messagesBurst), g.Recv)
	first, err := s.chunk(ctx, in)
	if errors.Is(err, io.EOF) {
		return errs.New(errs.CodeBadInput, "an upload must start with a chunk")
	}
	if err != nil {
		return err
	}
	u, err := s.Uploads.NewUpload(ctx, p.ID, first.GetJobId())
	if err != nil {
		return err
	}
	u.Denied = int64(first.GetDenied())
	late, done := context.WithTimeout(context.WithoutCancel(ctx), s.Times.Upload+storeTime)
	defer done()
	defer u.Abort(late)
	if err := s.receive(ctx, u, first.GetData(), in); err != nil {
		return err
	}
	j, err := u.Commit(late) // whole: the peer may leave now
	if err != nil {
		return err
	}
	return g.SendAndClose(&jobpb.UploadReply{Outcome: string(j.Outcome), Code: j.FailedCode})
}

// receive writes chunks until the peer has sent the last one, or its job is
// decided: then the rest would be in vain. The upload itself knows how much it
// may be.
func (s *Server) receive(ctx context.Context, u *collector.Upload, data []byte, in <-chan item[*jobpb.UploadChunk]) error {
	for {
		if _, over := u.Decided(); over {
			return nil
		}
		if err := u.Write(data); err != nil {
			return err
		}
		c, err := s.chunk(ctx, in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if c.GetJobId() != "" {
			return errs.New(errs.CodeBadInput, "only the first chunk names the job").At("job_id")
		}
		data = c.GetData()
	}
}

// chunk waits for the next chunk; io.EOF after the last.
func (s *Server) chunk(ctx context.Context, in <-chan item[*jobpb.UploadChunk]) (*jobpb.UploadChunk, error) {
	idle := time.NewTimer(s.Times.Idle)
	defer idle.Stop()
	select {
	case <-idle.C:
		return nil, errs.New(errs.CodeUnavailable, "no chunk came for %s", s.Times.Idle)
	case <-ctx.Done():
		return nil, ctx.Err()
	case it := <-in:
		if it.err != nil {
			return nil, it.err
		}
		if n := len(it.msg.GetData()); n > jobpb.MaxChunk {
			return nil, errs.New(errs.CodeTooLarge, "%d bytes are over the limit of %d", n, jobpb.MaxChunk).At("data")
		}
		return it.msg, nil
	}
}
