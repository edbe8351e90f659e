package hookpages_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/code"
	"hookline/internal/jobs"
	"hookline/internal/web/hookpages"
	"hookline/internal/web/kit/kittest"
	"hookline/review"
	"hookline/signing"
	"hookline/signing/signer"
)

const (
	deployment  = "d-0123456789abcdef0123456789abcdef"
	fingerprint = "/usr/bin/crasher:6:a:b:c"
	// notConnected is why a run fails that no machine was told of.
	notConnected = "peer-not-connected"
	peer         = "0123456789abcdef0123456789abcdef"
	// nasty is what a machine or a person may say.
	nasty = "<script>alert(1)</script>\u202e<img src=x onerror=a> hx-get=\"/x\""
)

// world is the pages of hooks over a real store, with real signatures.
type world struct {
	*kittest.Site
	review *review.Service
	policy *signing.Policy
	keys   map[string]*signer.Signer
	n      int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Site: kittest.New(t), keys: map[string]*signer.Signer{}}
	w.Kit.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	p := &signing.Policy{
		Deployment: deployment, Profile: signing.ProfileTeam, Reviewers: 1, Needs: map[string]int{}, MaxLifetime: signing.MaxLifetime,
	}
	for name, roles := range map[string][]signing.Role{"alice": {signing.RoleAuthor}, "bob": {signing.RoleReviewer}, "carol": {signing.RoleReviewer}} {
		p.Persons = append(p.Persons, signing.Person{Name: name, Roles: roles, Keys: []signing.PublicKey{w.key(name)}})
	}
	var err error
	w.policy, err = signing.ParsePolicy(p.YAML())
	w.ok(err)
	rules := func() signing.Rules {
		return signing.Rules{Policy: w.policy, Floor: w.Clock.Now(), Now: w.Clock.Now()}
	}
	w.review = &review.Service{Versions: w.DB, Changes: w.DB, Gate: w.Gate, Rules: rules, Now: w.Clock.Now}
	painter, err := code.New()
	w.ok(err)
	w.Serve(hookpages.Routes(w.Kit, hookpages.Parts{Store: w.DB, Review: w.review, Rules: rules, Painter: painter}))
	return w
}

func (w *world) ok(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatalf("%v", err)
	}
}

func (w *world) key(name string) signing.PublicKey {
	w.T.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.ok(err)
	w.keys[name], err = signer.New(k)
	w.ok(err)
	return w.keys[name].Public()
}

func (w *world) sign(who string, statement []byte) []byte {
	w.T.Helper()
	f, err := w.keys[who].Sign(statement)
	w.ok(err)
	return f
}

// account is somebody with a token, who may do with keys what a browser may not.
func account(user string, role auth.Role) auth.Principal {
	return auth.Principal{User: user, Roles: []auth.Role{role}, TokenID: "t", Kind: auth.TokenAPI}
}

// manifestOf is a hook for the crasher.
func manifestOf(hook string) string {
	return fmt.Sprintf(`hook: %s
description: a test
level: problem
match: {fingerprints: [%q]}
as: service
capabilities: {fs.read: [/proc/sys/kernel/tainted]}
fields:
  Extra: {type: text, class: technical, max_bytes: 1024, raw: false}
limits: {lifetime: 7d, max_reports: 100, max_runs_per_peer: 1, max_percent: 50, max_bytes: 1048576, max_result_bytes: 8192, max_runtime: 2s}
`, hook, fingerprint)
}

// submitted is the next version of a hook by alice.
func (w *world) submitted(hook string) review.Life {
	w.T.Helper()
	n, err := w.DB.LatestNumber(w.T.Context(), hook)
	w.ok(err)
	m, err := hooks.ParseManifest([]byte(manifestOf(hook)))
	w.ok(err)
	script := []byte("-- it looks\nreport.set(\"Extra\", \"new\")\n")
	st, err := m.Statement(hooks.Binding{Deployment: deployment, Author: string(w.keys["alice"].Public().ID), Version: n + 1, Now: w.Clock.Now()}, script)
	w.ok(err)
	b, err := st.Canonical()
	w.ok(err)
	l, err := w.review.Submit(w.T.Context(), account("alice", auth.RoleAuthor), []byte(manifestOf(hook)), script, b, w.sign("alice", b))
	w.ok(err)
	return l
}

func (w *world) approved(hook string) review.Life {
	w.T.Helper()
	l := w.submitted(hook)
	w.Clock.Advance(time.Minute)
	l, err := w.review.Review(w.T.Context(), account("rita", auth.RoleReviewer), l.Version.Digest, review.VerdictApprove, "", w.sign("bob", l.Version.Statement))
	w.ok(err)
	return l
}

func (w *world) active(hook string, quantity int64) review.Life {
	w.T.Helper()
	l := w.approved(hook)
	l, err := w.review.Activate(w.T.Context(), account("olga", auth.RoleOperator), l.Version.Digest, quantity, w.Clock.Now().Add(time.Hour), hooks.Rollout{})
	w.ok(err)
	return l
}

// id is a fresh one of now.
func (w *world) id() string {
	w.T.Helper()
	w.n++
	id, err := uuid.NewV7()
	w.ok(err)
	return id.String()
}

// report files a report of the crasher, with more fields as pairs.
func (w *world) report(pairs ...string) jobs.Job {
	w.T.Helper()
	r := hooks.Report{
		hooks.FieldProblemType: "Crash", hooks.FieldPackage: "crasher", hooks.FieldPackageVersion: "1.0-1",
		hooks.FieldExecutablePath: "/usr/bin/crasher", hooks.FieldSignal: "6",
	}
	for i := 0; i < len(pairs); i += 2 {
		r[pairs[i]] = pairs[i+1]
	}
	problem := strings.Repeat("ab", 16)
	j := jobs.Job{
		ID: w.id(), PeerID: peer, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer", CreatedAt: w.Clock.Now(), CompletedAt: w.Clock.Now(),
		Fingerprint: fingerprint, ProblemID: problem, Report: r,
	}
	_, err := w.DB.AddReport(w.T.Context(), j, collector.Problem{
		ID: problem, Fingerprint: fingerprint, Package: r[hooks.FieldPackage], Executable: r[hooks.FieldExecutablePath],
		Reports: 1, FirstSeen: w.Clock.Now(), LastSeen: w.Clock.Now(),
	})
	w.ok(err)
	return j
}

// run is one run of a version over a report of its own, which ends as d says;
// fields are what it brings.
func (w *world) run(l review.Life, d jobs.Decision, fields string) jobs.Job {
	w.T.Helper()
	ctx, now, original := w.T.Context(), w.Clock.Now(), w.report()
	j := jobs.Job{
		ID: w.id(), PeerID: peer, Workload: jobs.WorkHook, Status: jobs.Pending, TriggeredBy: "match", CreatedAt: now, Deadline: now.Add(time.Minute),
		OriginalID: original.ID, ProblemID: original.ProblemID, Hook: l.Version.Hook, Version: l.Version.Digest,
	}
	j.Slot = jobs.OpenSlot(j.Version, j.OriginalID)
	w.ok(w.DB.Lease(ctx, j, now))
	if d.Status == "" {
		return j
	}
	if d.Code != notConnected {
		_, err := w.DB.MarkSent(ctx, j.ID, now)
		w.ok(err)
	}
	var r *collector.Result
	if fields != "" {
		r = &collector.Result{
			ID: j.ID, JobID: original.ID, Hook: j.Hook, Version: j.Version, PeerID: peer, ProblemID: j.ProblemID,
			Level: hooks.LevelProblem, Package: "crasher", Fields: []byte(fields), Bytes: int64(len(fields)), CreatedAt: now,
		}
	}
	_, err := w.DB.Settle(ctx, j.ID, d, r, now)
	w.ok(err)
	return j
}

// brought and failed are ways in which a run ends.
func brought() jobs.Decision {
	return jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}
}

func failed(code, text string) jobs.Decision {
	return jobs.Decision{Status: jobs.Failed, Outcome: hooks.OutcomeFailed, Code: code, HookError: text}
}

// has fails for each word that is not on the page.
func (w *world) has(page string, words ...string) {
	w.T.Helper()
	for _, s := range words {
		if !strings.Contains(page, s) {
			w.T.Errorf("there is no %q on:\n%s", s, page)
			return
		}
	}
}

// lacks fails for each word that is on the page.
func (w *world) lacks(page string, words ...string) {
	w.T.Helper()
	if i := slices.IndexFunc(words, func(s string) bool { return strings.Contains(page, s) }); i >= 0 {
		w.T.Errorf("there is %q on:\n%s", words[i], page)
	}
}
