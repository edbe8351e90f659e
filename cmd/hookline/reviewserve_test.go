package main

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/waitfor"
	"hookline/signing"
)

// locked is an output that several write.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// reviewer is a browser before a review page that runs.
type reviewer struct {
	t       *testing.T
	browser *http.Client
	link    string
	home    string // where the link led to
	out     *locked
}

// serving runs review serve until the test ends.
func serving(t *testing.T, env map[string]string, args ...string) *reviewer {
	t.Helper()
	return servingAt(t, strings.NewReader(""), env, args...)
}

// servingAt is serving for somebody who types.
func servingAt(t *testing.T, in io.Reader, env map[string]string, args ...string) *reviewer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	r := &reviewer{t: t, out: &locked{}}
	getenv := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	go func() {
		ended <- run(ctx, append([]string{"review", "serve"}, args...), getenv, in, r.out, r.out)
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("review serve ended with %d\n%s", code, r.out)
		}
	})
	link := regexp.MustCompile(`http://127\.0\.0\.1:\d+/open/\S+`)
	waitfor.True(t, 20*time.Second, "review serve prints its link", func() bool {
		r.link = link.FindString(r.out.String())
		return r.link != ""
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.browser = &http.Client{Jar: jar, Timeout: 30 * time.Second}
	return r
}

// opened has used its link.
func opened(t *testing.T, env map[string]string, args ...string) *reviewer {
	t.Helper()
	return serving(t, env, args...).open()
}

func (r *reviewer) open() *reviewer {
	t := r.t
	t.Helper()
	res := r.do(http.MethodPost, r.link, nil, nil)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("opening: %s\n%s", res.Status, res.body)
	}
	r.home = res.Request.URL.String()
	return r
}

type answer struct {
	*http.Response
	body string
}

func (r *reviewer) do(method, target string, form url.Values, change func(*http.Request)) answer {
	r.t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if change != nil {
		change(req)
	}
	res, err := r.browser.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{res, string(b)}
}

// read opens a version; sign sends its form.
func (r *reviewer) read(digest string) answer {
	r.t.Helper()
	return r.do(http.MethodGet, r.at(digest), nil, nil)
}

func (r *reviewer) at(digest string) string {
	base, _, _ := strings.Cut(r.home, "versions/")
	return base + "versions/" + digest
}

func (r *reviewer) sign(digest string) answer {
	r.t.Helper()
	return r.do(http.MethodPost, r.at(digest)+"/sign", url.Values{"confirm": {digest[:8]}, "comment": {"read it"}}, nil)
}

func (a answer) want(t *testing.T, status int, texts ...string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("%s %s: %s, want %d", a.Request.Method, a.Request.URL.Path, a.Status, status)
	}
	for _, text := range texts {
		if !strings.Contains(strings.ToLower(html.UnescapeString(a.body)), strings.ToLower(text)) {
			t.Errorf("%s %s: no %q in\n%.12000s", a.Request.Method, a.Request.URL.Path, text, a.body)
		}
	}
}

// The link lets one browser in, once; its cookie is for this page alone.
func TestReviewLinkWorksOnce(t *testing.T) {
	h := newShelf(t)
	r := serving(t, h.env, h.put("submitted", hookScript, nil).Digest)
	r.do(http.MethodGet, r.link, nil, nil).want(t, 200, "lets one browser in")
	r.do(http.MethodGet, r.link, nil, nil).want(t, 200, "lets one browser in") // looking spends nothing
	r.do(http.MethodPost, r.link+"x", nil, nil).want(t, 401, "opens nothing")
	r.browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	first := r.do(http.MethodPost, r.link, nil, nil)
	first.want(t, 303)
	c, err := http.ParseSetCookie(first.Header.Get("Set-Cookie"))
	if err != nil || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || len(c.Path) < 20 || !strings.HasPrefix(first.Header.Get("Location"), c.Path) {
		t.Errorf("cookie %+v, %v, to %s", c, err, first.Header.Get("Location"))
	}
	inside := strings.Replace(r.link, r.link[strings.Index(r.link, "/open/"):], first.Header.Get("Location"), 1)
	r.do(http.MethodGet, inside, nil, nil).want(t, 200, "Hook answer@4")

	r.browser.Jar = nil
	r.do(http.MethodGet, r.link, nil, nil).want(t, 401, "opens nothing")
	if again := r.do(http.MethodPost, r.link, nil, nil); again.StatusCode != http.StatusUnauthorized || again.Header.Get("Set-Cookie") != "" {
		t.Errorf("a second use: %s %s", again.Status, again.Header)
	}
	for _, cookie := range []string{"", "x", c.Value + "x"} { // the path alone is not enough
		got := r.do(http.MethodGet, inside, nil, func(req *http.Request) { req.AddCookie(&http.Cookie{Name: c.Name, Value: cookie}) })
		if got.StatusCode != http.StatusUnauthorized || strings.Contains(got.body, "answer@4") {
			t.Errorf("cookie %q: %s\n%s", cookie, got.Status, got.body)
		}
	}
	if !strings.Contains(r.out.String(), "the link is used up") {
		t.Error("the person was not told")
	}
}

// Nobody else's page reads or sends anything, and every answer has its headers.
func TestReviewPageIsForItselfAlone(t *testing.T) {
	h := newShelf(t)
	digest := h.put("submitted", hookScript, nil).Digest
	r := opened(t, h.env, digest, "--key", h.path("bob.key"))
	for name, change := range map[string]func(*http.Request){
		"another name":             func(req *http.Request) { req.Host = "evil.example" },
		"another name, same port":  func(req *http.Request) { req.Host = "evil.example:" + req.URL.Port() },
		"localhost":                func(req *http.Request) { req.Host = "localhost:" + req.URL.Port() },
		"the name without a port":  func(req *http.Request) { req.Host = "127.0.0.1" },
		"the name and another one": func(req *http.Request) { req.Host = "127.0.0.1:1" },
	} {
		if got := r.do(http.MethodGet, r.home, nil, change); got.StatusCode != http.StatusMisdirectedRequest || strings.Contains(got.body, "answer") {
			t.Errorf("%s: %s\n%s", name, got.Status, got.body)
		}
	}
	h.thief.got = nil
	for name, change := range map[string]func(*http.Request){
		"another site":         func(req *http.Request) { req.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another port of this": func(req *http.Request) { req.Header.Set("Sec-Fetch-Site", "same-site") },
		"an older browser, elsewhere": func(req *http.Request) {
			req.Header.Del("Sec-Fetch-Site")
			req.Header.Set("Origin", "http://evil.example")
		},
	} {
		got := r.do(http.MethodPost, r.at(digest)+"/sign", url.Values{"confirm": {digest[:8]}}, change)
		if got.StatusCode != http.StatusForbidden || h.thief.got != nil {
			t.Errorf("%s: %s, sent %s", name, got.Status, h.thief.got)
		}
	}
	got := r.do(http.MethodPost, r.at(digest)+"/answer", url.Values{"verdict": {"reject"}, "comment": {strings.Repeat("x", 1<<20)}}, nil)
	if got.want(t, 422, "Cannot read the form"); h.thief.got != nil {
		t.Error("sent")
	}
	for _, path := range []string{r.home, r.home + "/statement.json", r.home + "/nothing", r.link, "http://" + got.Request.URL.Host + "/none"} {
		got := r.do(http.MethodGet, path, nil, nil)
		if csp := got.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src") ||
			got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, got.Header)
		}
	}
}

// What is shown is what review approve shows; what is signed counts.
func TestReviewPageSigns(t *testing.T) {
	h := newShelf(t)
	h.put("active", hookScript, numbered(2), bob())
	v := h.put("submitted", hookScript+"-- more\n", wider)
	h.thief.version = v // the queue
	r := opened(t, h.env, "--key", h.path("bob.key"))
	r.do(http.MethodGet, r.home, nil, nil).want(t, 200, "answer@4", "versions/"+v.Digest)
	r.read(v.Digest).want(t, 200, v.Digest, "Runs as", "ROOT", "/etc/**", "everything below, at any depth",
		"Difference to answer@2", "the last approved version, verified on this machine: author alice, 1 of 1 reviewers: bob",
		"WIDER", "3 → 50", "-- more", "nobody yet", "0 of 1 reviewer", "not yet", "You approve", "bob.key", "its passphrase is asked for")
	for name, want := range map[string][]byte{"statement.json": v.Statement, "hook.lua": v.Script} {
		got := r.do(http.MethodGet, r.at(v.Digest)+"/"+name, nil, nil)
		if got.body != string(want) || !strings.HasPrefix(got.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %q %v", name, got.body, got.Header)
		}
	}
	for _, wrong := range []string{"", "00000000", v.Digest[:7], v.Digest[:9]} {
		h.thief.got = nil
		got := r.do(http.MethodPost, r.at(v.Digest)+"/sign", url.Values{"confirm": {wrong}, "comment": {"so <b>good</b>"}}, nil)
		if got.want(t, 422, "nothing was signed", "so <b>good</b>"); h.thief.got != nil || strings.Contains(got.body, "<b>") {
			t.Errorf("%q: sent %s", wrong, h.thief.got)
		}
	}
	r.sign(v.Digest).want(t, 200, "Signed.", "The signature of bob was uploaded and came back", "1 of 1 reviewer: enough", bob().Public().ID.Short())
	var sent api.NewReview
	h.must(json.Unmarshal(h.thief.got, &sent))
	p, err := signing.ParsePolicy(h.thief.info.Policy)
	h.must(err)
	if _, err := (signing.Rules{Policy: p, Now: time.Now()}).Verify(v.Script, v.Statement, [][]byte{v.Signatures[0], sent.Signature}); err != nil || sent.Comment != "read it" {
		t.Errorf("what was sent does not verify: %v, %+v", err, sent)
	}
	if h.thief.got = nil; strings.Contains(r.out.String(), "PRIVATE") {
		t.Error("a key was printed")
	}
	r.sign(v.Digest).want(t, 409, "bob has signed this version already")
	if h.thief.got != nil {
		t.Error("signed twice")
	}
}

// What is signed is what was shown: nothing is asked of the server in between,
// whatever it would say now.
func TestReviewPageSignsWhatItShowed(t *testing.T) {
	h := newShelf(t)
	v := h.put("submitted", hookScript, nil)
	r := opened(t, h.env, "--key", h.path("bob.key"))
	r.sign(v.Digest).want(t, 409, "not kept any more") // never shown
	if h.thief.got != nil {
		t.Fatalf("signed what was not shown: %s", h.thief.got)
	}
	r.read(v.Digest).want(t, 200, "Sign with this key")
	serve, asked := h.thief.answer, false
	h.thief.answer = func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasPrefix(req.URL.Path, "/api/versions/") && req.Method == http.MethodGet && h.thief.got == nil {
			asked = true
			evil := v
			evil.Statement = h.statement(func(p *hooks.Predicate) { p.As = hooks.AsRoot })
			_ = json.NewEncoder(w).Encode(evil)
			return true
		}
		return serve(w, req)
	}
	r.sign(v.Digest).want(t, 200, "came back")
	var sent api.NewReview
	h.must(json.Unmarshal(h.thief.got, &sent))
	p, err := signing.ParsePolicy(h.thief.info.Policy)
	h.must(err)
	if _, err := (signing.Rules{Policy: p, Now: time.Now()}).Verify(v.Script, v.Statement, [][]byte{v.Signatures[0], sent.Signature}); err != nil || asked {
		t.Errorf("something else was signed: %v, asked again: %t", err, asked)
	}
}

// What must not be signed is shown with the reason, and is not signed, also
// where the reason comes after it was shown.
func TestReviewPageRefusesToSign(t *testing.T) {
	for name, tt := range map[string]struct {
		key    string
		before func(h *shelf, v *api.Version)
		after  func(h *shelf, v api.Version)
		status int
		text   string
	}{
		"its author":    {key: "alice.key", status: 403, text: "alice is the author of this version"},
		"revoked":       {before: func(h *shelf, v *api.Version) { h.revokeVersion(*v) }, status: 403, text: "revoked"},
		"revoked since": {after: func(h *shelf, v api.Version) { h.revokeVersion(v) }, status: 403, text: "revoked"},
		"the reviewer's key is revoked": {after: func(h *shelf, _ api.Version) {
			h.revoke(signing.Revocation{Kind: signing.RevokeKey, Value: string(bob().Public().ID), Reason: "lost"})
		}, status: 403, text: "does not count"},
		"no author": {before: func(_ *shelf, v *api.Version) { v.Signatures = nil }, status: 403, text: "author"},
		"a time to come": {before: func(h *shelf, v *api.Version) {
			h.replace(v, func(p *hooks.Predicate) { p.NotBefore += 7200; p.NotAfter += 7200 })
		}, status: 403, text: "is valid from"},
		"another deployment": {before: func(h *shelf, v *api.Version) {
			h.replace(v, func(p *hooks.Predicate) { p.Deployment = "d-" + strings.Repeat("2", 32) })
		}, status: 403, text: "is signed for deployment"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newShelf(t)
			h.put("submitted", hookScript, nil)
			if tt.before != nil {
				tt.before(h, &h.versions[0])
			}
			v := h.versions[0]
			key := "bob.key"
			if tt.key != "" {
				key = tt.key
			}
			r := opened(t, h.env, v.Digest, "--key", h.path(key))
			shown := r.read(v.Digest)
			shown.want(t, 200)
			if tt.before != nil {
				if shown.want(t, 200, "Not to be signed", tt.text); strings.Contains(shown.body, "Sign with this key") {
					t.Error("there is a form")
				}
			}
			if tt.after != nil {
				tt.after(h, v)
			}
			r.sign(v.Digest).want(t, tt.status, tt.text)
			if h.thief.got != nil {
				t.Errorf("sent %s", h.thief.got)
			}
		})
	}
}

func (h *shelf) revokeVersion(v api.Version) {
	h.revoke(signing.Revocation{Kind: signing.RevokeVersion, Value: v.Digest, Reason: "loud"})
}

// replace makes another version of one that is there.
func (h *shelf) replace(v *api.Version, change func(*hooks.Predicate)) {
	h.versions = nil
	*v = h.put("submitted", hookScript, change)
}

// A server that sends something else than what was asked for shows nothing.
func TestReviewPageShowsNothingElse(t *testing.T) {
	h := newShelf(t)
	v := h.put("submitted", hookScript, nil)
	r := opened(t, h.env, "--key", h.path("bob.key"))
	r.read(v.Digest).want(t, 200)
	h.versions[0].Script = []byte("-- another\n")
	r.read(v.Digest).want(t, 403, "the server sent another script")
	r.sign(v.Digest).want(t, 409, "not kept any more")
	r.read("answer@4").want(t, 404)
	h.versions[0].Script = v.Script
	h.setPolicy(append(bytes.Clone(h.thief.info.Policy), "# mine\n"...), h.thief.info.Deployment)
	r.read(v.Digest).want(t, 403, "trust-root-mismatch")
}

const hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202egnp.exe\u2066\x00\u200b{{.Home}}"

// Nothing that a server, an author or a reviewer wrote is more than text.
func TestReviewPageShowsTextOnly(t *testing.T) {
	h := newShelf(t)
	big := strings.Repeat("w", 1<<20)
	v := h.put("submitted", "-- "+strings.ReplaceAll(hostile, "\x00", "")+"\n"+hookScript, func(p *hooks.Predicate) {
		p.Capabilities.FSRead = []string{`/tmp/<script>alert(1)<b>"x`}
	})
	at := time.Now().Add(-3 * time.Hour)
	w := &h.versions[0]
	w.SubmittedBy, w.State, w.SubmittedAt = hostile+big, hostile, at
	w.Reviews = []api.Review{{User: hostile, Verdict: hostile, Comment: hostile + big, At: at}}
	for range 1000 {
		w.Reviews = append(w.Reviews, api.Review{User: "u", Comment: "c"})
	}
	h.thief.version = *w
	h.thief.version.State, h.thief.version.Hook, h.thief.version.Digest = "submitted", hostile+big, `"><script>`
	r := opened(t, h.env, "--key", h.path("bob.key"))
	for _, target := range []string{r.home, r.at(v.Digest)} {
		got := r.do(http.MethodGet, target, nil, nil)
		got.want(t, 200, "alert(1)", "⟨U+202E⟩")
		for _, bad := range []string{"<script", "<img", "<b>", "\u202e", "\u2066", "\x00", "\u200b", "onerror=alert(1)>"} {
			if strings.Contains(got.body, bad) {
				t.Errorf("%q in the page %s", bad, target)
			}
		}
		if len(got.body) > 256<<10 {
			t.Errorf("%d bytes", len(got.body))
		}
	}
	r.read(v.Digest).want(t, 200, "801 more words", "holds control or invisible characters", "bytes in all")
	// A refusal in the server's own words, too.
	serve := h.thief.answer
	h.thief.answer = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost {
			return serve(w, req)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": "conflict", "detail": hostile + big, "status": 409})
		return true
	}
	got := r.sign(v.Digest)
	if got.want(t, 409, "alert(1)"); strings.Contains(got.body, "<script") || strings.Contains(got.body, "\u202e") || len(got.body) > 256<<10 {
		t.Errorf("%d bytes of the server's words: %.2000s", len(got.body), got.body)
	}
}

// Reject and request changes go to the server with their comment, for what was
// shown.
func TestReviewPageAnswers(t *testing.T) {
	h := newShelf(t)
	v := h.put("submitted", hookScript, nil)
	r := opened(t, h.env)
	r.read(v.Digest).want(t, 200, "No key was given")
	h.thief.answer = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPost {
			_ = json.NewEncoder(w).Encode(h.versions[0])
			return true
		}
		return h.serve(w, req)
	}
	for _, verdict := range []string{"reject", "request-changes"} {
		h.thief.got = nil
		r.do(http.MethodPost, r.at(v.Digest)+"/answer", url.Values{"verdict": {verdict}, "comment": {"smaller"}}, nil).want(t, 200)
		var sent api.NewReview
		h.must(json.Unmarshal(h.thief.got, &sent))
		if sent.Verdict != verdict || sent.Comment != "smaller" || sent.Signature != nil {
			t.Errorf("%+v", sent)
		}
	}
	h.thief.got = nil
	for _, form := range []url.Values{{"verdict": {"approve"}, "comment": {"x"}}, {"verdict": {"reject"}, "comment": {" "}}, {}} {
		if r.do(http.MethodPost, r.at(v.Digest)+"/answer", form, nil).want(t, 422, "nothing was sent"); h.thief.got != nil {
			t.Errorf("%v: sent %s", form, h.thief.got)
		}
	}
	r.sign(v.Digest).want(t, 422, "no key")
	if h.thief.got != nil {
		t.Error("signed without a key")
	}
}

// A page that nobody uses ends by itself, and says so.
func TestReviewPageEnds(t *testing.T) {
	h := newShelf(t)
	h.want(0, "nobody used the page for 20ms", "review", "serve", "--idle", "20ms")
	h.want(2, "is no port", "review", "serve", "--port", "70000")
	h.want(2, "has to stay", "review", "serve", "--idle", "0s")
	h.want(3, "cannot read", "review", "serve", "--key", h.path("none.key"))
}
