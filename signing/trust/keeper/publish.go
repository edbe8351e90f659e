package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/durable"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

// Freshen signs new snapshot and timestamp, for life (FreshLife where 0, at
// most MaxFreshLife), and puts what is staged in force if it has all its
// signatures. Otherwise what was in force goes on; inForce tells. A key that
// is no freshen key is errs.CodeSignerRole; errs.CodeTrustSigned says that
// nothing could come in force yet.
func (k *Keeper) Freshen(key Signer, life time.Duration) (inForce bool, err error) {
	life = time.Duration(orElse(int(life), int(FreshLife)))
	if life < MinFreshLife || life > MaxFreshLife {
		return false, errs.New(errs.CodeBadInput, "cannot freshen for %s: it is not between 1m and 14d", life).At("life")
	}
	err = k.changing(func() error {
		n := k.force
		if !k.staged.none() && k.ready() {
			n, inForce = k.next(), true
		}
		if n.root == nil {
			return errs.New(errs.CodeTrustSigned, "cannot freshen: not enough people have signed the first version").
				WithHint("see who is missing: hookline trust show")
		}
		b, err := k.compose(n, key, life)
		if err != nil {
			return err
		}
		if err := k.save(b, inForce); err != nil {
			return err
		}
		if inForce {
			k.staged = sheets{}
		}
		return k.saveStaged()
	})
	return inForce && err == nil, err
}

// compose puts snapshot and timestamp over the sheets.
func (k *Keeper) compose(n sheets, key Signer, life time.Duration) (trust.Bundle, error) {
	for _, role := range FreshenRoles() {
		if r := n.root.roles[role]; !r.has(key.Public().ID) || r.threshold != 1 {
			return trust.Bundle{}, errs.New(errs.CodeSignerRole, "cannot freshen: the key %s may not sign the %s", key.Public().ID.Short(), role).
				WithHint("see who may: hookline trust show; add a key: hookline trust rotate --add FILE.pub --role freshen")
		}
	}
	files := make([][]byte, 3)
	for i, s := range n.all() {
		var err error
		if files[i], err = s.file(); err != nil {
			return trust.Bundle{}, err
		}
	}
	b := trust.Bundle{Targets: files[1], Revocations: files[2], Policy: n.targets.policyBytes, CA: n.targets.ca}
	if k.trusted != nil {
		b.Roots = slices.Clone(k.trusted.Bundle().Roots)
	}
	if k.force.root == nil || n.root.version > k.force.root.version {
		b.Roots = append(b.Roots, files[0])
	}
	snapshot := metadata.Snapshot().Signed
	snapshot.Meta = map[string]*metadata.MetaFiles{
		"targets.json":     metaOf(n.targets.version, files[1]),
		"revocations.json": metaOf(n.revocations.version, files[2]),
	}
	s := k.fresh(metadata.SNAPSHOT, life)
	snapshot.Version, snapshot.Expires, snapshot.UnrecognizedFields = s.version, s.expires, signedAtMember(s.signedAt)
	var err error
	if b.Snapshot, err = s.signed1(snapshot, key); err != nil {
		return b, err
	}
	timestamp := metadata.Timestamp().Signed
	timestamp.Meta = map[string]*metadata.MetaFiles{"snapshot.json": metaOf(s.version, b.Snapshot)}
	s = k.fresh(metadata.TIMESTAMP, life)
	timestamp.Version, timestamp.Expires, timestamp.UnrecognizedFields = s.version, s.expires, signedAtMember(s.signedAt)
	b.Timestamp, err = s.signed1(timestamp, key)
	return b, err
}

// fresh is the next version of a role that Freshen signs.
func (k *Keeper) fresh(role string, life time.Duration) *sheet {
	s := &sheet{role: role, version: 1, signedAt: k.now(), expires: k.now().Add(life)}
	if k.trusted == nil {
		return s
	}
	for _, r := range k.trusted.Roles() {
		if r.Name == role {
			s.version = r.Version + 1
		}
	}
	return s
}

// signed1 is the file of a role that one key signs.
func (s *sheet) signed1(signed any, key Signer) ([]byte, error) {
	if err := s.build(signed); err != nil {
		return nil, err
	}
	if err := s.sign(key); err != nil {
		return nil, err
	}
	return s.file()
}

func metaOf(version int64, b []byte) *metadata.MetaFiles {
	m := metadata.MetaFile(version)
	m.Length, m.Hashes = int64(len(b)), hashesOf(b)
	return m
}

// save verifies a bundle as everybody else will, writes it and makes it the
// one in force. newPolicy says that policy.yaml beside it is to follow.
func (k *Keeper) save(b trust.Bundle, newPolicy bool) error {
	next, err := openOwn(b)
	if err == nil && k.trusted != nil {
		next, err = k.trusted.Update(b)
	}
	if err != nil {
		return err
	}
	return k.write(next, newPolicy)
}

func (k *Keeper) write(next *trust.Trusted, newPolicy bool) error {
	encoded, err := next.Bundle().Encode()
	if err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot encode the trust metadata")
	}
	if _, err := trust.ParseBundle(encoded); err != nil {
		return err
	}
	if newPolicy {
		if err := k.followPolicy(next.Bundle().Policy); err != nil {
			return err
		}
	}
	path := filepath.Join(k.offline, BundleName)
	if err := durable.WriteFile(path, encoded, 0o644); err != nil {
		return fileError(err, path)
	}
	if err := k.adopt(next); err != nil {
		return err
	}
	k.forgetOld()
	if err := k.dropOthers(); err != nil {
		return err
	}
	return k.writeFiles()
}

// followPolicy replaces policy.yaml by the new one, unless somebody has
// written another draft there.
func (k *Keeper) followPolicy(policy []byte) error {
	path := filepath.Join(k.offline, trust.TargetPolicy)
	is, err := read(path, signing.MaxPolicyBytes)
	if err != nil {
		return err
	}
	if is == nil || k.force.targets == nil || string(is) != string(k.force.targets.policyBytes) {
		return nil
	}
	return put(path, policy)
}

// writeFiles writes the bundle as single files.
func (k *Keeper) writeFiles() error {
	dir := filepath.Join(k.dir, filesDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError(err, dir)
	}
	b := k.trusted.Bundle()
	newest, err := k.force.revocations.file()
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"targets.json": b.Targets, "revocations.json": newest, "snapshot.json": b.Snapshot, "timestamp.json": b.Timestamp,
		trust.TargetPolicy: b.Policy,
	}
	for _, root := range b.Roots {
		r, err := parseRoot(root)
		if err != nil {
			return err
		}
		files[fmt.Sprintf("%d.root.json", r.version)] = root
	}
	if len(b.CA) > 0 {
		files[trust.TargetCA] = b.CA
	} else if err := remove(filepath.Join(dir, trust.TargetCA)); err != nil {
		return err
	}
	for name, content := range files {
		if err := put(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return nil
}

// Revoke signs the next revocations with more in them; see NextRevocations.
// They are in force at once, and under the next snapshot. metadata is what
// goes to the server.
func (k *Keeper) Revoke(key Signer, list ...signing.Revocation) (metadata []byte, err error) {
	err = k.changing(func() error {
		if k.trusted == nil {
			_, err := k.Bundle()
			return err
		}
		file, next, err := NextRevocations(k.trusted, key, k.now(), list...)
		if err != nil {
			return err
		}
		metadata = file
		if err := k.write(next, false); err != nil {
			return err
		}
		return k.restage()
	})
	if err != nil {
		return nil, err
	}
	return metadata, nil
}

// NextRevocations makes and signs the next version of the revocations over
// what is trusted, with all that is known and more: the file, and what is
// trusted with it. By and At of a revocation may be left out: they are the
// person of the key and now then. A key that may not revoke is
// errs.CodeSignerRole; errs.CodeConflict says that the newest metadata has all
// of it already.
func NextRevocations(t *trust.Trusted, key Signer, now time.Time, list ...signing.Revocation) (file []byte, next *trust.Trusted, err error) {
	now = now.UTC().Truncate(time.Second)
	id, revokers := key.Public().ID, Revokers(t.Policy())
	if !(roleKeys{keys: revokers}).has(id) {
		return nil, nil, errs.New(errs.CodeSignerRole, "cannot revoke: the key %s is not that of a revoker", id.Short()).
			WithHint("revokers are: %s", strings.Join(PersonsOf(t.Policy(), revokers), ", "))
	}
	more, err := newOnes(t, id, now, list)
	if err != nil {
		return nil, nil, err
	}
	r, err := newRevocations(t, now, more)
	if err != nil {
		return nil, nil, err
	}
	carried, err := Carried(t)
	if err != nil {
		return nil, nil, err
	}
	if carried.With(r.list...).Len() == carried.Len() {
		return nil, nil, errs.New(errs.CodeConflict, "it is revoked already").WithHint("see what is: hookline trust show")
	}
	if err := r.sign(key); err != nil {
		return nil, nil, err
	}
	if file, err = r.file(); err != nil {
		return nil, nil, err
	}
	next, err = t.Push(file)
	return file, next, err
}

// newOnes fills in revocations.
func newOnes(t *trust.Trusted, id signing.KeyID, now time.Time, list []signing.Revocation) ([]signing.Revocation, error) {
	person, _ := t.Policy().Person(id)
	more := make([]signing.Revocation, 0, len(list))
	for _, one := range list {
		if one.By == "" {
			one.By = person.Name
		}
		if one.At.IsZero() {
			one.At = now
		}
		if err := one.Validate(); err != nil {
			return nil, err
		}
		more = append(more, one)
	}
	return more, nil
}

// Carried lists what the newest revocations' metadata has: not all that was
// ever seen, but all that somebody learns who comes new.
func Carried(t *trust.Trusted) (signing.Revocations, error) {
	newest, err := newestRevocations(t)
	if err != nil {
		return signing.Revocations{}, err
	}
	return signing.NewRevocations(newest.list...), nil
}

func newestRevocations(t *trust.Trusted) (*revocationsSheet, error) {
	b := t.Bundle()
	if len(b.Pushed) > 0 {
		return parseRevocations(b.Pushed)
	}
	return parseRevocations(b.Revocations)
}

// RevokerNames lists who may revoke.
func (k *Keeper) RevokerNames() []string { return PersonsOf(k.Policy(), Revokers(k.Policy())) }

// PersonsOf names the persons of some keys, each once.
func PersonsOf(p *signing.Policy, keys []signing.PublicKey) []string {
	var out []string
	for _, key := range keys {
		if person, ok := p.Person(key.ID); ok && !slices.Contains(out, person.Name) {
			out = append(out, person.Name)
		}
	}
	return out
}

// restage writes the staged files after others came in force: revocations that
// were staged must hold the newer ones.
func (k *Keeper) restage() error {
	if k.staged.targets != nil {
		if err := k.stageRevocations(); err != nil {
			return err
		}
	}
	k.dropForeign()
	return k.saveStaged()
}

// Take takes newer metadata from elsewhere, such as the server: what others
// published or revoked. It is not believed but verified, against what is in
// force: refusals as in trust.Trusted.Update. Of metadata that is older
// (errs.CodeTrustRollback) the revocations are taken all the same. What is
// staged goes where it was overtaken. news reports whether there was any.
func (k *Keeper) Take(b trust.Bundle) (news bool, err error) {
	var older error
	err = k.changing(func() error {
		if k.trusted == nil {
			_, err := k.Bundle()
			return err
		}
		next, err := k.trusted.Update(b)
		if errs.Is(err, errs.CodeTrustRollback) {
			older, next, err = err, k.pushAll(b.Revocations, b.Pushed), nil
		}
		if err != nil || next == k.trusted {
			return err
		}
		if err := next.CheckAhead(k.now()); err != nil {
			return err
		}
		news = true
		if err := k.write(next, true); err != nil {
			return err
		}
		if err := k.keepOthers(b); err != nil {
			return err
		}
		return k.restage()
	})
	if err == nil {
		err = older
	}
	return news, err
}

// pushAll is what is trusted with those of the revocations that a revoker signed.
func (k *Keeper) pushAll(files ...[]byte) *trust.Trusted {
	t := k.trusted
	for _, file := range files {
		if next, err := t.Push(file); err == nil {
			t = next
		}
	}
	return t
}
