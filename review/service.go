package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/signing"
)

// Caps of what people write.
const (
	MaxCommentBytes = 4000
	MaxReasonBytes  = 500
	MaxReviews      = 200  // of one version
	MaxComments     = 500  // of one version
	MaxLines        = 4000 // of a script and of a manifest: pages have an element and more for each
)

// Service is what people do to hook versions. The signatures decide under the
// rules in force, not the accounts that carry them. Activated, where set, is
// told each version that became active; Revoked each that is revoked, again
// where that could not be done before, and ends what is out for it.
//
// A Service must not be copied after its first use.
type Service struct {
	Versions  Versions
	Changes   Changes
	Gate      *auth.Gate
	Rules     func() signing.Rules // in force now
	Now       func() time.Time
	Activated func(version string)
	Revoked   func(ctx context.Context, version, why string) error

	// reviewing lets one review at a time count the approvals: two that come
	// together must not both think that they are the last but one.
	reviewing sync.Mutex
	// ruling is read by who acts on the rules, from before the look at them until
	// it is stored: Enforce waits for those who have looked at older ones.
	ruling sync.RWMutex
}

// now is the clock at the precision that is stored.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// target names a version in the audit log.
func target(digest string) string { return "version/" + digest }

// enoughHint is for an approval more than a version needs.
const enoughHint = "it has all the approvals that it needs; an operator activates it: hookline hook activate"

// next is hooks.Next with a word on what people can do about a refusal.
func next(from hooks.State, e hooks.Event) (hooks.State, error) {
	if from == hooks.StateRevoked {
		return "", errs.New(errs.CodeRevoked, "cannot %s a hook version that is revoked", e).WithHint("%s", remedy(from, e))
	}
	to, err := hooks.Next(from, e)
	if err == nil {
		return to, nil
	}
	coded, ok := errs.As(err)
	if !ok || coded.Hint != "" {
		return "", err
	}
	return "", coded.WithHint("%s", remedy(from, e))
}

func remedy(from hooks.State, e hooks.Event) string {
	switch {
	case e == hooks.EventApprove && from == hooks.StateApproved:
		return enoughHint
	case from == hooks.StateRejected || from == hooks.StateRevoked:
		return "this version is closed for good; submit a new one"
	case e == hooks.EventActivate && from == hooks.StateActive:
		return "it is active already; change its bounds with: hookline hook bounds"
	case e == hooks.EventActivate:
		return "it needs its reviewers first: hookline review approve"
	case e == hooks.EventDisable:
		return "only an active or paused version can be disabled"
	case e == hooks.EventPause:
		return "only an active version can be paused"
	default:
		return "look at its state: hookline hook show"
	}
}

// checkText holds a comment or reason against its cap and keeps it printable;
// line breaks and tabs may stay.
func checkText(field, s string, maxBytes int) error {
	if len(s) > maxBytes {
		return errs.New(errs.CodeTooLarge, "it is longer than %d bytes", maxBytes).At(field)
	}
	if !utf8.ValidString(s) {
		return errs.New(errs.CodeBadInput, "it is not UTF-8").At(field)
	}
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if strings.ContainsFunc(s, control) {
		return errs.New(errs.CodeBadInput, "it has a control character").At(field)
	}
	return nil
}

// needText is checkText for a text that must be there.
func needText(field, s string, maxBytes int) error {
	if strings.TrimSpace(s) == "" {
		return errs.New(errs.CodeBadInput, "it must say why").At(field)
	}
	return checkText(field, s, maxBytes)
}

// checkDigest keeps anything but a version digest out of store and log.
func checkDigest(digest string) error {
	hex := func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') }
	if len(digest) != 64 || strings.ContainsFunc(digest, hex) {
		return errs.New(errs.CodeNotFound, "there is no such version").At("digest").
			WithHint("a version digest is 64 hexadecimal digits: hookline hook list")
	}
	return nil
}

// Review adds one reviewer's word on a version that waits for it.
//
// Approve needs a signature file, made on the reviewer's own machine, that
// adds one person to those who have signed: never the author, never somebody
// twice. The one that reaches the policy's threshold makes the version
// approved. Reject and request-changes need a comment and no signature.
func (s *Service) Review(ctx context.Context, p auth.Principal, digest string, v Verdict, comment string, signature []byte) (Life, error) {
	if err := checkDigest(digest); err != nil {
		return Life{}, err
	}
	grant, err := s.Gate.Authorize(ctx, p, auth.HooksReview, target(digest), string(v))
	if err != nil {
		return Life{}, err
	}
	event, err := v.event()
	if err != nil {
		return Life{}, err
	}
	if err := v.check(comment, signature); err != nil {
		return Life{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Life{}, fmt.Errorf("make a review id: %w", err)
	}
	r := Review{
		ID: id.String(), Version: digest, User: p.User, Verdict: v,
		Comment: comment, Signature: signature, At: s.now(),
	}
	if err := s.add(ctx, r, event, grant); err != nil {
		return Life{}, err
	}
	return s.Versions.Life(ctx, digest)
}

// add counts the approvals and stores the review, one at a time.
func (s *Service) add(ctx context.Context, r Review, event hooks.Event, grant auth.Grant) error {
	s.reviewing.Lock()
	defer s.reviewing.Unlock()
	s.ruling.RLock()
	defer s.ruling.RUnlock()
	life, err := s.Versions.Life(ctx, r.Version)
	if err != nil {
		return err
	}
	from := life.State()
	to, err := next(from, event)
	if err != nil {
		return err
	}
	if r.Verdict == VerdictApprove {
		signer, standing, err := s.approval(life.Version, r.Signature, r.At)
		if err != nil {
			return err
		}
		r.Person, r.KeyID = signer.Person, string(signer.KeyID)
		if !standing.Met() {
			to = from
		}
	}
	return s.Changes.AddReview(ctx, r, from, to, grant)
}

func (v Verdict) event() (hooks.Event, error) {
	switch v {
	case VerdictApprove:
		return hooks.EventApprove, nil
	case VerdictReject:
		return hooks.EventReject, nil
	case VerdictRequestChanges:
		return hooks.EventRequestChanges, nil
	default:
		return "", errs.New(errs.CodeBadInput, "it is not approve, reject or request-changes").At("verdict")
	}
}

// check holds what comes with a verdict against it.
func (v Verdict) check(comment string, signature []byte) error {
	if v == VerdictApprove {
		if len(signature) == 0 {
			return errs.New(errs.CodeBadInput, "an approval is a signature, and there is none").At("signature").
				WithHint("sign on your own machine: hookline review approve")
		}
		if len(signature) > signing.MaxSignatureFileBytes {
			return errs.New(errs.CodeTooLarge, "it is longer than %d bytes", signing.MaxSignatureFileBytes).At("signature")
		}
		return checkText("comment", comment, MaxCommentBytes)
	}
	if len(signature) != 0 {
		return errs.New(errs.CodeBadInput, "only an approval carries a signature").At("signature")
	}
	return needText("comment", comment, MaxCommentBytes)
}

// approval finds the one person that the file adds to a version's signers.
func (s *Service) approval(v Version, file []byte, now time.Time) (signing.Signer, signing.Standing, error) {
	var none signing.Signer
	rules := s.Rules()
	st, before, err := rules.Examine(v.Script, v.Statement, v.Signatures)
	if err != nil {
		return none, before, err
	}
	if !now.Before(time.Unix(st.Predicate.NotAfter, 0)) {
		return none, before, errs.New(errs.CodeExpired, "cannot approve: the version was valid until %s",
			time.Unix(st.Predicate.NotAfter, 0).UTC().Format(time.RFC3339)).WithHint("submit a new version")
	}
	_, after, err := rules.Examine(v.Script, v.Statement, append(slices.Clone(v.Signatures), file))
	if err != nil {
		return none, before, err
	}
	known := func(r signing.Signer) bool {
		return slices.ContainsFunc(before.Reviewers, func(b signing.Signer) bool { return b.Person == r.Person })
	}
	if i := slices.IndexFunc(after.Reviewers, func(r signing.Signer) bool { return !known(r) }); i >= 0 {
		return after.Reviewers[i], after, nil
	}
	return none, before, whyNobody(rules.Policy, after, file)
}

// whyNobody says why a well-formed file added no reviewer.
func whyNobody(policy *signing.Policy, after signing.Standing, file []byte) error {
	f, err := signing.ParseFile(file)
	if err != nil {
		return err
	}
	person, known := policy.Person(f.Hint)
	void := slices.IndexFunc(after.Void, func(v signing.Void) bool { return v.KeyID == f.Hint })
	switch {
	case void >= 0:
		return errs.New(after.Void[void].Code, "cannot count the approval of %s: %s", person.Name, after.Void[void].Reason).
			At("signature").WithHint("sign with a key that counts")
	case !known:
		return errs.New(errs.CodeSignerUnknown, "cannot count the approval: key %s is not in the policy", f.Hint.Short()).
			At("signature").WithHint("sign with the key that the policy lists for you: hookline policy show")
	case person.Name == after.Author.Person:
		return errs.New(errs.CodeSignerRole, "cannot count the approval: %s is the author", person.Name).
			At("signature").WithHint("somebody else has to review it")
	default:
		err := errs.New(errs.CodeConflict, "%s has already approved this version", person.Name).At("signature")
		if after.Met() {
			return err.WithHint(enoughHint)
		}
		return err.WithHint("one more reviewer is needed, not one more signature")
	}
}
