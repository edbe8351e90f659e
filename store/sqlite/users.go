package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"hookline/internal/auth"
	"hookline/store"
)

const userColumns = `name, roles, created_at`

// AddUser stores a new account; errs.CodeConflict where the name is taken.
func (d *DB) AddUser(ctx context.Context, u auth.User, g auth.Grant) error {
	roles, err := encodeTexts(u.Roles)
	if err != nil {
		return err
	}
	return d.audited(ctx, g, func(t *tx) error {
		n, err := t.exec(`INSERT INTO users (`+userColumns+`) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING`,
			u.Name, roles, toMS(u.CreatedAt))
		if err == nil && n == 0 {
			return store.UserTaken(u.Name)
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
	var created int64
	if err := s.Scan(&u.Name, &roles, &created); err != nil {
		return u, err
	}
	u.CreatedAt = fromMS(created)
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
