package jobserver_test

import (
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/internal/jobs"
	"hookline/internal/jobserver"
)

func TestHookJobFromReportToResult(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	version := r.activate()
	m := r.machine()
	s, j := m.asked()
	if j.GetHook().GetStatement() == nil || hooks.Digest(j.GetHook().GetStatement()) != version || len(j.GetHook().GetSignatures()) != 1 {
		t.Fatalf("the job does not have the stored bytes: %v", j)
	}
	r.ok(s.Send(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_Ack{Ack: &jobpb.Ack{JobId: j.GetId()}}}))
	r.until("the acknowledgement is stored", func() bool { return !r.job(j.GetId()).AckedAt.IsZero() })
	fields := `{"Extra":"` + strings.Repeat("x", 100_000) + `"}`
	reply, err := m.upload(j.GetId(), []byte(fields[:60_000]), []byte(fields[60_000:]))
	r.ok(err)
	if reply.GetOutcome() != string(hooks.OutcomeReceived) {
		t.Fatalf("reply %v", reply)
	}
	got := r.results()
	if len(got) != 1 || got[0].ID != j.GetId() || got[0].JobID != j.GetHook().GetOriginalId() || string(got[0].Fields) != fields {
		t.Fatalf("results %+v", got)
	}
	// The first decision stays, whatever the peer says later.
	if again := s.finish(j.GetId(), hooks.OutcomeFailed, "hook-error"); again.GetOutcome() != string(hooks.OutcomeReceived) {
		t.Errorf("settled again as %v", again)
	}
	if reply, err := m.upload(j.GetId(), []byte(`{"Extra":"other"}`)); err != nil || reply.GetOutcome() != string(hooks.OutcomeReceived) {
		t.Errorf("uploaded again: %v, %v", reply, err)
	}
	if string(r.results()[0].Fields) != fields {
		t.Error("the second upload changed the result")
	}
}

func TestFinishedIsSettled(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	r.activate()
	s, j := r.machine().asked()
	if got := s.finish(j.GetId(), hooks.OutcomeReceived, ""); got.GetCode() != string(errs.CodeBadInput) {
		t.Errorf("received without an upload: %v", got)
	}
	if got := s.finish(j.GetId(), hooks.OutcomeRefused, "not-opted-in"); got.GetOutcome() != "refused" || got.GetCode() != "not-opted-in" {
		t.Errorf("settled %v", got)
	}
	if got := s.finish(newID(), hooks.OutcomeEmpty, ""); got.GetCode() != string(errs.CodeNotFound) {
		t.Errorf("an unknown job: %v", got)
	}
	if got := s.finish("../../x", hooks.OutcomeEmpty, ""); got.GetCode() != string(errs.CodeNotFound) {
		t.Errorf("no id at all: %v", got)
	}
}

func TestForeignJobs(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	r.activate()
	_, j := r.machine().asked()
	thief := r.machine()
	s := thief.open()
	if got := s.finish(j.GetId(), hooks.OutcomeEmpty, ""); got.GetCode() != string(errs.CodeNotFound) || got.GetOutcome() != "" {
		t.Errorf("another peer's job: %v", got)
	}
	_, err := thief.upload(j.GetId(), []byte(`{"Extra":"x"}`))
	r.refused(err, errs.CodeNotFound, "")
	_, err = thief.client.File(t.Context(), &jobpb.FileRequest{Id: j.GetHook().GetOriginalId(), Report: report().Canonical()})
	r.refused(err, errs.CodeConflict, "")
	if got := r.job(j.GetId()); got.Status != jobs.Pending || !got.AckedAt.IsZero() {
		t.Errorf("the thief changed the job: %+v", got)
	}
}

func TestHelloComesFirst(t *testing.T) {
	r := newRig(t, jobserver.Times{Hello: 200 * time.Millisecond})
	m := r.machine()
	change := func(f func(*jobpb.Hello)) *jobpb.PeerMessage {
		h := hello()
		f(h.GetHello())
		return h
	}
	for _, c := range []struct {
		name, text string
		first      *jobpb.PeerMessage
		code       errs.Code
	}{
		{"another message", "hello", &jobpb.PeerMessage{Body: &jobpb.PeerMessage_Ack{Ack: &jobpb.Ack{JobId: "x"}}}, errs.CodeBadInput},
		{"an empty message", "hello", &jobpb.PeerMessage{}, errs.CodeBadInput},
		{"an older protocol", "protocol 0", change(func(h *jobpb.Hello) { h.Protocol = 0 }), errs.CodeProtocolUnsupported},
		{"a newer protocol", "protocol 2", change(func(h *jobpb.Hello) { h.Protocol = 2 }), errs.CodeProtocolUnsupported},
		{"no known statements", "hello.predicate_level", change(func(h *jobpb.Hello) { h.PredicateLevel = 0 }), errs.CodeProtocolUnsupported},
		{"no state", "state.allow_hooks", change(func(h *jobpb.Hello) { h.State = nil }), errs.CodeBadInput},
		{"a wrong opt-in", "state.allow_hooks", change(func(h *jobpb.Hello) { h.State.AllowHooks = "always" }), errs.CodeBadInput},
		{"nothing", "in time", nil, errs.CodeUnavailable},
	} {
		t.Run(c.name, func(*testing.T) {
			s := m.raw()
			if c.first != nil {
				r.ok(s.Send(c.first))
			}
			_, err := s.Recv()
			r.refused(err, c.code, c.text)
		})
	}
	if p := r.row(m.id); p.Connection.Epoch != 0 || r.hub.Len() != 0 {
		t.Errorf("a refused stream counts as connected: %+v", p.Connection)
	}
	s := m.open()
	r.ok(s.Send(hello()))
	_, err := s.Recv()
	r.refused(err, errs.CodeBadInput, "one hello")
}

func TestHelloIsCapped(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	h := hello()
	h.GetHello().Version = strings.Repeat("v", 10_000)
	h.GetHello().GetState().Facts = &jobpb.Facts{Os: "li\x1b[31mnux\n", Release: strings.Repeat("é", 10_000)}
	s := m.raw()
	r.ok(s.Send(h))
	s.next()
	p := r.row(m.id)
	if len(p.Version) > 64 || len(p.Facts.Release) > 128 || strings.ContainsAny(p.Facts.OS, "\x1b\n") {
		t.Errorf("stored %d, %d, %q", len(p.Version), len(p.Facts.Release), p.Facts.OS)
	}
}

func TestOldStreamDoesNotEndTheNew(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	r.activate()
	m := r.machine()
	first := m.open()
	second := m.open()
	_, err := first.Recv() // the status comes when the handler has cleaned up
	r.refused(err, errs.CodeUnavailable, "replaced")
	if p := r.row(m.id); p.Connection.Server != serverName || p.Connection.Epoch != 2 || !r.hub.Connected(m.id) {
		t.Fatalf("the old stream's cleanup ended the new one: %+v", p.Connection)
	}
	m.file()
	if second.next().GetJob() == nil {
		t.Error("no job came over the new stream")
	}
}

func TestManyStreamsOfOnePeer(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	var open sync.WaitGroup
	lost := make(chan error, 12)
	for range 12 {
		s := m.raw()
		open.Go(func() {
			if err := s.Send(hello()); err != nil && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			for {
				if _, err := s.Recv(); err != nil {
					lost <- err
					return
				}
			}
		})
	}
	for range 11 {
		r.refused(<-lost, errs.CodeUnavailable, "replaced")
	}
	r.until("one stream is left", func() bool { return r.hub.Connected(m.id) && r.hub.Len() == 1 })
	if p := r.row(m.id); p.Connection.Server != serverName || p.Connection.Epoch != 12 {
		t.Errorf("the row says %+v", p.Connection)
	}
	r.stop()
	open.Wait()
}

func TestLeavingDisconnects(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	s := m.open()
	r.ok(s.CloseSend())
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	if p := r.row(m.id); p.Connection.Server != "" || r.hub.Connected(m.id) {
		t.Errorf("still connected: %+v", p.Connection)
	}
	s = m.open()
	s.cancel()
	r.until("a cut stream is noticed", func() bool { return !r.hub.Connected(m.id) && r.row(m.id).Connection.Server == "" })
}

func TestStateChange(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	r.activate()
	m := r.machine()
	s := m.raw()
	h := hello()
	h.GetHello().GetState().AllowHooks = "no"
	r.ok(s.Send(h))
	s.next() // the welcome
	s.next() // the trust metadata
	m.file()
	state := hello().GetHello().GetState()
	r.ok(s.Send(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_State{State: state}}))
	if s.next().GetJob() == nil {
		t.Error("after the owner's yes no job came")
	}
	if p := r.row(m.id); p.AllowHooks != "yes" || p.Version != "test" || p.Connection.Server != serverName {
		t.Errorf("stored %+v", p)
	}
	r.ok(s.CloseSend())
	r.until("the renewed stream leaves", func() bool { return r.row(m.id).Connection.Server == "" })
}

func TestPeerThatDoesNotRead(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	r.activate()
	slow, good := r.machine(), r.machine()
	slow.open() // and never reads again
	s := good.open()
	dispatch := collector.Dispatch{Job: jobs.Job{ID: newID(), PeerID: slow.id}, Script: make([]byte, 64<<10)}
	began := time.Now()
	r.until("the slow peer loses its stream", func() bool {
		return errs.Is(r.hub.Send(t.Context(), dispatch), errs.CodePeerNotConnected)
	})
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("sending to a peer that does not read took %s", d)
	}
	good.file()
	if s.next().GetJob() == nil {
		t.Error("the other peer got no job")
	}
}

func TestDrain(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	s := m.open()
	r.stop()
	if s.next().GetDrain().GetReconnectAfterMs() == 0 {
		t.Error("the last message is not a drain")
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the drain: %v", err)
	}
	r.start()
	if p := r.row(m.id); p.Connection.Server != "" {
		t.Errorf("a drained peer counts as connected: %+v", p.Connection)
	}
}

func TestConnectionsOfAKilledServerAreCleared(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m, other := r.machine(), r.machine()
	_, err := r.db.Connect(t.Context(), m.id, serverName, enroll.Hello{AllowHooks: "yes"}, time.Now())
	r.ok(err)
	_, err = r.db.Connect(t.Context(), other.id, "another-server", enroll.Hello{AllowHooks: "yes"}, time.Now())
	r.ok(err)
	r.stop() // no stream was open, so nothing is cleaned up: as after kill -9
	r.start()
	r.until("the old connection is cleared", func() bool { return r.row(m.id).Connection.Server == "" })
	if r.row(other.id).Connection.Server != "another-server" {
		t.Error("another server's connection was cleared")
	}
}

func TestOnlyEnrolledPeersGetIn(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	thiefCA, err := enroll.LoadOrCreateCA(t.TempDir(), deployment, time.Now())
	r.ok(err)
	foreign := func(ca *enroll.CA) *tls.Certificate {
		key := enroll.NewSetupKey()
		hashes, err := enroll.ParseHashes([]byte(enroll.HashSetupKey(key)))
		r.ok(err)
		k, csr := newKey(t)
		elsewhere := newStore(t)
		_, der, err := enroll.NewService(elsewhere, ca, hashes, time.Now).Enroll(t.Context(), csr, key, "x", "x")
		r.ok(err)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
	}
	for _, c := range []struct {
		name string
		cert *tls.Certificate
		code errs.Code
	}{
		{"no certificate", nil, errs.CodeUnauthenticated},
		{"of another CA", foreign(thiefCA), errs.CodeUnavailable},
		{"never enrolled here", foreign(r.ca), errs.CodeNotEnrolled},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := r.dial(c.cert)
			_, err := client.File(t.Context(), &jobpb.FileRequest{Id: newID(), Report: report().Canonical()})
			r.refused(err, c.code, "")
			s, err := client.Stream(t.Context())
			if err == nil {
				_ = s.Send(hello())
				_, err = s.Recv()
			}
			r.refused(err, c.code, "")
			up, err := client.Upload(t.Context())
			if err == nil {
				_ = up.Send(&jobpb.UploadChunk{JobId: newID()})
				_, err = up.CloseAndRecv()
			}
			r.refused(err, c.code, "")
		})
	}
	if r.hub.Len() != 0 {
		t.Error("a stream is open")
	}
}
