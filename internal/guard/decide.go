package guard

import (
	"os"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/signing"
	"hookline/signing/trust"
)

// maxRuns is how many hooks run at a time.
const maxRuns = 4

// inquiry is one run on its way through the checks.
type inquiry struct {
	jobID    string
	run      guardwire.Run
	config   Config
	pin      Pin
	trusted  *trust.Trusted
	full     bool // more is revoked than this machine can remember
	state    *State
	shelf    *shelf
	running  int
	now      time.Time
	floor    time.Time // that has passed for sure
	verified *signing.Verified
	original Kept
	box      *box // of a run that was let happen

	refusedBy string // which check did, see CheckNames
}

// check is one step of the decision: nil, or a coded refusal.
type check struct {
	name string
	pass func(*inquiry) error
}

// checks is the whole decision, in its fixed order. Nothing is parsed for an
// owner who has not opted in; then everything that people signed, so that
// tampering is seen for what it is; then this machine's own facts and counts;
// the owner's question comes last, so that an owner is asked only about what
// could really run.
func checks() []check {
	return []check{
		{"opted in", (*inquiry).optedIn},
		{"trust fresh", (*inquiry).trustFresh},
		{"revocations kept", (*inquiry).revocationsKept},
		{checkSigned, (*inquiry).signed},
		{"own deployment", (*inquiry).deployment},
		{"window", (*inquiry).window},
		{"original", (*inquiry).originalKnown},
		{"match", (*inquiry).matches},
		{"percent", (*inquiry).inRollout},
		{"rollback", (*inquiry).notOlder},
		{"run count", (*inquiry).runsLeft},
		{"ceilings", (*inquiry).underCeilings},
		{"identity", (*inquiry).able},
		{"job deadline", (*inquiry).inTime},
		{"room", (*inquiry).roomFree},
		{"owner", (*inquiry).ownerSaysYes},
	}
}

// checkSigned is the check that consists of signing's own.
const checkSigned = "signed"

// checkDisk is the last of all, after the decision: what was decided is on
// disk before anything runs.
const checkDisk = "on disk"

// CheckNames lists every check of the decision in its order, as the record
// names them: those of the signatures one by one, "signed/threshold".
func CheckNames() []string {
	var names []string
	for _, c := range checks() {
		if c.name != checkSigned {
			names = append(names, c.name)
			continue
		}
		for _, step := range signatureChecks(signing.Rules{}, guardwire.Run{}) {
			names = append(names, checkSigned+"/"+step.Name)
		}
	}
	return append(names, checkDisk)
}

// signatureChecks are the steps of signing.Rules.Verify; its window is a check
// of its own here.
func signatureChecks(r signing.Rules, run guardwire.Run) []signing.Step {
	steps := r.Explain(run.Script, run.Statement, run.Signatures)
	return steps[:len(steps)-1]
}

// decide runs the checks; nil means that the hook may run.
func (q *inquiry) decide() error {
	for _, c := range checks() {
		err := c.pass(q)
		if err == nil {
			continue
		}
		q.refusedBy = c.name
		if c.name == checkSigned {
			q.refusedBy = q.signatureRefusal(errs.CodeOf(err))
		}
		return err
	}
	return nil
}

// signatureRefusal names the one of signing's checks that refused.
func (q *inquiry) signatureRefusal(code errs.Code) string {
	for _, step := range signatureChecks(q.rules(), q.run) {
		if step.Verdict == signing.VerdictRefused && step.Code == code {
			return checkSigned + "/" + step.Name
		}
	}
	return checkSigned
}

func (q *inquiry) rules() signing.Rules { return q.trusted.Rules(q.floor, q.now) }

func (q *inquiry) predicate() hooks.Predicate { return q.verified.Statement().Predicate }

func (q *inquiry) pair() Pair {
	return Pair{Digest: q.verified.Digest(), OriginalID: q.run.OriginalID}
}

func (q *inquiry) optedIn() error {
	if q.config.AllowHooks == HooksNo {
		return errs.New(errs.CodeNotOptedIn, "cannot run a hook: the owner has not allowed hooks").
			WithHint("hookline-peer allow --hooks=ask (or yes)")
	}
	return nil
}

// trustFresh refuses metadata that has expired: a revocation may be hidden.
func (q *inquiry) trustFresh() error { return q.trusted.CheckFresh(q.floor, q.now) }

// revocationsKept refuses all where some could not be kept.
func (q *inquiry) revocationsKept() error {
	if q.full {
		return errForgetful()
	}
	return nil
}

// signed verifies the raw bytes under the policy in force, less what is revoked.
func (q *inquiry) signed() (err error) {
	q.verified, err = q.rules().Verify(q.run.Script, q.run.Statement, q.run.Signatures)
	return err
}

// deployment holds the statement against the pin itself, whatever policy was
// loaded.
func (q *inquiry) deployment() error {
	if d := q.predicate().Deployment; d != q.pin.Anchor.Deployment {
		return errs.New(errs.CodeWrongDeployment, "cannot run the hook: it is signed for deployment %s", d)
	}
	return nil
}

func (q *inquiry) window() error { return q.verified.CheckWindow(q.floor, q.now) }

func (q *inquiry) originalKnown() (err error) {
	q.original, err = q.shelf.get(q.run.OriginalID)
	return err
}

func (q *inquiry) matches() error {
	p := q.predicate()
	if !p.Match.Matches(p.Level, q.original.Report) {
		return errs.New(errs.CodeNoMatch, "cannot run the hook: its match does not cover the peer's own copy of the report")
	}
	return nil
}

func (q *inquiry) inRollout() error {
	percent := q.predicate().MaxPercent
	if !hooks.InRollout(q.verified.Digest(), q.pin.PeerSPKI, percent) {
		return errs.New(errs.CodeNotInRollout, "cannot run the hook: this peer is outside the signed %d percent", percent)
	}
	return nil
}

func (q *inquiry) notOlder() error {
	p := q.predicate()
	if newest := q.state.Highest[p.Hook]; p.Version < newest {
		return errs.New(errs.CodeVersionRollback, "cannot run version %d of the hook: version %d has run here", p.Version, newest)
	}
	return nil
}

func (q *inquiry) runsLeft() error {
	runs, most := q.state.Versions[q.verified.Digest()].Runs, q.predicate().MaxRunsPerPeer
	if runs >= most {
		return errs.New(errs.CodeRunLimit, "cannot run the hook: it has run here %d times of the signed %d", runs, most)
	}
	return nil
}

func (q *inquiry) underCeilings() error {
	if what := q.config.Ceilings.over(q.predicate(), len(q.verified.Standing().Reviewers)); what != "" {
		return errs.New(errs.CodeOwnerCeiling, "cannot run the hook: the owner does not allow %s", what)
	}
	return nil
}

// able refuses an identity that this guard cannot take on, and one that
// nobody on this machine has.
func (q *inquiry) able() error {
	uid := os.Geteuid()
	as := q.predicate().As
	switch {
	case uid == 0, as == hooks.AsService, as == hooks.AsReporter && q.original.UID == uid:
		return nil
	}
	return errs.New(errs.CodeCapabilityForbidden, "cannot run the hook as %s: hookline-peer runs as user %d here", as, uid).
		WithHint("only a hookline-peer of root can take on other users")
}

func (q *inquiry) inTime() error {
	if !q.now.Before(q.run.Deadline) {
		return errs.New(errs.CodeJobDeadline, "cannot run the hook: the job's deadline was %s", q.run.Deadline.UTC().Format(time.RFC3339))
	}
	return nil
}

func (q *inquiry) roomFree() error {
	if q.running >= maxRuns {
		return errs.New(errs.CodePeerBusy, "cannot run the hook: %d others run already", q.running)
	}
	return nil
}

// ownerSaysYes asks where the owner wants to be asked, and always in the solo
// profile, where nobody but the author has seen the script.
func (q *inquiry) ownerSaysYes() error {
	for _, d := range q.state.Denied {
		if d == q.pair() {
			return errs.New(errs.CodeOwnerDenied, "cannot run the hook: the owner said no")
		}
	}
	if q.config.AllowHooks == HooksYes && q.verified.Profile() != signing.ProfileSolo || q.state.granted(q.pair()) {
		return nil
	}
	return errs.New(errs.CodeWaitsForOwner, "cannot run the hook before the owner says yes").
		WithHint("hookline-peer pending, then hookline-peer allow-once %s", askID(q.pair()))
}

// question is what the owner is asked.
func (q *inquiry) question() guardwire.Pending {
	p, standing := q.predicate(), q.verified.Standing()
	ask := guardwire.Pending{
		ID: askID(q.pair()), JobID: q.jobID, Hook: p.Hook, Version: p.Version, Digest: q.verified.Digest(), OriginalID: q.run.OriginalID,
		Author: standing.Author.Person, Reviewers: []string{}, Keys: keysOf(standing), As: string(p.As), Reads: append([]string{}, p.Capabilities.FSRead...),
		Lists: p.Capabilities.FSList, Stats: p.Capabilities.FSStat, Commands: p.Capabilities.CmdRun,
		Fields: []string{}, AskedAt: q.now.UTC().Truncate(time.Millisecond), NotAfter: time.Unix(p.NotAfter, 0).UTC(),
	}
	for _, r := range standing.Reviewers {
		ask.Reviewers = append(ask.Reviewers, r.Person)
	}
	for _, f := range p.Fields {
		kind := "redacted"
		if f.Raw {
			kind = "raw"
		} else if f.Type != hooks.TypeText && f.Type != hooks.TypeJSON {
			kind = string(f.Type)
		}
		ask.Fields = append(ask.Fields, f.Name+" ("+string(f.Class)+", "+kind+")")
	}
	return ask
}

// entry is the decision's line in the record. Where the signatures do not
// hold, hook and version are what the statement claims.
func (q *inquiry) entry() Entry {
	e := Entry{Kind: KindDecision, JobID: q.jobID, OriginalID: q.run.OriginalID, Digest: hooks.Digest(q.run.Statement)}
	if q.verified != nil {
		p, standing := q.predicate(), q.verified.Standing()
		e.Hook, e.Version, e.Signers = p.Hook, p.Version, []string{standing.Author.Person}
		for _, r := range standing.Reviewers {
			e.Signers = append(e.Signers, r.Person)
		}
		return e
	}
	if q.config.AllowHooks == HooksNo {
		return e // nothing is parsed for an owner who has not opted in
	}
	if st, err := hooks.ParseStatement(q.run.Statement); err == nil {
		e.Hook, e.Version, e.Unverified = st.Predicate.Hook, st.Predicate.Version, true
	}
	return e
}
