package trust_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing/trust"
)

// A server can hand out a root with one signature less, or with a wrong one: it
// is the same root, and machines that have it must still follow those who hold
// the other bytes.
func TestSameRootInOtherBytes(t *testing.T) {
	for name, change := range map[string]func(r *repo, root []byte) []byte{
		"one signature less": func(r *repo, root []byte) []byte {
			m, err := metadata.Root().FromBytes(root)
			must(r.tb, err)
			m.Signatures = m.Signatures[:2]
			b, err := m.ToBytes(false)
			must(r.tb, err)
			return b
		},
		"a signature of who may not sign": func(r *repo, root []byte) []byte {
			m, err := metadata.Root().FromBytes(root)
			must(r.tb, err)
			_, err = m.Sign(r.dave.private)
			must(r.tb, err)
			b, err := m.ToBytes(false)
			must(r.tb, err)
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			known := r.open()
			r.newRoot(nil, r.alice, r.bob, r.carol)
			r.freshen()
			honest := r.bundle.Roots
			r.bundle.Roots = [][]byte{honest[0], change(r, honest[1])}
			if bytes.Equal(r.bundle.Roots[1], honest[1]) {
				t.Fatal("the bytes are the same")
			}
			known, err := known.Update(r.bundle)
			must(t, err)
			r.bundle.Roots = honest
			r.revoke(r.erin, hook("bad"))
			r.freshen()
			known, err = known.Update(r.bundle)
			must(t, err)
			r.newRoot(nil, r.alice, r.bob)
			r.freshen()
			known, err = known.Update(r.bundle)
			must(t, err)
			if known.Revoked().Len() != 1 || known.Roles()[0].Version != 3 {
				t.Errorf("revoked %d, root %d", known.Revoked().Len(), known.Roles()[0].Version)
			}
			_, err = trust.Anchor{RootDigest: trust.Digest(r.bundle.Roots[0]), Deployment: deployment}.Open(known.Bundle())
			must(t, err)
		})
	}
}

// What a server adds to a root stays on machines for ever.
func TestPaddedRoot(t *testing.T) {
	for name, change := range map[string]func(r *repo, m *metadata.Metadata[metadata.RootType]) []byte{
		"white space": func(r *repo, m *metadata.Metadata[metadata.RootType]) []byte {
			return append([]byte(" "), encode(r, m)...)
		},
		"a signature of nobody": func(r *repo, m *metadata.Metadata[metadata.RootType]) []byte {
			_, err := m.Sign(r.mallory.private)
			must(r.tb, err)
			return encode(r, m)
		},
		"a long signature": func(r *repo, m *metadata.Metadata[metadata.RootType]) []byte {
			m.Signatures = append(m.Signatures, metadata.Signature{KeyID: r.dave.id, Signature: make([]byte, 10_000)})
			return encode(r, m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			known := r.open()
			r.newRoot(nil, r.alice, r.bob)
			m, err := metadata.Root().FromBytes(r.bundle.Roots[1])
			must(t, err)
			r.bundle.Roots[1] = change(r, m)
			r.freshen()
			_, err = known.Update(r.bundle)
			wantCode(t, err, errs.CodeTrustInvalid)
		})
	}
}

func encode(r *repo, m *metadata.Metadata[metadata.RootType]) []byte {
	b, err := m.ToBytes(false)
	must(r.tb, err)
	return b
}

// Roots that come one by one must not become more than can be read again.
func TestRootsGrowTooLong(t *testing.T) {
	r := newRepo(t)
	known := r.open()
	for range 40 {
		r.newRoot(func(root *metadata.RootType) {
			root.UnrecognizedFields["x-long"] = strings.Repeat("x", 60_000)
		}, r.alice, r.bob)
		b := r.bundle
		b.Roots = b.Roots[len(b.Roots)-1:]
		next, err := known.Update(b)
		if err != nil {
			wantCode(t, err, errs.CodeTrustInvalid)
			encoded, err := known.Bundle().Encode()
			must(t, err)
			_, err = trust.ParseBundle(encoded)
			must(t, err)
			return
		}
		known = next
	}
	t.Error("all were taken")
}

// Of revocations one signature suffices; wrong ones cost time.
func TestRevocationsOfManySignatures(t *testing.T) {
	r := newRepo(t)
	m, err := metadata.Targets().FromBytes(r.more(r.erin, hook("bad")))
	must(t, err)
	for i := range 8 {
		m.Signatures = append(m.Signatures, metadata.Signature{KeyID: fmt.Sprintf("%064x", i), Signature: m.Signatures[0].Signature})
	}
	b, err := m.ToBytes(false)
	must(t, err)
	_, err = r.open().Push(b)
	wantCode(t, err, errs.CodeTrustInvalid)
}

// Nobody could sign a newer version than the last one that there is.
func TestVersionsAreNotUsedUp(t *testing.T) {
	for name, change := range map[string]func(r *repo){
		"revocations": func(r *repo) {
			r.revocations.Version = math.MaxInt64 - 1
			r.revoke(r.erin)
			r.freshen()
		},
		"snapshot": func(r *repo) {
			r.snapshot.Version = math.MaxInt64 - 1
			r.freshen()
		},
		"timestamp": func(r *repo) {
			r.timestamp.Version = math.MaxInt64 - 1
			r.freshen()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			known := r.open()
			change(r)
			_, err := known.Update(r.bundle)
			wantCode(t, err, errs.CodeTrustInvalid)
		})
	}
}
