// Package api holds the types of the REST API, which server and client share.
//
// Times are RFC 3339 UTC. Lists are keyset-paged: pass Next of one page as
// ?after= of the next; an empty Next is the end. Errors are RFC 9457
// problem+json (see Problem).
package api

import (
	"encoding/json"
	"time"

	"hookline/hooks"
)

// Page is one page of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"pass as after to get the next page; absent on the last"`
}

// Problem is the body of an error answer (RFC 9457).
type Problem struct {
	Type   string         `json:"type,omitempty"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Code   string         `json:"code" doc:"kebab-case, see docs/refusals.md"`
	Detail string         `json:"detail"`
	Hint   string         `json:"hint,omitempty"`
	Errors []FieldProblem `json:"errors,omitempty"`
}

// FieldProblem names one bad field.
type FieldProblem struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Me is the caller.
type Me struct {
	User      string    `json:"user"`
	Roles     []string  `json:"roles"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Info is what anybody with a token may know of the deployment.
type Info struct {
	Deployment   string `json:"deployment"`
	RootDigest   string `json:"root_digest" doc:"of the newest root of the trust metadata"`
	Profile      string `json:"profile"`
	PolicyDigest string `json:"policy_digest"`
	Policy       []byte `json:"policy" doc:"the policy file, base64"`
	Version      string `json:"version"`
}

// Trust is the deployment's trust metadata. Whoever gets it verifies it from
// the root that it was told of by other ways.
type Trust struct {
	Bundle     []byte `json:"bundle" doc:"all metadata and its targets, base64"`
	RootDigest string `json:"root_digest" doc:"of the newest root"`
}

// NewTrust brings newer trust metadata; its signatures decide.
type NewTrust struct {
	Bundle []byte `json:"bundle"`
}

// NewRevocations brings newer metadata of what is revoked; the revoker's
// signature decides.
type NewRevocations struct {
	Metadata []byte `json:"metadata"`
}

// TrustChange says what became of newer trust metadata.
type TrustChange struct {
	Changed      bool   `json:"changed" doc:"false where it said nothing new"`
	RootDigest   string `json:"root_digest"`
	PolicyDigest string `json:"policy_digest"`
	Revocations  int    `json:"revocations" doc:"how many there are"`
}

// NewToken asks for an API token; the user is made when it does not exist.
type NewToken struct {
	User  string   `json:"user"`
	Roles []string `json:"roles,omitempty" doc:"only for a new user"`
	Name  string   `json:"name,omitempty"`
	Days  int      `json:"days" doc:"1 to 366"`
}

// Token is a fresh token; Secret is shown once.
type Token struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Secret    string    `json:"secret"`
	ExpiresAt time.Time `json:"expires_at"`
}

// TokenInfo is a token or sign-in link without its secret.
type TokenInfo struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind" enum:"api,login"`
	User      string    `json:"user"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// User is a person or program with an account.
type User struct {
	Name        string     `json:"name"`
	Roles       []string   `json:"roles"`
	CreatedAt   time.Time  `json:"created_at"`
	HasPassword bool       `json:"has_password"`
	Off         bool       `json:"off" doc:"may not sign in, and no token of theirs opens anything"`
	LastSignIn  *time.Time `json:"last_sign_in,omitempty" doc:"with a password"`
	LockedUntil *time.Time `json:"locked_until,omitempty" doc:"no password is looked at before"`
}

// NewUser asks for a user without a password.
type NewUser struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
}

// UserChange changes a user; what is left out stays as it is.
type UserChange struct {
	Roles []string `json:"roles,omitempty"`
	Off   *bool    `json:"off,omitempty"`
}

// LoginLink is a one-time browser sign-in.
type LoginLink struct {
	Path      string    `json:"path" doc:"/login/<code>, good once"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NewVersion submits a hook version: the very bytes, base64.
type NewVersion struct {
	Manifest  []byte `json:"manifest"`
	Script    []byte `json:"script"`
	Statement []byte `json:"statement"`
	Signature []byte `json:"signature" doc:"the author's signature file"`
}

// Version is a hook version; lists leave out the byte members.
type Version struct {
	Digest      string           `json:"digest"`
	Hook        string           `json:"hook"`
	Number      int64            `json:"number"`
	State       string           `json:"state"`
	SubmittedBy string           `json:"submitted_by"`
	SubmittedAt time.Time        `json:"submitted_at"`
	Manifest    []byte           `json:"manifest,omitempty"`
	Script      []byte           `json:"script,omitempty"`
	Statement   []byte           `json:"statement,omitempty"`
	Signatures  [][]byte         `json:"signatures,omitempty"`
	Reviews     []Review         `json:"reviews,omitempty"`
	Predicate   *hooks.Predicate `json:"predicate,omitempty"`
	Author      string           `json:"author,omitempty" doc:"policy person"`
	Approvals   int              `json:"approvals"`
	Needed      int              `json:"needed"`
	Void        []VoidSignature  `json:"void,omitempty" doc:"signatures that do not count any more"`
	Refusal     *Refusal         `json:"refusal,omitempty" doc:"why the version may not run as it stands; absent where enough people signed"`
	Activation  *Activation      `json:"activation,omitempty"`
}

// VoidSignature is a reviewer's signature that does not count.
type VoidSignature struct {
	Person string `json:"person"`
	KeyID  string `json:"key_id"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// Refusal says why something is refused, with a code of docs/refusals.md.
type Refusal struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// Review is one reviewer's word.
type Review struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Person  string    `json:"person,omitempty"`
	KeyID   string    `json:"key_id,omitempty"`
	Verdict string    `json:"verdict"`
	Comment string    `json:"comment,omitempty"`
	At      time.Time `json:"at"`
}

// NewReview says approve (with a signature file), reject or request-changes.
type NewReview struct {
	Verdict   string `json:"verdict" enum:"approve,reject,request-changes"`
	Comment   string `json:"comment,omitempty"`
	Signature []byte `json:"signature,omitempty"`
}

// NewActivation starts or restarts a version within its signed bounds, or
// gives an active one other bounds.
type NewActivation struct {
	Quantity  int64     `json:"quantity"`
	Deadline  time.Time `json:"deadline"`
	Percent   int64     `json:"percent,omitempty" doc:"0 means the signed max_percent"`
	PerMinute int64     `json:"per_minute,omitempty" doc:"0 means 600"`
}

// Stop disables or pauses an activation.
type Stop struct {
	Reason string `json:"reason" doc:"why, at most 500 bytes"`
}

// Activation is the live side of a version.
type Activation struct {
	State    string        `json:"state"`
	Reason   string        `json:"reason,omitempty"`
	Quantity int64         `json:"quantity"`
	Deadline time.Time     `json:"deadline"`
	MaxBytes int64         `json:"max_bytes"`
	Rollout  hooks.Rollout `json:"rollout"`
	Ledger   hooks.Ledger  `json:"ledger"`
}

// Peer is an enrolled machine.
type Peer struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Facts       hooks.Facts `json:"facts"`
	Connected   bool        `json:"connected"`
	SeenAt      time.Time   `json:"seen_at"`
	EnrolledAt  time.Time   `json:"enrolled_at"`
	SendReports bool        `json:"send_reports"`
	AllowHooks  string      `json:"allow_hooks"`
}

// Job is a job of a peer.
type Job struct {
	ID           string     `json:"id"`
	PeerID       string     `json:"peer_id"`
	Status       string     `json:"status"`
	Outcome      string     `json:"outcome,omitempty"`
	Ending       string     `json:"ending,omitempty" doc:"of a hook job, finer than outcome: succeeded, empty, hook-error, limit, denied, killed, refused, deferred, cancelled, timed-out, failed"`
	Denied       int64      `json:"denied,omitempty" doc:"calls of a hook run that were refused; a run can succeed in spite of them"`
	FailedCode   string     `json:"failed_code,omitempty"`
	FailedReason string     `json:"failed_reason,omitempty"`
	TriggeredBy  string     `json:"triggered_by"`
	CreatedAt    time.Time  `json:"created_at"`
	SentAt       *time.Time `json:"sent_at,omitempty"`
	AckedAt      *time.Time `json:"acked_at,omitempty"`
	CompletedAt  *time.Time `json:"completed_at,omitempty"`
	Workload     Workload   `json:"workload"`
	Results      []Result   `json:"results,omitempty"`   // of an original job, when asked for alone
	HookJobs     []Job      `json:"hook_jobs,omitempty"` // of an original job, when asked for alone
}

// Workload is what a job is about.
type Workload struct {
	Type        string       `json:"type" enum:"report,bundle,hook"`
	Fingerprint string       `json:"fingerprint,omitempty"`
	ProblemID   string       `json:"problem_id,omitempty"`
	Report      hooks.Report `json:"report,omitempty"`
	OriginalID  string       `json:"original_id,omitempty"`
	Hook        string       `json:"hook,omitempty"`
	Version     string       `json:"version,omitempty"`
	HookError   string       `json:"hook_error,omitempty"`
	Bytes       int64        `json:"bytes,omitempty"`
}

// Result is the new fields of one hook job.
type Result struct {
	ID        string          `json:"id" doc:"the hook job"`
	JobID     string          `json:"job_id" doc:"the original job"`
	Hook      string          `json:"hook"`
	Version   string          `json:"version"`
	PeerID    string          `json:"peer_id"`
	ProblemID string          `json:"problem_id"`
	Fields    json.RawMessage `json:"fields"`
	Bytes     int64           `json:"bytes"`
	Denied    *int64          `json:"denied,omitempty" doc:"calls of the run that were refused; in lists of results ask the hook job"`
	CreatedAt time.Time       `json:"created_at"`
}

// ProblemBucket is a bucket of reports.
type ProblemBucket struct {
	ID          string    `json:"id"`
	Fingerprint string    `json:"fingerprint"`
	Package     string    `json:"package,omitempty"`
	Executable  string    `json:"executable,omitempty"`
	Reports     int64     `json:"reports"`
	FirstSeen   time.Time `json:"first_seen"`
	LastSeen    time.Time `json:"last_seen"`
}

// Explanation says why a version did or did not run for an original job:
// checks in the order in which they are made; the first that fails decides.
type Explanation struct {
	JobID   string        `json:"job_id"`
	Hook    string        `json:"hook"`
	Version string        `json:"version"`
	Verdict string        `json:"verdict" doc:"one sentence"`
	Code    string        `json:"code,omitempty"`
	Checks  []ExplainStep `json:"checks"`
	HookJob string        `json:"hook_job,omitempty"`
}

// ExplainStep is one check.
type ExplainStep struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Note  string `json:"note,omitempty"`
}
