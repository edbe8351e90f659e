package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"hookline/internal/auth"
	"hookline/store"
)

// Session reads a browser's session; errs.CodeNotFound.
func (d *DB) Session(ctx context.Context, key string) (auth.Session, error) {
	v, err := one(ctx, d.reader, scanSession, `SELECT key, data, expires_at FROM sessions WHERE key = ?`, key)
	if errors.Is(err, sql.ErrNoRows) {
		return v, store.NoSession()
	}
	return v, err
}

// PutSession stores a session, in the place of the one with its key.
func (d *DB) PutSession(ctx context.Context, v auth.Session) error {
	if err := store.CheckSession(v); err != nil {
		return err
	}
	return d.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO sessions (key, data, expires_at) VALUES (?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`,
			v.Key, notNil(v.Data), toMS(v.ExpiresAt))
		return err
	})
}

// EndSession deletes a session, if there is one.
func (d *DB) EndSession(ctx context.Context, key string) error {
	return d.write(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM sessions WHERE key = ?`, key)
		return err
	})
}

func scanSession(s scanner) (auth.Session, error) {
	var v auth.Session
	var expires int64
	err := s.Scan(&v.Key, &v.Data, &expires)
	v.ExpiresAt = fromMS(expires)
	return v, err
}
