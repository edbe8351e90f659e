package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"hookline/collector"
	"hookline/store"
)

const resultColumns = `id, job_id, hook, version, peer_id, problem_id, fields, bytes, created_at`

func addResult(t *tx, r collector.Result) error {
	_, err := t.exec(`INSERT INTO hook_results (`+resultColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.JobID, r.Hook, r.Version, r.PeerID, r.ProblemID, notNil(r.Fields), r.Bytes, toMS(r.CreatedAt))
	return err
}

// Result reads a result; errs.CodeNotFound.
func (d *DB) Result(ctx context.Context, id string) (collector.Result, error) {
	r, err := one(ctx, d.reader, scanResult, `SELECT `+resultColumns+` FROM hook_results WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return r, store.NoResult(id)
	}
	return r, err
}

// Results lists results, newest first.
func (d *DB) Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error) {
	query, args := resultsQuery(f)
	return list(ctx, d.reader, scanResult, query, args...)
}

func resultsQuery(f collector.ResultFilter) (string, []any) {
	where, args := []string{"id < ?"}, []any{store.Before(f.After)}
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
		append(args, store.Page(f.Limit, store.MaxPage))
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
