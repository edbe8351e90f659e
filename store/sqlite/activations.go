package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store"
)

const activationColumns = `digest, hook, state, reason, keys, quantity, deadline, max_bytes, percent, per_minute,
	issued, leased, received, empty, failed, refused, deferred, cancelled, timed_out, bytes, reserved,
	created_at, changed_at`

// ActiveByKeys finds the active activations with one of the match keys.
func (d *DB) ActiveByKeys(ctx context.Context, keys []string) ([]hooks.Activation, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	if err := store.CheckKeys(keys); err != nil {
		return nil, err
	}
	args := make([]any, len(keys))
	for i, key := range keys {
		args[i] = key
	}
	return list(ctx, d.reader, scanActivation, `SELECT `+activationColumns+` FROM activations WHERE digest IN
		(SELECT digest FROM activation_keys WHERE key IN (?`+strings.Repeat(", ?", len(keys)-1)+`)) ORDER BY digest`, args...)
}

// takeLease adds the lease and counts it, where the activation is active,
// before its deadline, and has one to give.
func takeLease(ctx context.Context, t *tx, version, lease string, now time.Time) error {
	n, err := t.exec(`UPDATE activations SET issued = issued + 1, leased = leased + 1
		WHERE digest = ? AND state = 'active' AND deadline > ? AND received + leased < quantity AND leased < ?`,
		version, toMS(now), hooks.MaxLeasesOut)
	if err != nil {
		return err
	}
	if n == 0 {
		return whyNoLease(ctx, t, version, now)
	}
	n, err = t.exec(`INSERT INTO leases (id, version, reserved, taken_at) VALUES (?, ?, 0, ?) ON CONFLICT DO NOTHING`,
		lease, version, toMS(now))
	if err == nil && n == 0 {
		return store.LeaseTaken(lease)
	}
	return err
}

// whyNoLease names the condition that a refused lease met first.
func whyNoLease(ctx context.Context, t *tx, version string, now time.Time) error {
	a, err := activation(ctx, t, version)
	if errs.Is(err, errs.CodeNotFound) {
		return store.NeverActivated(version)
	}
	if err != nil {
		return err
	}
	if err := collector.WhyNoLease(a, now); err != nil {
		return err
	}
	return errs.New(errs.CodeInternal, "cannot take a lease of version %s: nobody knows why", version)
}

// Reserve adds n bytes to a lease where what is settled and reserved leaves
// room for them. A negative n gives back what an upload that was cut had
// reserved, at most all of it.
func (d *DB) Reserve(ctx context.Context, version, lease string, n int64) error {
	if n > hooks.MaxInteger || n < -hooks.MaxInteger {
		return store.NoReservation(n)
	}
	return d.write(ctx, func(t *tx) error {
		have, err := one(ctx, t, scanInt, `SELECT reserved FROM leases WHERE id = ? AND version = ?`, lease, version)
		if errors.Is(err, sql.ErrNoRows) {
			return store.NoLease(lease)
		}
		if err != nil {
			return err
		}
		return reserve(ctx, t, version, lease, have, max(n, -have))
	})
}

// reserve counts n more bytes for a lease that has some already.
func reserve(ctx context.Context, t *tx, version, lease string, have, n int64) error {
	changed, err := t.exec(`UPDATE activations SET reserved = reserved + ?1
		WHERE digest = ?2 AND bytes + reserved + ?1 <= max_bytes`, n, version)
	if err != nil {
		return err
	}
	if changed == 1 {
		_, err := t.exec(`UPDATE leases SET reserved = ? WHERE id = ?`, have+n, lease)
		return err
	}
	return whyNoBytes(ctx, t, version, have+n)
}

// whyNoBytes says whether n bytes could ever fit.
func whyNoBytes(ctx context.Context, t *tx, version string, n int64) error {
	a, err := activation(ctx, t, version)
	if err != nil {
		return err
	}
	return collector.WhyNoBytes(a, n)
}

// settleLease removes the lease of a decided job, counts its outcome, and ends
// the activation where that was the last that it needed. ok is false where the
// lease is gone.
func settleLease(ctx context.Context, t *tx, j jobs.Job, now time.Time) (a hooks.Activation, ok bool, err error) {
	update, known := settleStatements[j.Outcome]
	if !known { // as in hooks.Ledger.Settle: the sum holds whatever is said
		update = settleStatements[hooks.OutcomeFailed]
	}
	a, err = one(ctx, t, scanActivation, update, j.Version, j.ID, j.Bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return whyNotSettled(ctx, t, j)
	}
	if err == nil {
		_, err = t.exec(`DELETE FROM leases WHERE id = ?`, j.ID)
	}
	if err == nil {
		err = conclude(t, &a, now)
	}
	return a, err == nil, err
}

// whyNotSettled is no error where the lease is gone. A result that nobody
// reserved the bytes for is refused where it does not fit.
func whyNotSettled(ctx context.Context, t *tx, j jobs.Job) (hooks.Activation, bool, error) {
	_, err := one(ctx, t, scanInt, `SELECT 1 FROM leases WHERE id = ? AND version = ?`, j.ID, j.Version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		a, err := activation(ctx, t, j.Version)
		return a, false, err
	case err != nil:
		return hooks.Activation{}, false, err
	}
	return hooks.Activation{}, false, whyNoBytes(ctx, t, j.Version, j.Bytes)
}

// conclude moves an activation that has reached a bound out of active.
func conclude(t *tx, a *hooks.Activation, now time.Time) error {
	to, reason := collector.Conclude(*a, now)
	if to == "" {
		return nil
	}
	if _, err := changeState(t, a.Digest, a.State, to, string(reason), now); err != nil {
		return err
	}
	a.State, a.Reason, a.ChangedAt = to, string(reason), fromMS(toMS(now))
	return nil
}

// settleStatements has one update for each outcome's column of the ledger.
var settleStatements = map[hooks.Outcome]string{
	hooks.OutcomeReceived:  settleStatement("received"),
	hooks.OutcomeEmpty:     settleStatement("empty"),
	hooks.OutcomeFailed:    settleStatement("failed"),
	hooks.OutcomeRefused:   settleStatement("refused"),
	hooks.OutcomeDeferred:  settleStatement("deferred"),
	hooks.OutcomeCancelled: settleStatement("cancelled"),
	hooks.OutcomeTimedOut:  settleStatement("timed_out"),
}

// settleStatement changes nothing where there is no lease: what is compared
// with max_bytes is NULL then.
func settleStatement(column string) string {
	const reserved = `(SELECT reserved FROM leases WHERE id = ?2 AND version = ?1)`
	return `UPDATE activations SET leased = leased - 1, ` + column + ` = ` + column + ` + 1,
		reserved = reserved - ` + reserved + `, bytes = bytes + ?3
		WHERE digest = ?1 AND bytes + reserved - ` + reserved + ` + ?3 <= max_bytes RETURNING ` + activationColumns
}

// ChangeState moves an activation from one state to another; ok is false
// where it was not in from.
func (d *DB) ChangeState(ctx context.Context, version string, from, to hooks.State, reason string, now time.Time) (bool, error) {
	var ok bool
	err := d.write(ctx, func(t *tx) (err error) {
		ok, err = changeState(t, version, from, to, reason, now)
		return err
	})
	return ok && err == nil, err
}

// changeState is the one place where an activation stops being active, and
// with it being matched.
func changeState(t *tx, version string, from, to hooks.State, reason string, now time.Time) (bool, error) {
	n, err := t.exec(`UPDATE activations SET state = ?, reason = ?, changed_at = ? WHERE digest = ? AND state = ?`,
		string(to), reason, toMS(now), version, string(from))
	if err != nil || n == 0 {
		return false, err
	}
	return true, indexKeys(t, version)
}

// indexKeys makes the match keys of a version findable while it is active,
// and only then.
func indexKeys(t *tx, version string) error {
	if _, err := t.exec(`DELETE FROM activation_keys WHERE digest = ?`, version); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO activation_keys (key, digest)
		SELECT DISTINCT k.value, a.digest FROM activations a, json_each(a.keys) k WHERE a.digest = ?
		AND a.state = 'active' AND k.type = 'text'`, version)
	return err
}

// Activation reads an activation; errs.CodeNotFound.
func (d *DB) Activation(ctx context.Context, version string) (hooks.Activation, error) {
	return activation(ctx, d.reader, version)
}

func activation(ctx context.Context, q querier, version string) (hooks.Activation, error) {
	a, err := one(ctx, q, scanActivation, `SELECT `+activationColumns+` FROM activations WHERE digest = ?`, version)
	if errors.Is(err, sql.ErrNoRows) {
		return a, store.NoActivation(version)
	}
	return a, err
}

func scanActivation(s scanner) (hooks.Activation, error) {
	var a hooks.Activation
	var keys string
	var deadline, created, changed int64
	l := &a.Ledger
	err := s.Scan(&a.Digest, &a.Hook, &a.State, &a.Reason, &keys, &a.Quantity, &deadline, &a.MaxBytes,
		&a.Rollout.Percent, &a.Rollout.PerMinute, &l.Issued, &l.Leased, &l.Received, &l.Empty, &l.Failed, &l.Refused,
		&l.Deferred, &l.Cancelled, &l.TimedOut, &l.Bytes, &l.Reserved, &created, &changed)
	if err != nil {
		return a, err
	}
	a.Deadline, a.CreatedAt, a.ChangedAt = fromMS(deadline), fromMS(created), fromMS(changed)
	return a, json.Unmarshal([]byte(keys), &a.Keys)
}
