// Package jobs holds the job: one piece of work of one peer with a typed
// workload, its statuses, and the sweep that ends overdue ones.
package jobs

import (
	"time"

	"hookline/hooks"
)

// Workload is what a job is about.
type Workload string

// The workloads.
const (
	WorkReport Workload = "report" // a problem report that the peer filed
	WorkBundle Workload = "bundle" // a debug bundle that an operator asked for
	WorkHook   Workload = "hook"   // a hook run
)

// Status is pending, succeeded or failed; the last two are final.
type Status string

// The statuses.
const (
	Pending   Status = "pending"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
)

// Limits of jobs.
const (
	DefaultDeadline = 5 * time.Minute // a pending job past it is failed, timed-out
	MaxHooksPerPeer = 4               // pending hook jobs of one peer
)

// Job is one piece of work. Its times are UTC with millisecond precision;
// zero means not yet.
type Job struct {
	ID          string // UUIDv7; of a hook job also the lease id; of a report chosen by the peer
	PeerID      string
	Workload    Workload
	Status      Status
	TriggeredBy string // "peer", "match", "claim", or a user
	CreatedAt   time.Time
	Deadline    time.Time
	SentAt      time.Time
	AckedAt     time.Time // the peer has it
	CompletedAt time.Time
	Outcome     hooks.Outcome // hook jobs, when final
	FailedCode  string        // kebab-case code
	FailedText  string        // at most 500 bytes, for people

	// Report jobs.
	Fingerprint    string
	ProblemID      string
	PackageVersion string // as the report has it; lists have it too
	Release        string // of the distribution, as the report has it
	Report         hooks.Report

	// Hook jobs.
	OriginalID string
	Hook       string
	Version    string // digest; the activation's id as well
	HookError  string // at most 200 redacted bytes, where the hook itself failed: field HookError_<hook>
	Slot       string // "<version>/<original>" while pending or succeeded, else the job's own id; unique
	Bytes      int64  // of the result
	Denied     int64  // calls of the run that were refused, as the peer counted them; of a run that ended well too
}

// OpenSlot is the slot of a hook job that is pending or succeeded.
func OpenSlot(version, original string) string { return version + "/" + original }

// Decision is how a pending job ends.
type Decision struct {
	Status    Status
	Outcome   hooks.Outcome
	Code      string
	Text      string
	HookError string
	Denied    int64
}

// Filter narrows a list of jobs, newest first; zero members do not narrow. A
// job's time is the one that its id, a UUIDv7, says.
type Filter struct {
	Workload  Workload
	Status    Status
	PeerID    string
	ProblemID string
	Original  string
	Version   string
	From      time.Time // no older ones
	Until     time.Time // older ones only
	Oldest    bool      // the oldest first
	After     string    // keyset: jobs behind this id in the list
	Limit     int       // 1..200
}
