package machines_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"html"
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
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/kit/kittest"
	"hookline/internal/web/machines"
	"hookline/review"
)

// hostile is what must not get into a page as anything but text.
const hostile = "<script>alert(1)</script>\" onmouseover=\"x\" hx-get=\"/evil\" \u202e reversed\x1b[31m'{{.}}"

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

type world struct {
	*testing.T
	*kittest.Site
	ids int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, Site: kittest.New(t)}
	w.Serve(machines.Routes(w.Kit, machines.Parts{Store: w.DB, Gate: w.Gate}))
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) grant(p auth.Permission) auth.Grant {
	w.Helper()
	g, err := w.Gate.Authorize(w.Context(), kittest.Principal(auth.RoleAdmin), p, "target", "detail")
	if p == auth.HooksSubmit {
		g, err = w.Gate.Authorize(w.Context(), auth.Principal{User: "admin", Roles: []auth.Role{auth.RoleAdmin}, Kind: auth.TokenAPI}, p, "target", "detail")
	}
	w.must(err)
	return g
}

// Context is the test's.
func (w *world) Context() context.Context { return w.T.Context() }

func (w *world) id(at time.Time) string {
	w.ids++
	hex := fmt.Sprintf("%012x", at.UnixMilli())
	return hex[:8] + "-" + hex[8:] + fmt.Sprintf("-7000-8000-%012x", w.ids)
}

// peer enrolls a machine, connected since a moment or not at all.
func (w *world) peer(name, allows string, seen time.Time) string {
	w.Helper()
	w.ids++
	id := fmt.Sprintf("%031xa", w.ids)
	w.must(w.DB.AddPeer(w.Context(), enroll.Peer{ID: id, Name: name, SPKI: id + id, EnrolledAt: now.Add(-time.Hour), Version: "1.0", AllowHooks: "no"}))
	if !seen.IsZero() {
		_, err := w.DB.Connect(w.Context(), id, "hooklined", enroll.Hello{
			Facts: hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1", Arch: "amd64"}, Version: "2.0", SendReports: allows != "no", AllowHooks: allows,
		}, seen)
		w.must(err)
	}
	return id
}

func (w *world) report(peer string, at time.Time) string {
	w.Helper()
	r := hooks.Report{hooks.FieldExecutablePath: "/usr/bin/thing", hooks.FieldSignal: "11"}
	fp := hooks.Fingerprint(r)
	j := jobs.Job{
		ID: w.id(at), PeerID: peer, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer", CreatedAt: at, CompletedAt: at,
		Fingerprint: fp, ProblemID: hooks.ProblemID(fp), Report: r,
	}
	_, err := w.DB.AddReport(w.Context(), j, collector.ProblemOf(j))
	w.must(err)
	return j.ID
}

// active stores an active version and returns its digest.
func (w *world) active(hook string) string {
	w.Helper()
	w.ids++
	digest := fmt.Sprintf("%064x", w.ids)
	w.must(w.DB.AddVersion(w.Context(), review.Version{
		Digest: digest, Hook: hook, Number: 1, State: hooks.StateSubmitted, Manifest: []byte("m"), Script: []byte("s"), Statement: []byte(digest),
		Signatures: [][]byte{[]byte("a")}, SubmittedBy: "alice", SubmittedAt: now,
	}, w.grant(auth.HooksSubmit)))
	w.must(w.DB.AddReview(w.Context(), review.Review{
		ID: w.id(now), Version: digest, User: "bob", Person: "bob", KeyID: "key", Verdict: review.VerdictApprove, Signature: []byte("b"), At: now,
	}, hooks.StateSubmitted, hooks.StateApproved, w.grant(auth.HooksReview)))
	w.must(w.DB.Activate(w.Context(), hooks.Activation{
		Digest: digest, Hook: hook, State: hooks.StateActive, Keys: []string{"k"}, Quantity: 1000, Deadline: now.Add(72 * time.Hour), MaxBytes: 1 << 30,
		Rollout: hooks.Rollout{Percent: 100, PerMinute: 1000}, CreatedAt: now, ChangedAt: now,
	}, hooks.StateApproved, w.grant(auth.HooksActivate)))
	return digest
}

// run is a hook run that ended, or is pending where the status is.
func (w *world) run(peer, hook, version string, at time.Time, d jobs.Decision) string {
	w.Helper()
	original := w.report(peer, at)
	id := w.id(at)
	w.must(w.DB.Lease(w.Context(), jobs.Job{
		ID: id, PeerID: peer, TriggeredBy: "match", CreatedAt: at, Deadline: now.Add(time.Hour), OriginalID: original, Hook: hook, Version: version,
		Workload: jobs.WorkHook, Status: jobs.Pending, Slot: jobs.OpenSlot(version, original),
	}, now))
	if d.Status != jobs.Pending {
		_, err := w.DB.Settle(w.Context(), id, d, nil, now)
		w.must(err)
	}
	return id
}

func (w *world) has(page string, want ...string) {
	w.Helper()
	for _, s := range want {
		if !strings.Contains(page, s) {
			w.Errorf("no %q in\n%s", s, page)
		}
	}
}

func (w *world) hasNot(page string, not ...string) {
	w.Helper()
	for _, s := range not {
		if strings.Contains(page, s) {
			w.Errorf("%q is in\n%s", s, page)
		}
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	w.has(w.Want("/peers", auth.RoleViewer), "0 enrolled", "hookline enroll-line")
	web := w.peer("web-1", "yes", now.Add(-time.Minute))
	db := w.peer("db-1", "ask", now.Add(-2*time.Hour))
	old := w.peer("attic", "no", time.Time{})
	_, err := w.DB.Disconnect(w.Context(), db, 1, now.Add(-time.Hour))
	w.must(err)
	w.must(w.DB.SetLabels(w.Context(), web, []string{"env=prod", "web"}, w.grant(auth.PeersLabel)))

	page := w.Want("/peers", auth.RoleViewer)
	w.has(page, "3 enrolled", "1 connected now", `href="/peers/`+web+`"`, "env=prod web", "Debian 12", "1 min ago", `sse-connect="/live?topic=peers"`, `id="counts"`, `id="peers"`)
	for query, want := range map[string][]string{
		"":                                    {old, db, web}, // by name
		"?sort=id":                            {web, db, old},
		"?sort=seen":                          {web, db, old},
		"?sort=unseen":                        {old, db, web},
		"?connection=connected":               {web},
		"?connection=away":                    {old, db},
		"?words=DB":                           {db},
		"?words=debian+web":                   {web},
		"?words=" + web:                       {web},
		"?label=web":                          {web},
		"?label=we":                           nil,
		"?label=web&connection=away":          nil,
		"?words=1&sort=id":                    {web, db, old}, // in their versions and ids
		"?words=-1&sort=unseen&format=csv":    {db, web},
		"?connection=connected&format=csv":    {web},
		"?sort=name&label=web&format=csv":     {web},
		"?format=csv&sort=seen":               {web, db, old},
		"?words=" + url.QueryEscape("\u202e"): nil,
	} {
		page := w.Want("/peers"+query, auth.RoleViewer)
		var got []string
		if strings.Contains(query, "format=csv") {
			rows, err := csv.NewReader(strings.NewReader(page)).ReadAll()
			w.must(err)
			for _, row := range rows[1:] {
				got = append(got, row[1])
			}
		} else {
			for _, m := range regexp.MustCompile(`<a class="id" href="/peers/([0-9a-f]{32})">`).FindAllStringSubmatch(page, -1) {
				got = append(got, m[1])
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for _, bad := range []string{"?sort=x", "?connection=x", "?format=x", "?words=" + strings.Repeat("a", 300), "?label=%00", "?after=x&sort=seen"} {
		if a := w.Get("/peers"+bad, auth.RoleViewer); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", bad, a.Status)
		}
	}
}

func TestPeer(t *testing.T) {
	w := newWorld(t)
	on, off := w.peer("web-1", "yes", now.Add(-time.Minute)), w.peer("attic", "no", time.Time{})
	page := w.Want("/peers/"+on, auth.RoleViewer)
	w.has(page, "<title>Peer web-1, "+on, "<h1>Peer web-1</h1>", "Connected since", "hooklined", "Debian 12", on+on,
		"It files problem reports", "It runs hooks that pass its own checks", "None. People find machines by labels", `aria-current="page">Facts`,
		`sse-connect="/live?topic=peer%2F`+on, `hx-select-oob="#top,#facts,#optin,#has-labels"`)
	w.hasNot(page, `id="labels"`)
	w.has(w.Want("/peers/"+on, auth.RoleOperator), `id="labels"`)
	w.has(w.Want("/peers/"+off, auth.RoleViewer), "has not connected yet", "It files no problem reports", "It runs no hooks")
	asks := w.peer("asks", "ask", now)
	w.has(w.Want("/peers/"+asks, auth.RoleViewer), "after its owner said yes")
	bundles := w.Want("/peers/"+on+"?tab=bundles", auth.RoleViewer)
	w.has(bundles, `id="bundles"`, "allow_bundles", `aria-current="page">Debug bundles`)
	if strings.Count(bundles, "<button") != 2 { // sign out, pause
		t.Error("the place of bundles has a button")
	}
	for _, id := range []string{strings.Repeat("f", 32), "x", strings.ToUpper(on), on + "0"} {
		if a := w.Get("/peers/"+id, auth.RoleViewer); a.Status != http.StatusNotFound {
			t.Errorf("%s: %d", id, a.Status)
		}
	}
	if a := w.Get("/peers/"+on+"?tab=x", auth.RoleViewer); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("a tab that is none: %d", a.Status)
	}
	for _, path := range []string{"/peers", "/peers/" + on} {
		if a := w.Get(path, auth.Role("nothing")); a.Status != http.StatusForbidden || !strings.Contains(a.Body, "peers.read") {
			t.Errorf("%s without a role: %d", path, a.Status)
		}
	}
}

func TestJobs(t *testing.T) {
	w := newWorld(t)
	peer := w.peer("web-1", "yes", now)
	page := w.Want("/peers/"+peer+"?tab=jobs", auth.RoleViewer)
	w.has(page, "Hook runs that succeeded: no data", "The last 7 days", "Reports filed: 0", "This machine has no jobs yet")

	v := w.active("taint")
	good := jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeEmpty}
	bad := jobs.Decision{Status: jobs.Failed, Outcome: hooks.OutcomeFailed, Code: string(errs.CodeHookError), Text: "it broke: " + hostile}
	w.run(peer, "taint", v, now.Add(-time.Hour), good)
	failed := w.run(peer, "taint", v, now.Add(-2*time.Hour), bad)
	w.run(peer, "taint", v, now.Add(-3*time.Hour), good)
	w.run(peer, "taint", v, now.Add(-72*time.Hour), bad)
	w.run(peer, "taint", v, now.Add(-20*24*time.Hour), bad)
	pending := w.run(peer, "taint", v, now.Add(-time.Minute), jobs.Decision{Status: jobs.Pending})

	for days, want := range map[string][]string{
		"1":  {"succeeded: 66 %", "2 of 3 that ended, 1 pending", "The last 1 day<", "Reports filed: 4"},
		"7":  {"succeeded: 50 %", "2 of 4 that ended, 1 pending", "Reports filed: 5"},
		"30": {"succeeded: 40 %", "2 of 5 that ended, 1 pending", "Reports filed: 6"},
	} {
		page := w.Want("/peers/"+peer+"?tab=jobs&days="+days, auth.RoleViewer)
		w.has(page, want...)
		w.has(page, `<span class="state hook-error">hook-error</span>`, `<span class="state empty">empty</span> 2`)
		w.hasNot(page, "there are more in these days", "<script>alert", "\u202e", "\x1b")
	}
	page = w.Want("/peers/"+peer+"?tab=jobs", auth.RoleViewer)
	w.has(page, `href="/jobs/`+failed+`"`, `href="/jobs/`+pending+`"`, `href="/versions/`+v+`"`, "hook taint", `href="/problems/`, "nothing to add",
		`aria-label="Jobs of a peer"`, `<input type="hidden" name="tab" value="jobs">`)
	filtered := w.Want("/peers/"+peer+"?tab=jobs&work=hook&status=failed&days=30", auth.RoleViewer)
	w.has(filtered, failed, `href="/peers/`+peer+`?days=30&amp;tab=jobs">All`)
	w.hasNot(filtered, pending)
	rows, err := csv.NewReader(strings.NewReader(w.Want("/peers/"+peer+"?tab=jobs&work=hook&status=failed&format=csv", auth.RoleViewer))).ReadAll()
	w.must(err)
	if len(rows) != 4 || rows[1][1] != failed || rows[1][6] != "hook-error" {
		t.Errorf("exported %v", rows)
	}
	for _, bad := range []string{"days=0", "days=31", "days=x", "work=x", "status=x", "sort=x"} {
		if a := w.Get("/peers/"+peer+"?tab=jobs&"+bad, auth.RoleViewer); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", bad, a.Status)
		}
	}
}

// many is a machine with more jobs than a page looks at.
type many struct {
	machines.Store
	pages *int
}

func (m many) Jobs(_ context.Context, f jobs.Filter) ([]jobs.Job, error) {
	list := make([]jobs.Job, f.Limit)
	for i := range list {
		list[i] = jobs.Job{ID: fmt.Sprint(i), Workload: jobs.WorkHook, Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived, Bytes: 10}
	}
	*m.pages++
	return list, nil
}

func (m many) CountJobs(context.Context, jobs.Filter, []time.Time, int64) ([]int64, error) {
	return nil, errs.New(errs.CodeUnavailable, "the store is away")
}

func TestTheLookAtJobsIsBounded(t *testing.T) {
	w := newWorld(t)
	peer, pages := w.peer("busy", "yes", now), 0
	store := many{w.DB, &pages}
	w.Serve(machines.Routes(w.Kit, machines.Parts{Store: counting{store}, Gate: w.Gate}))
	w.has(w.Want("/peers/"+peer+"?tab=jobs", auth.RoleViewer), "These are the newest 1\u202f000 runs", "Reports filed: 1\u202f000 or more", "100 %")
	if pages != 6 {
		t.Errorf("%d questions", pages)
	}
	w.Serve(machines.Routes(w.Kit, machines.Parts{Store: store, Gate: w.Gate}))
	w.has(w.Want("/peers/"+peer+"?tab=jobs", auth.RoleViewer), "The store is away.", `id="jobs"`) // the rest comes all the same
}

// counting is many with a count.
type counting struct{ many }

func (c counting) CountJobs(_ context.Context, _ jobs.Filter, _ []time.Time, most int64) ([]int64, error) {
	return []int64{most}, nil
}

func TestLabels(t *testing.T) {
	w := newWorld(t)
	peer := w.peer("web-1", "yes", now)
	path := "/peers/" + peer + "/labels"
	post := func(labels string, roles ...auth.Role) kittest.Answer {
		return w.Post(path, url.Values{"labels": {labels}}, roles...)
	}
	labels := func() string {
		m, err := w.DB.Peer(w.Context(), peer)
		w.must(err)
		return strings.Join(m.Labels, " ")
	}
	if a := post("web env=prod, web\tapi/v1", auth.RoleOperator); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/peers/"+peer {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := labels(); got != "api/v1 env=prod web" {
		t.Errorf("labels %q", got)
	}
	page := w.Want("/peers/"+peer, auth.RoleOperator)
	w.has(page, "The labels of web-1 are kept.", `value="api/v1 env=prod web"`, `href="/peers?label=env%3dprod"`)
	entries, err := w.DB.Entries(w.Context(), auth.EntryFilter{Target: "peer/" + peer, Limit: 10})
	w.must(err)
	if len(entries) != 1 || entries[0].Action != string(auth.PeersLabel) || entries[0].Actor != "operator" || entries[0].Detail == "" {
		t.Errorf("audited %+v", entries)
	}
	for _, bad := range []string{"UPPER", hostile, "a b <c>", strings.Repeat("a", 41), "a é", "x\u202ey", strings.Repeat("l ", 3) + strings.Join(manyLabels(17), " ")} {
		a := post(bad, auth.RoleOperator)
		if a.Status != http.StatusUnprocessableEntity && a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%.40q: %d", bad, a.Status)
		}
		if !strings.Contains(a.Body, `id="refusal"`) || !strings.Contains(a.Body, `value="`+html.EscapeString(bad[:1])) {
			t.Errorf("%.40q: what was typed, and why it is refused: %s", bad, a.Body)
		}
		w.hasNot(a.Body, "<script>alert")
	}
	if got := labels(); got != "api/v1 env=prod web" {
		t.Errorf("after what was refused: %q", got)
	}
	if a := post(strings.Join(manyLabels(16), " "), auth.RoleAdmin); a.Status != http.StatusSeeOther {
		t.Errorf("16 labels: %d", a.Status)
	}
	if a := post("", auth.RoleOperator); a.Status != http.StatusSeeOther || labels() != "" {
		t.Errorf("no labels: %d %q", a.Status, labels())
	}
	if a := post("web", auth.RoleViewer); a.Status != http.StatusForbidden || !strings.Contains(a.Body, "operator") || labels() != "" {
		t.Errorf("a viewer: %d", a.Status)
	}
	for _, id := range []string{strings.Repeat("f", 32), "x"} {
		if a := w.Post("/peers/"+id+"/labels", url.Values{"labels": {"web"}}, auth.RoleOperator); a.Status != http.StatusNotFound {
			t.Errorf("%s: %d", id, a.Status)
		}
	}
}

func manyLabels(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint("label-", i))
	}
	return all
}

// TestHostileMachine: what a machine says of itself is text.
func TestHostileMachine(t *testing.T) {
	w := newWorld(t)
	id := w.peer(hostile, "yes", time.Time{})
	_, err := w.DB.Connect(w.Context(), id, hostile, enroll.Hello{
		Facts: hooks.Facts{OS: hostile, Release: hostile, Kernel: hostile, Arch: hostile}, Version: hostile, AllowHooks: hostile,
	}, now)
	w.must(err)
	for _, path := range []string{"/peers", "/peers/" + id, "/peers/" + id + "?tab=jobs", "/peers/" + id + "?tab=bundles", "/peers?format=csv", "/peers?format=ndjson"} {
		page := w.Want(path, auth.RoleOperator)
		if strings.Contains(path, "format") {
			w.hasNot(page, "\u202e", "\x1b")
			continue
		}
		w.has(page, "⟨U&#43;202E⟩", "&lt;script&gt;")
		w.hasNot(page, "<script>alert", `" onmouseover`, `hx-get="/evil`, "\u202e", "\x1b", "ZgotmplZ", " style=")
	}
}
