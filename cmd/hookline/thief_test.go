package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/cli"
	"hookline/internal/enroll"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust/keeper"
)

// thief is a server in a thief's hands: it answers what it likes, and keeps
// what it is given.
type thief struct {
	info     api.Info
	trust    []byte // the encoded bundle
	version  api.Version
	askedFor string
	got      []byte // body of the last POST
	answer   func(w http.ResponseWriter, r *http.Request) bool
}

func (th *thief) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	th.askedFor = r.URL.Path
	if r.Method == http.MethodPost {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		th.got = b.Bytes()
	}
	if th.answer != nil && th.answer(w, r) {
		return
	}
	var out any
	switch p := r.URL.Path; {
	case p == "/api/me":
		out = api.Me{User: "bob", Roles: []string{"reviewer"}}
	case p == "/api/info":
		out = th.info
	case p == "/api/trust":
		out = api.Trust{Bundle: th.trust}
	case strings.HasPrefix(p, "/api/hooks"):
		out = api.Page[api.Version]{Items: []api.Version{th.version}}
	default:
		out = th.version
	}
	_ = json.NewEncoder(w).Encode(out)
}

// stage is a policy of alice and bob, a version that alice signed, and a
// folder with bob's key and a saved login.
type stage struct {
	t          *testing.T
	dir        string
	thief      *thief
	url        string
	digest     string
	alice      *signer.Signer
	keeper     *keeper.Keeper
	founded    int
	env        map[string]string
	passphrase string // of the keys, for cosign; "x" where empty
}

type testKey struct {
	private []byte
	signer  *signer.Signer
}

// testKeys are made once and cheaply: opening a key is slow on purpose, and
// the race detector makes it ten times slower.
var testKeys = sync.OnceValue(func() map[string]testKey {
	keys := map[string]testKey{}
	for _, name := range []string{"alice", "bob"} {
		k, err := newTestKey()
		if err != nil {
			panic(err)
		}
		keys[name] = k
	}
	return keys
})

func newTestKey() (testKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return testKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return testKey{}, err
	}
	box, err := encrypted.EncryptWithCustomKDFParameters(der, []byte("x"), encrypted.Legacy)
	if err != nil {
		return testKey{}, err
	}
	s, err := signer.New(key)
	return testKey{pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: box}), s}, err
}

const hookScript = "report.set(\"A\", 1)\n"

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), thief: &thief{}}
	s.env = map[string]string{"HOME": s.dir, "HOOKLINE_PASSPHRASE": "x"}
	keys := map[string]*signer.Signer{}
	policy := signing.Policy{
		Deployment: "d-" + strings.Repeat("1", 32), Profile: signing.ProfileTeam, Reviewers: 1, MaxLifetime: signing.MaxLifetime,
	}
	for name, role := range map[string]signing.Role{"alice": signing.RoleAuthor, "bob": signing.RoleReviewer} {
		k := testKeys()[name]
		keys[name] = k.signer
		s.must(os.WriteFile(filepath.Join(s.dir, name+".key"), k.private, 0o600))
		s.must(os.WriteFile(filepath.Join(s.dir, name+".pub"), k.signer.Public().PEM(), 0o600))
		policy.Persons = append(policy.Persons, signing.Person{Name: name, Roles: []signing.Role{role}, Keys: []signing.PublicKey{keys[name].Public()}})
	}
	s.alice = keys["alice"]
	s.setPolicy(policy.YAML(), policy.Deployment)
	s.setVersion(s.statement(nil))
	server := httptest.NewServer(s.thief)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.must(os.WriteFile(filepath.Join(s.dir, "token"), []byte("hkl_x\n"), 0o600))
	if code, out := s.hookline("login", "--server", s.url, "--token-file", s.path("token")); code != 0 {
		t.Fatalf("login: %d %s", code, out)
	}
	return s
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// setPolicy founds the deployment, each time with a root of its own: alice and
// bob sign.
func (s *stage) setPolicy(b []byte, deployment string) {
	s.t.Helper()
	s.founded++
	earlier := time.Duration(s.founded) * time.Minute
	k, err := keeper.Init(s.t.TempDir(), keeper.Plan{Policy: b}, func() time.Time { return time.Now().Add(-earlier) })
	s.must(err)
	_, err = k.Sign(testKeys()["alice"].signer, testKeys()["bob"].signer)
	s.must(err)
	_, err = k.Freshen(testKeys()["alice"].signer, 0)
	s.must(err)
	s.keeper = k
	s.serveTrust()
	s.thief.info = api.Info{Deployment: deployment, Profile: "team", Policy: b, PolicyDigest: signing.PolicyDigest(b)}
}

// serveTrust lets the server show what the keeper has now.
func (s *stage) serveTrust() {
	s.t.Helper()
	bundle, err := s.keeper.Bundle()
	s.must(err)
	s.thief.trust, err = bundle.Encode()
	s.must(err)
}

func (s *stage) statement(change func(*hooks.Predicate)) []byte {
	s.t.Helper()
	p := hooks.Predicate{
		Deployment: "d-" + strings.Repeat("1", 32), Hook: "answer", Version: 4, Author: string(s.alice.Public().ID),
		Level: hooks.LevelPackage, Match: hooks.Match{Fingerprints: []string{}, Package: "nginx"},
		Capabilities: hooks.ReadingOnly("/proc/meminfo"), As: hooks.AsService,
		Fields:    []hooks.DeclaredField{{Name: "A", Type: hooks.TypeInt, Class: hooks.ClassTechnical, MaxBytes: 8}},
		NotBefore: time.Now().Unix(), NotAfter: time.Now().Add(time.Hour).Unix(),
		MaxReports: 3, MaxRunsPerPeer: 1, MaxPercent: 100, MaxBytes: 100, MaxResultBytes: 100, MaxRuntimeMS: 100,
	}
	if change != nil {
		change(&p)
	}
	b, err := hooks.Statement{
		Type: hooks.StatementType, PredicateType: hooks.PredicateType, Predicate: p,
		Subject: []hooks.Subject{{Name: hooks.ScriptName, Digest: hooks.SubjectDigest{SHA256: hooks.Digest([]byte(hookScript))}}},
	}.Canonical()
	s.must(err)
	return b
}

func (s *stage) setVersion(statement []byte) {
	s.t.Helper()
	file, err := s.alice.Sign(statement)
	s.must(err)
	s.digest = hooks.Digest(statement)
	s.thief.version = api.Version{
		Digest: s.digest, Hook: "answer", Number: 4, State: "submitted", SubmittedBy: "alice", Author: "alice", Needed: 1,
		Script: []byte(hookScript), Statement: statement, Signatures: [][]byte{file},
	}
}

// hookline runs the program and returns its exit code and both outputs.
func (s *stage) hookline(args ...string) (int, string) {
	s.t.Helper()
	var out bytes.Buffer
	env := func(name string) (string, bool) { v, ok := s.env[name]; return v, ok }
	code := run(context.Background(), args, env, strings.NewReader(""), &out, &out)
	return code, out.String()
}

func (s *stage) want(code int, text string, args ...string) {
	s.t.Helper()
	got, out := s.hookline(args...)
	if got != code || !strings.Contains(out, text) {
		s.t.Errorf("hookline %v: exit code %d, want %d with %q\n%s", args, got, code, text, out)
	}
}

func TestApprove(t *testing.T) {
	s := newStage(t)
	s.want(0, "sha256:"+hooks.Digest([]byte(hookScript)), "review", "show", s.digest)
	for _, ref := range []string{s.digest[:8], strings.ToUpper(s.digest[:12])} {
		s.want(0, s.digest, "review", "show", ref)
	}
	for _, ref := range []string{s.digest, strings.ToUpper(s.digest)} {
		s.thief.got = nil
		s.want(0, "you sign this statement", "review", "approve", ref, "--key", s.path("bob.key"), "--yes")
		var sent api.NewReview
		s.must(json.Unmarshal(s.thief.got, &sent))
		p, err := signing.ParsePolicy(s.thief.info.Policy)
		s.must(err)
		v, err := (signing.Rules{Policy: p, Now: time.Now()}).Verify([]byte(hookScript), s.thief.version.Statement, [][]byte{s.thief.version.Signatures[0], sent.Signature})
		if err != nil || v.Standing().Reviewers[0].Person != "bob" {
			t.Errorf("%s: what was sent does not verify: %v", ref, err)
		}
		if bytes.Contains(s.thief.got, []byte("PRIVATE")) {
			t.Error("a private key left this machine")
		}
	}
}

// A server that lies gets no signature, and the reviewer sees why.
func TestThiefGetsNoSignature(t *testing.T) {
	tests := []struct {
		name string
		lie  func(s *stage)
		ref  string // "" is the true digest
		code int
		text string
	}{
		{"another script", func(s *stage) { s.thief.version.Script = []byte(hookScript + " ") }, "", 4, "script-digest-mismatch"},
		{"another statement under the same digest", func(s *stage) {
			digest := s.digest
			s.setVersion(s.statement(func(p *hooks.Predicate) { p.MaxReports = 99 }))
			s.digest, s.thief.version.Digest = digest, digest
		}, "", 1, "another statement"},
		{"a window in a year", func(s *stage) {
			s.setVersion(s.statement(func(p *hooks.Predicate) { p.NotBefore += 31e6; p.NotAfter += 31e6 }))
		}, "", 4, "not-yet-valid"},
		{"a number that can mean another one", func(*stage) {}, "answer@4", 2, "the whole digest"},
		{"another deployment", func(s *stage) {
			s.setVersion(s.statement(func(p *hooks.Predicate) { p.Deployment = "d-" + strings.Repeat("2", 32) }))
		}, "", 4, "wrong-deployment"},
		{"a policy of the thief", func(s *stage) {
			s.setPolicy(append(bytes.Clone(s.thief.info.Policy), "# mine\n"...), s.thief.info.Deployment)
		}, "", 4, "[trust-root-mismatch]"},
		{"the author's signature is missing", func(s *stage) { s.thief.version.Signatures = nil }, "", 4, "author-signature-missing"},
		{"the author's signature is over something else", func(s *stage) {
			old := s.thief.version.Signatures
			s.setVersion(s.statement(func(p *hooks.Predicate) { p.MaxReports = 99 }))
			s.thief.version.Signatures = old
		}, "", 1, "signature-invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			tt.lie(s)
			ref := tt.ref
			if ref == "" {
				ref = s.digest
			}
			s.thief.got = nil
			s.want(tt.code, tt.text, "review", "approve", ref, "--key", s.path("bob.key"), "--yes")
			if s.thief.got != nil {
				t.Errorf("something was sent: %s", s.thief.got)
			}
		})
	}
}

// A reviewer who reads the answer as JSON reads what the statement says, not
// what the server says beside it.
func TestShownIsWhatIsSigned(t *testing.T) {
	s := newStage(t)
	lie := hooks.Predicate{Hook: "harmless", As: hooks.AsService, Capabilities: hooks.ReadingOnly()}
	s.setVersion(s.statement(func(p *hooks.Predicate) { p.As = hooks.AsRoot }))
	s.thief.version.Predicate, s.thief.version.Hook, s.thief.version.Number = &lie, lie.Hook, 9
	for _, args := range [][]string{{"review", "show"}, {"hook", "show"}} {
		_, out := s.hookline(append(args, s.digest, "-o", "json")...)
		var v api.Version
		s.must(json.Unmarshal([]byte(out), &v))
		if v.Hook != "answer" || v.Number != 4 || v.Digest != s.digest || v.Predicate == nil || v.Predicate.As != hooks.AsRoot {
			t.Errorf("%v shows %s", args, out)
		}
	}
}

// What is signed was shown by the same command: between "review show" and
// "review approve" a server can change what hook@number means.
func TestApproveShowsTheScript(t *testing.T) {
	s := newStage(t)
	for _, format := range []string{"table", "json"} {
		_, out := s.hookline("review", "approve", s.digest, "--key", s.path("bob.key"), "--yes", "-o", format)
		for _, want := range []string{"   1  report.set(\"A\", 1)", "author:  alice", s.digest} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", format, want, out)
			}
		}
	}
}

// Without a login there is nothing to hold the server's policy against, and
// the person hears it.
func TestUnpinnedPolicyIsSaid(t *testing.T) {
	s := newStage(t)
	const warning = "is the word of"
	args := []string{"review", "approve", s.digest, "--key", s.path("bob.key"), "--yes"}
	if _, out := s.hookline(args...); strings.Contains(out, warning) {
		t.Errorf("after a login: %s", out)
	}
	s.env["HOME"] = s.path("nobody")
	s.env["HOOKLINE_SERVER"], s.env["HOOKLINE_TOKEN"] = s.url, "hkl_x"
	s.want(0, warning, args...)
	s.must(os.WriteFile(s.path("policy.yaml"), s.thief.info.Policy, 0o600))
	s.want(0, s.digest, append(args, "--policy", s.path("policy.yaml"))...)
	s.must(os.WriteFile(s.path("policy.yaml"), append(s.thief.info.Policy, "# mine\n"...), 0o600))
	s.want(1, "policy-digest-mismatch", append(args, "--policy", s.path("policy.yaml"))...)
}

func TestApproveIsRefusedBeforeItIsSigned(t *testing.T) {
	s := newStage(t)
	s.want(4, "is the author", "review", "approve", s.digest, "--key", s.path("alice.key"), "--yes")
	s.want(2, "use --yes", "review", "approve", s.digest, "--key", s.path("bob.key"))
	s.want(3, "nowhere", "review", "approve", s.digest, "--key", s.path("bob.key"), "--policy", s.path("nowhere"))
	if s.thief.got != nil {
		t.Errorf("something was sent: %s", s.thief.got)
	}
}

// What a server or a peer puts into data cannot move the terminal's cursor or
// turn text around, in any output form.
func TestTerminalControlsAreEscaped(t *testing.T) {
	s := newStage(t)
	evil := "a\x1b[2J\u202egnp.\u0085\u2066\x7f\U000e0041\r"
	s.thief.version.SubmittedBy = evil
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/api/jobs/") {
			_ = json.NewEncoder(w).Encode(api.Job{ID: evil, Workload: api.Workload{Type: "report", Report: hooks.Report{"A": evil + "\nB: " + evil}}})
			return true
		}
		if r.URL.Path == "/api/peers" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(api.Problem{Title: evil, Detail: evil, Hint: evil, Code: evil})
			return true
		}
		return false
	}
	for _, format := range []string{"table", "json", "yaml"} {
		for _, args := range [][]string{{"hook", "list"}, {"job", "show", "x"}, {"peer", "list"}, {"review", "show", s.digest}} {
			_, out := s.hookline(append(args, "--output", format)...)
			for _, r := range out {
				if cli.Dangerous(r) && r != '\n' {
					t.Errorf("hookline %v as %s prints %U", args, format, r)
				}
			}
			if !strings.Contains(out, "gnp.") {
				t.Errorf("hookline %v as %s lost the text: %s", args, format, out)
			}
		}
	}
}

func TestOutputIsReadable(t *testing.T) {
	s := newStage(t)
	_, out := s.hookline("hook", "list", "-o", "json")
	var page api.Page[api.Version]
	if err := json.Unmarshal([]byte(out), &page); err != nil || page.Items[0].Digest != s.digest {
		t.Errorf("json: %v\n%s", err, out)
	}
	s.want(0, "    hook: answer\n", "hook", "list", "-o", "yaml")
	s.thief.version.SubmittedBy = "no"
	s.want(0, "submitted_by: \"no\"\n", "hook", "list", "-o", "yaml")
	s.want(0, "answer@4", "hook", "list")
	s.want(0, "answer@4", "review", "list")
}

// The saved token goes to the saved server alone.
func TestTokenStaysWithItsServer(t *testing.T) {
	s := newStage(t)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("asked with %q", r.Header.Get("Authorization"))
	}))
	defer other.Close()
	s.want(4, "without a token", "job", "list", "--server", other.URL)
}

func TestLoginIsPrivate(t *testing.T) {
	s := newStage(t)
	info, err := os.Stat(filepath.Join(s.dir, ".config", "hookline", "config.yaml"))
	s.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestEnrollLine(t *testing.T) {
	s := newStage(t)
	if code, out := s.hookline("policy", "init", "--dir", s.path("offline"), "--profile", "solo", "--person", "alice="+s.path("alice.pub")+":author"); code != 0 {
		t.Fatal(out)
	}
	p, err := readPolicy(s.path("offline"))
	s.must(err)
	ca, err := enroll.LoadOrCreateCA(s.dir, p.Deployment, time.Now())
	s.must(err)
	policy, err := os.ReadFile(s.path("offline/policy.yaml"))
	s.must(err)
	k, err := keeper.Init(s.path("offline"), keeper.Plan{Policy: policy}, time.Now)
	s.must(err)
	_, err = k.Sign(s.alice)
	s.must(err)
	_, err = k.Freshen(s.alice, 0)
	s.must(err)
	anchor, err := k.Anchor()
	s.must(err)
	code, out := s.hookline("enroll-line", "--dir", s.path("offline"), "--ca", s.path("ca.crt"), "--address", "127.0.0.1:7443")
	if code != 0 {
		t.Fatal(out)
	}
	line, err := enroll.ParseLine(out)
	s.must(err)
	key, err := os.ReadFile(s.path("offline/setup.key"))
	s.must(err)
	want := enroll.Line{
		Address: "127.0.0.1:7443", Deployment: p.Deployment, RootDigest: anchor.RootDigest,
		CADigest: ca.Digest(), SetupKey: strings.TrimSpace(string(key)),
	}
	if line != want {
		t.Errorf("line %+v, want %+v", line, want)
	}
	hashes, err := os.ReadFile(s.path("offline/setup-keys.txt"))
	s.must(err)
	known, err := enroll.ParseHashes(hashes)
	if err != nil || !known.Match(line.SetupKey) {
		t.Errorf("the server's file does not hold the key's hash: %v", err)
	}
}
