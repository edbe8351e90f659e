// Package archive moves a whole store: out of one backend into a file, and
// from the file into another, for a move or as a backup. The file is the same,
// byte by byte, whichever backend its content comes from.
package archive

import (
	"context"
	"encoding/json"

	"hookline/collector"
	"hookline/hooks"
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
	KindReview     Kind = "review"     // review.Review; after the version it is about
	KindActivation Kind = "activation" // Activation
	KindJob        Kind = "job"        // jobs.Job, with its report
	KindProblem    Kind = "problem"    // collector.Problem
	KindResult     Kind = "result"     // collector.Result
	KindAudit      Kind = "audit"      // auth.Entry
)

// Kinds lists all kinds in the order of the file.
func Kinds() []Kind {
	return []Kind{
		KindUser, KindToken, KindPeer, KindVersion, KindReview, KindActivation, KindJob, KindProblem, KindResult, KindAudit,
	}
}

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
	Key   string // unique within the kind: the row's id, name or digest; of a review its id
	Value any    // see the kinds
	Extra Extra  // nil without any
}

// Source is a store that can be read from end to end.
type Source interface {
	// ArchiveBegin prepares a read of the whole store, in which nothing changes any more where the backend can hold
	// one state (SQLite), and where no half done change is left where it cannot (MongoDB). end gives back what it holds.
	ArchiveBegin(ctx context.Context) (end func() error, err error)
	// ArchivePage lists the records of a kind by key, those above after, at most limit.
	ArchivePage(ctx context.Context, kind Kind, after string, limit int) ([]Record, error)
}

// Mark says how far an import has come. The zero Mark says that none is under
// way.
type Mark struct {
	Archive string `json:"archive"` // hex SHA-256 of the file's content
	Records int64  `json:"records"` // that are in the store
}

// Target is a store that can be filled.
type Target interface {
	// ArchiveEmpty reports whether there is no record of any kind.
	ArchiveEmpty(ctx context.Context) (bool, error)
	// ArchivePut stores records of one kind, and then, or in the same commit, the mark. A record that is there with
	// the same content is left as it is; one with other content is errs.CodeConflict, which names it.
	ArchivePut(ctx context.Context, records []Record, m Mark) error
	// ArchiveMark reads the mark. A server refuses to start on a store that has one.
	ArchiveMark(ctx context.Context) (Mark, error)
	// ArchiveDone removes the mark: the import is whole.
	ArchiveDone(ctx context.Context) error
}
