package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/internal/errs"
	"hookline/store"
)

// fits refuses a document that no MongoDB server would take, before anything
// is sent. All that people and peers send is capped far below; this is the
// last guard.
func fits(doc any, what string) error {
	raw, err := marshal(doc)
	if err == nil {
		return store.CheckSize(what, len(raw))
	}
	if _, coded := errs.As(err); coded {
		return err
	}
	return errs.Wrap(errs.CodeBadInput, err, "cannot store %s", what)
}

// one reads the first document that matches; none(err) where there is none.
func one[T any](ctx context.Context, d *DB, c *mongo.Collection, filter m, o ...options.Lister[options.FindOneOptions]) (T, error) {
	var doc T
	err := c.FindOne(ctx, filter, o...).Decode(&doc)
	if none(err) {
		return doc, err
	}
	return doc, d.failed(err)
}

// list reads up to limit documents in one round trip, or in several where
// they are more than one message holds. A nil projection reads them whole. The
// batch has room for one more: a full one would leave the cursor open, to be
// asked for nothing.
func list[T any](ctx context.Context, d *DB, c *mongo.Collection, filter, sort m, limit int, projection m) ([]T, error) {
	o := options.Find().SetSort(sort).SetLimit(int64(limit)).SetBatchSize(int32(limit) + 1) //nolint:gosec // at most store.MaxRepair
	if projection != nil {
		o.SetProjection(projection)
	}
	cursor, err := c.Find(ctx, filter, o)
	if err != nil {
		return nil, d.failed(err)
	}
	var docs []T
	return docs, d.failed(cursor.All(ctx, &docs))
}

// change updates the first document that matches, and says whether there was
// one.
func (d *DB) change(ctx context.Context, c *mongo.Collection, filter, update m) (bool, error) {
	r, err := c.UpdateOne(ctx, filter, update)
	if err != nil {
		return false, d.failed(err)
	}
	return r.MatchedCount == 1, nil
}

// changed updates the first document that matches and returns it as it is
// then; none(err) where nothing did.
func changed[T any](ctx context.Context, d *DB, c *mongo.Collection, filter, update m) (T, error) {
	return modify[T](ctx, d, c, filter, update, options.After)
}

// modify returns the document as it was or as it is.
func modify[T any](ctx context.Context, d *DB, c *mongo.Collection, filter, update m, which options.ReturnDocument) (T, error) {
	var doc T
	err := c.FindOneAndUpdate(ctx, filter, update, options.FindOneAndUpdate().SetReturnDocument(which)).Decode(&doc)
	if none(err) {
		return doc, err
	}
	return doc, d.failed(err)
}

// all projects a list of documents to what the domain calls them.
func all[D, T any](docs []D, err error, to func(D) T) ([]T, error) {
	if err != nil || len(docs) == 0 {
		return nil, err
	}
	out := make([]T, len(docs))
	for i, doc := range docs {
		out[i] = to(doc)
	}
	return out, nil
}
