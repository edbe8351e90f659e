package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	lib "modernc.org/sqlite/lib"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/store/archive"
)

var _ archive.Target = (*DB)(nil)

// errCheckOnly takes back what ArchiveCheck has tried.
var errCheckOnly = errors.New("tried only")

// ArchiveEmpty reports whether no table of records has a row.
func (d *DB) ArchiveEmpty(ctx context.Context) (bool, error) {
	n, err := one(ctx, d.reader, scanInt, `SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM tokens)
		OR EXISTS (SELECT 1 FROM peers) OR EXISTS (SELECT 1 FROM hook_versions) OR EXISTS (SELECT 1 FROM activations)
		OR EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM problems) OR EXISTS (SELECT 1 FROM hook_results)
		OR EXISTS (SELECT 1 FROM comments) OR EXISTS (SELECT 1 FROM audit) OR EXISTS (SELECT 1 FROM foreign_records)`)
	return n == 0, err
}

// ArchiveMark reads how far an import has come.
func (d *DB) ArchiveMark(ctx context.Context) (archive.Mark, error) { return importMark(ctx, d.reader) }

func importMark(ctx context.Context, q querier) (archive.Mark, error) {
	m, err := one(ctx, q, func(s scanner) (m archive.Mark, err error) {
		err = s.Scan(&m.Archive, &m.Records)
		return m, err
	}, `SELECT archive, records FROM imports WHERE id = 1`)
	if errors.Is(err, sql.ErrNoRows) {
		return archive.Mark{}, nil
	}
	return m, err
}

// ArchiveDone removes the mark.
func (d *DB) ArchiveDone(ctx context.Context) error {
	return d.write(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM imports WHERE id = 1`)
		return err
	})
}

// ArchivePut stores records and the mark in one commit.
func (d *DB) ArchivePut(ctx context.Context, all []archive.Record, m archive.Mark) error {
	return d.write(ctx, func(t *tx) error {
		if err := putRecords(ctx, t, all); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO imports (id, archive, records) VALUES (1, ?, ?)
			ON CONFLICT (id) DO UPDATE SET archive = excluded.archive, records = excluded.records`, m.Archive, m.Records)
		return err
	})
}

// ArchiveCheck stores records and takes them back. What they refer to is not
// asked for.
func (d *DB) ArchiveCheck(ctx context.Context, all []archive.Record) error {
	err := d.write(ctx, func(t *tx) error {
		if _, err := t.exec("PRAGMA defer_foreign_keys = on"); err != nil {
			return err
		}
		if err := checkPlaces(ctx, t, all); err != nil {
			return err
		}
		if err := putRecords(ctx, t, all); err != nil {
			return err
		}
		return errCheckOnly
	})
	if errors.Is(err, errCheckOnly) {
		return nil
	}
	return err
}

// checkPlaces refuses a pending job of a peer that has any in the store: the
// archive alone may have as many as there may be.
func checkPlaces(ctx context.Context, t *tx, all []archive.Record) error {
	for _, r := range all {
		j, ok := r.Value.(jobs.Job)
		if !ok || j.Workload != jobs.WorkHook || j.Status != jobs.Pending {
			continue
		}
		taken, err := one(ctx, t, scanInt, `SELECT NOT EXISTS (SELECT 1 FROM jobs WHERE id = ?)
			AND EXISTS (SELECT 1 FROM jobs WHERE peer_id = ? AND status = 'pending' AND workload = 'hook')`, j.ID, j.PeerID)
		if err != nil {
			return err
		}
		if taken != 0 {
			return archive.Contradicts(r, "its peer has another pending hook job in the store")
		}
	}
	return nil
}

func putRecords(ctx context.Context, t *tx, all []archive.Record) error {
	for _, r := range all {
		err := putRecord(ctx, t, r)
		if resultCode(err)&0xff == lib.SQLITE_CONSTRAINT || errs.Is(err, errs.CodeAlreadyAsked) || errs.Is(err, errs.CodePeerBusy) {
			err = archive.Contradicts(r, "the store has something in its place").WithDetail("%v", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// putRecord adds a record, where it is not there with the same content.
func putRecord(ctx context.Context, t *tx, r archive.Record) error {
	have, err := record(ctx, t, r.Kind, r.Key)
	if errors.Is(err, sql.ErrNoRows) {
		return insertRecord(t, r)
	}
	if err != nil {
		return err
	}
	return archive.Same(r, have)
}

func insertRecord(t *tx, r archive.Record) error {
	extra, err := extraColumn(r.Extra)
	if err != nil {
		return err
	}
	switch v := r.Value.(type) {
	case auth.User:
		values, err := userValues(v)
		if err != nil {
			return err
		}
		return insert(t, "users", userColumns, append(values, extra)...)
	case auth.Token:
		return insert(t, "tokens", tokenColumns, v.ID, string(v.Kind), v.Hash[:], v.User, v.Name, toMS(v.CreatedAt),
			toMS(v.ExpiresAt), toMS(v.SessionUntil), extra)
	case enroll.Peer:
		values, err := peerValues(v)
		if err != nil {
			return err
		}
		return insert(t, "peers", peerColumns, append(values, extra)...)
	case review.Version:
		return putVersion(t, v, extra)
	case review.Review:
		return insert(t, "reviews", reviewColumns, v.ID, v.Version, v.User, v.Person, v.KeyID, string(v.Verdict), v.Comment, v.Signature, toMS(v.At), extra)
	case review.Comment:
		n, err := one(context.Background(), t, scanInt, `SELECT count(*) FROM comments WHERE version = ?`, v.Version)
		if err == nil && n >= review.MaxComments {
			err = archive.Contradicts(r, "its version has as many comments as it may have")
		}
		if err != nil {
			return err
		}
		return insert(t, "comments", commentColumns, append(commentValues(v), extra)...)
	case archive.Activation:
		return putActivation(t, v, extra)
	case jobs.Job:
		return putJob(t, v, extra)
	case collector.Problem:
		return insert(t, "problems", problemColumns, v.ID, v.Fingerprint, v.Package, v.Executable, v.Reports, toMS(v.FirstSeen), toMS(v.LastSeen), extra)
	case collector.Result:
		return insert(t, "hook_results", resultColumns, append(resultValues(v), extra)...)
	case auth.Entry:
		return insert(t, "audit", auditColumns, v.ID, toMS(v.At), v.Actor, v.TokenID, v.Action, v.Target, v.Detail, v.Outcome, extra)
	case archive.Foreign:
		_, err := t.exec(`INSERT INTO foreign_records (kind, key, data) VALUES (?, ?, ?)`, string(r.Kind), r.Key, string(v))
		return err
	}
	return fmt.Errorf("cannot import a %T", r.Value)
}

// extraColumn is NULL without extra fields.
func extraColumn(e archive.Extra) (any, error) {
	if len(e) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(e)
	return string(b), err
}

// insert adds a row with these columns and the extra fields.
func insert(t *tx, table, columns string, values ...any) error {
	_, err := t.exec(`INSERT INTO `+table+` (`+columns+`, extra) VALUES (?`+strings.Repeat(", ?", len(values)-1)+`)`, values...)
	return err
}

func putVersion(t *tx, v review.Version, extra any) error {
	err := insert(t, "hook_versions", strings.ReplaceAll(versionColumns, "v.", ""), v.Digest, v.Hook, v.Number, string(v.State),
		notNil(v.Manifest), notNil(v.Script), notNil(v.Statement), v.SubmittedBy, toMS(v.SubmittedAt), extra)
	for _, file := range v.Signatures {
		if err == nil {
			err = addSignature(t, v.Digest, file)
		}
	}
	if err != nil {
		return err
	}
	return listVersion(t, v)
}

func putActivation(t *tx, a archive.Activation, extra any) error {
	keys, err := json.Marshal(a.Keys)
	if err != nil {
		return err
	}
	l := a.Ledger
	if err := insert(t, "activations", activationColumns, a.Digest, a.Hook, string(a.State), a.Reason, string(keys), a.Quantity,
		toMS(a.Deadline), a.MaxBytes, a.Rollout.Percent, a.Rollout.PerMinute, l.Issued, l.Leased, l.Received, l.Empty, l.Failed,
		l.Refused, l.Deferred, l.Cancelled, l.TimedOut, l.Bytes, l.Reserved, toMS(a.CreatedAt), toMS(a.ChangedAt), extra); err != nil {
		return err
	}
	for _, lease := range a.Leases {
		if _, err := t.exec(`INSERT INTO leases (id, version, reserved, taken_at) VALUES (?, ?, ?, ?)`,
			lease.ID, a.Digest, lease.Reserved, toMS(lease.TakenAt)); err != nil {
			return err
		}
	}
	return indexKeys(t, a.Digest)
}

// putJob adds a job with what a report's fields make findable. The peer's
// places are counted here, as they are when a job is made.
func putJob(t *tx, j jobs.Job, extra any) error {
	if j.Workload == jobs.WorkHook && j.Status == jobs.Pending {
		if err := hookJobFits(context.Background(), t, j); err != nil {
			return err
		}
	}
	var digest, report []byte
	if j.Report != nil {
		var err error
		if report, err = collector.EncodeReport(j.Report); err != nil {
			return err
		}
		sum := sha256.Sum256(report)
		digest = sum[:]
	}
	n, err := insertJob(t, j, digest, report)
	if err != nil || n == 0 {
		return errors.Join(err, errs.New(errs.CodeConflict, "cannot import job %q: the id is taken", j.ID))
	}
	if extra != nil {
		if _, err := t.exec(`UPDATE jobs SET extra = ? WHERE id = ?`, extra, j.ID); err != nil {
			return err
		}
	}
	if j.Workload != jobs.WorkReport {
		return nil
	}
	return addMatchKeys(t, j, hooks.MatchKeys(j.Report))
}
