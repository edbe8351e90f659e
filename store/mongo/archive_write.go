package mongo

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/store/archive"
)

var _ archive.Target = (*DB)(nil)

// importDoc says in meta how far an import has come.
type importDoc struct {
	ID      string `bson:"_id"`
	Archive string `bson:"archive"`
	Records int64  `bson:"records"`
}

// ArchiveEmpty reports whether no collection of records has a document.
func (d *DB) ArchiveEmpty(ctx context.Context) (bool, error) {
	for _, c := range d.records() {
		if err := c.FindOne(ctx, m{}).Err(); !none(err) {
			return false, d.failed(err)
		}
	}
	return true, nil
}

// ArchiveMark reads how far an import has come.
func (d *DB) ArchiveMark(ctx context.Context) (archive.Mark, error) {
	doc, err := one[importDoc](ctx, d, d.meta, byID(metaImport))
	if none(err) {
		return archive.Mark{}, nil
	}
	return archive.Mark{Archive: doc.Archive, Records: doc.Records}, err
}

// ArchiveDone removes the mark.
func (d *DB) ArchiveDone(ctx context.Context) error {
	_, err := d.meta.DeleteOne(ctx, byID(metaImport))
	return d.failed(err)
}

// ArchivePut stores records, and then the mark.
func (d *DB) ArchivePut(ctx context.Context, all []archive.Record, mark archive.Mark) error {
	var together []archive.Record
	for _, r := range all {
		var err error
		switch v := r.Value.(type) {
		case review.Review:
			err = d.putReview(ctx, v, r)
		case review.Comment:
			err = d.importComment(ctx, r)
		case jobs.Job:
			if v.Workload == jobs.WorkHook && v.Status == jobs.Pending {
				err = d.putPending(ctx, v, r)
				break
			}
			together = append(together, r)
		default:
			together = append(together, r)
		}
		if err != nil {
			return err
		}
	}
	if err := d.putAll(ctx, together); err != nil {
		return err
	}
	_, err := d.meta.UpdateOne(ctx, byID(metaImport),
		m{{Key: "$set", Value: m{{Key: "archive", Value: mark.Archive}, {Key: "records", Value: mark.Records}}}}, options.UpdateOne().SetUpsert(true))
	return d.failed(err)
}

// putAll inserts records that stand alone. Those that meet something are held
// against it.
func (d *DB) putAll(ctx context.Context, all []archive.Record) error {
	if len(all) == 0 {
		return nil
	}
	docs := make([]any, len(all))
	for i, r := range all {
		var err error
		if docs[i], err = documentOf(r); err == nil {
			err = fits(docs[i], string(r.Kind)+" "+r.Key)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.shelfOf(all[0].Kind).collection.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	if err != nil && !duplicatesOnly(err) {
		return d.failed(err)
	}
	for _, i := range refusedOf(err) {
		if err := d.sameThere(ctx, all[i]); err != nil {
			return err
		}
	}
	for _, doc := range docs {
		if v, ok := doc.(versionDoc); ok {
			if err := d.listVersion(ctx, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// refusedOf are the positions of the documents that an insert did not store.
func refusedOf(err error) (refused []int) {
	var bulk mongo.BulkWriteException
	if errors.As(err, &bulk) {
		for _, e := range bulk.WriteErrors {
			refused = append(refused, e.Index)
		}
	}
	return refused
}

// sameThere refuses a record where the store has not the same one.
func (d *DB) sameThere(ctx context.Context, r archive.Record) error {
	have, ok, err := d.archived(ctx, r)
	if err != nil {
		return err
	}
	if !ok {
		return archive.Contradicts(r, "the store has something in its place")
	}
	return archive.Same(r, have)
}

// archived reads the record that the store has under a record's key.
func (d *DB) archived(ctx context.Context, r archive.Record) (have archive.Record, ok bool, err error) {
	if v, isReview := r.Value.(review.Review); isReview {
		doc, err := one[versionDoc](ctx, d, d.versions, byID(v.Version), options.FindOne().SetProjection(m{{Key: "reviews", Value: 1}}))
		if err != nil && !none(err) {
			return have, false, err
		}
		return doc.reviewRecord(v.ID)
	}
	s, id := d.shelfOf(r.Kind), r.Key
	switch s.collection {
	case d.foreign:
		id = foreignID(r.Kind, r.Key)
	case d.comments:
		_, id, _ = strings.Cut(r.Key, "/")
	}
	raw, err := one[bson.Raw](ctx, d, s.collection, byID(id))
	if none(err) {
		return have, false, nil
	}
	if err != nil {
		return have, false, err
	}
	have, err = s.decode(raw)
	return have, err == nil, err
}

func (d versionDoc) reviewRecord(id string) (r archive.Record, ok bool, err error) {
	i := slices.IndexFunc(d.Reviews, func(have reviewDoc) bool { return have.ID == id })
	if i < 0 {
		return r, false, nil
	}
	r, err = d.Reviews[i].record(d.Digest)
	return r, err == nil, err
}

// putReview adds a review to its version, which has its signature file.
func (d *DB) putReview(ctx context.Context, v review.Review, r archive.Record) error {
	have, ok, err := d.archived(ctx, r)
	if err != nil {
		return err
	}
	if ok {
		return archive.Same(r, have)
	}
	doc := newReviewDoc(v)
	if doc.Extra, err = keep(r.Extra); err != nil {
		return err
	}
	push := m{{Key: "reviews", Value: doc}}
	if v.Verdict == review.VerdictApprove {
		push = append(push, condition{Key: "approvers", Value: v.KeyID})
	}
	ok, err = d.change(ctx, d.versions, byID(v.Version), m{{Key: "$push", Value: push}})
	if err == nil && !ok {
		return errs.New(errs.CodeConflict, "cannot import review %q: its version is not there", r.Key)
	}
	return err
}

// importComment stores a comment under a number of its version that is free.
func (d *DB) importComment(ctx context.Context, r archive.Record) error {
	made, err := documentOf(r)
	doc, ok := made.(commentDoc)
	if err != nil || !ok {
		return err
	}
	if doc.Number, err = d.nextNumber(ctx, doc.Version); err != nil {
		return err
	}
	added, err := d.putComment(ctx, doc)
	if err != nil || added {
		return err
	}
	return d.sameThere(ctx, r)
}

// putPending stores a pending hook job in a place of its peer that is free.
func (d *DB) putPending(ctx context.Context, j jobs.Job, r archive.Record) error {
	extra, err := keep(r.Extra)
	if err != nil {
		return err
	}
	var offers []any
	for n := range jobs.MaxHooksPerPeer {
		doc := newJobDoc(j, n)
		doc.Extra = extra
		offers = append(offers, doc)
	}
	in, err := d.jobs.InsertMany(ctx, offers, options.InsertMany().SetOrdered(false))
	if in != nil && len(in.InsertedIDs) > 0 && duplicatesOnly(err) {
		return nil
	}
	if err != nil && !duplicatesOnly(err) {
		return d.failed(err)
	}
	return d.sameThere(ctx, r)
}
