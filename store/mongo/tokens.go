package mongo

import (
	"context"
	"crypto/rand"
	"time"

	"hookline/internal/auth"
	"hookline/store"
)

// AddToken stores a token's hash; errs.CodeConflict where id or hash exist.
func (d *DB) AddToken(ctx context.Context, k auth.Token, g auth.Grant) error {
	return d.audited(ctx, g, where(d.tokens, k.ID), func(ctx context.Context, entry string) error {
		doc := newTokenDoc(k)
		doc.Audit = entry
		return d.add(ctx, d.tokens, doc, k.ID, entry, store.TokenTaken(k.ID))
	})
}

// TokenByHash finds a token by the SHA-256 of its secret; errs.CodeNotFound.
func (d *DB) TokenByHash(ctx context.Context, hash [32]byte) (auth.Token, error) {
	return d.oneToken(ctx, m{{Key: "hash", Value: hash[:]}})
}

// Token reads a token; errs.CodeNotFound.
func (d *DB) Token(ctx context.Context, id string) (auth.Token, error) {
	return d.oneToken(ctx, byID(id))
}

func (d *DB) oneToken(ctx context.Context, filter m) (auth.Token, error) {
	doc, err := one[tokenDoc](ctx, d, d.tokens, append(filter, stillThere()))
	if none(err) {
		return auth.Token{}, store.NoToken()
	}
	return doc.token(), err
}

// stillThere leaves out tokens that were removed and are not deleted yet.
func stillThere() condition {
	return condition{Key: "removed", Value: m{{Key: "$exists", Value: false}}}
}

// Tokens lists the tokens of a user, or of all, newest first, those older than
// after.
func (d *DB) Tokens(ctx context.Context, user, after string, limit int) ([]auth.Token, error) {
	filter := m{{Key: "_id", Value: m{{Key: "$lt", Value: store.Before(after)}}}, stillThere()}
	if user != "" {
		filter = append(filter, condition{Key: "user", Value: user})
	}
	docs, err := list[tokenDoc](ctx, d, d.tokens, filter, newestFirst(), store.Page(limit, store.MaxPage), nil)
	return all(docs, err, tokenDoc.token)
}

// SpendToken deletes a one-time token, once: errs.CodeNotFound for everybody
// but the first.
func (d *DB) SpendToken(ctx context.Context, id string) error {
	r, err := d.tokens.DeleteOne(ctx, append(byID(id), stillThere()))
	if err != nil {
		return d.failed(err)
	}
	if r.DeletedCount != 1 {
		return store.NoTokenToSpend()
	}
	return nil
}

// RemoveToken takes a token away; errs.CodeNotFound.
//
// It is marked as removed, and opens nothing from then on: its hash becomes one
// that no secret has, whoever reads it. Only when the action's entry says how
// it has ended is the token deleted, for until then Mend looks at it. What a
// stop leaves PurgeTokens deletes: a token that was removed has ended.
func (d *DB) RemoveToken(ctx context.Context, id string, g auth.Grant) error {
	at := g.Entry().At
	return d.auditedThen(ctx, g, where(d.tokens, id), func(ctx context.Context, entry string) error {
		ok, err := d.markRemoved(ctx, id, at, entry)
		if err != nil || ok {
			return err
		}
		mine, err := d.marked(ctx, d.tokens, id, entry) // sent twice
		if err == nil && !mine {
			return store.NoToken()
		}
		return err
	}, func(ctx context.Context) {
		_, _ = d.tokens.DeleteOne(ctx, m{{Key: "_id", Value: id}, {Key: "removed", Value: true}})
	})
}

// markRemoved kills a token; ok is false where it is gone or dead.
func (d *DB) markRemoved(ctx context.Context, id string, at time.Time, entry string) (ok bool, err error) {
	dead := make([]byte, 32)
	_, _ = rand.Read(dead) // crypto/rand.Read never fails: it ends the program instead
	return d.change(ctx, d.tokens, append(byID(id), stillThere()), m{
		{Key: "$set", Value: m{{Key: "removed", Value: true}, {Key: "hash", Value: dead}, {Key: "audit", Value: entry}}},
		{Key: "$min", Value: m{{Key: "expires_at", Value: at}}},
	})
}

func newTokenDoc(k auth.Token) tokenDoc {
	return tokenDoc{
		ID: k.ID, Kind: k.Kind, Hash: k.Hash[:], User: k.User, Name: k.Name,
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, SessionUntil: k.SessionUntil,
	}
}

func (d tokenDoc) token() auth.Token {
	k := auth.Token{
		ID: d.ID, Kind: d.Kind, User: d.User, Name: d.Name,
		CreatedAt: d.CreatedAt, ExpiresAt: d.ExpiresAt, SessionUntil: d.SessionUntil,
	}
	copy(k.Hash[:], d.Hash)
	return k
}
