package peer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobpb"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust/keeper"
)

const (
	deployment = "d-0123456789abcdef0123456789abcdef"
	patience   = 20 * time.Second
)

// thief is a server whose CA key is stolen with it: it is believed, and says
// what the test wants. Nil members are not implemented.
type thief struct {
	jobpb.UnimplementedPeersServer
	stream func(grpc.BidiStreamingServer[jobpb.PeerMessage, jobpb.ServerMessage]) error
	file   func(*jobpb.FileRequest) (*jobpb.FileReply, error)
	upload func(grpc.ClientStreamingServer[jobpb.UploadChunk, jobpb.UploadReply]) error
	enroll func(*jobpb.EnrollRequest) (*jobpb.EnrollReply, error)
}

func (s *thief) Stream(g grpc.BidiStreamingServer[jobpb.PeerMessage, jobpb.ServerMessage]) error {
	if s.stream == nil {
		return s.UnimplementedPeersServer.Stream(g)
	}
	return s.stream(g)
}

func (s *thief) File(ctx context.Context, r *jobpb.FileRequest) (*jobpb.FileReply, error) {
	if s.file == nil {
		return s.UnimplementedPeersServer.File(ctx, r)
	}
	return s.file(r)
}

func (s *thief) Upload(g grpc.ClientStreamingServer[jobpb.UploadChunk, jobpb.UploadReply]) error {
	if s.upload == nil {
		return s.UnimplementedPeersServer.Upload(g)
	}
	return s.upload(g)
}

func (s *thief) Enroll(ctx context.Context, r *jobpb.EnrollRequest) (*jobpb.EnrollReply, error) {
	if s.enroll == nil {
		return s.UnimplementedPeersServer.Enroll(ctx, r)
	}
	return s.enroll(r)
}

// rig is a thief and a network side with the test as its guard.
type rig struct {
	*testing.T
	ca      *enroll.CA
	address string
	dir     string
	conn    *guardwire.Conn
	done    chan error
	log     *slog.Logger
}

func newRig(t *testing.T, s *thief) *rig {
	t.Helper()
	r := &rig{T: t, dir: t.TempDir(), done: make(chan error, 1)}
	ca, err := enroll.LoadOrCreateCA(t.TempDir(), deployment, time.Now())
	r.ok(err)
	r.ca = ca
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	r.ok(err)
	r.address = l.Addr().String()
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(ca.ServerTLS(time.Now))), grpc.MaxRecvMsgSize(8<<20))
	jobpb.RegisterPeersServer(g, s)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	return r
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatalf("%v (%s)", err, errs.CodeOf(err))
	}
}

type memory struct {
	mu sync.Mutex
	p  enroll.Peer
}

func (m *memory) AddPeer(_ context.Context, p enroll.Peer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p = p
	return nil
}

func (m *memory) Peer(context.Context, string) (enroll.Peer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.p, nil
}

// sign makes a certificate with the thief's CA.
func (r *rig) sign(csr []byte) []byte {
	r.Helper()
	setup := enroll.NewSetupKey()
	hashes, err := enroll.ParseHashes([]byte(enroll.HashSetupKey(setup)))
	r.ok(err)
	_, der, err := enroll.NewService(&memory{}, r.ca, hashes, time.Now).Enroll(r.Context(), csr, setup, "x", "x")
	r.ok(err)
	return der
}

// run fills the folder and starts the network side; the guard's state is said.
func (r *rig) run() {
	r.Helper()
	r.runWith(backoff.NewConstantBackOff(5 * time.Millisecond))
}

func (r *rig) runWith(pauses backoff.BackOff) {
	r.Helper()
	key, err := ownKey(r.dir)
	r.ok(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	r.ok(err)
	cert, err := x509.ParseCertificate(r.sign(csr))
	r.ok(err)
	r.ok(keep(r.dir, enroll.Line{Address: r.address, Deployment: deployment}, r.ca.Certificate(), cert))
	conn, file, err := guardwire.Pair()
	r.ok(err)
	theirs, err := guardwire.FromFile(file)
	r.ok(err)
	r.conn = conn
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	go func() {
		r.done <- Run(ctx, Config{
			Dir: r.dir, Guard: theirs, Version: "test", Log: r.log,
			Backoff: func() backoff.BackOff { return pauses },
		})
	}()
	r.Cleanup(func() {
		_ = conn.Close()
		if err := <-r.done; err != nil {
			r.Errorf("Run ended with %v", err)
		}
		cancel()
	})
	r.say(guardwire.Message{Kind: guardwire.KindState, State: &guardwire.State{AllowHooks: "yes"}})
}

func (r *rig) say(m guardwire.Message) {
	r.Helper()
	r.ok(r.conn.Write(m))
}

// hear reads up to the next message of a kind.
func (r *rig) hear(k guardwire.Kind) guardwire.Message {
	r.Helper()
	for {
		m, err := r.conn.Read()
		r.ok(err)
		if m.Kind == k {
			return m
		}
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func job(id string, h *jobpb.HookRun) *jobpb.ServerMessage {
	j := &jobpb.Job{Id: id, TtlMs: time.Minute.Milliseconds()}
	if h != nil {
		j.Workload = &jobpb.Job_Hook{Hook: h}
	}
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Job{Job: j}}
}

func welcomed(protocol uint32) *jobpb.ServerMessage {
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Welcome{Welcome: &jobpb.Welcome{Protocol: protocol}}}
}

type side = grpc.BidiStreamingServer[jobpb.PeerMessage, jobpb.ServerMessage]

// greet takes the hello, says welcome and then what is given.
func greet(g side, say ...*jobpb.ServerMessage) error {
	if _, err := g.Recv(); err != nil {
		return err
	}
	for _, m := range append([]*jobpb.ServerMessage{welcomed(jobpb.Protocol)}, say...) {
		if err := g.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// TestJobsThatNeverReachTheGuard sends what must be answered by the network
// side alone.
func TestJobsThatNeverReachTheGuard(t *testing.T) {
	whole := &jobpb.HookRun{OriginalId: newID(), Statement: []byte("s"), Script: []byte("x")}
	many := make([][]byte, guardwire.MaxSignatures+1)
	cases := []struct {
		name string
		msg  *jobpb.ServerMessage
		code errs.Code
	}{
		{"an unknown workload", job(newID(), nil), errs.CodeWorkloadUnknown},
		{"a huge script", job(newID(), &jobpb.HookRun{Script: make([]byte, hooks.MaxScriptBytes+1)}), errs.CodeTooLarge},
		{"a huge statement", job(newID(), &jobpb.HookRun{Statement: make([]byte, hooks.MaxStatementBytes+1)}), errs.CodeTooLarge},
		{"too many signatures", job(newID(), &jobpb.HookRun{Signatures: many}), errs.CodeTooLarge},
		{"a huge signature", job(newID(), &jobpb.HookRun{Signatures: [][]byte{make([]byte, guardwire.MaxSignatureBytes+1)}}), errs.CodeTooLarge},
		{"a long original id", job(newID(), &jobpb.HookRun{OriginalId: strings.Repeat("x", 100)}), errs.CodeTooLarge},
	}
	answers := make(chan *jobpb.Finished, len(cases))
	r := newRig(t, &thief{stream: func(g side) error {
		var say []*jobpb.ServerMessage
		say = append(say, job("../../etc", whole), job(strings.ToUpper(newID()), whole), &jobpb.ServerMessage{})
		for _, c := range cases {
			say = append(say, c.msg)
		}
		if err := greet(g, say...); err != nil {
			return err
		}
		for {
			m, err := g.Recv()
			if err != nil {
				return err
			}
			answers <- m.GetFinished()
		}
	}})
	r.run()
	for _, c := range cases {
		got := <-answers
		if got.GetJobId() != c.msg.GetJob().GetId() || got.GetCode() != string(c.code) || got.GetOutcome() != "refused" {
			t.Errorf("%s was answered %v", c.name, got)
		}
	}
}

// TestDeadlineIsTheTimeLeft: neither a wrong clock nor a server that gives a
// job for ever moves the deadline out of its bounds.
func TestDeadlineIsTheTimeLeft(t *testing.T) {
	whole := &jobpb.HookRun{OriginalId: newID()}
	cases := []struct {
		deadline, ttl int64
		want          time.Duration
	}{
		{time.Now().Add(-time.Hour).UnixMilli(), 300_000, 5 * time.Minute}, // our clock is an hour ahead
		{time.Now().Add(time.Hour).UnixMilli(), 300_000, 5 * time.Minute},
		{0, math.MaxInt64, longestJob},
		{math.MaxInt64, 0, 0},
		{math.MaxInt64, math.MinInt64, 0},
	}
	r := newRig(t, &thief{stream: func(g side) error {
		var say []*jobpb.ServerMessage
		for _, c := range cases {
			m := job(newID(), whole)
			m.GetJob().DeadlineMs, m.GetJob().TtlMs = c.deadline, c.ttl
			say = append(say, m)
		}
		if err := greet(g, say...); err != nil {
			return err
		}
		<-g.Context().Done()
		return nil
	}})
	before := time.Now()
	r.run()
	for _, c := range cases {
		got := r.hear(guardwire.KindRun).Run.Deadline
		if got.Before(before.Add(c.want).Add(-time.Millisecond)) || got.After(time.Now().Add(c.want)) {
			t.Errorf("%+v: the deadline is %s from now", c, time.Until(got))
		}
	}
}

func TestJobsUnderWayAreBounded(t *testing.T) {
	whole := &jobpb.HookRun{OriginalId: newID()}
	refused := make(chan *jobpb.Finished, 100)
	first := newID()
	r := newRig(t, &thief{stream: func(g side) error {
		say := []*jobpb.ServerMessage{job(first, whole), job(first, whole)} // twice the same is one
		for range maxRunning + 4 {
			say = append(say, job(newID(), whole))
		}
		if err := greet(g, say...); err != nil {
			return err
		}
		for {
			m, err := g.Recv()
			if err != nil {
				return err
			}
			refused <- m.GetFinished()
		}
	}})
	r.run()
	for i := range maxRunning {
		if m := r.hear(guardwire.KindRun); i == 0 && m.JobID != first {
			t.Errorf("the first run is %s", m.JobID)
		}
	}
	for range 5 {
		if m := <-refused; m.GetCode() != string(errs.CodePeerBusy) {
			t.Errorf("answered %v", m)
		}
	}
}

// A server may not end, cancel or confirm what is not its business.
func TestServerCannotEndWhatTheGuardHasNotEnded(t *testing.T) {
	id := newID()
	settle := func(id string) *jobpb.ServerMessage {
		return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Settled{Settled: &jobpb.Settled{JobId: id, Code: "NOT a code\x1b"}}}
	}
	cancel := func(id string) *jobpb.ServerMessage {
		return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Cancel{Cancel: &jobpb.Cancel{JobId: id, Reason: "stop\x1b[2J" + strings.Repeat("x", 9000)}}}
	}
	r := newRig(t, &thief{stream: func(g side) error {
		if err := greet(g, settle(id), cancel(id), job(id, &jobpb.HookRun{}), settle(id), cancel(id)); err != nil {
			return err
		}
		m, err := g.Recv()
		if err != nil {
			return err
		}
		_ = g.Send(settle(m.GetFinished().GetJobId()))
		_, err = g.Recv()
		return err
	}})
	r.run()
	var got []guardwire.Message
	for len(got) < 3 {
		m, err := r.conn.Read()
		r.ok(err)
		got = append(got, m)
	}
	if got[0].Kind != guardwire.KindConnected || got[1].Kind != guardwire.KindRun || got[2].Kind != guardwire.KindCancel {
		t.Fatalf("the guard heard %v", got)
	}
	if strings.ContainsRune(got[2].Reason, '\x1b') || len(got[2].Reason) > maxReason {
		t.Errorf("reason %q", got[2].Reason)
	}
	r.say(guardwire.Message{Kind: guardwire.KindFinish, JobID: id, Code: "cancelled", Finish: &guardwire.Finish{Outcome: hooks.OutcomeFailed}})
	if m := r.hear(guardwire.KindFinished); m.JobID != id || m.Code != "" {
		t.Errorf("the guard heard %+v", m)
	}
}

func TestBadWelcome(t *testing.T) {
	for _, c := range []struct {
		name  string
		first *jobpb.ServerMessage
		code  errs.Code
	}{
		{"another protocol", welcomed(2), errs.CodeProtocolUnsupported},
		{"a job first", job(newID(), &jobpb.HookRun{}), errs.CodeBadInput},
		{"nothing", nil, errs.CodeUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, &thief{stream: func(g side) error {
				if c.first == nil {
					return errs.New(errs.CodeUnavailable, "x")
				}
				_ = g.Send(c.first)
				<-g.Context().Done()
				return nil
			}})
			if c.first == nil { // and nobody listens at all
				r.address = "127.0.0.1:1"
			}
			r.run()
			if m := r.hear(guardwire.KindDisconnected); m.Code != string(c.code) {
				t.Errorf("the guard heard %+v", m)
			}
		})
	}
}

func TestHugeMessageEndsTheStream(t *testing.T) {
	r := newRig(t, &thief{stream: func(g side) error {
		if err := greet(g, job(newID(), &jobpb.HookRun{Script: make([]byte, maxMessage+1)})); err != nil {
			return err
		}
		<-g.Context().Done()
		return nil
	}})
	r.run()
	if m := r.hear(guardwire.KindDisconnected); m.Code != string(errs.CodeRateLimited) || !strings.Contains(m.Reason, "larger than max") {
		t.Errorf("the guard heard %+v", m)
	}
}

func TestOldServerWithoutStreams(t *testing.T) {
	filed := make(chan string, 1)
	r := newRig(t, &thief{file: func(f *jobpb.FileRequest) (*jobpb.FileReply, error) {
		filed <- f.GetId()
		return &jobpb.FileReply{Created: true}, nil
	}})
	r.run()
	id := newID()
	r.say(guardwire.Message{Kind: guardwire.KindFile, File: &guardwire.File{ID: id, Report: hooks.Report{"Title": "x"}}})
	if got := <-filed; got != id {
		t.Errorf("filed %s", got)
	}
	if m := r.hear(guardwire.KindFiled); m.JobID != id || m.Code != "" {
		t.Errorf("the guard heard %+v", m)
	}
}

// A server without File or Upload leaves the stream alone.
func TestServerWithoutFile(t *testing.T) {
	acked := make(chan string, 1)
	r := newRig(t, &thief{stream: func(g side) error {
		if err := greet(g); err != nil {
			return err
		}
		for {
			m, err := g.Recv()
			if err != nil {
				return err
			}
			acked <- m.GetAck().GetJobId()
		}
	}})
	r.run()
	r.hear(guardwire.KindConnected)
	r.say(guardwire.Message{Kind: guardwire.KindFile, File: &guardwire.File{ID: newID(), Report: hooks.Report{"Title": "x"}}})
	r.say(guardwire.Message{Kind: guardwire.KindAck, JobID: "j"})
	if got := <-acked; got != "j" {
		t.Errorf("acknowledged %q", got)
	}
}

func TestUploadIsRepeatedUntilAnswered(t *testing.T) {
	var tries int
	want := strings.Repeat("f", 3*jobpb.MaxChunk+5)
	r := newRig(t, &thief{
		stream: func(g side) error { _ = greet(g); <-g.Context().Done(); return nil },
		upload: func(g grpc.ClientStreamingServer[jobpb.UploadChunk, jobpb.UploadReply]) error {
			tries++
			if tries < 3 {
				return jobpb.Status(errs.New(errs.CodeRateLimited, "wait"))
			}
			got := ""
			for n := 0; ; n++ {
				c, err := g.Recv()
				if err != nil {
					break
				}
				if (n == 0) != (c.GetJobId() != "") || len(c.GetData()) > jobpb.MaxChunk {
					t.Errorf("chunk %d: id %q, %d bytes", n, c.GetJobId(), len(c.GetData()))
				}
				got += string(c.GetData())
			}
			if got != want {
				t.Errorf("%d bytes of %d came", len(got), len(want))
			}
			return g.SendAndClose(&jobpb.UploadReply{Outcome: "received", Code: "\x1b[2J"})
		},
	})
	r.run()
	r.say(guardwire.Message{Kind: guardwire.KindFinish, JobID: "j", Finish: &guardwire.Finish{Outcome: hooks.OutcomeReceived, Fields: []byte(want)}})
	if m := r.hear(guardwire.KindFinished); m.JobID != "j" || m.Code != "" {
		t.Errorf("the guard heard %+v", m)
	}
}

func TestGuardThatBreaksTheRules(t *testing.T) {
	conn, file, err := guardwire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := guardwire.FromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Run(t.Context(), Config{Dir: t.TempDir(), Guard: theirs}) }()
	if err := conn.Write(guardwire.Message{Kind: guardwire.KindConnected}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errs.Is(err, errs.CodeBadInput) {
		t.Errorf("got %v", err)
	}
}

// founded is a new deployment of alice and bob: its root's digest and its
// metadata.
func founded(t *testing.T, ca []byte) (root string, bundle []byte) {
	t.Helper()
	var people []*signer.Signer
	for range 2 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		s, err := signer.New(key)
		must(t, err)
		people = append(people, s)
	}
	policy := signing.Policy{
		Deployment: deployment, Profile: signing.ProfileTeam, Reviewers: 1, MaxLifetime: 24 * time.Hour,
		Persons: []signing.Person{
			{Name: "alice", Roles: []signing.Role{signing.RoleAuthor}, Keys: []signing.PublicKey{people[0].Public()}},
			{Name: "bob", Roles: []signing.Role{signing.RoleReviewer}, Keys: []signing.PublicKey{people[1].Public()}},
		},
	}
	k, err := keeper.Init(t.TempDir(), keeper.Plan{Policy: policy.YAML(), CA: ca}, time.Now)
	must(t, err)
	_, err = k.Sign(people[0], people[1])
	must(t, err)
	_, err = k.Freshen(people[0], 0)
	must(t, err)
	anchor, err := k.Anchor()
	must(t, err)
	b, err := k.Bundle()
	must(t, err)
	raw, err := b.Encode()
	must(t, err)
	return anchor.RootDigest, raw
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEnrollBelievesNothing has a server that is who it says, and lies.
func TestEnrollBelievesNothing(t *testing.T) {
	root, bundle := founded(t, nil)
	_, another := founded(t, nil)
	otherKey := mustCSR(t)
	for _, c := range []struct {
		name  string
		reply func(r *rig, csr []byte) (*jobpb.EnrollReply, error)
		code  errs.Code
	}{
		{"another root", func(r *rig, csr []byte) (*jobpb.EnrollReply, error) {
			return &jobpb.EnrollReply{Certificate: r.sign(csr), Trust: another}, nil
		}, errs.CodeTrustRoot},
		{"a changed byte", func(r *rig, csr []byte) (*jobpb.EnrollReply, error) {
			return &jobpb.EnrollReply{Certificate: r.sign(csr), Trust: bytes.Replace(bundle, []byte("{"), []byte("{ "), 1)}, nil
		}, errs.CodeTrustInvalid},
		{"no metadata", func(r *rig, csr []byte) (*jobpb.EnrollReply, error) {
			return &jobpb.EnrollReply{Certificate: r.sign(csr)}, nil
		}, errs.CodeTrustInvalid},
		{"a certificate for another key", func(r *rig, _ []byte) (*jobpb.EnrollReply, error) {
			return &jobpb.EnrollReply{Certificate: r.sign(otherKey), Trust: bundle}, nil
		}, errs.CodeServerIdentity},
		{"no certificate", func(*rig, []byte) (*jobpb.EnrollReply, error) {
			return &jobpb.EnrollReply{Trust: bundle}, nil
		}, errs.CodeServerIdentity},
		{"a coloured refusal", func(*rig, []byte) (*jobpb.EnrollReply, error) {
			return nil, jobpb.Status(errs.New("new-code", "\x1b[31mred"))
		}, "new-code"},
		{"no such call", nil, errs.CodeProtocolUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &thief{}
			r := newRig(t, s)
			if c.reply != nil {
				s.enroll = func(e *jobpb.EnrollRequest) (*jobpb.EnrollReply, error) { return c.reply(r, e.GetCsr()) }
			}
			line := enroll.Line{
				Address: r.address, Deployment: deployment, SetupKey: enroll.NewSetupKey(),
				RootDigest: root, CADigest: r.ca.Digest(),
			}
			_, err := Enroll(t.Context(), line, r.dir, "host", "test")
			if !errs.Is(err, c.code) || strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("got %v (%s)", err, errs.CodeOf(err))
			}
			left, err := filepath.Glob(filepath.Join(r.dir, "*"))
			if err != nil || len(left) != 1 || filepath.Base(left[0]) != keyFile {
				t.Errorf("it left %v", left)
			}
			if info, err := os.Stat(left[0]); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the key's mode: %v, %v", info, err)
			}
		})
	}
}

func mustCSR(t *testing.T) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}
