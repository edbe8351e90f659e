package problems

import (
	"context"
	"sync"
	"time"

	"hookline/internal/jobs"
	"hookline/internal/web/chart"
)

// Bounds of what charts count.
const (
	mostADay = 20_000           // jobs of one day and kind; more are "or more"
	keepDay  = 10 * time.Minute // how long the count of a day that is over is kept
	maxKept  = 5000             // such counts
)

// days are the first moments of the last n days in UTC, today the last of
// them, and of tomorrow.
func days(now time.Time, n int) []time.Time {
	now = now.UTC()
	out := make([]time.Time, 0, n+1)
	for i := n - 1; i >= -1; i-- {
		out = append(out, time.Date(now.Year(), now.Month(), now.Day()-i, 0, 0, 0, 0, time.UTC))
	}
	return out
}

// dayCounts keeps the counts of days that are over for a while, so that a busy
// overview counts today alone. Reports can come late and jobs end late, so
// that no count is kept for good.
type dayCounts struct {
	mu   sync.Mutex
	kept map[dayKey]dayCount
}

type dayKey struct {
	work    jobs.Workload
	status  jobs.Status
	problem string
	day     int64
}

type dayCount struct {
	n  int64
	at time.Time
}

// of counts the jobs of the last n days that fit a filter by workload, status
// and problem. It asks the store for the days from the first one on that is
// not known.
func (c *dayCounts) of(ctx context.Context, store Store, f jobs.Filter, now time.Time, n int) ([]int64, error) {
	times := days(now, n)
	counts, known := c.known(f, times, now)
	if known == n {
		return counts, nil
	}
	fresh, err := store.CountJobs(ctx, f, times[known:], mostADay)
	if err != nil {
		return nil, err
	}
	counts = append(counts[:known], fresh...)
	c.keep(f, times, counts, now)
	return counts, nil
}

func keyOf(f jobs.Filter, day time.Time) dayKey {
	return dayKey{f.Workload, f.Status, f.ProblemID, day.Unix()}
}

func (c *dayCounts) known(f jobs.Filter, times []time.Time, now time.Time) (counts []int64, known int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range len(times) - 1 {
		k, ok := c.kept[keyOf(f, times[i])]
		if age := now.Sub(k.at); !ok || age < 0 || age > keepDay {
			return counts, i
		}
		counts = append(counts, k.n)
	}
	return counts, len(counts)
}

// keep remembers the days that are over, all but the last.
func (c *dayCounts) keep(f jobs.Filter, times []time.Time, counts []int64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || len(c.kept)+len(counts) > maxKept {
		c.kept = map[dayKey]dayCount{}
	}
	for i, n := range counts[:len(counts)-1] {
		if k, ok := c.kept[keyOf(f, times[i])]; !ok || now.Sub(k.at) > keepDay || now.Before(k.at) {
			c.kept[keyOf(f, times[i])] = dayCount{n, now}
		}
	}
}

// groups are the bars of days; each leads to the jobs of its day.
func groups(times []time.Time, link func(day string) string, series ...[]int64) []chart.Group {
	var out []chart.Group
	for i := range len(times) - 1 {
		g := chart.Group{Label: times[i].Format("2 Jan"), Link: link(times[i].Format(time.DateOnly))}
		for _, s := range series {
			g.Values = append(g.Values, s[i])
		}
		out = append(out, g)
	}
	return out
}
