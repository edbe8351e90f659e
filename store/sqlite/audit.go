package sqlite

import (
	"context"
	"strings"

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

// Entries lists the audit log.
func (d *DB) Entries(ctx context.Context, f auth.EntryFilter) ([]auth.Entry, error) {
	w := within(store.Span(f.From, f.Until, f.After, f.Oldest))
	w.and("target = ?", f.Target)
	w.and("actor = ?", f.Actor)
	w.and("action = ?", f.Action)
	query, args := w.list(auditColumns, "audit", f.Oldest, f.Limit)
	return list(ctx, d.reader, scanEntry, query, args...)
}

// narrowed gathers the conditions of a list in the order of ids. It has only
// those that its filter sets. The first of them finds the index; the others
// are tested for what it gives. SQLite knows no sizes: left alone it may take
// the index of all hook runs for those of one machine.
type narrowed struct {
	where []string
	args  []any
	found bool // a condition has its index
}

func within(low, high string) *narrowed {
	return &narrowed{where: []string{"id >= ?", "id < ?"}, args: []any{low, high}}
}

// and narrows by a value; "" does not. The conditions come with the one that
// leaves least first. A plus before a column keeps its index out.
func (w *narrowed) and(condition, value string) {
	if value == "" {
		return
	}
	if w.found {
		condition = "+" + condition
	}
	w.found = true
	w.where, w.args = append(w.where, condition), append(w.args, value)
}

// both narrows by two values that have an index together.
func (w *narrowed) both(condition, value, other, otherValue string) {
	alone := !w.found
	w.and(condition, value)
	if alone {
		w.found = false
	}
	w.and(other, otherValue)
}

func (w *narrowed) conditions() string { return strings.Join(w.where, " AND ") }

// list is the query for one page.
func (w *narrowed) list(columns, table string, oldest bool, limit int) (string, []any) {
	order := " DESC"
	if oldest {
		order = ""
	}
	return `SELECT ` + columns + ` FROM ` + table + ` WHERE ` + w.conditions() + ` ORDER BY id` + order + ` LIMIT ?`,
		append(w.args, store.Page(limit, store.MaxPage))
}

func scanEntry(s scanner) (auth.Entry, error) {
	var e auth.Entry
	var at int64
	err := s.Scan(&e.ID, &at, &e.Actor, &e.TokenID, &e.Action, &e.Target, &e.Detail, &e.Outcome)
	e.At = fromMS(at)
	return e, err
}
