package mongo

import (
	"context"

	"hookline/collector"
	"hookline/store"
)

// Result reads a result; errs.CodeNotFound.
func (d *DB) Result(ctx context.Context, id string) (collector.Result, error) {
	doc, err := one[resultDoc](ctx, d, d.results, byID(id))
	if none(err) {
		return collector.Result{}, store.NoResult(id)
	}
	return doc.result(), err
}

// Results lists results, newest first.
func (d *DB) Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error) {
	docs, err := list[resultDoc](ctx, d, d.results, resultsFilter(f), newestFirst(), store.Page(f.Limit, store.MaxPage), nil)
	return all(docs, err, resultDoc.result)
}

func resultsFilter(f collector.ResultFilter) m {
	filter := m{{Key: "_id", Value: m{{Key: "$lt", Value: store.Before(f.After)}}}}
	for _, c := range []struct{ key, value string }{
		{"job_id", f.JobID},
		{"hook", f.Hook},
		{"version", f.Version},
		{"problem_id", f.ProblemID},
	} {
		if c.value != "" {
			filter = append(filter, condition{Key: c.key, Value: c.value})
		}
	}
	return filter
}
