package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
)

const resultColumns = `id, job_id, hook, version, peer_id, problem_id, fields, bytes, created_at`

// AddHidden stores a result that does not show before its job succeeds. Only
// a pending hook job has one: errs.CodeJobDecided after the decision.
func (d *DB) AddHidden(ctx context.Context, r collector.Result) error {
	if len(r.Fields) > hooks.MaxResultBytes {
		return errs.New(errs.CodeTooLarge, "cannot store result: it has %d bytes, at most %d", len(r.Fields), hooks.MaxResultBytes)
	}
	return d.write(ctx, func(t *tx) error {
		status, err := one(ctx, t, scanText, `SELECT status FROM jobs WHERE id = ? AND workload = 'hook'`, r.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return noJob(r.ID)
		}
		if err != nil {
			return err
		}
		if status != "pending" {
			return errs.New(errs.CodeJobDecided, "cannot store result: job %s has %s already", r.ID, status)
		}
		_, err = t.exec(`INSERT OR REPLACE INTO hook_results (`+resultColumns+`, visible) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
			r.ID, r.JobID, r.Hook, r.Version, r.PeerID, r.ProblemID, notNil(r.Fields), r.Bytes, toMS(r.CreatedAt))
		return err
	})
}

// showOrDelete is what a decision does to the job's result.
func showOrDelete(t *tx, id string, show bool) error {
	query := `DELETE FROM hook_results WHERE id = ? AND visible = 0`
	if show {
		query = `UPDATE hook_results SET visible = 1 WHERE id = ?`
	}
	_, err := t.exec(query, id)
	return err
}

// Result reads a result that shows; errs.CodeNotFound.
func (d *DB) Result(ctx context.Context, id string) (collector.Result, error) {
	r, err := one(ctx, d.reader, scanResult, `SELECT `+resultColumns+` FROM hook_results WHERE id = ? AND visible = 1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return r, errs.New(errs.CodeNotFound, "there is no result of job %s", id)
	}
	return r, err
}

// Results lists results that show, newest first.
func (d *DB) Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error) {
	query, args := resultsQuery(f)
	return list(ctx, d.reader, scanResult, query, args...)
}

func resultsQuery(f collector.ResultFilter) (string, []any) {
	where, args := []string{"visible = 1", "id < ?"}, []any{before(f.After)}
	for _, c := range []struct{ condition, value string }{
		{"job_id = ?", f.JobID},
		{"hook = ?", f.Hook},
		{"version = ?", f.Version},
		{"problem_id = ?", f.ProblemID},
	} {
		if c.value != "" {
			where, args = append(where, c.condition), append(args, c.value)
		}
	}
	return `SELECT ` + resultColumns + ` FROM hook_results WHERE ` + strings.Join(where, " AND ") + ` ORDER BY id DESC LIMIT ?`,
		append(args, page(f.Limit, maxPage))
}

func scanResult(s scanner) (collector.Result, error) {
	var r collector.Result
	var created int64
	err := s.Scan(&r.ID, &r.JobID, &r.Hook, &r.Version, &r.PeerID, &r.ProblemID, &r.Fields, &r.Bytes, &created)
	r.CreatedAt = fromMS(created)
	return r, err
}

// notNil keeps "no bytes" apart from NULL, which the columns refuse.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
