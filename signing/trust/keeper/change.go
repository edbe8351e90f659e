package keeper

import (
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

// Plan is what Init makes the first metadata of. Only Policy is needed.
type Plan struct {
	Policy           []byte              // the policy file
	CA               []byte              // PEM, the server's authorities; none where they are those of the enroll line
	Root             []signing.PublicKey // the first key of each person where nil
	Targets          []signing.PublicKey // the same
	Freshen          []signing.PublicKey // beside those of Targets
	RootThreshold    int                 // the policy's RunThreshold where 0
	TargetsThreshold int                 // the same
}

// Init stages version 1 of root, targets and revocations in an offline folder.
// It overwrites nothing: errs.CodeConflict. Roles that fewer people could
// change than a hook needs are errs.CodeTrustWeak.
func Init(offline string, plan Plan, now func() time.Time) (*Keeper, error) {
	k := keeperOf(offline, now)
	policy, err := signing.ParsePolicy(plan.Policy)
	if err != nil {
		return nil, err
	}
	staged, err := k.first(plan, policy)
	if err != nil {
		return nil, err
	}
	return k, k.changing(func() error {
		if k.trusted != nil || !k.staged.none() {
			return errs.New(errs.CodeConflict, "cannot make trust metadata in %s: there is some already", offline).
				WithHint("see what is there: hookline trust show")
		}
		k.staged = staged
		return k.saveStaged()
	})
}

func (k *Keeper) first(plan Plan, policy *signing.Policy) (sheets, error) {
	var persons []signing.PublicKey
	for _, p := range policy.Persons {
		persons = append(persons, p.Keys[0])
	}
	root, targets := plan.Root, plan.Targets
	if root == nil {
		root = persons
	}
	if targets == nil {
		targets = persons
	}
	freshen := unique(targets, plan.Freshen)
	now := k.now()
	s := sheets{
		root: &rootSheet{sheet: sheet{role: metadata.ROOT, version: 1, signedAt: now, expires: now.Add(RootLife)}, deployment: policy.Deployment, roles: map[string]roleKeys{
			metadata.ROOT:      {unique(root), orElse(plan.RootThreshold, policy.RunThreshold())},
			metadata.TARGETS:   {unique(targets), orElse(plan.TargetsThreshold, policy.RunThreshold())},
			metadata.SNAPSHOT:  {freshen, 1},
			metadata.TIMESTAMP: {freshen, 1},
		}},
		targets: &targetsSheet{
			sheet:  sheet{role: metadata.TARGETS, version: 1, signedAt: now, expires: now.Add(TargetsLife)},
			policy: policy, policyBytes: plan.Policy, ca: plan.CA,
		},
		revocations: &revocationsSheet{
			sheet:      sheet{role: trust.RoleRevocations, version: 1, signedAt: now, expires: now.Add(RevocationsLife)},
			deployment: policy.Deployment,
		},
	}
	if err := s.check(); err != nil {
		return sheets{}, err
	}
	return s, s.finish()
}

func orElse(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}

func unique(lists ...[]signing.PublicKey) []signing.PublicKey {
	var out []signing.PublicKey
	for _, k := range slices.Concat(lists...) {
		if !(roleKeys{keys: out}).has(k.ID) {
			out = append(out, k)
		}
	}
	return out
}

func (s sheets) finish() error {
	for _, finish := range []func() error{s.root.finish, s.targets.finish, s.revocations.finish} {
		if err := finish(); err != nil {
			return err
		}
	}
	return s.fits()
}

// fits holds the files against the caps of those who will read them.
func (s sheets) fits() error {
	for _, one := range s.all() {
		most := trust.MaxMetadataBytes
		if one.role == trust.RoleRevocations {
			most = trust.MaxRevocations
		}
		// Room for a signature of each of 16 people.
		if len(one.signed)+16*300 > most {
			return errs.New(errs.CodeTooLarge, "cannot make the %s: it would be longer than %d bytes", one.role, most).
				WithHint("let fewer keys sign; with the role revoker in the policy only those who have it may revoke")
		}
	}
	return nil
}

// check refuses what verifiers would refuse, and what would be too weak.
func (s sheets) check() error {
	policy := s.targets.policy
	for _, name := range topRoles() {
		r := s.root.roles[name]
		if r.threshold < 1 || r.threshold > len(r.keys) {
			return errs.New(errs.CodeBadInput, "cannot let %d of %d keys sign the %s", r.threshold, len(r.keys), name).
				WithHint("give more keys, or another threshold")
		}
	}
	for _, name := range []string{metadata.ROOT, metadata.TARGETS} {
		r := s.root.roles[name]
		if need := policy.RunThreshold(); r.threshold < need {
			return errs.New(errs.CodeTrustWeak, "cannot let %d people change the %s: a hook needs the signatures of %d", r.threshold, name, need).
				WithHint("raise the threshold to %d, and give that many keys", need)
		}
		seen := map[string]bool{}
		for _, k := range r.keys {
			person, ok := policy.Person(k.ID)
			if ok && seen[person.Name] {
				return errs.New(errs.CodeTrustWeak, "cannot let two keys of %s sign the %s: one person would count as two", person.Name, name).
					WithHint("remove one of them: hookline trust rotate --remove KEY")
			}
			seen[person.Name] = ok
		}
	}
	return checkCA(s.targets.ca)
}

// Rotation changes who may sign. A key is removed by its id.
type Rotation struct {
	Add              map[string][]signing.PublicKey // by role: root, targets, snapshot, timestamp
	Remove           map[string][]signing.KeyID
	RootThreshold    int // as it is where 0
	TargetsThreshold int
}

// FreshenRoles are the roles of freshen keys; root and targets are metadata.ROOT and TARGETS.
func FreshenRoles() []string { return []string{metadata.SNAPSHOT, metadata.TIMESTAMP} }

// Rotate stages the next root; an empty rotation makes it live longer. It is
// to be signed by enough keys of the old root and of the new one. Where the
// targets in force would miss signatures under it, they are staged, too. A
// root that is staged already is changed, and to be signed anew.
func (k *Keeper) Rotate(r Rotation) error {
	return k.changing(func() error {
		root := k.next().root.clone()
		for _, name := range topRoles() {
			role := root.roles[name]
			role.keys = unique(role.keys, r.Add[name])
			for _, id := range r.Remove[name] {
				i := slices.IndexFunc(role.keys, func(key signing.PublicKey) bool { return key.ID == id })
				if i < 0 {
					return errs.New(errs.CodeSignerUnknown, "cannot remove the key %s: it may not sign the %s", id.Short(), name)
				}
				role.keys = slices.Delete(role.keys, i, i+1)
			}
			root.roles[name] = role
		}
		root.setThreshold(metadata.ROOT, r.RootThreshold)
		root.setThreshold(metadata.TARGETS, r.TargetsThreshold)
		root.signedAt, root.expires = k.now(), k.now().Add(RootLife)
		if k.force.root != nil {
			root.version = k.force.root.version + 1
		}
		k.staged.root = root
		return k.stage(false)
	})
}

func (r *rootSheet) setThreshold(name string, n int) {
	if n == 0 {
		return
	}
	role := r.roles[name]
	role.threshold = n
	r.roles[name] = role
}

// ReplaceTargets stages the next targets: another policy, other certificates
// of the server's authorities, or, with neither, the same for longer. nil
// leaves a file as it is; an empty ca takes the certificates out. The
// deployment stays: errs.CodeWrongDeployment.
func (k *Keeper) ReplaceTargets(policy, ca []byte) error {
	return k.changing(func() error {
		old := k.next().targets
		if policy == nil {
			policy = old.policyBytes
		}
		if ca == nil {
			ca = old.ca
		}
		p, err := signing.ParsePolicy(policy)
		if err != nil {
			return err
		}
		if p.Deployment != old.policy.Deployment {
			return errs.New(errs.CodeWrongDeployment, "cannot replace the policy: it is of deployment %s, the folder is of %s", p.Deployment, old.policy.Deployment)
		}
		k.stageTargets(p, policy, ca)
		return k.stage(true)
	})
}

func (k *Keeper) stageTargets(p *signing.Policy, policy, ca []byte) {
	t := &targetsSheet{policy: p, policyBytes: policy, ca: ca}
	t.sheet = sheet{role: metadata.TARGETS, version: 1, signedAt: k.now(), expires: k.now().Add(TargetsLife)}
	if k.force.targets != nil {
		t.version = k.force.targets.version + 1
	}
	k.staged.targets = t
}

// stage checks what is staged as a whole, adds what must be signed anew
// because of it, and writes it down.
func (k *Keeper) stage(targets bool) error {
	n := k.next()
	if err := n.check(); err != nil {
		return err
	}
	if !targets && k.staged.targets == nil && !n.targets.met(n.root.roles[metadata.TARGETS]) {
		k.stageTargets(n.targets.policy, n.targets.policyBytes, n.targets.ca)
	}
	if k.staged.root != nil {
		if err := k.staged.root.finish(); err != nil {
			return err
		}
	}
	if k.staged.targets != nil {
		if err := k.staged.targets.finish(); err != nil {
			return err
		}
		if err := k.stageRevocations(); err != nil {
			return err
		}
	}
	k.dropForeign()
	if err := k.next().fits(); err != nil {
		return err
	}
	return k.saveStaged()
}

// stageRevocations makes the next revocations where those in force were signed
// by nobody who may revoke under the new policy, or are over half their life.
func (k *Keeper) stageRevocations() error {
	if k.trusted == nil {
		return nil // version 1 is staged
	}
	k.staged.revocations = nil
	old := k.force.revocations
	half := old.signedAt.Add(old.expires.Sub(old.signedAt) / 2)
	if old.met(k.staged.targets.revokers()) && k.now().Before(half) {
		return nil
	}
	r, err := newRevocations(k.trusted, k.now(), nil)
	k.staged.revocations = r
	return err
}

// newRevocations is the next version with all that is known, and more.
func newRevocations(t *trust.Trusted, now time.Time, more []signing.Revocation) (*revocationsSheet, error) {
	all := recent(t.Revoked().With(more...).List(), now)
	if len(all) > signing.MaxRevocations {
		return nil, errs.New(errs.CodeTooLarge, "cannot revoke more: there are %d revocations, at most %d", len(all), signing.MaxRevocations)
	}
	r := &revocationsSheet{list: all, deployment: t.Anchor().Deployment, sheet: sheet{
		role: trust.RoleRevocations, version: t.RevocationsVersion() + 1, signedAt: now, expires: now.Add(RevocationsLife),
	}}
	if err := r.finish(); err != nil {
		return nil, err
	}
	return r, sheets{revocations: r}.fits()
}

// recent leaves out what new metadata need not have; see RevocationMemory.
func recent(list []signing.Revocation, now time.Time) []signing.Revocation {
	tooOld := now.Add(-RevocationMemory)
	return slices.DeleteFunc(slices.Clone(list), func(one signing.Revocation) bool {
		return (one.Kind == signing.RevokeVersion || one.Kind == signing.RevokeApproval) && one.At.Before(tooOld)
	})
}

// dropForeign keeps of the staged signatures those that count.
func (k *Keeper) dropForeign() {
	for _, s := range k.staged.all() {
		var roles []roleKeys
		for _, need := range k.needs(s.role) {
			roles = append(roles, need.roleKeys)
		}
		s.keep(roles...)
	}
}
