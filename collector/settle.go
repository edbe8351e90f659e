package collector

import (
	"context"
	"regexp"
	"strings"
	"time"
	"unicode"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// Caps of what a peer says about the end of a job. Longer words are cut, not
// refused: a job must end.
const (
	maxReasonBytes    = 500
	maxHookErrorBytes = 200
	maxDenied         = 5000 // as many calls as a run may make
)

// End is a peer's word on how a hook job ended without new fields.
type End struct {
	Outcome   hooks.Outcome // empty, failed, refused or deferred
	Code      string        // kebab-case, of the last three
	Reason    string
	HookError string // where the hook itself failed
	Denied    int64  // calls of the run that were refused
}

var kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+){0,9}$`)

// Finish takes the peer's word that a job ended without new fields. It is idempotent: a job that was decided before keeps that decision, which
// is what the answer shows. A job past its deadline has timed out, whatever
// the peer says. errs.CodeNotFound for a job that is not this peer's.
func (c *Collector) Finish(ctx context.Context, peerID, jobID string, e End) (jobs.Job, error) {
	if err := checkFinish(e.Outcome, e.Code); err != nil {
		return jobs.Job{}, err
	}
	j, err := c.hookJob(ctx, peerID, jobID)
	if err != nil {
		return jobs.Job{}, err
	}
	if j.Overdue(c.now()) {
		return c.end(ctx, j, timedOut())
	}
	return c.end(ctx, j, jobs.Decision{
		Status: jobs.StatusOf(e.Outcome), Outcome: e.Outcome, Code: e.Code,
		Text: clean(e.Reason, maxReasonBytes), HookError: clean(e.HookError, maxHookErrorBytes), Denied: count(e.Denied),
	})
}

func checkFinish(o hooks.Outcome, code string) error {
	switch o {
	case hooks.OutcomeEmpty:
		if code != "" {
			return errs.New(errs.CodeBadInput, "outcome empty has no code").At("code")
		}
		return nil
	case hooks.OutcomeFailed, hooks.OutcomeRefused, hooks.OutcomeDeferred:
		if len(code) > 64 || !kebab.MatchString(code) {
			return errs.New(errs.CodeBadInput, "it is not a kebab-case code of at most 64 bytes").At("code")
		}
		return nil
	case hooks.OutcomeReceived:
		return errs.New(errs.CodeBadInput, "received comes with an upload").At("outcome")
	default:
		return errs.New(errs.CodeBadInput, "it is not empty, failed, refused or deferred").At("outcome")
	}
}

// clean keeps a peer's words short, printable and on one line.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// count keeps what a peer counted within what a run can do.
func count(denied int64) int64 { return max(0, min(denied, maxDenied)) }

func timedOut() jobs.Decision {
	return jobs.Decision{
		Status: jobs.Failed, Outcome: hooks.OutcomeTimedOut, Code: string(errs.CodeTimedOut),
		Text: "the peer did not answer before the job's deadline",
	}
}

func cancelled(code errs.Code, text string) jobs.Decision {
	return jobs.Decision{Status: jobs.Failed, Outcome: hooks.OutcomeCancelled, Code: string(code), Text: text}
}

func failed(err error) jobs.Decision {
	return jobs.Decision{
		Status: jobs.Failed, Outcome: hooks.OutcomeFailed, Code: string(errs.CodeOf(err)),
		Text: clean(err.Error(), maxReasonBytes),
	}
}

// end decides a pending job without a result. A job that is decided already
// keeps its decision, which is returned. It goes through even when the caller
// has gone.
func (c *Collector) end(ctx context.Context, j jobs.Job, d jobs.Decision) (jobs.Job, error) {
	if j.Final() {
		return j, nil
	}
	return c.settle(ctx, j.ID, d, nil)
}

// settle decides a job with what follows from it.
func (c *Collector) settle(ctx context.Context, id string, d jobs.Decision, r *Result) (jobs.Job, error) {
	s, err := c.Jobs.Settle(context.WithoutCancel(ctx), id, d, r, c.now())
	if errs.Away(err) {
		c.inDoubt.add(id)
	}
	if err != nil {
		return jobs.Job{}, err
	}
	if s.OK {
		c.askLater(s.Job)
	}
	return s.Job, nil
}

// askLater remembers an original whose job ended so that it may be asked
// again while its peer is connected; otherwise the peer's hello does it.
func (c *Collector) askLater(j jobs.Job) {
	if j.OriginalID != "" && j.AskAgain(false) && c.Sender.Connected(j.PeerID) {
		c.backlog.add(j.Version, candidate{original: j.OriginalID, peer: j.PeerID, created: j.CreatedAt})
	}
}

// CheckDecision refuses what Settle of no store may do: a decision that is no
// end, a result of a job that did not receive one or of another job, and one
// over hooks.MaxResultBytes.
func CheckDecision(id string, d jobs.Decision, r *Result) error {
	received := d.Status == jobs.Succeeded && d.Outcome == hooks.OutcomeReceived
	switch {
	case d.Status != jobs.Succeeded && d.Status != jobs.Failed:
		return errs.New(errs.CodeBadInput, "cannot decide job %s: %q is no end", id, d.Status)
	case received != (r != nil), r != nil && r.ID != id:
		return errs.New(errs.CodeBadInput, "cannot decide job %s: a result belongs to a job that received it", id)
	case r != nil && len(r.Fields) > hooks.MaxResultBytes:
		return errs.New(errs.CodeTooLarge, "cannot store result: it has %d bytes, at most %d", len(r.Fields), hooks.MaxResultBytes)
	}
	return nil
}

// WhyNoLease names the condition that a refused lease of an activation meets
// first; nil where none is in the way.
func WhyNoLease(a hooks.Activation, now time.Time) error {
	switch {
	case a.State != hooks.StateActive:
		return errs.New(errs.CodeHookNotActive, "version %s is %s", a.Digest, a.State)
	case a.Deadline.UnixMilli() <= now.UnixMilli():
		return errs.New(errs.CodeDeadlineReached, "version %s reached its deadline", a.Digest)
	case a.Ledger.Received+a.Ledger.Leased >= a.Quantity:
		return errs.New(errs.CodeQuantityReached, "version %s has all %d reports that it may bring, or leases out for them",
			a.Digest, a.Quantity)
	case a.Ledger.Leased >= hooks.MaxLeasesOut:
		return errs.New(errs.CodeLeasesOut, "version %s has %d leases out", a.Digest, a.Ledger.Leased)
	}
	return nil
}

// WhyNoBytes says whether a result of n bytes, which has no room now, could
// ever fit.
func WhyNoBytes(a hooks.Activation, n int64) error {
	if a.Ledger.Bytes+n > a.MaxBytes {
		return errs.New(errs.CodeBytesReached, "version %s may bring %d bytes, has %d, and this result has at least %d",
			a.Digest, a.MaxBytes, a.Ledger.Bytes, n)
	}
	return errs.New(errs.CodeRateLimited, "other uploads have reserved what version %s has left", a.Digest).
		WithHint("wait until one of them has ended")
}

// Conclude says where an activation goes that is active and has reached a
// bound, and why; to is empty where it stays. Stores ask it in Settle, the
// sweep for what time and crashes bring.
func Conclude(a hooks.Activation, now time.Time) (to hooks.State, reason errs.Code) {
	event, reason := reached(a, now)
	to, err := hooks.Next(a.State, event)
	if a.State != hooks.StateActive || err != nil {
		return "", ""
	}
	return to, reason
}

// reached names the bound that an activation has reached, if any.
func reached(a hooks.Activation, now time.Time) (hooks.Event, errs.Code) {
	switch {
	case a.Ledger.Received >= a.Quantity:
		return hooks.EventExpire, errs.CodeQuantityReached
	case a.Ledger.Bytes >= a.MaxBytes:
		return hooks.EventExpire, errs.CodeBytesReached
	case !now.Before(a.Deadline):
		return hooks.EventExpire, errs.CodeDeadlineReached
	case a.OverIssued():
		return hooks.EventPause, errs.CodeErrorRate
	default:
		return "", ""
	}
}
