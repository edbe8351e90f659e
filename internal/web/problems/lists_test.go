package problems_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/jobs"
	"hookline/internal/web/problems"
)

// exported reads an export as rows by column.
func (w *world) exported(path string) []map[string]string {
	w.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	table, err := csv.NewReader(strings.NewReader(w.Want(path+sep+"format=csv", auth.RoleViewer))).ReadAll()
	w.must(err)
	var rows []map[string]string
	for _, line := range table[1:] {
		row := map[string]string{}
		for i, name := range table[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	var lines []map[string]any
	for line := range strings.Lines(w.Want(path+sep+"format=ndjson", auth.RoleViewer)) {
		var row map[string]any
		w.must(json.Unmarshal([]byte(line), &row))
		lines = append(lines, row)
	}
	if len(lines) != len(rows) {
		w.Errorf("%s: %d rows in CSV, %d in NDJSON", path, len(rows), len(lines))
	}
	return rows
}

// column is one column of an export, joined.
func (w *world) column(path, name string) string {
	w.Helper()
	var words []string
	for _, row := range w.exported(path) {
		word, ok := row[name]
		if !ok {
			w.Fatalf("%s has no column %s", path, name)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestProblemList(t *testing.T) {
	w := newWorld(t)
	peer := w.peer("web-1")
	w.has(w.page("/problems"), "No reports have come in yet", "hookline-peer exec", "no reports in the last seven days")
	for i, name := range []string{"nginx", "cron", "sshd"} {
		for n := range i + 1 {
			w.file(peer, crash(name), now.Add(-time.Duration(10-i)*time.Hour).Add(time.Duration(n*[]int{0, 6, 2}[i])*time.Hour))
		}
	}
	w.file(peer, crash("old"), now.AddDate(0, 0, -40))
	for path, want := range map[string]string{
		"/problems":                                         "cron sshd nginx old",
		"/problems?sort=quiet":                              "old nginx sshd cron",
		"/problems?sort=first-seen":                         "sshd cron nginx old",
		"/problems?sort=oldest":                             "old nginx cron sshd",
		"/problems?sort=reports":                            "sshd cron",
		"/problems?package=cron":                            "cron",
		"/problems?package=cro":                             "",
		"/problems?words=CRO":                               "cron",
		"/problems?words=sbin":                              "cron sshd nginx old",
		"/problems?words=serve%3Ass":                        "sshd",
		"/problems?words=sbin&sort=first-seen&package=sshd": "sshd",
	} {
		if got := w.column(path, "package"); got != want && !strings.HasPrefix(path, "/problems?sort=reports") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, not %q", path, got, want)
		}
	}
	body := w.page("/problems")
	top := body[strings.Index(body, `id="top"`):strings.Index(body, `id="all"`)]
	if i, j, k := strings.Index(top, "sshd"), strings.Index(top, "cron"), strings.Index(top, "nginx"); i < 0 || j < i || k < j || strings.Contains(top, "old") {
		t.Errorf("top ten: %s", top)
	}
	w.hasNot(w.page("/problems?package=cron"), "Top ten")
	for _, path := range []string{"/problems?sort=x", "/problems?words=" + strings.Repeat("x", 300), "/problems?after=x", "/problems?format=xml"} {
		if a := w.Get(path, auth.RoleViewer); a.Status != 422 {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
}

// jobsWorld is a few jobs of two peers over some days.
func jobsWorld(t *testing.T) (w *world, list map[string]jobs.Job, peer string, digest string) {
	w = newWorld(t)
	a, b := w.peer("web-1"), w.peer("web-2")
	list = map[string]jobs.Job{
		"old":   w.file(a, crash("cron"), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)),
		"late":  w.file(b, crash("nginx"), time.Date(2026, 5, 2, 23, 59, 59, 999e6, time.UTC)),
		"today": w.file(a, crash("nginx"), now.Add(-time.Hour)),
	}
	v, v2 := w.active("taint", 200, "pkg:nginx"), w.active("memory", 200, "pkg:nginx")
	list["ran"] = w.bring(v, list["today"], hooks.LevelProblem, map[string]any{"Taint": "12288", "Note": "Swap is full"})
	list["wide"] = w.bring(v2, list["late"], hooks.LevelPackage, map[string]any{"Free": 7})
	list["bad"] = w.fail(v, list["late"], "it failed", "")
	list["open"] = w.lease(v2, list["today"])
	return w, list, b, v.Digest
}

func (w *world) wantJobs(path, column string, all map[string]jobs.Job, names ...string) {
	w.Helper()
	var want []string
	for _, name := range names {
		if _, ok := all[name]; !ok {
			w.Fatalf("there is no job %s", name)
		}
		want = append(want, name)
	}
	var got []string
	for _, id := range strings.Fields(w.column(path, column)) {
		for name, j := range all {
			if j.ID == id {
				got = append(got, name)
			}
		}
	}
	if !slices.Equal(got, want) {
		w.Errorf("%s: %v, not %v", path, got, want)
	}
	body := w.page(path) // shows the same
	for name, j := range all {
		if shown := strings.Contains(body, `href="/jobs/`+j.ID); shown != slices.Contains(names, name) {
			w.Errorf("%s: the page shows %s: %v", path, name, shown)
		}
	}
}

func TestJobList(t *testing.T) {
	w, all, peer, digest := jobsWorld(t)
	q := url.QueryEscape
	w.wantJobs("/jobs", "job", all, "open", "ran", "today", "bad", "wide", "late", "old")
	w.wantJobs("/jobs?sort=oldest", "job", all, "old", "late", "wide", "bad", "today", "ran", "open")
	w.wantJobs("/jobs?work=report", "job", all, "today", "late", "old")
	w.wantJobs("/jobs?work=hook&status=failed", "job", all, "bad")
	w.wantJobs("/jobs?status=pending", "job", all, "open")
	w.wantJobs("/jobs?peer="+peer, "job", all, "bad", "wide", "late")
	w.wantJobs("/jobs?version="+digest, "job", all, "ran", "bad")
	w.wantJobs("/jobs?version="+q("memory@1"), "job", all, "open", "wide")
	w.wantJobs("/jobs?problem="+all["old"].ProblemID, "job", all, "old")
	w.wantJobs("/jobs?from=2026-05-02&until=2026-05-02", "job", all, "bad", "wide", "late")
	w.wantJobs("/jobs?until=2026-05-01", "job", all, "old")
	w.wantJobs("/jobs?from=2026-05-03", "job", all, "open", "ran", "today")
	w.wantJobs("/jobs?from=2026-05-03&status=pending&peer=nobody", "job", all)
	w.has(w.page("/jobs"), `class="state hook-error"`, `taint@1`, ">web-2 <span class=\"id\">"+peer[:8]+"</span></a>", "it failed")
	for _, path := range []string{
		"/jobs?work=x", "/jobs?status=x", "/jobs?sort=x", "/jobs?from=x", "/jobs?until=2026-13-01", "/jobs?from=2026-05-02&until=2026-05-01",
		"/jobs?version=x", "/jobs?version=" + q("taint@9"), "/jobs?version=" + q("taint@99999999999999999999"), "/jobs?peer=%00", "/jobs?peer=" + strings.Repeat("x", 300),
	} {
		w.wantForm(path)
	}
}

func TestResultList(t *testing.T) {
	w, all, peer, digest := jobsWorld(t)
	all = map[string]jobs.Job{"ran": all["ran"], "wide": all["wide"]}
	w.wantJobs("/results", "job", all, "ran", "wide")
	w.wantJobs("/results?sort=oldest", "job", all, "wide", "ran")
	w.wantJobs("/results?hook=memory", "job", all, "wide")
	w.wantJobs("/results?hook=memor", "job", all)
	w.wantJobs("/results?version="+digest, "job", all, "ran")
	w.wantJobs("/results?version="+url.QueryEscape("taint@1"), "job", all, "ran")
	w.wantJobs("/results?problem="+all["ran"].ProblemID, "job", all, "ran", "wide")
	w.wantJobs("/results?problem=none", "job", all)
	w.wantJobs("/results?package=nginx", "job", all, "ran", "wide")
	w.wantJobs("/results?package=cron", "job", all)
	w.wantJobs("/results?peer="+peer, "job", all, "wide")
	w.wantJobs("/results?level=package", "job", all, "wide")
	w.wantJobs("/results?level=problem", "job", all, "ran")
	w.wantJobs("/results?field=taint", "job", all, "ran")
	w.wantJobs("/results?field=tain", "job", all)
	w.wantJobs("/results?value=swap+IS", "job", all, "ran")
	w.wantJobs("/results?value=7", "job", all, "wide")
	w.wantJobs("/results?field=Free&value=full", "job", all)
	w.wantJobs("/results?field=Note&value=full&sort=oldest", "job", all, "ran")
	w.wantJobs("/results?from=2026-05-03", "job", all, "ran")
	w.wantJobs("/results?until=2026-05-02", "job", all, "wide")
	w.has(w.page("/results"), "Note: Swap is full · Taint: 12288", ">web-2 <span class=\"id\">"+peer[:8]+"</span></a>", "taint@1")
	for _, row := range w.exported("/results?hook=taint") {
		if row["fields"] != `{"Note":"Swap is full","Taint":"12288"}` || row["level"] != "problem" || row["package"] != "nginx" || row["report"] == "" {
			t.Errorf("exported: %v", row)
		}
	}
	for _, path := range []string{"/results?level=x", "/results?from=x", "/results?version=x", "/results?sort=x"} {
		w.wantForm(path)
	}
}

// TestPagesOfLists walks the pages of a list by their links: they neither skip
// nor repeat, and a search that finds little goes on where it stopped.
func TestPagesOfLists(t *testing.T) {
	w := newWorld(t)
	peer := w.peer("web-1")
	v := w.active("taint", 1000, "pkg:nginx")
	for i := range 120 {
		report := w.file(peer, crash("nginx"), now.Add(-time.Duration(i)*time.Minute))
		w.bring(v, report, hooks.LevelProblem, map[string]any{"Number": fmt.Sprintf("n%03d", i)})
	}
	for path, want := range map[string]int{"/jobs": 240, "/results": 120, "/jobs?work=hook&sort=oldest": 120, "/results?value=n0": 100, "/results?value=n11": 10} {
		rows, pages := 0, 0
		for next := path; next != ""; pages++ {
			body := w.page(next)
			rows += strings.Count(body, `<tr role="row"><td`)
			next = ""
			if _, rest, ok := strings.Cut(body, `First page</a>`); ok || pages == 0 {
				if !ok {
					rest = body
				}
				if i := strings.Index(rest, `" rel="next"`); i >= 0 {
					next = strings.ReplaceAll(rest[strings.LastIndex(rest[:i], `href="`)+6:i], "&amp;", "&")
				}
			}
		}
		if rows != want || len(w.exported(path)) != want {
			t.Errorf("%s: %d rows on %d pages, not %d", path, rows, pages, want)
		}
	}
}

// slow is a store that takes three seconds for a list of problems.
type slow struct {
	problems.Store
	w *world
}

func (s slow) Problems(ctx context.Context, f collector.ProblemFilter) ([]collector.Problem, error) {
	s.w.Clock.Advance(3 * time.Second)
	return s.Store.Problems(ctx, f)
}

// TestSearchesEnd holds that a page that finds little stops looking after a
// while, says how far it came, and goes on from there.
func TestSearchesEnd(t *testing.T) {
	w := newWorld(t)
	peer := w.peer("web-1")
	for i := range 130 {
		w.file(peer, crash(fmt.Sprintf("program-%d", i)), now.Add(-time.Duration(i)*time.Minute))
	}
	w.hasNot(w.page("/problems?words=program-129"), "Look on")
	w.Serve(problems.Routes(w.Kit, problems.Parts{Store: slow{w.DB, w}}))
	body := w.page("/problems?words=program-129")
	w.has(body, "Looked at 100 rows for these filters and found 0; there are more to look at.", "Look on</a>")
	next := regexp.MustCompile(`href="([^"]*after=[^"]*)" rel="next"`).FindStringSubmatch(body)
	w.has(w.page(strings.ReplaceAll(next[1], "&amp;", "&")), "program-129</a>")
}

// wantForm is for filters that cannot be read: the page keeps the form and says
// why, without rows; an export is refused.
func (w *world) wantForm(path string) {
	w.Helper()
	a := w.Get(path, auth.RoleViewer)
	if a.Status != 422 {
		w.Errorf("%s: %d", path, a.Status)
	}
	w.has(a.Body, `<p class="warn" role="alert">`, `role="search"`, `<a href="/`+strings.Split(path[1:], "?")[0]+`">Show all</a>`)
	if strings.Contains(a.Body, `role="cell"`) {
		w.Errorf("%s has rows:\n%s", path, a.Body)
	}
	if a := w.Get(path+"&format=csv", auth.RoleViewer); a.Status != 422 || strings.Contains(a.Body, `role="search"`) {
		w.Errorf("the export of %s: %d\n%s", path, a.Status, a.Body)
	}
}

func TestWhatWasTypedStays(t *testing.T) {
	w := newWorld(t)
	w.wantForm("/problems?sort=zz")
	w.wantForm("/results?level=zz")
	w.has(w.Get("/jobs?from=2026-05-02&until=2026-05-01", auth.RoleViewer).Body,
		"Until: it is before the first day", `name="from" value="2026-05-02" type="date"`, `name="until" value="2026-05-01" type="date" maxlength="256" autocomplete="off" aria-invalid="true"`)
}
