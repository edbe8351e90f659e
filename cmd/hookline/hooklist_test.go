package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/internal/api"
)

// What does not count, and what is refused, is told with its reason; where
// nobody's signature counts there is no number.
func TestVersionsTellWhatDoesNotCount(t *testing.T) {
	version := api.Version{
		Hook: "answer", Number: 2, Digest: strings.Repeat("ab", 32), State: "revoked", SubmittedBy: "ada",
		SubmittedAt: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC),
	}
	for _, tc := range []struct {
		name   string
		change func(*api.Version)
		golden string
	}{
		{"counts", func(v *api.Version) { v.State, v.Author, v.Approvals, v.Needed = "approved", "alice", 2, 2 }, "version-counts"},
		{"the hook is revoked", func(v *api.Version) {
			v.Refusal = &api.Refusal{Code: "revoked", Reason: "cannot accept the hook: dave revoked it: leaks"}
		}, "version-revoked"},
		{"a key is revoked", func(v *api.Version) {
			v.Author, v.Approvals, v.Needed = "alice", 1, 2
			v.Void = []api.VoidSignature{{Person: "bob", KeyID: strings.Repeat("cd", 32), Code: "revoked", Reason: "dave revoked the key: stolen\x1b[2J"}}
			v.Refusal = &api.Refusal{Code: "threshold-not-met", Reason: "cannot accept the hook: 1 of 2 reviewers have signed"}
		}, "version-void"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := version
			tc.change(&v)
			out, err := os.Create(filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			a := &app{out: out}
			a.versions([]api.Version{v})
			a.life(v)
			got, err := os.ReadFile(out.Name())
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", tc.golden+".golden")
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v; it would be\n%s", err, got)
			}
			if string(got) != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
