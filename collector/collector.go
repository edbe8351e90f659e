// Package collector turns reports into hook runs and hook runs into results:
// matching, leases, uploads, settling, expiry, and recovery from a crash
// between any two steps.
//
// The order is always lease → store → send → settle. Each store method below
// is one atomic step; a crash after any of them leaves something that Recover
// puts right from the jobs, which are the only truth.
package collector

import (
	"context"
	"time"

	"hookline/hooks"
	"hookline/internal/enroll"
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
	Fields    []byte // canonical JSON of the new fields
	Bytes     int64  // len(Fields)
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

// Activations is the ledger side of the store.
type Activations interface {
	// ActiveByKeys finds active activations by match key, over one index.
	ActiveByKeys(ctx context.Context, keys []string) ([]hooks.Activation, error)
	// TakeLease adds the lease and counts issued and leased, in one conditional update. It refuses with
	// CodeHookNotActive, CodeDeadlineReached, CodeQuantityReached (received+leased = quantity), CodeLeasesOut.
	TakeLease(ctx context.Context, version, lease string, now time.Time) error
	// Reserve adds n bytes to the lease; a negative n gives back, at most all of it. CodeBytesReached: settled + this lease's would exceed max_bytes;
	// CodeRateLimited: only other reservations are in the way; CodeNotFound: no such lease.
	Reserve(ctx context.Context, version, lease string, n int64) error
	// SettleLease removes the lease, its reservation, and counts the outcome (received adds bytes). It is
	// idempotent: ok is false where the lease is gone. It returns the activation after the update.
	SettleLease(ctx context.Context, version, lease string, o hooks.Outcome, bytes int64, now time.Time) (a hooks.Activation, ok bool, err error)
	// ChangeState moves an activation from → to (expired, paused) with a reason; ok is false where it was not in from.
	ChangeState(ctx context.Context, version string, from, to hooks.State, reason string, now time.Time) (ok bool, err error)
}

// Jobs is the job side of the store.
type Jobs interface {
	// AddReport inserts a succeeded report job and counts its problem. created is false where the same peer has
	// already stored the same report under this id; errs.CodeConflict where the id belongs to anything else.
	AddReport(ctx context.Context, j jobs.Job, p Problem) (created bool, err error)
	// AddHookJob inserts a pending hook job (or, from Recover, a failed one). CodeAlreadyAsked: the slot is taken;
	// CodePeerBusy: the peer has jobs.MaxHooksPerPeer pending ones; CodeConflict: the id is taken.
	AddHookJob(ctx context.Context, j jobs.Job) error
	// MarkSent stamps a pending job sent (first=true only once), MarkAcked acknowledged.
	MarkSent(ctx context.Context, id string, now time.Time) (first bool, err error)
	MarkAcked(ctx context.Context, id string, now time.Time) error
	// Decide ends a pending job: the only decision. ok is false where it was no longer pending. On failure the
	// slot becomes the job's id and its hidden result is deleted; on success its result shows.
	Decide(ctx context.Context, id string, d jobs.Decision) (ok bool, err error)
}

// Results holds hook_results.
type Results interface {
	// AddHidden inserts a result that does not show yet; replacing the same hidden id is allowed.
	AddHidden(ctx context.Context, r Result) error
	Result(ctx context.Context, id string) (Result, error) // only one that shows; errs.CodeNotFound
	Results(ctx context.Context, f ResultFilter) ([]Result, error)
}

// ResultFilter narrows a list of results, newest first; zero members do not narrow.
type ResultFilter struct {
	JobID     string
	Hook      string
	Version   string
	ProblemID string
	After     string
	Limit     int // 1..200
}

// Queries are the reads.
type Queries interface {
	Job(ctx context.Context, id string) (jobs.Job, error)        // errs.CodeNotFound
	Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error) // newest first; reports without their fields
	Activation(ctx context.Context, version string) (hooks.Activation, error)
	Problem(ctx context.Context, id string) (Problem, error)
	Problems(ctx context.Context, after string, limit int) ([]Problem, error) // newest last_seen first; after = "<last_seen ms>/<id>"
}

// Repairs is what Recover and the sweeper need.
type Repairs interface {
	// Leases lists leases that are out, by id, keyset.
	Leases(ctx context.Context, after string, limit int) ([]Lease, error)
	// Overdue lists pending jobs whose deadline is before now, by id, keyset.
	Overdue(ctx context.Context, now time.Time, after string, limit int) ([]jobs.Job, error)
	// ActivePast lists active activations whose deadline is before now; with a time far ahead, all of them.
	ActivePast(ctx context.Context, now time.Time, limit int) ([]hooks.Activation, error)
	// Unsent lists a peer's pending hook jobs that were never sent, oldest first.
	Unsent(ctx context.Context, peerID string, limit int) ([]jobs.Job, error)
	// Originals lists a peer's newest report (and bundle) jobs with one of the match keys, with their fields.
	Originals(ctx context.Context, peerID string, keys []string, limit int) ([]jobs.Job, error)
}

// Dispatch is what a peer needs to run a hook: the very bytes that people signed.
type Dispatch struct {
	Job        jobs.Job
	Statement  []byte
	Script     []byte
	Signatures [][]byte
}

// Peers is what the collector asks about peers.
type Peers interface {
	Peer(ctx context.Context, id string) (enroll.Peer, error) // errs.CodeNotFound
	// Peers lists by id, keyset.
	Peers(ctx context.Context, after string, limit int) ([]enroll.Peer, error)
}

// Signed is the content of an approved version, as people signed it.
type Signed struct {
	Statement  []byte
	Script     []byte
	Signatures [][]byte
}

// Sender hands a stored job to the peer's stream on this server. It returns
// errs.CodePeerNotConnected where there is none.
type Sender interface {
	Send(ctx context.Context, d Dispatch) error
	Connected(peerID string) bool
}
