package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"hookline/internal/auth"
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

// SpendToken deletes the one-time token id and adds its replacement, once:
// errs.CodeNotFound for everybody but the first.
func (d *DB) SpendToken(ctx context.Context, id string, replacement auth.Token) error {
	return d.write(ctx, func(t *tx) error {
		n, err := t.exec(`DELETE FROM tokens WHERE id = ?`, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return store.NoTokenToSpend()
		}
		return insertToken(t, replacement)
	})
}

// PurgeTokens deletes tokens that had ended by before, the oldest first, at
// most limit of them, and returns how many.
func (d *DB) PurgeTokens(ctx context.Context, before time.Time, limit int) (n int64, err error) {
	err = d.write(ctx, func(t *tx) error {
		n, err = t.exec(`DELETE FROM tokens WHERE id IN
			(SELECT id FROM tokens WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, toMS(before), limit)
		return err
	})
	return n, err
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
