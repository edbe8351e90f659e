package keeper

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

// sheet is one piece of metadata: what is signed, and the signatures so far.
type sheet struct {
	role     string
	version  int64
	signedAt time.Time
	expires  time.Time
	signed   []byte // the member "signed", as it is in the file
	payload  []byte // the same in canonical form: what signatures cover
	sigs     []metadata.Signature
}

// roleKeys says who may sign a role, and how many must.
type roleKeys struct {
	keys      []signing.PublicKey
	threshold int
}

func (r roleKeys) has(id signing.KeyID) bool {
	return slices.ContainsFunc(r.keys, func(k signing.PublicKey) bool { return k.ID == id })
}

type rootSheet struct {
	sheet
	deployment string
	roles      map[string]roleKeys
}

type targetsSheet struct {
	sheet
	policy      *signing.Policy
	policyBytes []byte
	ca          []byte
}

type revocationsSheet struct {
	sheet
	deployment string
	list       []signing.Revocation
}

// build puts a signed part into its two forms.
func (s *sheet) build(signed any) error {
	var err error
	if s.signed, err = json.Marshal(signed); err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot encode the %s", s.role)
	}
	if s.payload, err = cjson.EncodeCanonical(signed); err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot encode the %s", s.role)
	}
	return nil
}

// file is the sheet as it is kept and travels; what go-tuf writes, too.
func (s *sheet) file() ([]byte, error) {
	sigs := s.sigs
	if sigs == nil {
		sigs = []metadata.Signature{}
	}
	b, err := json.Marshal(sigs)
	if err != nil {
		return nil, errs.Wrap(errs.CodeInternal, err, "cannot encode the %s", s.role)
	}
	return slices.Concat([]byte(`{"signatures":`), b, []byte(`,"signed":`), s.signed, []byte("}")), nil
}

// clone keeps the content, so that it can be signed anew.
func (r *rootSheet) clone() *rootSheet {
	roles := make(map[string]roleKeys, len(r.roles))
	for name, role := range r.roles {
		roles[name] = roleKeys{slices.Clone(role.keys), role.threshold}
	}
	return &rootSheet{sheet: sheet{role: metadata.ROOT, version: r.version, signedAt: r.signedAt, expires: r.expires}, deployment: r.deployment, roles: roles}
}

func (r *rootSheet) finish() error {
	root := metadata.Root(r.expires).Signed
	root.Version = r.version
	root.ConsistentSnapshot = false
	root.UnrecognizedFields = signedAtMember(r.signedAt)
	root.UnrecognizedFields[trust.DeploymentMember] = r.deployment
	for _, name := range topRoles() {
		role := r.roles[name]
		ids, err := addKeys(root.Keys, role.keys)
		if err != nil {
			return err
		}
		root.Roles[name] = &metadata.Role{KeyIDs: ids, Threshold: role.threshold}
	}
	return r.build(root)
}

func (t *targetsSheet) finish() error {
	targets := metadata.Targets(t.expires).Signed
	targets.Version = t.version
	targets.UnrecognizedFields = signedAtMember(t.signedAt)
	targets.Targets[trust.TargetPolicy] = targetOf(t.policyBytes)
	if len(t.ca) > 0 {
		targets.Targets[trust.TargetCA] = targetOf(t.ca)
	}
	keys := map[string]*metadata.Key{}
	ids, err := addKeys(keys, t.revokers().keys)
	if err != nil {
		return err
	}
	targets.Delegations = &metadata.Delegations{Keys: keys, Roles: []metadata.DelegatedRole{{
		Name: trust.RoleRevocations, KeyIDs: ids, Threshold: 1, Terminating: true,
		Paths: []string{"hook/*", "version/*", "key/*", "approval/*/*"},
	}}}
	return t.build(targets)
}

// revokers are the keys of everybody who may revoke; where the policy names
// nobody, of everybody in it.
func (t *targetsSheet) revokers() roleKeys { return roleKeys{Revokers(t.policy), 1} }

// Revokers lists the keys that may sign revocations: of the persons with the
// role revoker, or of everybody where there is none.
func Revokers(p *signing.Policy) []signing.PublicKey {
	var some, all []signing.PublicKey
	for _, person := range p.Persons {
		all = append(all, person.Keys...)
		if person.Has(signing.RoleRevoker) {
			some = append(some, person.Keys...)
		}
	}
	if len(some) > 0 {
		return some
	}
	return all
}

func (r *revocationsSheet) finish() error {
	targets := metadata.Targets(r.expires).Signed
	targets.Version = r.version
	targets.UnrecognizedFields = signedAtMember(r.signedAt)
	targets.UnrecognizedFields[trust.DeploymentMember] = r.deployment
	for _, one := range r.list {
		path, target, err := trust.RevocationTarget(one)
		if err != nil {
			return errs.Wrap(errs.CodeInternal, err, "cannot encode a revocation")
		}
		targets.Targets[path] = target
	}
	return r.build(targets)
}

func signedAtMember(at time.Time) map[string]any {
	return map[string]any{trust.SignedAtMember: at.UTC().Format(time.RFC3339)}
}

func targetOf(b []byte) *metadata.TargetFiles {
	f := metadata.TargetFile()
	f.Length, f.Hashes = int64(len(b)), hashesOf(b)
	return f
}

func hashesOf(b []byte) metadata.Hashes {
	sum := sha256.Sum256(b)
	return metadata.Hashes{"sha256": sum[:]}
}

func topRoles() []string {
	return []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP}
}

// addKeys puts keys into a table and returns their ids there.
func addKeys(table map[string]*metadata.Key, keys []signing.PublicKey) ([]string, error) {
	ids := make([]string, 0, len(keys))
	for _, k := range keys {
		key, id, err := tufKey(k)
		if err != nil {
			return nil, err
		}
		table[id] = key
		ids = append(ids, id)
	}
	return ids, nil
}

func tufKey(k signing.PublicKey) (*metadata.Key, string, error) {
	key, err := metadata.KeyFromPublicKey(k.Key)
	if err != nil {
		return nil, "", errs.Wrap(errs.CodeKeyInvalid, err, "cannot put the key %s into metadata", k.ID.Short())
	}
	id, err := key.ID()
	if err != nil {
		return nil, "", errs.Wrap(errs.CodeKeyInvalid, err, "cannot put the key %s into metadata", k.ID.Short())
	}
	return key, id, nil
}

// parseRoot reads a root that a keeper made, and refuses any other: who signs
// sees all that there is in it.
func parseRoot(b []byte) (*rootSheet, error) {
	m, s, err := parse[metadata.RootType](metadata.ROOT, b)
	if err != nil {
		return nil, err
	}
	r := &rootSheet{sheet: s, roles: map[string]roleKeys{}}
	r.deployment, _ = m.Signed.UnrecognizedFields[trust.DeploymentMember].(string)
	if err := r.head(m.Signed.Version, m.Signed.Expires, m.Signed.UnrecognizedFields); err != nil {
		return nil, err
	}
	for _, name := range topRoles() {
		role := m.Signed.Roles[name]
		if role == nil {
			return nil, foreign(s.role)
		}
		keys := roleKeys{threshold: role.Threshold}
		for _, id := range role.KeyIDs {
			k, err := publicKey(m.Signed.Keys[id])
			if err != nil {
				return nil, foreign(s.role)
			}
			keys.keys = append(keys.keys, k)
		}
		r.roles[name] = keys
	}
	return r, same(&r.sheet, r.finish)
}

// parseTargets reads targets together with the files that they name.
func parseTargets(b, policy, ca []byte) (*targetsSheet, error) {
	m, s, err := parse[metadata.TargetsType](metadata.TARGETS, b)
	if err != nil {
		return nil, err
	}
	p, err := signing.ParsePolicy(policy)
	if err != nil {
		return nil, err
	}
	t := &targetsSheet{sheet: s, policy: p, policyBytes: policy, ca: ca}
	if err := t.head(m.Signed.Version, m.Signed.Expires, m.Signed.UnrecognizedFields); err != nil {
		return nil, err
	}
	return t, same(&t.sheet, t.finish)
}

func parseRevocations(b []byte) (*revocationsSheet, error) {
	m, s, err := parse[metadata.TargetsType](trust.RoleRevocations, b)
	if err != nil {
		return nil, err
	}
	r := &revocationsSheet{sheet: s}
	r.deployment, _ = m.Signed.UnrecognizedFields[trust.DeploymentMember].(string)
	if err := r.head(m.Signed.Version, m.Signed.Expires, m.Signed.UnrecognizedFields); err != nil {
		return nil, err
	}
	for path, f := range m.Signed.Targets {
		kind, value, _ := strings.Cut(path, "/")
		var note struct{ At, By, Reason string }
		if f == nil || f.Custom == nil || json.Unmarshal(*f.Custom, &note) != nil {
			return nil, foreign(s.role)
		}
		at, err := time.Parse(time.RFC3339, note.At)
		if err != nil {
			return nil, foreign(s.role)
		}
		one := signing.Revocation{Kind: signing.RevocationKind(kind), Value: value, Reason: note.Reason, By: note.By, At: at.UTC()}
		if err := one.Validate(); err != nil {
			return nil, err
		}
		r.list = append(r.list, one)
	}
	r.list = signing.NewRevocations(r.list...).List()
	return r, same(&r.sheet, r.finish)
}

// parse reads metadata in the one form that a keeper writes.
func parse[T metadata.Roles](role string, b []byte) (*metadata.Metadata[T], sheet, error) {
	m, err := new(metadata.Metadata[T]).FromBytes(b)
	if err != nil {
		return nil, sheet{}, errs.Wrap(errs.CodeTrustInvalid, err, "cannot read the %s", role)
	}
	again, err := m.ToBytes(false)
	if err != nil || !bytes.Equal(again, b) {
		return nil, sheet{}, foreign(role)
	}
	s := sheet{role: role, sigs: m.Signatures}
	if s.signed, err = json.Marshal(m.Signed); err != nil {
		return nil, sheet{}, foreign(role)
	}
	return m, s, nil
}

func (s *sheet) head(version int64, expires time.Time, more map[string]any) error {
	text, _ := more[trust.SignedAtMember].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || version < 1 {
		return foreign(s.role)
	}
	s.version, s.expires, s.signedAt = version, expires.UTC(), at.UTC()
	return nil
}

// same makes the sheet anew from what was understood of it: anything else in
// it would be signed unseen.
func same(s *sheet, finish func() error) error {
	was := s.signed
	if err := finish(); err != nil {
		return err
	}
	if !bytes.Equal(was, s.signed) {
		return foreign(s.role)
	}
	return nil
}

func foreign(role string) error {
	return errs.New(errs.CodeTrustInvalid, "cannot read the %s: it is not what hookline trust writes", role).
		WithHint("do not sign it; ask who changed the folder")
}

func publicKey(k *metadata.Key) (signing.PublicKey, error) {
	if k == nil {
		return signing.PublicKey{}, errs.New(errs.CodeKeyInvalid, "cannot read a key of the metadata")
	}
	key, err := k.ToPublicKey()
	if err != nil {
		return signing.PublicKey{}, errs.Wrap(errs.CodeKeyInvalid, err, "cannot read a key of the metadata")
	}
	return signing.NewPublicKey(key)
}
