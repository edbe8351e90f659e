package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"hookline/internal/api"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"
)

// keeping is a server that keeps trust metadata as hooklined does, and can be
// told what else to do before it takes some.
type keeping struct {
	s      *stage
	t      *trust.Trusted
	before func() // once, before the next revocations
	pushes int
}

// founded is a stage with an offline folder of alice and bob, a server that
// keeps its metadata, and a login from the folder.
func founded(t *testing.T) (*stage, *keeping) {
	t.Helper()
	s := newStage(t)
	s.must(os.Mkdir(s.path("offline"), 0o700))
	s.must(os.WriteFile(s.path("offline/policy.yaml"), s.thief.info.Policy, 0o600))
	s.must(os.RemoveAll(s.path(".config")))
	s.want(0, "in force, root digest", "trust", "init", "--dir", s.path("offline"), "--key", s.path("alice.key"), "--key", s.path("bob.key"), "--yes")
	k := &keeping{s: s, t: s.folder()}
	s.thief.answer = k.serve
	s.want(0, k.t.Anchor().RootDigest, "login", "--server", s.url, "--token-file", s.path("token"), "--dir", s.path("offline"))
	return s, k
}

// folder is what the offline folder has in force.
func (s *stage) folder() *trust.Trusted {
	s.t.Helper()
	k, err := keeper.Open(s.path("offline"), time.Now)
	s.must(err)
	return k.Trusted()
}

func (k *keeping) serve(w http.ResponseWriter, r *http.Request) bool {
	var next *trust.Trusted
	var err error
	switch r.Method + " " + r.URL.Path {
	case "GET /api/trust":
		b, err := k.t.Bundle().Encode()
		k.s.must(err)
		_ = json.NewEncoder(w).Encode(api.Trust{Bundle: b})
		return true
	case "PUT /api/trust":
		var body api.NewTrust
		k.s.must(json.NewDecoder(r.Body).Decode(&body))
		var b trust.Bundle
		b, err = trust.ParseBundle(body.Bundle)
		k.s.must(err)
		next, err = k.t.Update(b)
	case "POST /api/revocations":
		if k.before != nil {
			k.before()
			k.before = nil
		}
		k.pushes++
		var body api.NewRevocations
		k.s.must(json.Unmarshal(k.s.thief.got, &body))
		next, err = k.t.Push(body.Metadata)
		if err == nil && next != k.t && !bytes.Equal(next.Bundle().Pushed, body.Metadata) {
			err = errs.New(errs.CodeTrustRollback, "others came first")
		}
	default:
		return false
	}
	if err != nil {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": errs.CodeOf(err), "detail": err.Error(), "title": err.Error(), "status": http.StatusForbidden})
		return true
	}
	changed := next != k.t
	k.t = next
	_ = json.NewEncoder(w).Encode(api.TrustChange{Changed: changed, RootDigest: next.Anchor().RootDigest, PolicyDigest: next.Policy().Digest, Revocations: next.Revoked().Len()})
	return true
}

// revokeElsewhere is another revoker, with a machine of their own.
func (k *keeping) revokeElsewhere(hook string) {
	k.s.t.Helper()
	_, next, err := keeper.NextRevocations(k.t, bob(), time.Now(), signing.Revocation{Kind: signing.RevokeHook, Value: hook})
	k.s.must(err)
	k.t = next
}

// strangers is the metadata of another deployment, with keys of its own.
func strangers(t *testing.T) []byte {
	t.Helper()
	key, err := newTestKey()
	if err != nil {
		t.Fatal(err)
	}
	policy := signing.Policy{
		Deployment: "d-" + strings.Repeat("2", 32), Profile: signing.ProfileSolo, MaxLifetime: signing.MaxLifetime,
		Persons: []signing.Person{{Name: "eve", Roles: []signing.Role{signing.RoleAuthor}, Keys: []signing.PublicKey{key.signer.Public()}}},
	}
	k, err := keeper.Init(t.TempDir(), keeper.Plan{Policy: policy.YAML()}, time.Now)
	if err == nil {
		_, err = k.Sign(key.signer)
	}
	if err == nil {
		_, err = k.Freshen(key.signer, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := k.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLoginRemembersARoot(t *testing.T) {
	s, k := founded(t)
	root := k.t.Anchor().RootDigest
	kept, err := os.ReadFile(s.path(".config/hookline/config.yaml"))
	if err != nil || !strings.Contains(string(kept), root) {
		t.Errorf("%s %v", kept, err)
	}
	info, err := os.Stat(s.path(".config/hookline/trust-" + k.t.Anchor().Deployment + ".json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	again := []string{"login", "--server", s.url, "--token-file", s.path("token")}
	s.want(0, root, again...)
	s.want(0, root, append(again, "--trust-root", root)...)
	s.want(2, "64 hexadecimal digits", append(again, "--trust-root", "12")...)
	s.want(2, "trust-root", append(again, "--trust-root", root, "--dir", s.path("offline"))...)
	s.want(4, "[trust-root-mismatch]", append(again, "--trust-root", strings.Repeat("0", 64))...)

	// Another deployment under the same address: a later login does not follow.
	s.thief.answer, s.thief.trust = nil, strangers(t)
	s.want(4, "[trust-root-mismatch]", again...)
	after, err := os.ReadFile(s.path(".config/hookline/config.yaml"))
	if err != nil || !bytes.Equal(kept, after) {
		t.Errorf("a refused login changed the configuration: %v", err)
	}
	// Whoever was told of the other root may go there.
	b, err := trust.ParseBundle(s.thief.trust)
	s.must(err)
	s.want(0, trust.Digest(b.Roots[0]), append(again, "--trust-root", trust.Digest(b.Roots[0]))...)
}

// The first root is believed once, and that is said.
func TestFirstUse(t *testing.T) {
	s, k := founded(t)
	old := k.t
	s.want(0, "published to", "trust", "freshen", "--dir", s.path("offline"), "--key", s.path("alice.key"), "--yes")
	s.must(os.RemoveAll(s.path(".config")))
	s.want(0, "believed this once", "login", "--server", s.url, "--token-file", s.path("token"))
	if _, out := s.hookline("login", "--server", s.url, "--token-file", s.path("token")); strings.Contains(out, "believed this once") {
		t.Errorf("said again: %s", out)
	}
	s.must(os.RemoveAll(s.path(".config")))
	s.want(0, "believed this once", "login", "--server", s.url, "--token-file", s.path("token"))
	k.t = old // what came with the first use is kept, too
	s.want(4, "[trust-rollback]", "login", "--server", s.url, "--token-file", s.path("token"))
}

// What a person has seen once cannot be hidden again.
func TestOlderMetadataIsRefused(t *testing.T) {
	s, k := founded(t)
	old := k.t
	s.want(0, "published to", "trust", "freshen", "--dir", s.path("offline"), "--key", s.path("alice.key"), "--yes")
	s.want(0, "", "login", "--server", s.url, "--token-file", s.path("token"))
	k.t = old
	s.want(4, "[trust-rollback]", "login", "--server", s.url, "--token-file", s.path("token"))
	s.want(4, "[trust-rollback]", "revoke", "hook", "h", "--reason", "x", "--key", s.path("bob.key"), "--yes")
	if k.pushes != 0 {
		t.Error("something was sent")
	}
}

// Nor by having the person sign in elsewhere in between.
func TestOlderMetadataIsRefusedAfterAnotherDeployment(t *testing.T) {
	s, k := founded(t)
	login := []string{"login", "--server", s.url, "--token-file", s.path("token"), "--dir"}
	old := k.t
	s.want(0, "published to", "trust", "freshen", "--dir", s.path("offline"), "--key", s.path("alice.key"), "--yes")
	s.want(0, "", append(login, s.path("offline"))...)
	s.must(os.Mkdir(s.path("elsewhere"), 0o700))
	policy := bytes.Replace(s.thief.info.Policy, []byte(old.Anchor().Deployment), []byte("d-"+strings.Repeat("e", 32)), 1)
	s.must(os.WriteFile(s.path("elsewhere/policy.yaml"), policy, 0o600))
	s.want(0, "in force", "trust", "init", "--dir", s.path("elsewhere"), "--key", s.path("alice.key"), "--key", s.path("bob.key"), "--yes")
	other, err := keeper.Open(s.path("elsewhere"), time.Now)
	s.must(err)
	k.t = other.Trusted()
	s.want(0, k.t.Anchor().RootDigest, append(login, s.path("elsewhere"))...)
	k.t = old
	s.want(4, "[trust-rollback]", append(login, s.path("offline"))...)
}

// A file that is no metadata any more is not taken for a first use.
func TestDamagedKeptTrust(t *testing.T) {
	s, k := founded(t)
	s.must(os.WriteFile(s.path(".config/hookline/trust-"+k.t.Anchor().Deployment+".json"), []byte("{}"), 0o600))
	s.want(1, "remove it and sign in again", "revoke", "hook", "h", "--reason", "x", "--key", s.path("bob.key"), "--yes")
}

func TestWithoutALoginThePersonIsTold(t *testing.T) {
	s, k := founded(t)
	s.must(os.RemoveAll(s.path(".config")))
	s.env["HOOKLINE_SERVER"], s.env["HOOKLINE_TOKEN"] = s.url, "hkl_x"
	s.want(0, "the word of "+s.url+" alone", "revoke", "hook", "h", "--reason", "x", "--key", s.path("bob.key"), "--yes")
	s.env["HOOKLINE_TRUST_ROOT"] = k.t.Anchor().RootDigest
	if _, out := s.hookline("revoke", "hook", "g", "--reason", "x", "--key", s.path("bob.key"), "--yes"); strings.Contains(out, "alone") {
		t.Errorf("told although a root is named: %s", out)
	}
	s.env["HOOKLINE_TRUST_ROOT"] = strings.Repeat("0", 64)
	s.want(4, "[trust-root-mismatch]", "revoke", "hook", "f", "--reason", "x", "--key", s.path("bob.key"), "--yes")
	if k.t.Revoked().Len() != 2 {
		t.Errorf("revoked %v", k.t.Revoked().List())
	}
}

func TestRevokeAtTheServer(t *testing.T) {
	s, k := founded(t)
	routes := s.thief.answer
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/hooks/misspelt/") {
			return routes != nil && routes(w, r)
		}
		_, _ = w.Write([]byte(`{"items":[]}`))
		return true
	}
	s.want(2, "the server has no hook of this name", "revoke", "hook", "misspelt", "--reason", "x", "--key", s.path("bob.key"))
	s.want(2, "use --yes", "revoke", "hook", "h", "--reason", "x", "--key", s.path("bob.key"))
	s.want(0, "revoked hook/h, by bob", "revoke", "hook", "h", "--reason", "x", "--key", s.path("bob.key"), "--yes")
	s.want(0, "hook/h is revoked already, by bob", "revoke", "hook", "h", "--reason", "y", "--key", s.path("bob.key"), "--yes")
	s.want(0, "revoked approval/"+s.digest+"/"+string(s.alice.Public().ID), "revoke", "approval", s.digest, s.path("alice.pub"), "--reason", "x", "--key", s.path("bob.key"), "--yes")
	s.want(0, "answer@4 has the digest "+s.digest, "revoke", "version", "answer@4", "--reason", "x", "--key", s.path("bob.key"), "--yes")
	if n, pushed := k.t.Revoked().Len(), k.t.RevocationsVersion(); n != 3 || pushed != 4 || k.pushes != 4 { // what is revoked already is sent again, as it is
		t.Errorf("%d revoked, version %d, %d pushes", n, pushed, k.pushes)
	}
	// The folder learns of it by the next freshen, which puts it under the snapshot.
	s.want(0, "newer", "trust", "show", "--dir", s.path("offline"))
	s.want(0, "revocations version 4, 3 revoked", "trust", "freshen", "--dir", s.path("offline"), "--key", s.path("alice.key"), "--yes")
	if b := k.t.Bundle(); len(b.Pushed) != 0 || s.folder().Revoked().Len() != 3 {
		t.Error("the server's revocations are not under its snapshot")
	}
	s.want(0, "the same", "trust", "show", "--dir", s.path("offline"))
}

// Somebody else revokes between fetching and sending: nothing of either is lost.
func TestTwoRevokersAtOnce(t *testing.T) {
	for name, where := range map[string][]string{"fetched": nil, "folder": {"--dir", "offline"}} {
		t.Run(name, func(t *testing.T) {
			s, k := founded(t)
			if where != nil {
				where = []string{"--dir", s.path("offline")}
			}
			k.before = func() { k.revokeElsewhere("theirs") }
			s.want(0, "revoked hook/mine", append([]string{"revoke", "hook", "mine", "--reason", "x", "--key", s.path("alice.key"), "--yes"}, where...)...)
			carried, err := keeper.Carried(k.t)
			s.must(err)
			if carried.Len() != 2 || k.t.RevocationsVersion() != 3 {
				t.Errorf("%v, version %d", carried.List(), k.t.RevocationsVersion())
			}
		})
	}
}

// A server that says yes and keeps nothing is found out.
func TestRevocationThatIsNotKept(t *testing.T) {
	s, k := founded(t)
	forgetful := s.thief.answer
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			_ = json.NewEncoder(w).Encode(api.TrustChange{Changed: true})
			return true
		}
		return forgetful(w, r)
	}
	if code, out := s.hookline("revoke", "hook", "h", "--reason", "x", "--key", s.path("bob.key"), "--yes"); code == 0 || strings.Contains(out, "revoked hook/h") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if k.t.Revoked().Len() != 0 {
		t.Error("it was kept")
	}
}

func TestPublishAndFreshen(t *testing.T) {
	s, k := founded(t)
	dir := []string{"--dir", s.path("offline")}
	with := func(command ...string) []string { return append(append([]string{"trust"}, command...), dir...) }
	s.want(0, "nothing new for", with("publish")...)
	s.want(0, "published to", with("freshen", "--key", s.path("bob.key"), "--yes", "--life", "14d")...)
	if left := k.t.Freshness(time.Now()); time.Until(left.Expires) < 13*24*time.Hour {
		t.Errorf("%+v", left)
	}
	s.want(0, "fresh until", with("freshen", "--key", s.path("bob.key"), "--yes", "--offline")...)
	s.want(0, "older", with("show")...)
	s.want(0, "published to", with("publish")...)
	if string(k.t.Bundle().Timestamp) != string(s.folder().Bundle().Timestamp) {
		t.Error("the server has another timestamp")
	}
	// A server of another deployment gets nothing, and teaches nothing.
	s.thief.trust = strangers(t)
	before, err := os.ReadFile(s.path("offline/trust.json"))
	s.must(err)
	s.thief.answer = nil
	if code, out := s.hookline(with("freshen", "--key", s.path("bob.key"), "--yes")...); code == 0 {
		t.Errorf("freshened from another deployment: %s", out)
	}
	s.want(0, "it has other metadata", with("show")...)
	after, err := os.ReadFile(s.path("offline/trust.json"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the folder changed: %v", err)
	}
	if _, err := os.Stat(s.path("offline/trust/others")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something of it was kept: %v", err)
	}
}

func TestPolicyDiffAtTheServer(t *testing.T) {
	s, k := founded(t)
	file, err := bob().Sign(s.thief.version.Statement)
	s.must(err)
	s.thief.version.Signatures = append(s.thief.version.Signatures, file)
	s.thief.version.State = "active"
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/api/hooks/answer/versions" && r.URL.Query().Get("below") != "" {
			_ = json.NewEncoder(w).Encode(api.Page[api.Version]{})
			return true
		}
		return k.serve(w, r)
	}
	policy := s.path("offline/policy.yaml")
	b, err := os.ReadFile(policy)
	s.must(err)
	write := func(name, from, to string) string {
		t.Helper()
		next := strings.Replace(string(b), from, to, 1)
		if next == string(b) {
			t.Fatalf("%q is not in the policy", from)
		}
		s.must(os.WriteFile(s.path(name), []byte(next), 0o600))
		return s.path(name)
	}
	s.want(0, "the one active version goes on counting", "policy", "diff", s.path("offline"), write("shorter.yaml", "max_lifetime: 14d", "max_lifetime: 2h"))
	s.want(1, "capability-forbidden", "policy", "diff", policy, write("forbids.yaml", "forbidden: []", "forbidden: [fs.read]"))
	s.want(1, "lifetime-too-long", "policy", "diff", policy, write("tiny.yaml", "max_lifetime: 14d", "max_lifetime: 1m"))
	s.want(1, "answer@4", "policy", "diff", policy, write("swapped.yaml", "roles: [reviewer]", "roles: [operator, reviewer]\n    windows: [{key: "+string(bob().Public().ID)+", until: \"2020-01-01T00:00:00Z\"}]"))
}
