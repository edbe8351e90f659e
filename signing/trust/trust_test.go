package trust_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

func TestAnchor(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := signing.NewPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	policy := signing.Policy{
		Deployment: "d-" + strings.Repeat("1", 32), Profile: signing.ProfileSolo, MaxLifetime: signing.MaxLifetime,
		Persons: []signing.Person{{Name: "alice", Roles: []signing.Role{signing.RoleAuthor}, Keys: []signing.PublicKey{pub}}},
	}
	good := policy.YAML()
	broken := []byte("policy: 1\n")
	anchor := func(b []byte, deployment string) trust.Anchor {
		return trust.Anchor{PolicyDigest: signing.PolicyDigest(b), Deployment: deployment}
	}
	tests := []struct {
		name   string
		anchor trust.Anchor
		bytes  []byte
		code   errs.Code
	}{
		{"the very bytes", anchor(good, policy.Deployment), good, ""},
		{"one byte more", anchor(good, policy.Deployment), append(bytes.Clone(good), '\n'), errs.CodePolicyDigest},
		{"no anchor", trust.Anchor{}, good, errs.CodePolicyDigest},
		{"upper case digest", trust.Anchor{PolicyDigest: strings.ToUpper(signing.PolicyDigest(good)), Deployment: policy.Deployment}, good, errs.CodePolicyDigest},
		{"another deployment", anchor(good, "d-"+strings.Repeat("2", 32)), good, errs.CodeWrongDeployment},
		{"pinned but broken", anchor(broken, policy.Deployment), broken, errs.CodePolicyInvalid},
		{"too long", anchor(good, policy.Deployment), make([]byte, signing.MaxPolicyBytes+1), errs.CodePolicyInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tt.anchor.Policy(tt.bytes)
			if errs.CodeOf(err) != tt.code || (p == nil) != (err != nil) {
				t.Errorf("got %v, %v, want code %q", p, err, tt.code)
			}
		})
	}
}
