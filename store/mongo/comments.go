package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/internal/auth"
	"hookline/review"
	"hookline/store"
)

// Comments lists what people wrote about a version, the oldest first.
func (d *DB) Comments(ctx context.Context, digest string) ([]review.Comment, error) {
	docs, err := list[commentDoc](ctx, d, d.comments, m{{Key: "version", Value: digest}}, oldestFirst(), review.MaxComments, nil)
	return all(docs, err, commentDoc.comment)
}

// AddComment stores a comment. errs.CodeNotFound: no such version, or no
// thread that the parent starts; errs.CodeTooLarge: the version has
// review.MaxComments.
//
// Each comment takes a number of its version, which a unique index gives to one
// of those who try. None is ever removed, so that no version has more comments
// than there are numbers, and none is left out: what the version's document
// says was taken, and so was all before it.
func (d *DB) AddComment(ctx context.Context, c review.Comment, g auth.Grant) error {
	return d.audited(ctx, g, where(d.comments, c.ID), func(ctx context.Context, entry string) error {
		doc := newCommentDoc(c)
		doc.Audit = entry
		var err error
		if doc.Number, err = d.mayComment(ctx, c); err != nil {
			return err
		}
		added, err := d.putComment(ctx, doc)
		if err != nil || added {
			return err
		}
		mine, err := d.marked(ctx, d.comments, c.ID, entry) // sent twice
		if err == nil && !mine {
			return store.CommentTaken(c.ID)
		}
		return err
	})
}

// mayComment says why a comment is refused, or which number may be free.
func (d *DB) mayComment(ctx context.Context, c review.Comment) (number int64, err error) {
	v, err := one[versionDoc](ctx, d, d.versions, byID(c.Version), options.FindOne().SetProjection(m{{Key: "comments", Value: 1}}))
	if none(err) {
		return 0, store.NoVersion(c.Version)
	}
	if err != nil || c.Parent == "" {
		return v.Comments, err
	}
	_, err = one[commentDoc](ctx, d, d.comments, thread(c.Version, c.Parent), options.FindOne().SetProjection(m{{Key: "_id", Value: 1}}))
	if none(err) {
		return 0, store.NoThread(c.Version, c.Parent)
	}
	return v.Comments, err
}

// thread finds the comment that starts one.
func thread(version, id string) m {
	return m{{Key: "_id", Value: id}, {Key: "version", Value: version}, {Key: "parent", Value: ""}}
}

// putComment stores a comment under its number, or the next of its version
// that is free; added is false where its id is taken.
func (d *DB) putComment(ctx context.Context, doc commentDoc) (added bool, err error) {
	for range maxRounds {
		if doc.Number >= review.MaxComments {
			return false, store.ManyComments(doc.Version, review.MaxComments)
		}
		added, err := d.insert(ctx, d.comments, doc, "a comment")
		if err != nil {
			return false, err
		}
		if added {
			d.countComments(ctx, doc)
			return true, nil
		}
		if _, err := d.lastComment(ctx, byID(doc.ID)); err == nil || !none(err) {
			return false, err
		}
		if doc.Number, err = d.nextNumber(ctx, doc.Version); err != nil {
			return false, err
		}
	}
	return false, busy(doc.Version)
}

// countComments tells the next one where to begin. It may fail: then that one
// finds a number that is taken, and looks for the last.
func (d *DB) countComments(ctx context.Context, doc commentDoc) {
	_, _ = d.change(ctx, d.versions, byID(doc.Version), m{{Key: "$max", Value: m{{Key: "comments", Value: doc.Number + 1}}}})
}

// nextNumber is the least that no comment of a version has.
func (d *DB) nextNumber(ctx context.Context, version string) (int64, error) {
	last, err := d.lastComment(ctx, m{{Key: "version", Value: version}})
	if none(err) {
		return 0, nil
	}
	return last.Number + 1, err
}

func (d *DB) lastComment(ctx context.Context, filter m) (commentDoc, error) {
	return one[commentDoc](ctx, d, d.comments, filter,
		options.FindOne().SetSort(m{{Key: "number", Value: -1}}).SetProjection(m{{Key: "number", Value: 1}}))
}

// ResolveThread says that a thread is settled, or open again where by is "";
// errs.CodeNotFound: no such thread of this version.
func (d *DB) ResolveThread(ctx context.Context, digest, id, by string, at time.Time, g auth.Grant) error {
	return d.audited(ctx, g, where(d.comments, id), func(ctx context.Context, entry string) error {
		set := m{{Key: "resolved_by", Value: by}, {Key: "audit", Value: entry}}
		update := m{{Key: "$set", Value: append(set, condition{Key: "resolved_at", Value: at})}}
		if by == "" {
			update = m{{Key: "$set", Value: set}, {Key: "$unset", Value: m{{Key: "resolved_at", Value: ""}}}}
		}
		ok, err := d.change(ctx, d.comments, thread(digest, id), update)
		if err == nil && !ok {
			return store.NoThread(digest, id)
		}
		return err
	})
}
