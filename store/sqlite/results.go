package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"hookline/collector"
	"hookline/store"
)

const resultColumns = `id, job_id, hook, version, peer_id, problem_id, fields, bytes, created_at, level, package`

func addResult(t *tx, r collector.Result) error {
	_, err := t.exec(`INSERT INTO hook_results (`+resultColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, resultValues(r)...)
	return err
}

// resultValues are those of resultColumns.
func resultValues(r collector.Result) []any {
	return []any{
		r.ID, r.JobID, r.Hook, r.Version, r.PeerID, r.ProblemID, notNil(r.Fields), r.Bytes, toMS(r.CreatedAt), string(r.Level), r.Package,
	}
}

// Result reads a result; errs.CodeNotFound.
func (d *DB) Result(ctx context.Context, id string) (collector.Result, error) {
	r, err := one(ctx, d.reader, scanResult, `SELECT `+resultColumns+` FROM hook_results WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return r, store.NoResult(id)
	}
	return r, err
}

// Results lists results.
func (d *DB) Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error) {
	query, args := resultsQuery(f)
	return list(ctx, d.reader, scanResult, query, args...)
}

func resultsQuery(f collector.ResultFilter) (string, []any) {
	w := within(store.Span(f.From, f.Until, f.After, f.Oldest))
	w.and("job_id = ?", f.JobID)
	w.and("problem_id = ?", f.ProblemID)
	w.and("peer_id = ?", f.PeerID)
	w.and("version = ?", f.Version)
	w.and("hook = ?", f.Hook)
	w.and("package = ?", f.Package)
	w.and("level = ?", string(f.Level))
	return w.list(resultColumns, "hook_results", f.Oldest, f.Limit)
}

func scanResult(s scanner) (collector.Result, error) {
	var r collector.Result
	var created int64
	err := s.Scan(&r.ID, &r.JobID, &r.Hook, &r.Version, &r.PeerID, &r.ProblemID, &r.Fields, &r.Bytes, &created, &r.Level, &r.Package)
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
