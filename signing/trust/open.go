package trust

import "hookline/signing"

// Open verifies a bundle from the root that the anchor names: one of the
// bundle's roots must be that one, those after it are followed, those before
// it are left out. Refusals: errs.CodeTrustRoot, CodeTrustInvalid,
// CodeTrustSigned, CodeTrustRollback, CodeTrustMixed, CodeTrustWeak,
// CodeTrustMissing, CodePolicyInvalid, CodeWrongDeployment.
func (a Anchor) Open(b Bundle) (*Trusted, error) { panic("not yet") }

// Update takes newer metadata: nothing in it may be older than what is known,
// and it must come from the same root. What is revoked stays revoked. Where
// the bundle says nothing new, Update returns t itself. Refusals as in Open.
func (t *Trusted) Update(b Bundle) (*Trusted, error) { panic("not yet") }

// Push takes a newer version of the revocations' metadata alone, as it comes
// from a revoker, before anybody has put a snapshot over it. An older or equal
// version that verifies adds what it has, too: one revoker may not know of
// another.
func (t *Trusted) Push(revocations []byte) (*Trusted, error) { panic("not yet") }

var _ = signing.Revocations{}
