package keeper

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

// Staged is a piece of metadata that is not in force yet.
type Staged struct {
	Role       string    `json:"role"`
	Version    int64     `json:"version"`
	Expires    time.Time `json:"expires"`
	Needs      []Need    `json:"needs"`      // all of them
	Difference []string  `json:"difference"` // to what is in force, as text: "+", "-" or " " and a line
}

// Need is one set of keys of which enough must sign.
type Need struct {
	By        string          `json:"by"` // "root version 2"
	Threshold int             `json:"threshold"`
	Keys      []signing.KeyID `json:"keys"`
	SignedBy  []signing.KeyID `json:"signed_by"`
	roleKeys  roleKeys
}

// Met reports whether enough have signed.
func (n Need) Met() bool { return n.Threshold > 0 && len(n.SignedBy) >= n.Threshold }

// Complete reports whether everybody whose signature is needed has signed.
func (s Staged) Complete() bool {
	return !slices.ContainsFunc(s.Needs, func(n Need) bool { return !n.Met() })
}

// Staged lists what waits for signatures, or for Freshen.
func (k *Keeper) Staged() []Staged {
	who := k.names()
	var out []Staged
	for _, s := range k.staged.all() {
		one := Staged{Role: s.role, Version: s.version, Expires: s.expires, Needs: k.needs(s.role)}
		switch s.role {
		case metadata.ROOT:
			one.Difference = k.staged.root.difference(k.force.root, who)
		case metadata.TARGETS:
			one.Difference = k.staged.targets.difference(k.force.targets, who)
		default:
			one.Difference = k.staged.revocations.difference(k.force.revocations)
		}
		out = append(out, one)
	}
	return out
}

// names knows the persons of the policy in force and of the staged one.
func (k *Keeper) names() names {
	var who names
	for _, t := range []*targetsSheet{k.force.targets, k.staged.targets} {
		if t != nil {
			who = append(who, t.policy)
		}
	}
	return who
}

// NameOf is the person of a key by the policy in force or the staged one, ""
// where neither knows it.
func (k *Keeper) NameOf(id signing.KeyID) string {
	for _, p := range k.names() {
		if person, ok := p.Person(id); ok {
			return person.Name
		}
	}
	return ""
}

// KeysOf lists the keys that may sign root, targets, snapshot or timestamp
// once what is staged is in force.
func (k *Keeper) KeysOf(role string) []signing.PublicKey {
	return slices.Clone(k.next().root.roles[role].keys)
}

// MayFreshen reports whether Freshen would take a key now.
func (k *Keeper) MayFreshen(id signing.KeyID) bool {
	root := k.force.root
	if k.Ready() {
		root = k.next().root
	}
	return root != nil && root.roles[metadata.SNAPSHOT].has(id) && root.roles[metadata.TIMESTAMP].has(id)
}

// needs says who must sign the next version of a role.
func (k *Keeper) needs(role string) []Need {
	n := k.next()
	switch role {
	case metadata.ROOT:
		needs := []Need{need(&n.root.sheet, fmt.Sprintf("root version %d", n.root.version), n.root.roles[metadata.ROOT])}
		if old := k.force.root; old != nil && k.staged.root != nil {
			needs = append([]Need{need(&n.root.sheet, fmt.Sprintf("root version %d", old.version), old.roles[metadata.ROOT])}, needs...)
		}
		return needs
	case metadata.TARGETS:
		return []Need{need(&n.targets.sheet, fmt.Sprintf("root version %d", n.root.version), n.root.roles[metadata.TARGETS])}
	}
	return []Need{need(&n.revocations.sheet, fmt.Sprintf("targets version %d", n.targets.version), n.targets.revokers())}
}

func need(s *sheet, by string, r roleKeys) Need {
	out := Need{By: by, Threshold: r.threshold, SignedBy: s.signedBy(r), roleKeys: r}
	for _, k := range r.keys {
		out.Keys = append(out.Keys, k.ID)
	}
	return out
}

// ready reports whether all that is staged, together with what is in force,
// has the signatures that it needs.
func (k *Keeper) ready() bool {
	if k.next().root == nil {
		return false
	}
	for _, role := range []string{metadata.ROOT, metadata.TARGETS, trust.RoleRevocations} {
		if slices.ContainsFunc(k.needs(role), func(n Need) bool { return !n.Met() }) {
			return false
		}
	}
	return true
}

// Ready reports whether something is staged and has all its signatures: the
// next Freshen puts it in force.
func (k *Keeper) Ready() bool { return !k.staged.none() && k.ready() }

// Signature is one that Sign has made.
type Signature struct {
	Role    string        `json:"role"`
	Version int64         `json:"version"`
	Key     signing.KeyID `json:"key_id"`
}

// Sign signs what is staged: each key what it may sign. A key that may sign
// none of it is errs.CodeSignerRole, and nothing is signed. Only what Staged
// showed is signed: errs.CodeConflict where the folder has changed since.
func (k *Keeper) Sign(signers ...Signer) ([]Signature, error) {
	shown := k.staged.payloads()
	var done []Signature
	return done, k.changing(func() error {
		switch {
		case k.staged.none():
			return errs.New(errs.CodeBadInput, "there is nothing to sign").WithHint("hookline trust rotate, replace and init stage something")
		case !bytes.Equal(shown, k.staged.payloads()):
			return errs.New(errs.CodeConflict, "cannot sign: the folder was changed since it was shown").WithHint("look again, then sign")
		}
		for _, key := range signers {
			signed, err := k.signWith(key)
			if err != nil {
				return err
			}
			done = append(done, signed...)
		}
		return k.saveStaged()
	})
}

func (k *Keeper) signWith(key Signer) ([]Signature, error) {
	id := key.Public().ID
	var done []Signature
	for _, s := range k.staged.all() {
		if !slices.ContainsFunc(k.needs(s.role), func(n Need) bool { return n.roleKeys.has(id) }) {
			continue
		}
		if err := s.sign(key); err != nil {
			return nil, err
		}
		done = append(done, Signature{s.role, s.version, id})
	}
	if len(done) == 0 {
		return nil, errs.New(errs.CodeSignerRole, "cannot sign: the key %s may sign nothing of what is staged", id.Short()).
			WithHint("see who may: hookline trust show")
	}
	return done, nil
}

// payloads is all that signatures would cover.
func (s sheets) payloads() []byte {
	var b bytes.Buffer
	for _, one := range s.all() {
		fmt.Fprintf(&b, "%s %d\n", one.role, len(one.payload))
		b.Write(one.payload)
	}
	return b.Bytes()
}

// checkCA refuses what is no PEM of certificates of authorities; empty is none.
func checkCA(b []byte) error {
	if len(b) > trust.MaxCABytes {
		return errs.New(errs.CodeTooLarge, "cannot take the certificates: they are longer than %d bytes", trust.MaxCABytes)
	}
	for rest := bytes.TrimSpace(b); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return errs.New(errs.CodeBadInput, "cannot take the certificates: there is something else than PEM certificates in the file")
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err != nil || !cert.IsCA {
			return errs.New(errs.CodeBadInput, "cannot take the certificates: one is not that of an authority").
				WithHint("copy ca.crt from the data folder of hooklined")
		}
	}
	return nil
}
