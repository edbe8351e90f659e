package httpapi

import (
	"encoding/json"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/signing"
)

func jobOf(j jobs.Job) api.Job {
	return api.Job{
		ID: j.ID, PeerID: j.PeerID, Status: string(j.Status), Outcome: string(j.Outcome),
		Ending: string(j.Ending()), Denied: j.Denied,
		FailedCode: j.FailedCode, FailedReason: j.FailedText, TriggeredBy: j.TriggeredBy,
		CreatedAt: j.CreatedAt, SentAt: timeOf(j.SentAt), AckedAt: timeOf(j.AckedAt), CompletedAt: timeOf(j.CompletedAt),
		Workload: api.Workload{
			Type: string(j.Workload), Fingerprint: j.Fingerprint, ProblemID: j.ProblemID, Report: j.Report,
			OriginalID: j.OriginalID, Hook: j.Hook, Version: j.Version, HookError: j.HookError, Bytes: j.Bytes,
		},
	}
}

// timeOf is absent where the time has not come yet.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func resultOf(r collector.Result) api.Result {
	return api.Result{
		ID: r.ID, JobID: r.JobID, Hook: r.Hook, Version: r.Version, PeerID: r.PeerID, ProblemID: r.ProblemID,
		Fields: json.RawMessage(r.Fields), Bytes: r.Bytes, CreatedAt: r.CreatedAt,
	}
}

func problemBucketOf(p collector.Problem) api.ProblemBucket {
	return api.ProblemBucket{
		ID: p.ID, Fingerprint: p.Fingerprint, Package: p.Package, Executable: p.Executable,
		Reports: p.Reports, FirstSeen: p.FirstSeen, LastSeen: p.LastSeen,
	}
}

// versionOf maps a version; lists leave out the bytes and the reviews. Who
// signed is worked out from the signatures under the rules in force, never from
// what a row says.
func versionOf(rules signing.Rules, l review.Life, whole bool) api.Version {
	v := l.Version
	out := api.Version{
		Digest: v.Digest, Hook: v.Hook, Number: v.Number, State: string(l.State()),
		SubmittedBy: v.SubmittedBy, SubmittedAt: v.SubmittedAt, Activation: activationOf(l.Activation),
	}
	// A version that the rules do not accept any more has nobody's approval.
	_, standing, err := rules.Examine(v.Script, v.Statement, v.Signatures)
	if err == nil {
		out.Author, out.Approvals, out.Needed = standing.Author.Person, len(standing.Reviewers), standing.Needed
		for _, void := range standing.Void {
			out.Void = append(out.Void, api.VoidSignature{
				Person: void.Person, KeyID: string(void.KeyID), Code: string(void.Code), Reason: void.Reason,
			})
		}
	}
	if err == nil && !standing.Met() && !waits(l.State()) {
		_, err = rules.Verify(v.Script, v.Statement, v.Signatures)
	}
	if err != nil {
		out.Refusal = &api.Refusal{Code: string(errs.CodeOf(err)), Reason: err.Error()}
	}
	if !whole {
		return out
	}
	if st, err := hooks.ParseStatement(v.Statement); err == nil {
		out.Predicate = &st.Predicate
	}
	out.Manifest, out.Script, out.Statement, out.Signatures = v.Manifest, v.Script, v.Statement, v.Signatures
	for _, r := range l.Reviews {
		out.Reviews = append(out.Reviews, api.Review{
			ID: r.ID, User: r.User, Person: r.Person, KeyID: r.KeyID, Verdict: string(r.Verdict), Comment: r.Comment, At: r.At,
		})
	}
	return out
}

// waits reports whether a version may still lack reviewers.
func waits(s hooks.State) bool {
	switch s {
	case hooks.StateSubmitted, hooks.StateChangesRequested, hooks.StateRejected:
		return true
	}
	return false
}

func activationOf(a *hooks.Activation) *api.Activation {
	if a == nil {
		return nil
	}
	return &api.Activation{
		State: string(a.State), Reason: a.Reason, Quantity: a.Quantity, Deadline: a.Deadline,
		MaxBytes: a.MaxBytes, Rollout: a.Rollout, Ledger: a.Ledger,
	}
}
