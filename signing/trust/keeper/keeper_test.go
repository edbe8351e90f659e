package keeper_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"
)

func TestFirstMetadata(t *testing.T) {
	s := newTeam(t)
	s.init(keeper.Plan{Policy: s.policy(2), Freshen: []signing.PublicKey{s.pub("cron")}, CA: certificate(t, true)})
	if _, err := s.reopen().Bundle(); !errs.Is(err, errs.CodeTrustMissing) {
		t.Errorf("a bundle before anybody signed: %v", err)
	}
	s.sign("alice", "bob")
	if _, err := s.reopen().Freshen(s.key("cron"), 0); !errs.Is(err, errs.CodeTrustSigned) {
		t.Errorf("in force with two of three: %v", err)
	}
	s.sign("erin") // the third, and the revoker
	if !s.reopen().Ready() || !s.freshen("cron") {
		t.Fatal("not in force with three")
	}
	m := s.machine()
	if m.Policy().Reviewers != 2 || len(m.CA()) == 0 || m.Revoked().Len() != 0 {
		t.Errorf("policy %+v, ca %d bytes, %d revoked", m.Policy(), len(m.CA()), m.Revoked().Len())
	}
	lives := map[string]time.Duration{"root": keeper.RootLife, "targets": keeper.TargetsLife, "revocations": keeper.RevocationsLife, "snapshot": keeper.FreshLife, "timestamp": keeper.FreshLife}
	thresholds := map[string]int{"root": 3, "targets": 3, "revocations": 1, "snapshot": 1, "timestamp": 1}
	for _, r := range m.Roles() {
		if r.Version != 1 || r.Expires.Sub(r.SignedAt) != lives[r.Name] || r.Threshold != thresholds[r.Name] || !r.SignedAt.Equal(start) {
			t.Errorf("role %+v", r)
		}
	}
	if _, err := keeper.Init(s.dir, keeper.Plan{Policy: s.policy(2)}, s.clock); !errs.Is(err, errs.CodeConflict) {
		t.Errorf("a second init: %v", err)
	}
	for _, name := range []string{"1.root.json", "targets.json", "revocations.json", "snapshot.json", "timestamp.json", "policy.yaml", "ca.pem"} {
		if _, err := os.Stat(filepath.Join(s.dir, "trust", "metadata", name)); err != nil {
			t.Error(err)
		}
	}
	if left := tree(t, filepath.Join(s.dir, "trust", "staged")); len(left) != 0 {
		t.Errorf("staged: %v", slices.Collect(maps.Keys(left)))
	}
}

// What could never be put in force, or would be too weak, is not even staged.
func TestInitRefusals(t *testing.T) {
	s := newTeam(t)
	two := func(p *signing.Policy) { p.Persons[1].Keys = append(p.Persons[1].Keys, s.pub("bob2")) }
	all := func(names ...string) (keys []signing.PublicKey) {
		for _, n := range names {
			keys = append(keys, s.pub(n))
		}
		return keys
	}
	for name, c := range map[string]struct {
		plan keeper.Plan
		code errs.Code
	}{
		"root below the run threshold":     {keeper.Plan{Policy: s.policy(2), RootThreshold: 2}, errs.CodeTrustWeak},
		"targets below it":                 {keeper.Plan{Policy: s.policy(2), TargetsThreshold: 2}, errs.CodeTrustWeak},
		"below a capability's need":        {keeper.Plan{Policy: s.policy(2, func(p *signing.Policy) { p.Needs = map[string]int{"as.root": 3} }), TargetsThreshold: 3}, errs.CodeTrustWeak},
		"more signatures than keys":        {keeper.Plan{Policy: s.policy(2), RootThreshold: 6}, errs.CodeBadInput},
		"a negative threshold":             {keeper.Plan{Policy: s.policy(2), RootThreshold: -1}, errs.CodeBadInput},
		"two keys of one person":           {keeper.Plan{Policy: s.policy(2, two), Root: all("bob", "bob2", "alice")}, errs.CodeTrustWeak},
		"two keys of one person (targets)": {keeper.Plan{Policy: s.policy(2, two), Targets: all("bob", "bob2", "alice")}, errs.CodeTrustWeak},
		"no policy":                        {keeper.Plan{}, errs.CodePolicyInvalid},
		"a certificate of a machine":       {keeper.Plan{Policy: s.policy(2), CA: certificate(t, false)}, errs.CodeBadInput},
		"no certificate":                   {keeper.Plan{Policy: s.policy(2), CA: []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")}, errs.CodeBadInput},
	} {
		_, err := keeper.Init(s.dir, c.plan, s.clock)
		if !errs.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if made := tree(t, s.dir); len(made) != 0 {
		t.Errorf("made %v", slices.Collect(maps.Keys(made)))
	}
	if _, err := keeper.Open(s.dir, s.clock); !errs.Is(err, errs.CodeNotFound) {
		t.Errorf("open: %v", err)
	}
}

// The one key twice is one key.
func TestOneKeyTwiceIsOne(t *testing.T) {
	s := newTeam(t)
	keys := []signing.PublicKey{s.pub("alice"), s.pub("alice"), s.pub("bob")}
	_, err := keeper.Init(s.dir, keeper.Plan{Policy: s.policy(2), Root: keys}, s.clock)
	s.wantCode(err, errs.CodeBadInput)
}

func TestSigning(t *testing.T) {
	s := newTeam(t)
	s.init(keeper.Plan{Policy: s.policy(2)})
	_, err := s.reopen().Sign(s.key("mallory"))
	s.wantCode(err, errs.CodeSignerRole)
	if _, err := s.reopen().Sign(s.key("alice"), s.key("mallory")); !errs.Is(err, errs.CodeSignerRole) {
		t.Errorf("one of two may not: %v", err)
	}
	for _, st := range s.reopen().Staged() {
		if len(st.Needs[0].SignedBy) != 0 {
			t.Errorf("%s was signed by %v", st.Role, st.Needs[0].SignedBy)
		}
	}
	s.sign("alice", "alice", "alice", "erin") // three times is once
	if s.reopen().Ready() {
		t.Error("one person three times, and another, are three")
	}
	if _, err := s.reopen().Sign(liar{s.key("bob")}); !errs.Is(err, errs.CodeSignatureInvalid) {
		t.Errorf("a signature that does not verify: %v", err)
	}
	seen := s.reopen()
	s.must(s.reopen().ReplaceTargets(s.policy(1), nil))
	_, err = seen.Sign(s.key("bob"))
	s.wantCode(err, errs.CodeConflict)
	s.sign("alice", "bob", "erin")
	if !s.freshen("alice") {
		t.Error("not in force")
	}
	_, err = s.reopen().Sign(s.key("bob"))
	s.wantCode(err, errs.CodeBadInput) // nothing to sign
}

// liar says that it holds a key, and signs with nothing.
type liar struct{ keeper.Signer }

func (liar) SignBytes([]byte) ([]byte, error) { return []byte("no signature"), nil }

func TestRotateRoot(t *testing.T) {
	s := begun(t)
	m := s.machine()
	s.now = s.now.Add(time.Hour)
	// frank comes, bob's key is lost: 3 of alice, carol, dave, erin, frank.
	s.must(s.reopen().Rotate(keeper.Rotation{
		Add:    both([]signing.PublicKey{s.pub("frank")}),
		Remove: both([]signing.KeyID{s.pub("bob").ID}),
	}))
	staged := s.reopen().Staged()
	text := strings.Join(staged[0].Difference, "\n")
	for _, want := range []string{"version: 1 -> 2", "- root: key of bob", "+ root: key of no person of the policy " + string(s.pub("frank").ID), "- targets: key of bob"} {
		if !strings.Contains(text, want) {
			t.Errorf("the difference lacks %q:\n%s", want, text)
		}
	}
	if len(staged[0].Needs) != 2 || len(staged) != 2 || staged[1].Role != "targets" {
		t.Fatalf("staged %d: bob's signature of the targets counts no more", len(staged))
	}
	s.sign("alice", "frank", "carol")
	if s.reopen().Ready() {
		t.Error("the old root has two of three: frank is none of its")
	}
	if in := s.freshen("alice"); in {
		t.Error("a root that is under-signed is in force")
	}
	s.sign("bob") // he signs for the old root only
	if !s.freshen("alice") {
		t.Fatal("not in force")
	}
	next := s.update(m)
	if root := next.Roles()[0]; root.Version != 2 || len(root.Keys) != 5 || slices.Contains(root.Keys, s.pub("bob").ID) {
		t.Errorf("root %+v", root)
	}
	if len(s.bundle().Roots) != 2 {
		t.Errorf("%d roots", len(s.bundle().Roots))
	}
	if in := s.freshen("alice"); in {
		t.Error("twice in force")
	}
}

func both[T any](list T) map[string]T {
	return map[string]T{metadata.ROOT: list, metadata.TARGETS: list}
}

func TestRotateRefusals(t *testing.T) {
	s := begun(t)
	before := tree(t, s.dir)
	ids := func(names ...string) (out []signing.KeyID) {
		for _, n := range names {
			out = append(out, s.pub(n).ID)
		}
		return out
	}
	for name, c := range map[string]struct {
		r    keeper.Rotation
		code errs.Code
	}{
		"a threshold below the run threshold": {keeper.Rotation{RootThreshold: 2}, errs.CodeTrustWeak},
		"too few keys left":                   {keeper.Rotation{Remove: both(ids("alice", "bob", "carol"))}, errs.CodeBadInput},
		"a key that is not there":             {keeper.Rotation{Remove: both(ids("mallory"))}, errs.CodeSignerUnknown},
		"nobody left to freshen":              {keeper.Rotation{Remove: map[string][]signing.KeyID{metadata.SNAPSHOT: ids("alice", "bob", "carol", "dave", "erin")}}, errs.CodeBadInput},
	} {
		if err := s.reopen().Rotate(c.r); !errs.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if !maps.Equal(before, tree(t, s.dir)) {
		t.Error("a refused rotation changed the folder")
	}
}

// A freshen key can be given and taken without anything else changing.
func TestFreshenKeys(t *testing.T) {
	s := begun(t)
	_, err := s.reopen().Freshen(s.key("cron"), 0)
	s.wantCode(err, errs.CodeSignerRole)
	cron := []signing.PublicKey{s.pub("cron")}
	s.must(s.reopen().Rotate(keeper.Rotation{Add: map[string][]signing.PublicKey{metadata.SNAPSHOT: cron, metadata.TIMESTAMP: cron}}))
	if staged := s.reopen().Staged(); len(staged) != 1 {
		t.Errorf("staged %+v", staged)
	}
	s.sign("alice", "bob", "dave")
	if !s.freshen("cron") {
		t.Error("not in force")
	}
	_, err = s.reopen().Sign(s.key("cron"))
	s.wantCode(err, errs.CodeBadInput)
}

func TestFreshen(t *testing.T) {
	s := begun(t)
	m := s.machine()
	s.now = s.now.Add(6 * 24 * time.Hour)
	if err := m.CheckFresh(s.now, s.now); err != nil {
		t.Error(err)
	}
	if err := m.CheckFresh(s.now, s.now.Add(24*time.Hour)); !errs.Is(err, errs.CodeTrustStale) {
		t.Errorf("after seven days: %v", err)
	}
	if _, err := s.reopen().Freshen(s.key("bob"), 14*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	next := s.update(m)
	if f := next.Freshness(s.now); !f.Expires.Equal(s.now.Add(14 * 24 * time.Hour)) {
		t.Errorf("freshness %+v", f)
	}
	for _, life := range []time.Duration{15 * 24 * time.Hour, time.Second, -time.Hour} {
		if _, err := s.reopen().Freshen(s.key("bob"), life); !errs.Is(err, errs.CodeBadInput) {
			t.Errorf("life %s: %v", life, err)
		}
	}
	s.now = start
	_, err := s.reopen().Freshen(s.key("bob"), 0)
	s.wantCode(err, errs.CodeBadInput) // the clock went back
}

func TestReplacePolicy(t *testing.T) {
	s := begun(t)
	m := s.machine()
	s.must(os.WriteFile(filepath.Join(s.dir, "policy.yaml"), s.policy(2), 0o644))
	next := s.policy(1, func(p *signing.Policy) { p.Forbidden = []string{"as.root"} })
	s.must(s.reopen().ReplaceTargets(next, certificate(t, true)))
	text := strings.Join(s.reopen().Staged()[0].Difference, "\n")
	for _, want := range []string{"-   reviewers: 2", "+   reviewers: 1", "+   forbidden: [as.root]", "ca.pem:", "+   -----BEGIN CERTIFICATE"} {
		if !strings.Contains(text, want) {
			t.Errorf("the difference lacks %q:\n%s", want, text)
		}
	}
	s.sign("alice", "bob")
	if s.freshen("alice") || s.machine().Policy().Reviewers != 2 {
		t.Error("two of three changed the policy")
	}
	s.sign("dave")
	if !s.freshen("alice") {
		t.Fatal("not in force")
	}
	m = s.update(m)
	if m.Policy().Reviewers != 1 || len(m.CA()) == 0 {
		t.Errorf("policy %+v", m.Policy())
	}
	if b, err := os.ReadFile(filepath.Join(s.dir, "policy.yaml")); err != nil || string(b) != string(next) {
		t.Errorf("policy.yaml did not follow: %v", err)
	}
	s.must(s.reopen().ReplaceTargets(nil, []byte{}))
	s.sign("alice", "bob", "dave")
	s.freshen("alice")
	if m = s.update(m); len(m.CA()) != 0 || m.Policy().Reviewers != 1 {
		t.Errorf("ca %d bytes, policy %+v", len(m.CA()), m.Policy())
	}
}

// What is about to expire can be signed for another year as it is.
func TestAnotherYear(t *testing.T) {
	s := begun(t)
	m := s.machine()
	s.now = s.now.Add(keeper.RevocationsLife / 2)
	s.must(s.reopen().Rotate(keeper.Rotation{}))
	s.must(s.reopen().ReplaceTargets(nil, nil))
	if staged := s.reopen().Staged(); len(staged) != 3 {
		t.Fatalf("%d staged, want root, targets and revocations", len(staged))
	}
	s.sign("alice", "bob", "erin")
	if !s.freshen("alice") {
		t.Fatal("not in force")
	}
	for _, r := range s.update(m).Roles() {
		if r.Version != 2 || !r.SignedAt.Equal(s.now) {
			t.Errorf("%s version %d, signed at %s", r.Name, r.Version, r.SignedAt)
		}
	}
	s.must(s.reopen().ReplaceTargets(nil, nil))
	if staged := s.reopen().Staged(); len(staged) != 1 {
		t.Errorf("%d staged: the revocations are young", len(staged))
	}
}

func TestReplaceRefusals(t *testing.T) {
	s := begun(t)
	before := tree(t, s.dir)
	for name, c := range map[string]struct {
		policy, ca []byte
		code       errs.Code
	}{
		"another deployment":          {s.policy(2, func(p *signing.Policy) { p.Deployment = "d-" + strings.Repeat("1", 32) }), nil, errs.CodeWrongDeployment},
		"more people than targets":    {s.policy(3), nil, errs.CodeTrustWeak},
		"no policy":                   {[]byte("{}"), nil, errs.CodePolicyInvalid},
		"no certificate":              {nil, []byte("x"), errs.CodeBadInput},
		"far too long a certificates": {nil, make([]byte, 65<<10), errs.CodeTooLarge},
	} {
		if err := s.reopen().ReplaceTargets(c.policy, c.ca); !errs.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if !maps.Equal(before, tree(t, s.dir)) {
		t.Error("a refused policy changed the folder")
	}
	// With the root beside it, it can be.
	s.must(s.reopen().Rotate(keeper.Rotation{RootThreshold: 4, TargetsThreshold: 4}))
	s.must(s.reopen().ReplaceTargets(s.policy(3), nil))
	s.sign("alice", "bob", "carol", "dave")
	if !s.freshen("alice") || s.machine().Policy().Reviewers != 3 {
		t.Error("not in force")
	}
}

// Who does not revoke any more: somebody else signs what is revoked.
func TestRevokersChange(t *testing.T) {
	s := begun(t)
	m := s.machine()
	_, err := s.reopen().Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeHook, Value: "h"})
	s.must(err)
	s.must(s.reopen().ReplaceTargets(s.policy(2, func(p *signing.Policy) {
		p.Persons[4].Roles = []signing.Role{signing.RoleOperator}
		p.Persons[3].Roles = append(p.Persons[3].Roles, signing.RoleRevoker)
	}), nil))
	if staged := s.reopen().Staged(); len(staged) != 2 || staged[1].Role != "revocations" || staged[1].Version != 3 {
		t.Fatalf("staged %+v", staged)
	}
	// What erin revokes meanwhile is not lost.
	_, err = s.reopen().Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeHook, Value: "g"})
	s.must(err)
	s.sign("alice", "bob", "carol")
	if s.reopen().Ready() {
		t.Error("ready without a revoker")
	}
	s.sign("dave")
	if !s.freshen("alice") {
		t.Fatal("not in force")
	}
	m = s.update(m)
	if m.Revoked().Len() != 2 || m.RevocationsVersion() != 4 {
		t.Errorf("%d revoked, version %d", m.Revoked().Len(), m.RevocationsVersion())
	}
	_, err = s.reopen().Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeHook, Value: "f"})
	s.wantCode(err, errs.CodeSignerRole)
	_, err = s.reopen().Revoke(s.key("dave"), signing.Revocation{Kind: signing.RevokeHook, Value: "f"})
	s.must(err)
}

func TestRevoke(t *testing.T) {
	s := begun(t)
	m := s.machine()
	digest := strings.Repeat("ab", 32)
	pushed, err := s.reopen().Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeVersion, Value: digest, Reason: "reads <too> much"})
	s.must(err)
	for name, next := range map[string]func() (*trust.Trusted, error){
		"pushed": func() (*trust.Trusted, error) { return m.Push(pushed) },
		"bundle": func() (*trust.Trusted, error) { return m.Update(s.bundle()) },
	} {
		got, err := next()
		s.must(err)
		r, ok := got.Revoked().Find(signing.RevokeVersion, digest)
		if !ok || r.By != "erin" || !r.At.Equal(start) || r.Reason != "reads <too> much" || got.RevocationsVersion() != 2 {
			t.Errorf("%s: %+v, version %d", name, r, got.RevocationsVersion())
		}
	}
	if len(s.bundle().Pushed) == 0 {
		t.Error("not in the bundle")
	}
	s.freshen("bob")
	if b := s.bundle(); len(b.Pushed) != 0 || string(b.Revocations) != string(pushed) {
		t.Error("not under the snapshot")
	}
	for name, c := range map[string]struct {
		by   string
		r    signing.Revocation
		code errs.Code
	}{
		"again":         {"erin", signing.Revocation{Kind: signing.RevokeVersion, Value: digest}, errs.CodeConflict},
		"no revoker":    {"alice", signing.Revocation{Kind: signing.RevokeHook, Value: "h"}, errs.CodeSignerRole},
		"nothing named": {"erin", signing.Revocation{Kind: signing.RevokeVersion, Value: "12"}, errs.CodeBadInput},
		"a long reason": {"erin", signing.Revocation{Kind: signing.RevokeHook, Value: "h", Reason: strings.Repeat("x", 301)}, errs.CodeBadInput},
	} {
		if _, err := s.reopen().Revoke(s.key(c.by), c.r); !errs.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

// New metadata has no versions in it that are long dead; whoever saw them
// revoked remembers, and hooks and keys stay for ever.
func TestOldRevocationsOfVersionsGo(t *testing.T) {
	s := begun(t)
	m := s.machine()
	digest := strings.Repeat("ab", 32)
	list := []signing.Revocation{
		{Kind: signing.RevokeVersion, Value: digest},
		{Kind: signing.RevokeApproval, Value: signing.ApprovalValue(digest, s.pub("bob").ID)},
		{Kind: signing.RevokeKey, Value: string(s.pub("dave").ID)},
		{Kind: signing.RevokeHook, Value: "h"},
	}
	_, err := s.reopen().Revoke(s.key("erin"), list...)
	s.must(err)
	m = s.update(m)
	s.now = s.now.Add(keeper.RevocationMemory)
	_, err = s.reopen().Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeHook, Value: "g"})
	s.must(err)
	if n := s.machine().Revoked().Len(); n != 5 {
		t.Errorf("%d revoked, want 5: none is older than 60 days", n)
	}
	s.now = s.now.Add(time.Second)
	_, err = s.reopen().Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeHook, Value: "f"})
	s.must(err)
	if r := s.machine().Revoked(); r.Len() != 4 {
		t.Errorf("a new machine knows %v", r.List())
	}
	if r := s.update(m).Revoked(); r.Len() != 6 {
		t.Errorf("an old machine knows %v", r.List())
	}
}
