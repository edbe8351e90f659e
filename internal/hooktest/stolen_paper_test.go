package hooktest_test

import (
	"crypto/sha256"
	"maps"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust"
)

// Trust metadata written by hand: with the people's keys it is what their
// `hookline trust` makes, with others what a thief would like to be it.

// lifeOfFresh is how long snapshots and timestamps of these tests live.
const lifeOfFresh = 7 * 24 * time.Hour

// edited is metadata with a change, signed anew by these keys alone.
func edited[T metadata.Roles](t *testing.T, b []byte, change func(*T), keys ...*signer.Signer) []byte {
	t.Helper()
	m, err := (&metadata.Metadata[T]{}).FromBytes(b)
	must(t, err)
	change(&m.Signed)
	m.ClearSignatures()
	payload, err := cjson.EncodeCanonical(m.Signed)
	must(t, err)
	for _, k := range keys {
		_, id := tufKey(t, k)
		sig, err := k.SignBytes(payload)
		must(t, err)
		m.Signatures = append(m.Signatures, metadata.Signature{KeyID: id, Signature: sig})
	}
	out, err := m.ToBytes(false)
	must(t, err)
	return out
}

// tufKey is a key as metadata names it.
func tufKey(t *testing.T, k *signer.Signer) (*metadata.Key, string) {
	t.Helper()
	key, err := metadata.KeyFromPublicKey(k.Public().Key)
	must(t, err)
	id, err := key.ID()
	must(t, err)
	return key, id
}

// signedNow is the members beside those of the specification, of now.
func signedNow(members map[string]any) map[string]any {
	next := maps.Clone(members)
	if next == nil {
		next = map[string]any{}
	}
	next[trust.SignedAtMember] = time.Now().UTC().Truncate(time.Second).Format(time.RFC3339)
	return next
}

func until(life time.Duration) time.Time { return time.Now().UTC().Truncate(time.Second).Add(life) }

func meta(version int64, b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: version, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

func versionOf[T metadata.Roles](t *testing.T, b []byte, version func(*T) int64) int64 {
	t.Helper()
	m, err := (&metadata.Metadata[T]{}).FromBytes(b)
	must(t, err)
	return version(&m.Signed)
}

func targetsVersion(t *testing.T, b []byte) int64 {
	return versionOf(t, b, func(s *metadata.TargetsType) int64 { return s.Version })
}

// freshened puts the next snapshot and timestamp over all parts, the newest
// revocations among them.
func freshened(t *testing.T, b trust.Bundle, life time.Duration, key *signer.Signer) trust.Bundle {
	t.Helper()
	if len(b.Pushed) > 0 {
		b.Revocations, b.Pushed = b.Pushed, nil
	}
	var snapshot int64
	b.Snapshot = edited(t, b.Snapshot, func(s *metadata.SnapshotType) {
		s.Version++
		snapshot = s.Version
		s.Expires, s.UnrecognizedFields = until(life), signedNow(s.UnrecognizedFields)
		s.Meta = map[string]*metadata.MetaFiles{
			"targets.json":     meta(targetsVersion(t, b.Targets), b.Targets),
			"revocations.json": meta(targetsVersion(t, b.Revocations), b.Revocations),
		}
	}, key)
	b.Timestamp = edited(t, b.Timestamp, func(s *metadata.TimestampType) {
		s.Version++
		s.Expires, s.UnrecognizedFields = until(life), signedNow(s.UnrecognizedFields)
		s.Meta = map[string]*metadata.MetaFiles{"snapshot.json": meta(snapshot, b.Snapshot)}
	}, key)
	return b
}

// revoking is the next version of the revocations, with one more.
func revoking(t *testing.T, b trust.Bundle, key *signer.Signer, kind signing.RevocationKind, value string) []byte {
	t.Helper()
	p, err := signing.ParsePolicy(b.Policy)
	must(t, err)
	return revokingIn(t, p.Deployment, b, key, kind, value)
}

// revokingIn is the same for a deployment of that name.
func revokingIn(t *testing.T, of string, b trust.Bundle, key *signer.Signer, kind signing.RevocationKind, value string) []byte {
	t.Helper()
	newest := b.Revocations
	if len(b.Pushed) > 0 {
		newest = b.Pushed
	}
	path, target, err := trust.RevocationTarget(signing.Revocation{
		Kind: kind, Value: value, Reason: "it reads too much", By: "carol", At: time.Now().UTC().Truncate(time.Second),
	})
	must(t, err)
	return edited(t, newest, func(s *metadata.TargetsType) {
		s.Version++
		s.UnrecognizedFields[trust.DeploymentMember] = of
		s.Expires = until(365 * 24 * time.Hour)
		s.UnrecognizedFields[trust.SignedAtMember] = signedNow(s.UnrecognizedFields)[trust.SignedAtMember]
		if s.Targets == nil {
			s.Targets = map[string]*metadata.TargetFiles{}
		}
		s.Targets[path] = target
	}, key)
}

// withPolicy is the next version of the targets, with another policy.
func withPolicy(t *testing.T, b trust.Bundle, policy []byte, keys ...*signer.Signer) trust.Bundle {
	t.Helper()
	b.Policy = policy
	b.Targets = edited(t, b.Targets, func(s *metadata.TargetsType) {
		s.Version++
		s.UnrecognizedFields = signedNow(s.UnrecognizedFields)
		sum := sha256.Sum256(policy)
		s.Targets[trust.TargetPolicy].Length = int64(len(policy))
		s.Targets[trust.TargetPolicy].Hashes = metadata.Hashes{"sha256": sum[:]}
	}, keys...)
	return b
}

// withRoot adds the next root.
func withRoot(t *testing.T, b trust.Bundle, change func(*metadata.RootType), keys ...*signer.Signer) trust.Bundle {
	t.Helper()
	newest := b.Roots[len(b.Roots)-1]
	next := edited(t, newest, func(s *metadata.RootType) {
		s.Version++
		s.UnrecognizedFields = signedNow(s.UnrecognizedFields)
		change(s)
	}, keys...)
	b.Roots = append(append([][]byte{}, b.Roots...), next)
	return b
}

// onlyKey lets one key alone sign everything.
func onlyKey(t *testing.T, k *signer.Signer) func(*metadata.RootType) {
	t.Helper()
	key, id := tufKey(t, k)
	return func(s *metadata.RootType) {
		s.Keys = map[string]*metadata.Key{id: key}
		for _, role := range s.Roles {
			role.KeyIDs, role.Threshold = []string{id}, 1
		}
	}
}

func encoded(t *testing.T, b trust.Bundle) []byte {
	t.Helper()
	out, err := b.Encode()
	must(t, err)
	return out
}
