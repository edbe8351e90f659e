package hooks

import "time"

// State is the state of a hook version over its whole life.
type State string

// The states.
const (
	StateSubmitted        State = "submitted"
	StateChangesRequested State = "changes-requested"
	StateRejected         State = "rejected"
	StateApproved         State = "approved"
	StateActive           State = "active"
	StatePaused           State = "paused"
	StateExpired          State = "expired"
	StateSuperseded       State = "superseded"
	StateDisabled         State = "disabled"
	StateRevoked          State = "revoked"
)

// Event moves a version from one state to the next.
type Event string

// The events.
const (
	EventRequestChanges Event = "request-changes"
	EventReject         Event = "reject"
	EventApprove        Event = "approve" // the threshold is met
	EventActivate       Event = "activate"
	EventPause          Event = "pause"
	EventExpire         Event = "expire"
	EventSupersede      Event = "supersede"
	EventDisable        Event = "disable"
	EventRevoke         Event = "revoke"
)

// Rollout narrows an activation: at most Percent of the matching peers
// (≤ the signed max_percent), at most PerMinute leases a minute.
type Rollout struct {
	Percent   int64 `json:"percent"`
	PerMinute int64 `json:"per_minute"`
}

// Activation is the mutable life of an approved version. Its id is the
// version's digest: one version has one activation, whose ledger goes on when
// it is activated again.
type Activation struct {
	Digest    string    // version digest
	Hook      string    // hook name; at most one active activation per hook
	State     State     // active, paused, expired, superseded, disabled or revoked
	Reason    string    // why it is no longer active: an errs code or a person's words
	Keys      []string  // match keys, see Match.Keys
	Quantity  int64     // ≤ signed max_reports
	Deadline  time.Time // ≤ signed not_after
	MaxBytes  int64     // the signed max_bytes
	Rollout   Rollout
	Ledger    Ledger
	CreatedAt time.Time
	ChangedAt time.Time
}

// Outcome is how one lease ended.
type Outcome string

// The outcomes; each is a column of the ledger.
const (
	OutcomeReceived  Outcome = "received"
	OutcomeEmpty     Outcome = "empty"
	OutcomeFailed    Outcome = "failed"
	OutcomeRefused   Outcome = "refused"
	OutcomeDeferred  Outcome = "deferred"
	OutcomeCancelled Outcome = "cancelled"
	OutcomeTimedOut  Outcome = "timed-out"
)

// Ledger counts what became of every lease of an activation. At every moment
//
//	Issued = Leased + Received + Empty + Failed + Refused + Deferred + Cancelled + TimedOut
//	Received ≤ Quantity, Received + Leased ≤ Quantity, Bytes ≤ MaxBytes
type Ledger struct {
	Issued    int64 `json:"issued"`
	Leased    int64 `json:"leased"` // out now
	Received  int64 `json:"received"`
	Empty     int64 `json:"empty"`
	Failed    int64 `json:"failed"`
	Refused   int64 `json:"refused"`
	Deferred  int64 `json:"deferred"`
	Cancelled int64 `json:"cancelled"`
	TimedOut  int64 `json:"timed_out"`
	Bytes     int64 `json:"bytes"`    // of settled results
	Reserved  int64 `json:"reserved"` // by uploads under way
}

// MaxLeasesOut caps the leases of one activation that are out at a time.
const MaxLeasesOut = 1000
