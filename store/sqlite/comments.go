package sqlite

import (
	"context"
	"time"

	"hookline/internal/auth"
	"hookline/review"
	"hookline/store"
)

const commentColumns = `id, version, part, line, parent, user, text, at, resolved_by, resolved_at`

// Comments lists the comments of a version, the oldest first.
func (d *DB) Comments(ctx context.Context, digest string) ([]review.Comment, error) {
	return list(ctx, d.reader, scanComment, `SELECT `+commentColumns+` FROM comments WHERE version = ? ORDER BY id LIMIT ?`,
		digest, review.MaxComments)
}

// AddComment stores a comment. errs.CodeNotFound: no such version, or no such
// thread; errs.CodeTooLarge: there are as many as there may be.
func (d *DB) AddComment(ctx context.Context, c review.Comment, g auth.Grant) error {
	return d.audited(ctx, g, func(t *tx) error {
		if err := roomForComment(ctx, t, c); err != nil {
			return err
		}
		n, err := t.exec(`INSERT INTO comments (`+commentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			commentValues(c)...)
		if err == nil && n == 0 {
			return store.CommentTaken(c.ID)
		}
		return err
	})
}

func commentValues(c review.Comment) []any {
	return []any{
		c.ID, c.Version, string(c.Part), c.Line, c.Parent, c.User, c.Text, toMS(c.At), c.ResolvedBy, toMS(c.ResolvedAt),
	}
}

// roomForComment looks in the writer, where nothing changes before the insert.
func roomForComment(ctx context.Context, t *tx, c review.Comment) error {
	type room struct{ version, thread, comments int64 }
	r, err := one(ctx, t, func(s scanner) (r room, err error) {
		err = s.Scan(&r.version, &r.thread, &r.comments)
		return r, err
	}, `SELECT EXISTS (SELECT 1 FROM hook_versions WHERE digest = ?1),
		?2 = '' OR EXISTS (SELECT 1 FROM comments WHERE id = ?2 AND version = ?1 AND parent = ''),
		(SELECT count(*) FROM comments WHERE version = ?1)`, c.Version, c.Parent)
	switch {
	case err != nil:
		return err
	case r.version == 0:
		return store.NoVersion(c.Version)
	case r.thread == 0:
		return store.NoThread(c.Version, c.Parent)
	case r.comments >= review.MaxComments:
		return store.ManyComments(c.Version, r.comments)
	}
	return nil
}

// ResolveThread says who has settled a thread, "" for nobody;
// errs.CodeNotFound.
func (d *DB) ResolveThread(ctx context.Context, digest, id, by string, at time.Time, g auth.Grant) error {
	if by == "" {
		at = time.Time{}
	}
	return d.audited(ctx, g, func(t *tx) error {
		n, err := t.exec(`UPDATE comments SET resolved_by = ?, resolved_at = ? WHERE id = ? AND version = ? AND parent = ''`,
			by, toMS(at), id, digest)
		if err == nil && n == 0 {
			return store.NoThread(digest, id)
		}
		return err
	})
}

func scanComment(s scanner) (review.Comment, error) {
	var c review.Comment
	var at, resolved int64
	err := s.Scan(&c.ID, &c.Version, &c.Part, &c.Line, &c.Parent, &c.User, &c.Text, &at, &c.ResolvedBy, &resolved)
	c.At, c.ResolvedAt = fromMS(at), fromMS(resolved)
	return c, err
}

// Waiting lists the versions that are submitted, the oldest first.
func (d *DB) Waiting(ctx context.Context, after string, limit int) ([]review.Life, error) {
	submitted, digest := edge(true)
	if after != "" {
		var err error
		if submitted, digest, err = store.WaitingCursor(after); err != nil {
			return nil, err
		}
	}
	return d.lives(ctx, `SELECT `+versionColumns+` FROM hook_versions v WHERE v.state = 'submitted'
		AND (v.submitted_at, v.digest) > (?, ?) ORDER BY v.submitted_at, v.digest LIMIT ?`, submitted, digest, store.Page(limit, store.MaxPage))
}
