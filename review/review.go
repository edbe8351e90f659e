// Package review is the only way of a hook version to approved, active,
// paused, disabled, and of people to say something about it: it checks every signature with the same code as the peers,
// asks the choke point for a grant, and changes state through hooks.Next.
package review

import (
	"context"
	"strconv"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
)

// Version is one immutable content of a hook with its reviews.
type Version struct {
	Digest      string // hex SHA-256 of Statement: the version digest
	Hook        string
	Number      int64
	State       hooks.State // submitted, changes-requested, rejected, approved or revoked; later states are the activation's
	Manifest    []byte      // hook.yaml as the author wrote it; never signed, never decisive
	Script      []byte      // hook.lua
	Statement   []byte      // canonical JSON, what people signed
	Signatures  [][]byte    // signature files, the author's first
	SubmittedBy string      // user
	SubmittedAt time.Time
}

// Verdict is what a reviewer says.
type Verdict string

// The verdicts.
const (
	VerdictApprove        Verdict = "approve"
	VerdictReject         Verdict = "reject"
	VerdictRequestChanges Verdict = "request-changes"
)

// Review is one reviewer's word on one version.
type Review struct {
	ID        string // UUIDv7
	Version   string // digest
	User      string // account that sent it
	Person    string // policy person whose key signed; "" without a signature
	KeyID     string
	Verdict   Verdict
	Comment   string // at most 4,000 bytes of UTF-8
	Signature []byte // signature file, with approve
	At        time.Time
}

// Life is a version with its activation, if it has one.
type Life struct {
	Version    Version
	Activation *hooks.Activation
	Reviews    []Review
}

// State is the state of the version over its whole life.
func (l Life) State() hooks.State {
	if l.Activation != nil {
		return l.Activation.State
	}
	return l.Version.State
}

// Versions is what Service needs to read.
type Versions interface {
	Life(ctx context.Context, digest string) (Life, error)        // errs.CodeNotFound
	LatestNumber(ctx context.Context, hook string) (int64, error) // 0: no version yet
	// Hooks lists the newest version of each hook by name, keyset by hook.
	Hooks(ctx context.Context, after string, limit int) ([]Life, error)
	// VersionsOf lists a hook's versions, newest first, at most limit, below number (0: from the newest).
	VersionsOf(ctx context.Context, hook string, below int64, limit int) ([]Life, error)
	// Waiting lists versions in state submitted, the oldest first, behind the cursor (see Cursor), at most limit.
	Waiting(ctx context.Context, after string, limit int) ([]Life, error)
	// Comments lists what people wrote about a version, the oldest first; there are at most MaxComments.
	Comments(ctx context.Context, digest string) ([]Comment, error)
}

// Cursor is where Waiting goes on behind v: "<submitted, in ms>/<digest>".
func (v Version) Cursor() string {
	return strconv.FormatInt(v.SubmittedAt.UnixMilli(), 10) + "/" + v.Digest
}

// Part is what a comment is about.
type Part string

// The parts of a version.
const (
	PartWhole    Part = ""
	PartScript   Part = "script"
	PartManifest Part = "manifest"
)

// Comment is what somebody wrote about a version, or about one line of it.
// Those with a parent answer it; one without starts a thread.
type Comment struct {
	ID         string // UUIDv7
	Version    string // digest
	Part       Part
	Line       int64  // from 1; 0 is none
	Parent     string // id of the thread's first comment; "" starts a thread
	User       string
	Text       string // Markdown, at most MaxCommentBytes of UTF-8
	At         time.Time
	ResolvedBy string // of a thread's first comment: who settled it; "" is open
	ResolvedAt time.Time
}

// Changes is what Service needs to write; every method is atomic and writes
// the grant's audit entry in the same commit.
type Changes interface {
	// AddVersion refuses a taken number or digest: errs.CodeVersionTaken.
	AddVersion(ctx context.Context, v Version, g auth.Grant) error
	// AddReview adds r (and its signature file to the version) and moves the version's state from → to;
	// errs.CodeConflict where the state is no longer from or the same key has already approved,
	// errs.CodeTooLarge where it has MaxReviews already, or is too large for the store with one more.
	AddReview(ctx context.Context, r Review, from, to hooks.State, g auth.Grant) error
	// Activate creates the activation, or updates state, quantity, deadline and rollout of the one in state from
	// (from approved: there is none yet; from active: it stays active with new bounds). Any other active activation of the same hook becomes superseded in the
	// same commit. errs.CodeConflict where the state is not from.
	Activate(ctx context.Context, a hooks.Activation, from hooks.State, g auth.Grant) error
	// Stop moves an activation from → to, disabled or paused, with a reason. errs.CodeConflict where the state is not from.
	Stop(ctx context.Context, digest string, from, to hooks.State, reason string, at time.Time, g auth.Grant) error
	// Revoke closes a version for ever: its activation, which keeps the reason, where from is the state of one, else
	// the version itself. errs.CodeConflict where the state is not from.
	Revoke(ctx context.Context, digest string, from hooks.State, reason string, at time.Time, g auth.Grant) error
	// AddComment stores a comment. errs.CodeNotFound: no such version, or no thread that the parent starts;
	// errs.CodeTooLarge: the version has MaxComments.
	AddComment(ctx context.Context, c Comment, g auth.Grant) error
	// ResolveThread says that a thread is settled, or open again where by is "". errs.CodeNotFound: no such thread of
	// this version.
	ResolveThread(ctx context.Context, digest, id, by string, at time.Time, g auth.Grant) error
}

// Activated reports whether a state is that of an activation: a version that
// was never activated has one of its own.
func Activated(s hooks.State) bool {
	switch s {
	case hooks.StateSubmitted, hooks.StateChangesRequested, hooks.StateRejected, hooks.StateApproved:
		return false
	}
	return true
}
