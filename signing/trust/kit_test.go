package trust_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/pem"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

const deployment = "d-00112233445566778899aabbccddeeff"

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// key is somebody's key, the same in every process.
type key struct {
	private signature.Signer
	public  signing.PublicKey
	tuf     *metadata.Key
	id      string // the specification's
}

func newKey(tb testing.TB, name string, p256 bool) *key {
	tb.Helper()
	seed := sha256.Sum256([]byte(name))
	var private crypto.Signer
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if !p256 {
		private, err = ed25519.NewKeyFromSeed(seed[:]), nil
	}
	must(tb, err)
	k := &key{}
	k.private, err = signature.LoadSigner(private, crypto.SHA256)
	must(tb, err)
	k.public, err = signing.NewPublicKey(private.Public())
	must(tb, err)
	k.tuf, err = metadata.KeyFromPublicKey(private.Public())
	must(tb, err)
	k.id, err = k.tuf.ID()
	must(tb, err)
	return k
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// repo makes metadata, right or wrong, as package keeper never would. alice,
// bob and carol hold root and targets, two of them suffice; dave freshens,
// erin and frank revoke, mallory holds nothing.
type repo struct {
	tb                                            testing.TB
	alice, bob, carol, dave, erin, frank, mallory *key
	now                                           time.Time
	policy                                        signing.Policy
	root                                          *metadata.RootType
	targets, revocations                          *metadata.TargetsType
	snapshot                                      *metadata.SnapshotType
	timestamp                                     *metadata.TimestampType
	bundle                                        trust.Bundle
}

func newRepo(tb testing.TB) *repo { return newRepoOf(tb, true) }

// newRepoOf makes one with P-256 keys, but for carol's, or with Ed25519 keys
// alone: then it is the same in every process of a fuzz run, to the byte.
func newRepoOf(tb testing.TB, p256 bool) *repo {
	tb.Helper()
	r := &repo{
		tb: tb, now: start,
		alice: newKey(tb, "alice", p256), bob: newKey(tb, "bob", p256), carol: newKey(tb, "carol", false), dave: newKey(tb, "dave", p256),
		erin: newKey(tb, "erin", p256), frank: newKey(tb, "frank", p256), mallory: newKey(tb, "mallory", p256),
	}
	person := func(name string, k *key, roles ...signing.Role) signing.Person {
		return signing.Person{Name: name, Roles: roles, Keys: []signing.PublicKey{k.public}}
	}
	r.policy = signing.Policy{
		Deployment: deployment, Profile: signing.ProfileTeam, Reviewers: 1, MaxLifetime: signing.MaxLifetime,
		Persons: []signing.Person{
			person("alice", r.alice, signing.RoleAuthor, signing.RoleReviewer), person("bob", r.bob, signing.RoleReviewer),
			person("carol", r.carol, signing.RoleReviewer), person("erin", r.erin, signing.RoleRevoker), person("frank", r.frank, signing.RoleRevoker),
		},
	}
	r.root = &metadata.RootType{Type: metadata.ROOT, SpecVersion: "1.0.31", Keys: map[string]*metadata.Key{}, Roles: map[string]*metadata.Role{}}
	for _, k := range []*key{r.alice, r.bob, r.carol, r.dave} {
		r.root.Keys[k.id] = k.tuf
	}
	for _, name := range []string{metadata.ROOT, metadata.TARGETS} {
		r.root.Roles[name] = &metadata.Role{KeyIDs: ids(r.alice, r.bob, r.carol), Threshold: 2}
	}
	for _, name := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
		r.root.Roles[name] = &metadata.Role{KeyIDs: ids(r.dave), Threshold: 1}
	}
	r.targets = &metadata.TargetsType{Type: metadata.TARGETS, SpecVersion: "1.0.31", Targets: map[string]*metadata.TargetFiles{}}
	r.targets.Delegations = &metadata.Delegations{
		Keys:  map[string]*metadata.Key{r.erin.id: r.erin.tuf, r.frank.id: r.frank.tuf},
		Roles: []metadata.DelegatedRole{{Name: trust.RoleRevocations, KeyIDs: ids(r.erin, r.frank), Threshold: 1, Terminating: true, Paths: []string{"*/*", "*/*/*"}}},
	}
	r.revocations = &metadata.TargetsType{Type: metadata.TARGETS, SpecVersion: "1.0.31", Targets: map[string]*metadata.TargetFiles{}}
	r.snapshot = &metadata.SnapshotType{Type: metadata.SNAPSHOT, SpecVersion: "1.0.31"}
	r.timestamp = &metadata.TimestampType{Type: metadata.TIMESTAMP, SpecVersion: "1.0.31"}
	r.newRoot(nil, r.alice, r.bob)
	r.newTargets(nil, r.alice, r.bob)
	r.revoke(r.erin)
	r.freshen()
	return r
}

func ids(keys ...*key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.id)
	}
	return out
}

// signedAt is the member that tells when.
func (r *repo) signedAt() map[string]any {
	return map[string]any{trust.SignedAtMember: r.now.Format(time.RFC3339)}
}

// signed is one piece of metadata with the signatures of the keys.
func signed[T metadata.Roles](tb testing.TB, part T, keys ...*key) []byte {
	tb.Helper()
	m := &metadata.Metadata[T]{Signed: part, Signatures: []metadata.Signature{}}
	for _, k := range keys {
		_, err := m.Sign(k.private)
		must(tb, err)
	}
	b, err := m.ToBytes(false)
	must(tb, err)
	return b
}

// newRoot signs the next root; change may be nil.
func (r *repo) newRoot(change func(*metadata.RootType), keys ...*key) {
	r.tb.Helper()
	r.root.Version++
	r.root.Expires, r.root.UnrecognizedFields = r.now.Add(365*day), r.signedAt()
	r.root.UnrecognizedFields[trust.DeploymentMember] = deployment
	if change != nil {
		change(r.root)
	}
	r.bundle.Roots = append(slices.Clip(r.bundle.Roots), signed(r.tb, *r.root, keys...))
}

// newTargets signs the next targets, over the policy and the certificates.
func (r *repo) newTargets(change func(*metadata.TargetsType), keys ...*key) {
	r.tb.Helper()
	r.bundle.Policy = r.policy.YAML()
	r.targets.Version++
	r.targets.Expires, r.targets.UnrecognizedFields = r.now.Add(365*day), r.signedAt()
	r.targets.Targets = map[string]*metadata.TargetFiles{trust.TargetPolicy: target(r.bundle.Policy)}
	if len(r.bundle.CA) > 0 {
		r.targets.Targets[trust.TargetCA] = target(r.bundle.CA)
	}
	if change != nil {
		change(r.targets)
	}
	r.bundle.Targets = signed(r.tb, *r.targets, keys...)
}

func target(b []byte) *metadata.TargetFiles {
	sum := sha256.Sum256(b)
	return &metadata.TargetFiles{Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

// more signs the next revocations with these in addition, and returns them.
func (r *repo) more(k *key, list ...signing.Revocation) []byte {
	r.tb.Helper()
	r.revocations.Version++
	r.revocations.Expires, r.revocations.UnrecognizedFields = r.now.Add(365*day), r.signedAt()
	r.revocations.UnrecognizedFields[trust.DeploymentMember] = r.policy.Deployment
	for _, one := range list {
		path, file, err := trust.RevocationTarget(one)
		must(r.tb, err)
		r.revocations.Targets[path] = file
	}
	return signed(r.tb, *r.revocations, k)
}

// revoke is more for the snapshot to come.
func (r *repo) revoke(k *key, list ...signing.Revocation) {
	r.tb.Helper()
	r.bundle.Revocations = r.more(k, list...)
}

// freshen signs snapshot and timestamp over what there is.
func (r *repo) freshen() {
	r.tb.Helper()
	r.newSnapshot(nil)
	r.newTimestamp(nil)
}

func (r *repo) newSnapshot(change func(*metadata.SnapshotType)) {
	r.tb.Helper()
	r.snapshot.Version++
	r.snapshot.Expires, r.snapshot.UnrecognizedFields = r.now.Add(7*day), r.signedAt()
	r.snapshot.Meta = map[string]*metadata.MetaFiles{
		"targets.json": meta(r.bundle.Targets, r.targets.Version), "revocations.json": meta(r.bundle.Revocations, r.revocations.Version),
	}
	if change != nil {
		change(r.snapshot)
	}
	r.bundle.Snapshot = signed(r.tb, *r.snapshot, r.dave)
}

func (r *repo) newTimestamp(change func(*metadata.TimestampType)) {
	r.tb.Helper()
	r.timestamp.Version++
	r.timestamp.Expires, r.timestamp.UnrecognizedFields = r.now.Add(7*day), r.signedAt()
	r.timestamp.Meta = map[string]*metadata.MetaFiles{"snapshot.json": meta(r.bundle.Snapshot, r.snapshot.Version)}
	if change != nil {
		change(r.timestamp)
	}
	r.bundle.Timestamp = signed(r.tb, *r.timestamp, r.dave)
}

func meta(b []byte, version int64) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}, Version: version}
}

// anchor is the one of a machine that enrolled with the first root.
func (r *repo) anchor() trust.Anchor {
	return trust.Anchor{RootDigest: trust.Digest(r.bundle.Roots[0]), Deployment: deployment}
}

// open is what must be accepted.
func (r *repo) open() *trust.Trusted {
	r.tb.Helper()
	t, err := r.anchor().Open(r.bundle)
	must(r.tb, err)
	return t
}

// certificate is a self-signed one of an authority; that of the test server.
func certificate(tb testing.TB) []byte {
	tb.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func hook(name string) signing.Revocation {
	return signing.Revocation{Kind: signing.RevokeHook, Value: name, Reason: "wrong", By: "erin", At: start}
}

func names(t *trust.Trusted) []string {
	out := []string{}
	for _, r := range t.Revoked().List() {
		out = append(out, r.Value)
	}
	return out
}

func wantCode(t *testing.T, err error, code errs.Code) {
	t.Helper()
	if errs.CodeOf(err) != code {
		t.Errorf("got error %v with code %q, want code %q", err, errs.CodeOf(err), code)
	}
}
