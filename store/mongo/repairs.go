package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/store"
)

// RecoverLease ends a lease that a stop left out. A lease without a job is
// given up first: from then on its sender cannot take it back. Then a job that
// failed is stored under its id, which the sender's own would collide with.
func (d *DB) RecoverLease(ctx context.Context, lost jobs.Job, now time.Time) (collector.Settlement, error) {
	doc, err := d.jobOfLease(ctx, lost)
	if none(err) {
		a, err := d.Activation(ctx, lost.Version)
		return collector.Settlement{Activation: a}, err
	}
	if err != nil {
		return collector.Settlement{}, err
	}
	j, err := doc.job()
	if err != nil {
		return collector.Settlement{}, err
	}
	s := collector.Settlement{Job: j}
	if !j.Final() {
		s.Activation, err = d.Activation(ctx, j.Version)
		return s, err
	}
	if doc.Result != nil {
		if err := d.showResult(ctx, *doc.Result); err != nil {
			return collector.Settlement{}, err
		}
	}
	s.Activation, s.OK, err = d.endLease(ctx, j, nil, now)
	return s, err
}

// jobOfLease reads the job of a lease, or stores the failed one; none(err)
// where the lease is gone.
func (d *DB) jobOfLease(ctx context.Context, lost jobs.Job) (jobDoc, error) {
	filter := m{{Key: "_id", Value: lost.ID}, {Key: "workload", Value: jobs.WorkHook}}
	doc, err := one[jobDoc](ctx, d, d.jobs, filter)
	if !none(err) {
		return doc, err
	}
	if lost.Status != jobs.Failed {
		return doc, store.NotLost(lost.ID, lost.Status)
	}
	out, err := d.giveUp(ctx, lost)
	if err != nil {
		return doc, err
	}
	if !out {
		return doc, mongo.ErrNoDocuments
	}
	lost.Workload = jobs.WorkHook
	doc = newJobDoc(lost, 0)
	if _, err := d.jobs.InsertOne(ctx, doc); !duplicate(err) {
		return doc, d.failed(err)
	}
	doc, err = one[jobDoc](ctx, d, d.jobs, filter) // its sender came first
	if none(err) {
		return doc, store.LostJobTaken(lost.ID)
	}
	return doc, err
}

// giveUp marks a lease as lost. A sender that took it back came first: then
// there is none.
func (d *DB) giveUp(ctx context.Context, lost jobs.Job) (bool, error) {
	if !nameable(lost.ID) {
		return false, nil
	}
	return d.change(ctx, d.activations,
		m{{Key: "_id", Value: lost.Version}, {Key: leaseField(lost.ID), Value: m{{Key: "$exists", Value: true}}}},
		m{{Key: "$set", Value: m{{Key: leaseField(lost.ID, "lost"), Value: true}}}})
}

// Overdue lists pending jobs past their deadline, by id, those above after.
// The deadline itself is too late, as everywhere.
func (d *DB) Overdue(ctx context.Context, now time.Time, after string, limit int) ([]jobs.Job, error) {
	return d.jobList(ctx, m{
		{Key: "status", Value: jobs.Pending},
		{Key: "_id", Value: m{{Key: "$gt", Value: after}}},
		{Key: "deadline", Value: m{{Key: "$lte", Value: now}}},
	}, m{{Key: "_id", Value: 1}}, store.Page(limit, store.MaxRepair), withoutContents())
}

// Unacked lists a peer's pending hook jobs that it has not acknowledged,
// oldest first.
func (d *DB) Unacked(ctx context.Context, peerID string, limit int) ([]jobs.Job, error) {
	return d.jobList(ctx, m{
		{Key: "peer_id", Value: peerID},
		{Key: "workload", Value: jobs.WorkHook},
		{Key: "status", Value: jobs.Pending},
		{Key: "acked_at", Value: m{{Key: "$exists", Value: false}}},
	}, m{{Key: "_id", Value: 1}}, store.Page(limit, store.MaxRepair), withoutContents())
}

// Originals lists a peer's newest originals with one of the match keys, with
// their reports, newest first.
func (d *DB) Originals(ctx context.Context, peerID string, keys []string, limit int) ([]jobs.Job, error) {
	if err := store.CheckKeys(keys); err != nil || len(keys) == 0 {
		return nil, err
	}
	return d.jobList(ctx, m{{Key: "peer_id", Value: peerID}, {Key: "keys", Value: m{{Key: "$in", Value: keys}}}},
		newestFirst(), store.Page(limit, store.MaxPage), m{{Key: "result", Value: 0}})
}
