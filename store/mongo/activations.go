package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/collector"
	"hookline/hooks"
	"hookline/store"
)

// withoutLeases reads an activation without what only leases need.
func withoutLeases() m { return m{{Key: "leases", Value: 0}} }

// ActiveByKeys finds the active activations with one of the match keys.
func (d *DB) ActiveByKeys(ctx context.Context, keys []string) ([]hooks.Activation, error) {
	if err := store.CheckKeys(keys); err != nil || len(keys) == 0 {
		return nil, err
	}
	docs, err := list[activationDoc](ctx, d, d.activations,
		m{{Key: "keys", Value: m{{Key: "$in", Value: keys}}}, {Key: "state", Value: hooks.StateActive}},
		m{{Key: "_id", Value: 1}}, store.MaxRepair, withoutLeases())
	return all(docs, err, activationDoc.activation)
}

// ActivePast lists active activations past their deadline, the oldest deadline
// first.
func (d *DB) ActivePast(ctx context.Context, now time.Time, limit int) ([]hooks.Activation, error) {
	docs, err := list[activationDoc](ctx, d, d.activations,
		m{{Key: "state", Value: hooks.StateActive}, {Key: "deadline", Value: m{{Key: "$lte", Value: now}}}},
		m{{Key: "deadline", Value: 1}, {Key: "_id", Value: 1}}, store.Page(limit, store.MaxRepair), withoutLeases())
	return all(docs, err, activationDoc.activation)
}

// Activation reads an activation; errs.CodeNotFound.
func (d *DB) Activation(ctx context.Context, version string) (hooks.Activation, error) {
	doc, err := one[activationDoc](ctx, d, d.activations, byID(version), options.FindOne().SetProjection(withoutLeases()))
	if none(err) {
		return hooks.Activation{}, store.NoActivation(version)
	}
	return doc.activation(), err
}

// activationDoc reads an activation with its leases; errs.CodeNotFound.
func (d *DB) activationDoc(ctx context.Context, version string) (activationDoc, error) {
	doc, err := one[activationDoc](ctx, d, d.activations, byID(version))
	if none(err) {
		return doc, store.NoActivation(version)
	}
	return doc, err
}

// ChangeState moves an activation from one state to another; ok is false
// where it was not in from.
func (d *DB) ChangeState(ctx context.Context, version string, from, to hooks.State, reason string, now time.Time) (bool, error) {
	return d.moveState(ctx, version, from, to, reason, now, nil)
}

// moveState is the one place where an activation stops being active; extra is
// set with it.
func (d *DB) moveState(ctx context.Context, version string, from, to hooks.State, reason string, now time.Time, extra m) (bool, error) {
	return d.change(ctx, d.activations, m{{Key: "_id", Value: version}, {Key: "state", Value: from}},
		m{{Key: "$set", Value: append(stateChange(version, to, reason, now), extra...)}})
}

// stateChange is what a state other than active sets.
func stateChange(version string, to hooks.State, reason string, now time.Time) m {
	return m{
		{Key: "state", Value: to},
		{Key: "reason", Value: reason},
		{Key: "changed_at", Value: now},
		{Key: "active", Value: idleSlot(version)},
	}
}

// conclude moves an activation that has reached a bound out of active, while
// it still has those bounds: somebody may have activated it anew with others.
func (d *DB) conclude(ctx context.Context, a hooks.Activation, now time.Time) (hooks.Activation, error) {
	to, reason := collector.Conclude(a, now)
	if to == "" {
		return a, nil
	}
	ok, err := d.change(ctx, d.activations,
		m{{Key: "_id", Value: a.Digest}, {Key: "state", Value: a.State}, {Key: "quantity", Value: a.Quantity}, {Key: "deadline", Value: a.Deadline}},
		m{{Key: "$set", Value: stateChange(a.Digest, to, string(reason), now)}})
	if err != nil || !ok {
		return a, err
	}
	return concluded(a, to, string(reason), now), nil
}

func concluded(a hooks.Activation, to hooks.State, reason string, now time.Time) hooks.Activation {
	a.State, a.Reason, a.ChangedAt = to, reason, now.UTC().Truncate(time.Millisecond)
	return a
}

// byID is the filter of one document.
func byID(id string) m { return bson.D{{Key: "_id", Value: id}} }
