package peer

import (
	"context"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc"

	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobpb"
)

const (
	// Larger ones go over a connection of their own: the buffers that they
	// need stay with a connection for as long as it lives.
	maxShared = 16 << 10
	// Smaller ones are not worth packing.
	minPacked = 4 << 10
)

// deliver brings a line of things to the server, one after the other, each
// until the server has taken or finally refused it.
func deliver[T any](ctx context.Context, s *session, q *queue[T], send func(context.Context, T) (guardwire.Message, error)) error {
	wait := s.Backoff()
	for {
		id, item, err := q.head(ctx)
		if err != nil {
			return err
		}
		m, err := send(ctx, item)
		switch {
		case err == nil:
			wait.Reset()
			q.pass(id, false)
			if !s.tell(ctx, m) {
				return errs.New(errs.CodeUnavailable, "the guard is gone")
			}
		case ctx.Err() != nil:
			return ctx.Err()
		case jobpb.Unimplemented(err):
			s.Log.WarnContext(ctx, "the server does not have this call; going on without", "id", id)
			<-ctx.Done() // a newer server may have it
			return ctx.Err()
		default:
			pause := wait.NextBackOff()
			s.Log.WarnContext(ctx, "cannot deliver yet", "id", id, "error", s.main.explain(err), "again_in", pause)
			q.pass(id, true)
			if !sleep(ctx, pause) {
				return ctx.Err()
			}
		}
	}
}

// file sends one report. The answer for the guard is also a final refusal.
func (s *session) file(ctx context.Context, f guardwire.File) (guardwire.Message, error) {
	report := f.Report.Canonical()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err := s.call(len(report), func(c jobpb.PeersClient, o ...grpc.CallOption) error {
		_, err := c.File(ctx, &jobpb.FileRequest{Id: f.ID, Report: report}, o...)
		return err
	})
	return outcome(guardwire.KindFiled, f.ID, "", err)
}

// upload sends the new fields of one job.
func (s *session) upload(ctx context.Context, m guardwire.Message) (guardwire.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var code string
	err := s.call(len(m.Finish.Fields), func(c jobpb.PeersClient, o ...grpc.CallOption) error {
		reply, err := sendChunks(ctx, c, m.JobID, *m.Finish, o)
		code = reply.GetCode()
		return err
	})
	return outcome(guardwire.KindFinished, m.JobID, code, err)
}

func sendChunks(ctx context.Context, c jobpb.PeersClient, job string, f guardwire.Finish, o []grpc.CallOption) (*jobpb.UploadReply, error) {
	up, err := c.Upload(ctx, o...)
	if err != nil {
		return nil, err
	}
	chunks := slices.Collect(slices.Chunk(f.Fields, jobpb.MaxChunk))
	if len(chunks) == 0 {
		chunks = [][]byte{nil}
	}
	for i, data := range chunks {
		chunk := &jobpb.UploadChunk{Data: data}
		if i == 0 {
			chunk.JobId, chunk.Denied = job, uint32(f.Denied)
		}
		if err := up.Send(chunk); errors.Is(err, io.EOF) {
			break // the server has answered already
		} else if err != nil {
			return nil, err
		}
	}
	return up.CloseAndRecv()
}

func outcome(kind guardwire.Kind, id, code string, err error) (guardwire.Message, error) {
	switch {
	case err == nil:
		return confirmed(kind, id, code, ""), nil
	case jobpb.Final(err):
		err = jobpb.FromStatus(err)
		return confirmed(kind, id, string(errs.CodeOf(err)), err.Error()), nil
	}
	return guardwire.Message{}, err
}

// call makes one call of this many bytes, over a connection of its own where
// they are many.
func (s *session) call(size int, do func(jobpb.PeersClient, ...grpc.CallOption) error) error {
	var o []grpc.CallOption
	if size >= minPacked {
		o = append(o, grpc.UseCompressor(jobpb.Compression))
	}
	if size <= maxShared {
		return do(s.main.client, o...)
	}
	own, err := s.id.dial(s.Now)
	if err != nil {
		return err
	}
	defer own.hangUp()
	err = do(own.client, o...)
	if lost := own.lost(err); lost != nil {
		return lost
	}
	return err
}
