package jobserver

import (
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"hookline/internal/errs"
	"hookline/internal/jobpb"
)

// Bounds of what waits for the store on one stream: a peer has few pending jobs.
const (
	maxWaiting      = 64
	maxWaitingBytes = 8 << 10 // of one message
	waitFirst       = time.Second
	waitLongest     = 8 * time.Second
)

// later holds what a peer said that the store could not take, in its order. A
// peer says the end of a job once in a stream, and its stream must not end
// because the store is away: thousands would come back at once, only to be
// turned away. The zero value is ready, for one goroutine.
type later struct {
	msgs  []*jobpb.PeerMessage
	pause time.Duration
	timer <-chan time.Time
}

func (l *later) some() bool { return len(l.msgs) > 0 }

// due tells when to try again; it never does where nothing waits.
func (l *later) due() <-chan time.Time { return l.timer }

// add refuses more than a peer has to say, which ends its stream.
func (l *later) add(m *jobpb.PeerMessage) error {
	if len(l.msgs) >= maxWaiting || proto.Size(m) > maxWaitingBytes {
		return errs.New(errs.CodeUnavailable, "the server's store is away, and too much waits for it")
	}
	if l.timer == nil {
		l.pause = min(max(2*l.pause, waitFirst), waitLongest)
		l.timer = time.After(l.pause/2 + rand.N(l.pause/2)) //nolint:gosec // no secret
	}
	l.msgs = append(l.msgs, m)
	return nil
}

// take empties it. What is added again before done waits longer.
func (l *later) take() []*jobpb.PeerMessage {
	msgs := l.msgs
	l.msgs, l.timer = nil, nil
	return msgs
}

// done says that what was taken has been tried.
func (l *later) done() {
	if !l.some() {
		l.pause = 0
	}
}
