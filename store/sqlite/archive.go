package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"hookline/collector"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/store/archive"
)

// rows says where the records of a kind are: the columns that scan reads, and
// the one that orders them.
type rows struct {
	table   string
	columns string
	key     string
	scan    func(scanner) (key string, value any, err error)
}

// rowsOf knows the kinds but reviews and comments, whose key is made of two columns.
func rowsOf(k archive.Kind) (r rows, ok bool) {
	switch k {
	case archive.KindUser:
		return rows{"users", userColumns, "name", keyed(scanUser, func(v auth.User) string { return v.Name })}, true
	case archive.KindToken:
		return rows{"tokens", tokenColumns, "id", keyed(scanToken, func(v auth.Token) string { return v.ID })}, true
	case archive.KindPeer:
		return rows{"peers", peerColumns, "id", keyed(scanPeer, func(v enroll.Peer) string { return v.ID })}, true
	case archive.KindVersion:
		return rows{"hook_versions v", versionColumns, "digest", keyed(scanVersion, func(v review.Version) string { return v.Digest })}, true
	case archive.KindActivation:
		return rows{"activations", activationColumns, "digest", keyed(scanArchived, func(v archive.Activation) string { return v.Digest })}, true
	case archive.KindJob:
		return rows{"jobs", jobColumns + ", report", "id", keyed(scanWholeJob, func(v jobs.Job) string { return v.ID })}, true
	case archive.KindProblem:
		return rows{"problems", problemColumns, "id", keyed(scanProblem, func(v collector.Problem) string { return v.ID })}, true
	case archive.KindResult:
		return rows{"hook_results", resultColumns, "id", keyed(scanResult, func(v collector.Result) string { return v.ID })}, true
	case archive.KindAudit:
		return rows{"audit", auditColumns, "id", keyed(scanEntry, func(v auth.Entry) string { return v.ID })}, true
	}
	return r, false
}

// ofVersions knows the kinds whose key is <version>/<id>.
func ofVersions(k archive.Kind) (r rows, ok bool) {
	switch k { //nolint:exhaustive // see rowsOf
	case archive.KindReview:
		return rows{table: "reviews", columns: reviewColumns, scan: keyed(scanReview, archive.ReviewKey)}, true
	case archive.KindComment:
		return rows{table: "comments", columns: commentColumns, scan: keyed(scanComment, archive.CommentKey)}, true
	}
	return r, false
}

func keyed[T any](scan func(scanner) (T, error), key func(T) string) func(scanner) (string, any, error) {
	return func(s scanner) (string, any, error) {
		v, err := scan(s)
		return key(v), v, err
	}
}

func scanArchived(s scanner) (archive.Activation, error) {
	a, err := scanActivation(s)
	return archive.Activation{Activation: a}, err
}

// withExtra is a row whose last column is what the row's type does not know.
type withExtra struct {
	scanner
	extra *sql.NullString
}

func (s withExtra) Scan(into ...any) error { return s.scanner.Scan(append(into, s.extra)...) }

// scanRecord reads a row of a kind with its extra fields.
func scanRecord(k archive.Kind, scan func(scanner) (string, any, error)) func(scanner) (archive.Record, error) {
	return func(s scanner) (r archive.Record, err error) {
		var extra sql.NullString
		r.Kind = k
		if r.Key, r.Value, err = scan(withExtra{s, &extra}); err != nil || !extra.Valid {
			return r, err
		}
		return r, json.Unmarshal([]byte(extra.String), &r.Extra)
	}
}

// records lists the records of a kind above a key.
func records(ctx context.Context, q querier, k archive.Kind, after string, limit int) ([]archive.Record, error) {
	if r, ok := ofVersions(k); ok {
		version, id, _ := strings.Cut(after, "/")
		return list(ctx, q, scanRecord(k, r.scan), `SELECT `+r.columns+`, extra FROM `+r.table+`
			WHERE (version, id) > (?, ?) ORDER BY version, id LIMIT ?`, version, id, limit)
	}
	r, known := rowsOf(k)
	if !known {
		return list(ctx, q, scanForeign(k), `SELECT key, data FROM foreign_records WHERE kind = ? AND key > ? ORDER BY key LIMIT ?`,
			string(k), after, limit)
	}
	all, err := list(ctx, q, scanRecord(k, r.scan), `SELECT `+r.columns+`, extra FROM `+r.table+
		` WHERE `+r.key+` > ? ORDER BY `+r.key+` LIMIT ?`, after, limit)
	return completed(ctx, q, all, err)
}

// record reads one record; sql.ErrNoRows where there is none.
func record(ctx context.Context, q querier, k archive.Kind, key string) (archive.Record, error) {
	if r, ok := ofVersions(k); ok {
		version, id, _ := strings.Cut(key, "/")
		return one(ctx, q, scanRecord(k, r.scan), `SELECT `+r.columns+`, extra FROM `+r.table+` WHERE version = ? AND id = ?`, version, id)
	}
	r, known := rowsOf(k)
	if !known {
		return one(ctx, q, scanForeign(k), `SELECT key, data FROM foreign_records WHERE kind = ? AND key = ?`, string(k), key)
	}
	found, err := one(ctx, q, scanRecord(k, r.scan), `SELECT `+r.columns+`, extra FROM `+r.table+` WHERE `+r.key+` = ?`, key)
	if err != nil {
		return found, err
	}
	all, err := completed(ctx, q, []archive.Record{found}, nil)
	if err != nil {
		return found, err
	}
	return all[0], nil
}

// completed adds what stands in other tables: signature files and leases.
func completed(ctx context.Context, q querier, all []archive.Record, err error) ([]archive.Record, error) {
	for i := range all {
		if err != nil {
			return nil, err
		}
		switch v := all[i].Value.(type) {
		case review.Version:
			v.Signatures, err = list(ctx, q, scanBytes, `SELECT file FROM signatures WHERE version = ? ORDER BY position`, v.Digest)
			all[i].Value = v
		case archive.Activation:
			v.Leases, err = list(ctx, q, scanLease, `SELECT id, version, reserved, taken_at FROM leases WHERE version = ? ORDER BY id`, v.Digest)
			all[i].Value = v
		}
	}
	return all, err
}

func scanForeign(k archive.Kind) func(scanner) (archive.Record, error) {
	return func(s scanner) (archive.Record, error) {
		var data string
		r := archive.Record{Kind: k}
		err := s.Scan(&r.Key, &data)
		r.Value = archive.Foreign(data)
		return r, err
	}
}
