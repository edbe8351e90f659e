package main

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hookline/internal/api"
	"hookline/internal/onebox"
)

// Bob signs on his page what the real server then counts.
func TestReviewPageWithTheRealServer(t *testing.T) {
	examples, err := filepath.Abs("../../examples/hooks/kernel-taint")
	if err != nil {
		t.Fatal(err)
	}
	bin := builtForTests(t)
	d, err := onebox.New(t.TempDir(), onebox.Binaries(bin))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Stop() })
	if err := d.Found(t.Context(), onebox.Team()); err != nil {
		t.Fatal(err)
	}
	hookline := func(user string, args ...string) string {
		t.Helper()
		out, err := d.Hookline(t.Context(), user, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	env := func(user string) map[string]string {
		hookline(user, "login", "--dir", d.Offline())
		return map[string]string{
			"HOME": d.Dir, "XDG_CONFIG_HOME": d.Path("config", user), "HOOKLINE_PASSPHRASE": d.Passphrase,
			"HOOKLINE_SANDBOX": filepath.Join(bin, "hookline-sandbox"),
		}
	}
	hookline("alice", "hook", "submit", examples, "--key", d.Path("alice.key"))
	digest := strings.TrimSpace(hookline("alice", "hook", "digest", "kernel-taint@1"))
	own := opened(t, env("alice"), "kernel-taint@1", "--key", d.Path("alice.key"))
	own.sign(digest).want(t, 403, "alice is the author of this version")
	for i, user := range []string{"bob", "carol"} {
		r := opened(t, env(user), "--key", d.Path(user+".key"))
		r.do(http.MethodGet, r.home, nil, nil).want(t, 200, "kernel-taint@1")
		r.read(digest).want(t, 200, "Sign with this key", "No earlier version was approved")
		r.sign(digest).want(t, 200, "The signature of "+user+" was uploaded and came back", []string{"1 of 2 reviewers", "2 of 2 reviewers: enough"}[i])
	}
	var v api.Version
	if err := d.JSON(t.Context(), "alice", &v, "hook", "show", digest); err != nil || v.State != "approved" || len(v.Signatures) != 3 {
		t.Errorf("%s with %d signatures, %v", v.State, len(v.Signatures), err)
	}
	if !slices.ContainsFunc(v.Reviews, func(r api.Review) bool { return r.Person == "carol" && r.Comment == "read it" }) {
		t.Errorf("reviews %+v", v.Reviews)
	}
}
