package mongo

import (
	"context"
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/review"
	"hookline/store"
)

// AddVersion stores a new version with the author's signature file.
// errs.CodeVersionTaken: the hook has that number, or there is this digest.
func (d *DB) AddVersion(ctx context.Context, v review.Version, g auth.Grant) error {
	taken := store.VersionTaken(v.Hook, v.Number)
	return d.audited(ctx, g, where(d.versions, v.Digest), func(ctx context.Context, entry string) error {
		doc := newVersionDoc(v)
		doc.Audit, doc.Todo = entry, todoList
		if err := d.add(ctx, d.versions, doc, v.Digest, entry, taken); err != nil {
			return err
		}
		_ = d.listVersion(ctx, doc) // it is there; where this fails Mend lists it
		return nil
	})
}

// listVersion has the row of its hook name a version, where none with a
// higher number is there.
func (d *DB) listVersion(ctx context.Context, v versionDoc) error {
	older := m{{Key: "_id", Value: v.Hook}, {Key: "number", Value: m{{Key: "$lt", Value: v.Number}}}}
	row := m{{Key: "$set", Value: m{{Key: "number", Value: v.Number}, {Key: "digest", Value: v.Digest}}}}
	_, err := d.hooks.UpdateOne(ctx, older, row, options.UpdateOne().SetUpsert(true))
	if duplicate(err) { // the hook has a row: a newer one, or an older one since a moment
		_, err = d.hooks.UpdateOne(ctx, older, row)
	}
	if err != nil {
		return d.failed(err)
	}
	_, err = d.change(ctx, d.versions, byID(v.Digest), m{{Key: "$unset", Value: m{{Key: "todo", Value: ""}}}})
	return err
}

// AddReview stores a review with its signature file and moves the version
// from one state to the next, in one update. errs.CodeConflict where the
// version is no longer in from, or the same key has approved it;
// errs.CodeTooLarge where it has review.MaxReviews, or no document holds it
// with one more.
//
// It decides on the version as it read it. Only reviews change a version, and
// a revocation its state; no review is ever removed, so that their number and
// the state say whether it is still that one.
func (d *DB) AddReview(ctx context.Context, r review.Review, from, to hooks.State, g auth.Grant) error {
	return d.audited(ctx, g, where(d.versions, r.Version), func(ctx context.Context, entry string) error {
		for range maxRounds {
			v, err := one[versionDoc](ctx, d, d.versions, byID(r.Version))
			if none(err) {
				return store.NoVersion(r.Version)
			}
			if err != nil || v.Audit == entry { // sent twice
				return err
			}
			if err := mayReview(v, r, from, to); err != nil {
				return err
			}
			same := m{{Key: "_id", Value: r.Version}, {Key: "state", Value: from}, {Key: "reviews", Value: m{{Key: "$size", Value: len(v.Reviews)}}}}
			ok, err := d.change(ctx, d.versions, same, reviewed(r, to, entry))
			if err != nil || ok {
				return err
			}
		}
		return errs.New(errs.CodeConflict, "others change version %s all the time", r.Version)
	})
}

// mayReview says why a review is refused.
func mayReview(v versionDoc, r review.Review, from, to hooks.State) error {
	if v.State != from {
		return versionNotIn(v, from)
	}
	if len(v.Reviews) >= review.MaxReviews {
		return errs.New(errs.CodeTooLarge, "cannot add review: version %s has %d, at most %d", v.Digest, len(v.Reviews), review.MaxReviews).
			WithHint("submit a new version")
	}
	approved := r.Verdict == review.VerdictApprove && slices.Contains(v.Approvers, r.KeyID)
	if approved || slices.ContainsFunc(v.Reviews, func(have reviewDoc) bool { return have.ID == r.ID }) {
		return store.ApprovedAlready(r.Person)
	}
	v.State = to
	v.Reviews = append(v.Reviews, newReviewDoc(r))
	if r.Signature != nil {
		v.Signatures = append(v.Signatures, r.Signature)
	}
	if r.Verdict == review.VerdictApprove {
		v.Approvers = append(v.Approvers, r.KeyID)
	}
	return fits(v, "version "+v.Digest+" with one more review")
}

// reviewed is the update of a review.
func reviewed(r review.Review, to hooks.State, entry string) m {
	push := m{{Key: "reviews", Value: newReviewDoc(r)}}
	if r.Signature != nil {
		push = append(push, m{{Key: "signatures", Value: r.Signature}}...)
	}
	if r.Verdict == review.VerdictApprove {
		push = append(push, m{{Key: "approvers", Value: r.KeyID}}...)
	}
	return m{
		{Key: "$set", Value: m{{Key: "state", Value: to}, {Key: "audit", Value: entry}}},
		{Key: "$push", Value: push},
	}
}

// versionNotIn says that a version's state is another one.
func versionNotIn(v versionDoc, from hooks.State) error {
	return store.NoLonger(v.Digest, v.State, from)
}

// Life reads a version with its signature files, reviews and activation;
// errs.CodeNotFound.
func (d *DB) Life(ctx context.Context, digest string) (review.Life, error) {
	lives, err := d.lives(ctx, []string{digest})
	if err == nil && len(lives) == 0 {
		err = store.NoVersion(digest)
	}
	if err != nil {
		return review.Life{}, err
	}
	return lives[0], nil
}

// LatestNumber is the highest version number of a hook, 0 without any.
func (d *DB) LatestNumber(ctx context.Context, hook string) (int64, error) {
	doc, err := one[versionDoc](ctx, d, d.versions, m{{Key: "hook", Value: hook}},
		options.FindOne().SetSort(m{{Key: "number", Value: -1}}).SetProjection(m{{Key: "number", Value: 1}}))
	if none(err) {
		return 0, nil
	}
	return doc.Number, err
}

// Hooks lists the newest version of each hook by name, those above after.
func (d *DB) Hooks(ctx context.Context, after string, limit int) ([]review.Life, error) {
	rows, err := list[hookDoc](ctx, d, d.hooks, m{{Key: "_id", Value: m{{Key: "$gt", Value: after}}}},
		m{{Key: "_id", Value: 1}}, store.Page(limit, store.MaxPage), nil)
	digests, err := all(rows, err, func(row hookDoc) string { return row.Digest })
	if err != nil {
		return nil, err
	}
	return d.lives(ctx, digests)
}

// VersionsOf lists a hook's versions below a number (0: all), newest first.
func (d *DB) VersionsOf(ctx context.Context, hook string, below int64, limit int) ([]review.Life, error) {
	if below <= 0 {
		below = math.MaxInt64
	}
	docs, err := list[versionDoc](ctx, d, d.versions,
		m{{Key: "hook", Value: hook}, {Key: "number", Value: m{{Key: "$lt", Value: below}}}},
		m{{Key: "number", Value: -1}}, store.Page(limit, store.MaxPage), m{{Key: "_id", Value: 1}})
	digests, err := all(docs, err, func(v versionDoc) string { return v.Digest })
	if err != nil {
		return nil, err
	}
	return d.lives(ctx, digests)
}

// Waiting lists the submitted versions, the oldest first. One that was decided
// while the page was read is on it as it is then.
func (d *DB) Waiting(ctx context.Context, after string, limit int) ([]review.Life, error) {
	filter := m{{Key: "state", Value: hooks.StateSubmitted}}
	if after != "" {
		submitted, digest, err := store.WaitingCursor(after)
		if err != nil {
			return nil, err
		}
		filter = append(filter, behind("submitted_at", moment(submitted), digest, true)...)
	}
	docs, err := list[versionDoc](ctx, d, d.versions, filter, ranked("submitted_at", true), store.Page(limit, store.MaxPage), m{{Key: "_id", Value: 1}})
	digests, err := all(docs, err, func(v versionDoc) string { return v.Digest })
	if err != nil {
		return nil, err
	}
	return d.lives(ctx, digests)
}

// lives reads versions, in the order of their digests, and what belongs to
// them. Activations come first: a version that has one is then read with all
// the reviews that approved it.
func (d *DB) lives(ctx context.Context, digests []string) ([]review.Life, error) {
	if len(digests) == 0 {
		return nil, nil
	}
	these, byDigest := m{{Key: "_id", Value: m{{Key: "$in", Value: digests}}}}, m{{Key: "_id", Value: 1}}
	activations, err := list[activationDoc](ctx, d, d.activations, these, byDigest, len(digests), withoutLeases())
	if err != nil {
		return nil, err
	}
	versions, err := list[versionDoc](ctx, d, d.versions, these, byDigest, len(digests), nil)
	if err != nil {
		return nil, err
	}
	of := map[string]activationDoc{}
	for _, a := range activations {
		of[a.Digest] = a
	}
	found := map[string]review.Life{}
	for _, v := range versions {
		found[v.Digest] = lifeOf(v, of)
	}
	var lives []review.Life
	for _, digest := range digests {
		if l, ok := found[digest]; ok {
			lives = append(lives, l)
		}
	}
	return lives, nil
}

func lifeOf(v versionDoc, activations map[string]activationDoc) review.Life {
	l := review.Life{Version: v.version()}
	if len(v.Signatures) == 0 {
		l.Version.Signatures = nil
	}
	for _, r := range v.Reviews {
		l.Reviews = append(l.Reviews, r.review(v.Digest))
	}
	slices.SortFunc(l.Reviews, func(a, b review.Review) int { return strings.Compare(a.ID, b.ID) })
	if doc, ok := activations[v.Digest]; ok {
		a := doc.activation()
		l.Activation = &a
	}
	return l
}
