package hooktest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust"
)

// trustTry is a bundle of trust metadata that a thief sends to a machine that
// has seen a newer one than the thief stole. The machine's record must say
// that it was refused, with this code, and what was in force stays.
type trustTry struct {
	does   string
	code   errs.Code
	bundle func(t *testing.T, h *heist, now trust.Bundle) []byte
}

// olderMetadata are tries with what people signed, but not lately, or not for
// each other.
func olderMetadata() []trustTry {
	mixed := func(does string, code errs.Code, mix func(b *trust.Bundle, old trust.Bundle)) trustTry {
		return trustTry{does, code, func(t *testing.T, h *heist, now trust.Bundle) []byte {
			mix(&now, h.loot.trusted.Bundle())
			return encoded(t, now)
		}}
	}
	return []trustTry{
		mixed("the metadata that it stole, after the machine has seen newer", errs.CodeTrustRollback, func(b *trust.Bundle, old trust.Bundle) { *b = old }),
		mixed("the old timestamp over the new parts", errs.CodeTrustRollback, func(b *trust.Bundle, old trust.Bundle) { b.Timestamp = old.Timestamp }),
		mixed("the old snapshot under the new timestamp", errs.CodeTrustMixed, func(b *trust.Bundle, old trust.Bundle) { b.Snapshot = old.Snapshot }),
		mixed("the old revocations under the new snapshot", errs.CodeTrustMixed, func(b *trust.Bundle, old trust.Bundle) { b.Revocations = old.Revocations }),
		mixed("metadata without a snapshot", errs.CodeTrustMissing, func(b *trust.Bundle, _ trust.Bundle) { b.Snapshot = nil }),
		mixed("metadata without a root", errs.CodeTrustMissing, func(b *trust.Bundle, _ trust.Bundle) { b.Roots = nil }),
	}
}

// otherRoots are tries to become who says whose signatures count.
func otherRoots() []trustTry {
	root := func(does string, code errs.Code, bundle func(t *testing.T, h *heist, now trust.Bundle) trust.Bundle) trustTry {
		return trustTry{does, code, func(t *testing.T, h *heist, now trust.Bundle) []byte { return encoded(t, bundle(t, h, now)) }}
	}
	return []trustTry{
		root("metadata of its own, from a root of its own", errs.CodeTrustRoot, func(t *testing.T, h *heist, now trust.Bundle) trust.Bundle {
			return ownMetadata(t, h.mallory, now)
		}),
		root("its own root as the next version, signed by itself", errs.CodeTrustSigned, func(t *testing.T, h *heist, now trust.Bundle) trust.Bundle {
			return withRoot(t, now, onlyKey(t, h.mallory), h.mallory)
		}),
		root("a next root that two of three people signed, and itself", errs.CodeTrustSigned, func(t *testing.T, h *heist, now trust.Bundle) trust.Bundle {
			return withRoot(t, now, onlyKey(t, h.mallory), h.alice, h.bob, h.mallory)
		}),
		root("a next root that one person signed three times", errs.CodeTrustInvalid, func(t *testing.T, h *heist, now trust.Bundle) trust.Bundle {
			return withRoot(t, now, onlyKey(t, h.alice), h.alice, h.alice, h.alice)
		}),
		root("a next root with its own key, which people signed but not that key", errs.CodeTrustSigned, func(t *testing.T, h *heist, now trust.Bundle) trust.Bundle {
			return withRoot(t, now, onlyKey(t, h.mallory), h.everybody()...)
		}),
		root("a root that leaves out the version before it", errs.CodeTrustRoot, func(t *testing.T, h *heist, now trust.Bundle) trust.Bundle {
			return withRoot(t, now, func(s *metadata.RootType) { s.Version++ }, h.everybody()...)
		}),
		root("another deployment's next root, which the same people signed with the same keys", errs.CodeWrongDeployment, func(t *testing.T, h *heist, now trust.Bundle) trust.Bundle {
			return withRoot(t, now, func(s *metadata.RootType) {
				s.UnrecognizedFields[trust.DeploymentMember] = "d-00112233445566778899aabbccddeeff"
			}, h.everybody()...)
		}),
		root("a root under which one person alone could change the policy", errs.CodeTrustWeak, func(t *testing.T, h *heist, now trust.Bundle) trust.Bundle {
			return withRoot(t, now, func(s *metadata.RootType) { s.Roles["targets"].Threshold = 1 }, h.everybody()...)
		}),
	}
}

// ownMetadata is the same metadata with everything under one key, the first
// root too.
func ownMetadata(t *testing.T, key *signer.Signer, b trust.Bundle) trust.Bundle {
	t.Helper()
	b.Roots = [][]byte{edited(t, b.Roots[0], onlyKey(t, key), key)}
	b.Targets = edited(t, b.Targets, func(s *metadata.TargetsType) {
		s.Version++
		k, id := tufKey(t, key)
		s.Delegations.Keys = map[string]*metadata.Key{id: k}
		s.Delegations.Roles[0].KeyIDs = []string{id}
	}, key)
	return freshened(t, b, lifeOfFresh, key)
}

// otherPolicies are tries to lower how many must sign.
func otherPolicies() []trustTry {
	policy := func(does string, code errs.Code, signers func(h *heist) []*signer.Signer, change func(p *signing.Policy)) trustTry {
		return trustTry{does, code, func(t *testing.T, h *heist, now trust.Bundle) []byte {
			p, err := signing.ParsePolicy(now.Policy)
			must(t, err)
			change(p)
			if signers == nil {
				now.Policy = p.YAML()
				return encoded(t, now)
			}
			return encoded(t, freshened(t, withPolicy(t, now, p.YAML(), signers(h)...), lifeOfFresh, h.alice))
		}}
	}
	weaker := func(p *signing.Policy) { p.Reviewers = 1 }
	return []trustTry{
		policy("a policy that needs fewer reviewers, under the real metadata", errs.CodeTrustMixed, nil, weaker),
		policy("the same, with metadata that it signed itself", errs.CodeTrustSigned, func(h *heist) []*signer.Signer { return []*signer.Signer{h.mallory} }, weaker),
		policy("the same, signed by two of three people", errs.CodeTrustSigned, func(h *heist) []*signer.Signer { return []*signer.Signer{h.alice, h.bob} }, weaker),
		policy("another deployment's policy and metadata, which the same people signed with the same keys", errs.CodeWrongDeployment,
			(*heist).everybody, func(p *signing.Policy) { p.Deployment = "d-00112233445566778899aabbccddeeff" }),
	}
}

// otherRevocations are tries to make people's hooks stop for ever.
func otherRevocations() []trustTry {
	by := func(does string, key func(h *heist) *signer.Signer) trustTry {
		return trustTry{does, errs.CodeTrustSigned, func(t *testing.T, h *heist, now trust.Bundle) []byte {
			now.Pushed = revoking(t, now, key(h), signing.RevokeHook, h.loot.predicate(t).Hook)
			return encoded(t, now)
		}}
	}
	return []trustTry{
		by("a revocation that it signed itself", func(h *heist) *signer.Signer { return h.mallory }),
		by("a revocation signed by somebody who may not revoke", func(h *heist) *signer.Signer { return h.bob }),
		{
			"another deployment's revocation, which the same revoker signed with the same key", errs.CodeWrongDeployment,
			func(t *testing.T, h *heist, now trust.Bundle) []byte {
				now.Pushed = revokingIn(t, "d-00112233445566778899aabbccddeeff", now, h.carol, signing.RevokeHook, h.loot.predicate(t).Hook)
				return encoded(t, now)
			},
		},
	}
}

// otherTimes are tries to make metadata count for longer, or time pass faster.
func otherTimes() []trustTry {
	return []trustTry{
		{
			"a timestamp that it signed itself", errs.CodeTrustSigned,
			func(t *testing.T, h *heist, now trust.Bundle) []byte {
				return encoded(t, freshened(t, now, lifeOfFresh, h.mallory))
			},
		},
	}
}

// garbageMetadata is what is no metadata at all.
func garbageMetadata() []trustTry {
	raw := func(does string, change func(b []byte) []byte) trustTry {
		return trustTry{does, errs.CodeTrustInvalid, func(t *testing.T, _ *heist, now trust.Bundle) []byte { return change(encoded(t, now)) }}
	}
	return []trustTry{
		raw("garbage in place of metadata", func([]byte) []byte { return []byte("\x00\xff{{") }),
		raw("metadata with data behind it", func(b []byte) []byte { return append(b, ' ') }),
		raw("metadata with a member that nobody knows", func(b []byte) []byte { return append([]byte(`{"trust":"me",`), b[1:]...) }),
	}
}

func trustTries() []trustTry {
	return slices.Concat(olderMetadata(), otherRoots(), otherPolicies(), otherRevocations(), otherTimes(), garbageMetadata())
}

// trustLine is a machine's line about this very bundle.
func (m *target) trustLine(t *testing.T, bundle []byte) (recorded, bool) {
	t.Helper()
	digest := fmt.Sprintf("%x", sha256.Sum256(bundle))
	for _, l := range m.records(t) {
		if l.Kind == "trust" && l.Digest == digest {
			return l, true
		}
	}
	return recorded{}, false
}

// taken shows metadata to a machine and waits until it is in force there.
func (m *target) taken(t *testing.T, b trust.Bundle) {
	t.Helper()
	m.show(t, encoded(t, b))
	eventually(t, patience, func() error {
		kept, err := trust.ParseBundle(m.kept(t))
		if err == nil && (!bytes.Equal(kept.Timestamp, b.Timestamp) || !bytes.Equal(kept.Pushed, b.Pushed)) {
			err = errors.New("the machine does not keep the metadata that it was shown")
		}
		return err
	})
}

// kept is the metadata on a machine's disk.
func (m *target) kept(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(m.State(), "guard", "trust.json"))
	must(t, err)
	return b
}

// Whatever metadata the thief makes of what it stole, the machine stays with
// what people signed last.
func stolenMetadata(t *testing.T, h *heist, m *target) {
	before := len(ran(m.records(t)))
	now := freshened(t, h.loot.trusted.Bundle(), lifeOfFresh, h.alice)
	now.Pushed = revoking(t, now, h.carol, signing.RevokeHook, "long-gone")
	now = freshened(t, now, lifeOfFresh, h.carol)
	m.taken(t, now)
	inForce := m.kept(t)
	for _, try := range trustTries() {
		t.Run(try.does, func(t *testing.T) {
			bundle := try.bundle(t, h, now)
			m.say(t, trustMessage(bundle))
			var l recorded
			eventually(t, patience, func() error {
				var ok bool
				if l, ok = m.trustLine(t, bundle); !ok {
					return errors.New("the record has no line about it")
				}
				return nil
			})
			if l.Decision != "refused" || l.Code != string(try.code) {
				t.Errorf("the record says %s, %s: %s; want a refusal with %s", l.Decision, l.Code, l.Reason, try.code)
			}
			if !bytes.Equal(m.kept(t), inForce) {
				t.Error("it changed what the machine keeps")
			}
		})
	}
	rotatedOut(t, h, m, now)
	id, e := m.run(t, h.stolen(m.original))
	if e.outcome != string(hooks.OutcomeReceived) {
		t.Errorf("after all that the real hook ended %+v", e)
	}
	m.nothingElseRan(t, before, id)
}

// rotatedOut: a freshen key that people took out of the root makes nothing
// fresh any more, whichever root the thief shows with it.
func rotatedOut(t *testing.T, h *heist, m *target, now trust.Bundle) {
	t.Helper()
	_, gone := tufKey(t, h.alice)
	rotated := withRoot(t, now, func(s *metadata.RootType) {
		for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
			s.Roles[role].KeyIDs = slices.DeleteFunc(s.Roles[role].KeyIDs, func(id string) bool { return id == gone })
		}
	}, h.everybody()...)
	m.taken(t, freshened(t, rotated, lifeOfFresh, h.bob))
	inForce := m.kept(t)
	for _, b := range []trust.Bundle{now, rotated} { // without the new root, and with it
		bundle := encoded(t, freshened(t, freshened(t, b, lifeOfFresh, h.alice), lifeOfFresh, h.alice))
		m.say(t, trustMessage(bundle))
		eventually(t, patience, func() error {
			if l, ok := m.trustLine(t, bundle); !ok || l.Decision != "refused" || l.Code != string(errs.CodeTrustSigned) {
				return fmt.Errorf("the record says of it %+v", l)
			}
			return nil
		})
	}
	if !bytes.Equal(m.kept(t), inForce) {
		t.Error("it changed what the machine keeps")
	}
}

// A timestamp that the thief never lets be replaced runs out: until then a
// hidden revocation is not known, after that no hook runs.
func stolenFreeze(t *testing.T, h *heist, m *target) {
	before := len(ran(m.records(t)))
	const life = 3 * time.Second
	now := freshened(t, h.loot.trusted.Bundle(), life, h.alice)
	ends := until(life)
	m.taken(t, now)
	hidden := now
	hidden.Pushed = revoking(t, now, h.carol, signing.RevokeHook, h.loot.predicate(t).Hook)
	id, e := m.run(t, h.stolen(m.original))
	if e.outcome != string(hooks.OutcomeReceived) {
		t.Errorf("a hook whose revocation is hidden ended %+v, want that it runs: docs/stolen-server.md says so", e)
	}
	eventually(t, 2*life, func() error {
		if left := time.Until(ends); left >= 0 {
			return fmt.Errorf("the timestamp lives for %s more", left)
		}
		return nil
	})
	for range 2 {
		stale, e := m.run(t, h.stolen(m.original))
		if e.code != string(errs.CodeTrustStale) {
			t.Errorf("with a frozen timestamp the hook ended %+v, want %s", e, errs.CodeTrustStale)
		}
		refusedIn(t, m.records(t), stale, errs.CodeTrustStale)
		m.Kill() // a restart changes nothing
		streams := m.opened()
		must(t, m.Start(t.Context()))
		m.reconnects(t, streams)
	}
	// Freshened by somebody who has not heard of the revocation, or with a
	// stolen freshen key, it stays hidden.
	m.taken(t, freshened(t, now, lifeOfFresh, h.alice))
	second, e := m.run(t, h.stolen(m.original))
	if e.outcome != string(hooks.OutcomeReceived) {
		t.Errorf("what is fresh, with the revocation left out, ended %+v", e)
	}
	m.taken(t, freshened(t, freshened(t, hidden, lifeOfFresh, h.bob), lifeOfFresh, h.bob))
	revoked, e := m.run(t, h.stolen(m.original))
	if e.code != string(errs.CodeRevoked) {
		t.Errorf("what is fresh again has the revocation in it, and the hook ended %+v", e)
	}
	refusedIn(t, m.records(t), revoked, errs.CodeRevoked)
	m.nothingElseRan(t, before, id, second)
}

// busy is a hook that runs until it is stopped.
const busy = `while true do string.format("%99.99f", 1e300 / 3) end
`

// A revocation that reached a machine stops what runs, and stays, whatever
// the thief shows later.
func stolenRevocation(t *testing.T, h *heist, m *target) {
	before := len(ran(m.records(t)))
	old := freshened(t, h.loot.trusted.Bundle(), lifeOfFresh, h.alice)
	m.taken(t, old)
	run := h.signed(t, m.original, busy, func(p *hooks.Predicate) { p.Hook, p.MaxRuntimeMS = "busy", 10_000 }, h.everybody()...)
	first := m.send(t, run)
	eventually(t, patience, func() error {
		if all := m.records(t); !slices.Contains(ran(all), first) {
			return fmt.Errorf("the hook does not run yet: %+v", all)
		}
		return nil
	})
	pushed := old
	pushed.Pushed = revoking(t, old, h.carol, signing.RevokeVersion, hooks.Digest(run.GetStatement()))
	m.taken(t, pushed)
	if e := m.await(t, first); e.outcome != string(hooks.OutcomeFailed) || e.code != string(errs.CodeRevoked) {
		t.Errorf("the running hook ended %+v, want failed, %s", e, errs.CodeRevoked)
	}
	stays := func(what string) {
		t.Helper()
		id, e := m.run(t, run)
		if e.code != string(errs.CodeRevoked) {
			t.Errorf("%s, the version ended %+v, want %s", what, e, errs.CodeRevoked)
		}
		refusedIn(t, m.records(t), id, errs.CodeRevoked)
	}
	stays("sent again")
	m.show(t, encoded(t, freshened(t, old, lifeOfFresh, h.alice))) // fresh, and the revocation left out
	stays("without the revocation in newer metadata")
	m.show(t, h.loot.trust)
	stays("with the stolen metadata shown again")
	m.Kill()
	streams := m.opened()
	must(t, m.Start(t.Context()))
	m.reconnects(t, streams)
	stays("after kill -9 and a restart")
	h.keyRevoked(t, m)
	m.nothingElseRan(t, before, first)
}

// keyRevoked revokes a reviewer's key: no signature of it counts any more.
func (h *heist) keyRevoked(t *testing.T, m *target) {
	t.Helper()
	kept, err := trust.ParseBundle(m.kept(t))
	must(t, err)
	b := freshened(t, kept, lifeOfFresh, h.alice)
	b.Pushed = revoking(t, b, h.carol, signing.RevokeKey, string(h.bob.Public().ID))
	m.taken(t, b)
	id, e := m.run(t, h.stolen(m.original))
	if e.code != string(errs.CodeThresholdNotMet) {
		t.Errorf("with a reviewer's key revoked the hook ended %+v", e)
	}
	refusedIn(t, m.records(t), id, errs.CodeThresholdNotMet)
}
