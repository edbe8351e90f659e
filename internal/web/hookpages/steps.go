package hookpages

import (
	"html/template"
	"time"

	"hookline/hooks"
	"hookline/internal/web/chart"
	"hookline/internal/web/inwords"
	"hookline/internal/web/kit"
	"hookline/review"
)

// step is one station of a version's life.
type step struct {
	Name string
	At   time.Time // zero: not yet, or not known
	Note string
	Done bool
	Here bool // where it stands
	Bad  bool // it does not go on
}

// steps are draft → review → approved → live → expired, with where the version
// stands, and when it came there. until is the end of the signed window.
func steps(l review.Life, s inwords.Signatures, until time.Time) []step {
	v, state := l.Version, l.State()
	out := []step{{Name: "Draft", At: v.SubmittedAt, Note: "submitted by " + v.SubmittedBy, Done: true}}
	if l.Activation == nil {
		return append(out, before(l, s, until)...)
	}
	a := *l.Activation
	reviewed := step{Name: "Review", Note: s.Words(), Done: true}
	if s.Refused != "" { // they were enough then; the signatures themselves say what is wrong with them now
		reviewed.Note = ""
	}
	live := step{Name: "Live", At: a.CreatedAt, Done: true}
	end := step{Name: "Expires", Note: "at the latest", At: a.Deadline}
	switch state { //nolint:exhaustive // those of an activation
	case hooks.StateActive:
		live.Here = true
	case hooks.StatePaused:
		live = step{Name: "Paused", At: a.ChangedAt, Note: kit.EndOf(a), Here: true, Bad: true}
	default:
		end = step{Name: titles()[state], At: a.ChangedAt, Note: kit.EndOf(a), Here: true, Bad: state != hooks.StateExpired}
	}
	return append(out, reviewed, step{Name: "Approved", At: approvedAt(l), Done: true}, live, end)
}

// before are the stations of a version that was never activated.
func before(l review.Life, s inwords.Signatures, until time.Time) []step {
	inReview := step{Name: "Review", Note: s.Words()}
	approved := step{Name: "Approved"}
	switch state := l.State(); state { //nolint:exhaustive // those of a version
	case hooks.StateApproved:
		inReview.Done = true
		approved.At, approved.Here = approvedAt(l), true
	case hooks.StateSubmitted:
		inReview.Here = true
	case hooks.StateChangesRequested:
		inReview = step{Name: titles()[state], At: answered(l).At, Here: true, Bad: true}
	case hooks.StateRejected:
		return []step{{Name: titles()[state], At: answered(l).At, Here: true, Bad: true}}
	default: // nothing comes behind it
		return []step{{Name: titles()[state], Here: true, Bad: true}}
	}
	return []step{inReview, approved, {Name: "Live"}, {Name: "Expires", At: until, Note: "at the latest"}}
}

// titles are the names of states that end a version, or hold it.
func titles() map[hooks.State]string {
	return map[hooks.State]string{
		hooks.StateChangesRequested: "Changes requested", hooks.StateRejected: "Rejected", hooks.StateExpired: "Expired",
		hooks.StateSuperseded: "Superseded", hooks.StateDisabled: "Disabled", hooks.StateRevoked: "Revoked",
	}
}

// approvedAt is when the last approval came; where nobody had to approve it is
// when it was submitted.
func approvedAt(l review.Life) time.Time {
	at := l.Version.SubmittedAt
	for _, r := range l.Reviews {
		if r.Verdict == review.VerdictApprove && r.At.After(at) {
			at = r.At
		}
	}
	return at
}

// answered is what somebody said last that is no approval; empty where nobody
// did.
func answered(l review.Life) (last review.Review) {
	for _, r := range l.Reviews {
		if r.Verdict != review.VerdictApprove && r.At.After(last.At) {
			last = r
		}
	}
	return last
}

// reason is why a version goes no further, in words; "" where it does.
func reason(l review.Life) string {
	if l.Activation != nil {
		return kit.EndOf(*l.Activation)
	}
	switch l.State() { //nolint:exhaustive // the others go on
	case hooks.StateChangesRequested, hooks.StateRejected:
		if r := answered(l); r.Comment != "" {
			return clipped(r.Comment) + ", says " + r.User
		}
	case hooks.StateRevoked:
		return "nothing starts it again: submit a new version"
	}
	return ""
}

func drawn(part, whole int64, words string) (template.HTML, error) {
	return chart.Meter{Part: part, Whole: whole, Words: words, Tone: chart.Good}.HTML()
}
