package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
)

// SignedAtMember is the member of each signed part that says when it was
// signed, by the signer's clock: the specification has only when it expires.
const SignedAtMember = "x-hookline-signed-at"

// DeploymentMember is the member of the signed part of roots and revocations that
// names their deployment. Who signs in two deployments with one key would sign in
// both: a hook's name says nothing of where it is, and the policy, which does,
// is not what revokers sign.
const DeploymentMember = "x-hookline-deployment"

// maxCertificates bounds the server's certificates.
const maxCertificates = 8

// parse reads one piece of metadata in the one form in which it is written.
// That refuses duplicate, unknown and case-variant members, trailing data and
// white space, which the decoder lets pass.
func parse[T metadata.Roles](name string, b []byte) (*metadata.Metadata[T], error) {
	m, err := (&metadata.Metadata[T]{}).FromBytes(b)
	if err != nil {
		return nil, invalid("its %s cannot be decoded", name)
	}
	again, err := m.ToBytes(false)
	if err != nil || !bytes.Equal(again, b) || unsigned(m.UnrecognizedFields, m.Signatures) {
		return nil, invalid("its %s is not in its one form", name)
	}
	return m, nil
}

// unsigned reports whether there is something beside the signed part, which
// anybody could have put there.
func unsigned(members map[string]any, signatures []metadata.Signature) bool {
	return len(members) > 0 || slices.ContainsFunc(signatures, func(s metadata.Signature) bool { return len(s.UnrecognizedFields) > 0 })
}

// signedAt is when a role was signed.
func signedAt(name string, members map[string]any, expires time.Time) (time.Time, error) {
	text, _ := members[SignedAtMember].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.UTC().Format(time.RFC3339) != text {
		return at, invalid("its %s does not say when it was signed", name)
	}
	if !at.Before(expires) {
		return at, invalid("its %s expired before it was signed", name)
	}
	return at, nil
}

// add lists a role that was verified.
func (c *chain) add(name string, version *int64, expires time.Time, members map[string]any) error {
	at, err := signedAt(name, members, expires)
	if err != nil {
		return err
	}
	if (name == metadata.TIMESTAMP || name == metadata.SNAPSHOT) && expires.Sub(at) > MaxFresh {
		return invalid("its %s lives for longer than %s", name, MaxFresh)
	}
	if *version < 1 {
		return invalid("its %s has version %d", name, *version)
	}
	c.next.roles = append(c.next.roles, Role{Name: name, Version: *version, SignedAt: at, Expires: expires.UTC()})
	return nil
}

// checkRoot refuses roots with keys that cannot be used, or roles that nobody
// can sign.
func checkRoot(root *metadata.Metadata[metadata.RootType]) error {
	if err := checkKeys(root.Signed.Keys); err != nil {
		return err
	}
	for _, name := range []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP} {
		role, ok := root.Signed.Roles[name]
		if !ok || role == nil {
			return invalid("its root has no role %s", name)
		}
		if err := checkRole(name, role.KeyIDs, role.Threshold, root.Signed.Keys); err != nil {
			return err
		}
	}
	return nil
}

// maxSignatureBytes bounds one signature; DER of P-256 has at most 72.
const maxSignatureBytes = 128

// checkSignatures refuses a root with signatures that can be none of the keys
// before it or its own. Roots are kept for ever, and signatures cover no
// signatures: a server could fill up with them what a machine can read.
func checkSignatures(root *metadata.Metadata[metadata.RootType], before map[string]*metadata.Key) error {
	for _, s := range root.Signatures {
		if (before[s.KeyID] == nil && root.Signed.Keys[s.KeyID] == nil) || len(s.Signature) > maxSignatureBytes {
			return invalid("its root has a signature that is none of its keys'")
		}
	}
	return nil
}

// checkKeys refuses other keys than ours, one key under two ids, and ids that
// are not the key's own.
func checkKeys(keys map[string]*metadata.Key) error {
	seen := map[signing.KeyID]bool{}
	for id, key := range keys {
		pub, err := publicKey(key)
		if err != nil {
			return invalid("a key in it cannot be used")
		}
		if own, err := key.ID(); err != nil || own != id {
			return invalid("a key in it has an id that is not its own")
		}
		if seen[pub.ID] {
			return invalid("a key is in it under two ids")
		}
		seen[pub.ID] = true
	}
	return nil
}

func publicKey(key *metadata.Key) (signing.PublicKey, error) {
	if key == nil {
		return signing.PublicKey{}, invalid("a key in it is empty")
	}
	raw, err := key.ToPublicKey()
	if err != nil {
		return signing.PublicKey{}, err
	}
	return signing.NewPublicKey(raw)
}

func checkRole(name string, ids []string, threshold int, keys map[string]*metadata.Key) error {
	for i, id := range ids {
		if _, ok := keys[id]; !ok || slices.Contains(ids[:i], id) {
			return invalid("its role %s names a key twice, or one that is not there", name)
		}
	}
	if threshold < 1 || threshold > len(ids) {
		return invalid("its role %s needs %d of %d keys", name, threshold, len(ids))
	}
	return nil
}

// checkDelegation insists on the one delegated role.
func checkDelegation(d *metadata.Delegations) error {
	if d == nil || d.SuccinctRoles != nil || len(d.Roles) != 1 || d.Roles[0].Name != RoleRevocations {
		return missing("delegation of " + RoleRevocations)
	}
	if err := checkKeys(d.Keys); err != nil {
		return err
	}
	if d.Roles[0].Threshold != 1 {
		return invalid("its revocations need %d signatures, not 1", d.Roles[0].Threshold)
	}
	return checkRole(RoleRevocations, d.Roles[0].KeyIDs, 1, d.Keys)
}

// checkMeta insists that metadata names exactly these parts, with their length
// and hash: parts of different times cannot be mixed then.
func checkMeta(name string, meta map[string]*metadata.MetaFiles, parts ...string) error {
	if len(meta) != len(parts) {
		return invalid("its %s names %d parts, not %d", name, len(meta), len(parts))
	}
	for _, part := range parts {
		m := meta[part+".json"]
		if m == nil || m.Length < 1 || len(m.Hashes["sha256"]) != sha256.Size {
			return invalid("its %s does not name length and sha256 of its %s", name, part)
		}
	}
	return nil
}

// revocationCustom is what a revocation's target says beside its path.
type revocationCustom struct {
	At     string `json:"at"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// RevocationTarget is the target of one revocation, and its path.
func RevocationTarget(r signing.Revocation) (path string, target *metadata.TargetFiles, err error) {
	custom, err := json.Marshal(revocationCustom{At: r.At.UTC().Format(time.RFC3339), By: r.By, Reason: r.Reason})
	if err != nil {
		return "", nil, err
	}
	nothing := sha256.Sum256(nil)
	raw := json.RawMessage(custom)
	return r.ID(), &metadata.TargetFiles{Hashes: metadata.Hashes{"sha256": nothing[:]}, Custom: &raw, Path: r.ID()}, nil
}

// maxRevokers bounds the signatures of revocations, of which one suffices: each
// costs time in which a machine decides nothing else.
const maxRevokers = 8

// parseRevocations reads the metadata of a deployment's revocations and its list.
func parseRevocations(deployment string, b []byte) (*metadata.Metadata[metadata.TargetsType], []signing.Revocation, error) {
	m, err := parse[metadata.TargetsType](RoleRevocations, b)
	if err != nil {
		return nil, nil, err
	}
	if m.Signed.Delegations != nil || m.Signed.Version < 1 {
		return nil, nil, invalid("its revocations delegate to others, or have no version")
	}
	if of := m.Signed.UnrecognizedFields[DeploymentMember]; of != deployment {
		return nil, nil, errs.New(errs.CodeWrongDeployment, "cannot take the revocations: they are not of deployment %s", deployment)
	}
	if len(m.Signatures) > maxRevokers {
		return nil, nil, invalid("its revocations have more than %d signatures", maxRevokers)
	}
	if len(m.Signed.Targets) > signing.MaxRevocations {
		return nil, nil, invalid("it has more than %d revocations", signing.MaxRevocations)
	}
	list := make([]signing.Revocation, 0, len(m.Signed.Targets))
	for path, target := range m.Signed.Targets {
		r, err := parseRevocation(path, target)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, r)
	}
	return m, list, nil
}

func parseRevocation(path string, target *metadata.TargetFiles) (signing.Revocation, error) {
	kind, value, _ := strings.Cut(path, "/")
	if target == nil || target.Custom == nil {
		return signing.Revocation{}, invalid("the revocation %.80q does not say who and why", path)
	}
	var custom revocationCustom
	if err := json.Unmarshal(*target.Custom, &custom); err != nil {
		return signing.Revocation{}, invalid("the revocation %.80q does not say who and why", path)
	}
	at, err := time.Parse(time.RFC3339, custom.At)
	if err != nil {
		return signing.Revocation{}, invalid("the revocation %.80q does not say when", path)
	}
	r := signing.Revocation{Kind: signing.RevocationKind(kind), Value: value, Reason: custom.Reason, By: custom.By, At: at.UTC()}
	if err := r.Validate(); err != nil {
		return r, errs.Wrap(errs.CodeTrustInvalid, err, "cannot read the trust metadata")
	}
	return r, nil
}

// checkCA refuses what are no certificates of authorities.
func checkCA(b []byte) error {
	count := 0
	for rest := bytes.TrimSpace(b); len(rest) > 0; count++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || count >= maxCertificates {
			return invalid("its %s is not 1 to %d certificates", TargetCA, maxCertificates)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !cert.IsCA {
			return invalid("its %s has a certificate that is none of an authority", TargetCA)
		}
		rest = bytes.TrimSpace(rest)
	}
	if count == 0 {
		return missing(TargetCA)
	}
	return nil
}
