package mongo

import (
	"context"
	"time"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/store"
)

// CountJobs counts the jobs of each span between two of the times, each count
// at most most.
func (d *DB) CountJobs(ctx context.Context, f jobs.Filter, times []time.Time, most int64) ([]int64, error) {
	if err := store.CheckSpans(times); err != nil || len(times) < 2 {
		return nil, err
	}
	f.After, f.Oldest = "", false
	counts := make([]int64, len(times)-1)
	for i := range counts {
		f.From, f.Until = times[i], times[i+1]
		var err error
		if counts[i], err = d.count(ctx, d.jobs, jobsFilter(f), most); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// busyDoc is a problem's share of some reports.
type busyDoc struct {
	ID      string `bson:"_id"`
	Reports int64  `bson:"reports"`
}

// BusyProblems are the problems with most reports among the newest sample ones
// in [from, until), the busiest first, ties by id. A problem whose first report
// is stored and not counted yet is left out.
func (d *DB) BusyProblems(
	ctx context.Context, from, until time.Time, sample int64, limit int,
) (list []collector.ProblemCount, looked int64, err error) {
	if sample <= 0 {
		return nil, 0, nil
	}
	reports := jobsFilter(jobs.Filter{Workload: jobs.WorkReport, From: from, Until: until})
	if looked, err = d.count(ctx, d.jobs, reports, sample); err != nil || looked == 0 {
		return nil, 0, err
	}
	busy, err := d.busiest(ctx, reports, sample, store.Page(limit, store.MaxPage))
	if err != nil {
		return nil, 0, err
	}
	list, err = d.problemsOf(ctx, busy)
	return list, looked, err
}

func (d *DB) busiest(ctx context.Context, reports m, sample int64, limit int) (busy []busyDoc, err error) {
	cursor, err := d.jobs.Aggregate(ctx, a{
		m{{Key: "$match", Value: reports}},
		m{{Key: "$sort", Value: newestFirst()}},
		m{{Key: "$limit", Value: sample}},
		m{{Key: "$group", Value: m{{Key: "_id", Value: "$problem_id"}, {Key: "reports", Value: m{{Key: "$sum", Value: 1}}}}}},
		m{{Key: "$sort", Value: m{{Key: "reports", Value: -1}, {Key: "_id", Value: 1}}}},
		m{{Key: "$limit", Value: limit}},
	})
	if err != nil {
		return nil, d.failed(err)
	}
	return busy, d.failed(cursor.All(ctx, &busy))
}

// problemsOf are the problems, in their order.
func (d *DB) problemsOf(ctx context.Context, busy []busyDoc) ([]collector.ProblemCount, error) {
	if len(busy) == 0 {
		return nil, nil
	}
	ids := make([]string, len(busy))
	for i, b := range busy {
		ids[i] = b.ID
	}
	docs, err := list[problemDoc](ctx, d, d.problems, among(ids), oldestFirst(), len(ids), withoutCounting())
	if err != nil {
		return nil, err
	}
	found := map[string]problemDoc{}
	for _, doc := range docs {
		found[doc.ID] = doc
	}
	var counts []collector.ProblemCount
	for _, b := range busy {
		if doc, ok := found[b.ID]; ok {
			counts = append(counts, collector.ProblemCount{Problem: doc.problem(), Reports: b.Reports})
		}
	}
	return counts, nil
}
