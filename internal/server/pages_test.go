package server

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
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
	"hookline/internal/web"
	"hookline/internal/web/kit"
)

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

// address fills a route's pattern with ids of the sample.
func (r *rig) address(pattern, problem string, v api.Version) string {
	return strings.NewReplacer(
		"/jobs/{id}", "/jobs/"+reportID, "/peers/{id}", "/peers/"+peerID, "/problems/{id}", "/problems/"+problem,
		"{digest}", v.Digest, "{hook}", v.Hook, "{name}", "admin", "{code}", "hkll_x", "{id}", reportID,
		"/hooks/new/hook.yaml", "/hooks/new/hook.yaml?job="+reportID, "/hooks/new/hook.lua", "/hooks/new/hook.lua?job="+reportID, "/hooks/new", "/hooks/new?job="+reportID, "/review/trial", "/review/trial?job="+reportID, "/live", "/live?topic=overview",
	).Replace(pattern)
}

// TestEveryRoute walks all routes as nobody and in each role: the access rule
// of each holds, a refusal names the roles that may, and every answer has the
// security headers.
func TestEveryRoute(t *testing.T) {
	r := newRig(t)
	problem, taint, _ := r.sample()
	routes, err := web.Routes(r.webParts())
	r.check(err)
	if len(routes) < 30 {
		t.Fatalf("only %d routes", len(routes))
	}
	cookies := map[auth.Role]*http.Cookie{}
	for _, role := range auth.Roles() {
		cookies[role] = r.signIn(role)
	}
	for _, route := range routes {
		path := r.address(route.Path, problem, taint)
		t.Run(route.Method+" "+route.Path, func(t *testing.T) {
			a := r.try(route.Method, path, nil)
			if public := route.Access == kit.Public; !public && a.Status != http.StatusUnauthorized {
				t.Errorf("as nobody: %d", a.Status)
			}
			secured(t, a)
			perm := route.Access.Permission()
			if perm == "" {
				return
			}
			found := http.StatusOK
			if strings.HasSuffix(route.Path, "/trial") {
				found = http.StatusServiceUnavailable // no sandbox binary stands beside this test
			}
			for role, cookie := range cookies {
				if role.Holds(perm) && route.Method != http.MethodGet {
					continue // it would do it
				}
				a := r.try(route.Method, path, cookie)
				secured(t, a)
				switch {
				case !role.Holds(perm) && a.Status == http.StatusNotFound && strings.Contains(route.Path, "{name}"):
					// somebody else's account: not even that it is there is told
				case !role.Holds(perm) && (a.Status != http.StatusForbidden || !strings.Contains(string(a.Body), "oles that may: ")):
					t.Errorf("as %s, who lacks %s: %d\n%s", role, perm, a.Status, a.Body)
				case role.Holds(perm) && a.Status != found && a.Status != http.StatusSeeOther:
					t.Errorf("as %s: %d\n%s", role, a.Status, a.Body)
				}
			}
		})
	}
	// Attempts that were refused stand in the audit log; looking is routine.
	entries, err := r.db.Entries(t.Context(), auth.EntryFilter{Actor: "viewer-1", Limit: 200})
	r.check(err)
	refused := 0
	for _, e := range entries {
		if e.Outcome == string(errs.CodeForbidden) {
			refused++
		}
	}
	if refused < 5 {
		t.Errorf("%d refused attempts of a viewer are in the audit log", refused)
	}
}

// try sends what a browser would.
func (r *rig) try(method, path string, cookie *http.Cookie) answer {
	r.t.Helper()
	headers := []string{"Sec-Fetch-Site", "same-origin"}
	if cookie != nil {
		headers = append(headers, "Cookie", cookie.Name+"="+cookie.Value)
	}
	if method == http.MethodPost {
		headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
	}
	return r.send("", method, path, nil, headers...)
}

// secured holds an answer's headers against what every one of them has.
func secured(t *testing.T, a answer) {
	t.Helper()
	csp := a.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("no %s in %q", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestHeadersOfWhatIsNoPage(t *testing.T) {
	r := newRig(t)
	me := r.signIn(auth.RoleViewer)
	script := regexp.MustCompile(`/static/[^"]*\.js`).FindString(string(r.page(me, "/problems").Body))
	for _, path := range []string{"/nothing", "/static/icon.svg", script} {
		secured(t, r.page(me, path))
		secured(t, r.send("", "GET", path, nil))
	}
	a := r.send("", "POST", "/logout", nil, "Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site")
	if a.Status != http.StatusForbidden {
		t.Errorf("a form from elsewhere: %d", a.Status)
	}
	secured(t, a)
}

// TestLinksLeadSomewhere follows every link that an admin is shown, filters
// and orders and exports too.
func TestLinksLeadSomewhere(t *testing.T) {
	r := newRig(t)
	r.sample()
	me := r.signIn(auth.RoleAdmin)
	href := regexp.MustCompile(`href="(/[^"]*)"`)
	from, seen, todo := map[string]string{}, map[string]bool{}, []string{"/"}
	for len(todo) > 0 && len(seen) < 600 {
		path := todo[0]
		todo = todo[1:]
		if seen[path] || strings.HasPrefix(path, "/live") {
			continue
		}
		seen[path] = true
		a := r.page(me, path)
		if a.Status != http.StatusOK {
			t.Errorf("%s, linked from %s: status %d", path, from[path], a.Status)
		}
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, bad := range []string{"<script>", "\x1b", "\u202e", "\x00", "ZgotmplZ", "%!", " style=", "<no value>"} {
			if strings.Contains(string(a.Body), bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
		for _, m := range href.FindAllStringSubmatch(string(a.Body), -1) {
			link := html.UnescapeString(m[1])
			if _, known := from[link]; !known {
				from[link] = path
			}
			todo = append(todo, link)
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d links: %v", len(seen), seen)
	}
}

// Pages can be turned off, and stand under an address of their own.
func TestPagesElsewhere(t *testing.T) {
	r := newRig(t)
	r.must("", "GET", "/livez", nil, 200, nil)
	r.cfg.Pages = ""
	r.restart()
	if a := r.send("", "GET", "/problems", nil); a.Status != http.StatusNotFound {
		t.Errorf("pages that are off: %d", a.Status)
	}
	if r.PagesURL() != "" {
		t.Errorf("pages that are off have the address %s", r.PagesURL())
	}
	r.cfg.Pages = "127.0.0.1:0"
	r.restart()
	if a := r.send("", "GET", "/problems", nil); a.Status != http.StatusNotFound {
		t.Errorf("pages that are elsewhere: %d", a.Status)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.PagesURL()+"/problems", nil)
	r.check(err)
	resp, err := r.http.Do(req)
	r.check(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized || r.PagesURL() == r.HTTPURL() {
		t.Errorf("pages at %s: %d", r.PagesURL(), resp.StatusCode)
	}
}
