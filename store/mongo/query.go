package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
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

// within is the range of ids that a page of a list in their order may have.
// The newest come first, or the oldest.
func within(from, until time.Time, after string, oldest bool) m {
	low, high := store.Span(from, until, after, oldest)
	if low == "" {
		return m{{Key: "_id", Value: m{{Key: "$lt", Value: high}}}}
	}
	return m{{Key: "_id", Value: m{{Key: "$gte", Value: low}, {Key: "$lt", Value: high}}}}
}

// equality is a member of a list's filter; "" does not narrow.
type equality struct{ key, value string }

// narrowed adds to a filter only what is set, so that each combination finds
// its index.
func narrowed(filter m, by []equality) m {
	for _, e := range by {
		if e.value != "" {
			filter = append(filter, condition{Key: e.key, Value: e.value})
		}
	}
	return filter
}

func newestFirst() m { return byAge(false) }

func oldestFirst() m { return byAge(true) }

// byAge is the order of ids that begin with a time.
func byAge(oldest bool) m {
	if oldest {
		return m{{Key: "_id", Value: 1}}
	}
	return m{{Key: "_id", Value: -1}}
}

// ranked is an order by a key, ties by id, both in one direction.
func ranked(key string, ascending bool) m {
	if ascending {
		return m{{Key: key, Value: 1}, {Key: "_id", Value: 1}}
	}
	return m{{Key: key, Value: -1}, {Key: "_id", Value: -1}}
}

// behind is the keyset filter of such an order: what comes behind a value and
// an id. It says the range of the key by itself, so that the index gives its
// bounds.
func behind(key string, value any, id string, ascending bool) m {
	than := "$lt"
	if ascending {
		than = "$gt"
	}
	return m{
		{Key: key, Value: m{{Key: than + "e", Value: value}}},
		{Key: "$or", Value: a{
			m{{Key: key, Value: m{{Key: than, Value: value}}}},
			m{{Key: "_id", Value: m{{Key: than, Value: id}}}},
		}},
	}
}

// moment is the date of a cursor, in milliseconds since 1970; 0 is none.
func moment(ms int64) bson.DateTime {
	if ms == 0 {
		return bson.NewDateTimeFromTime(time.Time{})
	}
	return bson.DateTime(ms)
}

// count counts what matches, at most most of it: an index says it without
// looking at a document.
func (d *DB) count(ctx context.Context, c *mongo.Collection, filter m, most int64) (int64, error) {
	if most <= 0 {
		return 0, nil
	}
	n, err := c.CountDocuments(ctx, filter, options.Count().SetLimit(most))
	return n, d.failed(err)
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
