package mongo

import (
	"context"
	"crypto/rand"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

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
	doc, err := one[tokenDoc](ctx, d, d.tokens, m{{Key: "hash", Value: hash[:]}})
	if none(err) {
		return auth.Token{}, store.NoToken()
	}
	return doc.token(), err
}

// SpendToken deletes the one-time token id and adds its replacement, once:
// errs.CodeNotFound for everybody but the first.
//
// The first is who marks the token as spent. From then on it opens nothing:
// its hash becomes one that no secret has, whoever reads it. Then the
// replacement is added and the spent token deleted. A stop in between leaves
// nobody signed in, and a token that PurgeTokens removes when it would have
// ended.
func (d *DB) SpendToken(ctx context.Context, id string, replacement auth.Token) error {
	old, err := d.markSpent(ctx, id, replacement.ID)
	if none(err) {
		return store.NoTokenToSpend()
	}
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	added, err := d.insert(ctx, d.tokens, newTokenDoc(replacement), "a token")
	switch {
	case err != nil && !refused(err):
		return err // it may be there or not: nobody was told its secret
	case err == nil && added:
		_, _ = d.tokens.DeleteOne(ctx, byID(id)) // it is dead; PurgeTokens would find it too
		return nil
	case err == nil:
		err = store.TokenTaken(replacement.ID)
	}
	_, _ = d.change(ctx, d.tokens, m{{Key: "_id", Value: id}, {Key: "spent", Value: replacement.ID}}, m{
		{Key: "$set", Value: m{{Key: "hash", Value: old.Hash}}},
		{Key: "$unset", Value: m{{Key: "spent", Value: ""}}},
	})
	return err
}

// markSpent kills a token, and returns it as it was; none(err) where it is
// gone or dead.
func (d *DB) markSpent(ctx context.Context, id, by string) (tokenDoc, error) {
	dead := make([]byte, 32)
	_, _ = rand.Read(dead) // crypto/rand.Read never fails: it ends the program instead
	return modify[tokenDoc](ctx, d, d.tokens,
		m{{Key: "_id", Value: id}, {Key: "spent", Value: m{{Key: "$exists", Value: false}}}},
		m{{Key: "$set", Value: m{{Key: "spent", Value: by}, {Key: "hash", Value: dead}}}}, options.Before)
}

// PurgeTokens deletes tokens that had ended by before, the oldest first, at
// most limit of them, and returns how many.
func (d *DB) PurgeTokens(ctx context.Context, before time.Time, limit int) (int64, error) {
	if limit <= 0 {
		return 0, nil
	}
	ended := m{{Key: "expires_at", Value: m{{Key: "$lte", Value: before}}}}
	docs, err := list[tokenDoc](ctx, d, d.tokens, ended, m{{Key: "expires_at", Value: 1}, {Key: "_id", Value: 1}},
		min(limit, store.MaxRepair), m{{Key: "_id", Value: 1}})
	if err != nil || len(docs) == 0 {
		return 0, err
	}
	ids := make([]string, len(docs))
	for i, doc := range docs {
		ids[i] = doc.ID
	}
	r, err := d.tokens.DeleteMany(ctx, m{{Key: "_id", Value: m{{Key: "$in", Value: ids}}}})
	if err != nil {
		return 0, d.failed(err)
	}
	return r.DeletedCount, nil
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
