package door

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
)

type ctx = context.Context

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// A link is a button; only the button spends it, once.
func TestLink(t *testing.T) {
	s := newRig(t)
	link, b := s.link(), s.browser()
	for range 2 {
		b.want(b.get(link+"?next=%2Fjobs%3Fpeer%3D1"), http.StatusOK, "<h1>Sign in with a link</h1>", `<form method="post" id="sign-in">`, "<strong>admin</strong>")
		if len(b.set) != 0 {
			t.Errorf("a look at the link sets %v", b.set)
		}
	}
	a := b.post(link+"?next=%2Fjobs%3Fpeer%3D1", nil)
	b.want(a, http.StatusSeeOther)
	if a.location != "/jobs?peer=1" {
		t.Errorf("it leads to %q", a.location)
	}
	c := b.set[0]
	if c.Name != "__Host-hookline" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("the cookie is %+v", c)
	}
	b.want(b.get("/jobs"), http.StatusOK, "Page of admin")
	row, err := s.sessionRow(b)
	s.ok(err)
	if !row.ExpiresAt.Equal(s.now.Add(auth.SessionLife)) {
		t.Errorf("the row is kept until %s", row.ExpiresAt)
	}
	other := s.browser()
	other.want(other.get(link), http.StatusUnauthorized, "used already")
	other.want(other.post(link, nil), http.StatusUnauthorized, "used already", "hookline open")
	for _, next := range []string{"https://example.org/", "//example.org", `/\example.org`, "javascript:alert(1)", "jobs"} {
		if a := s.browser().post(s.link()+"?next="+url.QueryEscape(next), nil); a.location != "/" {
			t.Errorf("%q leads to %q", next, a.location)
		}
	}
}

func TestPassword(t *testing.T) {
	s := newRig(t)
	_, err := s.gate.SetPassword(t.Context(), s.admin, "admin", "", password)
	s.ok(err)
	s.now = s.now.Add(time.Second)
	b := s.browser()
	b.cookies["__Host-hookline"] = "planted-by-somebody-else"
	b.want(b.get("/sign-in?next=/jobs"), http.StatusOK, `name="to" value="/jobs"`)
	a := b.post("/sign-in", url.Values{"user": {`ad"min`}, "password": {"hunter2hunter2"}, "to": {"/jobs"}})
	b.want(a, http.StatusUnauthorized, "The user or the password is wrong", `value="ad&#34;min"`, `name="to" value="/jobs"`)
	if strings.Contains(a.body, "hunter2") {
		t.Error("the password is on the page")
	}
	a = b.post("/sign-in", url.Values{"user": {"admin"}, "password": {password}, "to": {"/jobs"}})
	b.want(a, http.StatusSeeOther)
	if a.location != "/jobs" || b.cookies["__Host-hookline"] == "planted-by-somebody-else" || !b.in() {
		t.Errorf("to %q, in %v", a.location, b.in())
	}
	for _, to := range []string{"https://example.org/", "//example.org", "javascript:alert(1)"} {
		if a := b.get("/sign-in?next=" + url.QueryEscape(to)); a.location != "/" {
			t.Errorf("?next=%s leads to %q", to, a.location)
		}
		if a := b.post("/sign-in", url.Values{"user": {"admin"}, "password": {password}, "to": {to}}); a.status != http.StatusSeeOther || a.location != "/" {
			t.Errorf("a form leads to %q", a.location)
		}
	}
	if a := b.get("/sign-in?next=/jobs"); a.status != http.StatusSeeOther || a.location != "/jobs" {
		t.Errorf("who is in is asked again: %d %s", a.status, a.location)
	}
	first := b.cookies["__Host-hookline"]
	b.want(b.post(s.link(), nil), http.StatusSeeOther)
	if _, err := s.db.Session(t.Context(), hashOf(first)); !errs.Is(err, errs.CodeNotFound) {
		t.Errorf("the session before is there still: %v", err)
	}
}

// A browser that tries too often is told how long to wait.
func TestLockOutIsShown(t *testing.T) {
	s := newRig(t)
	b := s.browser()
	for range 5 {
		b.want(b.post("/sign-in", url.Values{"user": {"carol"}, "password": {"x"}}), http.StatusUnauthorized)
	}
	b.want(b.post("/sign-in", url.Values{"user": {"carol"}, "password": {"x"}}), http.StatusTooManyRequests, "Wait 15 min")
}

// Nobody's browser gets a session or a row, whatever it asks.
func TestStrangersLeaveNothingBehind(t *testing.T) {
	s := newRig(t)
	for _, path := range []string{"/jobs", "/sign-in", "/account", "/nothing"} {
		b := s.browser()
		b.cookies["__Host-hookline"] = strings.Repeat("x", 4000)
		b.get(path)
		if len(b.set) != 0 {
			t.Errorf("%s sets %v", path, b.set)
		}
	}
}

// An address that needs a session leads there once there is one.
func TestAskedPage(t *testing.T) {
	s := newRig(t)
	b := s.browser()
	a := b.get("/jobs?peer=a%2Fb&q=%3Cscript%3E")
	b.want(a, http.StatusUnauthorized, "<h1>Sign in</h1>", "hookline open")
	if strings.Contains(a.body, "<script>") {
		t.Error("the address is markup")
	}
	if to := b.fields(a.body, "sign-in").Get("to"); to != "/jobs?peer=a%2Fb&q=%3Cscript%3E" {
		t.Errorf("it would lead to %q", to)
	}
}

// What was typed into a form whose session is over is kept, byte for byte, and
// sent when the person says so; nothing is done before, and no password is on a
// page.
func TestTypedIsKept(t *testing.T) {
	s := newRig(t)
	_, err := s.gate.SetPassword(t.Context(), s.admin, "admin", "", password)
	s.ok(err)
	s.now = s.now.Add(time.Second)
	b := s.signedIn()
	s.now = s.now.Add(auth.SessionLife)
	typed := url.Values{
		"reason": {"two\r\nlines & <script>alert(1)</script> \u202e \"quoted\""}, "role": {"author", "reviewer"}, "kept-x": {"y"},
		"empty": {""}, "old_password": {"secret-one"}, "new_password": {"secret-two"},
	}
	a := b.post("/things/7/change?x=1", typed)
	b.want(a, http.StatusUnauthorized, "What you typed is kept")
	want := url.Values{"reason": typed["reason"], "role": typed["role"], "kept-x": {"y"}, "empty": {""}}
	if diff := cmp.Diff(want, b.fields(a.body, "resend")); diff != "" {
		t.Error(diff)
	}
	form := b.fields(a.body, "sign-in")
	form.Set("user", "admin")
	form.Set("password", "wrong password")
	a = b.post("/sign-in", form)
	b.want(a, http.StatusUnauthorized)
	form = b.fields(a.body, "sign-in")
	form.Set("user", "admin")
	form.Set("password", password)
	a = b.post("/sign-in", form)
	b.want(a, http.StatusOK, "Send what you typed?", `action="/things/7/change"`)
	for _, no := range []string{"<script>alert", "secret-", "four unrelated", "\u202e\" "} {
		if strings.Contains(a.body, no) {
			t.Errorf("the page has %q", no)
		}
	}
	if len(s.got) != 0 {
		t.Fatal("it was sent before anybody said so")
	}
	b.want(b.post("/things/7/change", b.fields(a.body, "resend")), http.StatusSeeOther)
	if len(s.got) != 1 {
		t.Fatalf("it was sent %d times", len(s.got))
	}
	if diff := cmp.Diff(want, s.got[0]); diff != "" {
		t.Error(diff)
	}
}

// A form that came from elsewhere is refused before anybody asks who sent it.
func TestFormsFromElsewhere(t *testing.T) {
	s := newRig(t)
	b := s.signedIn()
	for _, path := range []string{"/things/7/change", "/logout", "/sign-in", "/account/sessions", s.link()} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("x=y"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		b.want(b.do(r), http.StatusForbidden)
	}
	if len(s.got) != 0 || !b.in() {
		t.Error("something was done")
	}
}

func TestSignOut(t *testing.T) {
	s := newRig(t)
	b := s.signedIn()
	secret := b.cookies["__Host-hookline"]
	a := b.post("/logout", nil)
	b.want(a, http.StatusSeeOther)
	b.want(b.get(a.location), http.StatusOK, "You are signed out.")
	if b.cookies["__Host-hookline"] != "" {
		t.Error("the cookie is there still")
	}
	if _, err := s.db.Session(t.Context(), hashOf(secret)); !errs.Is(err, errs.CodeNotFound) {
		t.Errorf("the row: %v", err)
	}
	b.cookies["__Host-hookline"] = secret
	if b.in() {
		t.Error("the secret is good still")
	}
	b.want(b.post("/logout", nil), http.StatusSeeOther) // again is no failure
	entries, err := s.db.Entries(t.Context(), auth.EntryFilter{Action: "logins.end", Limit: 10})
	s.ok(err)
	if len(entries) != 1 || entries[0].Actor != "admin" || entries[0].TokenID == "" {
		t.Errorf("entries %+v", entries)
	}
}

// A request that is under way brings back no session that ends meanwhile, and
// an answer that stays open learns of it.
func TestNothingBringsASessionBack(t *testing.T) {
	s := newRig(t)
	b := s.signedIn()
	key := hashOf(b.cookies["__Host-hookline"])
	s.onPage = func(r *kit.Request) {
		if _, err := s.door.Still(r.Request); err != nil {
			t.Errorf("before: %v", err)
		}
		s.ok(s.db.EndSession(r.Context(), key))
		r.Say("something")
		if _, err := s.door.Still(r.Request); !errs.Is(err, errs.CodeUnauthenticated) {
			t.Errorf("after: %v", err)
		}
	}
	b.want(b.get("/jobs"), http.StatusOK)
	if _, err := s.db.Session(t.Context(), key); !errs.Is(err, errs.CodeNotFound) {
		t.Errorf("the row: %v", err)
	}
}

// A new password and the button end every other browser, and keep this one,
// under a new secret.
func TestAccount(t *testing.T) {
	s := newRig(t)
	here, there := s.signedIn(), s.signedIn()
	here.want(here.get("/account"), http.StatusOK, "Set a password", "admin")
	before := here.cookies["__Host-hookline"]
	here.want(here.post("/account/sessions", nil), http.StatusSeeOther)
	here.want(here.get("/account"), http.StatusOK, "Every other browser of yours is signed out.")
	if !here.in() || there.in() || here.cookies["__Host-hookline"] == before {
		t.Errorf("here %v, there %v", here.in(), there.in())
	}
	s.now = s.now.Add(time.Second)
	there = s.signedIn()
	set := func(old, one, two string) answer {
		return here.post("/account/password", url.Values{"old_password": {old}, "new_password": {one}, "new_password_again": {two}})
	}
	here.want(set("", password, password+"!"), http.StatusUnprocessableEntity, "The two new passwords are not the same")
	here.want(set("", "short", "short"), http.StatusUnprocessableEntity, "A password is 10 to 128 bytes")
	here.want(set("", password, password), http.StatusSeeOther)
	if !here.in() || there.in() {
		t.Errorf("here %v, there %v", here.in(), there.in())
	}
	a := set("wrong password", password+"!", password+"!")
	here.want(a, http.StatusUnprocessableEntity, "The old password is wrong", "Change your password")
	if strings.Contains(a.body, password) {
		t.Error("the password is on the page")
	}
	here.want(set(password, password+"!", password+"!"), http.StatusSeeOther)
	row, err := s.sessionRow(here)
	s.ok(err)
	if !row.ExpiresAt.Before(s.now.Add(auth.SessionLife)) {
		t.Errorf("the session became longer: until %s", row.ExpiresAt)
	}
}

// A sentence for the next page is said once, as text.
func TestSaid(t *testing.T) {
	s := newRig(t)
	b := s.signedIn()
	b.want(b.post("/things/7/change", url.Values{}), http.StatusSeeOther)
	b.want(b.get("/jobs"), http.StatusOK, "It is done for &lt;admin&gt;.")
	if a := b.get("/jobs"); strings.Contains(a.body, "It is done") {
		t.Error("it is said twice")
	}
	for _, bad := range []string{"%%%", "x", base64.RawURLEncoding.EncodeToString([]byte("\xff\xfe")), base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", maxSaid+1)))} {
		b.cookies["__Host-hookline-said"] = bad
		if a := b.get("/jobs"); a.status != http.StatusOK || strings.Contains(a.body, `class="notice good"`) {
			t.Errorf("%.20q is said: %d", bad, a.status)
		}
	}
}

// A store that is away takes nobody's session: it says so.
func TestStoreAway(t *testing.T) {
	s := newRig(t)
	b := s.signedIn()
	s.sessions = awaySessions{s.db}
	b.want(b.get("/jobs"), http.StatusServiceUnavailable)
	s.sessions = s.db
	if !b.in() {
		t.Error("the session is gone")
	}
}

// A row that is damaged is nobody's, and so is one that is over, whatever it says.
func TestDamagedRows(t *testing.T) {
	s := newRig(t)
	over := s.signedIn()
	row, err := s.sessionRow(over)
	s.ok(err)
	row.ExpiresAt = s.now
	s.ok(s.db.PutSession(t.Context(), row))
	if over.in() {
		t.Error("a row that is over lets somebody in")
	}
	for _, data := range []string{
		"", "x", "null", "[]", `{"values":{"user":7}}`, `{"values":{"user":"admin"}}`,
		`{"values":{"user":"admin","since":"x","until":"y"}}`, `{"deadline":"2030-01-01T00:00:00Z","values":{"user":"nobody","since":"0","until":"99999999999999"}}`,
	} {
		b := s.signedIn()
		s.ok(s.db.PutSession(t.Context(), auth.Session{Key: hashOf(b.cookies["__Host-hookline"]), Data: []byte(data), ExpiresAt: s.now.Add(time.Hour)}))
		if b.in() {
			t.Errorf("%q lets somebody in", data)
		}
	}
}

// FuzzDecode: what is stored makes words or nothing.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"deadline":"2030-01-01T00:00:00Z","values":{"user":"admin","since":"0"}}`))
	f.Add([]byte(`{"values":{"a":{}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, values, err := codec{}.Decode(b)
		if err != nil || values == nil {
			t.Fatalf("%v %v", values, err)
		}
		for key, v := range values {
			if _, ok := v.(string); !ok {
				t.Errorf("%s is a %T", key, v)
			}
		}
	})
}
