package auth_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/store/sqlite"
)

type world struct {
	*testing.T
	ctx  context.Context
	dir  string
	db   *sqlite.DB
	gate *auth.Gate
	now  time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, ctx: t.Context(), dir: t.TempDir(), now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	db, err := sqlite.Open(w.ctx, filepath.Join(w.dir, "hookline.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w.db, w.gate = db, &auth.Gate{Accounts: db, Log: db, Now: func() time.Time { return w.now }}
	auth.CheapHashes(w.gate)
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) wantCode(err error, code errs.Code) {
	w.Helper()
	if !errs.Is(err, code) {
		w.Fatalf("got %v (%s), want code %s", err, errs.CodeOf(err), code)
	}
}

// admin bootstraps and signs in.
func (w *world) admin() auth.Principal {
	w.Helper()
	var secret string
	_, err := w.gate.Bootstrap(w.ctx, func(s, _ string) error { secret = s; return nil })
	w.ok(err)
	return w.principal(secret)
}

func (w *world) principal(secret string) auth.Principal {
	w.Helper()
	p, err := w.gate.Authenticate(w.ctx, secret)
	w.ok(err)
	return p
}

// user makes one and signs in.
func (w *world) user(admin auth.Principal, name string, roles ...auth.Role) auth.Principal {
	w.Helper()
	secret, _, err := w.gate.CreateToken(w.ctx, admin, name, roles, "test", time.Hour)
	w.ok(err)
	return w.principal(secret)
}

func (w *world) entries() []auth.Entry {
	w.Helper()
	list, err := w.db.Entries(w.ctx, auth.EntryFilter{Limit: 200})
	w.ok(err)
	slices.Reverse(list)
	return list
}

// TestRoleTable spells the table out, cell by cell.
func TestRoleTable(t *testing.T) {
	common := []auth.Permission{auth.HooksRead, auth.JobsRead, auth.PeersRead, auth.TokensCreate, auth.LoginCreate, auth.AccountOwn, auth.TrustRevoke}
	all := append(slices.Clone(common), auth.HooksSubmit, auth.HooksReview, auth.HooksComment, auth.HooksActivate, auth.HooksDisable,
		auth.PeersLabel, auth.UsersManage, auth.AuditRead, auth.MetricsRead, auth.TrustPublish)
	want := map[auth.Role][]auth.Permission{
		auth.RoleAdmin:    all,
		auth.RoleAuthor:   append(slices.Clone(common), auth.HooksSubmit, auth.HooksComment),
		auth.RoleReviewer: append(slices.Clone(common), auth.HooksReview, auth.HooksComment),
		auth.RoleOperator: append(slices.Clone(common), auth.HooksActivate, auth.HooksDisable, auth.HooksComment, auth.PeersLabel, auth.AuditRead, auth.MetricsRead, auth.TrustPublish),
		auth.RoleViewer:   append(slices.Clone(common), auth.MetricsRead),
		"":                nil,
		"root":            nil,
	}
	for role, holds := range want {
		for _, p := range append(slices.Clone(all), "", "*", "hooks", auth.HooksRevoke) {
			if got := role.Holds(p); got != slices.Contains(holds, p) {
				t.Errorf("role %q holds %q: %v", role, p, got)
			}
		}
	}
	never := []auth.Permission{auth.HooksSubmit, auth.TrustPublish, auth.TrustRevoke} // in a browser
	g := &auth.Gate{}
	for _, p := range all {
		session := auth.Principal{User: "u", Roles: []auth.Role{auth.RoleAdmin}, Kind: auth.TokenSession}
		viewer := auth.Principal{User: "u", Roles: []auth.Role{auth.RoleViewer}, Kind: auth.TokenSession}
		if g.Allow(viewer, p) == nil && !auth.RoleViewer.Holds(p) {
			t.Errorf("a viewer's session may use %s", p)
		}
		if got := g.Allow(session, p) == nil; got == slices.Contains(never, p) {
			t.Errorf("a session may use %s: %v", p, got)
		}
		for _, kind := range []auth.TokenKind{"", auth.TokenLogin} {
			if g.Allow(auth.Principal{User: "u", Roles: []auth.Role{auth.RoleAdmin}, Kind: kind}, p) == nil {
				t.Errorf("a token of kind %q may use %s", kind, p)
			}
		}
	}
}

func TestBootstrapOnce(t *testing.T) {
	w := newWorld(t)
	var secret string
	var code string
	created, err := w.gate.Bootstrap(w.ctx, func(s, c string) error { secret, code = s, c; return nil })
	w.ok(err)
	if !created || !strings.HasPrefix(secret, "hkl_") || len(secret) != 4+43 {
		t.Fatalf("created %v, secret of %d characters", created, len(secret))
	}
	p := w.principal(secret)
	if p.User != "admin" || !slices.Equal(p.Roles, []auth.Role{auth.RoleAdmin}) || p.Kind != auth.TokenAPI {
		t.Fatalf("it is %+v", p)
	}
	created, err = w.gate.Bootstrap(w.ctx, func(string, string) error { t.Error("a second secret"); return nil })
	w.ok(err)
	if created {
		t.Fatal("a second first user")
	}
	start := w.now
	for _, c := range []struct {
		after time.Duration
		open  bool
	}{{0, true}, {auth.FirstLinkLife - time.Millisecond, true}, {auth.FirstLinkLife, false}} {
		w.now = start.Add(c.after)
		if user, err := w.gate.LinkUser(w.ctx, code); err != nil || (user == "admin") != c.open {
			t.Errorf("after %s the link lets %q in: %v", c.after, user, err)
		}
	}
	w.now = start
	for _, e := range w.entries() {
		if e.Actor != "bootstrap" || e.Outcome != auth.OutcomeOK || e.Target != "user/admin" {
			t.Fatalf("entry %+v", e)
		}
	}
}

// TestBootstrapAfterACrash: wherever it breaks off, the next start succeeds.
func TestBootstrapAfterACrash(t *testing.T) {
	errCrash := errors.New("killed")
	for name, broken := range map[string]*brokenAccounts{
		"before the token": {token: errCrash}, "before the user": {user: errCrash},
	} {
		w := newWorld(t)
		broken.DB = w.db
		w.gate.Accounts = broken
		_, err := w.gate.Bootstrap(w.ctx, func(string, string) error { return nil })
		if !errors.Is(err, errCrash) {
			t.Fatalf("%s: %v", name, err)
		}
		w.gate.Accounts = w.db
		w.admin()
	}
	w := newWorld(t)
	_, err := w.gate.Bootstrap(w.ctx, func(string, string) error { return errors.New("disk full") })
	w.wantCode(err, errs.CodeUnavailable)
	w.admin()
}

type brokenAccounts struct {
	*sqlite.DB
	token, user error
}

func (b *brokenAccounts) AddToken(ctx context.Context, t auth.Token, g auth.Grant) error {
	if b.token != nil {
		return b.token
	}
	return b.DB.AddToken(ctx, t, g)
}

func (b *brokenAccounts) AddUser(ctx context.Context, u auth.User, g auth.Grant) error {
	if b.user != nil {
		return b.user
	}
	return b.DB.AddUser(ctx, u, g)
}

func TestAuthenticateRefuses(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	good, token, err := w.gate.CreateToken(w.ctx, admin, "admin", nil, "short", time.Hour)
	w.ok(err)
	code, _, err := w.gate.NewLogin(w.ctx, admin)
	w.ok(err)
	for _, bad := range []string{
		"", "hkl_", good[:len(good)-1], good + "A", strings.ToUpper(good), "hkll_" + good[4:],
		"hkl_" + strings.Repeat("A", 43), code, strings.Repeat("x", 1<<20), token.ID, "hkl_" + string(token.Hash[:]),
	} {
		_, err := w.gate.Authenticate(w.ctx, bad)
		w.wantCode(err, errs.CodeUnauthenticated)
		if e, _ := errs.As(err); e.Hint == "" || strings.Contains(err.Error(), good) {
			t.Fatalf("refusal %v", err)
		}
	}
	w.now = w.now.Add(time.Hour - time.Millisecond)
	w.principal(good)
	w.now = w.now.Add(time.Millisecond)
	_, err = w.gate.Authenticate(w.ctx, good)
	w.wantCode(err, errs.CodeUnauthenticated)
}

func TestCreateToken(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	bob := w.user(admin, "bob", auth.RoleReviewer)
	if !slices.Equal(bob.Roles, []auth.Role{auth.RoleReviewer}) {
		t.Fatalf("bob is %+v", bob)
	}
	create := func(p auth.Principal, user string, roles ...auth.Role) error {
		_, _, err := w.gate.CreateToken(w.ctx, p, user, roles, "x", time.Hour)
		return err
	}
	w.ok(create(bob, "bob"))
	w.ok(create(bob, "bob", auth.RoleReviewer))
	w.ok(create(admin, "bob"))
	w.wantCode(create(bob, "admin"), errs.CodeForbidden)
	w.wantCode(create(bob, "carol", auth.RoleViewer), errs.CodeForbidden)
	w.wantCode(create(bob, "bob", auth.RoleAdmin), errs.CodeConflict)
	w.wantCode(create(admin, "bob", auth.RoleAdmin), errs.CodeConflict)
	w.wantCode(create(admin, "carol"), errs.CodeBadInput)
	w.wantCode(create(admin, "carol", "root"), errs.CodeBadInput)
	w.wantCode(create(admin, "carol", auth.RoleViewer, auth.RoleViewer), errs.CodeBadInput)
	for _, name := range []string{"", "Bob", "a/b", "-x", "bootstrap", strings.Repeat("a", 65), "a\n"} {
		w.wantCode(create(admin, name, auth.RoleViewer), errs.CodeBadInput)
	}
	for _, ttl := range []time.Duration{0, -time.Hour, time.Second, 367 * 24 * time.Hour} {
		_, _, err := w.gate.CreateToken(w.ctx, bob, "bob", nil, "x", ttl)
		w.wantCode(err, errs.CodeBadInput)
	}
	for _, name := range []string{strings.Repeat("x", 101), "a\x1b[2J", "\xff"} {
		_, _, err := w.gate.CreateToken(w.ctx, bob, "bob", nil, name, time.Hour)
		w.wantCode(err, errs.CodeBadInput)
	}
	if _, err := w.db.User(w.ctx, "carol"); !errs.Is(err, errs.CodeNotFound) {
		t.Fatalf("carol: %v", err)
	}
}

// A token cannot outlive itself by making another.
func TestOwnTokensDoNotOutliveTheirMaker(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	bob := w.user(admin, "bob", auth.RoleAuthor) // for an hour
	w.now = w.now.Add(time.Minute)
	_, token, err := w.gate.CreateToken(w.ctx, bob, "bob", nil, "longer", auth.MaxTokenLife)
	w.ok(err)
	if !token.ExpiresAt.Equal(bob.ExpiresAt) {
		t.Errorf("a token until %s makes one until %s", bob.ExpiresAt, token.ExpiresAt)
	}
	_, token, err = w.gate.CreateToken(w.ctx, bob, "bob", nil, "shorter", time.Minute)
	w.ok(err)
	if !token.ExpiresAt.Equal(w.now.Add(time.Minute)) {
		t.Errorf("a minute lasts until %s", token.ExpiresAt)
	}
	_, token, err = w.gate.CreateToken(w.ctx, admin, "admin", nil, "next year's", auth.MaxTokenLife)
	w.ok(err)
	if !token.ExpiresAt.Equal(w.now.Add(auth.MaxTokenLife)) {
		t.Errorf("admin's own until %s", token.ExpiresAt)
	}
}

func TestRefusedAttemptsAreWritten(t *testing.T) {
	w := newWorld(t)
	bob := w.user(w.admin(), "bob", auth.RoleViewer)
	before := len(w.entries())
	_, err := w.gate.Authorize(w.ctx, bob, auth.HooksSubmit, "version/\x1b[2J"+strings.Repeat("x", 2000), strings.Repeat("é", 2000))
	w.wantCode(err, errs.CodeForbidden)
	if e, _ := errs.As(err); e.Hint != "roles that may: admin, author; ask an admin for one" {
		t.Errorf("hint %q", e.Hint)
	}
	list := w.entries()
	if len(list) != before+1 {
		t.Fatalf("%d new entries", len(list)-before)
	}
	e := list[before]
	if e.Actor != "bob" || e.TokenID != bob.TokenID || e.Action != "hooks.submit" || e.Outcome != "forbidden" || !e.At.Equal(w.now) {
		t.Fatalf("entry %+v", e)
	}
	if len(e.Detail) > auth.MaxDetailBytes || len(e.Target) > auth.MaxDetailBytes || strings.Contains(e.Target, "\x1b") {
		t.Fatalf("entry of %d and %d bytes: %.20q", len(e.Detail), len(e.Target), e.Target)
	}
}

func TestRefusedAttemptsAreCapped(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	bob, eve := w.user(admin, "bob", auth.RoleViewer), w.user(admin, "eve", auth.RoleViewer)
	before := len(w.entries())
	attempt := func(p auth.Principal) {
		_, err := w.gate.Authorize(w.ctx, p, auth.HooksSubmit, "x", "y")
		w.wantCode(err, errs.CodeForbidden)
	}
	for range 100 {
		attempt(eve)
	}
	if got := len(w.entries()) - before; got != 30 {
		t.Fatalf("%d entries of one user in a minute", got)
	}
	attempt(bob) // is not silenced by eve
	last := w.entries()[before+30]
	if last.Actor != "bob" || !strings.Contains(last.Detail, "70 refused attempts") {
		t.Fatalf("entry %+v", last)
	}
	w.now = w.now.Add(time.Minute)
	attempt(eve)
	if got := len(w.entries()) - before; got != 32 {
		t.Fatalf("%d entries after a minute", got)
	}
}

// TestNoLogNoAction: an attempt that cannot be written down is refused as
// unavailable, and an action whose entry cannot be written is not done.
func TestNoLogNoAction(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	bob := w.user(admin, "bob", auth.RoleViewer)
	grant, err := w.gate.Authorize(w.ctx, admin, auth.UsersManage, "user/carol", "")
	w.ok(err)
	w.ok(w.db.AddUser(w.ctx, auth.User{Name: "carol", Roles: []auth.Role{auth.RoleViewer}}, grant))
	if err := w.db.AddUser(w.ctx, auth.User{Name: "dave", Roles: []auth.Role{auth.RoleViewer}}, grant); err == nil {
		t.Fatal("a grant was used twice")
	}
	if _, err := w.db.User(w.ctx, "dave"); !errs.Is(err, errs.CodeNotFound) {
		t.Fatalf("dave: %v", err)
	}
	w.gate.Log = brokenLog{w.db}
	_, err = w.gate.Authorize(w.ctx, bob, auth.HooksSubmit, "x", "")
	w.wantCode(err, errs.CodeUnavailable)
}

type brokenLog struct{ *sqlite.DB }

func (brokenLog) AddEntry(context.Context, auth.Entry) error { return errors.New("no space left") }

func TestAZeroGrantIsADefect(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a zero Grant passed")
		}
	}()
	var g auth.Grant
	_ = g.Entry()
}

// TestNoSecretIsStored looks for every secret in the bytes of the database.
func TestNoSecretIsStored(t *testing.T) {
	w := newWorld(t)
	var secrets []string
	_, err := w.gate.Bootstrap(w.ctx, func(s, _ string) error { secrets = append(secrets, s); return nil })
	w.ok(err)
	admin := w.principal(secrets[0])
	s, _, err := w.gate.CreateToken(w.ctx, admin, "admin", nil, "x", time.Hour)
	w.ok(err)
	code, _, err := w.gate.NewLogin(w.ctx, admin)
	w.ok(err)
	secrets = append(secrets, s, code)
	_, err = w.gate.SetPassword(w.ctx, admin, "admin", "", password)
	w.ok(err)
	secrets = append(secrets, "x_"+password)
	files, err := filepath.Glob(filepath.Join(w.dir, "*"))
	w.ok(err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		w.ok(err)
		for _, secret := range secrets {
			_, body, _ := strings.Cut(secret, "_")
			if strings.Contains(string(b), body) {
				t.Errorf("%s holds a secret", filepath.Base(f))
			}
		}
	}
}

func TestParseRoles(t *testing.T) {
	got, err := auth.ParseRoles("author, reviewer,")
	if err != nil || cmp.Diff([]auth.Role{auth.RoleAuthor, auth.RoleReviewer}, got) != "" {
		t.Fatalf("%v %v", got, err)
	}
	for _, bad := range []string{"root", "author,author", "Author"} {
		if _, err := auth.ParseRoles(bad); !errs.Is(err, errs.CodeBadInput) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzAuthenticate: no bytes of a header get in or break anything.
func FuzzAuthenticate(f *testing.F) {
	dir := f.TempDir()
	db, err := sqlite.Open(f.Context(), filepath.Join(dir, "hookline.db"), sqlite.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	gate := &auth.Gate{Accounts: db, Log: db, Now: time.Now}
	for _, s := range []string{"", "hkl_", "hkl_" + strings.Repeat("a", 43), fmt.Sprintf("hkll_%043d", 0), "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := gate.Authenticate(t.Context(), s); !errs.Is(err, errs.CodeUnauthenticated) {
			t.Fatalf("%q: %v", s, err)
		}
		if _, err := gate.SpendLogin(t.Context(), s); !errs.Is(err, errs.CodeUnauthenticated) {
			t.Fatalf("%q: %v", s, err)
		}
	})
}
