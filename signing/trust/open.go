package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"hookline/internal/errs"
	"hookline/signing"
)

// Open verifies a bundle from the root that the anchor names: one of the
// bundle's roots must be that one, those after it are followed, those before
// it are left out. Refusals: errs.CodeTrustRoot, CodeTrustInvalid,
// CodeTrustSigned, CodeTrustRollback, CodeTrustMixed, CodeTrustWeak,
// CodeTrustMissing, CodePolicyInvalid, CodeWrongDeployment.
func (a Anchor) Open(b Bundle) (*Trusted, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(b.Roots, func(root []byte) bool { return Digest(root) == a.RootDigest })
	if i < 0 {
		return nil, errs.New(errs.CodeTrustRoot, "cannot trust the metadata: none of its roots is %.16s…, which this machine was told of", a.RootDigest).
			WithHint("it belongs to another deployment, or its root was replaced; only a new enroll line can lead there")
	}
	return a.take(nil, b.Roots[i], b)
}

// Update takes newer metadata: nothing in it may be older than what is known,
// and it must come from the same root. What is revoked stays revoked. Where
// the bundle says nothing new, Update returns t itself. Refusals as in Open.
func (t *Trusted) Update(b Bundle) (*Trusted, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	return t.anchor.take(t, t.root(), b)
}

// root is the newest root.
func (t *Trusted) root() []byte { return t.bundle.Roots[len(t.bundle.Roots)-1] }

// take verifies a bundle from a root that is trusted, against what is known.
func (a Anchor) take(known *Trusted, root []byte, b Bundle) (*Trusted, error) {
	c := chain{next: &Trusted{anchor: a, bundle: Bundle{Roots: [][]byte{root}}}}
	if known != nil {
		c.old = known.bundle
		c.next.bundle.Roots = slices.Clone(known.bundle.Roots)
		c.next.revoked, c.next.newest = known.revoked, known.newest
	}
	for _, step := range []func(Bundle) error{c.follow, c.timestamp, c.snapshot, c.targets, c.revocations, c.files} {
		if err := step(b); err != nil {
			return nil, err
		}
	}
	if err := c.notOlder(known); err != nil {
		return nil, err
	}
	next, err := c.pushed(b)
	switch {
	case err != nil:
		return nil, err
	case known != nil && next.same(known):
		return known, nil
	}
	// With the roots that were known it can be more than came.
	if encoded, err := next.bundle.Encode(); err != nil || len(encoded) > MaxBundleBytes {
		return nil, invalid("all of it, with the roots that are known, is longer than %d bytes", MaxBundleBytes)
	}
	return next, nil
}

// same reports whether nothing is new since known.
func (t *Trusted) same(known *Trusted) bool {
	a, b := t.bundle, known.bundle
	return len(a.Roots) == len(b.Roots) && bytes.Equal(a.Timestamp, b.Timestamp) && bytes.Equal(a.Snapshot, b.Snapshot) &&
		bytes.Equal(a.Targets, b.Targets) && bytes.Equal(a.Revocations, b.Revocations) && bytes.Equal(a.Pushed, b.Pushed) &&
		t.revoked.Len() == known.revoked.Len()
}

// chain is one bundle on its way through the workflow of the specification,
// section 5, but for expiry: its reference time is none.
type chain struct {
	old  Bundle // that was trusted before, if any
	tuf  *trustedmetadata.TrustedMetadata
	next *Trusted
}

// follow goes from the trusted root to the newest one, version by version.
func (c *chain) follow(b Bundle) error {
	root := c.next.root()
	first, err := parse[metadata.RootType]("root", root)
	if err != nil {
		return err
	}
	if err := c.checkRoot(first); err != nil {
		return err
	}
	if c.tuf, err = trustedmetadata.New(root); err != nil {
		return refusal("root", err)
	}
	c.tuf.RefTime = time.Time{} // nothing has expired then
	for _, root := range b.Roots {
		next, err := parse[metadata.RootType]("root", root)
		if err != nil {
			return err
		}
		if next.Signed.Version == c.tuf.Root.Signed.Version && !SameRoot(root, c.next.root()) {
			return errs.New(errs.CodeTrustRoot, "cannot trust the metadata: its root of version %d is another than the one that is known", next.Signed.Version).
				WithHint("it belongs to another deployment, or its root was replaced; only a new enroll line can lead there")
		}
		if next.Signed.Version <= c.tuf.Root.Signed.Version {
			continue
		}
		if want := c.tuf.Root.Signed.Version + 1; next.Signed.Version != want {
			return errs.New(errs.CodeTrustRoot, "cannot follow the root: version %d is missing before version %d", want, next.Signed.Version)
		}
		if err := c.checkRoot(next); err != nil {
			return err
		}
		before := c.tuf.Root.Signed.Keys
		if _, err := c.tuf.UpdateRoot(root); err != nil {
			return refusal("root", err)
		}
		if err := checkSignatures(next, before); err != nil {
			return err
		}
		c.next.bundle.Roots = append(c.next.bundle.Roots, root)
	}
	if len(c.next.bundle.Roots) > MaxRoots {
		return invalid("it has more than %d roots", MaxRoots)
	}
	return c.add("root", &c.tuf.Root.Signed.Version, c.tuf.Root.Signed.Expires, c.tuf.Root.Signed.UnrecognizedFields)
}

// SameRoot reports whether two roots say the same, whatever signatures they
// have: one that a server leaves out, or adds, makes no other root of it.
func SameRoot(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	one, errA := parse[metadata.RootType]("root", a)
	other, errB := parse[metadata.RootType]("root", b)
	if errA != nil || errB != nil {
		return false
	}
	is, errA := json.Marshal(one.Signed)
	was, errB := json.Marshal(other.Signed)
	return errA == nil && errB == nil && bytes.Equal(is, was)
}

// checkRoot refuses another deployment's root: where the same people sign in
// two, it would be followed.
func (c *chain) checkRoot(root *metadata.Metadata[metadata.RootType]) error {
	if of := root.Signed.UnrecognizedFields[DeploymentMember]; of != c.next.anchor.Deployment {
		return errs.New(errs.CodeWrongDeployment, "cannot trust the root: it is not of deployment %s", c.next.anchor.Deployment)
	}
	return checkRoot(root)
}

func (c *chain) timestamp(b Bundle) error {
	if _, err := parse[metadata.TimestampType]("timestamp", b.Timestamp); err != nil {
		return err
	}
	if len(c.old.Timestamp) > 0 {
		// Where the root has other keys for it by now, the old one is no measure.
		_, _ = c.tuf.UpdateTimestamp(c.old.Timestamp)
	}
	c.next.bundle.Timestamp = b.Timestamp
	_, err := c.tuf.UpdateTimestamp(b.Timestamp)
	if as[*metadata.ErrEqualVersionNumber](err) {
		c.next.bundle.Timestamp, err = c.old.Timestamp, nil
	}
	if err != nil {
		return refusal("timestamp", err)
	}
	s := c.tuf.Timestamp.Signed
	if err := checkMeta("timestamp", s.Meta, metadata.SNAPSHOT); err != nil {
		return err
	}
	return c.add("timestamp", &s.Version, s.Expires, s.UnrecognizedFields)
}

func (c *chain) snapshot(b Bundle) error {
	if _, err := parse[metadata.SnapshotType]("snapshot", b.Snapshot); err != nil {
		return err
	}
	if len(c.old.Snapshot) > 0 {
		_, _ = c.tuf.UpdateSnapshot(c.old.Snapshot, true)
	}
	if _, err := c.tuf.UpdateSnapshot(b.Snapshot, false); err != nil {
		return refusal("snapshot", err)
	}
	s := c.tuf.Snapshot.Signed
	if err := checkMeta("snapshot", s.Meta, metadata.TARGETS, RoleRevocations); err != nil {
		return err
	}
	c.next.bundle.Snapshot = b.Snapshot
	return c.add("snapshot", &s.Version, s.Expires, s.UnrecognizedFields)
}

func (c *chain) targets(b Bundle) error {
	targets, err := parse[metadata.TargetsType]("targets", b.Targets)
	if err != nil {
		return err
	}
	if err := checkDelegation(targets.Signed.Delegations); err != nil {
		return err
	}
	if _, err := c.tuf.UpdateTargets(b.Targets); err != nil {
		return refusal("targets", err)
	}
	c.next.bundle.Targets = b.Targets
	return c.add("targets", &targets.Signed.Version, targets.Signed.Expires, targets.Signed.UnrecognizedFields)
}

func (c *chain) revocations(b Bundle) error {
	m, list, err := parseRevocations(c.next.anchor.Deployment, b.Revocations)
	if err != nil {
		return err
	}
	targets := c.tuf.Targets[metadata.TARGETS]
	c.tuf.Targets[metadata.TARGETS] = signersOf(targets, m)
	_, err = c.tuf.UpdateDelegatedTargets(b.Revocations, RoleRevocations, metadata.TARGETS)
	c.tuf.Targets[metadata.TARGETS] = targets
	if err != nil {
		return refusal(RoleRevocations, err)
	}
	c.next.bundle.Revocations = b.Revocations
	c.next.revoked, c.next.listed = c.next.revoked.With(list...), signing.NewRevocations(list...)
	c.next.newest = max(c.next.newest, m.Signed.Version)
	return c.add(RoleRevocations, &m.Signed.Version, m.Signed.Expires, m.Signed.UnrecognizedFields)
}

// files holds the files against the signed targets, and reads them.
func (c *chain) files(b Bundle) error {
	c.next.tuf = c.tuf
	if err := c.file(TargetPolicy, b.Policy); err != nil {
		return err
	}
	policy, err := signing.ParsePolicy(b.Policy)
	if err != nil {
		return err
	}
	if policy.Deployment != c.next.anchor.Deployment {
		return errs.New(errs.CodeWrongDeployment, "cannot trust the policy: it is of deployment %s, this machine belongs to %s",
			policy.Deployment, c.next.anchor.Deployment)
	}
	c.next.bundle.Policy, c.next.policy = b.Policy, policy
	if _, listed := c.tuf.Targets[metadata.TARGETS].Signed.Targets[TargetCA]; listed {
		if err := c.file(TargetCA, b.CA); err != nil {
			return err
		}
		if err := checkCA(b.CA); err != nil {
			return err
		}
		c.next.bundle.CA, c.next.ca = b.CA, b.CA
	}
	return c.strong(policy)
}

func (c *chain) file(name string, b []byte) error {
	target, ok := c.tuf.Targets[metadata.TARGETS].Signed.Targets[name]
	if !ok || len(b) == 0 {
		return missing(name)
	}
	if len(target.Hashes["sha256"]) == 0 {
		return invalid("its targets have no sha256 of %s", name)
	}
	if err := target.VerifyLengthHashes(b); err != nil {
		return refusal(name, err)
	}
	return nil
}

// strong refuses roles that fewer people can change than a hook needs to run:
// they could lower the policy first.
func (c *chain) strong(policy *signing.Policy) error {
	for _, role := range []string{metadata.ROOT, metadata.TARGETS} {
		if have, need := c.fewest(role, policy), policy.RunThreshold(); have < need {
			return errs.New(errs.CodeTrustWeak, "cannot trust the metadata: %d can sign its %s, and a hook needs %d people", have, role, need).
				WithHint("raise the threshold: hookline trust rotate")
		}
	}
	return nil
}

// fewest is how few people can sign a role: who has several of its keys needs
// fewer others. A key that the policy does not know counts as one of a person
// of its own.
func (c *chain) fewest(name string, policy *signing.Policy) int {
	root := c.tuf.Root.Signed
	keys := map[string]int{}
	for _, id := range root.Roles[name].KeyIDs {
		holder := "key " + id // no person's name
		if pub, err := publicKey(root.Keys[id]); err == nil {
			if person, ok := policy.Person(pub.ID); ok {
				holder = person.Name
			}
		}
		keys[holder]++
	}
	people, signed := 0, 0
	for _, n := range slices.Backward(slices.Sorted(maps.Values(keys))) {
		if signed >= root.Roles[name].Threshold {
			break
		}
		people, signed = people+1, signed+n
	}
	return people
}

// maxSkipped bounds how many versions a role can be ahead of what is known.
// Whoever holds one freshen key could use up all of them, and with a revoker's
// key those of the revocations: nobody could sign a newer one.
const maxSkipped = 1 << 20

// notOlder holds versions against what is known, also where the root changed
// the keys of snapshot or timestamp and the specification would start anew.
func (c *chain) notOlder(known *Trusted) error {
	if known == nil {
		return nil
	}
	for i, role := range c.next.roles {
		if was := known.roles[i].Version; role.Version-was > maxSkipped {
			return invalid("its %s skips from version %d to %d", role.Name, was, role.Version)
		}
		if role.Name != metadata.TIMESTAMP && role.Name != metadata.SNAPSHOT && role.Version < known.roles[i].Version {
			return errs.New(errs.CodeTrustRollback, "cannot take the metadata: its %s has version %d, version %d was seen", role.Name, role.Version, known.roles[i].Version)
		}
	}
	return nil
}

// pushed adds the newer revocations of the bundle, or keeps those that were
// pushed before as long as they are newer than the snapshot's.
func (c *chain) pushed(b Bundle) (*Trusted, error) {
	next := c.next
	if len(c.old.Pushed) > 0 {
		if kept, err := next.Push(c.old.Pushed); err == nil {
			next = kept
		}
	}
	if len(b.Pushed) == 0 {
		return next, nil
	}
	return next.Push(b.Pushed)
}

// maxUnnamed bounds how far pushed revocations can be ahead of those that the
// snapshot names. Whoever has one revoker's key could use up all versions, and
// nobody could revoke anything any more.
const maxUnnamed = 1000

// Push takes a newer version of the revocations' metadata alone, as it comes
// from a revoker, before anybody has put a snapshot over it. An older or equal
// version that verifies adds what it has, too: one revoker may not know of
// another.
func (t *Trusted) Push(revocations []byte) (*Trusted, error) {
	if err := checkPart(RoleRevocations, revocations, MaxRevocations); err != nil {
		return nil, err
	}
	m, list, err := parseRevocations(t.anchor.Deployment, revocations)
	if err != nil {
		return nil, err
	}
	at, err := signedAt(RoleRevocations, m.Signed.UnrecognizedFields, m.Signed.Expires)
	if err != nil {
		return nil, err
	}
	if err := signersOf(t.tuf.Targets[metadata.TARGETS], m).VerifyDelegate(RoleRevocations, m); err != nil {
		return nil, refusal(RoleRevocations, err)
	}
	named := t.roles[len(t.roles)-1].Version
	if m.Signed.Version > named+maxUnnamed {
		return nil, invalid("its revocations skip from version %d to %d", named, m.Signed.Version)
	}
	next := *t
	next.revoked = t.revoked.With(list...)
	newer := m.Signed.Version > t.newest
	// Update knows of the newest, and has yet to bring its bytes along.
	unnamed := len(t.bundle.Pushed) == 0 && m.Signed.Version > named
	if !newer && !unnamed && next.revoked.Len() == t.revoked.Len() {
		return t, nil
	}
	if newer || unnamed {
		next.bundle.Pushed, next.newest, next.pushedAt = revocations, max(t.newest, m.Signed.Version), at
		next.listed = signing.NewRevocations(list...)
	}
	return &next, nil
}

// refusal is an error of the library with the code that tells what it means.
func refusal(name string, err error) error {
	code, text := errs.CodeTrustInvalid, "cannot read its "+name
	switch {
	case as[*metadata.ErrUnsignedMetadata](err), as[*metadata.ErrValue](err):
		code, text = errs.CodeTrustSigned, "too few of the right keys have signed its "+name
	case as[*metadata.ErrLengthOrHashMismatch](err):
		code, text = errs.CodeTrustMixed, "its "+name+" is not the one that the other parts speak of"
	case as[*metadata.ErrBadVersionNumber](err):
		code, text = errs.CodeTrustRollback, "its "+name+" is older than it should be"
	case as[*metadata.ErrRepository](err):
		code, text = errs.CodeTrustMixed, "its "+name+" does not fit the other parts"
	}
	return errs.Wrap(code, err, "cannot trust the metadata: %s", text)
}

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
