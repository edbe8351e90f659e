package mongo

import (
	"context"

	"hookline/internal/auth"
	"hookline/store"
)

// AddUser stores a new account; errs.CodeConflict where the name is taken.
func (d *DB) AddUser(ctx context.Context, u auth.User, g auth.Grant) error {
	return d.audited(ctx, g, where(d.users, u.Name), func(ctx context.Context, entry string) error {
		doc := userDoc{Name: u.Name, Roles: notNil(u.Roles), CreatedAt: u.CreatedAt, Audit: entry}
		return d.add(ctx, d.users, doc, u.Name, entry,
			store.UserTaken(u.Name))
	})
}

// User reads an account; errs.CodeNotFound.
func (d *DB) User(ctx context.Context, name string) (auth.User, error) {
	doc, err := one[userDoc](ctx, d, d.users, byID(name))
	if none(err) {
		return auth.User{}, store.NoUser(name)
	}
	return auth.User{Name: doc.Name, Roles: doc.Roles, CreatedAt: doc.CreatedAt}, err
}
