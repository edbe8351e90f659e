package jobserver

import (
	"context"
	"sync"
	"time"

	"hookline/collector"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
)

// queued messages per peer. A peer has few pending jobs at a time; one that
// lets so many messages pile up does not read, and loses its stream.
const queued = 32

// Hub knows the streams of the peers that are connected to this server. It is
// the collector's Sender.
type Hub struct {
	mu       sync.Mutex
	streams  map[string]*stream
	opening  map[string]int // streams that are about to have an epoch in the store, by peer
	draining bool
}

// stream is one open stream. Its handler alone reads out and sends.
type stream struct {
	peerID string
	epoch  int64
	out    chan *jobpb.ServerMessage
	ctx    context.Context //nolint:containedctx // it is the stream's life
	end    context.CancelCauseFunc
}

// NewHub returns a Hub without streams.
func NewHub() *Hub { return &Hub{streams: map[string]*stream{}, opening: map[string]int{}} }

var _ collector.Sender = (*Hub)(nil)

// Send hands a stored job to the peer's stream and does not wait for the peer
// to read it. errs.CodePeerNotConnected: there is no stream, or it was just
// ended because the peer does not read.
func (h *Hub) Send(_ context.Context, d collector.Dispatch) error {
	h.mu.Lock()
	st := h.streams[d.Job.PeerID]
	h.mu.Unlock()
	if st == nil {
		return notConnected(d.Job.PeerID)
	}
	if !h.put(st, jobMessage(d)) {
		return notConnected(d.Job.PeerID)
	}
	return nil
}

// Cancel tells a peer that has a stream here that a job is over.
func (h *Hub) Cancel(peerID, jobID, reason string) {
	h.mu.Lock()
	st := h.streams[peerID]
	h.mu.Unlock()
	if st != nil {
		h.put(st, &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Cancel{Cancel: &jobpb.Cancel{JobId: jobID, Reason: reason}}})
	}
}

func notConnected(peerID string) error {
	return errs.New(errs.CodePeerNotConnected, "peer %s has no stream on this server", peerID)
}

func jobMessage(d collector.Dispatch) *jobpb.ServerMessage {
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Job{Job: &jobpb.Job{
		Id: d.Job.ID, DeadlineMs: d.Job.Deadline.UnixMilli(),
		Workload: &jobpb.Job_Hook{Hook: &jobpb.HookRun{
			OriginalId: d.Job.OriginalID, Statement: d.Statement, Script: d.Script, Signatures: d.Signatures,
		}},
	}}}
}

// put queues a message, or ends a stream whose queue is full.
func (h *Hub) put(st *stream, m *jobpb.ServerMessage) bool {
	select {
	case <-st.ctx.Done():
		return false
	default:
	}
	select {
	case st.out <- m:
		return true
	default:
		h.remove(st)
		st.end(errs.New(errs.CodeUnavailable, "the peer does not read its messages"))
		return false
	}
}

// Connected reports whether the peer has a stream on this server.
func (h *Hub) Connected(peerID string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[peerID] != nil
}

// Len is the number of open streams.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// open says that a stream of the peer is about to get its epoch; done, that it
// is in the hub by now, or will never be.
func (h *Hub) open(peerID string) (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opening[peerID]++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.opening[peerID]--; h.opening[peerID] == 0 {
			delete(h.opening, peerID)
		}
	})
}

// alone reports whether st is the peer's stream and no other is opening.
func (h *Hub) alone(st *stream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[st.peerID] == st && h.opening[st.peerID] == 0
}

// knows reports whether the peer has a stream here, or is about to have one:
// what the store says of its connection is right, or will be.
func (h *Hub) knows(peerID string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[peerID] != nil || h.opening[peerID] > 0
}

// add makes st the peer's stream and ends an older one. Where two streams of
// one peer race, the higher epoch wins, whichever comes first.
func (h *Hub) add(st *stream) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return errs.New(errs.CodeUnavailable, "the server stops")
	}
	old := h.streams[st.peerID]
	if old != nil && old.epoch > st.epoch {
		return replaced()
	}
	h.streams[st.peerID] = st
	if old != nil {
		old.end(replaced())
	}
	return nil
}

func replaced() error {
	return errs.New(errs.CodeUnavailable, "a newer stream of the same peer has replaced this one")
}

// renew gives a stream a new epoch, also one that is none any more: with it
// the stream's end clears what the store has of it. It tells whether st is
// still the peer's stream.
func (h *Hub) renew(st *stream, epoch int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	st.epoch = epoch
	return h.streams[st.peerID] == st
}

// remove forgets st, and nothing else where a newer stream has its place.
func (h *Hub) remove(st *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[st.peerID] == st {
		delete(h.streams, st.peerID)
	}
}

// drain asks every peer to come back later and takes no new stream.
func (h *Hub) drain(after time.Duration) {
	h.mu.Lock()
	h.draining = true
	all := make([]*stream, 0, len(h.streams))
	for _, st := range h.streams {
		all = append(all, st)
	}
	h.mu.Unlock()
	m := &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Drain{
		Drain: &jobpb.Drain{ReconnectAfterMs: uint32(after.Milliseconds())},
	}}
	for _, st := range all {
		h.put(st, m)
	}
}
