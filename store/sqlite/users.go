package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"hookline/internal/auth"
	"hookline/store"
)

const userColumns = `name, roles, created_at, password, off, failures, last_failure, last_sign_in, sessions_from`

// AddUser stores a new account; errs.CodeConflict where the name is taken.
func (d *DB) AddUser(ctx context.Context, u auth.User, g auth.Grant) error {
	values, err := userValues(u)
	if err != nil {
		return err
	}
	return d.audited(ctx, g, func(t *tx) error {
		n, err := t.exec(`INSERT INTO users (`+userColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`, values...)
		if err == nil && n == 0 {
			return store.UserTaken(u.Name)
		}
		return err
	})
}

// userValues are those of userColumns.
func userValues(u auth.User) ([]any, error) {
	roles, err := encodeTexts(u.Roles)
	return []any{
		u.Name, roles, toMS(u.CreatedAt), u.Password, u.Off, u.Failures, toMS(u.LastFailure), toMS(u.LastSignIn), toMS(u.SessionsFrom),
	}, err
}

// ChangeUser changes what c names; errs.CodeNotFound.
func (d *DB) ChangeUser(ctx context.Context, name string, c auth.UserChange, g auth.Grant) error {
	var roles, password, off, from any // NULL stays as it is
	if c.Roles != nil {
		var err error
		if roles, err = encodeTexts(c.Roles); err != nil {
			return err
		}
	}
	if c.Password != nil {
		password = *c.Password
	}
	if c.Off != nil {
		off = *c.Off
	}
	if c.SessionsFrom != nil {
		from = toMS(*c.SessionsFrom)
	}
	return d.audited(ctx, g, func(t *tx) error {
		n, err := t.exec(`UPDATE users SET roles = coalesce(?, roles), password = coalesce(?, password), off = coalesce(?, off),
			sessions_from = coalesce(?, sessions_from) WHERE name = ?`, roles, password, off, from, name)
		if err == nil && n == 0 {
			return store.NoUser(name)
		}
		return err
	})
}

// Users lists accounts by name, those above after.
func (d *DB) Users(ctx context.Context, after string, limit int) ([]auth.User, error) {
	return list(ctx, d.reader, scanUser, `SELECT `+userColumns+` FROM users WHERE name > ? ORDER BY name LIMIT ?`,
		after, store.Page(limit, store.MaxPage))
}

// TrySignIn counts a try in the update that asks whether there is one left.
func (d *DB) TrySignIn(ctx context.Context, name string, at, since time.Time, most int64) (bool, error) {
	var ok bool
	err := d.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE users SET failures = iif(last_failure > ?1, failures, 0) + 1, last_failure = ?2
			WHERE name = ?3 AND (failures < ?4 OR last_failure <= ?1)`, toMS(since), toMS(at), name, most)
		if ok = n == 1; ok || err != nil {
			return err
		}
		_, err = one(ctx, t, scanInt, `SELECT 1 FROM users WHERE name = ?`, name)
		if errors.Is(err, sql.ErrNoRows) {
			return store.NoUser(name)
		}
		return err
	})
	return ok && err == nil, err
}

// SignedIn forgets the tries of a user; errs.CodeNotFound.
func (d *DB) SignedIn(ctx context.Context, name string, at time.Time) error {
	return d.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE users SET failures = 0, last_failure = 0, last_sign_in = ? WHERE name = ?`, toMS(at), name)
		if err == nil && n == 0 {
			return store.NoUser(name)
		}
		return err
	})
}

// User reads an account; errs.CodeNotFound.
func (d *DB) User(ctx context.Context, name string) (auth.User, error) {
	u, err := one(ctx, d.reader, scanUser, `SELECT `+userColumns+` FROM users WHERE name = ?`, name)
	if errors.Is(err, sql.ErrNoRows) {
		return u, store.NoUser(name)
	}
	return u, err
}

func scanUser(s scanner) (auth.User, error) {
	var u auth.User
	var roles string
	var created, failure, signIn, from int64
	if err := s.Scan(&u.Name, &roles, &created, &u.Password, &u.Off, &u.Failures, &failure, &signIn, &from); err != nil {
		return u, err
	}
	u.CreatedAt, u.LastFailure, u.LastSignIn, u.SessionsFrom = fromMS(created), fromMS(failure), fromMS(signIn), fromMS(from)
	return u, json.Unmarshal([]byte(roles), &u.Roles)
}

// encodeTexts is a list as it is stored. JSON would replace what is no UTF-8.
func encodeTexts[T ~string](list []T) (string, error) {
	for _, s := range list {
		if err := store.CheckText(string(s)); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(list)
	return string(b), err
}
