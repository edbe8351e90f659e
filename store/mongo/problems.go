package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/collector"
	"hookline/store"
)

// withoutCounting reads a problem without what is there for Mend.
func withoutCounting() m {
	return m{{Key: "counting", Value: 0}, {Key: "swept", Value: 0}, {Key: "mender", Value: 0}}
}

// Problem reads a problem; errs.CodeNotFound.
func (d *DB) Problem(ctx context.Context, id string) (collector.Problem, error) {
	doc, err := one[problemDoc](ctx, d, d.problems, byID(id), options.FindOne().SetProjection(withoutCounting()))
	if none(err) {
		return collector.Problem{}, store.NoProblem(id)
	}
	return doc.problem(), err
}

// Problems lists problems, the one that was seen last first; after is
// "<last_seen in ms>/<id>" of the last one of the page before.
func (d *DB) Problems(ctx context.Context, after string, limit int) ([]collector.Problem, error) {
	filter, err := problemsFilter(after)
	if err != nil {
		return nil, err
	}
	sort := m{{Key: "last_seen", Value: -1}, {Key: "_id", Value: -1}}
	docs, err := list[problemDoc](ctx, d, d.problems, filter, sort, store.Page(limit, store.MaxPage), withoutCounting())
	return all(docs, err, problemDoc.problem)
}

// problemsFilter says the range of last_seen by itself, so that the index
// gives its bounds.
func problemsFilter(after string) (m, error) {
	if after == "" {
		return m{}, nil
	}
	ms, id, err := collector.ProblemCursor(after)
	if err != nil {
		return nil, err
	}
	seen := bson.DateTime(ms)
	return m{
		{Key: "last_seen", Value: m{{Key: "$lte", Value: seen}}},
		{Key: "$or", Value: a{
			m{{Key: "last_seen", Value: m{{Key: "$lt", Value: seen}}}},
			m{{Key: "_id", Value: m{{Key: "$lt", Value: id}}}},
		}},
	}, nil
}
