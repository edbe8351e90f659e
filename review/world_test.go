package review_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/review"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/store/sqlite"
)

const deployment = "d-0123456789abcdef0123456789abcdef"

const script = `report.set("Extra", "new")
`

const manifest = `hook: extra
description: a test
level: problem
match: {fingerprints: ["/usr/bin/crasher:6:a:b:c"]}
as: service
capabilities: {fs.read: [/proc/sys/kernel/tainted]}
fields:
  Extra: {type: text, class: technical, max_bytes: 1024, raw: false}
limits: {lifetime: 7d, max_reports: 100, max_runs_per_peer: 1, max_percent: 50, max_bytes: 1048576, max_result_bytes: 8192, max_runtime: 2s}
`

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// people sign in the tests: two are authors, three review, one only operates.
var people = map[string][]signing.Role{
	"alice": {signing.RoleAuthor, signing.RoleReviewer},
	"bob":   {signing.RoleReviewer},
	"carol": {signing.RoleReviewer},
	"dave":  {signing.RoleAuthor},
	"olga":  {signing.RoleOperator},
}

// world is the service over a real store with real keys.
type world struct {
	*testing.T
	ctx       context.Context
	db        *sqlite.DB
	s         *review.Service
	keys      map[string]*signer.Signer
	policy    *signing.Policy
	revoked   signing.Revocations
	withdrawn []string
	now       time.Time
	activated []string
}

func newWorld(t *testing.T, change func(*signing.Policy)) *world {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hookline.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{T: t, ctx: t.Context(), db: db, now: start, keys: map[string]*signer.Signer{}}
	w.policy = w.newPolicy(change)
	clock := func() time.Time { return w.now }
	w.s = &review.Service{
		Versions: db, Changes: db, Gate: &auth.Gate{Accounts: db, Log: db, Now: clock},
		Rules: w.rules, Now: clock, Activated: func(v string) { w.activated = append(w.activated, v) },
		Revoked: func(_ context.Context, v, why string) error {
			w.withdrawn = append(w.withdrawn, v+": "+why)
			return nil
		},
	}
	return w
}

// in is the same world for a subtest, which fails by itself.
func (w *world) in(t *testing.T) *world {
	w.Helper()
	one := *w
	one.T, one.ctx = t, t.Context()
	return &one
}

// rules are those in force now.
func (w *world) rules() signing.Rules {
	return signing.Rules{Policy: w.policy, Revoked: w.revoked, Floor: w.now, Now: w.now}
}

// newPolicy makes everybody's keys; "alice-2" is her second one.
func (w *world) newPolicy(change func(*signing.Policy)) *signing.Policy {
	w.Helper()
	p := &signing.Policy{
		Deployment: deployment, Profile: signing.ProfileTeam, Reviewers: 2,
		Needs: map[string]int{}, MaxLifetime: signing.MaxLifetime,
	}
	for name, roles := range people {
		person := signing.Person{Name: name, Roles: roles}
		person.Keys = append(person.Keys, w.key(name))
		if name == "alice" {
			person.Keys = append(person.Keys, w.key("alice-2"))
		}
		p.Persons = append(p.Persons, person)
	}
	w.key("stranger")
	if change != nil {
		change(p)
	}
	parsed, err := signing.ParsePolicy(p.YAML())
	w.ok(err)
	return parsed
}

func (w *world) key(name string) signing.PublicKey {
	w.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.ok(err)
	w.keys[name], err = signer.New(k)
	w.ok(err)
	return w.keys[name].Public()
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		e, _ := errs.As(err)
		w.Fatalf("%v %+v", err, e)
	}
}

func (w *world) wantCode(err error, code errs.Code, field string) {
	w.Helper()
	e, _ := errs.As(err)
	if e == nil || e.Code != code || field != "*" && e.Field != field {
		w.Fatalf("got %v (%+v), want code %s at %q", err, e, code, field)
	}
}

// as is an account with the given roles.
func as(roles ...auth.Role) auth.Principal {
	return auth.Principal{User: "user-" + string(roles[0]), Roles: roles, TokenID: "t", Kind: auth.TokenAPI}
}

// draft is what an author is about to submit; tests spoil one part.
type draft struct {
	manifest, script, statement, signature []byte
}

func (w *world) draft(author, manifest, script string, number int64) draft {
	w.Helper()
	m, err := hooks.ParseManifest([]byte(manifest))
	w.ok(err)
	st, err := m.Statement(hooks.Binding{
		Deployment: deployment, Author: string(w.keys[author].Public().ID), Version: number, Now: w.now,
	}, []byte(script))
	w.ok(err)
	b, err := st.Canonical()
	w.ok(err)
	return draft{[]byte(manifest), []byte(script), b, w.sign(author, b)}
}

func (w *world) sign(who string, statement []byte) []byte {
	w.Helper()
	f, err := w.keys[who].Sign(statement)
	w.ok(err)
	return f
}

func (w *world) submit(d draft) (review.Life, error) {
	return w.s.Submit(w.ctx, as(auth.RoleAuthor), d.manifest, d.script, d.statement, d.signature)
}

// submitted is version number of the hook by alice.
func (w *world) submitted(number int64) review.Life {
	w.Helper()
	l, err := w.submit(w.draft("alice", manifest, script, number))
	w.ok(err)
	return l
}

func (w *world) approve(l review.Life, who string) (review.Life, error) {
	return w.s.Review(w.ctx, as(auth.RoleReviewer), l.Version.Digest, review.VerdictApprove, "", w.sign(who, l.Version.Statement))
}

// approved is a version with two reviewers.
func (w *world) approved(number int64) review.Life {
	w.Helper()
	l := w.submitted(number)
	for _, who := range []string{"bob", "carol"} {
		var err error
		l, err = w.approve(l, who)
		w.ok(err)
	}
	if l.State() != hooks.StateApproved {
		w.Fatalf("it is %s", l.State())
	}
	return l
}

func (w *world) activate(l review.Life, quantity int64) (review.Life, error) {
	return w.s.Activate(w.ctx, as(auth.RoleOperator), l.Version.Digest, quantity, w.now.Add(time.Hour), hooks.Rollout{})
}

// audited lists action and outcome of every entry, oldest first.
func (w *world) audited() []string {
	w.Helper()
	entries, err := w.db.Entries(w.ctx, auth.EntryFilter{Limit: 200})
	w.ok(err)
	var out []string
	for _, e := range slices.Backward(entries) {
		out = append(out, e.Action+" "+e.Outcome)
	}
	return out
}
