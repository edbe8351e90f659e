package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hookline/internal/api"
	"hookline/internal/onebox"
)

// A team of which alice and bob have cosign alone, with the real server: what
// they sign counts, the server keeps who uploaded it, and cosign accepts what
// carol signs with hookline.
func TestCosignWithTheRealServer(t *testing.T) {
	examples, err := filepath.Abs("../../examples/hooks/kernel-taint")
	if err != nil {
		t.Fatal(err)
	}
	d, err := onebox.New(t.TempDir(), onebox.Binaries(builtForTests(t)))
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
	for _, user := range []string{"alice", "carol"} {
		hookline(user, "login", "--dir", d.Offline())
	}
	s := &stage{t: t, dir: d.Dir, passphrase: d.Passphrase}
	s.prepareCosign()

	hookline("alice", "hook", "statement", examples, "--author", d.Path("alice.pub"), "--out", d.Path("statement.json"))
	s.attest("alice.key", "statement.json", "alice.sigstore.json")
	hookline("alice", "hook", "submit", examples, "--statement", d.Path("statement.json"), "--signature", d.Path("alice.sigstore.json"))
	hookline("carol", "hook", "statement", "kernel-taint@1", "--out", d.Path("again.json"))
	s.attest("bob.key", "again.json", "bob.sigstore.json")
	digest := strings.TrimSpace(hookline("carol", "hook", "digest", "kernel-taint@1"))
	if out := hookline("carol", "hook", "attach", digest, d.Path("bob.sigstore.json")); !strings.Contains(out, "signature of bob, uploaded by carol") {
		t.Errorf("attach: %s", out)
	}
	hookline("carol", "review", "approve", digest, "--key", d.Path("carol.key"), "--yes")
	if out := hookline("alice", "verify", digest); !strings.Contains(out, "2 of 2 reviewers: bob, carol") || !strings.Contains(out, "VERIFIED") {
		t.Errorf("verify: %s", out)
	}
	var v api.Version
	if err := d.JSON(t.Context(), "alice", &v, "hook", "show", digest); err != nil || v.State != "approved" || len(v.Signatures) != 3 {
		t.Fatalf("%s with %d signatures, %v", v.State, len(v.Signatures), err)
	}
	for i, name := range []string{"alice", "bob", "carol"} {
		s.must(os.WriteFile(d.Path("one.json"), v.Signatures[i], 0o600))
		if out, err := s.accepts(name+".pub", "one.json", v.Script); err != nil {
			t.Errorf("cosign refuses %s's signature: %v\n%s", name, err, out)
		}
	}
	if out := hookline("alice", "hook", "submit", examples, "--key", d.Path("alice.key")); !strings.Contains(out, "difference to kernel-taint@1, the last approved version (verified on this machine: author alice, 2 of 2 reviewers: bob, carol)") {
		t.Errorf("the next version: %s", out)
	}
}
