package signing

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
)

// MaxRevocations bounds what can be revoked in a deployment.
const MaxRevocations = 2_000

// MaxRevocationReason bounds why, in bytes.
const MaxRevocationReason = 300

// RevocationKind is what kind of thing is revoked.
type RevocationKind string

// What can be revoked, each for ever.
const (
	RevokeHook     RevocationKind = "hook"     // a hook by its name: all its versions, those to come too
	RevokeVersion  RevocationKind = "version"  // one version by its digest
	RevokeKey      RevocationKind = "key"      // a key by its id: no signature of it counts
	RevokeApproval RevocationKind = "approval" // one key's signature under one version: "digest/key id"
)

// RevocationKinds lists the kinds in the order in which they are shown.
func RevocationKinds() []RevocationKind {
	return []RevocationKind{RevokeHook, RevokeVersion, RevokeKey, RevokeApproval}
}

// Revocation is one thing that must not count any more.
type Revocation struct {
	Kind   RevocationKind `json:"kind"`
	Value  string         `json:"value"`
	Reason string         `json:"reason"`
	By     string         `json:"by"` // the person who revoked it
	At     time.Time      `json:"at"` // by that person's clock, in whole seconds
}

// ID names what is revoked: "version/0123…".
func (r Revocation) ID() string { return string(r.Kind) + "/" + r.Value }

// ApprovalValue is the value of a revocation of one signature.
func ApprovalValue(digest string, key KeyID) string { return digest + "/" + string(key) }

var hex64 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate refuses what could revoke nothing: errs.CodeBadInput.
func (r Revocation) Validate() error {
	ok := false
	switch r.Kind {
	case RevokeHook:
		ok = hooks.ValidHookName(r.Value)
	case RevokeVersion, RevokeKey:
		ok = hex64.MatchString(r.Value)
	case RevokeApproval:
		digest, key, _ := strings.Cut(r.Value, "/")
		ok = hex64.MatchString(digest) && hex64.MatchString(key)
	}
	switch {
	case !ok:
		return errs.New(errs.CodeBadInput, "cannot revoke %.20s %.140q: it names none", r.Kind, r.Value).
			WithHint("a hook has a name, a version and a key 64 hexadecimal digits, an approval both: DIGEST/KEY")
	case len(r.Reason) > MaxRevocationReason || !printable(r.Reason):
		return errs.New(errs.CodeBadInput, "cannot revoke: the reason is longer than %d bytes, or not printable ASCII", MaxRevocationReason)
	case !personName.MatchString(r.By):
		return errs.New(errs.CodeBadInput, "cannot revoke: %.70q is no person's name", r.By)
	case r.At.IsZero() || !r.At.Equal(r.At.UTC().Truncate(time.Second)):
		return errs.New(errs.CodeBadInput, "cannot revoke: the time is missing or not in whole seconds")
	}
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// Revocations is a set of them. The zero value is empty and ready to use; a
// set is never changed, only added to.
type Revocations struct{ set map[string]Revocation }

// NewRevocations makes a set of valid revocations; of two of one thing the
// first stays.
func NewRevocations(list ...Revocation) Revocations { return Revocations{}.With(list...) }

// With returns the set with more in it: what is revoked stays so.
func (r Revocations) With(list ...Revocation) Revocations {
	next := maps.Clone(r.set)
	if next == nil {
		next = make(map[string]Revocation, len(list))
	}
	for _, one := range list {
		if _, known := next[one.ID()]; !known {
			next[one.ID()] = one
		}
	}
	return Revocations{next}
}

// Len is how many there are.
func (r Revocations) Len() int { return len(r.set) }

// List returns all of them, sorted by ID.
func (r Revocations) List() []Revocation {
	out := make([]Revocation, 0, len(r.set))
	for _, id := range slices.Sorted(maps.Keys(r.set)) {
		out = append(out, r.set[id])
	}
	return out
}

// Find returns the revocation of one thing.
func (r Revocations) Find(kind RevocationKind, value string) (Revocation, bool) {
	found, ok := r.set[Revocation{Kind: kind, Value: value}.ID()]
	return found, ok
}

// checkVersion refuses a version that is revoked, itself or with its hook:
// errs.CodeRevoked.
func (r Revocations) checkVersion(hook, digest string) error {
	found, ok := r.Find(RevokeVersion, digest)
	if !ok {
		found, ok = r.Find(RevokeHook, hook)
	}
	if !ok {
		return nil
	}
	return errs.New(errs.CodeRevoked, "cannot accept the hook: %s revoked the %s on %s: %s",
		found.By, found.Kind, found.At.UTC().Format(time.DateOnly), orNone(found.Reason)).
		WithHint("this is for ever; submit the hook anew, under another name where the whole hook is revoked")
}

func orNone(reason string) string {
	if reason == "" {
		return "no reason given"
	}
	return reason
}

// void returns why a signature does not count, "" where it does. Where both
// its key and the approval are revoked it tells of the key.
func (r Revocations) void(digest string, key KeyID) string {
	found, ok := r.Find(RevokeKey, string(key))
	if !ok {
		found, ok = r.Find(RevokeApproval, ApprovalValue(digest, key))
	}
	if !ok {
		return ""
	}
	return found.By + " revoked the " + string(found.Kind) + " on " + found.At.UTC().Format(time.DateOnly)
}
