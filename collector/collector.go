// Package collector turns reports into hook runs and hook runs into results:
// matching, leases, uploads, settling, expiry, and recovery from a crash.
//
// The order is always lease → send → settle. Lease stores a job with its
// lease, Settle a decision with all that follows from it; each is one intent
// of the store, which says there what a backend may go through on the way.
// Whatever a crash leaves, Recover puts right from the jobs, which are the
// only truth.
package collector

import (
	"context"
	"time"

	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// Result is the new fields of one hook job. ID is the hook job's id, JobID
// the original job's. It shows only when its job has succeeded.
type Result struct {
	ID        string
	JobID     string
	Hook      string
	Version   string
	PeerID    string
	ProblemID string
	Level     hooks.Level // of the hook
	Package   string      // that the original report names, at most 128 bytes; "" where it names none
	Fields    []byte      // canonical JSON of the new fields
	Bytes     int64       // len(Fields)
	CreatedAt time.Time
}

// Problem is a bucket of reports with one fingerprint. ID is the first 32 hex
// digits of the fingerprint's SHA-256.
type Problem struct {
	ID          string
	Fingerprint string
	Package     string
	Executable  string
	Reports     int64
	FirstSeen   time.Time
	LastSeen    time.Time
}

// Lease is the right of one hook job to bring one result.
type Lease struct {
	ID       string // = job id
	Version  string // activation
	Reserved int64  // bytes
	TakenAt  time.Time
}

// Jobs is the life of a job. Each method is atomic for everybody who looks: a
// refusal leaves nothing behind.
//
// A backend with transactions does each in one commit. One without goes
// through single-document conditional updates, in this order:
//
//   - Lease: the lease (issued, leased) → the job. A refused job takes the
//     lease back, uncounted.
//   - Settle: the result, hidden, and its bytes reserved → the job, the only
//     decision → the result shows → the lease's end (ledger, state). The lease
//     goes last: while it is out, there may be something left to do.
//
// A crash in between leaves a lease without a job, or the lease of a decided
// job; Repairs.RecoverLease goes on from there.
type Jobs interface {
	// AddReport inserts a succeeded report job and counts its problem. created is false where the same peer has
	// already stored the same report under this id; errs.CodeConflict where the id belongs to anything else.
	AddReport(ctx context.Context, j jobs.Job, p Problem) (created bool, err error)
	// Lease takes a lease of j.Version and stores the pending job j under the same id. It refuses with
	// CodeHookNotActive, CodeDeadlineReached, CodeQuantityReached (received+leased = quantity), CodeLeasesOut,
	// CodeAlreadyAsked (the slot is taken), CodePeerBusy (the peer has jobs.MaxHooksPerPeer pending ones) and
	// CodeConflict (the id is taken).
	Lease(ctx context.Context, j jobs.Job, now time.Time) error
	// MarkSent stamps a pending job sent; first is true only once.
	MarkSent(ctx context.Context, id string, now time.Time) (first bool, err error)
	// MarkAcked stamps hook jobs acknowledged, each once, also those that were decided meanwhile. Ids that are
	// no hook job are left out.
	MarkAcked(ctx context.Context, acks []Ack) error
	// Settle decides a pending hook job, ends its lease with its reservation, counts the outcome, and moves an
	// activation that has thereby reached a bound out of active, as Conclude says. A success with outcome received
	// has its result r, which shows from then on; any other decision has none (CodeBadInput). A job that was decided
	// before keeps that decision: OK is false and nothing changes. CodeNotFound: no such hook job;
	// CodeBytesReached: settled + r would exceed max_bytes; CodeRateLimited: only others' reservations are in the way.
	Settle(ctx context.Context, id string, d jobs.Decision, r *Result, now time.Time) (Settlement, error)
}

// Ack says when a peer acknowledged a job.
type Ack struct {
	JobID string
	At    time.Time
}

// Settlement is how a job stands after a call that may have settled it.
type Settlement struct {
	OK         bool             // this call settled the job
	Job        jobs.Job         // as it is now
	Activation hooks.Activation // as it is now, of Job.Version
}

// Activations is the ledger side of the store.
type Activations interface {
	// ActiveByKeys finds active activations by match key, over one index.
	ActiveByKeys(ctx context.Context, keys []string) ([]hooks.Activation, error)
	// ActivePast lists active activations whose deadline is at or before now, the oldest first; with a time far ahead, all of them.
	ActivePast(ctx context.Context, now time.Time, limit int) ([]hooks.Activation, error)
	// Reserve adds n bytes to the lease; a negative n gives back, at most all of it. CodeBytesReached: settled + this lease's would exceed max_bytes;
	// CodeRateLimited: only other reservations are in the way; CodeNotFound: no such lease.
	Reserve(ctx context.Context, version, lease string, n int64) error
	// ChangeState moves an activation from → to (expired, paused) with a reason; ok is false where it was not in from.
	ChangeState(ctx context.Context, version string, from, to hooks.State, reason string, now time.Time) (ok bool, err error)
}

// ResultFilter narrows a list of results, newest first; zero members do not
// narrow. A result's time is the one that its id, a UUIDv7, says.
type ResultFilter struct {
	JobID     string
	Hook      string
	Version   string
	ProblemID string
	PeerID    string
	Level     hooks.Level
	Package   string
	From      time.Time // no older ones
	Until     time.Time // older ones only
	Oldest    bool      // the oldest first
	After     string    // keyset: results behind this id in the list
	Limit     int       // 1..200
}

// ProblemSort is an order of problems, descending, ties by id.
type ProblemSort string

// The orders of problems.
const (
	ByLastSeen  ProblemSort = "last-seen" // the default
	ByFirstSeen ProblemSort = "first-seen"
	ByReports   ProblemSort = "reports"
)

// ProblemFilter narrows and orders a list of problems; zero members do not narrow.
type ProblemFilter struct {
	Package string
	Sort    ProblemSort // "" is ByLastSeen
	Least   bool        // ascending
	After   string      // keyset, see ProblemCursor
	Limit   int         // 1..200
}

// ProblemCount is a problem with its reports in a span of time.
type ProblemCount struct {
	Problem Problem
	Reports int64
}

// Counts are what charts are made of. Each is bounded: where there is more than
// it may look at, it looks at the newest and says so.
type Counts interface {
	// CountJobs counts the jobs of each span between two of the times, which rise: len(times)-1 counts, none of which
	// goes beyond most. From, Until, Oldest, After and Limit of f are not used.
	CountJobs(ctx context.Context, f jobs.Filter, times []time.Time, most int64) ([]int64, error)
	// BusyProblems are the problems with most reports among the newest `sample` ones in [from, until), the busiest
	// first, ties by id, at most limit; looked is how many reports were looked at.
	BusyProblems(ctx context.Context, from, until time.Time, sample int64, limit int) (list []ProblemCount, looked int64, err error)
}

// Queries are the reads.
type Queries interface {
	Job(ctx context.Context, id string) (jobs.Job, error)        // errs.CodeNotFound
	Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error) // newest first; reports without their fields
	Activation(ctx context.Context, version string) (hooks.Activation, error)
	Problem(ctx context.Context, id string) (Problem, error)
	Problems(ctx context.Context, f ProblemFilter) ([]Problem, error)
}

// Repairs is what Recover and the sweeper need.
type Repairs interface {
	// Leases lists leases that are out, by id, keyset.
	Leases(ctx context.Context, after string, limit int) ([]Lease, error)
	// RecoverLease ends a lease that a crash left out: where it has no job, lost, a failed one, is stored under its
	// id, so that a stalled sender collides and never sends; then, and where its job is decided, the lease is
	// settled with the job's outcome, as Settle does. OK is false where the job is pending or the lease gone.
	RecoverLease(ctx context.Context, lost jobs.Job, now time.Time) (Settlement, error)
	// Overdue lists pending jobs whose deadline is at or before now, by id, keyset.
	Overdue(ctx context.Context, now time.Time, after string, limit int) ([]jobs.Job, error)
	// Mend finishes what a stopped server left half done besides leases, where it began before `before`, at most
	// limit of each kind; n tells how much it finished. A backend that commits intents whole has nothing to mend.
	Mend(ctx context.Context, before time.Time, limit int) (n int, err error)
}

// Dispatch is what a peer needs to run a hook: the very bytes that people signed.
type Dispatch struct {
	Job        jobs.Job
	Statement  []byte
	Script     []byte
	Signatures [][]byte
}

// Peers is what the collector asks about peers and their jobs.
type Peers interface {
	Peer(ctx context.Context, id string) (enroll.Peer, error) // errs.CodeNotFound
	// Peers lists by id, keyset.
	Peers(ctx context.Context, after string, limit int) ([]enroll.Peer, error)
	// Unacked lists a peer's pending hook jobs that it has not acknowledged, oldest first.
	Unacked(ctx context.Context, peerID string, limit int) ([]jobs.Job, error)
	// Originals lists a peer's newest report (and bundle) jobs with one of the match keys, with their fields.
	Originals(ctx context.Context, peerID string, keys []string, limit int) ([]jobs.Job, error)
}

// Signed is the content of an approved version, as people signed it. Refused
// says why it does not count any more, nil where it does: then nobody is asked.
type Signed struct {
	Statement  []byte
	Script     []byte
	Signatures [][]byte
	Refused    *errs.Error
}

// Sender hands a stored job to the peer's stream on this server. It returns
// errs.CodePeerNotConnected where there is none.
type Sender interface {
	Send(ctx context.Context, d Dispatch) error
	// Cancel tells the peer, if it has a stream here, that a job is over for a reason that people can read.
	Cancel(peerID, jobID, reason string)
	Connected(peerID string) bool
}
