package sqlite

import (
	"context"
	"slices"
	"strings"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store"
)

// Leases lists the leases that are out, by id, those above after.
func (d *DB) Leases(ctx context.Context, after string, limit int) ([]collector.Lease, error) {
	return list(ctx, d.reader, scanLease, `SELECT id, version, reserved, taken_at FROM leases WHERE id > ? ORDER BY id LIMIT ?`,
		after, store.Page(limit, store.MaxRepair))
}

func scanLease(s scanner) (collector.Lease, error) {
	var l collector.Lease
	var taken int64
	err := s.Scan(&l.ID, &l.Version, &l.Reserved, &taken)
	l.TakenAt = fromMS(taken)
	return l, err
}

// RecoverLease looks at the job again inside the writer: its sender may have
// come first.
func (d *DB) RecoverLease(ctx context.Context, lost jobs.Job, now time.Time) (s collector.Settlement, err error) {
	err = d.write(ctx, func(t *tx) (err error) {
		s.Job, err = hookJob(ctx, t, lost.ID)
		if errs.Is(err, errs.CodeNotFound) {
			s.Job, err = lost, addLost(t, lost)
		}
		if err != nil {
			return err
		}
		if !s.Job.Final() {
			s.Activation, err = activation(ctx, t, s.Job.Version)
			return err
		}
		s.Activation, s.OK, err = settleLease(ctx, t, s.Job, now)
		return err
	})
	if err != nil {
		return collector.Settlement{}, err
	}
	return s, nil
}

// addLost stores the failed job of a lease that has none.
func addLost(t *tx, lost jobs.Job) error {
	if lost.Status != jobs.Failed {
		return store.NotLost(lost.ID, lost.Status)
	}
	lost.Workload, lost.Slot = jobs.WorkHook, lost.ID
	n, err := insertJob(t, lost, nil, nil)
	if err == nil && n == 0 {
		return store.LostJobTaken(lost.ID)
	}
	return err
}

// Mend has nothing to do: each intent is one commit.
func (d *DB) Mend(context.Context, time.Time, int) (int, error) { return 0, nil }

// Overdue lists pending jobs past their deadline, by id, those above after.
// The deadline itself is too late, as everywhere.
func (d *DB) Overdue(ctx context.Context, now time.Time, after string, limit int) ([]jobs.Job, error) {
	return list(ctx, d.reader, scanJob, `SELECT `+jobColumns+` FROM jobs
		WHERE status = 'pending' AND id > ? AND deadline <= ? ORDER BY id LIMIT ?`, after, toMS(now), store.Page(limit, store.MaxRepair))
}

// ActivePast lists active activations past their deadline, the oldest deadline
// first.
func (d *DB) ActivePast(ctx context.Context, now time.Time, limit int) ([]hooks.Activation, error) {
	return list(ctx, d.reader, scanActivation, `SELECT `+activationColumns+` FROM activations
		WHERE state = 'active' AND deadline <= ? ORDER BY deadline LIMIT ?`, toMS(now), store.Page(limit, store.MaxRepair))
}

// Unacked lists a peer's pending hook jobs that it has not acknowledged,
// oldest first.
func (d *DB) Unacked(ctx context.Context, peerID string, limit int) ([]jobs.Job, error) {
	return list(ctx, d.reader, scanJob, `SELECT `+jobColumns+` FROM jobs WHERE peer_id = ? AND status = 'pending'
		AND workload = 'hook' AND acked_at = 0 ORDER BY id LIMIT ?`, peerID, store.Page(limit, store.MaxRepair))
}

// Originals lists a peer's newest originals with one of the match keys, with
// their reports, newest first. Each key costs one page of its index, however
// many reports the peer has filed.
func (d *DB) Originals(ctx context.Context, peerID string, keys []string, limit int) ([]jobs.Job, error) {
	if err := store.CheckKeys(keys); err != nil {
		return nil, err
	}
	var found []jobs.Job
	err := d.reader.snapshot(ctx, func(q querier) error {
		ids, err := newestOf(ctx, q, peerID, keys, store.Page(limit, store.MaxPage))
		if err != nil {
			return err
		}
		for _, id := range ids {
			j, err := one(ctx, q, scanWholeJob, `SELECT `+jobColumns+`, report FROM jobs WHERE id = ?`, id)
			if err != nil {
				return err
			}
			found = append(found, j)
		}
		return nil
	})
	return found, err
}

// newestOf merges the newest ids of each key.
func newestOf(ctx context.Context, q querier, peerID string, keys []string, limit int) ([]string, error) {
	var ids []string
	for _, key := range keys {
		some, err := list(ctx, q, scanText, `SELECT job_id FROM job_keys WHERE peer_id = ? AND key = ?
			ORDER BY job_id DESC LIMIT ?`, peerID, key, limit)
		if err != nil {
			return nil, err
		}
		ids = append(ids, some...)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) })
	ids = slices.Compact(ids)
	return ids[:min(limit, len(ids))], nil
}
