package mongo

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store"
	"hookline/store/archive"
)

var _ archive.Source = (*DB)(nil)

// ArchiveBegin finishes what stopped servers left half done, and refuses a
// store where something is half done all the same: somebody uses it. There is
// no one state to read; archive.Export notices where the store changes.
func (d *DB) ArchiveBegin(ctx context.Context) (func() error, error) {
	mark, err := d.ArchiveMark(ctx)
	if err != nil {
		return nil, err
	}
	if err := mark.Unfinished(); err != nil {
		return nil, openError(d.target, err)
	}
	if err := d.mendEverything(ctx); err != nil {
		return nil, err
	}
	for after := ""; ; {
		leases, err := d.Leases(ctx, after, store.MaxRepair)
		if err != nil {
			return nil, err
		}
		for _, l := range leases {
			if err := d.endStale(ctx, l); err != nil {
				return nil, err
			}
			after = l.ID
		}
		if len(leases) < store.MaxRepair {
			break
		}
	}
	if err := d.nothingToDo(ctx); err != nil {
		return nil, err
	}
	before, err := d.sizes(ctx)
	return func() error { return d.unchanged(ctx, before) }, err
}

// records are the collections of records.
func (d *DB) records() []*mongo.Collection {
	return []*mongo.Collection{
		d.users, d.tokens, d.audit, d.peers, d.hooks, d.versions, d.comments, d.activations, d.jobs, d.problems, d.results, d.foreign,
	}
}

// sizes counts the documents of each collection of records, by what the server
// knows without looking at them.
func (d *DB) sizes(ctx context.Context) (sizes []int64, err error) {
	for _, c := range d.records() {
		n, err := c.EstimatedDocumentCount(ctx)
		if err != nil {
			return nil, d.failed(err)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// unchanged refuses a store whose records came or went: whatever people do
// leaves an audit entry, and whatever peers do a peer, a job or a result.
func (d *DB) unchanged(ctx context.Context, before []int64) error {
	now, err := d.sizes(ctx)
	if err == nil && !slices.Equal(before, now) {
		return errs.New(errs.CodeConflict, "cannot export: the store changed while it was read").
			WithHint("stop the servers that use the store, and export it again")
	}
	return err
}

// mendRounds is how often store.MaxRepair documents of a kind are mended: beside a
// busy server there would be no end.
const mendRounds = 1000

// mendEverything mends until nothing is left that a stopped server began.
func (d *DB) mendEverything(ctx context.Context) error {
	for range mendRounds {
		n, err := d.Mend(ctx, d.options.Now().Add(time.Minute), store.MaxRepair)
		if err != nil || n == 0 {
			return err
		}
	}
	return nil // what is left over nothingToDo finds
}

// endStale ends a lease whose job is decided, or was never stored.
func (d *DB) endStale(ctx context.Context, l collector.Lease) error {
	a, err := d.Activation(ctx, l.Version)
	if err != nil {
		return err
	}
	_, err = d.RecoverLease(ctx, jobs.Job{
		ID: l.ID, Workload: jobs.WorkHook, Status: jobs.Failed, TriggeredBy: "recovery",
		CreatedAt: l.TakenAt, Deadline: l.TakenAt, CompletedAt: d.options.Now(), Outcome: hooks.OutcomeCancelled,
		FailedCode: string(errs.CodeLostLease), FailedText: "the server stopped between lease and job",
		Hook: a.Hook, Version: l.Version, Slot: l.ID,
	}, d.options.Now())
	return err
}

// nothingToDo refuses a store in which somebody has begun something.
func (d *DB) nothingToDo(ctx context.Context) error {
	for _, c := range []*mongo.Collection{d.jobs, d.versions, d.audit} {
		err := c.FindOne(ctx, m{{Key: "todo", Value: m{{Key: "$gt", Value: ""}}}}).Err()
		switch {
		case err == nil:
			return errs.New(errs.CodeConflict, "cannot export: the store is in use: something in %s is not finished", c.Name()).
				WithHint("stop the servers that use the store, and export it again")
		case !none(err):
			return d.failed(err)
		}
	}
	return nil
}

// ArchivePage lists records of a kind.
func (d *DB) ArchivePage(ctx context.Context, k archive.Kind, after string, limit int) ([]archive.Record, error) {
	if k == archive.KindReview {
		return d.reviewPage(ctx, after, limit)
	}
	s, filter, sort, projection := d.shelfOf(k), m{{Key: "_id", Value: m{{Key: "$gt", Value: after}}}}, oldestFirst(), m(nil)
	switch {
	case s.collection == d.foreign: // "0" comes after "/"
		filter = m{{Key: "_id", Value: m{{Key: "$gt", Value: foreignID(k, after)}, {Key: "$lt", Value: string(k) + "0"}}}}
	case k == archive.KindToken: // a removed one is only not deleted yet
		filter = append(filter, stillThere())
	case k == archive.KindComment:
		version, id, _ := strings.Cut(after, "/")
		filter, sort = behind("version", version, id, true), ranked("version", true)
	case k == archive.KindVersion:
		projection = m{{Key: "reviews", Value: 0}}
	case k == archive.KindJob:
		projection = m{{Key: "result", Value: 0}, {Key: "report_sha256", Value: 0}, {Key: "keys", Value: 0}}
	}
	docs, err := list[bson.Raw](ctx, d, s.collection, filter, sort, limit, projection)
	if err != nil {
		return nil, err
	}
	return decoded(docs, s)
}

func decoded(docs []bson.Raw, s shelf) ([]archive.Record, error) {
	all := make([]archive.Record, len(docs))
	for i, raw := range docs {
		var err error
		if all[i], err = s.decode(raw); err != nil {
			return nil, errs.Wrap(errs.CodeInternal, err, "cannot read a document of %s", s.collection.Name())
		}
	}
	return all, nil
}

// versionsAtOnce is how many versions are read for their reviews.
const versionsAtOnce = 16

// reviewPage reads versions until their reviews fill the page. Those of one
// version are put into their order here.
func (d *DB) reviewPage(ctx context.Context, after string, limit int) ([]archive.Record, error) {
	var all []archive.Record
	from, _, _ := strings.Cut(after, "/")
	than := "$gte" // the version of the last page may have more
	for {
		docs, err := list[versionDoc](ctx, d, d.versions, m{{Key: "_id", Value: m{{Key: than, Value: from}}}}, m{{Key: "_id", Value: 1}},
			versionsAtOnce, m{{Key: "reviews", Value: 1}})
		if err != nil {
			return nil, err
		}
		for _, v := range docs {
			some, err := reviewsOf(v, after)
			if err != nil {
				return nil, err
			}
			all, from, than = append(all, some...), v.Digest, "$gt"
		}
		if len(all) >= limit || len(docs) < versionsAtOnce {
			return all[:min(limit, len(all))], nil
		}
	}
}

// reviewsOf are a version's reviews above a key, by key.
func reviewsOf(v versionDoc, after string) (some []archive.Record, err error) {
	for _, doc := range v.Reviews {
		r, err := doc.record(v.Digest)
		if err != nil {
			return nil, err
		}
		if r.Key > after {
			some = append(some, r)
		}
	}
	slices.SortFunc(some, func(a, b archive.Record) int { return strings.Compare(a.Key, b.Key) })
	return some, nil
}

// ArchiveForeign lists the kinds that this version does not know.
func (d *DB) ArchiveForeign(ctx context.Context) ([]archive.Kind, error) {
	var kinds []archive.Kind
	for after := ""; ; {
		doc, err := one[foreignDoc](ctx, d, d.foreign, m{{Key: "_id", Value: m{{Key: "$gte", Value: after}}}},
			options.FindOne().SetSort(m{{Key: "_id", Value: 1}}).SetProjection(m{{Key: "kind", Value: 1}}))
		if none(err) {
			slices.Sort(kinds) // "a-b/" comes before "a/"
			return kinds, nil
		}
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(doc.ID, foreignID(doc.Kind, "")) { // the order is that of the ids
			return nil, errs.New(errs.CodeInternal, "cannot read a document of %s: %q is not of kind %q", d.foreign.Name(), doc.ID, doc.Kind)
		}
		kinds, after = append(kinds, doc.Kind), string(doc.Kind)+"0" // "0" comes after "/"
	}
}
