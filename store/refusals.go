package store

import (
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// The refusals that every backend words alike. What decides about a lease and
// its bytes is the domain's: collector.WhyNoLease and WhyNoBytes.

// PeerTaken is errs.CodeConflict.
func PeerTaken(id string) *errs.Error {
	return errs.New(errs.CodeConflict, "cannot add peer %s: the id or the key belongs to another peer", id)
}

// ApprovedAlready is errs.CodeConflict.
func ApprovedAlready(person string) *errs.Error {
	return errs.New(errs.CodeConflict, "cannot add review: this key of %q has approved this version already", person)
}

// TokenTaken is errs.CodeConflict.
func TokenTaken(id string) *errs.Error {
	return errs.New(errs.CodeConflict, "cannot add token %s: it exists", id)
}

// UserTaken is errs.CodeConflict.
func UserTaken(name string) *errs.Error {
	return errs.New(errs.CodeConflict, "cannot add user %q: the name is taken", name)
}

// NotLost is errs.CodeBadInput.
func NotLost(id string, status jobs.Status) *errs.Error {
	return errs.New(errs.CodeBadInput, "cannot recover lease %s: a lost job has failed, not %q", id, status)
}

// LostJobTaken is errs.CodeConflict.
func LostJobTaken(id string) *errs.Error {
	return errs.New(errs.CodeConflict, "cannot recover lease %s: the id is taken", id)
}

// NoReservation is errs.CodeBadInput.
func NoReservation(n int64) *errs.Error {
	return errs.New(errs.CodeBadInput, "cannot reserve %d bytes", n)
}

// JobTaken is errs.CodeConflict.
func JobTaken(id string) *errs.Error {
	return errs.New(errs.CodeConflict, "cannot store job: the id %s is taken", id)
}

// LeaseTaken is errs.CodeConflict.
func LeaseTaken(id string) *errs.Error {
	return errs.New(errs.CodeConflict, "cannot take lease %s: the id is taken", id)
}

// PeerBusy is errs.CodePeerBusy.
func PeerBusy(id string, pending int64) *errs.Error {
	return errs.New(errs.CodePeerBusy, "peer %s has %d hook jobs pending", id, pending)
}

// NewerStream is errs.CodeConflict.
func NewerStream(id string) *errs.Error {
	return errs.New(errs.CodeConflict, "peer %s has a newer stream", id)
}

// NoActivation is errs.CodeNotFound.
func NoActivation(version string) *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no activation of version %s", version)
}

// NoJob is errs.CodeNotFound.
func NoJob(id string) *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no job %s", id)
}

// NoLease is errs.CodeNotFound.
func NoLease(id string) *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no lease %s", id)
}

// NoPeer is errs.CodeNotFound.
func NoPeer(id string) *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no peer %s", id)
}

// NoProblem is errs.CodeNotFound.
func NoProblem(id string) *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no problem %s", id)
}

// NoResult is errs.CodeNotFound.
func NoResult(id string) *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no result of job %s", id)
}

// NoToken is errs.CodeNotFound.
func NoToken() *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no such token")
}

// NoTokenToSpend is errs.CodeNotFound.
func NoTokenToSpend() *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no such token, or it was used already")
}

// NoSession is errs.CodeNotFound.
func NoSession() *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no such session")
}

// NoThread is errs.CodeNotFound.
func NoThread(version, id string) *errs.Error {
	return errs.New(errs.CodeNotFound, "no comment %s on version %s starts a thread", id, version)
}

// CommentTaken is errs.CodeConflict.
func CommentTaken(id string) *errs.Error {
	return errs.New(errs.CodeConflict, "cannot add comment %s: it exists", id)
}

// ManyComments is errs.CodeTooLarge: a version has as many as it may have.
func ManyComments(version string, most int64) *errs.Error {
	return errs.New(errs.CodeTooLarge, "cannot add comment: version %s has %d, the most that it may have", version, most).
		WithHint("submit a new version")
}

// NoStop is errs.CodeBadInput: an activation is stopped by being disabled or
// paused.
func NoStop(to hooks.State) *errs.Error {
	return errs.New(errs.CodeBadInput, "cannot stop an activation by making it %q", to).WithHint("disable or pause it")
}

// NoUser is errs.CodeNotFound.
func NoUser(name string) *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no user %q", name)
}

// NoVersion is errs.CodeNotFound.
func NoVersion(digest string) *errs.Error {
	return errs.New(errs.CodeNotFound, "there is no version %s", digest)
}

// AlreadyAsked is errs.CodeAlreadyAsked.
func AlreadyAsked(version, original string) *errs.Error {
	return errs.New(errs.CodeAlreadyAsked, "version %s was already asked for job %s", version, original)
}

// NeverActivated is errs.CodeHookNotActive.
func NeverActivated(version string) *errs.Error {
	return errs.New(errs.CodeHookNotActive, "version %s was never activated", version)
}

// NoLonger is errs.CodeConflict: a version, or its activation, is in another
// state than an action asks for.
func NoLonger(version string, is, from hooks.State) *errs.Error {
	return errs.New(errs.CodeConflict, "version %s is %s, no longer %s", version, is, from).
		WithHint("look at it again and repeat the action if it still applies")
}

// VersionTaken is errs.CodeVersionTaken.
func VersionTaken(hook string, number int64) *errs.Error {
	return errs.New(errs.CodeVersionTaken, "cannot add version %d of hook %q: the number, or the same statement, is there", number, hook).
		WithHint("ask for the latest number and submit again with the next one")
}

// QuantityBelow is errs.CodeBoundExceeded: bound results are there or on their
// way.
func QuantityBelow(bound, quantity int64) *errs.Error {
	return errs.New(errs.CodeBoundExceeded, "cannot activate: %d results are there or on their way, more than %d", bound, quantity).
		At("quantity").WithHint("activate with a quantity of at least %d", bound)
}

// MaxKeys caps the match keys of one question; a report has two.
const MaxKeys = 2 * hooks.MaxFingerprints

// CheckKeys refuses more than that: errs.CodeTooLarge.
func CheckKeys(keys []string) error {
	if len(keys) > MaxKeys {
		return errs.New(errs.CodeTooLarge, "cannot match %d keys at once, at most %d", len(keys), MaxKeys)
	}
	return nil
}
