package signing_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
)

const (
	deployment = "d-00112233445566778899aabbccddeeff"
	script     = `report.set("Answer", "42")`
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// newSigner makes the P-256 key of a name: the same in every process, because
// the processes of a fuzz run share their inputs.
func newSigner(t testing.TB, name string) *signer.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	return wrap(t, key, err)
}

func newEd25519(t testing.TB, name string) *signer.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	return wrap(t, ed25519.NewKeyFromSeed(seed[:]), nil)
}

func wrap(t testing.TB, key crypto.Signer, err error) *signer.Signer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s, err := signer.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// team is a deployment of four people: alice writes, bob and carol review,
// dave only operates; mallory is a stranger. Alice and bob have a second key.
type team struct {
	alice, alice2, bob, bob2, carol, dave, mallory *signer.Signer
	policy                                         signing.Policy
}

func person(name string, roles []signing.Role, keys ...*signer.Signer) signing.Person {
	p := signing.Person{Name: name, Roles: roles}
	for _, k := range keys {
		p.Keys = append(p.Keys, k.Public())
	}
	return p
}

func newTeam(t testing.TB) *team {
	t.Helper()
	k := &team{
		alice: newSigner(t, "alice"), alice2: newSigner(t, "alice2"), bob: newSigner(t, "bob"), bob2: newSigner(t, "bob2"),
		carol: newEd25519(t, "carol"), dave: newSigner(t, "dave"), mallory: newSigner(t, "mallory"),
	}
	k.policy = signing.Policy{
		Deployment:  deployment,
		Profile:     signing.ProfileTeam,
		Reviewers:   2,
		Needs:       map[string]int{signing.CapAsRoot: 3},
		MaxLifetime: signing.MaxLifetime,
		Persons: []signing.Person{
			person("alice", []signing.Role{signing.RoleAuthor, signing.RoleReviewer}, k.alice, k.alice2),
			person("bob", []signing.Role{signing.RoleReviewer}, k.bob, k.bob2),
			person("carol", []signing.Role{signing.RoleReviewer}, k.carol),
			person("dave", []signing.Role{signing.RoleOperator}, k.dave),
		},
	}
	return k
}

// load writes the policy as a file and reads it back, as everybody does.
func (k *team) load(t testing.TB) *signing.Policy {
	t.Helper()
	p, err := signing.ParsePolicy(k.policy.YAML())
	if err != nil {
		t.Fatalf("policy: %v\n%s", err, k.policy.YAML())
	}
	return p
}

func (k *team) predicate() hooks.Predicate {
	return hooks.Predicate{
		Deployment:   deployment,
		Hook:         "answer",
		Version:      1,
		Author:       string(k.alice.Public().ID),
		Level:        hooks.LevelPackage,
		Match:        hooks.Match{Fingerprints: []string{}, Package: "nginx"},
		Capabilities: hooks.ReadingOnly("/proc/meminfo"),
		As:           hooks.AsService,
		Fields: []hooks.DeclaredField{
			{Name: "Answer", Type: hooks.TypeText, Class: hooks.ClassTechnical, MaxBytes: 64},
		},
		NotBefore:      start.Unix(),
		NotAfter:       start.Add(7 * 24 * time.Hour).Unix(),
		MaxReports:     3,
		MaxRunsPerPeer: 1,
		MaxPercent:     100,
		MaxBytes:       4096,
		MaxResultBytes: 1024,
		MaxRuntimeMS:   1000,
	}
}

func (k *team) statement(t testing.TB, change func(*hooks.Predicate)) []byte {
	t.Helper()
	p := k.predicate()
	if change != nil {
		change(&p)
	}
	s := hooks.Statement{
		Type:          hooks.StatementType,
		Subject:       []hooks.Subject{{Name: hooks.ScriptName, Digest: hooks.SubjectDigest{SHA256: hooks.Digest([]byte(script))}}},
		PredicateType: hooks.PredicateType,
		Predicate:     p,
	}
	b, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sign(t testing.TB, statement []byte, signers ...*signer.Signer) [][]byte {
	t.Helper()
	var files [][]byte
	for _, s := range signers {
		f, err := s.Sign(statement)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func wantCode(t *testing.T, err error, code errs.Code) {
	t.Helper()
	if errs.CodeOf(err) != code {
		t.Errorf("got error %v with code %q, want code %q", err, errs.CodeOf(err), code)
	}
}

func reviewers(s signing.Standing) []string {
	names := []string{}
	for _, r := range s.Reviewers {
		names = append(names, r.Person)
	}
	if !slices.IsSorted(names) {
		return append(names, "(not sorted)")
	}
	return names
}

// verify and examine are the decision at a time when every key counts.
func verify(p *signing.Policy, script, statement []byte, files [][]byte) (*signing.Verified, error) {
	return signing.Rules{Policy: p, Now: start}.Verify(script, statement, files)
}

func examine(p *signing.Policy, script, statement []byte, files [][]byte) (hooks.Statement, signing.Standing, error) {
	return signing.Rules{Policy: p, Now: start}.Examine(script, statement, files)
}
