package sqlite

import (
	"context"

	"hookline/internal/auth"
	"hookline/store"
)

const auditColumns = `id, at, actor, token_id, action, target, detail, outcome`

// addEntry writes an audit entry in the commit of what it tells about.
func addEntry(t *tx, e auth.Entry) error {
	_, err := t.exec(`INSERT INTO audit (`+auditColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, toMS(e.At), e.Actor, e.TokenID, e.Action, e.Target, e.Detail, e.Outcome)
	return err
}

// audited runs change and writes the grant's entry in the same commit. The
// entry is taken before anything is queued: a grant that no Gate made fails
// in the caller.
func (d *DB) audited(ctx context.Context, g auth.Grant, change func(*tx) error) error {
	entry := g.Entry()
	return d.write(ctx, func(t *tx) error {
		if err := change(t); err != nil {
			return err
		}
		return addEntry(t, entry)
	})
}

// AddEntry writes an audit entry of its own: a refused attempt.
func (d *DB) AddEntry(ctx context.Context, e auth.Entry) error {
	return d.write(ctx, func(t *tx) error { return addEntry(t, e) })
}

// Entries lists the audit log, newest first, entries older than after.
func (d *DB) Entries(ctx context.Context, after string, limit int) ([]auth.Entry, error) {
	return list(ctx, d.reader, scanEntry, `SELECT `+auditColumns+`
		FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?`, store.Before(after), store.Page(limit, store.MaxPage))
}

func scanEntry(s scanner) (auth.Entry, error) {
	var e auth.Entry
	var at int64
	err := s.Scan(&e.ID, &at, &e.Actor, &e.TokenID, &e.Action, &e.Target, &e.Detail, &e.Outcome)
	e.At = fromMS(at)
	return e, err
}
