package admin

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hookline/internal/auth"
	"hookline/internal/web/kit/kittest"
)

const password = "four unrelated words here"

// newSite has users admin and bob, and the pages.
func newSite(t *testing.T) *kittest.Site {
	t.Helper()
	s := kittest.New(t)
	var secret string
	_, err := s.Gate.Bootstrap(t.Context(), func(got, _ string) error { secret = got; return nil })
	ok(t, err)
	admin, err := s.Gate.Authenticate(t.Context(), secret)
	ok(t, err)
	ok(t, s.Gate.AddUser(t.Context(), admin, "bob", []auth.Role{auth.RoleViewer, auth.RoleAuthor}))
	routes, err := Routes(s.Kit, Parts{Gate: s.Gate, Log: s.DB})
	return s.Serve(routes, err)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q:\n%s", text, page)
		}
	}
}

// Each page and form is for those whose role holds its permission; a refused
// form is in the audit log.
func TestAccess(t *testing.T) {
	s := newSite(t)
	for path, may := range map[string][]auth.Role{
		"/audit": {auth.RoleAdmin, auth.RoleOperator}, "/users": {auth.RoleAdmin}, "/users/bob": {auth.RoleAdmin}, "/tokens": auth.Roles(),
	} {
		for _, role := range auth.Roles() {
			want := http.StatusForbidden
			for _, m := range may {
				if m == role {
					want = http.StatusOK
				}
			}
			if a := s.Get(path, role); a.Status != want {
				t.Errorf("%s as %s: %d, want %d", path, role, a.Status, want)
			}
		}
	}
	forms := []string{"/users", "/users/bob/roles", "/users/bob/off", "/users/bob/password", "/users/bob/sessions", "/users/bob/tokens"}
	typed := url.Values{"name": {"eve"}, "role": {"admin"}, "off": {"yes"}, "new_password": {password}, "new_password_again": {password}, "days": {"9"}}
	for _, path := range forms {
		for _, role := range auth.Roles()[1:] {
			if a := s.Post(path, typed, role); a.Status != http.StatusForbidden && a.Status != http.StatusNotFound {
				t.Errorf("%s as %s: %d", path, role, a.Status)
			}
		}
	}
	u, err := s.DB.User(t.Context(), "bob")
	ok(t, err)
	if u.Off || u.Password != "" || len(u.Roles) != 2 {
		t.Errorf("bob was changed: %+v", u)
	}
	has(t, s.Want("/audit?actor=author", auth.RoleAdmin), "refused", "forbidden", "users.manage")
}

func TestAudit(t *testing.T) {
	s := newSite(t)
	page := s.Want("/audit", auth.RoleAdmin)
	has(t, page, "<h1>Audit log</h1>", `href="/users/bob"`, `href="/audit?actor=bootstrap"`, `href="/audit?action=users.manage"`, "new user with roles [viewer author]")
	if strings.Contains(s.Want("/audit", auth.RoleOperator), `href="/users/`) {
		t.Error("an operator is led to where they may not go")
	}
	day := func(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly) } // ids have the time of the machine
	narrowed := s.Want("/audit?actor=bootstrap&target=user%2Fadmin&from="+day(-1)+"&until="+day(0), auth.RoleAdmin)
	if strings.Contains(narrowed, "user/bob") || strings.Count(narrowed, `<tr role="row">`) != 1+3 {
		t.Errorf("bootstrap did three things:\n%s", narrowed)
	}
	has(t, s.Want("/audit?from="+day(2), auth.RoleAdmin), "Nothing fits these filters.")
	has(t, s.Want("/audit?until="+day(-2), auth.RoleAdmin), "Nothing fits these filters.")
	newest, oldest := s.Want("/audit?action=users.manage", auth.RoleAdmin), s.Want("/audit?action=users.manage&sort=oldest", auth.RoleAdmin)
	if strings.Index(newest, "user/bob") > strings.Index(newest, "user/admin") || strings.Index(oldest, "user/bob") < strings.Index(oldest, "user/admin") {
		t.Error("the orders are the same")
	}
	for _, bad := range []string{"?from=x", "?sort=x", "?actor=" + strings.Repeat("x", 300)} {
		if a := s.Get("/audit"+bad, auth.RoleAdmin); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%.20s: %d", bad, a.Status)
		}
	}
}

// What people typed is text, on the page and in the export.
func TestHostileAudit(t *testing.T) {
	s := newSite(t)
	for i, detail := range []string{"<script>alert(1)</script>", `=HYPERLINK("http://x")`, "\u202eabc"} {
		ok(t, s.DB.AddEntry(t.Context(), auth.Entry{
			ID: fmt.Sprintf("0196aaaa-0000-7000-8000-00000000000%d", i), At: s.Clock.Now(), Actor: detail, Action: "hx-get", Target: "version/../users?x=" + detail, Detail: detail, Outcome: detail,
		}))
	}
	page := s.Want("/audit", auth.RoleAdmin)
	for _, bad := range []string{"<script>alert", "\u202e", `href="/versions/../`} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	a := s.Get("/audit?format=csv", auth.RoleAdmin)
	rows, err := csv.NewReader(strings.NewReader(a.Body)).ReadAll()
	ok(t, err)
	for _, row := range rows {
		for _, cell := range row {
			if strings.HasPrefix(cell, "=") {
				t.Errorf("a formula: %q", cell)
			}
		}
	}
	has(t, strings.Join(rows[0], " "), "at actor action target outcome detail token_id id")
}

func TestUsers(t *testing.T) {
	s := newSite(t)
	has(t, s.Want("/users", auth.RoleAdmin), `href="/users/bob"`, "viewer, author", `id="add-user"`)
	for query, want := range map[string][2]bool{ // admin, bob
		"?role=author": {false, true}, "?role=admin": {true, false}, "?name=bo": {false, true}, "?state=off": {false, false}, "?state=on": {true, true},
	} {
		page := s.Want("/users"+query, auth.RoleAdmin)
		if got := [2]bool{strings.Contains(page, `href="/users/admin"`), strings.Contains(page, `href="/users/bob"`)}; got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	a := s.Post("/users", url.Values{"name": {"Carol"}, "role": {"operator"}}, auth.RoleAdmin)
	if a.Status != http.StatusUnprocessableEntity {
		t.Errorf("a bad name: %d", a.Status)
	}
	has(t, a.Body, `value="Carol"`, `value="operator" checked`, `id="refusal"`)
	if a := s.Post("/users", url.Values{"name": {"bob"}, "role": {"operator"}}, auth.RoleAdmin); a.Status != http.StatusConflict {
		t.Errorf("a name that is taken: %d", a.Status)
	}
	a = s.Post("/users", url.Values{"name": {" carol "}, "role": {"operator", "viewer"}}, auth.RoleAdmin)
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/users/carol" {
		t.Fatalf("carol: %d %s", a.Status, a.Body)
	}
	has(t, s.Want("/users/carol", auth.RoleAdmin), "User carol", "operator, viewer", "They have none.")
	if a := s.Get("/users/nobody", auth.RoleAdmin); a.Status != http.StatusNotFound {
		t.Errorf("nobody: %d", a.Status)
	}
}

func TestUser(t *testing.T) {
	s := newSite(t)
	page := s.Want("/users/bob", auth.RoleAdmin)
	has(t, page, `action="/users/bob/roles"`, `value="viewer" checked`, `value="admin">`, `id="off"`, `id="password"`, `href="/audit?actor=bob"`, `href="/audit?target=user%2Fbob"`)
	self := s.Want("/users/admin", auth.RoleAdmin)
	if strings.Contains(self, `id="off"`) || strings.Contains(self, `id="password"`) || !strings.Contains(self, `href="/account"`) {
		t.Error("one's own page turns one off")
	}
	done := func(path string, typed url.Values) {
		t.Helper()
		if a := s.Post(path, typed, auth.RoleAdmin); a.Status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	bob := func() auth.User {
		u, err := s.DB.User(t.Context(), "bob")
		ok(t, err)
		return u
	}
	done("/users/bob/roles", url.Values{"role": {"reviewer"}})
	done("/users/bob/off", url.Values{"off": {"yes"}})
	has(t, s.Want("/users/bob", auth.RoleAdmin), "bob is off: nothing lets them in.", "Let them in again")
	if u := bob(); !u.Off || len(u.Roles) != 1 || u.Roles[0] != auth.RoleReviewer {
		t.Errorf("bob is %+v", u)
	}
	done("/users/bob/off", url.Values{"off": {"no"}})
	before := bob().SessionsFrom
	s.Clock.Advance(time.Minute)
	done("/users/bob/sessions", nil)
	if u := bob(); u.Off || !u.SessionsFrom.After(before) {
		t.Errorf("bob is %+v", u)
	}
	for name, typed := range map[string]url.Values{
		"/users/bob/password": {"new_password": {password}, "new_password_again": {"another one"}}, "/users/bob/roles": {}, "/users/bob/tokens": {"days": {"0"}, "token": {"laptop"}},
	} {
		a := s.Post(name, typed, auth.RoleAdmin)
		if a.Status != http.StatusUnprocessableEntity || strings.Contains(a.Body, password) {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	if a := s.Post("/users/admin/roles", url.Values{"role": {"viewer"}}, auth.RoleAdmin); a.Status != http.StatusConflict {
		t.Errorf("the last admin: %d", a.Status)
	}
	done("/users/bob/password", url.Values{"new_password": {password}, "new_password_again": {password}})
	s.Clock.Advance(time.Minute)
	_, err := s.Gate.SignIn(t.Context(), "bob", password, "192.0.2.1")
	ok(t, err)
}

// A token made here is shown once, and revoked here.
func TestTokens(t *testing.T) {
	s := newSite(t)
	if a := s.Post("/users/nobody/tokens", url.Values{"days": {"9"}}, auth.RoleAdmin); a.Status != http.StatusNotFound {
		t.Errorf("a token of nobody: %d", a.Status)
	}
	a := s.Post("/users/bob/tokens", url.Values{"days": {"9"}, "token": {"<b>laptop"}}, auth.RoleAdmin)
	_, rest, found := strings.Cut(a.Body, `id="secret"><code data-copy>`)
	secret, _, _ := strings.Cut(rest, "<")
	if a.Status != http.StatusOK || !found {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	p, err := s.Gate.Authenticate(t.Context(), secret)
	ok(t, err)
	for _, path := range []string{"/tokens", "/tokens?user=bob", "/users/bob", "/tokens?token=" + p.TokenID} {
		page := s.Want(path, auth.RoleAdmin)
		has(t, page, "&lt;b&gt;laptop", p.TokenID)
		if strings.Contains(page, secret) {
			t.Errorf("%s has the secret", path)
		}
	}
	has(t, s.Want("/tokens?token="+p.TokenID, auth.RoleAdmin), `action="/tokens/`+p.TokenID+`/revoke"`)
	for _, id := range []string{"nobody", "../users/bob/off?"} {
		if a := s.Get("/tokens?token="+url.QueryEscape(id), auth.RoleAdmin); a.Status != http.StatusNotFound {
			t.Errorf("token %s: %d", id, a.Status)
		}
	}
	for path, status := range map[string]int{"/tokens?token=" + p.TokenID: http.StatusNotFound, "/tokens?user=bob": http.StatusForbidden, "/tokens": http.StatusOK} {
		if a := s.Get(path, auth.RoleViewer); a.Status != status || strings.Contains(a.Body, "laptop") {
			t.Errorf("%s as another: %d", path, a.Status)
		}
	}
	if a := s.Post("/tokens/"+p.TokenID+"/revoke", nil, auth.RoleViewer); a.Status != http.StatusNotFound {
		t.Errorf("revoked by another: %d", a.Status)
	}
	if got := s.Want("/tokens?state=over", auth.RoleAdmin); strings.Contains(got, "laptop") {
		t.Error("an open token is over")
	}
	s.Clock.Advance(10 * 24 * time.Hour)
	has(t, s.Want("/tokens?state=over", auth.RoleAdmin), "laptop", "over")
	if a := s.Post("/tokens/"+p.TokenID+"/revoke", nil, auth.RoleAdmin); a.Status != http.StatusSeeOther {
		t.Errorf("revoke: %d %s", a.Status, a.Body)
	}
	if strings.Contains(s.Want("/tokens", auth.RoleAdmin), "?token="+p.TokenID) {
		t.Error("it is there still")
	}
}
