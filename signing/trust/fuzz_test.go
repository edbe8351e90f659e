package trust_test

import (
	"bytes"
	"slices"
	"testing"

	"hookline/signing/trust"
)

// A bundle is read in its one form: what is accepted encodes to the same bytes.
func FuzzParseBundle(f *testing.F) {
	r := newRepoOf(f, false)
	f.Add(encoded(f, r.bundle))
	r.bundle.CA = []byte("x")
	r.bundle.Pushed = r.more(r.erin, hook("a"))
	f.Add(encoded(f, r.bundle))
	f.Add(encoded(f, trust.Bundle{}))
	f.Add([]byte(`{"roots":["AA=="],"timestamp":"AA==","snapshot":"AA==","targets":"AA==","revocations":"AA==","policy":"AA=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := trust.ParseBundle(b)
		if err != nil {
			if len(got.Roots) > 0 && len(b) > trust.MaxBundleBytes {
				t.Fatal("a bundle that is too long was decoded")
			}
			return
		}
		if again := encoded(t, got); !bytes.Equal(again, b) {
			t.Fatalf("accepted %q, which encodes to %q", b, again)
		}
	})
}

// signedOnly fails where there is something in what was accepted that the
// right people have not signed: the repository of the fuzz tests has two
// policies, one revocation pushed, and two in force later.
func signedOnly(t *testing.T, got *trust.Trusted, whole ...*repo) {
	t.Helper()
	if !slices.ContainsFunc(whole, func(r *repo) bool { return bytes.Equal(r.bundle.Policy, got.Bundle().Policy) }) {
		t.Fatalf("a policy that nobody signed: %s", got.Bundle().Policy)
	}
	if len(got.CA()) != 0 {
		t.Fatal("certificates that nobody signed")
	}
	for _, name := range names(got) {
		if name != "a" && name != "b" {
			t.Fatalf("%s was revoked by nobody", name)
		}
	}
	for _, role := range got.Roles() {
		if len(role.SignedBy) < role.Threshold || role.Version < 1 || role.Version > 3 || !role.SignedAt.Equal(start) {
			t.Fatalf("%+v", role)
		}
	}
}

// fuzzed are an older and a newer state of one repository, and pushes to it.
func fuzzed(f *testing.F) (older, newer *repo, pushes [][]byte) {
	older, newer = newRepoOf(f, false), newRepoOf(f, false)
	newer.newRoot(nil, newer.bob, newer.carol)
	newer.policy.Reviewers, newer.policy.Forbidden = 1, []string{"raw"}
	newer.newTargets(nil, newer.alice, newer.carol)
	newer.revoke(newer.erin, hook("a"))
	newer.freshen()
	pushes = [][]byte{newer.bundle.Revocations, newer.more(newer.frank, hook("b"))}
	return older, newer, pushes
}

// No change of any part makes a machine believe what is not signed; Open and
// Update never panic, nor does what they return.
func FuzzOpen(f *testing.F) {
	older, newer, pushes := fuzzed(f)
	known := older.open()
	anchor := older.anchor()
	for _, b := range []trust.Bundle{older.bundle, newer.bundle} {
		b.Pushed = pushes[1]
		for i, p := range parts(&b) {
			f.Add(uint8(i), *p)
			f.Add(uint8(i)|0xc0, *p)
		}
		f.Add(uint8(8)|0xc0, newer.bundle.Roots[1])
	}
	f.Fuzz(func(t *testing.T, which uint8, part []byte) {
		from, take := newer, known.Update
		if which&0x80 != 0 {
			from = older
		}
		if which&0x40 != 0 {
			take = anchor.Open
		}
		b := from.bundle
		b.Roots = slices.Clone(b.Roots)
		all := parts(&b)
		if i := int(which&0x3f) % (len(all) + 1); i < len(all) {
			*all[i] = part
		} else {
			b.Roots = append(b.Roots, part)
		}
		got, err := take(b)
		if err != nil {
			return
		}
		signedOnly(t, got, older, newer)
		if again, err := anchor.Open(got.Bundle()); err != nil || again.RevocationsVersion() != got.RevocationsVersion() {
			t.Fatalf("what was accepted is not accepted again: %v", err)
		}
	})
}

// parts are where the parts of a bundle are.
func parts(b *trust.Bundle) []*[]byte {
	all := []*[]byte{&b.Timestamp, &b.Snapshot, &b.Targets, &b.Revocations, &b.Pushed, &b.Policy, &b.CA}
	for i := range b.Roots {
		all = append(all, &b.Roots[i])
	}
	return all
}

// No pushed bytes revoke what no revoker revoked, and none take a revocation back.
func FuzzPush(f *testing.F) {
	older, newer, pushes := fuzzed(f)
	known := older.open()
	more, err := known.Push(pushes[0])
	must(f, err)
	for _, b := range pushes {
		f.Add(b)
		f.Add(bytes.Replace(b, []byte("hook/a"), []byte("hook/c"), 1))
		f.Add(bytes.Replace(b, []byte(`"version":2`), []byte(`"version":9`), 1))
	}
	f.Add(older.bundle.Targets)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, from := range []*trust.Trusted{known, more} {
			got, err := from.Push(b)
			if err != nil {
				continue
			}
			signedOnly(t, got, older, newer)
			if got.Revoked().Len() < from.Revoked().Len() || got.RevocationsVersion() < from.RevocationsVersion() {
				t.Fatal("a push took something back")
			}
		}
	})
}
