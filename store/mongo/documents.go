package mongo

import (
	"encoding/json"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/review"
)

// The documents. Times are dates in milliseconds, and missing where the domain
// has none: but where lists are in their order, "none" is the year 1. What a person wrote is text, what people or machines signed or
// must come back byte by byte is binary. Extra takes what this version does not
// know: a newer one's fields, and those of an imported archive.

type userDoc struct {
	Name         string      `bson:"_id"`
	Roles        []auth.Role `bson:"roles"`
	CreatedAt    time.Time   `bson:"created_at,omitempty"`
	Password     string      `bson:"password"`
	Off          bool        `bson:"off"`
	Failures     int64       `bson:"failures"`
	LastFailure  time.Time   `bson:"last_failure,omitempty"`
	LastSignIn   time.Time   `bson:"last_sign_in,omitempty"`
	SessionsFrom time.Time   `bson:"sessions_from,omitempty"`
	Audit        string      `bson:"audit,omitempty"` // the entry of its last change
	Extra        bson.M      `bson:",inline"`
}

type tokenDoc struct {
	ID           string         `bson:"_id"`
	Kind         auth.TokenKind `bson:"kind"`
	Hash         []byte         `bson:"hash"`
	User         string         `bson:"user"`
	Name         string         `bson:"name"`
	CreatedAt    time.Time      `bson:"created_at,omitempty"`
	ExpiresAt    time.Time      `bson:"expires_at,omitempty"`
	SessionUntil time.Time      `bson:"session_until,omitempty"`
	Removed      bool           `bson:"removed,omitempty"` // and not deleted yet; the hash is no secret's any more
	Audit        string         `bson:"audit,omitempty"`
	Extra        bson.M         `bson:",inline"`
}

// sessionDoc is a browser's session. Only browsers miss one that is gone: no
// archive has any.
type sessionDoc struct {
	Key       string    `bson:"_id"`
	Data      []byte    `bson:"data"`
	ExpiresAt time.Time `bson:"expires_at,omitempty"`
}

type entryDoc struct {
	ID      string    `bson:"_id"`
	At      time.Time `bson:"at,omitempty"`
	Actor   string    `bson:"actor"`
	TokenID string    `bson:"token_id"`
	Action  string    `bson:"action"`
	Target  string    `bson:"target"`
	Detail  string    `bson:"detail"`
	Outcome string    `bson:"outcome"`
	Todo    string    `bson:"todo,omitempty"`  // todoOutcome while its action is under way
	Where   string    `bson:"where,omitempty"` // with Todo: "<collection>/<_id>" of the document that takes the entry's id in "audit"
	Undo    *undoDoc  `bson:"undo,omitempty"`  // with Todo: what the action changes first, and Mend puts back if it came no further
	Extra   bson.M    `bson:",inline"`
}

// undoDoc is an activation that makes way for another, as it was.
type undoDoc struct {
	Digest    string    `bson:"digest"`
	ChangedAt time.Time `bson:"changed_at,omitempty"`
	Before    string    `bson:"before,omitempty"` // the last action on the other one until then
}

type factsDoc struct {
	OS      string `bson:"os"`
	Release string `bson:"release"`
	Kernel  string `bson:"kernel"`
	Arch    string `bson:"arch"`
}

type peerDoc struct {
	ID          string    `bson:"_id"`
	Name        string    `bson:"name"`
	SPKI        string    `bson:"spki"`
	EnrolledAt  time.Time `bson:"enrolled_at,omitempty"`
	Facts       factsDoc  `bson:"facts"`
	Version     string    `bson:"version"`
	SendReports bool      `bson:"send_reports"`
	AllowHooks  string    `bson:"allow_hooks"`
	Labels      []string  `bson:"labels"`
	Server      string    `bson:"server"` // "" is not connected
	Online      bool      `bson:"online"` // whether there is a server
	Epoch       int64     `bson:"epoch"`
	Seen        time.Time `bson:"seen"`
	Audit       string    `bson:"audit,omitempty"`
	Extra       bson.M    `bson:",inline"`
}

// hookDoc is a hook name with its newest version.
type hookDoc struct {
	Name   string `bson:"_id"`
	Number int64  `bson:"number"`
	Digest string `bson:"digest"`
}

// versionDoc is a version with its reviews, so that a review, its signature
// file and the new state are one update.
type versionDoc struct {
	Digest      string      `bson:"_id"`
	Hook        string      `bson:"hook"`
	Number      int64       `bson:"number"`
	State       hooks.State `bson:"state"`
	Manifest    []byte      `bson:"manifest"`
	Script      []byte      `bson:"script"`
	Statement   []byte      `bson:"statement"`
	Signatures  [][]byte    `bson:"signatures"`
	Approvers   []string    `bson:"approvers"` // keys that have approved
	Reviews     []reviewDoc `bson:"reviews"`
	SubmittedBy string      `bson:"submitted_by"`
	SubmittedAt time.Time   `bson:"submitted_at"`
	Comments    int64       `bson:"comments"`        // as many as it has, or fewer: where to look for a number that is free
	Audit       string      `bson:"audit,omitempty"` // the entry of its last change
	Todo        string      `bson:"todo,omitempty"`  // todoList until the hook's row names it, where it is the newest
	Extra       bson.M      `bson:",inline"`
}

type reviewDoc struct {
	ID        string         `bson:"id"`
	User      string         `bson:"user"`
	Person    string         `bson:"person"`
	KeyID     string         `bson:"key_id"`
	Verdict   review.Verdict `bson:"verdict"`
	Comment   string         `bson:"comment"`
	Signature []byte         `bson:"signature,omitempty"`
	At        time.Time      `bson:"at,omitempty"`
	Extra     bson.M         `bson:",inline"`
}

// commentDoc is a comment. A number of its version is taken once, and there are
// review.MaxComments of them: that caps the comments.
type commentDoc struct {
	ID         string      `bson:"_id"`
	Version    string      `bson:"version"`
	Number     int64       `bson:"number"` // from 0
	Part       review.Part `bson:"part"`
	Line       int64       `bson:"line"`
	Parent     string      `bson:"parent"`
	User       string      `bson:"user"`
	Text       string      `bson:"text"`
	At         time.Time   `bson:"at,omitempty"`
	ResolvedBy string      `bson:"resolved_by"`
	ResolvedAt time.Time   `bson:"resolved_at,omitempty"`
	Audit      string      `bson:"audit,omitempty"`
	Extra      bson.M      `bson:",inline"`
}

// activationDoc holds its ledger and the leases that are out: to take, to
// reserve and to settle is one update each.
type activationDoc struct {
	Digest    string              `bson:"_id"`
	Hook      string              `bson:"hook"`
	State     hooks.State         `bson:"state"`
	Reason    string              `bson:"reason"`
	Keys      []string            `bson:"keys"`
	Active    string              `bson:"active"` // unique: activeSlot of its hook while active, else its own
	Quantity  int64               `bson:"quantity"`
	Deadline  time.Time           `bson:"deadline,omitempty"`
	MaxBytes  int64               `bson:"max_bytes"`
	Rollout   rolloutDoc          `bson:"rollout"`
	Ledger    ledgerDoc           `bson:"ledger"`
	Open      int64               `bson:"open"`   // quantity − received − leased: leases that may still be taken
	Room      int64               `bson:"room"`   // max_bytes − bytes − reserved
	Leases    map[string]leaseDoc `bson:"leases"` // by job id
	CreatedAt time.Time           `bson:"created_at,omitempty"`
	ChangedAt time.Time           `bson:"changed_at,omitempty"`
	Audit     string              `bson:"audit,omitempty"`
	Extra     bson.M              `bson:",inline"`
}

type rolloutDoc struct {
	Percent   int64 `bson:"percent"`
	PerMinute int64 `bson:"per_minute"`
}

type ledgerDoc struct {
	Issued    int64 `bson:"issued"`
	Leased    int64 `bson:"leased"`
	Received  int64 `bson:"received"`
	Empty     int64 `bson:"empty"`
	Failed    int64 `bson:"failed"`
	Refused   int64 `bson:"refused"`
	Deferred  int64 `bson:"deferred"`
	Cancelled int64 `bson:"cancelled"`
	TimedOut  int64 `bson:"timed_out"`
	Bytes     int64 `bson:"bytes"`
	Reserved  int64 `bson:"reserved"`
}

type leaseDoc struct {
	Reserved int64     `bson:"reserved"`
	TakenAt  time.Time `bson:"taken_at,omitempty"`
	Lost     bool      `bson:"lost,omitempty"`     // given up: a job that failed stands, or will stand, for it
	Settling bool      `bson:"settling,omitempty"` // a result may be decided on what is reserved: none of it is given back
}

// jobDoc is a job. A result stands in its job's document until it has been
// moved to hook_results, which only ever holds what shows.
type jobDoc struct {
	ID          string        `bson:"_id"`
	PeerID      string        `bson:"peer_id"`
	Workload    jobs.Workload `bson:"workload"`
	Status      jobs.Status   `bson:"status"`
	TriggeredBy string        `bson:"triggered_by"`
	CreatedAt   time.Time     `bson:"created_at,omitempty"`
	Deadline    time.Time     `bson:"deadline,omitempty"`
	SentAt      time.Time     `bson:"sent_at,omitempty"`
	AckedAt     time.Time     `bson:"acked_at,omitempty"`
	CompletedAt time.Time     `bson:"completed_at,omitempty"`
	Outcome     hooks.Outcome `bson:"outcome"`
	FailedCode  string        `bson:"failed_code"`
	FailedText  string        `bson:"failed_text"`
	Fingerprint string        `bson:"fingerprint"`
	ProblemID   string        `bson:"problem_id"`
	Package     string        `bson:"package_version"`
	Release     string        `bson:"release"`
	OriginalID  string        `bson:"original_id"`
	Hook        string        `bson:"hook"`
	Version     string        `bson:"version"`
	HookError   string        `bson:"hook_error"`
	Slot        string        `bson:"slot"`  // unique: slotOf
	Place       string        `bson:"place"` // unique: placeOf
	Bytes       int64         `bson:"bytes"`
	Denied      int64         `bson:"denied,omitempty"`
	Report      []byte        `bson:"report,omitempty"` // canonical JSON, for its keys may have dots and dollars
	ReportHash  []byte        `bson:"report_sha256,omitempty"`
	Keys        []string      `bson:"keys,omitempty"`   // match keys of an original
	Result      *resultDoc    `bson:"result,omitempty"` // with Todo todoShow
	Todo        string        `bson:"todo,omitempty"`
	Extra       bson.M        `bson:",inline"`
}

type resultDoc struct {
	ID        string      `bson:"_id"`
	JobID     string      `bson:"job_id"`
	Hook      string      `bson:"hook"`
	Version   string      `bson:"version"`
	PeerID    string      `bson:"peer_id"`
	ProblemID string      `bson:"problem_id"`
	Level     hooks.Level `bson:"level"`
	Package   string      `bson:"package"`
	Fields    []byte      `bson:"fields"`
	Bytes     int64       `bson:"bytes"`
	CreatedAt time.Time   `bson:"created_at,omitempty"`
	Extra     bson.M      `bson:",inline"`
}

type problemDoc struct {
	ID          string    `bson:"_id"`
	Fingerprint string    `bson:"fingerprint"`
	Package     string    `bson:"package"`
	Executable  string    `bson:"executable"`
	Reports     int64     `bson:"reports"`
	FirstSeen   time.Time `bson:"first_seen"`
	LastSeen    time.Time `bson:"last_seen"`
	Counting    []string  `bson:"counting,omitempty"` // reports that are counted while their job still says todoCount
	Swept       time.Time `bson:"swept,omitempty"`    // reports from before are counted by Mend alone
	Mender      string    `bson:"mender,omitempty"`   // the last Mend that looked at it
	Extra       bson.M    `bson:",inline"`
}

// What a document's todo says; see mend.go.
const (
	todoCount   = "count"   // a report's problem has perhaps not counted it
	todoShow    = "show"    // a result stands in its job, perhaps not in hook_results
	todoList    = "list"    // a version that the row of its hook perhaps does not name
	todoOutcome = "outcome" // an action whose end nobody has written
)

// activeSlot is the unique key of the one active version of a hook.
func activeSlot(hook string) string { return "hook/" + hook }

// idleSlot is that of a version which is not active.
func idleSlot(digest string) string { return "version/" + digest }

// slotOf is the unique key that keeps a second open job of the same version
// and original out.
func slotOf(j jobs.Job) string {
	if j.Workload != jobs.WorkHook || j.Status == jobs.Failed {
		return "job/" + j.ID
	}
	return "ask/" + jobs.OpenSlot(j.Version, j.OriginalID)
}

// placeOf is one of the places of a peer's pending hook jobs, n counting from
// 0 to jobs.MaxHooksPerPeer − 1; ended and other jobs have their own.
func placeOf(j jobs.Job, n int) string {
	if j.Workload != jobs.WorkHook || j.Status != jobs.Pending {
		return "job/" + j.ID
	}
	return "peer/" + j.PeerID + "/" + string(rune('0'+n))
}

func (d ledgerDoc) ledger() hooks.Ledger {
	return hooks.Ledger{
		Issued: d.Issued, Leased: d.Leased, Received: d.Received, Empty: d.Empty, Failed: d.Failed, Refused: d.Refused,
		Deferred: d.Deferred, Cancelled: d.Cancelled, TimedOut: d.TimedOut, Bytes: d.Bytes, Reserved: d.Reserved,
	}
}

func (d activationDoc) activation() hooks.Activation {
	return hooks.Activation{
		Digest: d.Digest, Hook: d.Hook, State: d.State, Reason: d.Reason, Keys: d.Keys, Quantity: d.Quantity,
		Deadline: d.Deadline, MaxBytes: d.MaxBytes, Rollout: hooks.Rollout{Percent: d.Rollout.Percent, PerMinute: d.Rollout.PerMinute},
		Ledger: d.Ledger.ledger(), CreatedAt: d.CreatedAt, ChangedAt: d.ChangedAt,
	}
}

// newActivationDoc is an activation whose ledger begins.
func newActivationDoc(v hooks.Activation) activationDoc {
	return activationDoc{
		Digest: v.Digest, Hook: v.Hook, State: v.State, Reason: v.Reason, Keys: notNil(v.Keys), Active: activeSlotOf(v),
		Quantity: v.Quantity, Deadline: v.Deadline, MaxBytes: v.MaxBytes,
		Rollout: rolloutDoc{Percent: v.Rollout.Percent, PerMinute: v.Rollout.PerMinute},
		Open:    v.Quantity, Room: v.MaxBytes, Leases: map[string]leaseDoc{}, CreatedAt: v.CreatedAt, ChangedAt: v.ChangedAt,
	}
}

func activeSlotOf(v hooks.Activation) string {
	if v.State == hooks.StateActive {
		return activeSlot(v.Hook)
	}
	return idleSlot(v.Digest)
}

// newJobDoc is a job as it is stored, in place n of its peer.
func newJobDoc(j jobs.Job, n int) jobDoc {
	return jobDoc{
		ID: j.ID, PeerID: j.PeerID, Workload: j.Workload, Status: j.Status, TriggeredBy: j.TriggeredBy, CreatedAt: j.CreatedAt,
		Deadline: j.Deadline, SentAt: j.SentAt, AckedAt: j.AckedAt, CompletedAt: j.CompletedAt, Outcome: j.Outcome,
		FailedCode: j.FailedCode, FailedText: j.FailedText, Fingerprint: j.Fingerprint, ProblemID: j.ProblemID,
		OriginalID: j.OriginalID, Hook: j.Hook, Version: j.Version, HookError: j.HookError, Slot: slotOf(j),
		Place: placeOf(j, n), Bytes: j.Bytes, Denied: j.Denied, Package: j.PackageVersion, Release: j.Release,
	}
}

// job is the domain's job, with its report where the document has one.
func (d jobDoc) job() (jobs.Job, error) {
	j := jobs.Job{
		ID: d.ID, PeerID: d.PeerID, Workload: d.Workload, Status: d.Status, TriggeredBy: d.TriggeredBy, CreatedAt: d.CreatedAt,
		Deadline: d.Deadline, SentAt: d.SentAt, AckedAt: d.AckedAt, CompletedAt: d.CompletedAt, Outcome: d.Outcome,
		FailedCode: d.FailedCode, FailedText: d.FailedText, Fingerprint: d.Fingerprint, ProblemID: d.ProblemID,
		OriginalID: d.OriginalID, Hook: d.Hook, Version: d.Version, HookError: d.HookError, Bytes: d.Bytes,
		Denied: d.Denied, PackageVersion: d.Package, Release: d.Release,
	}
	if j.Workload == jobs.WorkHook {
		j.Slot = jobs.SlotOf(j)
	}
	if d.Report == nil {
		return j, nil
	}
	return j, json.Unmarshal(d.Report, &j.Report)
}

func newResultDoc(r collector.Result) resultDoc {
	return resultDoc{
		ID: r.ID, JobID: r.JobID, Hook: r.Hook, Version: r.Version, PeerID: r.PeerID, ProblemID: r.ProblemID,
		Level: r.Level, Package: r.Package, Fields: notNil(r.Fields), Bytes: r.Bytes, CreatedAt: r.CreatedAt,
	}
}

func (d resultDoc) result() collector.Result {
	return collector.Result{
		ID: d.ID, JobID: d.JobID, Hook: d.Hook, Version: d.Version, PeerID: d.PeerID, ProblemID: d.ProblemID,
		Level: d.Level, Package: d.Package, Fields: d.Fields, Bytes: d.Bytes, CreatedAt: d.CreatedAt,
	}
}

func (d problemDoc) problem() collector.Problem {
	return collector.Problem{
		ID: d.ID, Fingerprint: d.Fingerprint, Package: d.Package, Executable: d.Executable, Reports: d.Reports,
		FirstSeen: d.FirstSeen, LastSeen: d.LastSeen,
	}
}

func newPeerDoc(p enroll.Peer) peerDoc {
	return peerDoc{
		ID: p.ID, Name: p.Name, SPKI: p.SPKI, EnrolledAt: p.EnrolledAt,
		Facts:   factsDoc{OS: p.Facts.OS, Release: p.Facts.Release, Kernel: p.Facts.Kernel, Arch: p.Facts.Arch},
		Version: p.Version, SendReports: p.SendReports, AllowHooks: p.AllowHooks, Labels: notNil(p.Labels),
		Server: p.Connection.Server, Online: p.Connection.Server != "", Epoch: p.Connection.Epoch, Seen: p.Connection.Seen,
	}
}

func (d peerDoc) peer() enroll.Peer {
	p := enroll.Peer{
		ID: d.ID, Name: d.Name, SPKI: d.SPKI, EnrolledAt: d.EnrolledAt,
		Facts:   hooks.Facts{OS: d.Facts.OS, Release: d.Facts.Release, Kernel: d.Facts.Kernel, Arch: d.Facts.Arch},
		Version: d.Version, SendReports: d.SendReports, AllowHooks: d.AllowHooks, Labels: nilIfEmpty(d.Labels),
	}
	p.Connection.Server, p.Connection.Epoch, p.Connection.Seen = d.Server, d.Epoch, d.Seen
	return p
}

func newVersionDoc(v review.Version) versionDoc {
	return versionDoc{
		Digest: v.Digest, Hook: v.Hook, Number: v.Number, State: v.State, Manifest: notNil(v.Manifest), Script: notNil(v.Script),
		Statement: notNil(v.Statement), Signatures: notNil(v.Signatures), Approvers: []string{}, Reviews: []reviewDoc{},
		SubmittedBy: v.SubmittedBy, SubmittedAt: v.SubmittedAt,
	}
}

func (d versionDoc) version() review.Version {
	return review.Version{
		Digest: d.Digest, Hook: d.Hook, Number: d.Number, State: d.State, Manifest: d.Manifest, Script: d.Script,
		Statement: d.Statement, Signatures: d.Signatures, SubmittedBy: d.SubmittedBy, SubmittedAt: d.SubmittedAt,
	}
}

func newReviewDoc(r review.Review) reviewDoc {
	return reviewDoc{
		ID: r.ID, User: r.User, Person: r.Person, KeyID: r.KeyID, Verdict: r.Verdict, Comment: r.Comment, Signature: r.Signature, At: r.At,
	}
}

func (d reviewDoc) review(version string) review.Review {
	return review.Review{
		ID: d.ID, Version: version, User: d.User, Person: d.Person, KeyID: d.KeyID, Verdict: d.Verdict,
		Comment: d.Comment, Signature: d.Signature, At: d.At,
	}
}

func newCommentDoc(c review.Comment) commentDoc {
	return commentDoc{
		ID: c.ID, Version: c.Version, Part: c.Part, Line: c.Line, Parent: c.Parent, User: c.User, Text: c.Text, At: c.At,
		ResolvedBy: c.ResolvedBy, ResolvedAt: c.ResolvedAt,
	}
}

func (d commentDoc) comment() review.Comment {
	return review.Comment{
		ID: d.ID, Version: d.Version, Part: d.Part, Line: d.Line, Parent: d.Parent, User: d.User, Text: d.Text, At: d.At,
		ResolvedBy: d.ResolvedBy, ResolvedAt: d.ResolvedAt,
	}
}

func newUserDoc(u auth.User) userDoc {
	return userDoc{
		Name: u.Name, Roles: notNil(u.Roles), CreatedAt: u.CreatedAt, Password: u.Password, Off: u.Off, Failures: u.Failures,
		LastFailure: u.LastFailure, LastSignIn: u.LastSignIn, SessionsFrom: u.SessionsFrom,
	}
}

func (d userDoc) user() auth.User {
	return auth.User{
		Name: d.Name, Roles: nilIfEmpty(d.Roles), CreatedAt: d.CreatedAt, Password: d.Password, Off: d.Off, Failures: d.Failures,
		LastFailure: d.LastFailure, LastSignIn: d.LastSignIn, SessionsFrom: d.SessionsFrom,
	}
}

func newEntryDoc(e auth.Entry) entryDoc {
	return entryDoc{
		ID: e.ID, At: e.At, Actor: e.Actor, TokenID: e.TokenID, Action: e.Action, Target: e.Target, Detail: e.Detail, Outcome: e.Outcome,
	}
}

func (d entryDoc) entry() auth.Entry {
	return auth.Entry{
		ID: d.ID, At: d.At, Actor: d.Actor, TokenID: d.TokenID, Action: d.Action, Target: d.Target, Detail: d.Detail, Outcome: d.Outcome,
	}
}

// nilIfEmpty is how the domain has an empty list.
func nilIfEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// notNil keeps an empty list or no bytes apart from a missing field.
func notNil[S ~[]E, E any](s S) S {
	if s == nil {
		return S{}
	}
	return s
}
