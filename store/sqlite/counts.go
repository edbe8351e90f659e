package sqlite

import (
	"context"
	"time"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/store"
)

// CountJobs counts the jobs of each span of time, all over one state of the
// database. A count ends at most, and each of its steps is one entry of an
// index.
func (d *DB) CountJobs(ctx context.Context, f jobs.Filter, times []time.Time, most int64) ([]int64, error) {
	if err := store.CheckSpans(times); err != nil || len(times) < 2 {
		return nil, err
	}
	counts := make([]int64, len(times)-1)
	err := d.reader.snapshot(ctx, func(q querier) (err error) {
		for i := range counts {
			w := jobsOf(f, store.IDAt(times[i]), store.IDAt(times[i+1]))
			counts[i], err = one(ctx, q, scanInt, `SELECT count(*) FROM (SELECT 1 FROM jobs WHERE `+w.conditions()+` LIMIT ?)`,
				append(w.args, max(0, most))...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return counts, err
}

// BusyProblems counts the problems of the newest reports of a span of time. It
// looks at entries of one index, at most sample of them.
func (d *DB) BusyProblems(ctx context.Context, from, until time.Time, sample int64, limit int) (list []collector.ProblemCount, looked int64, err error) {
	low, high := store.Span(from, until, "", false)
	err = d.reader.snapshot(ctx, func(q querier) error {
		busy, err := busyOf(ctx, q, low, high, max(0, sample), store.Page(limit, store.MaxPage))
		if err != nil {
			return err
		}
		for _, b := range busy {
			p, err := one(ctx, q, scanProblem, `SELECT `+problemColumns+` FROM problems WHERE id = ?`, b.problem)
			if err != nil {
				return err
			}
			list, looked = append(list, collector.ProblemCount{Problem: p, Reports: b.reports}), b.looked
		}
		return nil
	})
	return list, looked, err
}

// busy is a problem with its reports, of all that were looked at.
type busy struct {
	problem         string
	reports, looked int64
}

// busySample are the problems of the newest reports.
const busySample = `SELECT problem_id FROM jobs WHERE workload = 'report' AND id >= ? AND id < ? ORDER BY id DESC LIMIT ?`

func busyOf(ctx context.Context, q querier, low, high string, sample int64, limit int) ([]busy, error) {
	return list(ctx, q, func(s scanner) (b busy, err error) {
		err = s.Scan(&b.problem, &b.reports, &b.looked)
		return b, err
	}, `SELECT problem_id, count(*) AS n, sum(count(*)) OVER () FROM (`+busySample+`)
		GROUP BY problem_id ORDER BY n DESC, problem_id LIMIT ?`, low, high, sample, limit)
}
