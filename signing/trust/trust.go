// Package trust is what makes a policy trusted: metadata under offline keys,
// by The Update Framework (specification 1.0.31, theupdateframework.io).
//
// A machine is told the digest of one root when it enrols, by a line that its
// owner carried there by hand (Anchor). Everything else comes from the server,
// which is not believed: a Bundle goes in, and out comes a Trusted, with the
// policy, the revocations and the server's certificates that people signed, or
// a coded refusal. Nothing here makes metadata; that is package keeper.
//
// The roles are root and targets (offline, k of n), revocations (delegated by
// targets, one revoker suffices), snapshot and timestamp (the freshen key,
// never the server's). Expiry does not keep newer metadata from being taken,
// it keeps hooks from running: see Trusted.CheckFresh.
package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"hookline/internal/errs"
	"hookline/signing"
)

// Caps, checked before anything is decoded.
const (
	MaxRoots         = 256
	MaxMetadataBytes = 64 << 10  // of each, but for revocations
	MaxRevocations   = 512 << 10 // bytes of the revocations' metadata
	MaxCABytes       = 64 << 10
	MaxBundleBytes   = 2 << 20 // encoded
)

// The names of the roles and targets.
const (
	RoleRevocations = "revocations"
	TargetPolicy    = "policy.yaml"
	TargetCA        = "ca.pem"
)

// MaxFresh bounds the life of timestamp and snapshot: how long a server can
// hide a revocation.
const MaxFresh = 14 * 24 * time.Hour

// Anchor is what a machine trusts from its enrolment.
type Anchor struct {
	RootDigest string `json:"root_digest"` // hex SHA-256 of the bytes of one root, of any version
	Deployment string `json:"deployment"`  // "d-" + 32 hex digits
}

// Digest is the digest that an Anchor names.
func Digest(root []byte) string {
	sum := sha256.Sum256(root)
	return hex.EncodeToString(sum[:])
}

// Trusted is verified metadata with what it vouches for. It is never changed:
// Update and Remember return another.
type Trusted struct {
	anchor  Anchor
	bundle  Bundle
	roles   []Role // root, timestamp, snapshot, targets, revocations
	policy  *signing.Policy
	ca      []byte
	revoked signing.Revocations
	listed  signing.Revocations // by the newest metadata alone
	newest  int64               // the highest version of the revocations' metadata
	// pushedAt is when the pushed revocations were signed.
	pushedAt time.Time
	tuf      *trustedmetadata.TrustedMetadata
}

// Role is one piece of metadata, as people see it.
type Role struct {
	Name      string          `json:"role"`
	Version   int64           `json:"version"`
	SignedAt  time.Time       `json:"signed_at"` // by the signer's clock, in whole seconds
	Expires   time.Time       `json:"expires"`
	Threshold int             `json:"threshold"`
	Keys      []signing.KeyID `json:"keys"` // that may sign it
	SignedBy  []signing.KeyID `json:"signed_by"`
}

// Policy is the policy in force.
func (t *Trusted) Policy() *signing.Policy { return t.policy }

// Revoked is everything that was ever seen revoked.
func (t *Trusted) Revoked() signing.Revocations { return t.revoked }

// Listed is what the newest metadata of the revocations lists itself: less than
// Revoked, where it leaves out what was seen before.
func (t *Trusted) Listed() signing.Revocations { return t.listed }

// RevocationsVersion is the highest version of the revocations that was seen.
func (t *Trusted) RevocationsVersion() int64 { return t.newest }

// CA is the server certificates that people signed as PEM, empty where they
// did not: then the one that the machine enrolled with holds.
func (t *Trusted) CA() []byte { return append([]byte(nil), t.ca...) }

// Anchor is where the trust comes from.
func (t *Trusted) Anchor() Anchor { return t.anchor }

// Roles lists root, timestamp, snapshot, targets and revocations.
func (t *Trusted) Roles() []Role {
	out := slices.Clone(t.roles)
	for i := range out {
		t.signers(&out[i])
	}
	return out
}

// Versions are those of the roles, by name: Roles for who needs no more.
func (t *Trusted) Versions() map[string]int64 {
	out := make(map[string]int64, len(t.roles))
	for _, r := range t.roles {
		out[r.Name] = r.Version
	}
	return out
}

// Bundle is what Anchor.Open takes to come here again, but for Remember.
func (t *Trusted) Bundle() Bundle { return t.bundle }

// Rules are what versions are held against at a time; see signing.Rules.
func (t *Trusted) Rules(floor, now time.Time) signing.Rules {
	return signing.Rules{Policy: t.policy, Revoked: t.revoked, Floor: floor, Now: now}
}

// Remember returns the same with more revocations: those that were seen
// before, which later metadata may have left out.
func (t *Trusted) Remember(list ...signing.Revocation) *Trusted {
	next := *t
	next.revoked = t.revoked.With(list...)
	return &next
}

// maxAhead is how far beyond a machine's clock metadata can be signed, or move
// its floor.
const maxAhead = 24 * time.Hour

// Floor is the newest time that somebody offline has put under metadata: it
// has passed, whatever the clock says. It is no later than a day after the
// clock: a floor never goes back, and whoever signs a far future, with the one
// key that freshens, would stop every hook for as long.
func (t *Trusted) Floor(clock time.Time) time.Time {
	var floor time.Time
	for _, r := range t.roles {
		if r.SignedAt.After(floor) {
			floor = r.SignedAt
		}
	}
	if most := clock.Add(maxAhead); floor.After(most) {
		return most
	}
	return floor
}

// Freshness is how old the metadata is.
type Freshness struct {
	Role    string    `json:"role"` // that expires first
	Expires time.Time `json:"expires"`
	Share   float64   `json:"share"` // of its life that has passed: 0 to 1, above where it is over
}

// The shares of its life at which old metadata is worth a warning.
const (
	WarnShare  = 0.5
	AlarmShare = 0.8
)

// Freshness tells of the role that expires first, at a time.
func (t *Trusted) Freshness(at time.Time) Freshness {
	first := t.roles[0]
	for _, r := range t.roles[1:] {
		if r.Expires.Before(first.Expires) {
			first = r
		}
	}
	life := first.Expires.Sub(first.SignedAt)
	return Freshness{Role: first.Name, Expires: first.Expires, Share: max(0, float64(at.Sub(first.SignedAt))/float64(life))}
}

// CheckAhead refuses metadata of which a part was signed more than a day after
// now, pushed revocations too: errs.CodeTrustStale. Whoever keeps metadata for
// others looks: over such a part nobody could sign, nor run a hook, for as long.
func (t *Trusted) CheckAhead(now time.Time) error {
	return ahead(now, append(slices.Clone(t.roles), Role{Name: RoleRevocations, SignedAt: t.pushedAt})...)
}

func ahead(now time.Time, roles ...Role) error {
	for _, r := range roles {
		if r.SignedAt.After(now.Add(maxAhead)) {
			return errs.New(errs.CodeTrustStale, "cannot trust the deployment's metadata: its %s says that it was signed on %s, now is %s",
				r.Name, r.SignedAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)).
				WithHint("check the clock of this machine, and of the one that signed")
		}
	}
	return nil
}

// CheckFresh refuses metadata of which a part has expired at the later of
// floor and now, or was signed more than a day after it: errs.CodeTrustStale. A
// revocation may be hidden then; who signs ahead could hide it for as long.
func (t *Trusted) CheckFresh(floor, now time.Time) error {
	latest := now
	if floor.After(latest) {
		latest = floor
	}
	if err := ahead(latest, t.roles...); err != nil {
		return err
	}
	f := t.Freshness(latest)
	if latest.Before(f.Expires) {
		return nil
	}
	return errs.New(errs.CodeTrustStale, "cannot trust the deployment's metadata: its %s expired on %s", f.Role, f.Expires.UTC().Format(time.RFC3339)).
		WithHint("somebody has to run: hookline trust freshen")
}
