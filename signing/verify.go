package signing

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
)

// Verify is the one decision that server and peers share: the statement is
// well formed and belongs to this deployment, it names these very script
// bytes, it stays within the policy, its author signed it, and enough
// distinct reviewers did. The files can come in any order. A refusal carries
// one of the verification codes of errs. Times are not looked at: see
// Verified.CheckWindow.
func Verify(p *Policy, script, statement []byte, files [][]byte) (*Verified, error) {
	st, standing, err := Examine(p, script, statement, files)
	if err != nil {
		return nil, err
	}
	if !standing.Met() {
		return nil, errs.New(errs.CodeThresholdNotMet, "cannot accept the hook: %d of %d reviewers have signed",
			len(standing.Reviewers), standing.Needed).
			WithHint("let another reviewer run: hookline review approve")
	}
	return &Verified{
		statement: st,
		digest:    hooks.Digest(statement),
		script:    bytes.Clone(script),
		standing:  standing,
		profile:   p.Profile,
	}, nil
}

// Examine is Verify without the threshold: it says how far the signatures
// have come. A file of a key that the policy does not know counts for nothing
// and is listed in Standing.Unknown; a file of a known key whose signature is
// wrong, or whose person may not review, refuses the whole.
func Examine(p *Policy, script, statement []byte, files [][]byte) (hooks.Statement, Standing, error) {
	var none hooks.Statement
	if len(files) > MaxSignatureFiles {
		return none, Standing{}, errs.New(errs.CodeSignatureMalformed,
			"cannot read the signatures: there are %d files, more than %d", len(files), MaxSignatureFiles)
	}
	st, err := hooks.ParseStatement(statement)
	if err != nil {
		return none, Standing{}, err
	}
	if err := p.checkStatement(st, script); err != nil {
		return none, Standing{}, err
	}
	author, err := p.author(KeyID(st.Predicate.Author))
	if err != nil {
		return none, Standing{}, err
	}
	t := tally{policy: p, statement: statement, pae: PAE(statement), author: author, reviewers: map[string]Signer{}}
	for _, f := range files {
		if err := t.add(f); err != nil {
			return none, Standing{}, err
		}
	}
	if !t.authorSigned {
		return none, Standing{}, errs.New(errs.CodeAuthorMissing,
			"cannot accept the hook: the signature of its author %s (key %s) is missing", author.Person, author.KeyID.Short())
	}
	return st, t.standing(p.NeededFor(st.Predicate)), nil
}

// checkStatement holds a statement against the policy and the script.
func (p *Policy) checkStatement(st hooks.Statement, script []byte) error {
	pred := st.Predicate
	if pred.Deployment != p.Deployment {
		return errs.New(errs.CodeWrongDeployment, "cannot accept the hook: it is signed for deployment %s, this one is %s",
			pred.Deployment, p.Deployment).At("predicate.deployment")
	}
	if len(script) > hooks.MaxScriptBytes {
		return errs.New(errs.CodeTooLarge, "cannot accept the script: it is longer than %d bytes", hooks.MaxScriptBytes)
	}
	if hooks.Digest(script) != st.ScriptDigest() {
		return errs.New(errs.CodeScriptDigest, "cannot accept the script: it is not the one that was signed").At("subject[0].digest.sha256")
	}
	if pred.NotAfter <= pred.NotBefore || pred.NotAfter-pred.NotBefore > int64(p.MaxLifetime/time.Second) {
		return errs.New(errs.CodeLifetimeTooLong, "cannot accept the hook: it lives for %d s, the policy allows %d s",
			pred.NotAfter-pred.NotBefore, int64(p.MaxLifetime/time.Second)).At("predicate.not_after")
	}
	for _, name := range CapabilitiesOf(pred) {
		if slices.Contains(p.Forbidden, name) {
			return errs.New(errs.CodeCapabilityForbidden, "cannot accept the hook: the policy forbids the capability %s", name).
				At("predicate.capabilities")
		}
	}
	return nil
}

// author finds the person whose key the statement names as its author's.
func (p *Policy) author(id KeyID) (Signer, error) {
	person, ok := p.Person(id)
	if !ok {
		return Signer{}, errs.New(errs.CodeSignerUnknown, "cannot accept the hook: its author's key %s is not in the policy", id.Short()).
			At("predicate.author")
	}
	if !person.Has(RoleAuthor) {
		return Signer{}, errs.New(errs.CodeSignerRole, "cannot accept the hook: %s is not an author in the policy", person.Name).
			At("predicate.author")
	}
	return Signer{Person: person.Name, KeyID: id}, nil
}

// tally counts people, never keys or signatures.
type tally struct {
	policy       *Policy
	statement    []byte
	pae          []byte
	author       Signer
	authorSigned bool
	reviewers    map[string]Signer
	unknown      []KeyID
}

func (t *tally) add(file []byte) error {
	f, err := ParseFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(f.Payload, t.statement) {
		return errs.New(errs.CodeSignatureInvalid, "cannot accept the signature file of key %s: it signs another statement", f.Hint.Short())
	}
	i, key := t.policy.find(f.Hint)
	if i < 0 {
		if !slices.Contains(t.unknown, f.Hint) {
			t.unknown = append(t.unknown, f.Hint)
		}
		return nil
	}
	person := &t.policy.Persons[i]
	if !key.verify(t.pae, f.Sig) {
		return errs.New(errs.CodeSignatureInvalid, "cannot accept the signature file of %s: the signature is wrong", person.Name)
	}
	return t.count(person, key.ID)
}

func (t *tally) count(person *Person, id KeyID) error {
	if id == t.author.KeyID {
		t.authorSigned = true
		return nil
	}
	if person.Name == t.author.Person { // the author's other key approves nothing
		return nil
	}
	if !person.Has(RoleReviewer) {
		return errs.New(errs.CodeSignerRole, "cannot accept the signature of %s: not a reviewer in the policy", person.Name)
	}
	// Of a person's several keys the smallest is shown, whatever the order of the files.
	if seen, ok := t.reviewers[person.Name]; !ok || id < seen.KeyID {
		t.reviewers[person.Name] = Signer{Person: person.Name, KeyID: id}
	}
	return nil
}

func (t *tally) standing(needed int) Standing {
	s := Standing{Author: t.author, Reviewers: []Signer{}, Unknown: []KeyID{}, Needed: needed}
	for _, r := range t.reviewers {
		s.Reviewers = append(s.Reviewers, r)
	}
	slices.SortFunc(s.Reviewers, func(a, b Signer) int { return cmp.Compare(a.Person, b.Person) })
	s.Unknown = append(s.Unknown, t.unknown...)
	slices.Sort(s.Unknown)
	return s
}

// CheckWindow holds the signed window against time. A machine's clock can be
// set back, so not_after is held against the later of floor (the newest time
// that the caller knows to have passed) and now; not_before against now alone,
// so that a wrong floor cannot open a window early. The window is
// [not_before, not_after): errs.CodeNotYetValid or errs.CodeExpired.
func (v *Verified) CheckWindow(floor, now time.Time) error {
	p := v.statement.Predicate
	if before := time.Unix(p.NotBefore, 0); now.Before(before) {
		return errs.New(errs.CodeNotYetValid, "cannot run the hook: it is valid from %s, now is %s",
			before.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)).At("predicate.not_before").
			WithHint("check the clock of this machine")
	}
	latest := now
	if floor.After(latest) {
		latest = floor
	}
	if after := time.Unix(p.NotAfter, 0); !latest.Before(after) {
		return errs.New(errs.CodeExpired, "cannot run the hook: it was valid until %s", after.UTC().Format(time.RFC3339)).
			At("predicate.not_after").WithHint("submit a new version")
	}
	return nil
}
