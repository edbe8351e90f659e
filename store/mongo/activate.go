package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/review"
	"hookline/store"
)

// errOthers says that an activation was changed, or another one of its hook
// became active, since this action looked: it must look again.
var errOthers = errors.New("others were first")

// Activate makes the activation of an approved version, or makes the one in
// state from active again, and supersedes the hook's other active one. One that
// is active gets new bounds.
//
// What can be refused is refused first; then the other one is superseded, and
// then this one takes the hook's one active slot, whose unique index has the
// last word. Where it cannot, the other one becomes active again, unless
// somebody else's is by then. After a stop in between Mend does the same: until
// then the hook has no active version, and nothing runs.
func (d *DB) Activate(ctx context.Context, v hooks.Activation, from hooks.State, g auth.Grant) error {
	v.State, v.Reason = hooks.StateActive, ""
	return d.audited(ctx, g, where(d.activations, v.Digest), func(ctx context.Context, entry string) error {
		for range maxRounds {
			err := d.activate(ctx, v, from, entry)
			if !errors.Is(err, errOthers) {
				return err
			}
		}
		return errs.New(errs.CodeConflict, "others activate versions of hook %q all the time", v.Hook)
	})
}

// activate is one round; errOthers where there must be another.
func (d *DB) activate(ctx context.Context, v hooks.Activation, from hooks.State, entry string) error {
	if mine, err := d.marked(ctx, d.activations, v.Digest, entry); err != nil || mine {
		return err
	}
	take, err := d.mayActivate(ctx, v, from)
	if err != nil {
		return err
	}
	other, superseded, err := d.supersede(ctx, v, entry)
	if err != nil {
		return err
	}
	if err = d.taken(ctx, v, entry, take(ctx, entry)); err == nil || !superseded {
		return err
	}
	if failed := d.putBack(ctx, other, v.Digest); failed != nil && errors.Is(err, errOthers) {
		return failed // the next round would forget it; Mend does it
	}
	return err
}

// taken says what became of the attempt to take the active slot. Servers
// differ in how they name a unique key that is taken, and an answer can get
// lost: so it looks.
func (d *DB) taken(ctx context.Context, v hooks.Activation, entry string, err error) error {
	if err == nil || errors.Is(err, errOthers) {
		return err
	}
	if mine, failed := d.marked(ctx, d.activations, v.Digest, entry); failed != nil || mine {
		return failed
	}
	if holder, failed := d.activeOf(ctx, v.Hook); failed == nil && holder.Digest != "" || duplicate(err) {
		return errOthers
	}
	return err
}

// taker is the update that makes an activation active.
type taker func(ctx context.Context, entry string) error

// mayActivate refuses what can be refused before anything is changed.
func (d *DB) mayActivate(ctx context.Context, v hooks.Activation, from hooks.State) (taker, error) {
	if from == hooks.StateApproved {
		return d.mayBegin(ctx, v)
	}
	return d.mayGoOn(ctx, v, from)
}

// mayBegin is for the first activation of a version, which must be approved
// and then stays so.
func (d *DB) mayBegin(ctx context.Context, v hooks.Activation) (taker, error) {
	version, err := one[versionDoc](ctx, d, d.versions, byID(v.Digest),
		options.FindOne().SetProjection(m{{Key: "state", Value: 1}}))
	switch {
	case none(err):
		return nil, store.NoVersion(v.Digest)
	case err != nil:
		return nil, err
	case version.State != hooks.StateApproved:
		return nil, versionNotIn(version, hooks.StateApproved)
	}
	have, err := d.Activation(ctx, v.Digest)
	if err == nil {
		return nil, activationNotIn(have, hooks.StateApproved)
	}
	if !errs.Is(err, errs.CodeNotFound) {
		return nil, err
	}
	return func(ctx context.Context, entry string) error {
		doc := newActivationDoc(v)
		doc.Audit = entry
		added, err := d.insert(ctx, d.activations, doc, "an activation")
		if err == nil && !added {
			return errOthers
		}
		return err
	}, nil
}

// mayGoOn is for an activation whose ledger goes on. A quantity below what it
// has received and leased out would break the ledger.
func (d *DB) mayGoOn(ctx context.Context, v hooks.Activation, from hooks.State) (taker, error) {
	old, err := d.Activation(ctx, v.Digest)
	if err != nil {
		return nil, err
	}
	if old.State != from {
		return nil, activationNotIn(old, from)
	}
	if bound := old.Ledger.Received + old.Ledger.Leased; v.Quantity < bound {
		return nil, store.QuantityBelow(bound, v.Quantity)
	}
	same := m{
		{Key: "_id", Value: v.Digest},
		{Key: "state", Value: from},
		{Key: "quantity", Value: old.Quantity},
		{Key: "open", Value: m{{Key: "$gte", Value: old.Quantity - v.Quantity}}},
	}
	return func(ctx context.Context, entry string) error {
		ok, err := d.change(ctx, d.activations, same, m{
			{Key: "$set", Value: m{
				{Key: "state", Value: v.State},
				{Key: "reason", Value: v.Reason},
				{Key: "active", Value: activeSlot(v.Hook)},
				{Key: "quantity", Value: v.Quantity},
				{Key: "deadline", Value: v.Deadline},
				{Key: "rollout", Value: rolloutDoc{Percent: v.Rollout.Percent, PerMinute: v.Rollout.PerMinute}},
				{Key: "changed_at", Value: v.ChangedAt},
				{Key: "audit", Value: entry},
			}},
			{Key: "$inc", Value: m{{Key: "open", Value: v.Quantity - old.Quantity}}},
		})
		if err == nil && !ok {
			return errOthers
		}
		return err
	}, nil
}

// activeOf reads the active activation of a hook; the zero document where
// there is none.
func (d *DB) activeOf(ctx context.Context, hook string) (activationDoc, error) {
	doc, err := one[activationDoc](ctx, d, d.activations, m{{Key: "active", Value: activeSlot(hook)}},
		options.FindOne().SetProjection(withoutLeases()))
	if none(err) {
		return doc, nil
	}
	return doc, err
}

func supersededBy(digest string) string { return "superseded by " + digest }

// supersede ends the other active activation of the same hook, after the
// action's entry names it; ok says that this call did, and other is as it was.
func (d *DB) supersede(ctx context.Context, v hooks.Activation, entry string) (other undoDoc, ok bool, err error) {
	holder, err := d.activeOf(ctx, v.Hook)
	if err != nil || holder.Digest == "" || holder.Digest == v.Digest {
		return other, false, err
	}
	last, err := d.lastAction(ctx, d.activations, v.Digest)
	if err != nil {
		return other, false, err
	}
	other = undoDoc{Digest: holder.Digest, ChangedAt: holder.ChangedAt, Before: last}
	if _, err := d.change(ctx, d.audit, byID(entry), entryUndo(other, where(d.activations, v.Digest))); err != nil {
		return other, false, err
	}
	ok, err = d.moveState(ctx, other.Digest, hooks.StateActive, hooks.StateSuperseded, supersededBy(v.Digest), v.ChangedAt, nil)
	return other, ok, err
}

// putBack takes back what supersede did. Where another version is active now,
// or was since, that is why this one stays superseded.
func (d *DB) putBack(ctx context.Context, other undoDoc, by string) error {
	superseded := m{
		{Key: "_id", Value: other.Digest}, {Key: "state", Value: hooks.StateSuperseded}, {Key: "reason", Value: supersededBy(by)},
	}
	was, err := one[activationDoc](ctx, d, d.activations, superseded, options.FindOne().SetProjection(withoutLeases()))
	if err != nil {
		return ignoreNone(err)
	}
	if overtaken, err := d.changedSince(ctx, was, by); err != nil || overtaken {
		return err
	}
	_, err = d.change(ctx, d.activations, superseded, m{{Key: "$set", Value: m{
		{Key: "state", Value: hooks.StateActive},
		{Key: "reason", Value: ""},
		{Key: "changed_at", Value: other.ChangedAt},
		{Key: "active", Value: activeSlot(was.Hook)},
	}}})
	if err == nil {
		return nil
	}
	if holder, failed := d.activeOf(ctx, was.Hook); failed == nil && holder.Digest != "" {
		return nil
	}
	return err
}

// changedSince reports whether any other version of a hook than the two was
// activated, disabled or ended since one of them was superseded.
func (d *DB) changedSince(ctx context.Context, superseded activationDoc, by string) (bool, error) {
	_, err := one[activationDoc](ctx, d, d.activations, m{
		{Key: "hook", Value: superseded.Hook},
		{Key: "changed_at", Value: m{{Key: "$gte", Value: superseded.ChangedAt}}},
		{Key: "_id", Value: m{{Key: "$nin", Value: a{superseded.Digest, by}}}},
	}, options.FindOne().SetProjection(m{{Key: "_id", Value: 1}}))
	return err == nil, ignoreNone(err)
}

// Stop moves an activation from one state to disabled or paused;
// errs.CodeConflict where it is no longer in from, errs.CodeBadInput for any
// other state.
func (d *DB) Stop(ctx context.Context, digest string, from, to hooks.State, reason string, at time.Time, g auth.Grant) error {
	if err := store.CheckStop(to); err != nil {
		return err
	}
	return d.close(ctx, digest, from, to, reason, at, g)
}

// close moves an activation to a state in which nothing is leased.
func (d *DB) close(ctx context.Context, digest string, from, to hooks.State, reason string, at time.Time, g auth.Grant) error {
	return d.audited(ctx, g, where(d.activations, digest), func(ctx context.Context, entry string) error {
		ok, err := d.moveState(ctx, digest, from, to, reason, at, m{{Key: "audit", Value: entry}})
		if err != nil || ok {
			return err
		}
		have, err := d.activationDoc(ctx, digest)
		if err != nil || have.Audit == entry { // sent twice
			return err
		}
		return activationNotIn(have.activation(), from)
	})
}

// Revoke moves a version that was never activated, or an activation, from one
// state to revoked; errs.CodeConflict where it is no longer in from.
func (d *DB) Revoke(ctx context.Context, digest string, from hooks.State, reason string, at time.Time, g auth.Grant) error {
	if !review.Activated(from) {
		return d.revokeVersion(ctx, digest, from, g)
	}
	return d.close(ctx, digest, from, hooks.StateRevoked, reason, at, g)
}

// revokeVersion is for a version without an activation. One that gets its
// activation between look and update keeps both: the activation is what counts,
// and the caller, who looks again, finds it.
func (d *DB) revokeVersion(ctx context.Context, digest string, from hooks.State, g auth.Grant) error {
	return d.audited(ctx, g, where(d.versions, digest), func(ctx context.Context, entry string) error {
		if have, err := d.Activation(ctx, digest); err == nil {
			return activationNotIn(have, from)
		} else if !errs.Is(err, errs.CodeNotFound) {
			return err
		}
		ok, err := d.change(ctx, d.versions, m{{Key: "_id", Value: digest}, {Key: "state", Value: from}},
			m{{Key: "$set", Value: m{{Key: "state", Value: hooks.StateRevoked}, {Key: "audit", Value: entry}}}})
		if err != nil || ok {
			return err
		}
		v, err := one[versionDoc](ctx, d, d.versions, byID(digest))
		if none(err) {
			return store.NoVersion(digest)
		}
		if err != nil || v.Audit == entry { // sent twice
			return err
		}
		return versionNotIn(v, from)
	})
}

// activationNotIn says that an activation's state is another one.
func activationNotIn(v hooks.Activation, from hooks.State) error {
	return store.NoLonger(v.Digest, v.State, from)
}
