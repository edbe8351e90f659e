package problems

import (
	"context"
	"sync"
	"time"

	"hookline/collector"
)

// Bounds of what is kept of busy problems.
const (
	sample    = 10_000           // reports of a span that are looked at
	costly    = 2000             // reports from which on a count is kept
	keepBusy  = 30 * time.Second // of a span that goes on
	keepWeek  = 10 * time.Minute // of one that is over
	maxBusies = 16               // spans
)

// busyCounts keeps the busy problems of a span for a while where they took many
// reports to count: an overview that many look at, and fetch anew with each
// event, counts once.
type busyCounts struct {
	mu   sync.Mutex
	kept map[busyKey]busyCount
}

type busyKey struct {
	from, until int64
	limit       int
}

type busyCount struct {
	list   []collector.ProblemCount
	looked int64
	at     time.Time
}

// of are the problems with most reports of a span, from a list that is half a
// minute old at most.
func (c *busyCounts) of(ctx context.Context, store Store, from, until, now time.Time, limit int) ([]collector.ProblemCount, int64, error) {
	key, keep := busyKey{from.Unix(), until.Unix(), limit}, keepBusy
	if !until.After(now) {
		keep = keepWeek
	}
	if b, ok := c.known(key, now, keep); ok {
		return b.list, b.looked, nil
	}
	list, looked, err := store.BusyProblems(ctx, from, until, sample, limit)
	if err != nil {
		return nil, 0, err
	}
	c.keep(key, busyCount{list, looked, now})
	return list, looked, nil
}

func (c *busyCounts) known(key busyKey, now time.Time, keep time.Duration) (busyCount, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.kept[key]
	age := now.Sub(b.at)
	return b, ok && age >= 0 && age <= keep
}

func (c *busyCounts) keep(key busyKey, b busyCount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.looked < costly {
		delete(c.kept, key)
		return
	}
	if c.kept == nil || len(c.kept) >= maxBusies {
		c.kept = map[busyKey]busyCount{}
	}
	c.kept[key] = b
}

// sampled is how many reports a count is over, where there may have been more;
// 0 where it is over all.
func sampled(looked int64) int64 {
	if looked < sample {
		return 0
	}
	return sample
}
