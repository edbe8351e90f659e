package problems_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/internal/web/problems"
	"hookline/review"
)

func TestOverview(t *testing.T) {
	w := newWorld(t)
	w.has(w.page("/"), "First steps", "hookline-peer enroll LINE", "No hook is active", "Nothing waits for a reviewer.", "No problem has more reports")
	peer := w.peer("web-1")
	w.has(w.page("/"), `<span class="state succeeded">done</span> Enroll a machine`, `<span class="state pending">to do</span> Have it file`)

	first := w.file(peer, crash("nginx"), now.Add(-time.Hour))
	for i := range 3 {
		w.file(peer, crash("nginx"), now.Add(-time.Duration(i)*time.Minute))
		w.file(peer, crash("cron"), now.AddDate(0, 0, -9).Add(time.Duration(i)*time.Minute))
	}
	w.file(peer, crash("cron"), now)
	v := w.active("taint", 200, "pkg:nginx")
	w.submitted("memory", 3, now.Add(-26*time.Hour))
	w.bring(v, first, hooks.LevelProblem, map[string]any{"Taint": "1"})
	w.fail(v, w.file(peer, crash("nginx"), now.Add(-time.Minute)), "it failed", "")
	_, err := w.DB.Connect(w.ctx, peer, "here", enroll.Hello{Version: "1", AllowHooks: "yes"}, now)
	w.must(err)

	body := w.page("/")
	w.has(body,
		`<a href="/peers?connection=connected">1</a> of <a href="/peers">1</a>`, `taint@1 <span class="id">`, "1 of 200", "ends in 3 days",
		`/jobs?status=failed&amp;version=`+v.Digest+`&amp;work=hook">1</a>`,
		"memory@3", "26 h ago", "/review\"", "Hook runs, last 14 days", "4 May: 1 succeeded, 1 failed", "/jobs?from=2026-05-04&amp;until=2026-05-04",
		`sse-connect="/live?topic=overview&amp;topic=reviews"`,
	)
	w.hasNot(body, "First steps")
	rising := body[strings.Index(body, `id="rising"`):]
	w.has(rising, "nginx", `data-label="Before" class="number"><div>0<`, `data-label="Now" class="number"><div>5<`, "Reports of 14 days: 5")
	w.hasNot(rising, "cron") // it has fewer than the week before
}

// Whoever was asked for changes finds their versions, and nobody else's.
func TestChangesRequestedOfAnAuthor(t *testing.T) {
	w := newWorld(t)
	ask := func(v review.Version) {
		w.must(w.DB.AddReview(w.ctx, review.Review{
			ID: w.id(now), Version: v.Digest, User: "bob", Verdict: review.VerdictRequestChanges, Comment: "why?", At: now,
		}, hooks.StateSubmitted, hooks.StateChangesRequested, w.grant(auth.HooksReview)))
	}
	mine := w.submittedBy("author", "mine", 1, now.Add(-time.Hour))
	ask(mine)
	ask(w.submittedBy("somebody", "theirs", 1, now.Add(-time.Hour)))
	body := w.page("/", auth.RoleAuthor)
	w.has(body, "Yours, for you to change", `<a href="/versions/`+mine.Digest+`/review">mine@1</a> <span class="state changes-requested">`, `href="/reviews?list=mine"`)
	w.hasNot(body, "theirs@1")
	w.hasNot(w.page("/", auth.RoleViewer), "for you to change")
	w.submittedBy("author", "mine", 2, now) // what was asked for
	w.hasNot(w.page("/", auth.RoleAuthor), "for you to change")
}

// broken is a store of which one method fails.
type broken struct {
	problems.Store
	method string
}

var errDisk = errors.New("the disk is gone")

func (b broken) fail(method string) error {
	if b.method == method {
		return errDisk
	}
	return nil
}

func (b broken) CountPeers(ctx context.Context, most int64) (all, online int64, err error) {
	if err := b.fail("CountPeers"); err != nil {
		return 0, 0, err
	}
	return b.Store.CountPeers(ctx, most)
}

func (b broken) Waiting(ctx context.Context, after string, limit int) ([]review.Life, error) {
	if err := b.fail("Waiting"); err != nil {
		return nil, err
	}
	return b.Store.Waiting(ctx, after, limit)
}

func (b broken) CountJobs(ctx context.Context, f jobs.Filter, times []time.Time, most int64) ([]int64, error) {
	if err := b.fail("CountJobs"); err != nil {
		return nil, err
	}
	return b.Store.CountJobs(ctx, f, times, most)
}

func (b broken) BusyProblems(ctx context.Context, from, until time.Time, sample int64, limit int) ([]collector.ProblemCount, int64, error) {
	if err := b.fail("BusyProblems"); err != nil {
		return nil, 0, err
	}
	return b.Store.BusyProblems(ctx, from, until, sample, limit)
}

func (b broken) ActiveByKeys(ctx context.Context, keys []string) ([]hooks.Activation, error) {
	if err := b.fail("ActiveByKeys"); err != nil {
		return nil, err
	}
	return b.Store.ActiveByKeys(ctx, keys)
}

func (b broken) Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error) {
	if err := b.fail("Results"); err != nil {
		return nil, err
	}
	return b.Store.Results(ctx, f)
}

// TestPartsFailAlone breaks one method of the store after the other: a page
// with parts still comes, and says which part is missing.
func TestPartsFailAlone(t *testing.T) {
	w := newWorld(t)
	report := w.file(w.peer("web-1"), crash("nginx"), now)
	for _, test := range []struct{ path, method, rest string }{
		{"/", "CountPeers", "Problems rising"},
		{"/", "Waiting", "Problems rising"},
		{"/", "CountJobs", "Reviews waiting"},
		{"/", "BusyProblems", "Reviews waiting"},
		{"/problems", "BusyProblems", "All problems"},
		{"/problems/" + report.ProblemID, "CountJobs", "Where it happens"},
		{"/problems/" + report.ProblemID, "ActiveByKeys", report.ID},
		{"/problems/" + report.ProblemID, "Results", report.ID},
		{"/jobs/" + report.ID, "Results", "Original report"},
		{"/jobs/" + report.ID, "ActiveByKeys", "Original report"},
	} {
		t.Run(test.path+" without "+test.method, func(t *testing.T) {
			w.Serve(problems.Routes(w.Kit, problems.Parts{Store: broken{w.DB, test.method}}))
			body := w.page(test.path)
			w.has(body, "This part could not be made", test.rest)
			w.hasNot(body, errDisk.Error())
		})
	}
}

func TestProblemPage(t *testing.T) {
	w := newWorld(t)
	a, b := w.peer("web-1"), w.peer("web-2")
	newer := crash("nginx")
	newer[hooks.FieldPackageVersion], newer[hooks.FieldRelease] = "1.10-1", "Debian 13"
	first := w.file(a, crash("nginx"), now.AddDate(0, 0, -3))
	second := w.file(b, newer, now.Add(-time.Hour))
	w.file(b, newer, now)
	v := w.active("taint", 200, "fp:"+first.Fingerprint)
	w.bring(v, first, hooks.LevelProblem, map[string]any{"Taint": "12288", "Swap": 5, "Lines": "one\ntwo " + strings.Repeat("x", 200)})
	w.bring(v, second, hooks.LevelProblem, map[string]any{"Taint": "0"})

	body := w.page("/problems/" + first.ProblemID)
	w.has(body,
		"<h1>Problem in nginx</h1>", "<title>Problem in nginx, "+first.ProblemID, "Of all 3 reports that are kept.", "2 peers",
		"1 May: 1 reports", "4 May: 2 reports", `href="/problems?package=nginx"`, `href="/results?problem=`+first.ProblemID,
		`topic=problem%2F`+first.ProblemID, `of 2 results`, `data-label="Taint"`, `12288`, `one two xxx`, `class="state active"`,
		`/jobs/`+first.ID+`"`, "why it ran or not", `<a class="button" href="/hooks/new?problem=`+first.ProblemID,
	)
	if i, j := strings.Index(body, ">1.10-1<"), strings.Index(body, ">1.2-3<"); i < 0 || j < i {
		w.Errorf("package versions are not ordered, the newest first: %d %d", i, j)
	}
	w.hasNot(body, strings.Repeat("x", 100))
	if a := w.Get("/problems/none", auth.RoleViewer); a.Status != http.StatusNotFound {
		w.Errorf("a problem that is not there: %d", a.Status)
	}
}

func TestProblemPageOfManyReports(t *testing.T) {
	w := newWorld(t)
	var list []hooks.Report
	for i := range 1010 {
		r := crash("nginx")
		r[hooks.FieldPackageVersion] = "1." + strings.Repeat("1", i%25)
		list = append(list, r)
	}
	body := w.page("/problems/" + w.many(w.peer("web-1"), list))
	w.has(body, "Of the newest 1000 reports. The newest versions", `rel="next"`)
	next := regexp.MustCompile(`href="([^"]*after=[^"]*)" rel="next"`).FindStringSubmatch(body)
	if next == nil {
		t.Fatal("no next page")
	}
	w.has(w.page(strings.ReplaceAll(next[1], "&amp;", "&")), "First page")
}

func TestReportPage(t *testing.T) {
	w := newWorld(t)
	report := w.file(w.peer("web-1"), crash("nginx"), now.Add(-time.Hour))
	taint, memory := w.active("taint", 200, "pkg:nginx"), w.active("memory", 200, "pkg:nginx")
	ran := w.bring(taint, report, hooks.LevelProblem, map[string]any{"Taint": "12288", "Swap": map[string]any{"a": 1}})
	bad := w.fail(memory, report, "the hook ended with an error", "hook-error at line 12: attempt to index a nil value")

	body := w.page("/jobs/" + report.ID)
	w.has(body,
		"<h1>nginx, SIGSEGV</h1>", "report "+report.ID, `class="beside"`, `card original`, "2 from 1 hook run", "2 calls denied", "12288", "attempt to index a nil value",
		`href="/jobs/`+ran.ID, `href="/jobs/`+bad.ID, `href="/peers/`+report.PeerID+`" title="`+report.PeerID+`">web-1 <span class="id">`+report.PeerID[:8]+`</span></a>`, `href="/problems/`+report.ProblemID, `taint@1`, `href="/versions/`+taint.Digest,
		"HookError_memory", "topic=job%2F"+report.ID, "why it ran or not",
	)
	w.has(body, `<a class="button" href="/hooks/new?job=`+report.ID)
	w.hasNot(body, `id="explain"`)

	why := w.page("/jobs/" + report.ID + "?explain=" + taint.Digest)
	w.has(why, `id="explain"`, "It did not run", "<code>not-opted-in</code>", "⟨U&#43;202E⟩")
	w.has(w.page("/jobs/"+report.ID+"?explain="+strings.Repeat("0", 64)), "There is no version")
	if a := w.Get("/jobs/"+report.ID+"?explain=x", auth.RoleViewer); a.Status != http.StatusBadRequest && a.Status != http.StatusUnprocessableEntity {
		w.Errorf("?explain=x: %d", a.Status)
	}
	if a := w.Get("/jobs/none", auth.RoleViewer); a.Status != http.StatusNotFound {
		w.Errorf("a job that is not there: %d", a.Status)
	}
}

func TestRunPage(t *testing.T) {
	w := newWorld(t)
	peer := w.peer("web-1")
	report, other := w.file(peer, crash("nginx"), now.Add(-time.Hour)), w.file(peer, crash("nginx"), now)
	taint, memory := w.active("taint", 200, "pkg:nginx"), w.active("memory", 200, "pkg:nginx")
	ran := w.bring(taint, report, hooks.LevelProblem, map[string]any{"Taint": "12288"})
	bad := w.fail(memory, report, "the hook ended with an error", "hook-error at line 12: attempt to index a nil value")
	open := w.lease(taint, other)

	body := w.page("/jobs/" + ran.ID)
	w.has(body,
		"<h1>Hook run taint@1</h1>", `class="state succeeded"`, "2 calls denied", "12288", `href="/jobs/`+report.ID, "Stored", "Sent to the peer", "120 ms later", "2 s later", "4 min later",
		`href="/jobs/`+bad.ID, "topic=job%2F"+ran.ID, "topic=job%2F"+report.ID, "2026-05-04 11:00:03 UTC",
	)
	body = w.page("/jobs/" + bad.ID)
	w.has(body, `class="state hook-error"`, `<li class="bad"><strong>Failed</strong>`, "never", "Lua raised an error; the line is named.", "attempt to index a nil value", `href="/jobs/`+ran.ID)
	body = w.page("/jobs/" + open.ID)
	w.has(body, `class="state pending"`, "not yet; it fails in 5 min", "This run has not ended.")
	w.Clock.Advance(time.Hour)
	w.has(w.page("/jobs/"+open.ID), "not yet; its time is over")
	w.has(w.page("/jobs/"+ran.ID+"?explain="+taint.Digest), `id="explain"`)
}

// TestHostileValues holds that whatever comes from machines and people is text
// on every page and in every export.
func TestHostileValues(t *testing.T) {
	w := newWorld(t)
	peer := w.peer(hostile)
	r := crash("nginx")
	for _, name := range []string{hooks.FieldPackage, hooks.FieldPackageVersion, hooks.FieldRelease, hooks.FieldExecutablePath, hooks.FieldSignalName, hooks.FieldStderr} {
		r[name] = hostile
	}
	r[hooks.FieldTraceback] = strings.Repeat(hostile, 900<<10/len(hostile))
	report := w.fileAs(peer, hostile+strings.Repeat("x", 500), r, now)
	v := w.active("taint", 200, "fp:"+report.Fingerprint)
	fields := map[string]any{"Text": hostile, hostile: 1, "Deep": map[string]any{hostile: []any{hostile, nil}}, "Long": strings.Repeat(hostile, 5000)}
	ran := w.bring(v, report, hooks.LevelPackage, fields)
	bad := w.fail(w.active("memory", 200, "fp:"+report.Fingerprint), report, hostile, hostile)
	for _, path := range []string{
		"/", "/problems", "/problems/" + report.ProblemID, "/jobs", "/jobs/" + report.ID, "/jobs/" + ran.ID, "/jobs/" + bad.ID, "/results",
		"/results?value=" + url.QueryEscape("<script>"), "/jobs/" + report.ID + "?explain=" + v.Digest,
		"/problems?words=" + url.QueryEscape("<script>\""), "/problems?package=" + url.QueryEscape(hostile[:40]), "/results?hook=" + url.QueryEscape(hostile[:40]),
	} {
		w.page(path)
	}
	for _, path := range []string{"/problems?", "/problems/" + report.ProblemID + "?", "/jobs?", "/results?"} {
		for _, format := range []string{"csv", "ndjson"} {
			body := w.Want(path+"format="+format, auth.RoleViewer)
			w.hasNot(body, "\u202e", "\x1b", "\u200b")
			if format == "ndjson" {
				w.hasNot(body, "<script>")
			}
		}
	}
}

// TestLinksLeadSomewhere follows every link that leads to one of these pages,
// and their exports.
func TestLinksLeadSomewhere(t *testing.T) {
	w := newWorld(t)
	peer := w.peer("web-1")
	report := w.file(peer, crash("nginx"), now)
	v := w.active("taint", 200, "fp:"+report.Fingerprint)
	w.bring(v, report, hooks.LevelProblem, map[string]any{"Taint": "1"})
	w.fail(w.active("memory", 200, "pkg:nginx"), report, "text", "")
	href := regexp.MustCompile(`(?:href|action)="(/[^"#]*)`)
	ours := regexp.MustCompile(`^/(\?.*|(problems|jobs|results)([/?].*)?)?$`)
	seen, todo := map[string]bool{}, []string{"/"}
	for len(todo) > 0 && len(seen) < 400 {
		path := todo[0]
		todo = todo[1:]
		if seen[path] || !ours.MatchString(path) {
			continue
		}
		seen[path] = true
		for _, m := range href.FindAllStringSubmatch(w.Want(path, auth.RoleViewer), -1) {
			todo = append(todo, strings.ReplaceAll(m[1], "&amp;", "&"))
		}
	}
	if len(seen) < 30 || len(seen) == 400 {
		t.Errorf("%d links", len(seen))
	}
}

// TestNobody sees nothing.
func TestNobody(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/problems", "/problems/x", "/jobs", "/jobs/x", "/results", "/results?format=csv"} {
		if a := w.Get(path); a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
}

// TestLargeReports holds that the largest report and results make pages that
// stay small, and say that they are cut.
func TestLargeReports(t *testing.T) {
	w := newWorld(t)
	r, fields := crash("nginx"), map[string]any{}
	for i := range 900 {
		r[fmt.Sprintf("Field%03d", i)] = strings.Repeat("x", 1000)
	}
	for i := range 60 {
		fields[fmt.Sprintf("New%02d", i)] = strings.Repeat("a\"", 4000)
	}
	report := w.file(w.peer("web-1"), r, now)
	ran := w.bring(w.active("taint", 200, "pkg:nginx"), report, hooks.LevelProblem, fields)
	w.bring(w.active("memory", 200, "pkg:nginx"), report, hooks.LevelProblem, fields)
	for _, path := range []string{"/jobs/" + report.ID, "/jobs/" + ran.ID} {
		body := w.Want(path, auth.RoleViewer)
		if len(body) > 1<<20 || !strings.Contains(body, "Long values are cut here.") || !strings.Contains(body, "… cut here") {
			t.Errorf("%s has %d bytes", path, len(body))
		}
	}
	w.has(w.page("/problems/"+report.ProblemID), "48 more fields have no column here")
	w.page("/results")
}
