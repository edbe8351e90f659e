package jobserver_test

import (
	"context"
	"sync/atomic"
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

// collecting is jobserver.Collector under a name of its own.
type collecting interface{ jobserver.Collector }

// outage stands between the job server and its store.
type outage struct {
	rows
	collecting

	down atomic.Bool  // nothing is done
	mute atomic.Int64 // so many changes are done, and their answers lost
	met  atomic.Int64 // calls that met it
}

func (o *outage) err() error {
	if !o.down.Load() {
		return nil
	}
	o.met.Add(1)
	return errs.New(errs.CodeUnavailable, "cannot use the server's store")
}

func (o *outage) Acked(ctx context.Context, peerID, jobID string) error {
	if err := o.err(); err != nil {
		return err
	}
	return o.collecting.Acked(ctx, peerID, jobID)
}

func (o *outage) Finish(ctx context.Context, peerID, jobID string, e collector.End) (jobs.Job, error) {
	if err := o.err(); err != nil {
		return jobs.Job{}, err
	}
	return o.collecting.Finish(ctx, peerID, jobID, e)
}

func (o *outage) Claim(ctx context.Context, peerID, version, originalID string) error {
	if err := o.err(); err != nil {
		return err
	}
	return o.collecting.Claim(ctx, peerID, version, originalID)
}

func (o *outage) Peer(ctx context.Context, id string) (enroll.Peer, error) {
	if err := o.err(); err != nil {
		return enroll.Peer{}, err
	}
	return o.rows.Peer(ctx, id)
}

func (o *outage) Peers(ctx context.Context, after string, limit int) ([]enroll.Peer, error) {
	if err := o.err(); err != nil {
		return nil, err
	}
	return o.rows.Peers(ctx, after, limit)
}

func (o *outage) Connect(ctx context.Context, id, server string, h enroll.Hello, now time.Time) (int64, error) {
	epoch, err := o.rows.Connect(ctx, id, server, h, now)
	if err == nil && o.mute.Add(-1) >= 0 {
		o.met.Add(1)
		return 0, errs.New(errs.CodeUnavailable, "the answer was lost")
	}
	return epoch, err
}

func (o *outage) Disconnect(ctx context.Context, id string, epoch int64, now time.Time) (bool, error) {
	if err := o.err(); err != nil {
		return false, err
	}
	return o.rows.Disconnect(ctx, id, epoch, now)
}

// outages starts a rig's server anew, behind an outage that may come.
func (r *rig) outages() *outage {
	r.Helper()
	r.stop()
	o := &outage{}
	r.wrap = func(p jobserver.Peers) jobserver.Peers { o.rows = p; return o }
	r.between = func(c jobserver.Collector) jobserver.Collector { o.collecting = c; return o }
	r.start()
	return o
}

// What a peer says while the store is away is done when it is back, in its
// order and without a new stream.
func TestAStreamOutlivesItsStore(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	o := r.outages()
	version := r.activate()
	m := r.machine()
	stream, j := m.asked()
	epoch := r.row(m.id).Connection.Epoch

	o.down.Store(true)
	r.ok(stream.Send(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_Ack{Ack: &jobpb.Ack{JobId: j.GetId()}}}))
	r.ok(stream.Send(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_Finished{
		Finished: &jobpb.Finished{JobId: j.GetId(), Outcome: string(hooks.OutcomeDeferred), Code: string(errs.CodeWaitsForOwner)},
	}}))
	r.ok(stream.Send(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_Claim{
		Claim: &jobpb.Claim{Version: version, OriginalId: j.GetHook().GetOriginalId()},
	}}))
	r.until("the store was asked in vain", func() bool { return o.met.Load() >= 2 })
	_, err := m.client.File(t.Context(), &jobpb.FileRequest{Id: newID(), Report: report().Canonical()})
	r.refused(err, errs.CodeUnavailable, "store")
	if jobpb.Final(err) {
		t.Errorf("%v is final: the peer would drop its report", err)
	}

	o.down.Store(false)
	settled := stream.next().GetSettled()
	if settled.GetJobId() != j.GetId() || settled.GetOutcome() != string(hooks.OutcomeDeferred) {
		t.Fatalf("settled %v", settled)
	}
	if again := stream.next().GetJob(); again.GetId() == j.GetId() || again.GetHook().GetOriginalId() != j.GetHook().GetOriginalId() {
		t.Errorf("the claim brought %v", again)
	}
	if now := r.row(m.id).Connection; now.Epoch != epoch || now.Server != serverName || !r.hub.Connected(m.id) {
		t.Errorf("the connection is %+v, want still that of epoch %d", now, epoch)
	}
}

// An owner's change whose answer was lost is not taken for that of a newer stream.
func TestAChangeWithoutAnAnswerKeepsTheStream(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	o := r.outages()
	m := r.machine()
	stream := m.open()
	before := r.row(m.id).Connection.Epoch
	o.mute.Store(1)
	change := stateChange()
	change.GetState().AllowHooks = "no"
	r.ok(stream.Send(change))
	r.until("the change is renewed", func() bool { return r.row(m.id).Connection.Epoch >= before+2 })
	r.until("the peer's stream is in the hub", func() bool { return r.hub.Connected(m.id) })
	if p := r.row(m.id); p.AllowHooks != "no" || p.Connection.Server != serverName {
		t.Errorf("the row says %+v", p)
	}
	r.ok(stream.CloseSend())
	r.until("the end is stored", func() bool { return r.row(m.id).Connection.Server == "" })
}

// The end of a stream that the store did not take is taken later.
func TestAPeerThatLeftWhileTheStoreWasAwayIsCleared(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	o := r.outages()
	m := r.machine()
	stream := m.open()
	other := r.machine().open()
	o.down.Store(true)
	stream.cancel()
	r.until("the stream has ended", func() bool { return !r.hub.Connected(m.id) && o.met.Load() > 0 })
	if p := r.row(m.id); p.Connection.Server != serverName {
		t.Fatalf("the row says %+v", p)
	}
	o.down.Store(false)
	r.until("the end is stored", func() bool { return r.row(m.id).Connection.Server == "" })
	if p := r.row(other.id); p.Connection.Server != serverName {
		t.Errorf("the other peer's row says %+v", p)
	}
}

// A peer cannot make the server keep much while the store is away.
func TestWhatWaitsForTheStoreIsBounded(t *testing.T) {
	for name, messages := range map[string][]*jobpb.PeerMessage{
		"many": many(100, &jobpb.PeerMessage{Body: &jobpb.PeerMessage_Finished{Finished: &jobpb.Finished{JobId: newID(), Outcome: "empty"}}}),
		"long": {{Body: &jobpb.PeerMessage_Finished{Finished: &jobpb.Finished{JobId: newID(), Outcome: "empty", Reason: string(make([]byte, 1<<20))}}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, jobserver.Times{})
			o := r.outages()
			stream := r.machine().open()
			o.down.Store(true)
			for _, m := range messages {
				if err := stream.Send(m); err != nil {
					break // the stream has ended already
				}
			}
			_, err := stream.Recv()
			r.refused(err, errs.CodeUnavailable, "waits")
			o.down.Store(false)
		})
	}
}

func many(n int, m *jobpb.PeerMessage) []*jobpb.PeerMessage {
	all := make([]*jobpb.PeerMessage, n)
	for i := range all {
		all[i] = m
	}
	return all
}
