package signing_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"hookline/signing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What is accepted has one meaning: apart from white space, other bytes are
// another file.
func FuzzParseFile(f *testing.F) {
	k := newTeam(f)
	for _, file := range sign(f, k.statement(f, nil), k.alice, k.carol) {
		f.Add(file)
		f.Add(append(slices.Clone(file), ' '))
		f.Add(bytes.Replace(file, []byte("sig"), []byte("Sig"), 1))
	}
	f.Add([]byte(`{"mediaType":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := signing.ParseFile(b)
		if err != nil {
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, b); err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := json.Unmarshal(b, &tree); err != nil || len(tree) != 3 {
			t.Fatalf("accepted %q: %v", b, err)
		}
		again, err := signing.ParseFile(compact.Bytes())
		if err != nil || again.Hint != got.Hint || !bytes.Equal(again.Sig, got.Sig) || !bytes.Equal(again.Payload, got.Payload) {
			t.Fatalf("compacted, %q means something else: %v", b, err)
		}
	})
}

// No change of a signature file makes a person count who did not sign.
func FuzzExamine(f *testing.F) {
	k := newTeam(f)
	p := k.load(f)
	st := k.statement(f, nil)
	files := sign(f, st, k.alice, k.bob)
	f.Add(files[1])
	f.Add(sign(f, st, k.mallory)[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, s, err := examine(p, []byte(script), st, [][]byte{files[0], b})
		if err != nil {
			return
		}
		for _, name := range reviewers(s) {
			if name != "bob" {
				t.Fatalf("%s counts, who never signed", name)
			}
		}
	})
}

// An accepted policy, written and read again, is the same policy.
func FuzzParsePolicy(f *testing.F) {
	k := newTeam(f)
	f.Add(k.policy.YAML())
	k.policy.Needs, k.policy.Forbidden = map[string]int{"raw.KernelLog": 2}, []string{"raw.Other"}
	k.policy.Persons[0].Windows = map[signing.KeyID]signing.Window{k.alice.Public().ID: {From: start, Until: start.AddDate(1, 0, 0)}}
	k.policy.Persons[2].Windows = map[signing.KeyID]signing.Window{k.carol.Public().ID: {Until: start}}
	f.Add(k.policy.YAML())
	f.Add([]byte("policy: 1\npersons:\n  - keys: [x]\n"))
	f.Add([]byte("policy: &a 1\nreviewers: *a\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := signing.ParsePolicy(b)
		if err != nil {
			return
		}
		again, err := signing.ParsePolicy(p.YAML())
		if err != nil || !bytes.Equal(again.YAML(), p.YAML()) {
			t.Fatalf("not stable: %v\n%s", err, p.YAML())
		}
		again.Digest = p.Digest
		if diff := cmp.Diff(p, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("another policy: %s", diff)
		}
		seen := map[signing.KeyID]bool{}
		for _, person := range p.Persons {
			for _, key := range person.Keys {
				if seen[key.ID] {
					t.Fatal("one key twice")
				}
				seen[key.ID] = true
			}
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(newSigner(f, "erin").Public().PEM())
	f.Add(newEd25519(f, "frank").Public().PEM())
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := signing.ParsePublicKey(b)
		if err != nil {
			return
		}
		again, err := signing.ParsePublicKey(k.PEM())
		if err != nil || again.ID != k.ID {
			t.Fatalf("not stable: %v", err)
		}
	})
}
