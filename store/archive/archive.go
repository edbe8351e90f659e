// Package archive moves a whole store: out of one backend into a file, and
// from the file into another, for a move or as a backup. The file is the same,
// byte by byte, whichever backend its content comes from.
//
// An archive is zstd over lines of JSON:
//
//	{"format":"hookline-archive","version":1}
//	{"kind":"user","key":"alice","data":{"created_at":"2026-03-01T12:00:00.123Z","roles":["admin"]}}
//	{"kind":"user","count":1,"sha256":"…"}      of the lines of the kind
//	…
//	{"total":1234,"sha256":"…"}                 of all lines before
//
// Each record has one form only: the keys of data are sorted, "<" is not
// escaped, times are UTC with milliseconds or null, bytes are base64. A reader
// refuses every other, and with it keys that come twice. Every kind of Kinds
// has its section, empty or not; kinds that a later version adds, as those of
// Later are, come after them by name, and only where they have records. So are
// fields that a later version adds: one that is zero is left out. Fields and
// kinds that this version does not know are kept and written again.
//
// Browsers' sessions are not moved: they are no records, each is good on one
// machine for hours, and in a backup they would be secrets that outlive it.
// Whoever is signed in signs in again. What signing in takes is moved: the
// hashes of passwords, as those of tokens.
package archive

import (
	"context"
	"encoding/json"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/review"
)

// Kind is what a record is. The kinds are written in the order of Kinds, and
// the records of one kind by key, in the order of their bytes.
type Kind string

// The kinds and what Record.Value is for each.
const (
	KindUser       Kind = "user"       // auth.User
	KindToken      Kind = "token"      // auth.Token
	KindPeer       Kind = "peer"       // enroll.Peer
	KindVersion    Kind = "version"    // review.Version, with its signature files
	KindReview     Kind = "review"     // review.Review; after the versions
	KindActivation Kind = "activation" // Activation
	KindJob        Kind = "job"        // jobs.Job, with its report
	KindProblem    Kind = "problem"    // collector.Problem
	KindResult     Kind = "result"     // collector.Result
	KindAudit      Kind = "audit"      // auth.Entry
	KindComment    Kind = "comment"    // review.Comment
)

// Kinds lists the kinds that every archive has, in the order of the file.
func Kinds() []Kind {
	return []Kind{
		KindUser, KindToken, KindPeer, KindVersion, KindReview, KindActivation, KindJob, KindProblem, KindResult, KindAudit,
	}
}

// Later lists the kinds that the first archives did not have, by name.
func Later() []Kind { return []Kind{KindComment} }

// Activation is an activation with its leases that are out, by id.
type Activation struct {
	hooks.Activation
	Leases []collector.Lease
}

// Extra are the fields of a record that this version does not know. A backend
// keeps them beside the record and gives them back.
type Extra map[string]json.RawMessage

// Record is one row of a store.
type Record struct {
	Kind  Kind
	Key   string // unique within the kind: the row's id, name or digest; of a review ReviewKey, of a comment CommentKey
	Value any    // see the kinds; of a kind that this version does not know Foreign
	Extra Extra  // nil without any
}

// Foreign is the data of a record whose kind this version does not know, as it
// stands in the file.
type Foreign json.RawMessage

// ReviewKey is the key of a review: reviews stand by version, then by id.
func ReviewKey(r review.Review) string { return r.Version + "/" + r.ID }

// CommentKey is the key of a comment: comments stand by version, then by id.
func CommentKey(c review.Comment) string { return c.Version + "/" + c.ID }

// Source is a store that can be read from end to end.
type Source interface {
	// ArchiveBegin prepares a read of the whole store, in which nothing changes any more where the backend can hold
	// one state (SQLite), and where no half done change is left where it cannot (MongoDB). end gives back what it holds,
	// and refuses a read during which records came or went (errs.CodeConflict).
	ArchiveBegin(ctx context.Context) (end func() error, err error)
	// ArchivePage lists the records of a kind by key, those above after, at most limit.
	ArchivePage(ctx context.Context, kind Kind, after string, limit int) ([]Record, error)
	// ArchiveForeign lists the kinds of the records that this version does not know, by name.
	ArchiveForeign(ctx context.Context) ([]Kind, error)
}

// Mark says how far an import has come. The zero Mark says that none is under
// way.
type Mark struct {
	Archive string `json:"archive"` // hex SHA-256 of the file's content
	Records int64  `json:"records"` // that are in the store
}

// Unfinished refuses a store with this mark to all but another import: nil for
// the zero Mark, else errs.CodeUnavailable.
func (m Mark) Unfinished() error {
	if m == (Mark{}) {
		return nil
	}
	return errs.New(errs.CodeUnavailable, "an import into it is not finished").
		WithHint("run hookline admin import again with the same archive (its content has the SHA-256 %s), which goes on where it stopped; or begin with a new store", m.Archive)
}

// Target is a store that can be filled.
type Target interface {
	// ArchiveEmpty reports whether there is no record of any kind.
	ArchiveEmpty(ctx context.Context) (bool, error)
	// ArchiveCheck says what ArchivePut would refuse of records, and changes nothing. What they refer to may be missing.
	ArchiveCheck(ctx context.Context, records []Record) error
	// ArchivePut stores records of one kind, and then, or in the same commit, the mark. A record that is there with
	// the same content is left as it is; one with other content is errs.CodeConflict, which names it.
	ArchivePut(ctx context.Context, records []Record, m Mark) error
	// ArchiveMark reads the mark. A server refuses to start on a store that has one.
	ArchiveMark(ctx context.Context) (Mark, error)
	// ArchiveDone removes the mark: the import is whole.
	ArchiveDone(ctx context.Context) error
}
