package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/store"
)

const problemColumns = `id, fingerprint, package, executable, reports, first_seen, last_seen`

// countProblem counts one more report of a problem. The first report names
// it; the times are the reports' own where p has none.
func countProblem(t *tx, j jobs.Job, p collector.Problem) error {
	first, end := store.FirstOf(p.FirstSeen, j.CreatedAt), store.FirstOf(p.LastSeen, j.CreatedAt)
	_, err := t.exec(`INSERT INTO problems (`+problemColumns+`) VALUES (?, ?, ?, ?, 1, ?, ?)
		ON CONFLICT (id) DO UPDATE SET reports = reports + 1,
		first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)`,
		p.ID, p.Fingerprint, p.Package, p.Executable, toMS(first), toMS(end))
	return err
}

// Problem reads a problem; errs.CodeNotFound.
func (d *DB) Problem(ctx context.Context, id string) (collector.Problem, error) {
	p, err := one(ctx, d.reader, scanProblem, `SELECT `+problemColumns+` FROM problems WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return p, store.NoProblem(id)
	}
	return p, err
}

// Problems lists problems in one of their orders, each of which has an index.
func (d *DB) Problems(ctx context.Context, f collector.ProblemFilter) ([]collector.Problem, error) {
	by := "last_seen"
	switch f.Sort {
	case collector.ByFirstSeen:
		by = "first_seen"
	case collector.ByReports:
		by = "reports"
	}
	var where string
	var args []any
	if f.Package != "" {
		where, args = "package = ? AND ", append(args, f.Package)
	}
	value, id := edge(f.Least)
	if f.After != "" {
		var err error
		if value, id, err = collector.ProblemCursor(f.After); err != nil {
			return nil, err
		}
	}
	return list(ctx, d.reader, scanProblem, `SELECT `+problemColumns+` FROM problems WHERE `+where+behind(by, f.Least),
		append(args, value, id, store.Page(f.Limit, store.MaxPage))...)
}

// behind is a page of a list that is ordered by a column, ties by id.
func behind(by string, ascending bool) string {
	if ascending {
		return `(` + by + `, id) > (?, ?) ORDER BY ` + by + `, id LIMIT ?`
	}
	return `(` + by + `, id) < (?, ?) ORDER BY ` + by + ` DESC, id DESC LIMIT ?`
}

// edge is where such a list begins, by a number.
func edge(ascending bool) (value int64, id string) {
	if ascending {
		return math.MinInt64, ""
	}
	return math.MaxInt64, store.Last
}

func scanProblem(s scanner) (collector.Problem, error) {
	var p collector.Problem
	var first, end int64
	err := s.Scan(&p.ID, &p.Fingerprint, &p.Package, &p.Executable, &p.Reports, &first, &end)
	p.FirstSeen, p.LastSeen = fromMS(first), fromMS(end)
	return p, err
}
