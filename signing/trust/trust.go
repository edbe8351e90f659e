// Package trust is the seam between a policy and what makes it trusted.
//
// An Anchor is what a machine was told when it enrolled, by a line that its
// owner carried there by hand. Today it is the digest of the one policy file;
// when policies come to be signed and replaced under offline keys, the anchor
// becomes the root of those keys and only this package changes: callers go on
// handing it bytes from the server and getting back a policy that they may
// use, or a refusal.
package trust

import (
	"crypto/subtle"

	"hookline/internal/errs"
	"hookline/signing"
)

// Anchor is what a machine trusts from its enrolment.
type Anchor struct {
	PolicyDigest string // hex SHA-256 of the policy file
	Deployment   string // "d-" + 32 hex digits
}

// Policy returns the policy that the bytes hold if they are the very bytes
// that the anchor names: errs.CodePolicyDigest for others,
// errs.CodePolicyInvalid, errs.CodeWrongDeployment where the policy speaks of
// another deployment than the anchor.
func (a Anchor) Policy(b []byte) (*signing.Policy, error) {
	if len(b) > signing.MaxPolicyBytes {
		return nil, errs.New(errs.CodePolicyInvalid, "cannot read the policy: it is longer than %d bytes", signing.MaxPolicyBytes)
	}
	if subtle.ConstantTimeCompare([]byte(signing.PolicyDigest(b)), []byte(a.PolicyDigest)) != 1 {
		return nil, errs.New(errs.CodePolicyDigest, "cannot trust the policy: its digest is %.16s…, this machine was enrolled with %.16s…",
			signing.PolicyDigest(b), a.PolicyDigest).
			WithHint("after a change of the policy, enroll again with a new line")
	}
	p, err := signing.ParsePolicy(b)
	if err != nil {
		return nil, err
	}
	if p.Deployment != a.Deployment {
		return nil, errs.New(errs.CodeWrongDeployment, "cannot trust the policy: it is of deployment %s, this machine belongs to %s",
			p.Deployment, a.Deployment).At("deployment")
	}
	return p, nil
}
