package server

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

var update = flag.Bool("update", false, "write testdata anew")

// signIn does what a person does with a one-time link.
func (r *rig) signIn(role auth.Role) *http.Cookie {
	r.t.Helper()
	var link api.LoginLink
	r.must(role, "POST", "/api/login-links", nil, 201, &link)
	if a := r.send("", "GET", link.Path, nil); a.Status != 200 || len(a.Header.Values("Set-Cookie")) != 0 {
		r.t.Fatalf("GET of the link: %d %v", a.Status, a.Header)
	}
	a := r.send("", "POST", link.Path, nil)
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/" {
		r.t.Fatalf("POST of the link: %d %s", a.Status, a.Body)
	}
	c, err := http.ParseSetCookie(a.Header.Get("Set-Cookie"))
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// page fetches a page as a signed-in browser does.
func (r *rig) page(c *http.Cookie, path string) answer {
	r.t.Helper()
	return r.send("", "GET", path, nil, "Cookie", c.Name+"="+c.Value)
}

// Ids of the sample data.
const (
	peerID    = "0123456789abcdef0123456789abcdef"
	reportID  = "01960000-0000-7000-8000-000000000001"
	oddID     = "01960000-0000-7000-8000-000000000002"
	hookJobID = "01960000-0000-7000-8000-00000000000a"
	badJobID  = "01960000-0000-7000-8000-00000000000b"
)

// sample is two reports of one peer, two active hooks, one result, one run
// that failed.
func (r *rig) sample() (problem string, taint, memory api.Version) {
	r.t.Helper()
	taint, memory = r.activate("kernel-taint"), r.activate("memory-pressure")
	now := r.clock.now()
	peer := enroll.Peer{
		ID: peerID, Name: "web-1", SPKI: peerID + peerID, EnrolledAt: now, Version: "test",
		Facts: hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1.0-30-amd64", Arch: "amd64"}, AllowHooks: "no",
	}
	r.check(r.db.AddPeer(context.Background(), peer))
	report, err := hooks.ParseReport(read(r.t, "kernel-taint", "report.json"))
	r.check(err)
	problem = r.file(reportID, report, now)
	odd := report.Clone()
	odd[hooks.FieldStderr] = "<script>alert(1)</script>\x1b[31m red \u202e reversed\x00" + strings.Repeat("\nline", 30)
	r.file(oddID, odd, now.Add(-time.Minute))

	r.lease(hookJobID, taint)
	fields, err := hooks.ParseFields(compact(r.t, read(r.t, "kernel-taint", "expected.json")), taint.Predicate.Fields)
	r.check(err)
	canonical, err := fields.Canonical()
	r.check(err)
	r.decide(hookJobID, jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived, Denied: 2}, &collector.Result{
		ID: hookJobID, JobID: reportID, Hook: taint.Hook, Version: taint.Digest, PeerID: peerID, ProblemID: problem,
		Fields: canonical, Bytes: int64(len(canonical)), CreatedAt: now.Add(2 * time.Second),
	})
	r.lease(badJobID, memory)
	r.decide(badJobID, jobs.Decision{
		Status: jobs.Failed, Outcome: hooks.OutcomeFailed, Code: string(errs.CodeHookError), Text: "the hook ended with an error",
		HookError: "hook-error at line 12: attempt to index a nil value",
	}, nil)
	return problem, taint, memory
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) file(id string, report hooks.Report, at time.Time) (problem string) {
	r.t.Helper()
	fp := hooks.Fingerprint(report)
	j := jobs.Job{
		ID: id, PeerID: peerID, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer",
		CreatedAt: at, CompletedAt: at, Fingerprint: fp, ProblemID: hooks.ProblemID(fp), Report: report,
	}
	_, err := r.db.AddReport(context.Background(), j, collector.Problem{
		ID: j.ProblemID, Fingerprint: fp, Package: report[hooks.FieldPackage], Executable: report[hooks.FieldExecutablePath],
		Reports: 1, FirstSeen: at, LastSeen: at,
	})
	r.check(err)
	return j.ProblemID
}

func (r *rig) lease(id string, v api.Version) {
	r.t.Helper()
	now := r.clock.now()
	r.check(r.collector.Jobs.Lease(context.Background(), jobs.Job{
		ID: id, PeerID: peerID, TriggeredBy: "match", CreatedAt: now,
		Deadline: now.Add(jobs.DefaultDeadline), OriginalID: reportID, Hook: v.Hook, Version: v.Digest,
	}, now))
}

func (r *rig) decide(id string, d jobs.Decision, result *collector.Result) {
	r.t.Helper()
	_, err := r.collector.Jobs.Settle(context.Background(), id, d, result, r.clock.now().Add(2*time.Second))
	r.check(err)
}

func compact(t *testing.T, b []byte) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPages holds every page against its golden file. Keys are made anew in
// each run, so digests and signatures are replaced by words.
func TestPages(t *testing.T) {
	r := newRig(t)
	problem, taint, memory := r.sample()
	me := r.signIn(auth.RoleViewer)
	words := strings.NewReplacer(taint.Digest, "TAINT", taint.Digest[:12], "TAINT12", memory.Digest, "MEMORY", memory.Digest[:12], "MEMORY12",
		string(r.keys["alice"].Public().ID), "ALICE", problem, "PROBLEM")
	style := regexp.MustCompile(`hookline\.[0-9a-f]{12}\.css`)
	for name, path := range map[string]string{
		"job":      "/jobs/" + reportID,
		"odd":      "/jobs/" + oddID,
		"hookjob":  "/jobs/" + hookJobID,
		"failed":   "/jobs/" + badJobID,
		"problem":  "/problems/" + problem,
		"problems": "/problems",
		"version":  "/versions/" + taint.Digest,
		"peer":     "/peers/" + peerID,
		"missing":  "/jobs/nothing",
	} {
		t.Run(name, func(t *testing.T) {
			a := r.page(me, path)
			if want := 200; name != "missing" && a.Status != want {
				t.Fatalf("status %d\n%s", a.Status, a.Body)
			}
			for _, bad := range []string{"<script>", "\x1b", "\u202e", "\x00", "ZgotmplZ", "%!", " style="} {
				if strings.Contains(string(a.Body), bad) {
					t.Errorf("the page has %q", bad)
				}
			}
			compare(t, filepath.Join("testdata", name+".html"), style.ReplaceAllString(words.Replace(string(a.Body)), "STYLE"))
		})
	}
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		write(t, path, []byte(got))
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the page is not %s; look at the difference, then: go test ./internal/server -update\n%s", path, got)
	}
}

// TestLinksLeadSomewhere follows every link from the job page.
func TestLinksLeadSomewhere(t *testing.T) {
	r := newRig(t)
	r.sample()
	me := r.signIn(auth.RoleViewer)
	href := regexp.MustCompile(`(?:href|action)="(/[^"]*)"`)
	seen, todo := map[string]bool{}, []string{"/jobs/" + reportID, "/problems"}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		if seen[path] || path == "/logout" {
			continue
		}
		seen[path] = true
		a := r.page(me, path)
		if a.Status != 200 && (path != "/" || a.Status != http.StatusSeeOther) {
			t.Errorf("%s: status %d", path, a.Status)
		}
		for _, m := range href.FindAllStringSubmatch(string(a.Body), -1) {
			todo = append(todo, m[1])
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d links: %v", len(seen), seen)
	}
}

func TestHeadersOfPages(t *testing.T) {
	r := newRig(t)
	me := r.signIn(auth.RoleViewer)
	for _, path := range []string{"/problems", "/login/x", "/nothing", "/static/icon.svg"} {
		a := r.page(me, path)
		csp := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: no %s in %q", path, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: %q", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
}

func TestSession(t *testing.T) {
	r := newRig(t)
	var link api.LoginLink
	r.must(auth.RoleViewer, "POST", "/api/login-links", nil, 201, &link)
	if a := r.send("", "POST", link.Path, nil, "Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site"); a.Status != http.StatusForbidden {
		t.Errorf("a form from elsewhere: %d", a.Status)
	}
	a := r.send("", "POST", link.Path, nil)
	me, err := http.ParseSetCookie(a.Header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	if !me.HttpOnly || me.SameSite != http.SameSiteLaxMode || me.Path != "/" || me.Secure {
		t.Errorf("cookie %q", a.Header.Get("Set-Cookie"))
	}
	if again := r.send("", "POST", link.Path, nil); again.Status != http.StatusUnauthorized || again.Header.Get("Set-Cookie") != "" ||
		!strings.Contains(string(again.Body), "<code>unauthenticated</code>") {
		t.Errorf("the link a second time: %d %s", again.Status, again.Body)
	}
	for next, want := range map[string]string{
		"/jobs/" + reportID: "/jobs/" + reportID, "//evil.example": "/", "https://evil.example": "/", "/jobs/../x": "/", "/logout": "/", "/\\evil": "/",
	} {
		var link api.LoginLink
		r.must(auth.RoleViewer, "POST", "/api/login-links", nil, 201, &link)
		if a := r.send("", "POST", link.Path+"?next="+url.QueryEscape(next), nil); a.Header.Get("Location") != want {
			t.Errorf("next=%s leads to %s", next, a.Header.Get("Location"))
		}
	}
	if a := r.page(me, "/"); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/problems" {
		t.Errorf("/: %d %v", a.Status, a.Header)
	}
	if a := r.send("", "GET", "/problems", nil); a.Status != http.StatusUnauthorized {
		t.Errorf("/problems without a session: %d", a.Status)
	}
	token := &http.Cookie{Name: me.Name, Value: r.tokens[auth.RoleAdmin]}
	if a := r.page(token, "/problems"); a.Status != http.StatusUnauthorized {
		t.Errorf("/problems with an API token as cookie: %d", a.Status)
	}
	if a := r.send("", "POST", "/logout", nil, "Cookie", me.Name+"="+me.Value); a.Status != 200 {
		t.Errorf("logout: %d", a.Status)
	}
	if a := r.page(me, "/problems"); a.Status != http.StatusUnauthorized {
		t.Errorf("/problems after the sign-out: %d", a.Status)
	}
}
