package jobserver

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"hookline/internal/errs"
)

// How many calls and stream messages one peer may make. Above it the peer
// waits, and is refused where it would wait too long.
const (
	callsPerSecond    = 100
	callsBurst        = 500
	messagesPerSecond = 200
	messagesBurst     = 1000
	rateWait          = 10 * time.Second
	ratesKept         = 10_000
)

// How many reports of one peer are stored: what it has kept while it was away
// at once, and after that as fast as one machine can have something new to say.
// A report above it is refused for now, and the peer keeps it until later.
const (
	reportsPerSecond     = 2
	reportsBurst         = 500
	reportBytesPerSecond = 1 << 20
	reportBytesBurst     = 64 << 20
)

// limits are those of one peer.
type limits struct {
	calls       *rate.Limiter
	reports     *rate.Limiter
	reportBytes *rate.Limiter
}

func newLimits() *limits {
	return &limits{
		calls:       rate.NewLimiter(callsPerSecond, callsBurst),
		reports:     rate.NewLimiter(reportsPerSecond, reportsBurst),
		reportBytes: rate.NewLimiter(reportBytesPerSecond, reportBytesBurst),
	}
}

// full tells whether all is there again, so that new limits would be the same.
func (l *limits) full(now time.Time) bool {
	return l.calls.Tokens() >= callsBurst && l.reports.TokensAt(now) >= reportsBurst && l.reportBytes.TokensAt(now) >= reportBytesBurst
}

// rates holds the limits of the peers; the zero value is ready.
type rates struct {
	mu    sync.Mutex
	peers map[string]*limits
}

// wait lets a call through in its turn.
func (r *rates) wait(ctx context.Context, peerID string, now time.Time) error {
	r.mu.Lock()
	calls := r.of(peerID, now).calls
	r.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, rateWait)
	defer cancel()
	if err := calls.Wait(bounded); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errs.New(errs.CodeRateLimited, "too many calls of one peer")
	}
	return nil
}

// report takes a report of so many bytes from what the peer may store now. One
// that is refused takes nothing.
func (r *rates) report(peerID string, size int, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.of(peerID, now)
	if l.reports.TokensAt(now) < 1 || l.reportBytes.TokensAt(now) < float64(size) {
		return errs.New(errs.CodeRateLimited, "one peer files too many reports: %d, or %d MiB, and then %d a second, or %d MiB, are taken",
			reportsBurst, reportBytesBurst>>20, reportsPerSecond, reportBytesPerSecond>>20).
			WithHint("the report stays on its machine and is sent again later")
	}
	l.reports.AllowN(now, 1)
	l.reportBytes.AllowN(now, size)
	return nil
}

// of finds a peer's limits; r.mu is held.
func (r *rates) of(peerID string, now time.Time) *limits {
	if l := r.peers[peerID]; l != nil {
		return l
	}
	if r.peers == nil {
		r.peers = map[string]*limits{}
	}
	if len(r.peers) >= ratesKept {
		for id, l := range r.peers {
			if l.full(now) {
				delete(r.peers, id)
			}
		}
	}
	l := newLimits()
	r.peers[peerID] = l
	return l
}
