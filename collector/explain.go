package collector

import (
	"context"
	"fmt"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// Explanation says why a version did or did not run for an original job.
type Explanation struct {
	JobID   string // the original job
	Hook    string
	Version string
	Verdict string // one sentence
	Code    string // of the refusal or failure that decides, "" where there is none
	Checks  []Check
	HookJob string // the newest hook job of the two, "" where there is none
}

// Check is one step, in the order in which they are made before a lease is
// taken; the first that is not OK decides. The last, "answer", is what the
// peer said.
type Check struct {
	Name string
	OK   bool
	Note string
}

// Explain runs the checks of matching over an original job and a version
// without doing anything, and adds what the peer answered. jobID may also be
// a hook job, with version empty: then it explains that one's original and
// version. errs.CodeNotFound where either does not exist.
func (c *Collector) Explain(ctx context.Context, jobID, version string) (Explanation, error) {
	original, version, err := c.explained(ctx, jobID, version)
	if err != nil {
		return Explanation{}, err
	}
	signed, err := c.Signed(ctx, version)
	if err != nil {
		return Explanation{}, err
	}
	a, err := c.Queries.Activation(ctx, version)
	if errs.Is(err, errs.CodeNotFound) { // approved at most
		a, err = hooks.Activation{Digest: version}, nil
	}
	if err != nil {
		return Explanation{}, err
	}
	st, err := hooks.ParseStatement(signed.Statement)
	if err != nil {
		return Explanation{}, err
	}
	peer, err := c.Peers.Peer(ctx, original.PeerID)
	if err != nil {
		return Explanation{}, err
	}
	q, err := c.question(ctx, offer{act: a, signed: signed, pred: st.Predicate}, peer, original)
	if err != nil {
		return Explanation{}, err
	}
	q.waits = c.backlog.claimed(version, original.ID)
	return q.explain(), nil
}

// explained finds the original job and the version that are meant.
func (c *Collector) explained(ctx context.Context, jobID, version string) (jobs.Job, string, error) {
	j, err := c.Queries.Job(ctx, jobID)
	if err != nil {
		return jobs.Job{}, "", err
	}
	if j.Workload != jobs.WorkHook {
		return j, version, nil
	}
	if version != "" && version != j.Version {
		return jobs.Job{}, "", errs.New(errs.CodeBadInput, "job %s is a run of another version", jobID).At("version").
			WithHint("leave the version out, or name the original job")
	}
	if j.OriginalID == "" {
		return jobs.Job{}, "", errs.New(errs.CodeLostLease, "job %s was lost before it was stored; nothing is known of it", jobID)
	}
	original, err := c.Queries.Job(ctx, j.OriginalID)
	return original, j.Version, err
}

// explain lists every check. A job that exists decides the verdict: the
// checks then tell how things stand now, and having been asked is no refusal.
func (q *question) explain() Explanation {
	e := Explanation{JobID: q.original.ID, Hook: q.pred.Hook, Version: q.act.Digest}
	for _, ch := range checks() {
		if ch.name == "rate" && q.act.State != hooks.StateActive {
			continue // it has no rate
		}
		note, refused := ch.run(q)
		step := Check{Name: ch.name, OK: refused == nil, Note: note}
		if refused != nil {
			step.Note = refused.Message
		}
		if ch.name == "asked" && len(q.asked) > 0 {
			step.OK, step.Note = true, askedNote(q.asked)
		} else if refused != nil && e.Code == "" {
			e.Code, e.Verdict = string(refused.Code), "it was not asked: "+refused.Message
		}
		e.Checks = append(e.Checks, step)
	}
	if len(q.asked) > 0 {
		q.answer(&e)
	} else if e.Verdict == "" {
		e.Verdict = "nothing stands against it: it will be asked when its turn comes"
	}
	return e
}

func askedNote(asked []jobs.Job) string {
	at := asked[0].CreatedAt.UTC().Format(time.RFC3339)
	if len(asked) == 1 {
		return "asked at " + at
	}
	return fmt.Sprintf("asked %d times, the last at %s", len(asked), at)
}

// answer adds what the peer said to the newest job.
func (q *question) answer(e *Explanation) {
	j := q.asked[0]
	e.HookJob, e.Code = j.ID, j.FailedCode
	step := Check{Name: "answer", OK: j.Status == jobs.Succeeded}
	switch {
	case j.Status == jobs.Pending && j.SentAt.IsZero():
		e.Verdict = "its job is stored and waits to be sent"
	case j.Status == jobs.Pending && j.AckedAt.IsZero():
		e.Verdict = "its job was sent; the peer has not confirmed it yet"
	case j.Status == jobs.Pending:
		e.Verdict = "its job is at the peer, which has not answered yet"
	case j.Outcome == hooks.OutcomeReceived:
		e.Verdict = fmt.Sprintf("it ran and brought %d bytes of new fields", j.Bytes)
	case j.Outcome == hooks.OutcomeEmpty:
		e.Verdict = "it ran and found nothing to add"
	case j.Outcome == hooks.OutcomeRefused:
		e.Verdict = "the peer refused it: " + reasonOf(j)
	case j.Outcome == hooks.OutcomeDeferred && q.waits:
		e.Code, e.Verdict = "", "the owner of the peer allowed it, and it waits for its turn"+because(e.Checks)
	case j.Outcome == hooks.OutcomeDeferred:
		e.Verdict = "it waits for the owner of the peer, who sees it with `hookline-peer pending` on that machine" +
			" and lets it run with `hookline-peer allow-once ID`: " + reasonOf(j)
	case j.AskAgain(false) && len(q.asked) < jobs.MaxAsks:
		e.Verdict = "it did not run and may be asked again: " + reasonOf(j)
	default:
		e.Verdict = "it failed: " + reasonOf(j)
	}
	if j.Denied > 0 {
		e.Verdict += fmt.Sprintf(" (calls denied: %d)", j.Denied)
	}
	step.Note = e.Verdict
	e.Checks = append(e.Checks, step)
}

// because is the note of the first check that is not passed now.
func because(checks []Check) string {
	for _, c := range checks {
		if !c.OK {
			return ": " + c.Note
		}
	}
	return ""
}

// reasonOf is code and words of a failed job.
func reasonOf(j jobs.Job) string {
	s := j.FailedCode
	if j.FailedText != "" {
		s += " (" + j.FailedText + ")"
	}
	if e := j.OwnError(); e != "" {
		s += ": " + e
	}
	return s
}
