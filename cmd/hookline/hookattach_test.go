package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh/agent"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/sshtest"
	"hookline/signing"
)

// cosign is the real program, run offline in the stage's folder; without it
// nothing here is proven, so its absence is a failure.
func (s *stage) cosign(args ...string) (string, error) {
	s.t.Helper()
	binary := os.Getenv("HOOKLINE_COSIGN")
	if binary == "" {
		binary, _ = filepath.Abs("../../.bin/cosign")
	}
	if _, err := os.Stat(binary); err != nil {
		if binary, err = exec.LookPath("cosign"); err != nil {
			s.t.Fatal("cannot find cosign; run: make tools (or set HOOKLINE_COSIGN)")
		}
	}
	cmd := exec.CommandContext(s.t.Context(), binary, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "COSIGN_PASSWORD=" + cmp.Or(s.passphrase, "x"), "HTTPS_PROXY=http://127.0.0.1:9"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *stage) mustCosign(args ...string) string {
	s.t.Helper()
	out, err := s.cosign(args...)
	if err != nil {
		s.t.Fatalf("cosign %v: %v\n%s", args, err, out)
	}
	return out
}

func (s *stage) prepareCosign() {
	s.t.Helper()
	if v := regexp.MustCompile(`GitVersion:\s*(\S+)`).FindStringSubmatch(s.mustCosign("version")); v != nil {
		s.t.Logf("cosign %s", v[1])
	}
	s.mustCosign("signing-config", "create", "--out", "sc.json")
	s.mustCosign("trusted-root", "create", "--out", "tr.json")
}

func (s *stage) attest(key, statement, bundle string) {
	s.t.Helper()
	s.mustCosign("attest-blob", "--yes", "--signing-config", "sc.json", "--trusted-root", "tr.json",
		"--key", key, "--statement", statement, "--bundle", bundle)
}

// accepts reports whether cosign verifies a signature file over a script.
func (s *stage) accepts(pub, bundle string, script []byte) (string, error) {
	s.must(os.WriteFile(s.path("signed.lua"), script, 0o600))
	return s.cosign("verify-blob-attestation", "--trusted-root", "tr.json", "--insecure-ignore-tlog",
		"--key", pub, "--bundle", bundle, "--type", hooks.PredicateType, "signed.lua")
}

// folder makes a hook's folder while the shelf goes on serving.
func (h *shelf) folder() string {
	serve := h.thief.answer
	h.serveJob(crash())
	dir := h.initFolder()
	h.thief.answer = serve
	return dir
}

// last is the version that the shelf was given last.
func (h *shelf) last() api.Version {
	h.t.Helper()
	if len(h.versions) == 0 {
		h.t.Fatal("nothing was submitted")
	}
	return h.versions[len(h.versions)-1]
}

// A hook whose people have cosign alone goes all the way, and what they sign
// with hookline cosign accepts: with the same keys.
func TestCosignBothWays(t *testing.T) {
	h := newShelf(t)
	h.prepareCosign()
	dir := h.folder()

	h.want(0, "answer@1", "hook", "statement", dir, "--author", h.path("alice.pub"), "--out", h.path("statement.json"))
	h.attest("alice.key", "statement.json", "alice.sigstore.json")
	h.want(0, "submitted", "hook", "submit", dir, "--no-lint", "--statement", h.path("statement.json"), "--signature", h.path("alice.sigstore.json"))
	v := h.last()
	h.want(1, "threshold-not-met", "verify", v.Digest)

	h.want(0, v.Digest, "hook", "statement", "answer@1", "--out", h.path("again.json"))
	wrote, err := os.ReadFile(h.path("again.json"))
	h.must(err)
	if !bytes.Equal(wrote, v.Statement) {
		t.Error("the statement is not the one that was submitted")
	}
	h.attest("bob.key", "again.json", "bob.sigstore.json")
	h.want(0, "signature of bob, uploaded by alice", "hook", "attach", v.Digest, h.path("bob.sigstore.json"))
	h.want(0, "1 of 1 reviewers: bob", "verify", v.Digest)
	for _, command := range []string{"hook", "review"} {
		h.want(0, "signature of bob, uploaded by alice", command, "show", v.Digest)
	}
	h.want(1, "has signed this version already", "hook", "attach", v.Digest, h.path("bob.sigstore.json"))

	// The same people with hookline: cosign accepts each.
	h.want(0, "answer@2", "hook", "submit", dir, "--no-lint", "--key", h.path("alice.key"))
	v = h.last()
	h.want(0, v.Digest, "review", "approve", v.Digest, "--key", h.path("bob.key"), "--yes")
	h.want(0, "VERIFIED", "verify", v.Digest)
	for i, name := range []string{"alice", "bob"} {
		h.must(os.WriteFile(h.path("ours.json"), h.last().Signatures[i], 0o600))
		if out, err := h.accepts(name+".pub", "ours.json", v.Script); err != nil {
			t.Errorf("cosign refuses %s's signature: %v\n%s", name, err, out)
		}
		if _, err := h.accepts(name+".pub", "ours.json", append(v.Script, ' ')); err == nil {
			t.Errorf("cosign accepts %s's signature for another script", name)
		}
	}
	// Keys that cosign made, in hookline.
	h.mustCosign("generate-key-pair", "--output-key-prefix", "carol")
	h.want(0, "ECDSA P-256", "key", "show", h.path("carol.key"))
}

// What would count for nothing is not uploaded.
func TestAttachRefuses(t *testing.T) {
	h := newShelf(t)
	v := h.put("submitted", hookScript, nil)
	other := h.put("submitted", hookScript, func(p *hooks.Predicate) { p.Version = 3 })
	stranger, err := newTestKey()
	h.must(err)
	sign := func(name string, statement []byte, k testKey) string {
		file, err := k.signer.Sign(statement)
		h.must(err)
		h.must(os.WriteFile(h.path(name), file, 0o600))
		return h.path(name)
	}
	h.must(os.WriteFile(h.path("junk"), []byte("{}"), 0o600))
	for _, tt := range []struct {
		code int
		text string
		file string
	}{
		{4, "is the author of this version", sign("a", v.Statement, testKeys()["alice"])},
		{4, "is not in the policy", sign("b", v.Statement, stranger)},
		{1, "signs another statement", sign("c", other.Statement, testKeys()["bob"])},
		{1, "signature-malformed", h.path("junk")},
		{3, "cannot read", h.path("nowhere")},
	} {
		h.want(tt.code, tt.text, "hook", "attach", v.Digest, tt.file)
	}
	h.revoke(signing.Revocation{Kind: signing.RevokeApproval, Value: signing.ApprovalValue(v.Digest, bob().Public().ID), Reason: "mistaken"})
	h.want(4, "alice revoked the approval", "hook", "attach", v.Digest, sign("d", v.Statement, testKeys()["bob"]))
	if h.thief.got != nil {
		t.Errorf("something was sent: %s", h.thief.got)
	}
}

// What an author signed elsewhere is held against the folder before it leaves.
func TestSubmitOfWhatWasSignedElsewhere(t *testing.T) {
	h := newShelf(t)
	dir := h.folder()
	h.want(0, "", "hook", "statement", dir, "--author", h.path("alice.pub"), "--out", h.path("st.json"))
	h.want(1, "nothing is overwritten", "hook", "statement", dir, "--author", h.path("alice.pub"), "--out", h.path("st.json"))
	st, err := os.ReadFile(h.path("st.json"))
	h.must(err)
	_, out := h.hookline("hook", "statement", dir, "--author", h.path("alice.pub"))
	if i := strings.Index(out, `{"_type"`); i < 0 || out[len(out)-1] != '}' {
		t.Errorf("standard output does not end with the statement: %.200q", out)
	}
	h.want(2, "--author", "hook", "statement", dir)
	submit := func(code int, text string, statement []byte, k testKey) {
		t.Helper()
		file, err := k.signer.Sign(st)
		h.must(err)
		h.must(os.WriteFile(h.path("sent.json"), statement, 0o600))
		h.must(os.WriteFile(h.path("sig.json"), file, 0o600))
		h.want(code, text, "hook", "submit", dir, "--no-lint", "--statement", h.path("sent.json"), "--signature", h.path("sig.json"))
	}
	submit(4, "author-signature-missing", st, testKeys()["bob"])
	submit(1, "statement-malformed", append(bytes.Clone(st), '\n'), testKeys()["alice"])
	submit(1, "signs another statement", h.statementOf(string(must(os.ReadFile(filepath.Join(dir, hooks.ScriptName)))), nil), testKeys()["alice"])
	h.want(2, "", "hook", "submit", dir, "--signature", h.path("sig.json"))
	h.want(2, "", "hook", "submit", dir, "--key", h.path("alice.key"), "--signature", h.path("sig.json"), "--statement", h.path("st.json"))
	h.want(2, "", "hook", "submit", dir)
	if len(h.versions) > 0 {
		t.Error("something was sent")
	}
	submit(0, "submitted", st, testKeys()["alice"])
	h.must(os.WriteFile(filepath.Join(dir, hooks.ScriptName), []byte("-- changed since\n"), 0o600))
	submit(4, "script-digest-mismatch", st, testKeys()["alice"])
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// sshAgent starts OpenSSH's agent, or serves the one of golang.org/x/crypto
// where that is not installed, and gives its socket to the stage.
func (s *stage) sshAgent() {
	s.t.Helper()
	socket := sshtest.Socket(s.t)
	s.env["SSH_AUTH_SOCK"] = socket
	if sshtest.Agent(s.t, socket) {
		return
	}
	l, err := net.Listen("unix", socket)
	s.must(err)
	s.t.Cleanup(func() { _ = l.Close() })
	ring := agent.NewKeyring()
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() { _ = agent.ServeAgent(ring, conn) }()
		}
	}()
}

// addToAgent makes a key with ssh-keygen and gives it to the agent.
func (s *stage) addToAgent(name string, flags ...string) {
	s.t.Helper()
	file := s.path(name + ".ssh")
	for _, args := range [][]string{append([]string{"ssh-keygen", "-q", "-N", "", "-C", name + "@laptop", "-f", file}, flags...), {"ssh-add", "-q", file}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+s.env["SSH_AUTH_SOCK"])
		if out, err := cmd.CombinedOutput(); err != nil {
			s.t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}

// Two people with keys in an ssh-agent, one Ed25519 and one P-256, from the
// policy to a version that counts and that cosign verifies.
func TestKeysInTheAgent(t *testing.T) {
	h := newShelf(t)
	h.want(5, "SSH_AUTH_SOCK is not set", "key", "list-agent")
	h.sshAgent()
	h.want(3, "it holds none, or is locked", "key", "list-agent")
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	h.addToAgent("alice", "-t", "ed25519")
	h.addToAgent("bob", "-t", "ecdsa", "-b", "256")
	h.addToAgent("old", "-t", "rsa", "-b", "2048")
	_, out := h.hookline("key", "list-agent", "-o", "json")
	var listed []agentKey
	h.must(json.Unmarshal([]byte(out), &listed))
	if len(listed) != 3 || listed[0].KeyID == "" || listed[2].Refused == "" {
		t.Errorf("listed %+v", listed)
	}
	h.want(0, "not usable: old@laptop SHA256:", "key", "list-agent")
	h.want(1, "keys of kind ssh-rsa cannot sign hooks", "key", "show", "agent:old@laptop")
	h.want(3, "has no key", "key", "show", "agent:nobody")

	p, err := signing.ParsePolicy(h.thief.info.Policy)
	h.must(err)
	for i, person := range p.Persons {
		code, pub := h.hookline("key", "show", "--public", "agent:"+person.Name+"@laptop")
		if code != 0 {
			t.Fatal(pub)
		}
		h.must(os.WriteFile(h.path(person.Name+"2.pub"), []byte(pub), 0o600))
		key, err := signing.ParsePublicKey([]byte(pub))
		h.must(err)
		p.Persons[i].Keys = append(p.Persons[i].Keys, key)
	}
	h.setPolicy(p.YAML(), p.Deployment)
	h.must(os.RemoveAll(h.path(".config")))
	h.want(0, "signed in", "login", "--server", h.url, "--token-file", h.path("token"))

	dir := h.folder()
	h.want(0, "submitted", "hook", "submit", dir, "--no-lint", "--key", "agent:alice@laptop")
	v := h.last()
	h.want(0, v.Digest, "review", "approve", v.Digest, "--yes", "--key", "agent:"+short(listed[1].KeyID))
	h.want(0, "1 of 1 reviewers: bob", "verify", v.Digest)
	h.prepareCosign()
	for i, name := range []string{"alice", "bob"} {
		h.must(os.WriteFile(h.path("ours.json"), h.last().Signatures[i], 0o600))
		if out, err := h.accepts(name+"2.pub", "ours.json", v.Script); err != nil {
			t.Errorf("cosign refuses %s's signature out of the agent: %v\n%s", name, err, out)
		}
	}
}

// Several keys open with one passphrase, each its own key.
func TestOpenSigners(t *testing.T) {
	s := newStage(t)
	a := newApp(func(name string) (string, bool) { v, ok := s.env[name]; return v, ok }, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
	s.must(os.WriteFile(s.path("pass"), []byte("x\n"), 0o600))
	refs := []string{s.path("alice.key"), s.path("bob.key")}
	for _, file := range []string{"", s.path("pass")} {
		keys, err := a.openSigners(refs, file)
		s.must(err)
		if keys[0].Public().ID != s.alice.Public().ID || keys[1].Public().ID != bob().Public().ID {
			t.Errorf("other keys with %q", file)
		}
		delete(s.env, "HOOKLINE_PASSPHRASE")
	}
	if _, err := a.openSigners(refs, ""); err == nil || !strings.Contains(err.Error(), "not a terminal") {
		t.Errorf("without a passphrase: %v", err)
	}
	// What was typed for one key is tried for the next.
	o := opener{app: a, typed: [][]byte{[]byte("wrong"), []byte("x")}}
	if k, err := o.open(refs[1]); err != nil || k.Public().ID != bob().Public().ID {
		t.Errorf("a passphrase that was typed: %v", err)
	}
}
