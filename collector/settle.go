package collector

import (
	"context"
	"regexp"
	"strings"
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
)

var kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+){0,9}$`)

// Finish takes the peer's word that a job ended without new fields: outcome
// empty, failed, refused or deferred; the last three with a kebab-case code.
// It is idempotent: a job that was decided before keeps that decision, which
// is what the answer shows. A job past its deadline has timed out, whatever
// the peer says. errs.CodeNotFound for a job that is not this peer's.
func (c *Collector) Finish(ctx context.Context, peerID, jobID string, o hooks.Outcome, code, reason, hookError string) (jobs.Job, error) {
	if err := checkFinish(o, code); err != nil {
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
		Status: jobs.StatusOf(o), Outcome: o, Code: code,
		Text: clean(reason, maxReasonBytes), HookError: clean(hookError, maxHookErrorBytes),
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

// end decides a pending job and settles its lease. For a job that is decided
// already it returns that decision, and settles again in case that the first
// time broke off between the two. Both go through even when the caller has
// gone: half an end is for the sweep only.
func (c *Collector) end(ctx context.Context, j jobs.Job, d jobs.Decision) (jobs.Job, error) {
	ctx = context.WithoutCancel(ctx)
	if !j.Final() {
		d.At = c.now()
		ok, err := c.Jobs.Decide(ctx, j.ID, d)
		if err != nil {
			return jobs.Job{}, err
		}
		if ok {
			j = decided(j, d)
		} else if j, err = c.Queries.Job(ctx, j.ID); err != nil {
			return jobs.Job{}, err
		}
	}
	return j, c.settle(ctx, j)
}

// decided is the job as the store has it after the decision.
func decided(j jobs.Job, d jobs.Decision) jobs.Job {
	j.Status, j.Outcome, j.CompletedAt = d.Status, d.Outcome, d.At
	j.FailedCode, j.FailedText, j.HookError, j.Bytes = d.Code, d.Text, d.HookError, d.Bytes
	j.Slot = jobs.SlotOf(j)
	return j
}

// settle counts a final job in the ledger, once, and concludes the activation
// where that was the last that it needed.
func (c *Collector) settle(ctx context.Context, j jobs.Job) error {
	a, ok, err := c.Activations.SettleLease(ctx, j.Version, j.ID, j.Outcome, j.Bytes, c.now())
	if err != nil || !ok {
		return err
	}
	c.askLater(j)
	return c.conclude(ctx, a)
}

// askLater remembers an original whose job ended so that it may be asked
// again while its peer is connected; otherwise the peer's hello does it.
func (c *Collector) askLater(j jobs.Job) {
	if j.OriginalID != "" && j.AskAgain(false) && c.Sender.Connected(j.PeerID) {
		c.backlog.add(j.Version, candidate{original: j.OriginalID, peer: j.PeerID, created: j.CreatedAt})
	}
}

// conclude moves an activation that has reached a bound out of active. The
// sweep does the same for one that a crash left behind.
func (c *Collector) conclude(ctx context.Context, a hooks.Activation) error {
	now := c.now()
	event, reason := conclusion(a, !now.Before(a.Deadline))
	if event == "" {
		return nil
	}
	return c.move(ctx, a.Digest, a.State, event, reason)
}

func (c *Collector) move(ctx context.Context, version string, from hooks.State, e hooks.Event, reason errs.Code) error {
	to, err := hooks.Next(from, e)
	if err != nil {
		return err
	}
	_, err = c.Activations.ChangeState(ctx, version, from, to, string(reason), c.now())
	return err
}

// conclusion says which bound an active activation has reached, if any.
func conclusion(a hooks.Activation, past bool) (hooks.Event, errs.Code) {
	switch {
	case a.State != hooks.StateActive:
		return "", ""
	case a.Ledger.Received >= a.Quantity:
		return hooks.EventExpire, errs.CodeQuantityReached
	case a.Ledger.Bytes >= a.MaxBytes:
		return hooks.EventExpire, errs.CodeBytesReached
	case past:
		return hooks.EventExpire, errs.CodeDeadlineReached
	case a.OverIssued():
		return hooks.EventPause, errs.CodeErrorRate
	default:
		return "", ""
	}
}
