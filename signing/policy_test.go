package signing_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"hookline/internal/errs"
	"hookline/signing"

	"github.com/google/go-cmp/cmp"
)

func TestPolicyRoundTrip(t *testing.T) {
	k := newTeam(t)
	k.policy.Persons[3].Name = "007" // must stay a string
	k.policy.Forbidden = []string{signing.CapRaw, signing.CapAsReporter}
	p := k.load(t)
	if p.Digest != signing.PolicyDigest(k.policy.YAML()) {
		t.Error("the digest is not that of the file")
	}
	want := k.policy
	want.Digest = p.Digest
	if diff := cmp.Diff(&want, p); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(p.YAML(), k.policy.YAML()) {
		t.Error("YAML of the parsed policy differs")
	}
	if who, ok := p.Person(k.bob2.Public().ID); !ok || who.Name != "bob" {
		t.Errorf("Person: %v %v", who, ok)
	}
	if _, ok := p.Person(k.mallory.Public().ID); ok {
		t.Error("mallory is in the policy")
	}
	if diff := cmp.Diff([]string{signing.CapAsRoot}, p.Shortfalls()); diff != "" {
		t.Error(diff)
	}
}

// Each case changes one thing of a policy that is accepted.
func TestPolicyRefusals(t *testing.T) {
	k := newTeam(t)
	good := string(k.policy.YAML())
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the policy does not hold %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	alice := indented(k.alice.Public())
	carolP := "  - name: carol\n"
	tests := []struct{ name, policy, message string }{
		{"empty", "", "empty"},
		{"not YAML", "a: [", "YAML"},
		{"unknown key", good + "extra: 1\n", "unknown key"},
		{"duplicate key", good + "profile: solo\n", "profile"},
		{"two documents", good + "---\na: 1\n", "second"},
		{"no version", replace("policy: 1\n", ""), "missing (policy)"},
		{"newer version", replace("policy: 1\n", "policy: 2\n"), "version 2"},
		{"no reviewers key", replace("reviewers: 2", "#"), "missing (reviewers)"},
		{"zero reviewers in a team", replace("reviewers: 2", "reviewers: 0"), "reviewers"},
		{"negative reviewers", replace("reviewers: 2", "reviewers: -1"), "reviewers"},
		{"more reviewers than people", replace("reviewers: 2", "reviewers: 3"), "no author finds 3"},
		{"more reviewers than files can hold", replace("reviewers: 2", "reviewers: 16"), "1 to 15"},
		{"need that no files can meet", replace("as.root: 3", "as.root: 16"), "needs.as.root"},
		{"solo with reviewers", replace("profile: team", "profile: solo"), "solo"},
		{"unknown profile", replace("profile: team", "profile: duo"), "profile"},
		{"deployment", replace("deployment: d-", "deployment: e-"), "deployment"},
		{"no lifetime", replace("max_lifetime: 14d", "#"), "missing (max_lifetime)"},
		{"lifetime over 14 days", replace("max_lifetime: 14d", "max_lifetime: 15d"), "14d"},
		{"lifetime of nothing", replace("max_lifetime: 14d", "max_lifetime: 0s"), "14d"},
		{"lifetime in fractions", replace("max_lifetime: 14d", "max_lifetime: 1500ms"), "whole seconds"},
		{"need of an unknown capability", replace("as.root: 3", "as.god: 3"), "as.god"},
		{"need of zero", replace("as.root: 3", "as.root: 0"), "needs.as.root"},
		{"forbidden unknown", replace("forbidden: []", "forbidden: [fs.write]"), `"fs.write" is no capability; known are fs.read, `},
		{"forbidden twice", replace("forbidden: []", "forbidden: [raw, raw]"), "twice"},
		{"no persons", good[:strings.Index(good, "persons:")] + "persons: []\n", "persons"},
		{"a name twice", replace("name: bob", "name: alice"), "twice"},
		{"a name with a space", replace("name: bob", "name: b ob"), "name"},
		{"no roles", replace("[author, reviewer]", "[]"), "roles"},
		{"unknown role", replace("[author, reviewer]", "[author, king]"), `"king" is no role; known are author, reviewer, operator, revoker (persons[0].roles)`},
		{"a role twice", replace("[author, reviewer]", "[author, author]"), "twice"},
		{"no author", replace("[author, reviewer]", "[reviewer]"), "no author"},
		{"a person without keys", replace(carolP, "  - name: erin\n    roles: [reviewer]\n    keys: []\n"+carolP), "keys"},
		{"one key under two names", replace(carolP, "  - name: erin\n    roles: [reviewer]\n    keys:\n"+alice+carolP), `already listed for "alice"`},
		{"one key twice", replace(alice, alice+alice), `already listed for "alice"`},
		{"a key that is none", replace("BEGIN PUBLIC KEY", "BEGIN CERTIFICATE"), "persons[0].keys[0]"},
		{"too long", good + "#" + strings.Repeat("x", signing.MaxPolicyBytes), "larger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := signing.ParsePolicy([]byte(tt.policy))
			wantCode(t, err, errs.CodePolicyInvalid)
			if p != nil || err == nil || !strings.Contains(err.Error(), tt.message) || !strings.HasPrefix(err.Error(), "policy.yaml") {
				t.Errorf("got %v, want it to name %q", err, tt.message)
			}
		})
	}
}

// Errors name the file as the person who gave it did.
func TestPolicyErrorsNameTheFile(t *testing.T) {
	for _, text := range []string{"a: [", "policy: 2\n", "extra: 1\n", "", "\xff", "#" + strings.Repeat("x", signing.MaxPolicyBytes)} {
		if _, err := signing.ParsePolicyFile("/etc/hookline/p.yml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "/etc/hookline/p.yml") {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}

func TestPolicyTooManyPeople(t *testing.T) {
	k := newTeam(t)
	for i := range signing.MaxPersons {
		k.policy.Persons = append(k.policy.Persons, signing.Person{Name: fmt.Sprintf("p%d", i), Roles: []signing.Role{signing.RoleReviewer}})
	}
	_, err := signing.ParsePolicy(k.policy.YAML())
	wantCode(t, err, errs.CodePolicyInvalid)
}

func indented(key signing.PublicKey) string {
	out := "      - |\n"
	for line := range strings.Lines(string(key.PEM())) {
		out += "        " + line
	}
	return out
}
