package hooktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/jobpb"
)

// thief is whoever holds the server now: the same address, the same
// certificate, and no care for any rule of ours.
type thief struct {
	jobpb.UnimplementedPeersServer
	grpc *grpc.Server

	mu     sync.Mutex
	held   map[string]*hold // by peer id
	enroll func(*jobpb.EnrollRequest) (*jobpb.EnrollReply, error)
}

// startThief listens at the stolen server's address with a certificate of the
// stolen CA.
func startThief(t *testing.T, address string, ca *enroll.CA) *thief {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	must(t, err)
	th := &thief{held: map[string]*hold{}}
	th.grpc = grpc.NewServer(grpc.Creds(credentials.NewTLS(ca.ServerTLS(time.Now))), grpc.ForceServerCodec(thiefCodec{}))
	jobpb.RegisterPeersServer(th.grpc, th)
	served := make(chan error, 1)
	go func() { served <- th.grpc.Serve(l) }()
	t.Cleanup(func() {
		th.grpc.Stop()
		if err := <-served; err != nil {
			t.Errorf("the thief's server: %v", err)
		}
	})
	return th
}

// patience is how long anything may take.
const patience = 15 * time.Second

// garbage is a message as it goes over the wire, whatever it is.
type garbage []byte

// thiefCodec encodes messages, and garbage as it is.
type thiefCodec struct{}

func (thiefCodec) Name() string { return "proto" }

func (thiefCodec) Marshal(v any) ([]byte, error) {
	if raw, ok := v.(garbage); ok {
		return raw, nil
	}
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("cannot encode a %T", v)
	}
	return proto.Marshal(m)
}

func (thiefCodec) Unmarshal(b []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("cannot decode a %T", v)
	}
	return proto.Unmarshal(b, m)
}

// of is the hold on a peer.
func (th *thief) of(peerID string) *hold {
	th.mu.Lock()
	defer th.mu.Unlock()
	h, ok := th.held[peerID]
	if !ok {
		h = &hold{ends: map[string]ending{}, acks: map[string]int{}, reports: map[string][]byte{}}
		th.held[peerID] = h
	}
	return h
}

func (th *thief) caller(ctx context.Context) (*hold, error) {
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return nil, errors.New("nobody calls")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil, errors.New("the caller has no certificate")
	}
	return th.of(info.State.PeerCertificates[0].Subject.CommonName), nil
}

// Enroll answers as a test wants.
func (th *thief) Enroll(_ context.Context, r *jobpb.EnrollRequest) (*jobpb.EnrollReply, error) {
	th.mu.Lock()
	answer := th.enroll
	th.mu.Unlock()
	if answer == nil {
		return nil, status.Error(codes.PermissionDenied, "nobody enrols here")
	}
	return answer(r)
}

func (th *thief) answerEnroll(answer func(*jobpb.EnrollRequest) (*jobpb.EnrollReply, error)) {
	th.mu.Lock()
	defer th.mu.Unlock()
	th.enroll = answer
}

// Stream says what a test wants said, and writes down what it hears.
func (th *thief) Stream(g grpc.BidiStreamingServer[jobpb.PeerMessage, jobpb.ServerMessage]) error {
	h, err := th.caller(g.Context())
	if err != nil {
		return err
	}
	first, err := g.Recv()
	if err != nil {
		return err
	}
	out, greeting := h.open(first.GetHello())
	if h.packs() {
		if err := grpc.SetSendCompressor(g.Context(), jobpb.Compression); err != nil {
			return err
		}
	}
	heard := make(chan error, 1)
	go func() {
		for {
			m, err := g.Recv()
			if err != nil {
				heard <- err
				return
			}
			h.hear(m, out)
		}
	}()
	for _, m := range greeting {
		if err := g.SendMsg(m); err != nil {
			return err
		}
	}
	for {
		select {
		case err := <-heard:
			h.close(out)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case m := <-out:
			if err, ok := m.(error); ok {
				h.close(out)
				return err
			}
			if err := g.SendMsg(m); err != nil {
				return err
			}
		}
	}
}

// File takes every report.
func (th *thief) File(ctx context.Context, r *jobpb.FileRequest) (*jobpb.FileReply, error) {
	h, err := th.caller(ctx)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reports[r.GetId()] = r.GetReport()
	return &jobpb.FileReply{Created: true}, nil
}

// Upload takes every result.
func (th *thief) Upload(up grpc.ClientStreamingServer[jobpb.UploadChunk, jobpb.UploadReply]) error {
	h, err := th.caller(up.Context())
	if err != nil {
		return err
	}
	var job string
	var fields []byte
	for {
		chunk, err := up.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if job == "" {
			job = chunk.GetJobId()
		}
		fields = append(fields, chunk.GetData()...)
	}
	h.end(job, ending{outcome: string(hooks.OutcomeReceived), fields: fields})
	return up.SendAndClose(&jobpb.UploadReply{Outcome: string(hooks.OutcomeReceived)})
}

// ending is how a peer said that a job ended.
type ending struct {
	outcome, code string
	fields        []byte
	times         int
}

// hold is what the thief has of one peer: its newest stream, and all that came.
type hold struct {
	mu       sync.Mutex
	out      chan any // of the stream that is open; nil where none is
	streams  int      // opened so far
	hello    *jobpb.Hello
	greeting []any  // what the next streams begin with; a welcome where nil
	packed   bool   // the next streams
	trust    []byte // sent after the welcome; none where nil
	acks     map[string]int
	ends     map[string]ending
	claims   []*jobpb.Claim
	reports  map[string][]byte
}

func (h *hold) open(hello *jobpb.Hello) (out chan any, greeting []any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.out = make(chan any, 5000)
	h.streams++
	h.hello = hello
	if h.greeting != nil {
		return h.out, h.greeting
	}
	greeting = []any{welcomes()}
	if h.trust != nil {
		greeting = append(greeting, trustMessage(h.trust))
	}
	return h.out, greeting
}

func (h *hold) close(out chan any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.out == out {
		h.out = nil
	}
}

func (h *hold) hear(m *jobpb.PeerMessage, out chan any) {
	switch b := m.GetBody().(type) {
	case *jobpb.PeerMessage_Ack:
		h.mu.Lock()
		h.acks[b.Ack.GetJobId()]++
		h.mu.Unlock()
	case *jobpb.PeerMessage_Claim:
		h.mu.Lock()
		h.claims = append(h.claims, b.Claim)
		h.mu.Unlock()
	case *jobpb.PeerMessage_Finished:
		f := b.Finished
		h.end(f.GetJobId(), ending{outcome: f.GetOutcome(), code: f.GetCode()})
		select { // what is settled is not said again
		case out <- settles(f.GetJobId(), f.GetOutcome()):
		default:
		}
	}
}

func (h *hold) end(job string, e ending) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.times = h.ends[job].times + 1
	h.ends[job] = e
}

// say sends messages over the stream that is open, and waits for one.
func (h *hold) say(t *testing.T, messages ...any) {
	t.Helper()
	for _, m := range messages {
		var out chan any
		eventually(t, patience, func() error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if out = h.out; out == nil {
				return errors.New("the peer is not connected")
			}
			return nil
		})
		out <- m
	}
}

// hangUp ends the stream that is open.
func (h *hold) hangUp(t *testing.T) {
	t.Helper()
	h.say(t, status.Error(codes.Unavailable, "the thief hangs up"))
}

// pack lets the next streams be packed, or not.
func (h *hold) pack(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.packed = on
}

func (h *hold) packs() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.packed
}

// opened is how many streams there were so far.
func (h *hold) opened() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams
}

// reconnects waits for a stream after those that there were.
func (h *hold) reconnects(t *testing.T, before int) {
	t.Helper()
	eventually(t, patience, func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.streams <= before || h.out == nil {
			return fmt.Errorf("%d streams were opened, %d before", h.streams, before)
		}
		return nil
	})
}

// met waits until a stream was opened after those that there were, be it
// open still or not.
func (h *hold) met(t *testing.T, before int) {
	t.Helper()
	eventually(t, patience, func() error {
		if n := h.opened(); n <= before {
			return fmt.Errorf("%d streams were opened, %d before", n, before)
		}
		return nil
	})
}

// greet sets what the next streams begin with; nil is a welcome.
func (h *hold) greet(messages ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.greeting = messages
}

// show sends trust metadata now, and after each welcome from now on.
func (h *hold) show(t *testing.T, bundle []byte) {
	t.Helper()
	h.mu.Lock()
	h.trust = bundle
	h.mu.Unlock()
	h.say(t, trustMessage(bundle))
}

// send sends a job and returns its id.
func (h *hold) send(t *testing.T, run *jobpb.HookRun) string {
	t.Helper()
	id := newID(t)
	h.say(t, jobMessage(id, run))
	return id
}

// await waits until the peer has told how a job ended.
func (h *hold) await(t *testing.T, job string) ending {
	t.Helper()
	var e ending
	eventually(t, patience, func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		var ok bool
		if e, ok = h.ends[job]; !ok {
			return fmt.Errorf("job %s has not ended", job)
		}
		return nil
	})
	return e
}

// report is a report that the peer filed with the thief.
func (h *hold) report(id string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.reports[id])
}

// run sends a job and waits for its end.
func (h *hold) run(t *testing.T, run *jobpb.HookRun) (id string, e ending) {
	t.Helper()
	id = h.send(t, run)
	return id, h.await(t, id)
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := uuid.NewV7()
	must(t, err)
	return id.String()
}

func welcomes() *jobpb.ServerMessage {
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Welcome{
		Welcome: &jobpb.Welcome{Protocol: jobpb.Protocol, Version: "stolen", Epoch: 1 << 40},
	}}
}

func jobMessage(id string, run *jobpb.HookRun) *jobpb.ServerMessage {
	return jobFor(id, run, 2*time.Minute)
}

func jobFor(id string, run *jobpb.HookRun, left time.Duration) *jobpb.ServerMessage {
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Job{Job: &jobpb.Job{
		Id: id, DeadlineMs: time.Now().Add(left).UnixMilli(), TtlMs: left.Milliseconds(),
		Workload: &jobpb.Job_Hook{Hook: run},
	}}}
}

func settles(id, outcome string) *jobpb.ServerMessage {
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Settled{Settled: &jobpb.Settled{JobId: id, Outcome: outcome}}}
}

func cancels(id string) *jobpb.ServerMessage {
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Cancel{Cancel: &jobpb.Cancel{JobId: id, Reason: "\x1b[31mbecause"}}}
}

func trustMessage(bundle []byte) *jobpb.ServerMessage {
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Trust{Trust: &jobpb.Trust{Bundle: bundle}}}
}

// fieldsOf are the fields of a result.
func fieldsOf(t *testing.T, e ending) map[string]any {
	t.Helper()
	var fields map[string]any
	must(t, json.Unmarshal(e.fields, &fields))
	return fields
}
