package mongo

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/internal/auth"
	"hookline/review"
	"hookline/store"
)

// Comments lists what people wrote about a version, the oldest first.
func (d *DB) Comments(ctx context.Context, digest string) ([]review.Comment, error) {
	docs, err := list[commentDoc](ctx, d, d.comments, m{{Key: "version", Value: digest}}, m{{Key: "number", Value: 1}}, review.MaxComments, nil)
	slices.SortFunc(docs, func(a, b commentDoc) int { return cmp.Compare(a.ID, b.ID) })
	return all(docs, err, commentDoc.comment)
}

// AddComment stores a comment. errs.CodeNotFound: no such version, or no
// thread that the parent starts; errs.CodeTooLarge: the version has
// review.MaxComments.
//
// Each comment takes the next number of its version, which a unique index
// gives to one of those who try. None is ever removed, so that no version has
// more comments than there are numbers.
func (d *DB) AddComment(ctx context.Context, c review.Comment, g auth.Grant) error {
	return d.audited(ctx, g, where(d.comments, c.ID), func(ctx context.Context, entry string) error {
		if err := d.mayComment(ctx, c); err != nil {
			return err
		}
		doc := newCommentDoc(c)
		doc.Audit = entry
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

// mayComment says why a comment is refused.
func (d *DB) mayComment(ctx context.Context, c review.Comment) error {
	_, err := one[versionDoc](ctx, d, d.versions, byID(c.Version), options.FindOne().SetProjection(m{{Key: "_id", Value: 1}}))
	if none(err) {
		return store.NoVersion(c.Version)
	}
	if err != nil || c.Parent == "" {
		return err
	}
	_, err = one[commentDoc](ctx, d, d.comments, thread(c.Version, c.Parent), options.FindOne().SetProjection(m{{Key: "_id", Value: 1}}))
	if none(err) {
		return store.NoThread(c.Version, c.Parent)
	}
	return err
}

// thread finds the comment that starts one.
func thread(version, id string) m {
	return m{{Key: "_id", Value: id}, {Key: "version", Value: version}, {Key: "parent", Value: ""}}
}

// putComment stores a comment under the next number of its version; added is
// false where its id is taken.
func (d *DB) putComment(ctx context.Context, doc commentDoc) (added bool, err error) {
	for range maxRounds {
		if doc.Number, err = d.nextNumber(ctx, doc.Version); err != nil {
			return false, err
		}
		if doc.Number >= review.MaxComments {
			return false, store.ManyComments(doc.Version, review.MaxComments)
		}
		if added, err := d.insert(ctx, d.comments, doc, "a comment"); err != nil || added {
			return added, err
		}
		if _, err := d.lastComment(ctx, byID(doc.ID)); err == nil || !none(err) {
			return false, err
		}
	}
	return false, busy(doc.Version)
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
