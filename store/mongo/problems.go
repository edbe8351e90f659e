package mongo

import (
	"context"

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

// Problems lists problems.
func (d *DB) Problems(ctx context.Context, f collector.ProblemFilter) ([]collector.Problem, error) {
	filter, err := problemsFilter(f)
	if err != nil {
		return nil, err
	}
	docs, err := list[problemDoc](ctx, d, d.problems, filter, ranked(problemKey(f.Sort), f.Least), store.Page(f.Limit, store.MaxPage), withoutCounting())
	return all(docs, err, problemDoc.problem)
}

// problemKey is what an order of problems goes by.
func problemKey(by collector.ProblemSort) string {
	switch by {
	case collector.ByFirstSeen:
		return "first_seen"
	case collector.ByReports:
		return "reports"
	}
	return "last_seen"
}

func problemsFilter(f collector.ProblemFilter) (m, error) {
	filter := narrowed(m{}, []equality{{"package", f.Package}})
	if f.After == "" {
		return filter, nil
	}
	value, id, err := collector.ProblemCursor(f.After)
	if err != nil {
		return nil, err
	}
	key := problemKey(f.Sort)
	if key == "reports" {
		return append(filter, behind(key, value, id, f.Least)...), nil
	}
	return append(filter, behind(key, moment(value), id, f.Least)...), nil
}
