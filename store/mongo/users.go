package mongo

import (
	"context"
	"time"

	"hookline/internal/auth"
	"hookline/store"
)

// AddUser stores a new account; errs.CodeConflict where the name is taken.
func (d *DB) AddUser(ctx context.Context, u auth.User, g auth.Grant) error {
	return d.audited(ctx, g, where(d.users, u.Name), func(ctx context.Context, entry string) error {
		doc := newUserDoc(u)
		doc.Audit = entry
		return d.add(ctx, d.users, doc, u.Name, entry,
			store.UserTaken(u.Name))
	})
}

// ChangeUser changes an account; errs.CodeNotFound.
func (d *DB) ChangeUser(ctx context.Context, name string, c auth.UserChange, g auth.Grant) error {
	return d.audited(ctx, g, where(d.users, name), func(ctx context.Context, entry string) error {
		ok, err := d.change(ctx, d.users, byID(name), userUpdate(c, entry))
		if err == nil && !ok {
			return store.NoUser(name)
		}
		return err
	})
}

// userUpdate sets what the change names.
func userUpdate(c auth.UserChange, entry string) m {
	set := m{{Key: "audit", Value: entry}}
	if c.Roles != nil {
		set = append(set, condition{Key: "roles", Value: c.Roles})
	}
	if c.Password != nil {
		set = append(set, condition{Key: "password", Value: *c.Password})
	}
	if c.Off != nil {
		set = append(set, condition{Key: "off", Value: *c.Off})
	}
	if c.SessionsFrom == nil {
		return m{{Key: "$set", Value: set}}
	}
	if c.SessionsFrom.IsZero() {
		return m{{Key: "$set", Value: set}, {Key: "$unset", Value: m{{Key: "sessions_from", Value: ""}}}}
	}
	return m{{Key: "$set", Value: append(set, condition{Key: "sessions_from", Value: *c.SessionsFrom})}}
}

// User reads an account; errs.CodeNotFound.
func (d *DB) User(ctx context.Context, name string) (auth.User, error) {
	doc, err := one[userDoc](ctx, d, d.users, byID(name))
	if none(err) {
		return auth.User{}, store.NoUser(name)
	}
	return doc.user(), err
}

// Users lists accounts by name, those above after.
func (d *DB) Users(ctx context.Context, after string, limit int) ([]auth.User, error) {
	docs, err := list[userDoc](ctx, d, d.users, m{{Key: "_id", Value: m{{Key: "$gt", Value: after}}}}, oldestFirst(),
		store.Page(limit, store.MaxPage), nil)
	return all(docs, err, userDoc.user)
}

// TrySignIn counts a try to sign in, where the account has had fewer than most
// since its last success or none after since; errs.CodeNotFound.
//
// Each try is one of two conditional updates: the first after since begins the
// count anew, any other adds to it. Whatever others do in between, the filter
// of each says what it builds on, so that no more than most tries are let
// through; one that neither lets through is refused only by a count that is
// full.
func (d *DB) TrySignIn(ctx context.Context, name string, at, since time.Time, most int64) (bool, error) {
	if most <= 0 {
		_, err := d.User(ctx, name)
		return false, err
	}
	again := m{{Key: "_id", Value: name}, {Key: "last_failure", Value: m{{Key: "$gt", Value: since}}}, {Key: "failures", Value: m{{Key: "$lt", Value: most}}}}
	first := m{{Key: "_id", Value: name}, {Key: "last_failure", Value: m{{Key: "$not", Value: m{{Key: "$gt", Value: since}}}}}}
	for range maxTries {
		ok, err := d.change(ctx, d.users, first, m{{Key: "$set", Value: m{{Key: "failures", Value: int64(1)}, {Key: "last_failure", Value: at}}}})
		if err != nil || ok {
			return ok, err
		}
		ok, err = d.change(ctx, d.users, again, m{
			{Key: "$inc", Value: m{{Key: "failures", Value: int64(1)}}},
			{Key: "$max", Value: m{{Key: "last_failure", Value: at}}},
		})
		if err != nil || ok {
			return ok, err
		}
		u, err := d.User(ctx, name)
		if err != nil || u.Failures >= most && u.LastFailure.After(since) {
			return false, err
		}
	}
	return false, busyOf("user", name)
}

// SignedIn forgets the tries of an account and keeps the time;
// errs.CodeNotFound.
func (d *DB) SignedIn(ctx context.Context, name string, at time.Time) error {
	ok, err := d.change(ctx, d.users, byID(name), m{
		{Key: "$set", Value: m{{Key: "failures", Value: int64(0)}, {Key: "last_sign_in", Value: at}}},
		{Key: "$unset", Value: m{{Key: "last_failure", Value: ""}}},
	})
	if err == nil && !ok {
		return store.NoUser(name)
	}
	return err
}
