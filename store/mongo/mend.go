package mongo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/internal/auth"
	"hookline/store"
)

// Mend finishes what carries a todo that was set before a time: at most limit
// documents of each kind, the oldest first. It may run on any number of
// servers at once, and beside those who set the todos. Reports and results are
// left to it on purpose: to take their todo away costs their senders nothing.
func (d *DB) Mend(ctx context.Context, before time.Time, limit int) (n int, err error) {
	var broken []error
	for _, mend := range []func(context.Context, time.Time, int) (int, error){
		d.mendCounts, d.mendResults, d.mendVersions, d.mendOutcomes,
	} {
		some, err := mend(ctx, before, store.Page(limit, store.MaxRepair))
		n, broken = n+some, append(broken, err)
	}
	return n, errors.Join(broken...)
}

// todoBefore finds the documents of one todo by the time at which it began.
func todoBefore(todo, began string, before time.Time) m {
	return m{{Key: "todo", Value: todo}, {Key: began, Value: m{{Key: "$lt", Value: before}}}}
}

func among(ids []string) m { return m{{Key: "_id", Value: m{{Key: "$in", Value: ids}}}} }

// finished takes the todo, and what was there for it, from documents that
// still have it.
func (d *DB) finished(ctx context.Context, c *mongo.Collection, ids []string, todo string, with ...string) error {
	if len(ids) == 0 {
		return nil
	}
	unset := m{{Key: "todo", Value: ""}}
	for _, field := range with {
		unset = append(unset, condition{Key: field, Value: ""})
	}
	_, err := c.UpdateMany(ctx, append(among(ids), condition{Key: "todo", Value: todo}), m{{Key: "$unset", Value: unset}})
	return d.failed(err)
}

// moveAtOnce is how many results are read and written together, of up to
// hooks.MaxResultBytes each.
const moveAtOnce = 8

// mendResults takes results out of their jobs, once they stand in
// hook_results. It does not ask whether the lease is still out: whoever ends
// that finds the result in one place or the other.
func (d *DB) mendResults(ctx context.Context, before time.Time, limit int) (n int, err error) {
	filter := append(todoBefore(todoShow, "created_at", before), condition{Key: "completed_at", Value: m{{Key: "$lt", Value: before}}})
	jobs, err := list[filedJob](ctx, d, d.jobs, filter, m{{Key: "created_at", Value: 1}}, limit, m{{Key: "_id", Value: 1}})
	if err != nil {
		return 0, err
	}
	for ids := range slices.Chunk(idsOf(jobs), moveAtOnce) {
		if err := d.moveResults(ctx, ids); err != nil {
			return n, err
		}
		n += len(ids)
	}
	return n, nil
}

func (d *DB) moveResults(ctx context.Context, ids []string) error {
	docs, err := list[jobDoc](ctx, d, d.jobs, append(among(ids), condition{Key: "todo", Value: todoShow}), oldestFirst(), len(ids),
		m{{Key: "result", Value: 1}})
	if err != nil {
		return err
	}
	var results []any
	for _, doc := range docs {
		if doc.Result != nil {
			results = append(results, *doc.Result)
		}
	}
	if len(results) > 0 {
		_, err := d.results.InsertMany(ctx, results, options.InsertMany().SetOrdered(false))
		if !duplicatesOnly(err) {
			return d.failed(err)
		}
	}
	return d.finished(ctx, d.jobs, ids, todoShow, "result")
}

// mendVersions has the rows of hooks name versions that were stored and
// perhaps not listed.
func (d *DB) mendVersions(ctx context.Context, before time.Time, limit int) (int, error) {
	docs, err := list[versionDoc](ctx, d, d.versions, todoBefore(todoList, "submitted_at", before),
		m{{Key: "submitted_at", Value: 1}}, limit, m{{Key: "hook", Value: 1}, {Key: "number", Value: 1}})
	if err != nil {
		return 0, err
	}
	ids, newest := make([]string, len(docs)), map[string]versionDoc{}
	for i, v := range docs {
		ids[i] = v.Digest
		if v.Number > newest[v.Hook].Number {
			newest[v.Hook] = v
		}
	}
	for _, v := range newest {
		if err := d.listVersion(ctx, v); err != nil {
			return 0, err
		}
	}
	return len(ids), d.finished(ctx, d.versions, ids, todoList)
}

// mendOutcomes writes the end of actions that nobody ended: as done where the
// document that the entry names has its id, else as unknown. One that goes on
// all the same writes its own end over that.
func (d *DB) mendOutcomes(ctx context.Context, before time.Time, limit int) (int, error) {
	entries, err := list[entryDoc](ctx, d, d.audit, todoBefore(todoOutcome, "at", before), m{{Key: "at", Value: 1}}, limit,
		m{{Key: "where", Value: 1}, {Key: "undo", Value: 1}})
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	marks, err := d.marks(ctx, entries)
	if err != nil {
		return 0, err
	}
	ends := map[string][]string{}
	for _, e := range entries {
		end := auth.OutcomeUnknown
		if marks[e.Where] == e.ID {
			end = auth.OutcomeOK
		} else if err := d.undo(ctx, e, marks[e.Where]); err != nil {
			return 0, err
		}
		ends[end] = append(ends[end], e.ID)
	}
	n := 0
	for end, ids := range ends {
		_, err := d.audit.UpdateMany(ctx, append(among(ids), condition{Key: "todo", Value: todoOutcome}), entryEnd(end))
		if err != nil {
			return n, d.failed(err)
		}
		n += len(ids)
	}
	return n, nil
}

// undo puts back what an action changed that came no further. Where the last
// action on its own document is another one since, it may have come further
// and been ended by that: a version that somebody disabled then leaves no
// other active.
func (d *DB) undo(ctx context.Context, e entryDoc, last string) error {
	if e.Undo == nil || e.Undo.Before != last {
		return nil
	}
	_, digest, _ := strings.Cut(e.Where, "/")
	return d.putBack(ctx, *e.Undo, digest)
}

// marks reads which entry the documents that entries name have last, by where.
func (d *DB) marks(ctx context.Context, entries []entryDoc) (map[string]string, error) {
	named := map[string][]string{}
	for _, e := range entries {
		collection, id, _ := strings.Cut(e.Where, "/")
		named[collection] = append(named[collection], id)
	}
	marks := map[string]string{}
	for _, c := range []*mongo.Collection{d.users, d.tokens, d.peers, d.versions, d.comments, d.activations} {
		ids := named[c.Name()]
		if len(ids) == 0 {
			continue
		}
		docs, err := list[struct {
			ID    string `bson:"_id"`
			Audit string `bson:"audit"`
		}](ctx, d, c, among(ids), oldestFirst(), len(ids), m{{Key: "audit", Value: 1}})
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			marks[where(c, doc.ID)] = doc.Audit
		}
	}
	return marks, nil
}
