package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/internal/auth"
	"hookline/store"
)

// Session reads a browser's session; errs.CodeNotFound.
func (d *DB) Session(ctx context.Context, key string) (auth.Session, error) {
	doc, err := one[sessionDoc](ctx, d, d.sessions, byID(key))
	if none(err) {
		return auth.Session{}, store.NoSession()
	}
	return auth.Session{Key: doc.Key, Data: doc.Data, ExpiresAt: doc.ExpiresAt}, err
}

// PutSession stores a session, new or again; errs.CodeTooLarge.
func (d *DB) PutSession(ctx context.Context, s auth.Session) error {
	if err := store.CheckSession(s); err != nil {
		return err
	}
	update := m{{Key: "$set", Value: m{{Key: "data", Value: notNil(s.Data)}, {Key: "expires_at", Value: s.ExpiresAt}}}}
	_, err := d.sessions.UpdateOne(ctx, byID(s.Key), update, options.UpdateOne().SetUpsert(true))
	if duplicate(err) { // two of them made it at the same moment: by now it is there
		_, err = d.sessions.UpdateOne(ctx, byID(s.Key), update)
	}
	return d.failed(err)
}

// EndSession deletes a session; one that is gone is no error.
func (d *DB) EndSession(ctx context.Context, key string) error {
	_, err := d.sessions.DeleteOne(ctx, byID(key))
	return d.failed(err)
}

// PurgeTokens deletes tokens and sessions that had ended by before, the oldest
// first, at most limit of each, and returns how many.
func (d *DB) PurgeTokens(ctx context.Context, before time.Time, limit int) (int64, error) {
	tokens, err := d.purge(ctx, d.tokens, before, limit)
	if err != nil {
		return tokens, err
	}
	sessions, err := d.purge(ctx, d.sessions, before, limit)
	return tokens + sessions, err
}

// purge deletes what had ended by before. The time is asked for again: a
// session may have been stored anew since it was found.
func (d *DB) purge(ctx context.Context, c *mongo.Collection, before time.Time, limit int) (int64, error) {
	if limit <= 0 {
		return 0, nil
	}
	ended := condition{Key: "expires_at", Value: m{{Key: "$lte", Value: before}}}
	docs, err := list[struct {
		ID string `bson:"_id"`
	}](ctx, d, c, m{ended}, m{{Key: "expires_at", Value: 1}, {Key: "_id", Value: 1}}, min(limit, store.MaxRepair), m{{Key: "_id", Value: 1}})
	if err != nil || len(docs) == 0 {
		return 0, err
	}
	ids := make([]string, len(docs))
	for i, doc := range docs {
		ids[i] = doc.ID
	}
	r, err := c.DeleteMany(ctx, append(among(ids), ended))
	if err != nil {
		return 0, d.failed(err)
	}
	return r.DeletedCount, nil
}
