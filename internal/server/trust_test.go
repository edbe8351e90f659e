package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/waitfor"
	"hookline/signing"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"
)

func TestTrustOverTheAPI(t *testing.T) {
	r := newRig(t)
	first := r.bundle()
	var got api.Trust
	r.must(auth.RoleViewer, "GET", "/api/trust", nil, 200, &got)
	b, err := r.team().Bundle()
	must(t, err)
	root := trust.Digest(b.Roots[0])
	if !bytes.Equal(got.Bundle, first) || got.RootDigest != root {
		t.Errorf("got %d bytes of root %s", len(got.Bundle), got.RootDigest)
	}
	var info api.Info
	r.must(auth.RoleViewer, "GET", "/api/info", nil, 200, &info)
	if info.RootDigest != root || info.Deployment != deployment || info.PolicyDigest != hooks.Digest(info.Policy) || !bytes.Equal(info.Policy, b.Policy) {
		t.Errorf("info %+v", info)
	}
	if again := r.publish(); again.Changed {
		t.Error("the same metadata is news")
	}
	before := r.entries()
	r.freshen(r.team())
	if change := r.publish(); !change.Changed || change.RootDigest != root || change.PolicyDigest != info.PolicyDigest {
		t.Errorf("the change is %+v", change)
	}
	log := r.entries()
	if e := log[0]; len(log) != len(before)+1 || e.Action != string(auth.TrustPublish) || e.Actor != "operator-1" ||
		e.Target != "trust/"+root || !strings.Contains(e.Detail, "timestamp 1 to 2") {
		t.Errorf("%d entries before, %d after; the last is %+v", len(before), len(log), e)
	}
	r.must(auth.RoleViewer, "GET", "/api/trust", nil, 200, &got)
	if !bytes.Equal(got.Bundle, r.bundle()) {
		t.Error("the server gives older metadata out than it got")
	}
}

func (r *rig) entries() []auth.Entry {
	r.t.Helper()
	var log api.Page[auth.Entry]
	r.must(auth.RoleAdmin, "GET", "/api/audit?limit=200", nil, 200, &log)
	return log.Items
}

// changed is a bundle with one part spoiled.
func changed(t *testing.T, bundle []byte, f func(b *trust.Bundle)) []byte {
	t.Helper()
	b, err := trust.ParseBundle(bundle)
	must(t, err)
	f(&b)
	encoded, err := b.Encode()
	must(t, err)
	return encoded
}

// TestTrustRefusals: each has the code of package trust and its own status,
// and leaves the server, its file and the audit log as they were.
func TestTrustRefusals(t *testing.T) {
	r, stranger := newRig(t), newRig(t)
	older := r.bundle()
	r.freshen(r.team())
	r.publish()
	r.revoke(signing.RevokeHook, "other-hook")
	revoked := r.revocation(signing.RevokeHook, "third-hook")
	newest := r.bundle()
	kept, err := os.ReadFile(r.keptTrust())
	must(t, err)
	served, _ := r.trust.Bundle()
	entries := len(r.entries())
	put, push := "/api/trust", "/api/revocations"
	bundle := func(b []byte) any { return api.NewTrust{Bundle: b} }
	metadata := func(b []byte) any { return api.NewRevocations{Metadata: b} }
	for _, c := range []struct {
		name, path string
		body       any
		status     int
		code       errs.Code
	}{
		{"no bundle", put, bundle([]byte{}), 422, errs.CodeTrustInvalid},
		{"no JSON", put, bundle([]byte("x")), 422, errs.CodeTrustInvalid},
		{"an older one", put, bundle(older), 403, errs.CodeTrustRollback},
		{"a stranger's", put, bundle(stranger.bundle()), 403, errs.CodeTrustRoot},
		{"another policy", put, bundle(changed(t, newest, func(b *trust.Bundle) { b.Policy = append(b.Policy, '\n') })), 403, errs.CodeTrustMixed},
		{"a part is missing", put, bundle(changed(t, newest, func(b *trust.Bundle) { b.Targets = nil })), 403, errs.CodeTrustMissing},
		{"over the cap of a request", put, bundle(make([]byte, 3<<20)), 413, errs.CodeTooLarge},
		{"an unknown member", put, []byte(`{"bundle":"eA==","root_digest":"x"}`), 422, errs.CodeBadInput},
		{"no revocations", push, metadata([]byte{}), 403, errs.CodeTrustMissing},
		{"no metadata", push, metadata([]byte("{}")), 422, errs.CodeTrustInvalid},
		{"a stranger's revocations", push, metadata(stranger.revocation(signing.RevokeHook, "other-hook")), 403, errs.CodeTrustSigned},
		{"spoiled revocations", push, metadata(bytes.Replace(revoked, []byte("it was noisy"), []byte("it was quiet"), 1)), 403, errs.CodeTrustSigned},
	} {
		t.Run(c.name, func(t *testing.T) {
			method := "PUT"
			if c.path == push {
				method = "POST"
			}
			a := r.send(auth.RoleAdmin, method, c.path, c.body)
			if p := a.problem(t); a.Status != c.status || p.Code != string(c.code) {
				t.Errorf("%d %+v, want %d %s", a.Status, p, c.status, c.code)
			}
		})
	}
	now, err := os.ReadFile(r.keptTrust())
	must(t, err)
	if still, _ := r.trust.Bundle(); !bytes.Equal(now, kept) || !bytes.Equal(still, served) || len(r.entries()) != entries {
		t.Error("a refused change left something")
	}
}

// Two revokers who did not know of each other: the second has to add to what
// the first brought, or peers would never hear of it.
func TestRevokersAtOnce(t *testing.T) {
	r := newRig(t)
	copied := filepath.Join(t.TempDir(), "offline")
	must(t, os.CopyFS(copied, os.DirFS(r.offline)))
	r.revoke(signing.RevokeHook, "one")
	second, err := keeper.Open(copied, r.clock.now)
	must(t, err)
	late, err := second.Revoke(r.keys["alice"], signing.Revocation{Kind: signing.RevokeHook, Value: "two", Reason: "x"})
	must(t, err)
	a := r.send(auth.RoleAuthor, "POST", "/api/revocations", api.NewRevocations{Metadata: late})
	if p := a.problem(t); p.Code != string(errs.CodeTrustRollback) || p.Hint == "" {
		t.Errorf("%d %+v", a.Status, p)
	}
	if r.trust.rules().Revoked.Len() != 1 {
		t.Error("it was taken without peers hearing of it")
	}
}

// A revoker cannot take back what another has revoked, by a newer version that
// leaves it out: machines that enrol later would not hear of it.
func TestRevocationsAreNotLeftOut(t *testing.T) {
	r := newRig(t)
	copied := filepath.Join(t.TempDir(), "offline")
	must(t, os.CopyFS(copied, os.DirFS(r.offline)))
	r.revoke(signing.RevokeHook, "one")
	r.revoke(signing.RevokeVersion, nobody)
	other, err := keeper.Open(copied, r.clock.now)
	must(t, err)
	var without []byte
	for _, hook := range []string{"two", "three", "four"} {
		without, err = other.Revoke(r.keys["alice"], signing.Revocation{Kind: signing.RevokeHook, Value: hook, Reason: "x"})
		must(t, err)
	}
	a := r.send(auth.RoleAuthor, "POST", "/api/revocations", api.NewRevocations{Metadata: without})
	if p := a.problem(t); p.Code != string(errs.CodeTrustRollback) || !strings.Contains(p.Detail, "leave out") {
		t.Errorf("%d %+v", a.Status, p)
	}
	if got := r.trust.rules().Revoked.Len(); got != 2 {
		t.Errorf("%d are revoked", got)
	}
	// What is old enough to have passed may go.
	old := r.trust.newest().Trusted
	gone, err := old.Push(without)
	must(t, err)
	if err := leavesNothingOut(old, gone, r.clock.now().Add(listedFor+time.Hour)); !errs.Is(err, errs.CodeTrustRollback) || !strings.Contains(err.Error(), "hook/one") {
		t.Errorf("a hook's revocation passes: %v", err)
	}
}

// TestRevocationOverTheAPI: what was active is closed with its reason, the jobs
// that are out are ended, and pages, API, metrics and audit log say so.
func TestRevocationOverTheAPI(t *testing.T) {
	r := newRig(t)
	v := r.activate("kernel-taint")
	job := r.leased(v.Digest)
	r.revoke(signing.RevokeHook, "kernel-taint")
	r.until("the version is closed", func() bool { return r.version(v.Digest).State == "revoked" })
	r.until("its job is ended", func() bool {
		var j api.Job
		r.must(auth.RoleViewer, "GET", "/api/jobs/"+job, nil, 200, &j)
		return j.Outcome == "cancelled" && j.FailedCode == string(errs.CodeRevoked) && strings.Contains(j.FailedReason, "bob revoked the hook")
	})
	got := r.version(v.Digest)
	if got.Refusal == nil || got.Refusal.Code != string(errs.CodeRevoked) || !strings.Contains(got.Activation.Reason, "it was noisy") {
		t.Errorf("refusal %+v, reason %q", got.Refusal, got.Activation.Reason)
	}
	if l := got.Activation.Ledger; l != (hooks.Ledger{Issued: 1, Cancelled: 1}) {
		t.Errorf("the ledger is %+v", l)
	}
	page := r.look("/versions/" + v.Digest)
	for _, want := range []string{"bob revoked the hook", "it was noisy", "<code>revoked</code>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	metrics := string(r.send(auth.RoleAdmin, "GET", "/metrics", nil).Body)
	for _, want := range []string{"hookline_revocations 1\n", `hookline_hook_jobs_failed_total{code="revoked"} 1`, "hookline_trust_expires_seconds 604800\n", "hookline_leases 0\n"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics do not say %q", want)
		}
	}
	if !slices.ContainsFunc(r.entries(), func(e auth.Entry) bool {
		return e.Actor == "(server)" && e.Action == string(auth.HooksRevoke) && e.Target == "version/"+v.Digest && strings.Contains(e.Detail, "it was noisy")
	}) {
		t.Error("the audit log does not say why it was closed")
	}
	nv := r.newVersion("kernel-taint", 2)
	a := r.send(auth.RoleAuthor, "POST", "/api/versions", nv)
	if p := a.problem(t); a.Status != http.StatusForbidden || p.Code != string(errs.CodeRevoked) {
		t.Errorf("a new version of a revoked hook: %d %+v", a.Status, p)
	}
}

// A voided signature shows as what it is.
func TestVoidSignatures(t *testing.T) {
	r := newRig(t)
	v := r.activate("kernel-taint")
	key := r.keys["bob"].Public().ID
	r.revoke(signing.RevokeApproval, signing.ApprovalValue(v.Digest, key))
	r.until("the version is closed", func() bool { return r.version(v.Digest).State == "revoked" })
	got := r.version(v.Digest)
	if got.Approvals != 0 || got.Needed != 1 || len(got.Void) != 1 || got.Refusal == nil || got.Refusal.Code != string(errs.CodeThresholdNotMet) {
		t.Fatalf("got %+v, void %+v, refusal %+v", got, got.Void, got.Refusal)
	}
	if void := got.Void[0]; void.Person != "bob" || void.KeyID != string(key) || void.Code != string(errs.CodeRevoked) || !strings.Contains(void.Reason, "revoked the approval") {
		t.Errorf("void %+v", void)
	}
	page := r.look("/versions/" + v.Digest)
	for _, want := range []string{"does not count", "0 of 1 reviewer", "revoked the approval"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// What was approved and never activated says why it is closed, too.
func TestRevokedBeforeItWasActive(t *testing.T) {
	r := newRig(t)
	nv := r.newVersion("kernel-taint", 1)
	var v api.Version
	r.must(auth.RoleAuthor, "POST", "/api/versions", nv, 201, &v)
	if v.Refusal != nil {
		t.Errorf("a version that waits for its reviewer is refused: %+v", v.Refusal)
	}
	r.must(auth.RoleReviewer, "POST", "/api/versions/"+v.Digest+"/reviews", api.NewReview{Verdict: "approve", Signature: r.sign("bob", nv.Statement)}, 200, &v)
	r.revoke(signing.RevokeKey, string(r.keys["bob"].Public().ID))
	r.until("the version is closed", func() bool { return r.version(v.Digest).State == "revoked" })
	got := r.version(v.Digest)
	if got.Refusal == nil || got.Refusal.Code != string(errs.CodeThresholdNotMet) || !strings.Contains(got.Refusal.Reason, "bob revoked the key") {
		t.Errorf("refusal %+v", got.Refusal)
	}
	a := r.send(auth.RoleOperator, "POST", "/api/versions/"+v.Digest+"/activation", api.NewActivation{Quantity: 1, Deadline: r.clock.now().Add(time.Hour)})
	if p := a.problem(t); a.Status != http.StatusForbidden || p.Code != string(errs.CodeRevoked) {
		t.Errorf("activated: %d %+v", a.Status, p)
	}
}

// A policy that asks for more closes what has less.
func TestPolicyThatAsksForMore(t *testing.T) {
	r := newRig(t)
	v := r.activate("kernel-taint")
	if s, err := r.Server.signed(context.Background(), v.Digest); err != nil || s.Refused != nil {
		t.Fatalf("it does not count: %v, %v", s.Refused, err)
	}
	r.replacePolicy(func(p *signing.Policy) {
		i := slices.IndexFunc(p.Persons, func(one signing.Person) bool { return one.Name == "bob" })
		p.Persons[i].Windows = map[signing.KeyID]signing.Window{p.Persons[i].Keys[0].ID: {Until: r.clock.now()}}
	})
	s, err := r.Server.signed(context.Background(), v.Digest)
	must(t, err)
	if s.Refused == nil || s.Refused.Code != errs.CodeThresholdNotMet {
		t.Errorf("nobody is to be asked, but: %v", s.Refused)
	}
	r.enforced()
	if got := r.version(v.Digest).State; got != "active" {
		t.Errorf("a key out of its time closed it for ever: %s", got)
	}
	r.replacePolicy(func(p *signing.Policy) { p.MaxLifetime = time.Hour })
	r.until("the version is closed", func() bool { return r.version(v.Digest).State == "revoked" })
	if got := r.version(v.Digest).Activation.Reason; !strings.Contains(got, "the policy allows 3600 s") {
		t.Errorf("the reason is %q", got)
	}
}

// TestRevokedBeforeACrash: the server had kept the revocation and nothing more.
func TestRevokedBeforeACrash(t *testing.T) {
	r := newRig(t)
	v := r.activate("kernel-taint")
	job := r.leased(v.Digest)
	must(t, r.stop())
	next, err := openTrust(t, r.cfg.Trust).Push(r.revocation(signing.RevokeVersion, v.Digest))
	must(t, err)
	must(t, (&trustHolder{path: r.keptTrust()}).keep(next))
	r.start()
	r.until("the version is closed", func() bool { return r.version(v.Digest).State == "revoked" })
	r.until("its job is ended", func() bool {
		j, err := r.db.Job(context.Background(), job)
		return err == nil && j.FailedCode == string(errs.CodeRevoked)
	})
}

// leased has a job out for a version.
func (r *rig) leased(version string) string {
	r.t.Helper()
	const id = "019cb7b5-0000-7000-8000-000000000001"
	now := r.clock.now()
	must(r.t, r.db.Lease(context.Background(), jobs.Job{
		ID: id, PeerID: "p", Workload: jobs.WorkHook, Status: jobs.Pending, TriggeredBy: "match", CreatedAt: now, Deadline: now.Add(time.Minute),
		Hook: "kernel-taint", Version: version, Slot: id,
	}, now))
	r.metrics.leases.Inc()
	return id
}

// look is a page as a viewer sees it.
func (r *rig) look(path string) string {
	r.t.Helper()
	a := r.page(r.signIn(auth.RoleViewer), path)
	if a.Status != 200 {
		r.t.Fatalf("%s: %d", path, a.Status)
	}
	return string(a.Body)
}

func (r *rig) version(digest string) (v api.Version) {
	r.t.Helper()
	r.must(auth.RoleViewer, "GET", "/api/versions/"+digest, nil, 200, &v)
	return v
}

func (r *rig) until(what string, done func() bool) {
	r.t.Helper()
	waitfor.True(r.t, 20*time.Second, what, done)
}

func openTrust(t *testing.T, file string) *trust.Trusted {
	t.Helper()
	trusted, err := readTrust(file)
	must(t, err)
	return trusted
}

// TestTrustAtTheStart: the newer of the file and what the server kept wins, and
// both must come from one root.
func TestTrustAtTheStart(t *testing.T) {
	timestamp := func(r *rig) int64 { return r.trust.newest().Roles()[1].Version }
	for name, c := range map[string]struct {
		do    func(r *rig)
		check func(r *rig)
	}{
		"the same file": {func(*rig) {}, func(r *rig) {
			if timestamp(r) != 1 {
				t.Errorf("timestamp %d", timestamp(r))
			}
		}},
		"a newer file": {func(r *rig) { r.freshen(r.team()) }, func(r *rig) {
			if timestamp(r) != 2 || openKept(r).Roles()[1].Version != 2 {
				t.Errorf("timestamp %d, kept %d", timestamp(r), openKept(r).Roles()[1].Version)
			}
		}},
		"an older file": {func(r *rig) {
			old, err := os.ReadFile(r.cfg.Trust)
			must(t, err)
			r.keepNewer()
			write(t, r.cfg.Trust, old)
		}, func(r *rig) {
			if timestamp(r) != 2 {
				t.Errorf("timestamp %d", timestamp(r))
			}
		}},
		"revocations that only the server has": {func(r *rig) {
			old, err := os.ReadFile(r.cfg.Trust)
			must(t, err)
			next, err := openTrust(t, r.cfg.Trust).Push(r.revocation(signing.RevokeHook, "gone"))
			must(t, err)
			must(t, (&trustHolder{path: r.keptTrust()}).keep(next))
			write(t, r.cfg.Trust, old)
			r.freshen(r.team()) // which does not know of it
		}, func(r *rig) {
			if _, ok := r.trust.rules().Revoked.Find(signing.RevokeHook, "gone"); !ok {
				t.Error("the server forgot a revocation")
			}
		}},
		"revocations that the metadata leaves out by now": {func(r *rig) {
			gone := signing.Revocation{Kind: signing.RevokeHook, Value: "gone", Reason: "x", By: "bob", At: r.clock.now().UTC()}
			must(t, (&trustHolder{path: r.keptTrust()}).keep(openTrust(t, r.cfg.Trust).Remember(gone)))
			r.freshen(r.team())
		}, func(r *rig) {
			if _, ok := r.trust.rules().Revoked.Find(signing.RevokeHook, "gone"); !ok || openKept(r).Revoked().Len() != 1 {
				t.Error("the server forgot a revocation")
			}
		}},
		"a newer root in the file": {func(r *rig) {
			k := r.team()
			must(t, k.Rotate(keeper.Rotation{}))
			r.put(k)
		}, func(r *rig) {
			if got := len(r.trust.newest().Trusted.Bundle().Roots); got != 2 {
				t.Errorf("%d roots: those who enrolled with the first cannot follow", got)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			must(t, r.stop())
			c.do(r)
			r.start()
			c.check(r)
		})
	}
}

// keepNewer has the server keep what the file does not have yet.
func (r *rig) keepNewer() {
	r.t.Helper()
	r.freshen(r.team())
	must(r.t, (&trustHolder{path: r.keptTrust()}).keep(openTrust(r.t, r.cfg.Trust)))
}

func openKept(r *rig) *trust.Trusted {
	r.t.Helper()
	kept, err := (&trustHolder{path: r.keptTrust()}).read()
	must(r.t, err)
	return kept
}

// TestTrustThatStartsNothing: the server does not start with metadata that it
// cannot verify, and leaves what it has.
func TestTrustThatStartsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(r *rig)
		code errs.Code
		flag string
	}{
		"another root": {func(r *rig) {
			other := newRig(r.t)
			r.cfg.Trust = other.cfg.Trust
		}, errs.CodeTrustRoot, "--trust"},
		"a damaged file": {func(r *rig) { damage(r.t, r.cfg.Trust) }, errs.CodeTrustInvalid, "--trust"},
		"a file without a policy": {func(r *rig) {
			b, err := os.ReadFile(r.cfg.Trust)
			must(r.t, err)
			write(r.t, r.cfg.Trust, changed(r.t, b, func(b *trust.Bundle) { b.Policy = nil }))
		}, errs.CodeTrustMissing, "--trust"},
		"a damaged kept file":     {func(r *rig) { damage(r.t, r.keptTrust()) }, errs.CodeTrustInvalid, "--data"},
		"an empty kept file":      {func(r *rig) { write(r.t, r.keptTrust(), nil) }, errs.CodeTrustInvalid, "--data"},
		"a kept file of a policy": {func(r *rig) { write(r.t, r.keptTrust(), []byte("{}")) }, errs.CodeTrustInvalid, "--data"},
		"a forged revocation kept": {func(r *rig) {
			var kept keptTrust
			b, err := os.ReadFile(r.keptTrust())
			must(r.t, err)
			must(r.t, json.Unmarshal(b, &kept))
			kept.Revoked = []signing.Revocation{{Kind: "everything"}}
			b, err = json.Marshal(kept)
			must(r.t, err)
			write(r.t, r.keptTrust(), b)
		}, errs.CodeTrustInvalid, "--data"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			must(t, r.stop())
			c.do(r)
			before, err := os.ReadFile(r.keptTrust())
			must(t, err)
			s, err := New(context.Background(), r.cfg)
			if err == nil {
				_ = s.Close()
			}
			e, _ := errs.As(err)
			if e == nil || e.Code != c.code || e.Field != c.flag {
				t.Fatalf("got %v (%+v), want %s at %s", err, e, c.code, c.flag)
			}
			if name == "another root" && !strings.Contains(e.Message, "the root that the server knows from") {
				t.Errorf("it says %q", e.Message)
			}
			if after, err := os.ReadFile(r.keptTrust()); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the kept file was changed: %v", err)
			}
		})
	}
}

// damage changes one byte in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[len(b)/2] ^= 0x40
	write(t, path, b)
}

func TestPagesTellOfOldTrust(t *testing.T) {
	r := newRig(t)
	begun := r.clock.now()
	for days, want := range map[int]string{0: "", 3: "", 4: "expires at 2026-03-11", 7: "expired at 2026-03-11"} {
		r.clock.set(begun.Add(time.Duration(days) * 24 * time.Hour))
		got := string(r.page(r.signIn(auth.RoleAdmin), "/problems").Body)
		if strings.Contains(got, "The trust metadata") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("after %d days the page says %q", days, got)
		}
	}
}

// TestOldTrustWarns: once at each step, and again after it was freshened.
func TestOldTrustWarns(t *testing.T) {
	r := newRig(t)
	must(t, r.stop())
	const old, over = "the trust metadata gets old", "the trust metadata has expired"
	ctx, cancel := context.WithCancel(context.Background())
	tick, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		r.freshLoop(ctx, tick)
	}()
	count := func(text string) int { return strings.Count(r.log.String(), text) }
	begun := r.clock.now()
	for _, step := range []struct {
		days      float64
		old, over int
	}{{0, 0, 0}, {3, 0, 0}, {3.5, 1, 0}, {4, 1, 0}, {5.7, 2, 0}, {6.9, 2, 0}, {7, 2, 1}, {8, 2, 1}} {
		r.clock.set(begun.Add(time.Duration(step.days * 24 * float64(time.Hour))))
		for range 2 { // the second is taken when the first is through
			tick <- time.Time{}
		}
		if count(old) != step.old || count(over) != step.over {
			t.Errorf("after %v days: %d and %d warnings, want %d and %d", step.days, count(old), count(over), step.old, step.over)
		}
	}
	cancel()
	<-done
}

// Readers never see half of a change, nor an older state than they have seen.
func TestTrustIsReadWhileItChanges(t *testing.T) {
	r := newRig(t)
	const changes = 12
	ctx, cancel := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			seen := 0
			for ctx.Err() == nil {
				encoded, told := r.trust.Bundle()
				b, err := trust.ParseBundle(encoded)
				if err != nil || len(b.Policy) == 0 {
					t.Errorf("half a bundle: %v", err)
					return
				}
				n := r.trust.rules().Revoked.Len()
				if n < seen {
					t.Errorf("%d revocations after %d", n, seen)
				}
				seen = n
				select {
				case <-told:
				case <-ctx.Done():
				}
			}
			if seen > changes {
				t.Errorf("%d revocations of %d", seen, changes)
			}
		})
	}
	for i := range changes {
		r.revoke(signing.RevokeHook, fmt.Sprintf("hook-%d", i))
	}
	if got := r.trust.rules().Revoked.Len(); got != changes {
		t.Errorf("%d of %d revocations are in force", got, changes)
	}
	if got := openKept(r).Revoked().Len(); got != changes {
		t.Errorf("%d of %d revocations are kept", got, changes)
	}
	cancel()
	readers.Wait()
}

// What cannot be kept on disk is not in force: after a crash it would be gone.
func TestTrustThatCannotBeKept(t *testing.T) {
	r := newRig(t)
	metadata := r.revocation(signing.RevokeHook, "gone")
	r.trust.path = filepath.Join(r.cfg.Data, "no-such-folder", keptTrustFile)
	a := r.send(auth.RoleViewer, "POST", "/api/revocations", api.NewRevocations{Metadata: metadata})
	if p := a.problem(t); a.Status != http.StatusServiceUnavailable || p.Code != string(errs.CodeUnavailable) {
		t.Errorf("%d %+v", a.Status, p)
	}
	if r.trust.rules().Revoked.Len() != 0 {
		t.Error("it is in force, and a crash would take it back")
	}
	r.trust.path = r.keptTrust()
	r.must(auth.RoleViewer, "POST", "/api/revocations", api.NewRevocations{Metadata: metadata}, 200, nil)
}

// What is kept can be read again at the next start, or it is not taken.
func TestKeptTrustHasABound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	many := make([]signing.Revocation, 0, 6*signing.MaxRevocations)
	for i := range cap(many) {
		many = append(many, signing.Revocation{
			Kind: signing.RevokeVersion, Value: hooks.Digest(fmt.Append(nil, i)), Reason: strings.Repeat("r", signing.MaxRevocationReason), By: "somebody", At: time.Unix(1, 0).UTC(),
		})
	}
	h := &trustHolder{path: filepath.Join(t.TempDir(), keptTrustFile)}
	var bundle api.Trust
	r.must(auth.RoleViewer, "GET", "/api/trust", nil, 200, &bundle)
	b, err := trust.ParseBundle(bundle.Bundle)
	must(t, err)
	known, err := openBundle(b)
	must(t, err)
	taken, refused := 0, 0
	for n := 0; n <= len(many); n += 2000 {
		err := h.keep(known.Remember(many[:n]...))
		if errs.Is(err, errs.CodeTooLarge) {
			refused++
			continue
		}
		must(t, err)
		kept, err := h.read()
		must(t, err)
		if kept.Revoked().Len() != n {
			t.Errorf("of %d revocations %d were read again", n, kept.Revoked().Len())
		}
		taken++
	}
	if taken < 3 || refused == 0 {
		t.Errorf("%d sizes were kept, %d refused", taken, refused)
	}
}

// Over what was signed in a far future nobody could sign for as long, and no
// hook would run.
func TestTrustOfAFarFuture(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(r.offline)))
	k, err := keeper.Open(dir, func() time.Time { return r.clock.now().Add(48 * time.Hour) })
	must(t, err)
	file, err := k.Revoke(r.keys["alice"], signing.Revocation{Kind: signing.RevokeHook, Value: "bad", Reason: "it leaks"})
	must(t, err)
	if p := r.send(auth.RoleAdmin, "POST", "/api/revocations", api.NewRevocations{Metadata: file}).problem(t); p.Code != string(errs.CodeTrustStale) {
		t.Errorf("revocations: %+v", p)
	}
	r.freshen(k)
	b, err := k.Bundle()
	must(t, err)
	encoded, err := b.Encode()
	must(t, err)
	if p := r.send(auth.RoleAdmin, "PUT", "/api/trust", api.NewTrust{Bundle: encoded}).problem(t); p.Code != string(errs.CodeTrustStale) {
		t.Errorf("a bundle: %+v", p)
	}
}
