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

// Results lists results.
func (d *DB) Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error) {
	docs, err := list[resultDoc](ctx, d, d.results, resultsFilter(f), byAge(f.Oldest), store.Page(f.Limit, store.MaxPage), nil)
	return all(docs, err, resultDoc.result)
}

func resultsFilter(f collector.ResultFilter) m {
	return narrowed(within(f.From, f.Until, f.After, f.Oldest), []equality{
		{"job_id", f.JobID},
		{"hook", f.Hook},
		{"version", f.Version},
		{"problem_id", f.ProblemID},
		{"peer_id", f.PeerID},
		{"level", string(f.Level)},
		{"package", f.Package},
	})
}
