package trust_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

// edited changes one piece of metadata in its bytes.
func edited(t testing.TB, b []byte, old, replacement string) []byte {
	t.Helper()
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("no %q in %s", old, b)
	}
	return bytes.Replace(b, []byte(old), []byte(replacement), 1)
}

// What a machine that was just enrolled refuses. Each row is everything right
// but for one thing.
func TestOpenRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   errs.Code
		change func(r *repo)
	}{
		// The root.
		{"the root of others", errs.CodeTrustRoot, func(r *repo) {
			r.bundle.Roots[0] = signed(r.tb, *r.root, r.alice, r.bob, r.mallory)
		}},
		{"no root", errs.CodeTrustMissing, func(r *repo) { r.bundle.Roots = nil }},
		{"an empty root", errs.CodeTrustMissing, func(r *repo) { r.bundle.Roots = append(r.bundle.Roots, nil) }},
		{"a root skipped", errs.CodeTrustRoot, func(r *repo) {
			r.newRoot(nil, r.alice, r.bob)
			r.newRoot(nil, r.alice, r.bob)
			r.bundle.Roots = [][]byte{r.bundle.Roots[0], r.bundle.Roots[2]}
		}},
		{"roots in another order", errs.CodeTrustRoot, func(r *repo) {
			r.newRoot(nil, r.alice, r.bob)
			r.newRoot(nil, r.alice, r.bob)
			r.bundle.Roots = [][]byte{r.bundle.Roots[0], r.bundle.Roots[2], r.bundle.Roots[1]}
		}},
		{"a new root of one signature", errs.CodeTrustSigned, func(r *repo) { r.newRoot(nil, r.alice) }},
		{"a new root with one signature twice", errs.CodeTrustInvalid, func(r *repo) { r.newRoot(nil, r.alice, r.alice) }},
		{"a new root with one signature under two ids", errs.CodeTrustSigned, func(r *repo) {
			r.newRoot(nil, r.alice, r.alice)
			last := r.bundle.Roots[len(r.bundle.Roots)-1]
			i := bytes.Index(last, []byte(r.alice.id)) // the signatures come first
			copy(last[i:], r.bob.id)
		}},
		{"a new root signed by nobody", errs.CodeTrustSigned, func(r *repo) { r.newRoot(nil) }},
		{"a new root signed by the freshen key too", errs.CodeTrustSigned, func(r *repo) { r.newRoot(nil, r.alice, r.dave) }},
		{"a new root signed by its own new keys alone", errs.CodeTrustSigned, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) {
				root.Keys[r.mallory.id], root.Keys[r.erin.id] = r.mallory.tuf, r.erin.tuf
				root.Roles[metadata.ROOT].KeyIDs = ids(r.mallory, r.erin)
			}, r.mallory, r.erin)
		}},
		{"a new root signed by the old keys alone", errs.CodeTrustSigned, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) {
				root.Keys[r.mallory.id], root.Keys[r.erin.id] = r.mallory.tuf, r.erin.tuf
				root.Roles[metadata.ROOT].KeyIDs = ids(r.mallory, r.erin)
			}, r.alice, r.bob)
		}},
		{"a new root that raises its threshold above its signatures", errs.CodeTrustSigned, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Roles[metadata.ROOT].Threshold = 3 }, r.alice, r.bob)
		}},
		{"a root edited after it was signed", errs.CodeTrustSigned, func(r *repo) {
			r.newRoot(nil, r.alice, r.bob)
			r.bundle.Roots[1] = edited(r.tb, r.bundle.Roots[1], `"threshold":2`, `"threshold":1`)
		}},
		{"one key under two ids", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) {
				twin := *r.alice.tuf
				twin.Type = metadata.KeyTypeECDSA_SHA2_P256_COMPAT
				own := metadata.Key{Type: twin.Type, Scheme: twin.Scheme, Value: twin.Value}
				id, err := own.ID()
				must(r.tb, err)
				root.Keys[id] = &own
				root.Roles[metadata.ROOT].KeyIDs = []string{r.alice.id, id}
			}, r.alice, r.bob)
		}},
		{"a key under an id of somebody's choice", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Keys[strings.Repeat("0", 64)] = r.mallory.tuf }, r.alice, r.bob)
		}},
		{"a role that names a key twice", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Roles[metadata.ROOT].KeyIDs = ids(r.alice, r.alice, r.bob) }, r.alice, r.bob)
		}},
		{"a role that names a key that is not there", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Roles[metadata.ROOT].KeyIDs = ids(r.alice, r.bob, r.mallory) }, r.alice, r.bob)
		}},
		{"a role with a threshold of 0", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Roles[metadata.TIMESTAMP].Threshold = 0 }, r.alice, r.bob)
		}},
		{"a role with a threshold below 0", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Roles[metadata.TARGETS].Threshold = -1 }, r.alice, r.bob)
		}},
		{"a role with a threshold above its keys", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Roles[metadata.SNAPSHOT].Threshold = 2 }, r.alice, r.bob)
		}},
		{"a root without a role", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { delete(root.Roles, metadata.TIMESTAMP) }, r.alice, r.bob)
		}},
		{"a key of another kind", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) {
				odd := &metadata.Key{Type: "ecdsa", Scheme: "ecdsa-sha2-nistp256", Value: metadata.KeyVal{PublicKey: "none"}}
				id, err := odd.ID()
				must(r.tb, err)
				root.Keys[id] = odd
			}, r.alice, r.bob)
		}},
		{"a root that does not say when it was signed", errs.CodeTrustInvalid, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { delete(root.UnrecognizedFields, trust.SignedAtMember) }, r.alice, r.bob)
		}},
		{"another deployment's root, which the same people signed", errs.CodeWrongDeployment, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) {
				root.UnrecognizedFields[trust.DeploymentMember] = "d-" + strings.Repeat("f", 32)
			}, r.alice, r.bob)
		}},
		{"a root that does not say of which deployment it is", errs.CodeWrongDeployment, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { delete(root.UnrecognizedFields, trust.DeploymentMember) }, r.alice, r.bob)
		}},
		{"more roots than are followed", errs.CodeTrustInvalid, func(r *repo) {
			for len(r.bundle.Roots) <= trust.MaxRoots {
				r.bundle.Roots = append(r.bundle.Roots, r.bundle.Roots[0])
			}
		}},

		// Who signed.
		{"targets of one signature", errs.CodeTrustSigned, func(r *repo) { r.newTargets(nil, r.alice); r.freshen() }},
		{"targets of revokers", errs.CodeTrustSigned, func(r *repo) { r.newTargets(nil, r.erin, r.frank); r.freshen() }},
		{"a snapshot of the owners, not of the freshen key", errs.CodeTrustSigned, func(r *repo) {
			r.newSnapshot(nil)
			r.bundle.Snapshot = signed(r.tb, *r.snapshot, r.alice, r.bob)
			r.newTimestamp(nil)
		}},
		{"a timestamp of mallory", errs.CodeTrustSigned, func(r *repo) {
			r.newTimestamp(nil)
			r.bundle.Timestamp = signed(r.tb, *r.timestamp, r.mallory)
		}},
		{"a timestamp of mallory under dave's id", errs.CodeTrustSigned, func(r *repo) {
			r.newTimestamp(nil)
			r.bundle.Timestamp = edited(r.tb, signed(r.tb, *r.timestamp, r.mallory), r.mallory.id, r.dave.id)
		}},
		{"a timestamp that nobody signed", errs.CodeTrustSigned, func(r *repo) {
			r.newTimestamp(nil)
			r.bundle.Timestamp = signed(r.tb, *r.timestamp)
		}},
		{"a timestamp edited after it was signed", errs.CodeTrustSigned, func(r *repo) {
			r.bundle.Timestamp = edited(r.tb, r.bundle.Timestamp, `"2026-11-09T`, `"2026-11-10T`)
		}},
		{"revocations of a reviewer who is no revoker", errs.CodeTrustSigned, func(r *repo) { r.revoke(r.bob, hook("a")); r.freshen() }},
		{"revocations of the freshen key", errs.CodeTrustSigned, func(r *repo) { r.revoke(r.dave, hook("a")); r.freshen() }},

		// One thing for another.
		{"the snapshot for the timestamp", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Timestamp = r.bundle.Snapshot }},
		{"the targets for the revocations", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Revocations = r.bundle.Targets }},
		{"the revocations for the targets", errs.CodeTrustMissing, func(r *repo) { r.bundle.Targets = r.bundle.Revocations }},
		{"the root for the targets", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Targets = r.bundle.Roots[0] }},

		// Parts of different times.
		{"the snapshot of another time", errs.CodeTrustMixed, func(r *repo) {
			old := r.bundle.Snapshot
			r.freshen()
			r.bundle.Snapshot = old
		}},
		{"the targets of another time", errs.CodeTrustMixed, func(r *repo) {
			old := r.bundle.Targets
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
			r.bundle.Targets = old
		}},
		{"the revocations of another time", errs.CodeTrustMixed, func(r *repo) {
			old := r.bundle.Revocations
			r.revoke(r.erin, hook("a"))
			r.freshen()
			r.bundle.Revocations = old
		}},
		{"newer revocations than the snapshot's", errs.CodeTrustMixed, func(r *repo) { r.revoke(r.erin, hook("a")) }},
		{"a snapshot that names another version than it hashes", errs.CodeTrustRollback, func(r *repo) {
			r.newSnapshot(func(s *metadata.SnapshotType) { s.Meta["targets.json"].Version++ })
			r.newTimestamp(nil)
		}},
		{"a timestamp that names another version than it hashes", errs.CodeTrustRollback, func(r *repo) {
			r.newTimestamp(func(s *metadata.TimestampType) { s.Meta["snapshot.json"].Version++ })
		}},
		{"another policy", errs.CodeTrustMixed, func(r *repo) { r.bundle.Policy = append(r.bundle.Policy, "# \n"...) }},
		{"a policy of the same length", errs.CodeTrustMixed, func(r *repo) {
			r.bundle.Policy = edited(r.tb, r.bundle.Policy, "reviewers: 1", "reviewers: 0")
		}},
		{"another certificate", errs.CodeTrustMixed, func(r *repo) {
			r.bundle.CA = certificate(r.tb)
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
			r.bundle.CA = append(bytes.Clone(r.bundle.CA), '\n')
		}},

		// What is missing.
		{"no timestamp", errs.CodeTrustMissing, func(r *repo) { r.bundle.Timestamp = nil }},
		{"no snapshot", errs.CodeTrustMissing, func(r *repo) { r.bundle.Snapshot = nil }},
		{"no targets", errs.CodeTrustMissing, func(r *repo) { r.bundle.Targets = nil }},
		{"no revocations", errs.CodeTrustMissing, func(r *repo) { r.bundle.Revocations = nil }},
		{"no policy", errs.CodeTrustMissing, func(r *repo) { r.bundle.Policy = nil }},
		{"no certificate, which the targets name", errs.CodeTrustMissing, func(r *repo) {
			r.bundle.CA = certificate(r.tb)
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
			r.bundle.CA = nil
		}},
		{"a policy that no targets name", errs.CodeTrustMissing, func(r *repo) {
			r.newTargets(func(t *metadata.TargetsType) { delete(t.Targets, trust.TargetPolicy) }, r.alice, r.bob)
			r.freshen()
		}},
		{"a policy without sha256", errs.CodeTrustInvalid, func(r *repo) {
			sum := sha512.Sum512(r.bundle.Policy)
			r.newTargets(func(t *metadata.TargetsType) {
				t.Targets[trust.TargetPolicy].Hashes = metadata.Hashes{"sha512": sum[:]}
			}, r.alice, r.bob)
			r.freshen()
		}},
		{"no delegation of revocations", errs.CodeTrustMissing, func(r *repo) {
			r.newTargets(func(t *metadata.TargetsType) { t.Delegations = nil }, r.alice, r.bob)
			r.freshen()
		}},
		{"a second delegated role", errs.CodeTrustMissing, func(r *repo) {
			r.newTargets(func(t *metadata.TargetsType) {
				other := t.Delegations.Roles[0]
				other.Name = "others"
				t.Delegations.Roles = append(t.Delegations.Roles, other)
			}, r.alice, r.bob)
			r.freshen()
		}},
		{"revocations that need two signatures", errs.CodeTrustInvalid, func(r *repo) {
			r.newTargets(func(t *metadata.TargetsType) { t.Delegations.Roles[0].Threshold = 2 }, r.alice, r.bob)
			r.freshen()
		}},
		{"revocations with delegations of their own", errs.CodeTrustInvalid, func(r *repo) {
			r.revocations.Delegations = r.targets.Delegations
			r.revoke(r.erin)
			r.freshen()
		}},
		{"a snapshot that does not name the revocations", errs.CodeTrustInvalid, func(r *repo) {
			r.newSnapshot(func(s *metadata.SnapshotType) { delete(s.Meta, "revocations.json") })
			r.newTimestamp(nil)
		}},
		{"a snapshot that names one part more", errs.CodeTrustInvalid, func(r *repo) {
			r.newSnapshot(func(s *metadata.SnapshotType) { s.Meta["other.json"] = s.Meta["targets.json"] })
			r.newTimestamp(nil)
		}},
		{"a snapshot without a hash", errs.CodeTrustInvalid, func(r *repo) {
			r.newSnapshot(func(s *metadata.SnapshotType) { s.Meta["targets.json"].Hashes = nil })
			r.newTimestamp(nil)
		}},
		{"a snapshot with another hash", errs.CodeTrustInvalid, func(r *repo) {
			r.newSnapshot(func(s *metadata.SnapshotType) {
				s.Meta["targets.json"].Hashes = metadata.Hashes{"md5": make([]byte, 16)}
			})
			r.newTimestamp(nil)
		}},
		{"a timestamp without a length", errs.CodeTrustInvalid, func(r *repo) {
			r.newTimestamp(func(s *metadata.TimestampType) { s.Meta["snapshot.json"].Length = 0 })
		}},

		// Weak.
		{"root by one, hooks by two", errs.CodeTrustWeak, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Roles[metadata.ROOT].Threshold = 1 }, r.alice, r.bob)
		}},
		{"targets by one, hooks by two", errs.CodeTrustWeak, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Roles[metadata.TARGETS].Threshold = 1 }, r.alice, r.bob)
		}},
		{"targets by two, hooks by three", errs.CodeTrustWeak, func(r *repo) {
			r.policy.Reviewers = 2
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
		}},
		{"targets by two, hooks as root by three", errs.CodeTrustWeak, func(r *repo) {
			r.policy.Needs = map[string]int{signing.CapAsRoot: 2}
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
		}},
		{"targets by two keys of one person", errs.CodeTrustWeak, func(r *repo) {
			r.policy.Persons[0].Keys = append(r.policy.Persons[0].Keys, r.mallory.public)
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
			r.newRoot(func(root *metadata.RootType) {
				root.Keys[r.mallory.id] = r.mallory.tuf
				root.Roles[metadata.TARGETS].KeyIDs = ids(r.alice, r.bob, r.mallory)
			}, r.alice, r.bob)
		}},

		// What the signed files say.
		{"a policy of another deployment", errs.CodeWrongDeployment, func(r *repo) {
			r.policy.Deployment = "d-" + strings.Repeat("f", 32)
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
		}},
		{"a signed policy that is none", errs.CodePolicyInvalid, func(r *repo) {
			r.policy.Reviewers = 0
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
		}},
		{"certificates that are none", errs.CodeTrustInvalid, func(r *repo) {
			r.bundle.CA = []byte("none\n")
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
		}},
		{"a private key beside the certificate", errs.CodeTrustInvalid, func(r *repo) {
			r.bundle.CA = append(certificate(r.tb), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"...)
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
		}},
		{"a revocation of no kind", errs.CodeTrustInvalid, func(r *repo) {
			r.revoke(r.erin, signing.Revocation{Kind: "person", Value: "alice", By: "erin", At: start})
			r.freshen()
		}},
		{"a revocation of no digest", errs.CodeTrustInvalid, func(r *repo) {
			r.revoke(r.erin, signing.Revocation{Kind: signing.RevokeVersion, Value: "0123", By: "erin", At: start})
			r.freshen()
		}},
		{"a revocation that does not say who and why", errs.CodeTrustInvalid, func(r *repo) {
			r.revocations.Targets["hook/a"] = target(nil)
			r.revoke(r.erin)
			r.freshen()
		}},
		{"more revocations than there may be", errs.CodeTrustInvalid, func(r *repo) {
			var list []signing.Revocation
			for i := range signing.MaxRevocations + 1 {
				list = append(list, hook(fmt.Sprintf("h%d", i)))
			}
			r.revoke(r.erin, list...)
			r.freshen()
		}},

		// Times and versions.
		{"a timestamp that lives too long", errs.CodeTrustInvalid, func(r *repo) {
			r.newTimestamp(func(s *metadata.TimestampType) { s.Expires = r.now.Add(trust.MaxFresh + time.Second) })
		}},
		{"a snapshot that lives too long", errs.CodeTrustInvalid, func(r *repo) {
			r.newSnapshot(func(s *metadata.SnapshotType) { s.Expires = r.now.Add(trust.MaxFresh + time.Second) })
			r.newTimestamp(nil)
		}},
		{"a timestamp that expired before it was signed", errs.CodeTrustInvalid, func(r *repo) {
			r.newTimestamp(func(s *metadata.TimestampType) { s.Expires = r.now })
		}},
		{"a time with a fraction", errs.CodeTrustInvalid, func(r *repo) {
			r.newTimestamp(func(s *metadata.TimestampType) {
				s.UnrecognizedFields = map[string]any{trust.SignedAtMember: "2026-11-02T09:00:00.5Z"}
			})
		}},
		{"a time that is a number", errs.CodeTrustInvalid, func(r *repo) {
			r.newTimestamp(func(s *metadata.TimestampType) { s.UnrecognizedFields = map[string]any{trust.SignedAtMember: 1} })
		}},
		{"revocations that expired before they were signed", errs.CodeTrustInvalid, func(r *repo) {
			r.revocations.Version++
			r.revocations.Expires = start.Add(-time.Second)
			r.bundle.Revocations = signed(r.tb, *r.revocations, r.erin)
			r.freshen()
		}},
		{"version 0", errs.CodeTrustInvalid, func(r *repo) {
			r.newTimestamp(func(s *metadata.TimestampType) { s.Version = 0 })
		}},
		{"revocations of a version below 0", errs.CodeTrustInvalid, func(r *repo) {
			r.revocations.Version = -2
			r.revoke(r.erin)
			r.freshen()
		}},

		// Caps.
		{"a root too long", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Roots[0] = spaces(trust.MaxMetadataBytes) }},
		{"a timestamp too long", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Timestamp = spaces(trust.MaxMetadataBytes) }},
		{"a snapshot too long", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Snapshot = spaces(trust.MaxMetadataBytes) }},
		{"targets too long", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Targets = spaces(trust.MaxMetadataBytes) }},
		{"revocations too long", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Revocations = spaces(trust.MaxRevocations) }},
		{"pushed revocations too long", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Pushed = spaces(trust.MaxRevocations) }},
		{"a policy too long", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Policy = spaces(signing.MaxPolicyBytes) }},
		{"certificates too long", errs.CodeTrustInvalid, func(r *repo) { r.bundle.CA = spaces(trust.MaxCABytes) }},
		{"deep JSON", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Timestamp = bytes.Repeat([]byte("["), 60_000) }},

		// Pushed revocations.
		{"pushed by somebody who is no revoker", errs.CodeTrustSigned, func(r *repo) { r.bundle.Pushed = r.more(r.alice, hook("a")) }},
		{"pushed garbage", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Pushed = []byte("{}") }},
		{"pushed targets", errs.CodeTrustInvalid, func(r *repo) { r.bundle.Pushed = r.bundle.Targets }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepo(t)
			anchor := r.anchor()
			tt.change(r)
			got, err := anchor.Open(r.bundle)
			wantCode(t, err, tt.code)
			if got != nil {
				t.Error("a refusal came with a Trusted")
			}
		})
	}
}

// spaces are one byte more than the cap.
func spaces(most int) []byte { return bytes.Repeat([]byte(" "), most+1) }

// What is decoded is what was signed: nothing beside it, nothing twice.
func TestOneForm(t *testing.T) {
	for name, change := range map[string]func(t testing.TB, b []byte) []byte{
		"trailing data":  func(_ testing.TB, b []byte) []byte { return append(bytes.Clone(b), "{}"...) },
		"duplicate":      func(t testing.TB, b []byte) []byte { return edited(t, b, `"version":1`, `"version":1,"version":1`) },
		"another first":  func(t testing.TB, b []byte) []byte { return edited(t, b, `"version":1`, `"version":7,"version":1`) },
		"case variant":   func(t testing.TB, b []byte) []byte { return edited(t, b, `"version":1`, `"Version":1`) },
		"beside it":      func(t testing.TB, b []byte) []byte { return edited(t, b, `{"signatures"`, `{"extra":1,"signatures"`) },
		"in a signature": func(t testing.TB, b []byte) []byte { return edited(t, b, `{"keyid"`, `{"extra":1,"keyid"`) },
		"beside a case variant": func(t testing.TB, b []byte) []byte {
			return edited(t, b, `"version":1,`, `"VERSION":1,"version":1,`)
		},
		"escaped":         func(t testing.TB, b []byte) []byte { return edited(t, b, `"version"`, `"versio\u006e"`) },
		"a fraction":      func(t testing.TB, b []byte) []byte { return edited(t, b, `"version":1`, `"version":1.0`) },
		"a zone":          func(t testing.TB, b []byte) []byte { return edited(t, b, `09:00:00Z"`, `09:00:00+00:00"`) },
		"a list":          func(_ testing.TB, b []byte) []byte { return append(append([]byte("["), b...), ']') },
		"nothing at all":  func(_ testing.TB, _ []byte) []byte { return []byte("null") },
		"an empty object": func(_ testing.TB, _ []byte) []byte { return []byte("{}") },
	} {
		t.Run(name, func(t *testing.T) {
			for part, set := range map[string]func(*repo, []byte){
				"root":      func(r *repo, b []byte) { r.bundle.Roots[1] = b },
				"timestamp": func(r *repo, b []byte) { r.bundle.Timestamp = b },
				"snapshot": func(r *repo, b []byte) {
					r.bundle.Snapshot = b
					r.newTimestamp(nil)
				},
				"revocations": func(r *repo, b []byte) { r.bundle.Revocations = b; r.freshen() },
				"targets":     func(r *repo, b []byte) { r.bundle.Targets = b; r.freshen() },
				"pushed":      func(r *repo, b []byte) { r.bundle.Pushed = b },
			} {
				r := newRepo(t)
				anchor := r.anchor()
				old := map[string][]byte{
					"root": r.bundle.Roots[0], "timestamp": r.bundle.Timestamp, "snapshot": r.bundle.Snapshot,
					"revocations": r.bundle.Revocations, "targets": r.bundle.Targets, "pushed": r.bundle.Revocations,
				}[part]
				if part == "root" {
					r.bundle.Roots = append(r.bundle.Roots, nil)
				}
				set(r, change(t, old))
				if _, err := anchor.Open(r.bundle); !errs.Is(err, errs.CodeTrustInvalid) {
					t.Errorf("%s: %v", part, err)
				}
			}
		})
	}
}

// A bundle has one form, and caps before anything in it is looked at.
func TestParseBundleRefusals(t *testing.T) {
	r := newRepo(t)
	r.bundle.CA, r.bundle.Pushed = []byte{0xfb, 0xff}, []byte("y") // "+/8="
	good := encoded(t, r.bundle)
	if _, err := trust.ParseBundle(good); err != nil {
		t.Fatal(err)
	}
	root := base64.StdEncoding.EncodeToString(r.bundle.Roots[0])
	long := r.bundle
	long.Roots = slices.Repeat([][]byte{spaces(trust.MaxMetadataBytes)[1:]}, 40)
	if b := encoded(t, long); len(b) <= trust.MaxBundleBytes {
		t.Fatalf("%d bytes are not too long", len(b))
	}
	without := func(change func(*trust.Bundle)) []byte {
		b := r.bundle
		change(&b)
		return encoded(t, b)
	}
	for name, tt := range map[string]struct {
		b    []byte
		code errs.Code
	}{
		"nothing":                {nil, errs.CodeTrustInvalid},
		"null":                   {[]byte("null"), errs.CodeTrustInvalid},
		"empty":                  {[]byte("{}"), errs.CodeTrustInvalid},
		"a list":                 {append(append([]byte("["), good...), ']'), errs.CodeTrustInvalid},
		"too long":               {encoded(t, long), errs.CodeTrustInvalid},
		"deep":                   {bytes.Repeat([]byte("["), 1<<20), errs.CodeTrustInvalid},
		"deep in a member":       {append([]byte(`{"roots":`), bytes.Repeat([]byte("["), 1<<20)...), errs.CodeTrustInvalid},
		"trailing data":          {append(slices.Clone(good), "{}"...), errs.CodeTrustInvalid},
		"a line break behind":    {append(slices.Clone(good), '\n'), errs.CodeTrustInvalid},
		"white space":            {edited(t, good, `,"timestamp"`, `, "timestamp"`), errs.CodeTrustInvalid},
		"unknown member":         {edited(t, good, `{"roots"`, `{"extra":1,"roots"`), errs.CodeTrustInvalid},
		"duplicate member":       {edited(t, good, `{"roots"`, `{"roots":[],"roots"`), errs.CodeTrustInvalid},
		"case variant":           {edited(t, good, `"timestamp"`, `"Timestamp"`), errs.CodeTrustInvalid},
		"escaped":                {edited(t, good, `"timestamp"`, `"times\u0074amp"`), errs.CodeTrustInvalid},
		"URL base64":             {edited(t, good, `"+/8="`, `"-_8="`), errs.CodeTrustInvalid},
		"base64 without its end": {edited(t, good, `"+/8="`, `"+/8"`), errs.CodeTrustInvalid},
		"base64 with spare bits": {edited(t, good, `"+/8="`, `"+/9="`), errs.CodeTrustInvalid},
		"base64 with a break":    {edited(t, good, root, root[:4]+`\n`+root[4:]), errs.CodeTrustInvalid},
		"an empty CA":            {edited(t, good, `"ca":"+/8="`, `"ca":""`), errs.CodeTrustInvalid},
		"no CA, but null":        {edited(t, good, `"ca":"+/8="`, `"ca":null`), errs.CodeTrustInvalid},
		"no root":                {without(func(b *trust.Bundle) { b.Roots = nil }), errs.CodeTrustMissing},
		"no timestamp":           {without(func(b *trust.Bundle) { b.Timestamp = nil }), errs.CodeTrustMissing},
		"a long timestamp":       {without(func(b *trust.Bundle) { b.Timestamp = spaces(trust.MaxMetadataBytes) }), errs.CodeTrustInvalid},
	} {
		if _, err := trust.ParseBundle(tt.b); errs.CodeOf(err) != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
}
