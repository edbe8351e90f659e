package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/jobs"
	"hookline/store"
)

// jobColumns are a job without its report.
const jobColumns = `id, peer_id, workload, status, triggered_by, created_at, deadline, sent_at, acked_at, completed_at,
	outcome, failed_code, failed_text, fingerprint, problem_id, package_version, release, original_id, hook, version,
	hook_error, slot, bytes, denied`

// AddReport stores a report job, its match keys and its problem's count in
// one commit. It is idempotent by id, peer and the report itself.
func (d *DB) AddReport(ctx context.Context, j jobs.Job, p collector.Problem) (bool, error) {
	report, err := collector.EncodeReport(j.Report)
	if err != nil {
		return false, err
	}
	digest, keys := sha256.Sum256(report), hooks.MatchKeys(j.Report)
	j.Workload, j.Slot = jobs.WorkReport, ""
	var created bool
	err = d.write(ctx, func(t *tx) error {
		n, err := insertJob(t, j, digest[:], report)
		if err != nil {
			return err
		}
		if created = n == 1; !created {
			return sameReport(ctx, t, j, digest[:])
		}
		if err := addMatchKeys(t, j, keys); err != nil {
			return err
		}
		return countProblem(t, j, p)
	})
	return created && err == nil, err
}

// sameReport refuses an id that holds anything else than this report.
func sameReport(ctx context.Context, t *tx, j jobs.Job, digest []byte) error {
	stored, err := one(ctx, t, scanBytes, `SELECT report_sha256 FROM jobs WHERE id = ? AND peer_id = ? AND workload = ?`,
		j.ID, j.PeerID, string(jobs.WorkReport))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err != nil || !bytes.Equal(stored, digest) {
		return collector.ErrReportTaken(j.ID)
	}
	return nil
}

// addMatchKeys makes an original findable by what hooks match on.
func addMatchKeys(t *tx, j jobs.Job, keys []string) error {
	for _, key := range keys {
		if _, err := t.exec(`INSERT INTO job_keys (peer_id, key, job_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			j.PeerID, key, j.ID); err != nil {
			return err
		}
	}
	return nil
}

// Lease takes a lease and stores its job in one commit. The slot is decided
// here.
func (d *DB) Lease(ctx context.Context, j jobs.Job, now time.Time) error {
	j.Workload, j.Status, j.Slot = jobs.WorkHook, jobs.Pending, jobs.OpenSlot(j.Version, j.OriginalID)
	return d.write(ctx, func(t *tx) error {
		if err := takeLease(ctx, t, j.Version, j.ID, now); err != nil {
			return err
		}
		return addHookJob(ctx, t, j)
	})
}

func addHookJob(ctx context.Context, t *tx, j jobs.Job) error {
	if err := hookJobFits(ctx, t, j); err != nil {
		return err
	}
	_, err := insertJob(t, j, nil, nil)
	return err
}

// hookJobFits looks at what may stand in the way, in the writer, where
// nothing changes between the look and the insert.
func hookJobFits(ctx context.Context, t *tx, j jobs.Job) error {
	type obstacles struct{ id, slot, pending int64 }
	o, err := one(ctx, t, func(s scanner) (o obstacles, err error) {
		err = s.Scan(&o.id, &o.slot, &o.pending)
		return o, err
	}, `SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?),
		EXISTS (SELECT 1 FROM jobs WHERE slot = ? AND slot <> ''),
		(SELECT count(*) FROM jobs WHERE peer_id = ? AND status = 'pending' AND workload = 'hook')`,
		j.ID, j.Slot, j.PeerID)
	switch {
	case err != nil:
		return err
	case o.id != 0:
		return store.JobTaken(j.ID)
	case o.slot != 0:
		return store.AlreadyAsked(j.Version, j.OriginalID)
	case o.pending >= jobs.MaxHooksPerPeer:
		return store.PeerBusy(j.PeerID, o.pending)
	}
	return nil
}

// insertJob returns 0 where the id is taken.
func insertJob(t *tx, j jobs.Job, digest, report []byte) (int64, error) {
	return t.exec(`INSERT INTO jobs (`+jobColumns+`, report_sha256, report)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		j.ID, j.PeerID, string(j.Workload), string(j.Status), j.TriggeredBy,
		toMS(j.CreatedAt), toMS(j.Deadline), toMS(j.SentAt), toMS(j.AckedAt), toMS(j.CompletedAt),
		string(j.Outcome), j.FailedCode, j.FailedText, j.Fingerprint, j.ProblemID, j.PackageVersion, j.Release,
		j.OriginalID, j.Hook, j.Version, j.HookError, j.Slot, j.Bytes, j.Denied, digest, report)
}

// MarkSent stamps a pending job sent; first is true for one caller only, and
// never for a job that is no longer pending.
func (d *DB) MarkSent(ctx context.Context, id string, now time.Time) (bool, error) {
	var first bool
	err := d.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE jobs SET sent_at = ? WHERE id = ? AND status = 'pending' AND sent_at = 0`, toMS(now), id)
		if first = n == 1; first || err != nil {
			return err
		}
		_, err = hookJob(ctx, t, id)
		return err
	})
	return first && err == nil, err
}

// MarkAcked stamps jobs acknowledged, each once.
func (d *DB) MarkAcked(ctx context.Context, acks []collector.Ack) error {
	return d.write(ctx, func(t *tx) error {
		for _, a := range acks {
			_, err := t.exec(`UPDATE jobs SET acked_at = ? WHERE id = ? AND workload = 'hook' AND acked_at = 0`, toMS(a.At), a.JobID)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Settle decides a job, stores its result, settles its lease and ends its
// activation where that was the last that it needed, in one commit: a result
// is there if its job succeeded, and need not be hidden before.
func (d *DB) Settle(ctx context.Context, id string, c jobs.Decision, r *collector.Result, now time.Time) (s collector.Settlement, err error) {
	if err := collector.CheckDecision(id, c, r); err != nil {
		return s, err
	}
	err = d.write(ctx, func(t *tx) (err error) {
		if s.Job, s.OK, err = decide(ctx, t, id, c, r, now); err != nil {
			return err
		}
		if !s.OK {
			s.Activation, err = activation(ctx, t, s.Job.Version)
			return err
		}
		s.Activation, _, err = settleLease(ctx, t, s.Job, now)
		return err
	})
	if err != nil {
		return collector.Settlement{}, err
	}
	return s, nil
}

// decide ends a pending job and stores its result. A job that has ended
// already is returned as it is, with ok false.
func decide(ctx context.Context, t *tx, id string, c jobs.Decision, r *collector.Result, now time.Time) (j jobs.Job, ok bool, err error) {
	var size int64
	if r != nil {
		size = r.Bytes
	}
	j, err = one(ctx, t, scanJob, `UPDATE jobs SET status = ?1, outcome = ?2, failed_code = ?3, failed_text = ?4, hook_error = ?5,
		bytes = ?6, denied = ?7, completed_at = ?8, slot = iif(?1 = 'failed', id, slot)
		WHERE id = ?9 AND status = 'pending' AND workload = 'hook' RETURNING `+jobColumns,
		string(c.Status), string(c.Outcome), c.Code, c.Text, c.HookError, size, c.Denied, toMS(now), id)
	if errors.Is(err, sql.ErrNoRows) {
		j, err = hookJob(ctx, t, id)
		return j, false, err
	}
	if err == nil && r != nil {
		err = addResult(t, *r)
	}
	return j, err == nil, err
}

// hookJob reads a hook job inside the writer.
func hookJob(ctx context.Context, t *tx, id string) (jobs.Job, error) {
	j, err := one(ctx, t, scanJob, `SELECT `+jobColumns+` FROM jobs WHERE id = ? AND workload = 'hook'`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return j, store.NoJob(id)
	}
	return j, err
}

// Job reads a job with its report; errs.CodeNotFound.
func (d *DB) Job(ctx context.Context, id string) (jobs.Job, error) {
	j, err := one(ctx, d.reader, scanWholeJob, `SELECT `+jobColumns+`, report FROM jobs WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return j, store.NoJob(id)
	}
	return j, err
}

// Jobs lists jobs without their reports.
func (d *DB) Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error) {
	low, high := store.Span(f.From, f.Until, f.After, f.Oldest)
	w := jobsOf(f, low, high)
	query, args := w.list(jobColumns, "jobs", f.Oldest, f.Limit)
	return list(ctx, d.reader, scanJob, query, args...)
}

// jobsOf are the jobs of a filter with ids from low to below high.
func jobsOf(f jobs.Filter, low, high string) *narrowed {
	w := within(low, high)
	w.and("original_id = ? AND original_id <> ''", f.Original)
	w.and("problem_id = ? AND problem_id <> ''", f.ProblemID)
	w.and("peer_id = ?", f.PeerID)
	w.and("version = ? AND version <> ''", f.Version)
	w.both("workload = ?", string(f.Workload), "status = ?", string(f.Status))
	return w
}

func scanJob(s scanner) (jobs.Job, error) { return scanJobAnd(s) }

func scanWholeJob(s scanner) (jobs.Job, error) {
	var report []byte
	j, err := scanJobAnd(s, &report)
	if err != nil || report == nil {
		return j, err
	}
	return j, json.Unmarshal(report, &j.Report)
}

// scanJobAnd reads jobColumns and what follows them.
func scanJobAnd(s scanner, more ...any) (jobs.Job, error) {
	var j jobs.Job
	var created, deadline, sent, acked, completed int64
	err := s.Scan(append([]any{
		&j.ID, &j.PeerID, &j.Workload, &j.Status, &j.TriggeredBy,
		&created, &deadline, &sent, &acked, &completed,
		&j.Outcome, &j.FailedCode, &j.FailedText, &j.Fingerprint, &j.ProblemID, &j.PackageVersion, &j.Release,
		&j.OriginalID, &j.Hook, &j.Version, &j.HookError, &j.Slot, &j.Bytes, &j.Denied,
	}, more...)...)
	j.CreatedAt, j.Deadline, j.CompletedAt = fromMS(created), fromMS(deadline), fromMS(completed)
	j.SentAt, j.AckedAt = fromMS(sent), fromMS(acked)
	return j, err
}
