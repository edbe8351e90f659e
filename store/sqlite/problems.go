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

// Problems lists problems, the one that was seen last first; after is
// "<last_seen in ms>/<id>" of the last one of the page before.
func (d *DB) Problems(ctx context.Context, after string, limit int) ([]collector.Problem, error) {
	seen, id := int64(math.MaxInt64), store.Last
	if after != "" {
		var err error
		if seen, id, err = collector.ProblemCursor(after); err != nil {
			return nil, err
		}
	}
	return list(ctx, d.reader, scanProblem, `SELECT `+problemColumns+` FROM problems WHERE (last_seen, id) < (?, ?)
		ORDER BY last_seen DESC, id DESC LIMIT ?`, seen, id, store.Page(limit, store.MaxPage))
}

func scanProblem(s scanner) (collector.Problem, error) {
	var p collector.Problem
	var first, end int64
	err := s.Scan(&p.ID, &p.Fingerprint, &p.Package, &p.Executable, &p.Reports, &first, &end)
	p.FirstSeen, p.LastSeen = fromMS(first), fromMS(end)
	return p, err
}
