package reviews_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/code"
	"hookline/internal/jobs"
	"hookline/internal/web/kit/kittest"
	"hookline/internal/web/reviews"
	"hookline/review"
	"hookline/signing"
	"hookline/signing/signer"
)

const fingerprint = "/usr/bin/crasher:6:a:b:c"

const manifestText = `hook: %s
description: a test
level: problem
match: {fingerprints: ["/usr/bin/crasher:6:a:b:c"]}
as: service
capabilities: {fs.read: [%s]}
fields:
  Extra: {type: text, class: technical, max_bytes: 1024, raw: false}
limits: {lifetime: 7d, max_reports: %d, max_runs_per_peer: 1, max_percent: 50, max_bytes: 1048576, max_result_bytes: 8192, max_runtime: 2s}
`

// world is the pages over a real store, a real service, and real keys: of the
// accounts, "author" is the author, "reviewer" and "admin" review.
type world struct {
	*kittest.Site
	t       *testing.T
	service *review.Service
	policy  *signing.Policy
	keys    map[string]*signer.Signer
	bench   *bench
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Site: kittest.New(t), t: t, keys: map[string]*signer.Signer{}, bench: &bench{}}
	p := &signing.Policy{
		Deployment: "d-0123456789abcdef0123456789abcdef", Profile: signing.ProfileTeam, Reviewers: 2,
		Needs: map[string]int{}, MaxLifetime: signing.MaxLifetime,
	}
	for _, one := range []struct {
		name  string
		roles []signing.Role
	}{
		{"author", []signing.Role{signing.RoleAuthor, signing.RoleReviewer}},
		{"reviewer", []signing.Role{signing.RoleReviewer}},
		{"admin", []signing.Role{signing.RoleReviewer}},
		{"operator", []signing.Role{signing.RoleOperator}},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		w.ok(err)
		w.keys[one.name], err = signer.New(key)
		w.ok(err)
		p.Persons = append(p.Persons, signing.Person{Name: one.name, Roles: one.roles, Keys: []signing.PublicKey{w.keys[one.name].Public()}})
	}
	var err error
	w.policy, err = signing.ParsePolicy(p.YAML())
	w.ok(err)
	w.service = &review.Service{Versions: w.DB, Changes: w.DB, Gate: w.Gate, Rules: w.rules, Now: w.Clock.Now}
	w.serve(w.bench)
	return w
}

// serve serves the pages, with a bench or none.
func (w *world) serve(b reviews.Bench) {
	w.t.Helper()
	painter, err := code.New()
	w.ok(err)
	w.Serve(reviews.Routes(w.Kit, reviews.Parts{Store: w.DB, Review: w.service, Rules: w.rules, Painter: painter, Bench: b}))
}

func (w *world) rules() signing.Rules {
	return signing.Rules{Policy: w.policy, Floor: w.Clock.Now(), Now: w.Clock.Now()}
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// submit sends the next version of a hook, as the author.
func (w *world) submit(hook, script, reads string, maxReports int) review.Version {
	w.t.Helper()
	text := fmt.Appendf(nil, manifestText, hook, reads, maxReports)
	m, err := hooks.ParseManifest(text)
	w.ok(err)
	latest, err := w.DB.LatestNumber(w.t.Context(), hook)
	w.ok(err)
	st, err := m.Statement(hooks.Binding{
		Deployment: w.policy.Deployment, Author: string(w.keys["author"].Public().ID), Version: latest + 1, Now: w.Clock.Now(),
	}, []byte(script))
	w.ok(err)
	statement, err := st.Canonical()
	w.ok(err)
	file, err := w.keys["author"].Sign(statement)
	w.ok(err)
	life, err := w.service.Submit(w.t.Context(), command(auth.RoleAuthor), text, []byte(script), statement, file)
	w.ok(err)
	return life.Version
}

// approve uploads the signature of a person, by the account of that name.
func (w *world) approve(v review.Version, person auth.Role) {
	w.t.Helper()
	file, err := w.keys[string(person)].Sign(v.Statement)
	w.ok(err)
	_, err = w.service.Review(w.t.Context(), command(person), v.Digest, review.VerdictApprove, "", file)
	w.ok(err)
}

// command is somebody at a terminal, not on a page.
func command(role auth.Role) auth.Principal {
	p := kittest.Principal(role)
	p.Kind = auth.TokenAPI
	return p
}

// saved is a report that the store has.
func (w *world) saved(report hooks.Report) jobs.Job {
	w.t.Helper()
	now := w.Clock.Now()
	id := uuid.Must(uuid.NewV7()).String()
	fp := hooks.Fingerprint(report)
	j := jobs.Job{
		ID: id, PeerID: "0198a000-0000-7000-8000-000000000001", Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer",
		CreatedAt: now, CompletedAt: now, Fingerprint: fp, ProblemID: hooks.ProblemID(fp), Report: report,
	}
	_, err := w.DB.AddReport(w.t.Context(), j, collector.Problem{
		ID: j.ProblemID, Fingerprint: fp, Package: report[hooks.FieldPackage], Executable: report[hooks.FieldExecutablePath], Reports: 1, FirstSeen: now, LastSeen: now,
	})
	w.ok(err)
	return j
}

// bench is where versions are tried; a test says what comes out of it.
type bench struct {
	findings []reviews.Finding
	trial    reviews.Trial
	err      error
	lints    int
	tried    []string // jobs
	recorded []byte   // of the last one
}

// Lint is what the test says.
func (b *bench) Lint(context.Context, []byte, []byte) ([]reviews.Finding, error) {
	b.lints++
	return b.findings, b.err
}

// Try is what the test says.
func (b *bench) Try(_ context.Context, _, _ []byte, j jobs.Job, recording []byte) (reviews.Trial, error) {
	b.tried, b.recorded = append(b.tried, j.ID), recording
	return b.trial, b.err
}

// at is the page of a version, or what is below it.
func at(v review.Version, below string) string { return "/versions/" + v.Digest + "/review" + below }

func form(pairs ...string) url.Values {
	out := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}

const day = 24 * time.Hour
