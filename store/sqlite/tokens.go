package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/store"
)

const tokenColumns = `id, kind, hash, user, name, created_at, expires_at, session_until` //nolint:gosec // names

// AddToken stores a token's hash; errs.CodeConflict where id or hash exist.
func (d *DB) AddToken(ctx context.Context, k auth.Token, g auth.Grant) error {
	return d.audited(ctx, g, func(t *tx) error { return insertToken(t, k) })
}

func insertToken(t *tx, k auth.Token) error {
	n, err := t.exec(`INSERT INTO tokens (`+tokenColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		k.ID, string(k.Kind), k.Hash[:], k.User, k.Name, toMS(k.CreatedAt), toMS(k.ExpiresAt), toMS(k.SessionUntil))
	if err == nil && n == 0 {
		return store.TokenTaken(k.ID)
	}
	return err
}

// TokenByHash finds a token by the SHA-256 of its secret; errs.CodeNotFound.
func (d *DB) TokenByHash(ctx context.Context, hash [32]byte) (auth.Token, error) {
	k, err := one(ctx, d.reader, scanToken, `SELECT `+tokenColumns+`
		FROM tokens WHERE hash = ?`, hash[:])
	if errors.Is(err, sql.ErrNoRows) {
		return k, store.NoToken()
	}
	return k, err
}

// Token reads a token; errs.CodeNotFound.
func (d *DB) Token(ctx context.Context, id string) (auth.Token, error) {
	k, err := one(ctx, d.reader, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return k, store.NoToken()
	}
	return k, err
}

// Tokens lists the tokens of a user, or of all, newest first.
func (d *DB) Tokens(ctx context.Context, user, after string, limit int) ([]auth.Token, error) {
	w := within("", store.Before(after))
	w.and("user = ?", user)
	query, args := w.list(tokenColumns, "tokens", false, limit)
	return list(ctx, d.reader, scanToken, query, args...)
}

// SpendToken deletes a token, once: errs.CodeNotFound for everybody but the
// first.
func (d *DB) SpendToken(ctx context.Context, id string) error {
	return d.write(ctx, func(t *tx) error { return deleteToken(t, id, store.NoTokenToSpend) })
}

// RemoveToken deletes a token for somebody; errs.CodeNotFound.
func (d *DB) RemoveToken(ctx context.Context, id string, g auth.Grant) error {
	return d.audited(ctx, g, func(t *tx) error { return deleteToken(t, id, store.NoToken) })
}

func deleteToken(t *tx, id string, none func() *errs.Error) error {
	n, err := t.exec(`DELETE FROM tokens WHERE id = ?`, id)
	if err == nil && n == 0 {
		return none()
	}
	return err
}

// PurgeTokens deletes tokens and sessions that had ended by before, the oldest
// first, at most limit of each, and returns how many.
func (d *DB) PurgeTokens(ctx context.Context, before time.Time, limit int) (int64, error) {
	var purged int64
	err := d.write(ctx, func(t *tx) error {
		tokens, err := t.exec(`DELETE FROM tokens WHERE id IN
			(SELECT id FROM tokens WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, toMS(before), limit)
		if err != nil {
			return err
		}
		sessions, err := t.exec(`DELETE FROM sessions WHERE key IN
			(SELECT key FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, toMS(before), limit)
		purged = tokens + sessions
		return err
	})
	if err != nil {
		return 0, err
	}
	return purged, nil
}

func scanToken(s scanner) (auth.Token, error) {
	var k auth.Token
	var hash []byte
	var created, expires, until int64
	err := s.Scan(&k.ID, &k.Kind, &hash, &k.User, &k.Name, &created, &expires, &until)
	copy(k.Hash[:], hash)
	k.CreatedAt, k.ExpiresAt, k.SessionUntil = fromMS(created), fromMS(expires), fromMS(until)
	return k, err
}
