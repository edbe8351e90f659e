package trust

import (
	"maps"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// signers fills in who may sign a role and who did.
func (t *Trusted) signers(r *Role) {
	var signed any
	switch r.Name {
	case metadata.ROOT:
		signed = t.tuf.Root
	case metadata.TIMESTAMP:
		signed = t.tuf.Timestamp
	case metadata.SNAPSHOT:
		signed = t.tuf.Snapshot
	default:
		signed = t.tuf.Targets[r.Name]
	}
	if r.Name == RoleRevocations {
		d := t.tuf.Targets[metadata.TARGETS].Signed.Delegations
		r.Threshold = d.Roles[0].Threshold
		for _, id := range d.Roles[0].KeyIDs {
			r.add(d.Keys[id], by(d.Keys, id, signed))
		}
		return
	}
	root := t.tuf.Root.Signed
	r.Threshold = root.Roles[r.Name].Threshold
	for _, id := range root.Roles[r.Name].KeyIDs {
		r.add(root.Keys[id], by(root.Keys, id, signed))
	}
}

// add lists a key that may sign, and did where it did.
func (r *Role) add(key *metadata.Key, signed bool) {
	pub, err := publicKey(key)
	if err != nil {
		return // verified metadata has none such
	}
	r.Keys = append(r.Keys, pub.ID)
	if signed {
		r.SignedBy = append(r.SignedBy, pub.ID)
	}
}

// signersOf are targets that delegate to those alone who may have signed m: the
// library encodes all of m anew for each key that it asks about, and there can
// be hundreds of revokers.
func signersOf(targets *metadata.Metadata[metadata.TargetsType], m *metadata.Metadata[metadata.TargetsType]) *metadata.Metadata[metadata.TargetsType] {
	few := *targets
	delegations := *targets.Signed.Delegations
	delegations.Roles = slices.Clone(delegations.Roles)
	role := &delegations.Roles[0]
	role.KeyIDs = slices.DeleteFunc(slices.Clone(role.KeyIDs), func(id string) bool { return !signedBy(id, m) })
	few.Signed.Delegations = &delegations
	return &few
}

// signedBy reports whether there is a signature under a key's id, right or wrong.
func signedBy(id string, signed any) bool {
	var list []metadata.Signature
	switch m := signed.(type) {
	case *metadata.Metadata[metadata.RootType]:
		list = m.Signatures
	case *metadata.Metadata[metadata.TimestampType]:
		list = m.Signatures
	case *metadata.Metadata[metadata.SnapshotType]:
		list = m.Signatures
	case *metadata.Metadata[metadata.TargetsType]:
		list = m.Signatures
	}
	return slices.ContainsFunc(list, func(s metadata.Signature) bool { return s.KeyID == id })
}

// by reports whether one key has signed: it would do alone.
func by(keys map[string]*metadata.Key, id string, signed any) bool {
	if !signedBy(id, signed) {
		return false
	}
	alone := metadata.Root()
	alone.Signed.Keys = maps.Clone(keys)
	alone.Signed.Roles = map[string]*metadata.Role{metadata.ROOT: {KeyIDs: []string{id}, Threshold: 1}}
	return alone.VerifyDelegate(metadata.ROOT, signed) == nil
}
