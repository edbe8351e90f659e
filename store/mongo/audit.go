package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/store"
)

// maxRounds is how often an action looks again and tries again where others
// change the same document. Each round that is lost is somebody else's that
// was won, so that a hundred are more than people can cause.
const maxRounds = 100

// audited does what a person was granted: intent, change, outcome.
//
// The intent is the grant's entry, begun, which names where the change will
// show: change must put the entry's id there as "audit", in the one update
// that does it. Nothing is changed before the intent is stored, and its id is
// good for one action. A refusal takes the entry away again. Where it is not
// known what became of the change the entry stays begun, and Mend ends it: as
// done where the document has its id, else as unknown.
//
// The entry is taken before anything is sent: a grant that no Gate made fails
// in the caller. From the intent on nothing interrupts the action: who asked
// may have left, but half of it must not be all of it.
func (d *DB) audited(ctx context.Context, g auth.Grant, where string, change func(ctx context.Context, entry string) error) error {
	return d.auditedThen(ctx, g, where, change, func(context.Context) {})
}

// auditedThen is audited, and then does what takes the entry's id away from
// the document: only where nobody looks for it any more.
func (d *DB) auditedThen(
	ctx context.Context, g auth.Grant, where string, change func(ctx context.Context, entry string) error, then func(ctx context.Context),
) error {
	entry := g.Entry()
	if err := d.begin(ctx, entry, where); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	err := change(ctx, entry.ID)
	switch {
	case err == nil: // done, whether or not the entry can be told so: Mend sees it too
		if ended, _ := d.change(ctx, d.audit, byID(entry.ID), entryEnd(entry.Outcome)); ended {
			then(ctx)
		}
	case refused(err):
		_, _ = d.audit.DeleteOne(ctx, byID(entry.ID))
	}
	return err
}

func (d *DB) begin(ctx context.Context, e auth.Entry, where string) error {
	doc := newEntryDoc(e)
	doc.Outcome, doc.Todo, doc.Where = auth.OutcomeBegun, todoOutcome, where
	return d.addEntry(ctx, doc)
}

// entryEnd writes how an action that was begun has ended.
func entryEnd(outcome string) m {
	return m{
		{Key: "$set", Value: m{{Key: "outcome", Value: outcome}}},
		{Key: "$unset", Value: m{{Key: "todo", Value: ""}, {Key: "where", Value: ""}, {Key: "undo", Value: ""}}},
	}
}

// entryUndo writes what an action is about to change first. A Mend may have
// ended one that stalled: from here on it has to be looked at again.
func entryUndo(other undoDoc, where string) m {
	return m{{Key: "$set", Value: m{
		{Key: "undo", Value: other}, {Key: "todo", Value: todoOutcome}, {Key: "where", Value: where}, {Key: "outcome", Value: auth.OutcomeBegun},
	}}}
}

// refused reports whether err says that nothing was changed. Trouble with the
// server does not say so.
func refused(err error) bool {
	e, ok := errs.As(err)
	return ok && e.Kind() != errs.Unavailable && e.Kind() != errs.Internal
}

// where is how an intent names a document: the part before the first slash is
// the collection.
func where(c *mongo.Collection, id string) string { return c.Name() + "/" + id }

// AddEntry writes an audit entry of its own: a refused attempt.
func (d *DB) AddEntry(ctx context.Context, e auth.Entry) error {
	return d.addEntry(ctx, newEntryDoc(e))
}

func (d *DB) addEntry(ctx context.Context, doc entryDoc) error {
	added, err := d.insert(ctx, d.audit, doc, "an audit entry")
	if err == nil && !added {
		return errs.New(errs.CodeInternal, "cannot write audit entry %s: it is there, and is good for one action", doc.ID)
	}
	return err
}

// Entries lists the audit log, newest first.
func (d *DB) Entries(ctx context.Context, f auth.EntryFilter) ([]auth.Entry, error) {
	filter := narrowed(within(f.From, f.Until, f.After, f.Oldest), []equality{
		{"actor", f.Actor},
		{"action", f.Action},
		{"target", f.Target},
	})
	docs, err := list[entryDoc](ctx, d, d.audit, filter, byAge(f.Oldest), store.Page(f.Limit, store.MaxPage), nil)
	return all(docs, err, entryDoc.entry)
}

// insert stores a document; added is false where a unique key of it is taken.
func (d *DB) insert(ctx context.Context, c *mongo.Collection, doc any, what string) (added bool, err error) {
	if err := fits(doc, what); err != nil {
		return false, err
	}
	_, err = c.InsertOne(ctx, doc)
	if duplicate(err) {
		return false, nil
	}
	return err == nil, d.failed(err)
}

// add is the change of an action that stores a document, and refuses with
// taken. An insert that was sent twice may meet what it stored itself.
func (d *DB) add(ctx context.Context, c *mongo.Collection, doc any, id, entry string, taken *errs.Error) error {
	added, err := d.insert(ctx, c, doc, where(c, id))
	if err != nil || added {
		return err
	}
	mine, err := d.marked(ctx, c, id, entry)
	if err == nil && !mine {
		return taken
	}
	return err
}

// marked reports whether the last action on a document is that of the entry.
func (d *DB) marked(ctx context.Context, c *mongo.Collection, id, entry string) (bool, error) {
	last, err := d.lastAction(ctx, c, id)
	return err == nil && last == entry, err
}

// lastAction is the entry of the last action on a document, "" where there is
// none, or no document.
func (d *DB) lastAction(ctx context.Context, c *mongo.Collection, id string) (string, error) {
	doc, err := one[struct {
		Audit string `bson:"audit"`
	}](ctx, d, c, byID(id), options.FindOne().SetProjection(m{{Key: "audit", Value: 1}}))
	return doc.Audit, ignoreNone(err)
}
