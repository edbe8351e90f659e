package jobs

import (
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
)

// MaxAsks caps how often one peer is asked for one version and original job,
// whatever became of the times before: a peer that never answers must not use
// up an activation.
const MaxAsks = 5

// Final reports whether the job has ended.
func (j Job) Final() bool { return j.Status == Succeeded || j.Status == Failed }

// Ending tells how a hook job ended, "" while it has not.
func (j Job) Ending() hooks.Ending { return hooks.EndingOf(j.Outcome, errs.Code(j.FailedCode)) }

// OwnError is the HookError where it says more than code and text of the
// failure, of which it often is only another writing.
func (j Job) OwnError() string {
	if strings.HasPrefix(j.FailedCode+": "+j.FailedText, j.HookError) {
		return ""
	}
	return j.HookError
}

// Overdue reports whether a pending job has passed its deadline. The deadline
// itself is too late.
func (j Job) Overdue(now time.Time) bool { return j.Status == Pending && !now.Before(j.Deadline) }

// StatusOf is the status of a hook job that ends with the outcome: a run that
// added nothing has succeeded.
func StatusOf(o hooks.Outcome) Status {
	if o == hooks.OutcomeReceived || o == hooks.OutcomeEmpty {
		return Succeeded
	}
	return Failed
}

// DeadlineOf is when a hook job made now is overdue: after DefaultDeadline,
// but never later than its activation.
func DeadlineOf(now, activationDeadline time.Time) time.Time {
	d := now.Add(DefaultDeadline)
	if activationDeadline.Before(d) {
		d = activationDeadline
	}
	return d.UTC().Truncate(time.Millisecond)
}

// SlotOf is the slot that a hook job holds: the one of its version and
// original while it is pending or has succeeded, so that only one such job
// exists, and its own id when it ended otherwise.
func SlotOf(j Job) string {
	if j.Status == Failed {
		return j.ID
	}
	return OpenSlot(j.Version, j.OriginalID)
}

// AskAgain reports whether, after this job, the same peer may be asked once
// more for the same version and original job: only when nobody can say that
// the hook ran or was refused. It timed out, was cancelled, the peer was not
// connected, or its lease was lost before it was stored. After deferred only
// the owner's yes asks again (claimed).
func (j Job) AskAgain(claimed bool) bool {
	if j.Status != Failed {
		return false
	}
	switch j.Outcome {
	case hooks.OutcomeTimedOut, hooks.OutcomeCancelled:
		return true
	case hooks.OutcomeDeferred:
		return claimed
	default:
		return false
	}
}

// MayAsk is AskAgain over the whole history of one version and original job:
// none of its jobs may stand against it, and it is shorter than MaxAsks. The
// refusing job is returned where there is one.
func MayAsk(history []Job, claimed bool) (bool, Job) {
	for _, j := range history {
		if !j.AskAgain(claimed) {
			return false, j
		}
	}
	if len(history) >= MaxAsks {
		return false, history[0]
	}
	return true, Job{}
}

// Ran reports whether the job counts as a run on its peer: it is under way,
// or the hook ended there with or without a result.
func (j Job) Ran() bool {
	switch j.Outcome {
	case hooks.OutcomeReceived, hooks.OutcomeEmpty, hooks.OutcomeFailed:
		return true
	default:
		return j.Status == Pending
	}
}
