package signing

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/strict"
)

// Rules are what versions are held against: whose signatures count, and what
// was revoked. Now and Floor are the time for the windows of keys, as in
// Verified.CheckWindow.
type Rules struct {
	Policy     *Policy
	Revoked    Revocations
	Floor, Now time.Time
}

// Verify is the one decision that server, command line and peers share: the
// statement is well formed and belongs to this deployment, it names these very
// script bytes, it stays within the policy, nobody revoked it, its author
// signed it, and enough distinct reviewers did. The files can come in any
// order. A refusal carries one of the verification codes of errs. The window
// of the version is not looked at: see Verified.CheckWindow.
func (r Rules) Verify(script, statement []byte, files [][]byte) (*Verified, error) {
	e := r.examination(script, statement, files)
	for _, c := range verification() {
		if err := c.pass(e); err != nil {
			return nil, err
		}
	}
	return &Verified{
		statement: e.st,
		digest:    e.digest,
		script:    bytes.Clone(script),
		standing:  e.standing,
		profile:   r.Policy.Profile,
	}, nil
}

// Examine is Verify without the threshold: it says how far the signatures
// have come. A file of a key that the policy does not know counts for nothing
// and is listed in Standing.Unknown, one that does not count any more in
// Standing.Void; a file of a known key whose signature is wrong, or whose
// person may not review, refuses the whole.
func (r Rules) Examine(script, statement []byte, files [][]byte) (hooks.Statement, Standing, error) {
	e := r.examination(script, statement, files)
	checks := verification()
	for _, c := range checks[:len(checks)-1] {
		if err := c.pass(e); err != nil {
			return hooks.Statement{}, Standing{}, err
		}
	}
	return e.st, e.standing, nil
}

// Step is the verdict of one check, in the order in which they are made.
type Step struct {
	Name    string    `json:"check"`
	Verdict Verdict   `json:"verdict"`
	Code    errs.Code `json:"code,omitempty"`
	Detail  string    `json:"detail,omitempty"` // what was found, or why not
	Hint    string    `json:"hint,omitempty"`
}

// Verdict is how a check ended.
type Verdict string

// The verdicts. After a refusal nothing more is checked.
const (
	VerdictPassed     Verdict = "passed"
	VerdictRefused    Verdict = "refused"
	VerdictNotReached Verdict = "not reached"
)

// Explain is Verify and then the window of the version, told check by check.
func (r Rules) Explain(script, statement []byte, files [][]byte) []Step {
	e := r.examination(script, statement, files)
	checks := append(verification(), check{"window", func(e *examination) error {
		return checkWindow(e.st.Predicate, r.Floor, r.Now)
	}})
	steps := make([]Step, 0, len(checks))
	refused := false
	for _, c := range checks {
		step := Step{Name: c.name, Verdict: VerdictNotReached}
		if !refused {
			step = stepOf(c.name, c.pass(e), e)
			refused = step.Verdict == VerdictRefused
		}
		steps = append(steps, step)
	}
	return steps
}

func stepOf(name string, err error, e *examination) Step {
	if err == nil {
		return Step{Name: name, Verdict: VerdictPassed, Detail: e.found(name)}
	}
	step := Step{Name: name, Verdict: VerdictRefused, Code: errs.CodeOf(err), Detail: err.Error()}
	if coded, ok := errs.As(err); ok {
		step.Hint = coded.Hint
	}
	return step
}

// examination is one version on its way through the checks.
type examination struct {
	Rules
	script, raw []byte
	files       [][]byte
	digest      string
	st          hooks.Statement
	author      Signer
	standing    Standing
}

func (r Rules) examination(script, statement []byte, files [][]byte) *examination {
	return &examination{Rules: r, script: script, raw: statement, files: files, digest: hooks.Digest(statement)}
}

type check struct {
	name string
	pass func(*examination) error
}

// The names of the checks of a version's signatures.
const (
	CheckStatement  = "statement"
	CheckDeployment = "deployment"
	CheckScript     = "script"
	CheckLifetime   = "lifetime"
	CheckForbidden  = "capabilities"
	CheckRevoked    = "revocations"
	CheckAuthor     = "author"
	CheckSignatures = "signatures"
	CheckThreshold  = "threshold"
)

// verification is the whole decision, in its fixed order: caps and grammar
// before any cryptography. The threshold is last, see Examine.
func verification() []check {
	return []check{
		{CheckStatement, (*examination).parse},
		{CheckDeployment, (*examination).deployment},
		{CheckScript, (*examination).scriptDigest},
		{CheckLifetime, (*examination).lifetime},
		{CheckForbidden, (*examination).forbidden},
		{CheckRevoked, func(e *examination) error { return e.Revoked.checkVersion(e.st.Predicate.Hook, e.digest) }},
		{CheckAuthor, (*examination).findAuthor},
		{CheckSignatures, (*examination).count},
		{CheckThreshold, (*examination).threshold},
	}
}

// found is what a check that passed saw, for people.
func (e *examination) found(name string) string {
	p := e.st.Predicate
	switch name {
	case CheckStatement:
		return fmt.Sprintf("%s@%d, digest %.16s…", p.Hook, p.Version, e.digest)
	case CheckDeployment:
		return p.Deployment
	case CheckScript:
		return fmt.Sprintf("%d bytes, sha256 %.16s…", len(e.script), e.st.ScriptDigest())
	case CheckLifetime:
		return strict.FormatDuration(time.Duration(p.NotAfter-p.NotBefore)*time.Second) + " of at most " + strict.FormatDuration(e.Policy.MaxLifetime)
	case CheckForbidden:
		return strings.Join(CapabilitiesOf(p), ", ")
	case CheckRevoked:
		return fmt.Sprintf("none of %d revokes it", e.Revoked.Len())
	case CheckAuthor:
		return fmt.Sprintf("%s, key %s", e.author.Person, e.author.KeyID.Short())
	case CheckSignatures, CheckThreshold:
		return e.standing.String()
	}
	return ""
}

func (e *examination) parse() (err error) {
	if len(e.files) > MaxSignatureFiles {
		return errs.New(errs.CodeSignatureMalformed, "cannot read the signatures: there are %d files, more than %d", len(e.files), MaxSignatureFiles)
	}
	e.st, err = hooks.ParseStatement(e.raw)
	return err
}

func (e *examination) deployment() error {
	if d := e.st.Predicate.Deployment; d != e.Policy.Deployment {
		return errs.New(errs.CodeWrongDeployment, "cannot accept the hook: it is signed for deployment %s, this one is %s", d, e.Policy.Deployment).
			At("predicate.deployment")
	}
	return nil
}

func (e *examination) scriptDigest() error {
	if len(e.script) > hooks.MaxScriptBytes {
		return errs.New(errs.CodeTooLarge, "cannot accept the script: it is longer than %d bytes", hooks.MaxScriptBytes)
	}
	if hooks.Digest(e.script) != e.st.ScriptDigest() {
		return errs.New(errs.CodeScriptDigest, "cannot accept the script: it is not the one that was signed").At("subject[0].digest.sha256")
	}
	return nil
}

func (e *examination) lifetime() error {
	p := e.st.Predicate
	if p.NotAfter <= p.NotBefore || p.NotAfter-p.NotBefore > int64(e.Policy.MaxLifetime/time.Second) {
		return errs.New(errs.CodeLifetimeTooLong, "cannot accept the hook: it lives for %d s, the policy allows %d s",
			p.NotAfter-p.NotBefore, int64(e.Policy.MaxLifetime/time.Second)).At("predicate.not_after")
	}
	return nil
}

func (e *examination) forbidden() error {
	for _, name := range CapabilitiesOf(e.st.Predicate) {
		if slices.Contains(e.Policy.Forbidden, name) {
			return errs.New(errs.CodeCapabilityForbidden, "cannot accept the hook: the policy forbids the capability %s", name).
				At("predicate.capabilities")
		}
	}
	return nil
}

// findAuthor finds the person whose key the statement names as its author's.
func (e *examination) findAuthor() error {
	id := KeyID(e.st.Predicate.Author)
	person, ok := e.Policy.Person(id)
	if !ok {
		return errs.New(errs.CodeSignerUnknown, "cannot accept the hook: its author's key %s is not in the policy", id.Short()).
			At("predicate.author")
	}
	if !person.Has(RoleAuthor) {
		return errs.New(errs.CodeSignerRole, "cannot accept the hook: %s is not an author in the policy", person.Name).
			At("predicate.author")
	}
	e.author = Signer{Person: person.Name, KeyID: id}
	if void, ok := e.void(&person, id); ok {
		return errs.New(void.Code, "cannot accept the hook: the signature of its author %s does not count: %s", person.Name, void.Reason).
			At("predicate.author").WithHint("let the author submit a new version, signed with a key that counts")
	}
	return nil
}

// void says why a signature by a known key does not count, if it does not.
func (e *examination) void(person *Person, id KeyID) (Void, bool) {
	v := Void{Signer: Signer{Person: person.Name, KeyID: id}, Code: errs.CodeRevoked, Reason: e.Revoked.void(e.digest, id)}
	if v.Reason == "" {
		v.Code, v.Reason = errs.CodeKeyWindow, person.Windows[id].outside(e.Floor, e.Now)
	}
	return v, v.Reason != ""
}

// outside says why a key does not count at a time, "" where it does.
func (w Window) outside(floor, now time.Time) string {
	switch latest := later(floor, now); {
	case !w.From.IsZero() && now.Before(w.From):
		return "the key counts from " + w.From.UTC().Format(time.RFC3339) + " on"
	case !w.Until.IsZero() && !latest.Before(w.Until):
		return "the key counted until " + w.Until.UTC().Format(time.RFC3339)
	}
	return ""
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// count reads all the files before it verifies the first signature.
func (e *examination) count() error {
	files := make([]File, len(e.files))
	for i, b := range e.files {
		f, err := ParseFile(b)
		if err != nil {
			return err
		}
		if !bytes.Equal(f.Payload, e.raw) {
			return errs.New(errs.CodeSignatureInvalid, "cannot accept the signature file of key %s: it signs another statement", f.Hint.Short())
		}
		files[i] = f
	}
	t := tally{e: e, pae: PAE(e.raw), reviewers: map[string]Signer{}}
	for _, f := range files {
		if err := t.add(f); err != nil {
			return err
		}
	}
	if !t.authorSigned {
		return errs.New(errs.CodeAuthorMissing,
			"cannot accept the hook: the signature of its author %s (key %s) is missing", e.author.Person, e.author.KeyID.Short())
	}
	e.standing = t.standing(e.Policy.NeededFor(e.st.Predicate))
	return nil
}

func (e *examination) threshold() error {
	if e.standing.Met() {
		return nil
	}
	why := ""
	for _, v := range e.standing.Void {
		why += fmt.Sprintf("; that of %s does not count: %s", v.Person, v.Reason)
	}
	return errs.New(errs.CodeThresholdNotMet, "cannot accept the hook: %d of %d reviewers have signed%s",
		len(e.standing.Reviewers), e.standing.Needed, why).
		WithHint("let another reviewer run: hookline review approve")
}

// tally counts people, never keys or signatures.
type tally struct {
	e            *examination
	pae          []byte
	authorSigned bool
	reviewers    map[string]Signer
	unknown      []KeyID
	voided       []Void
}

func (t *tally) add(f File) error {
	i, key := t.e.Policy.find(f.Hint)
	if i < 0 {
		if !slices.Contains(t.unknown, f.Hint) {
			t.unknown = append(t.unknown, f.Hint)
		}
		return nil
	}
	person := &t.e.Policy.Persons[i]
	if !key.verify(t.pae, f.Sig) {
		return errs.New(errs.CodeSignatureInvalid, "cannot accept the signature file of %s: the signature is wrong", person.Name)
	}
	return t.count(person, key.ID)
}

func (t *tally) count(person *Person, id KeyID) error {
	if id == t.e.author.KeyID {
		t.authorSigned = true
		return nil
	}
	if person.Name == t.e.author.Person { // the author's other key approves nothing
		return nil
	}
	if !person.Has(RoleReviewer) {
		return errs.New(errs.CodeSignerRole, "cannot accept the signature of %s: not a reviewer in the policy", person.Name)
	}
	if v, ok := t.e.void(person, id); ok {
		if !slices.Contains(t.voided, v) {
			t.voided = append(t.voided, v)
		}
		return nil
	}
	// Of a person's several keys the smallest is shown, whatever the order of the files.
	if seen, ok := t.reviewers[person.Name]; !ok || id < seen.KeyID {
		t.reviewers[person.Name] = Signer{Person: person.Name, KeyID: id}
	}
	return nil
}

func (t *tally) standing(needed int) Standing {
	s := Standing{Author: t.e.author, Reviewers: []Signer{}, Unknown: []KeyID{}, Needed: needed}
	for _, r := range t.reviewers {
		s.Reviewers = append(s.Reviewers, r)
	}
	slices.SortFunc(s.Reviewers, func(a, b Signer) int { return cmp.Compare(a.Person, b.Person) })
	s.Unknown = append(s.Unknown, t.unknown...)
	slices.Sort(s.Unknown)
	s.Void = t.voided
	slices.SortFunc(s.Void, func(a, b Void) int {
		return cmp.Or(cmp.Compare(a.Person, b.Person), cmp.Compare(a.KeyID, b.KeyID))
	})
	return s
}

// CheckWindow holds the signed window against time. A machine's clock can be
// set back, so not_after is held against the later of floor (the newest time
// that the caller knows to have passed) and now; not_before against now alone,
// so that a wrong floor cannot open a window early. The window is
// [not_before, not_after): errs.CodeNotYetValid or errs.CodeExpired.
func (v *Verified) CheckWindow(floor, now time.Time) error {
	return checkWindow(v.statement.Predicate, floor, now)
}

func checkWindow(p hooks.Predicate, floor, now time.Time) error {
	if before := time.Unix(p.NotBefore, 0); now.Before(before) {
		return errs.New(errs.CodeNotYetValid, "cannot run the hook: it is valid from %s, now is %s",
			before.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)).At("predicate.not_before").
			WithHint("check the clock of this machine")
	}
	if after := time.Unix(p.NotAfter, 0); !later(floor, now).Before(after) {
		return errs.New(errs.CodeExpired, "cannot run the hook: it was valid until %s", after.UTC().Format(time.RFC3339)).
			At("predicate.not_after").WithHint("submit a new version")
	}
	return nil
}
