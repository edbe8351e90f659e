package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
)

// shelf is a server that keeps what it is given and says of it what the test
// likes. Nothing that it says decides anything.
type shelf struct {
	*stage
	versions []api.Version // of the hook "answer", any order
	uploader string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	h := &shelf{stage: newStage(t), uploader: "alice"}
	h.thief.answer = h.serve
	return h
}

// put adds a version that alice wrote and the others approved.
func (h *shelf) put(state, script string, change func(*hooks.Predicate), reviewers ...*signer.Signer) api.Version {
	h.t.Helper()
	b := h.statementOf(script, change)
	st, err := hooks.ParseStatement(b)
	h.must(err)
	v := api.Version{
		Digest: hooks.Digest(b), Hook: st.Predicate.Hook, Number: st.Predicate.Version, State: state,
		SubmittedBy: "alice", Author: "alice", Needed: 1, Script: []byte(script), Statement: b,
	}
	for _, s := range append([]*signer.Signer{h.alice}, reviewers...) {
		file, err := s.Sign(b)
		h.must(err)
		v.Signatures = append(v.Signatures, file)
	}
	h.versions = append(h.versions, v)
	return v
}

func (s *stage) statementOf(script string, change func(*hooks.Predicate)) []byte {
	s.t.Helper()
	st, err := hooks.ParseStatement(s.statement(change))
	s.must(err)
	st.Subject[0].Digest.SHA256 = hooks.Digest([]byte(script))
	b, err := st.Canonical()
	s.must(err)
	return b
}

func (h *shelf) serve(w http.ResponseWriter, r *http.Request) bool {
	digest, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/versions/"), "/")
	i := slices.IndexFunc(h.versions, func(v api.Version) bool { return v.Digest == digest })
	switch {
	case r.URL.Path == "/api/hooks/answer/versions":
		h.list(w, r)
	case i >= 0 && rest == "":
		_ = json.NewEncoder(w).Encode(h.versions[i])
	case i >= 0 && rest == "reviews":
		var n api.NewReview
		h.must(json.Unmarshal(h.thief.got, &n))
		f, err := signing.ParseFile(n.Signature)
		h.must(err)
		v := &h.versions[i]
		v.Signatures = append(v.Signatures, n.Signature)
		v.Reviews = append(v.Reviews, api.Review{User: h.uploader, Person: "bob", KeyID: string(f.Hint), Verdict: n.Verdict})
		v.Approvals++
		_ = json.NewEncoder(w).Encode(v)
	case r.URL.Path == "/api/versions" && r.Method == http.MethodPost:
		var n api.NewVersion
		h.must(json.Unmarshal(h.thief.got, &n))
		st, err := hooks.ParseStatement(n.Statement)
		h.must(err)
		v := api.Version{Digest: hooks.Digest(n.Statement), Hook: st.Predicate.Hook, Number: st.Predicate.Version, State: "submitted", Script: n.Script, Statement: n.Statement, Signatures: [][]byte{n.Signature}, Needed: 1}
		h.versions = append(h.versions, v)
		_ = json.NewEncoder(w).Encode(v)
	default:
		return false
	}
	return true
}

func (h *shelf) list(w http.ResponseWriter, r *http.Request) {
	page := api.Page[api.Version]{Items: []api.Version{}}
	below, _ := strconv.ParseInt(r.URL.Query().Get("below"), 10, 64)
	for _, v := range h.versions {
		if below == 0 || v.Number < below {
			page.Items = append(page.Items, v)
		}
	}
	slices.SortFunc(page.Items, func(a, b api.Version) int { return int(b.Number - a.Number) })
	if limit, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil {
		page.Items = page.Items[:min(limit, len(page.Items))]
	}
	_ = json.NewEncoder(w).Encode(page)
}

func bob() *signer.Signer { return testKeys()["bob"].signer }

// revoke signs revocations with alice's key and lets the server show them.
func (s *stage) revoke(list ...signing.Revocation) {
	s.t.Helper()
	for i := range list {
		list[i].By, list[i].At = "alice", time.Now().UTC().Truncate(time.Second)
	}
	_, err := s.keeper.Revoke(s.alice, list...)
	s.must(err)
	s.serveTrust()
}

func (s *stage) verified(args ...string) verification {
	s.t.Helper()
	_, out := s.hookline(append([]string{"verify", "-o", "json"}, args...)...)
	var v verification
	if err := json.Unmarshal([]byte(out[max(0, strings.Index(out, "{")):]), &v); err != nil {
		s.t.Fatalf("verify %v: %v\n%s", args, err, out)
	}
	return v
}

// Whatever is wrong with a version is found by the check that is for it, and
// what comes after it was not looked at.
func TestVerifyOfAServersVersion(t *testing.T) {
	tests := []struct {
		name   string
		damage func(h *shelf, v *api.Version)
		check  string
		code   errs.Code
	}{
		{"nothing", nil, "", ""},
		{"another statement", func(h *shelf, v *api.Version) {
			v.Statement = h.statement(func(p *hooks.Predicate) { p.As = hooks.AsRoot })
		}, checkDigest, errs.CodeStatementMalformed},
		{"another script", func(_ *shelf, v *api.Version) { v.Script = []byte("x") }, signing.CheckScript, errs.CodeScriptDigest},
		{"no author", func(_ *shelf, v *api.Version) { v.Signatures = v.Signatures[1:] }, signing.CheckSignatures, errs.CodeAuthorMissing},
		{"a wrong signature", func(h *shelf, v *api.Version) {
			other, err := bob().Sign(h.statement(func(p *hooks.Predicate) { p.MaxReports = 99 }))
			h.must(err)
			v.Signatures[1] = other
		}, signing.CheckSignatures, errs.CodeSignatureInvalid},
		{"below the threshold", func(_ *shelf, v *api.Version) { v.Signatures = v.Signatures[:1] }, signing.CheckThreshold, errs.CodeThresholdNotMet},
		{"one file twice", func(_ *shelf, v *api.Version) { v.Signatures[1] = v.Signatures[0] }, signing.CheckThreshold, errs.CodeThresholdNotMet},
		{"a revoked version", func(h *shelf, v *api.Version) {
			h.revoke(signing.Revocation{Kind: signing.RevokeVersion, Value: v.Digest, Reason: "loud"})
		}, signing.CheckRevoked, errs.CodeRevoked},
		{"a revoked reviewer's key", func(h *shelf, _ *api.Version) {
			h.revoke(signing.Revocation{Kind: signing.RevokeKey, Value: string(bob().Public().ID), Reason: "lost"})
		}, signing.CheckThreshold, errs.CodeThresholdNotMet},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newShelf(t)
			digest := h.put("approved", hookScript, nil, bob()).Digest
			wantCode, wantText := 0, "VERIFIED"
			if tt.damage != nil {
				tt.damage(h, &h.versions[0])
				wantCode, wantText = 1, "REFUSED"
			}
			h.want(wantCode, wantText, "verify", digest)
			v := h.verified(digest)
			wantVerified(t, v, tt.check, tt.code)
		})
	}
	h := newShelf(t)
	h.put("approved", hookScript, nil, bob())
	h.versions[0].Number = 7
	h.want(1, "instead of answer@7", "verify", "answer@7")
	h.want(3, "no version", "verify", "answer@9")
	h.want(2, "neither", "verify", "nowhere")
}

func wantVerified(t *testing.T, v verification, check string, code errs.Code) {
	t.Helper()
	if v.Verified != (check == "") {
		t.Errorf("verified: %v", v.Verified)
	}
	want := signing.VerdictPassed
	for _, s := range v.Checks {
		if s.Name == check {
			if s.Verdict != signing.VerdictRefused || s.Code != code || s.Detail == "" {
				t.Errorf("%+v, want %s", s, code)
			}
			want = signing.VerdictNotReached
			continue
		}
		if s.Verdict != want {
			t.Errorf("check %s: %s (%s), want %s", s.Name, s.Verdict, s.Code, want)
		}
	}
	if (want == signing.VerdictNotReached) != (check != "") {
		t.Errorf("no check %q in %+v", check, v.Checks)
	}
}

// Metadata that is too old stops a version here as on a peer.
func TestVerifyIsFresh(t *testing.T) {
	h := newShelf(t)
	digest := h.put("approved", hookScript, nil, bob()).Digest
	a := newApp(func(name string) (string, bool) { v, ok := h.env[name]; return v, ok }, strings.NewReader(""), &strings.Builder{}, &strings.Builder{})
	a.now = func() time.Time { return time.Now().Add(8 * 24 * time.Hour) }
	v, err := a.verify(t.Context(), digest, "")
	h.must(err)
	wantVerified(t, v, checkFresh, errs.CodeTrustStale)
}

// Without a server the newest that was seen decides, and it is said.
func TestVerifyFolder(t *testing.T) {
	h := newShelf(t)
	v := h.put("approved", hookScript, nil, bob())
	dir := h.path("received [1]*")
	h.must(os.Mkdir(dir, 0o700))
	write := func(name string, b []byte) { h.must(os.WriteFile(filepath.Join(dir, name), b, 0o600)) }
	write("statement.json", v.Statement)
	write("hook.lua", v.Script)
	write("a.sigstore.json", v.Signatures[0])
	write("policy.yaml", h.thief.info.Policy)
	policy := filepath.Join(dir, "policy.yaml")

	h.want(1, "threshold-not-met", "verify", dir)
	write("b.sigstore.json", v.Signatures[1])
	h.want(0, "1 of 1 reviewers: bob", "verify", dir)
	h.want(0, "what was revoked is not known", "verify", dir, "--policy", policy)
	h.revoke(signing.Revocation{Kind: signing.RevokeHook, Value: "answer", Reason: "loud"})
	h.want(1, "alice revoked the hook", "verify", dir)
	h.want(0, "VERIFIED", "verify", dir, "--policy", policy)

	h.thief.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	h.want(1, "newest that this machine has seen", "verify", dir)
	wantVerified(t, h.verified(dir), signing.CheckRevoked, errs.CodeRevoked)

	write("hook.lua", append(v.Script, ' '))
	wantVerified(t, h.verified(dir, "--policy", policy), signing.CheckScript, errs.CodeScriptDigest)
	h.must(os.Remove(filepath.Join(dir, "hook.lua")))
	h.want(3, "verify takes a folder with", "verify", dir, "--policy", policy)
	write("hook.lua", v.Script)
	for i := range signing.MaxSignatureFiles {
		write("more"+strconv.Itoa(i)+".sigstore.json", nil)
	}
	h.want(1, "more than 16 signature files", "verify", dir, "--policy", policy)
}

// A key that counts no more signs in vain, and its owner hears it here. What
// others signed in vain is shown before.
func TestApproveWithAKeyThatCountsNoMore(t *testing.T) {
	h := newShelf(t)
	v := h.put("submitted", hookScript, nil)
	approve := []string{"review", "approve", v.Digest, "--key", h.path("bob.key"), "--yes"}
	h.want(0, "approvals:  1 of 1", approve...)
	h.want(1, "bob has signed this version already", approve...)
	h.want(1, "it has all the approvals that it needs", approve...)
	h.thief.got = nil
	h.revoke(signing.Revocation{Kind: signing.RevokeKey, Value: string(bob().Public().ID), Reason: "lost"})
	h.want(4, "the signature of bob does not count: alice revoked the key", approve...)
	h.want(4, "does not count:  bob: alice revoked the key", approve...)
	if h.thief.got != nil {
		t.Error("it was sent")
	}
}
