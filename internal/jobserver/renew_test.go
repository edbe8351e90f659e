package jobserver_test

import (
	"context"
	"testing"
	"time"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/internal/jobserver"
)

// rows is jobserver.Peers, which has a method of its own name.
type rows interface{ jobserver.Peers }

// slowPeers holds what a stream says of its owner's change until it may go on.
type slowPeers struct {
	rows

	before, after func()
}

func (s *slowPeers) Connect(ctx context.Context, id, server string, h enroll.Hello, now time.Time) (int64, error) {
	if h.Renews == 0 {
		return s.rows.Connect(ctx, id, server, h, now)
	}
	s.before()
	defer s.after()
	return s.rows.Connect(ctx, id, server, h, now)
}

func stateChange() *jobpb.PeerMessage {
	return &jobpb.PeerMessage{Body: &jobpb.PeerMessage_State{State: hello().GetHello().GetState()}}
}

// A change that comes over a stream while a newer one opens must not take the
// row's epoch from it: the newer one's end would end nothing.
func TestAChangeOverAnOldStreamDoesNotFenceTheNewOne(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	r.stop()
	begun, opened := make(chan struct{}), make(chan struct{})
	r.wrap = func(p jobserver.Peers) jobserver.Peers {
		return &slowPeers{rows: p, before: func() { close(begun); <-opened }, after: func() {}}
	}
	r.start()
	m := r.machine()
	old := m.open()
	r.ok(old.Send(stateChange()))
	<-begun
	newer, err := r.db.Connect(t.Context(), m.id, serverName, enroll.Hello{AllowHooks: "no"}, time.Now())
	r.ok(err)
	close(opened)
	_, err = old.Recv() // the status comes when the handler has cleaned up
	r.refused(err, errs.CodeUnavailable, "replaced")
	if p := r.row(m.id); p.AllowHooks != "no" || p.Connection.Server != serverName || p.Connection.Epoch != newer {
		t.Errorf("the row says %+v", p)
	}
	ok, err := r.db.Disconnect(t.Context(), m.id, newer, time.Now())
	if err != nil || !ok {
		t.Errorf("the newer stream's end: %v, %v", ok, err)
	}
}

// A newer stream that opens while the change is stored, and ends.
func TestAStreamThatOpensDuringAChangeIsCleared(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	r.stop()
	begun, opened := make(chan struct{}), make(chan struct{})
	r.wrap = func(p jobserver.Peers) jobserver.Peers {
		return &slowPeers{rows: p, before: func() {}, after: func() { close(begun); <-opened }}
	}
	r.start()
	m := r.machine()
	old := m.open()
	r.ok(old.Send(stateChange()))
	<-begun
	newer := m.open()
	close(opened)
	_, err := old.Recv()
	r.refused(err, errs.CodeUnavailable, "replaced")
	if c := r.row(m.id).Connection; c.Server != serverName || !r.hub.Connected(m.id) {
		t.Errorf("the row says %+v", c)
	}
	r.ok(newer.CloseSend())
	r.until("the peer is no longer connected", func() bool { return r.row(m.id).Connection.Server == "" })
}

// A stream that is cut while its change is stored leaves with the new epoch.
func TestAStreamThatIsCutWhileItRenewsIsCleared(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	r.stop()
	begun, cut := make(chan struct{}), make(chan struct{})
	r.wrap = func(p jobserver.Peers) jobserver.Peers {
		return &slowPeers{rows: p, before: func() {}, after: func() { close(begun); <-cut }}
	}
	r.start()
	m := r.machine()
	s := m.open()
	r.ok(s.Send(stateChange()))
	<-begun
	s.cancel()
	close(cut)
	r.until("the peer is no longer connected", func() bool {
		return r.row(m.id).Connection.Server == "" && !r.hub.Connected(m.id)
	})
}

// Whatever the order, in the end nobody is connected.
func TestManyChangesAndStreams(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	var last *talk
	for range 20 {
		s := m.open()
		for range 3 {
			_ = s.Send(stateChange()) // the stream may be gone
		}
		last = s
	}
	r.ok(last.CloseSend())
	r.until("the peer is no longer connected", func() bool {
		return r.row(m.id).Connection.Server == "" && !r.hub.Connected(m.id)
	})
}
