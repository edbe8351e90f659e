package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/store/archive"
)

// ArchiveCheck holds records against what is there: the same record, or
// nothing that has one of their unique values.
func (d *DB) ArchiveCheck(ctx context.Context, all []archive.Record) error {
	for _, r := range all {
		have, ok, err := d.archived(ctx, r)
		if err == nil && ok {
			err = archive.Same(r, have)
		} else if err == nil {
			err = d.checkUnique(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkUnique refuses a record that is not there, where another has one of its
// unique values.
func (d *DB) checkUnique(ctx context.Context, r archive.Record) error {
	taken := func(c *mongo.Collection, filter m) error {
		err := c.FindOne(ctx, filter).Err()
		switch {
		case err == nil:
			return archive.Contradicts(r, "the store has something in its place")
		case none(err):
			return nil
		}
		return d.failed(err)
	}
	switch v := r.Value.(type) {
	case auth.Token:
		return taken(d.tokens, m{{Key: "hash", Value: v.Hash[:]}})
	case enroll.Peer:
		return taken(d.peers, m{{Key: "spki", Value: v.SPKI}})
	case review.Version:
		return taken(d.versions, m{{Key: "hook", Value: v.Hook}, {Key: "number", Value: v.Number}})
	case review.Review:
		if v.Verdict != review.VerdictApprove {
			return nil
		}
		return taken(d.versions, m{{Key: "_id", Value: v.Version}, {Key: "approvers", Value: v.KeyID}})
	case archive.Activation:
		if v.State != hooks.StateActive {
			return nil
		}
		return taken(d.activations, m{{Key: "active", Value: activeSlot(v.Hook)}})
	case jobs.Job:
		if err := taken(d.jobs, m{{Key: "slot", Value: slotOf(v)}}); err != nil || v.Workload != jobs.WorkHook || v.Status != jobs.Pending {
			return err
		}
		return d.checkPlaces(ctx, r, v.PeerID)
	}
	return nil
}

// checkPlaces refuses a pending job of a peer that has any in the store: the
// archive alone may have as many as there may be.
func (d *DB) checkPlaces(ctx context.Context, r archive.Record, peer string) error {
	j := jobs.Job{PeerID: peer, Workload: jobs.WorkHook, Status: jobs.Pending}
	var places a
	for n := range jobs.MaxHooksPerPeer {
		places = append(places, placeOf(j, n))
	}
	err := d.jobs.FindOne(ctx, m{{Key: "place", Value: m{{Key: "$in", Value: places}}}}).Err()
	switch {
	case err == nil:
		return archive.Contradicts(r, "its peer has another pending hook job in the store")
	case none(err):
		return nil
	}
	return d.failed(err)
}
