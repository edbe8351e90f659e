package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/review"
	"hookline/store"
)

const versionColumns = `v.digest, v.hook, v.number, v.state, v.manifest, v.script, v.statement, v.submitted_by, v.submitted_at`

const reviewColumns = `id, version, user, person, key_id, verdict, comment, signature, at`

// AddVersion stores a new version with the author's signature file.
// errs.CodeVersionTaken: the hook has that number, or there is this digest.
func (d *DB) AddVersion(ctx context.Context, v review.Version, g auth.Grant) error {
	size := len(v.Manifest) + len(v.Script) + len(v.Statement)
	for _, file := range v.Signatures {
		size += len(file)
	}
	if err := store.CheckSize("version "+v.Digest, size); err != nil {
		return err
	}
	return d.audited(ctx, g, func(t *tx) error {
		n, err := t.exec(`INSERT INTO hook_versions (digest, hook, number, state, manifest, script, statement, submitted_by, submitted_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			v.Digest, v.Hook, v.Number, string(v.State), notNil(v.Manifest), notNil(v.Script), notNil(v.Statement),
			v.SubmittedBy, toMS(v.SubmittedAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return store.VersionTaken(v.Hook, v.Number)
		}
		for _, file := range v.Signatures {
			if err := addSignature(t, v.Digest, file); err != nil {
				return err
			}
		}
		return listVersion(t, v)
	})
}

// listVersion names a version in the list of hooks, where it is the newest.
func listVersion(t *tx, v review.Version) error {
	_, err := t.exec(`INSERT INTO hooks (name, number, digest) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE
		SET number = excluded.number, digest = excluded.digest WHERE excluded.number > number`, v.Hook, v.Number, v.Digest)
	return err
}

// addSignature puts a signature file behind those that the version has.
func addSignature(t *tx, digest string, file []byte) error {
	_, err := t.exec(`INSERT INTO signatures (version, position, file) VALUES (?1,
		(SELECT coalesce(max(position) + 1, 0) FROM signatures WHERE version = ?1), ?2)`, digest, notNil(file))
	return err
}

// AddReview stores a review with its signature file and moves the version
// from one state to the next; errs.CodeConflict where the version is no longer
// in from, or the same key has approved it, errs.CodeTooLarge where it has
// review.MaxReviews, or would be too large for a record with one more.
func (d *DB) AddReview(ctx context.Context, r review.Review, from, to hooks.State, g auth.Grant) error {
	return d.audited(ctx, g, func(t *tx) error {
		n, err := t.exec(`UPDATE hook_versions SET state = ? WHERE digest = ? AND state = ?`, string(to), r.Version, string(from))
		if err != nil {
			return err
		}
		if n == 0 {
			return versionNotIn(ctx, t, r.Version, from)
		}
		if err := roomForReview(ctx, t, r); err != nil {
			return err
		}
		n, err = t.exec(`INSERT INTO reviews (`+reviewColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			r.ID, r.Version, r.User, r.Person, r.KeyID, string(r.Verdict), r.Comment, r.Signature, toMS(r.At))
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ApprovedAlready(r.Person)
		}
		if r.Signature == nil {
			return nil
		}
		return addSignature(t, r.Version, r.Signature)
	})
}

// roomForReview refuses more reviews of a version than it may have, and one
// that makes the version with its reviews larger than any record may be.
func roomForReview(ctx context.Context, t *tx, r review.Review) error {
	n, err := one(ctx, t, scanInt, `SELECT count(*) FROM reviews WHERE version = ?`, r.Version)
	if err != nil {
		return err
	}
	if n >= review.MaxReviews {
		return errs.New(errs.CodeTooLarge, "cannot add review: version %s has %d, at most %d", r.Version, n, review.MaxReviews).
			WithHint("submit a new version")
	}
	size, err := one(ctx, t, scanInt, `SELECT octet_length(manifest) + octet_length(script) + octet_length(statement)
		+ (SELECT coalesce(sum(octet_length(file)), 0) FROM signatures WHERE version = ?1)
		+ (SELECT coalesce(sum(octet_length(comment) + coalesce(octet_length(signature), 0)), 0) FROM reviews WHERE version = ?1)
		FROM hook_versions WHERE digest = ?1`, r.Version)
	if err != nil {
		return err
	}
	const names = 1 << 10 // of a review: who, with which key, when
	size += int64(len(r.Comment)+2*len(r.Signature)) + names*(n+1)
	return store.CheckSize("version "+r.Version+" with one more review", int(size))
}

// versionNotIn says why a version's state did not change.
func versionNotIn(ctx context.Context, t *tx, digest string, from hooks.State) error {
	state, err := one(ctx, t, scanText, `SELECT state FROM hook_versions WHERE digest = ?`, digest)
	if errors.Is(err, sql.ErrNoRows) {
		return store.NoVersion(digest)
	}
	if err != nil {
		return err
	}
	return store.NoLonger(digest, hooks.State(state), from)
}

// Activate makes the activation of an approved version, or makes the one in
// state from active again (or gives the one that is active new bounds), and
// supersedes the hook's other active one.
func (d *DB) Activate(ctx context.Context, a hooks.Activation, from hooks.State, g auth.Grant) error {
	keys, err := encodeTexts(a.Keys)
	if err != nil {
		return err
	}
	return d.audited(ctx, g, func(t *tx) error {
		if err := supersede(ctx, t, a); err != nil {
			return err
		}
		if from == hooks.StateApproved {
			err = addActivation(ctx, t, a, keys)
		} else {
			err = reactivate(ctx, t, a, from)
		}
		if err != nil {
			return err
		}
		return indexKeys(t, a.Digest)
	})
}

// supersede ends the other active activation of the same hook.
func supersede(ctx context.Context, t *tx, a hooks.Activation) error {
	other, err := one(ctx, t, scanText, `SELECT digest FROM activations WHERE hook = ? AND state = 'active' AND digest <> ?`,
		a.Hook, a.Digest)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = changeState(t, other, hooks.StateActive, hooks.StateSuperseded, "superseded by "+a.Digest, a.ChangedAt)
	return err
}

// addActivation is the first activation of a version, which must be approved.
func addActivation(ctx context.Context, t *tx, a hooks.Activation, keys string) error {
	_, err := one(ctx, t, scanInt, `SELECT 1 FROM hook_versions WHERE digest = ? AND state = 'approved'`, a.Digest)
	if errors.Is(err, sql.ErrNoRows) {
		return versionNotIn(ctx, t, a.Digest, hooks.StateApproved)
	}
	if err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO activations (digest, hook, state, reason, keys, quantity, deadline, max_bytes, percent,
		per_minute, created_at, changed_at) VALUES (?, ?, 'active', '', ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
		a.Digest, a.Hook, keys, a.Quantity, toMS(a.Deadline), a.MaxBytes, a.Rollout.Percent, a.Rollout.PerMinute,
		toMS(a.CreatedAt), toMS(a.ChangedAt))
	if err == nil && n == 0 {
		return activationNotIn(ctx, t, a.Digest, hooks.StateApproved)
	}
	return err
}

// reactivate takes up an activation whose ledger goes on. A quantity below
// what it has received and leased out would break the ledger.
func reactivate(ctx context.Context, t *tx, a hooks.Activation, from hooks.State) error {
	old, err := activation(ctx, t, a.Digest)
	if err != nil {
		return err
	}
	if old.State != from {
		return activationNotIn(ctx, t, a.Digest, from)
	}
	if bound := old.Ledger.Received + old.Ledger.Leased; a.Quantity < bound {
		return store.QuantityBelow(bound, a.Quantity)
	}
	_, err = t.exec(`UPDATE activations SET state = 'active', reason = '', quantity = ?, deadline = ?, percent = ?,
		per_minute = ?, changed_at = ? WHERE digest = ? AND state = ?`,
		a.Quantity, toMS(a.Deadline), a.Rollout.Percent, a.Rollout.PerMinute, toMS(a.ChangedAt), a.Digest, string(from))
	return err
}

// Stop disables or pauses an activation; errs.CodeConflict where it is no
// longer in from.
func (d *DB) Stop(ctx context.Context, digest string, from, to hooks.State, reason string, at time.Time, g auth.Grant) error {
	if err := store.CheckStop(to); err != nil {
		return err
	}
	return d.audited(ctx, g, func(t *tx) error {
		ok, err := changeState(t, digest, from, to, reason, at)
		if err == nil && !ok {
			return activationNotIn(ctx, t, digest, from)
		}
		return err
	})
}

// Revoke moves a version that was never activated, or an activation, from one
// state to revoked; errs.CodeConflict where it is no longer in from.
func (d *DB) Revoke(ctx context.Context, digest string, from hooks.State, reason string, at time.Time, g auth.Grant) error {
	return d.audited(ctx, g, func(t *tx) error {
		if !review.Activated(from) {
			return revokeVersion(ctx, t, digest, from)
		}
		ok, err := changeState(t, digest, from, hooks.StateRevoked, reason, at)
		if err == nil && !ok {
			return activationNotIn(ctx, t, digest, from)
		}
		return err
	})
}

func revokeVersion(ctx context.Context, t *tx, digest string, from hooks.State) error {
	n, err := t.exec(`UPDATE hook_versions SET state = 'revoked' WHERE digest = ? AND state = ?
		AND NOT EXISTS (SELECT 1 FROM activations a WHERE a.digest = hook_versions.digest)`, digest, string(from))
	if err != nil || n > 0 {
		return err
	}
	a, err := activation(ctx, t, digest)
	if errs.Is(err, errs.CodeNotFound) {
		return versionNotIn(ctx, t, digest, from)
	}
	if err != nil {
		return err
	}
	return store.NoLonger(digest, a.State, from)
}

// activationNotIn says why an activation's state did not change.
func activationNotIn(ctx context.Context, t *tx, digest string, from hooks.State) error {
	a, err := activation(ctx, t, digest)
	if err != nil {
		return err
	}
	return store.NoLonger(digest, a.State, from)
}

// Life reads a version with its signature files, reviews and activation;
// errs.CodeNotFound.
func (d *DB) Life(ctx context.Context, digest string) (review.Life, error) {
	lives, err := d.lives(ctx, `SELECT `+versionColumns+` FROM hook_versions v WHERE v.digest = ?`, digest)
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
	n, err := one(ctx, d.reader, scanInt, `SELECT number FROM hooks WHERE name = ?`, hook)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// Hooks lists the newest version of each hook by name, those above after.
func (d *DB) Hooks(ctx context.Context, after string, limit int) ([]review.Life, error) {
	return d.lives(ctx, `SELECT `+versionColumns+` FROM hooks h CROSS JOIN hook_versions v ON v.digest = h.digest
		WHERE h.name > ? ORDER BY h.name LIMIT ?`, after, store.Page(limit, store.MaxPage))
}

// VersionsOf lists a hook's versions below a number (0: all), newest first.
func (d *DB) VersionsOf(ctx context.Context, hook string, below int64, limit int) ([]review.Life, error) {
	if below <= 0 {
		below = math.MaxInt64
	}
	return d.lives(ctx, `SELECT `+versionColumns+` FROM hook_versions v WHERE v.hook = ? AND v.number < ?
		ORDER BY v.number DESC LIMIT ?`, hook, below, store.Page(limit, store.MaxPage))
}

// lives reads versions and all that belongs to them from one snapshot.
func (d *DB) lives(ctx context.Context, query string, args ...any) ([]review.Life, error) {
	var all []review.Life
	err := d.reader.snapshot(ctx, func(q querier) error {
		versions, err := list(ctx, q, scanVersion, query, args...)
		if err != nil {
			return err
		}
		for _, v := range versions {
			life, err := lifeOf(ctx, q, v)
			if err != nil {
				return err
			}
			all = append(all, life)
		}
		return nil
	})
	return all, err
}

func lifeOf(ctx context.Context, q querier, v review.Version) (review.Life, error) {
	l := review.Life{Version: v}
	var err error
	if l.Version.Signatures, err = list(ctx, q, scanBytes, `SELECT file FROM signatures WHERE version = ? ORDER BY position`, v.Digest); err != nil {
		return l, err
	}
	if l.Reviews, err = list(ctx, q, scanReview, `SELECT `+reviewColumns+`
		FROM reviews WHERE version = ? ORDER BY id`, v.Digest); err != nil {
		return l, err
	}
	a, err := activation(ctx, q, v.Digest)
	switch {
	case err == nil:
		l.Activation = &a
	case !errs.Is(err, errs.CodeNotFound):
		return l, err
	}
	return l, nil
}

func scanVersion(s scanner) (review.Version, error) {
	var v review.Version
	var submitted int64
	err := s.Scan(&v.Digest, &v.Hook, &v.Number, &v.State, &v.Manifest, &v.Script, &v.Statement, &v.SubmittedBy, &submitted)
	v.SubmittedAt = fromMS(submitted)
	return v, err
}

func scanReview(s scanner) (review.Review, error) {
	var r review.Review
	var at int64
	err := s.Scan(&r.ID, &r.Version, &r.User, &r.Person, &r.KeyID, &r.Verdict, &r.Comment, &r.Signature, &at)
	r.At = fromMS(at)
	return r, err
}
