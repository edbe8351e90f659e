package kit_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
	"hookline/internal/web/kit/kittest"
)

// one is a row of the list in these tests.
type one struct {
	id   int64
	name string
	at   time.Time
}

const pageOfList = `{{define "page"}}<h1>List</h1>{{template "table" .}}{{end}}`

// list is a table of n rows whose names the test gives.
func list(n int64, name func(i int64) string) kit.Table[one] {
	return kit.Table[one]{
		Name: "Some rows",
		Columns: []kit.Column[one]{
			{Name: "id", Head: "Id", Cell: func(o one) kit.Cell { return kit.Number(o.id) }, Sort: "id"},
			{Name: "name", Head: "Name", Cell: func(o one) kit.Cell { return kit.Text(o.name).To("/things/1") }},
			{Name: "seen", Head: "Seen", Cell: func(o one) kit.Cell { return kit.Time(o.at) }},
			{Name: "secret", Head: "Secret", Cell: func(one) kit.Cell { return kit.Text("s") }, Only: true},
		},
		Fetch: func(_ context.Context, after string, limit int) ([]one, error) {
			first := int64(0)
			if after != "" {
				if _, err := fmt.Sscan(after, &first); err != nil {
					return nil, errs.New(errs.CodeBadInput, "no such place")
				}
			}
			var rows []one
			for i := first + 1; i <= n && len(rows) < limit; i++ {
				rows = append(rows, one{i, name(i), time.Date(2026, 5, 4, 11, 0, 0, 0, time.UTC)})
			}
			return rows, nil
		},
		Cursor: func(o one) string { return fmt.Sprint(o.id) },
		Orders: []kit.Order{{Value: "id", Label: "Id"}, {Value: "name", Label: "Name"}},
		Empty:  kit.Empty{Text: "There is nothing.", Command: "make something"},
	}
}

func serve(t *testing.T, routes func(*kit.Templates) []kit.Route) *kittest.Site {
	t.Helper()
	s := kittest.New(t)
	templates, err := s.Kit.Parse(fstest.MapFS{
		"list.html":  {Data: []byte(pageOfList)},
		"form.html":  {Data: []byte(`{{define "page"}}<h1>Form</h1><form method="post" id="f"><input name="why" value="{{.}}"></form>{{end}}`)},
		"parts.html": {Data: []byte(`{{define "page"}}<h1>Parts</h1>{{if .Err}}{{template "broken" .Err}}{{else}}{{.Value}}{{end}}{{end}}`)},
	}, "*.html")
	return s.Serve(routes(templates), err)
}

func listRoute(templates *kit.Templates, table kit.Table[one]) kit.Route {
	return kit.Route{Method: "GET", Path: "/list", Access: kit.Reads(auth.JobsRead), Page: func(r *kit.Request) (kit.Answer, error) {
		return kit.Show(r, table, func(v kit.TableView) (kit.Answer, error) { return templates.View("list", "List", "Jobs", v), nil })
	}}
}

func TestAccess(t *testing.T) {
	asked := 0
	s := serve(t, func(*kit.Templates) []kit.Route {
		page := func(*kit.Request) (kit.Answer, error) { asked++; return kit.Redirect{To: "/"}, nil }
		return []kit.Route{
			{Method: "GET", Path: "/public", Access: kit.Public, Page: page},
			{Method: "GET", Path: "/in", Access: kit.SignedIn, Page: page},
			{Method: "GET", Path: "/audit", Access: kit.Reads(auth.AuditRead), Page: page},
			{Method: "POST", Path: "/act", Access: kit.Acts(auth.HooksDisable), Page: page},
		}
	})
	for _, c := range []struct {
		path string
		as   []auth.Role
		want int
	}{
		{"/public", nil, 303},
		{"/in", nil, 401},
		{"/audit", nil, 401},
		{"/act", nil, 405},
		{"/in", []auth.Role{auth.RoleViewer}, 303},
		{"/audit", []auth.Role{auth.RoleViewer}, 403},
		{"/audit", []auth.Role{auth.RoleOperator}, 303},
		{"/nowhere", nil, 404},
		{"/nowhere", []auth.Role{auth.RoleAdmin}, 404},
	} {
		before := asked
		a := s.Get(c.path, c.as...)
		if a.Status != c.want || (asked > before) != (c.want == 303) {
			t.Errorf("%s as %v: %d, asked %v\n%s", c.path, c.as, a.Status, asked > before, a.Body)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		} {
			if a.Header.Get(name) != want {
				t.Errorf("%s: header %s is %q", c.path, name, a.Header.Get(name))
			}
		}
		if !strings.Contains(a.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'") {
			t.Errorf("%s: policy %q", c.path, a.Header.Get("Content-Security-Policy"))
		}
	}
	if a := s.Get("/audit", auth.RoleViewer); !strings.Contains(a.Body, "Roles that may: admin, operator") {
		t.Errorf("the refusal names no role:\n%s", a.Body)
	}
	if a := s.Post("/act", nil); a.Status != 401 {
		t.Errorf("a form of nobody: %d", a.Status)
	}
}

func TestARouteWithoutARule(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a route without an access rule is served")
		}
	}()
	s := kittest.New(t)
	s.Kit.Handler([]kit.Route{{Method: "GET", Path: "/x", Page: func(*kit.Request) (kit.Answer, error) { return nil, nil }}})
}

func TestPaging(t *testing.T) {
	s := serve(t, func(templates *kit.Templates) []kit.Route {
		return []kit.Route{listRoute(templates, list(120, func(i int64) string { return fmt.Sprint("row ", i) }))}
	})
	first := s.Want("/list?sort=name&mine=1", auth.RoleViewer)
	for _, want := range []string{
		"row 1<", "row 50<", `href="/list?after=50&amp;mine=1&amp;sort=name" rel="next"`,
	} {
		if !strings.Contains(first, want) {
			t.Errorf("the first page lacks %s", want)
		}
	}
	if strings.Contains(first, "row 51<") || strings.Contains(first, "First page") || strings.Contains(first, ">Secret<") {
		t.Errorf("the first page has too much:\n%s", first)
	}
	last := s.Want("/list?after=100", auth.RoleViewer)
	if !strings.Contains(last, "row 120<") || !strings.Contains(last, `<a href="/list">First page</a>`) || strings.Contains(last, `rel="next"`) {
		t.Errorf("the last page:\n%s", last)
	}
	for _, bad := range []string{"/list?after=x", "/list?after=" + strings.Repeat("1", 5000), "/list?format=pdf"} {
		if a := s.Get(bad, auth.RoleViewer); a.Status != 422 {
			t.Errorf("%.40s: %d", bad, a.Status)
		}
	}
}

// A filter that no index knows looks at so many rows, says so, and goes on.
func TestBoundedLook(t *testing.T) {
	table := list(10_000, func(i int64) string { return fmt.Sprint("row ", i) })
	looked := 0
	table.Keep = func(_ context.Context, o one) (bool, error) { looked++; return o.id%3000 == 0, nil }
	table.Filters = []kit.Filter{{Name: "q", Label: "Words", Value: "x"}}
	s := serve(t, func(templates *kit.Templates) []kit.Route { return []kit.Route{listRoute(templates, table)} })
	body := s.Want("/list?q=x", auth.RoleViewer)
	if !strings.Contains(body, "row 3000<") || strings.Contains(body, "row 6000<") || looked != 4000 {
		t.Errorf("looked at %d:\n%s", looked, body)
	}
	if !strings.Contains(body, "Looked at 4000 rows") || !strings.Contains(body, `href="/list?after=4000&amp;q=x" rel="next">Look on`) {
		t.Errorf("it does not go on:\n%s", body)
	}
	looked = 0
	if a := s.Get("/list?format=csv&q=x", auth.RoleViewer); looked != 10_000 || strings.Count(a.Body, "\n") != 4 {
		t.Errorf("an export looked at %d rows:\n%s", looked, a.Body)
	}
}

func TestEmptyLists(t *testing.T) {
	table := list(0, nil)
	filtered := table
	filtered.Filters = []kit.Filter{{Name: "q", Label: "Words", Value: "x"}}
	s := serve(t, func(templates *kit.Templates) []kit.Route {
		other := listRoute(templates, filtered)
		other.Path = "/filtered"
		return []kit.Route{listRoute(templates, table), other}
	})
	if body := s.Want("/list", auth.RoleViewer); !strings.Contains(body, "There is nothing.") || !strings.Contains(body, "<code>make something</code>") {
		t.Errorf("an empty list says:\n%s", body)
	}
	if body := s.Want("/filtered", auth.RoleViewer); strings.Contains(body, "There is nothing.") || !strings.Contains(body, "Nothing fits these filters.") {
		t.Errorf("an empty list with a filter says:\n%s", body)
	}
}

var hostile = []string{
	"=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\tx", "\n=1", "＝1", "\x00=1", "\u202eevil", "<script>alert(1)</script>", `"; DROP`, "\xff\xfe", `a"b,c` + "\n\n" + "d",
	`<b hx-get="/x" hx-trigger="load">`, strings.Repeat("w", 1<<20),
}

func TestExports(t *testing.T) {
	table := list(int64(len(hostile)), func(i int64) string { return hostile[i-1] })
	s := serve(t, func(templates *kit.Templates) []kit.Route { return []kit.Route{listRoute(templates, table)} })
	a := s.Get("/list?format=csv", auth.RoleViewer)
	if a.Header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(a.Header.Get("Content-Disposition"), `attachment; filename="hookline-some-rows-2026`) {
		t.Errorf("headers %v", a.Header)
	}
	rows, err := csv.NewReader(strings.NewReader(a.Body)).ReadAll()
	if err != nil || len(rows) != len(hostile)+1 || !slices.Equal(rows[0], []string{"id", "name", "seen", "secret"}) {
		t.Fatalf("%v: %d rows, %.80q", err, len(rows), rows)
	}
	for i, row := range rows[1:] {
		cell := row[1]
		if strings.ContainsAny(cell[:1], "=+-@\t\r\n") || strings.HasPrefix(cell, "＝") {
			t.Errorf("%.40q became a formula: %.40q", hostile[i], cell)
		}
		if strings.ContainsAny(cell, "\x00\u202e") || !utf8.ValidString(cell) {
			t.Errorf("%.40q hides something: %.40q", hostile[i], cell)
		}
		if row[0] != fmt.Sprint(i+1) || row[2] != "2026-05-04T11:00:00.000Z" {
			t.Errorf("row %q", row[:1])
		}
	}
	a = s.Get("/list?format=ndjson", auth.RoleViewer)
	lines := strings.Split(strings.TrimSuffix(a.Body, "\n"), "\n")
	if len(lines) != len(hostile) {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines {
		var got struct {
			ID   int64
			Name string
			Seen time.Time
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.ID != int64(i+1) || got.Name != strings.ToValidUTF8(hostile[i], "\ufffd") {
			t.Errorf("%v: %.60q", err, line)
		}
		if strings.ContainsAny(line, "<>\u202e\x00") {
			t.Errorf("%.60q has what a page could take for markup, or hides", line)
		}
	}
	// The page shows the same as text.
	page := s.Want("/list", auth.RoleViewer)
	for _, bad := range []string{"<script>alert", `<b hx-get`, "\u202e", "\x00"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

// A broken export is cut, so that nobody takes a part for the whole.
func TestBrokenExport(t *testing.T) {
	table := list(1000, func(i int64) string { return fmt.Sprint(i) })
	fetch := table.Fetch
	table.Fetch = func(ctx context.Context, after string, limit int) ([]one, error) {
		if after != "" {
			return nil, errors.New("the disk is on fire")
		}
		return fetch(ctx, after, limit)
	}
	s := serve(t, func(templates *kit.Templates) []kit.Route { return []kit.Route{listRoute(templates, table)} })
	defer func() {
		if got, _ := recover().(error); !errors.Is(got, http.ErrAbortHandler) {
			t.Errorf("it ended with %v", got)
		}
	}()
	s.Get("/list?format=csv", auth.RoleViewer)
	t.Error("a part of an export looks like the whole")
}

func TestFormsThatAreRefused(t *testing.T) {
	var refuse error
	s := serve(t, func(templates *kit.Templates) []kit.Route {
		form := func(r *kit.Request) (kit.Answer, error) {
			return templates.View("form", "Form", "", r.TypedOr("why", "first")), nil
		}
		return []kit.Route{
			{Method: "GET", Path: "/form", Access: kit.SignedIn, Page: form},
			{Method: "POST", Path: "/form", Access: kit.SignedIn, Page: func(r *kit.Request) (kit.Answer, error) {
				if refuse != nil {
					return r.Again(form, refuse)
				}
				r.Say("It is done: %s", r.Typed("why"))
				return kit.Redirect{To: "/form"}, nil
			}},
		}
	})
	typed := url.Values{"why": {"<b>because</b> \u202e"}}
	for _, c := range []struct {
		err  error
		want int
		kept bool
	}{
		{errs.New(errs.CodeBoundExceeded, "it is too much").WithHint("ask for less"), 0, true},
		{errs.New(errs.CodeBadInput, "it is wrong"), 422, true},
		{errs.New(errs.CodeForbidden, "you may not"), 403, false},
		{errs.New(errs.CodeNotFound, "it is not there"), 404, false},
		{errors.New("boom"), 500, false},
	} {
		refuse = c.err
		a := s.Post("/form", typed, auth.RoleViewer)
		if c.want != 0 && a.Status != c.want || a.Status < 400 {
			t.Errorf("%v: %d", c.err, a.Status)
		}
		if kept := strings.Contains(a.Body, `value="&lt;b&gt;because`); kept != c.kept {
			t.Errorf("%v: what was typed is kept: %v\n%s", c.err, kept, a.Body)
		}
		if c.want != 500 && !strings.Contains(strings.ToLower(a.Body), c.err.Error()) || strings.Contains(a.Body, "boom") {
			t.Errorf("%v:\n%s", c.err, a.Body)
		}
	}
	refuse = nil
	if a := s.Post("/form", typed, auth.RoleViewer); a.Status != 303 || a.Header.Get("Location") != "/form" {
		t.Errorf("%d %v", a.Status, a.Header)
	}
	body := s.Want("/form", auth.RoleViewer)
	if !strings.Contains(body, "It is done: &lt;b&gt;because&lt;/b&gt; ⟨U&#43;202E⟩") || !strings.Contains(body, `value="first"`) {
		t.Errorf("after it:\n%s", body)
	}
	if strings.Contains(s.Want("/form", auth.RoleViewer), "It is done") {
		t.Error("it is said twice")
	}
	if a := s.Post("/form", url.Values{"why": {strings.Repeat("x", 600<<10)}}, auth.RoleViewer); a.Status != 413 {
		t.Errorf("600 kB of typing: %d", a.Status)
	}
}

func TestAPartThatFails(t *testing.T) {
	var err error
	s := serve(t, func(templates *kit.Templates) []kit.Route {
		return []kit.Route{{Method: "GET", Path: "/parts", Access: kit.SignedIn, Page: func(r *kit.Request) (kit.Answer, error) {
			return templates.View("parts", "Parts", "", kit.Load(r, "numbers", func(context.Context) (string, error) { return "forty-two", err })), nil
		}}}
	})
	if body := s.Want("/parts", auth.RoleViewer); !strings.Contains(body, "forty-two") {
		t.Errorf("%s", body)
	}
	for _, err = range []error{errors.New("secret cause"), errs.New(errs.CodeUnavailable, "the store is away").WithHint("wait")} {
		body := s.Want("/parts", auth.RoleViewer)
		if strings.Contains(body, "secret cause") || strings.Contains(body, "forty-two") || !strings.Contains(body, `class="notice bad"`) {
			t.Errorf("%v:\n%s", err, body)
		}
	}
}

func TestDebugIsForOperators(t *testing.T) {
	table := list(3, func(i int64) string { return fmt.Sprint(i) })
	s := serve(t, func(templates *kit.Templates) []kit.Route { return []kit.Route{listRoute(templates, table)} })
	if body := s.Want("/list?debug=1", auth.RoleViewer); strings.Contains(body, `id="debug"`) {
		t.Error("a viewer sees the debug facts")
	}
	if body := s.Want("/list?debug=1", auth.RoleOperator); !strings.Contains(body, `id="debug"`) || !strings.Contains(body, `data-queries="0"`) {
		t.Errorf("an operator does not see them:\n%s", body)
	}
}

func TestFragments(t *testing.T) {
	table := list(3, func(i int64) string { return fmt.Sprint(i) })
	s := serve(t, func(templates *kit.Templates) []kit.Route {
		r := listRoute(templates, table)
		r.Page = func(r *kit.Request) (kit.Answer, error) {
			return templates.View("list", "List", "", kit.TableView{}).Follow([]string{"job/1", "job/2"}, []string{"a", "b"}), nil
		}
		return []kit.Route{r}
	})
	whole := s.Want("/list", auth.RoleViewer)
	if !strings.Contains(whole, `sse-connect="/live?topic=job%2F1&amp;topic=job%2F2"`) || !strings.Contains(whole, `hx-select-oob="#a,#b"`) {
		t.Errorf("the page follows nothing:\n%s", whole)
	}
}

func TestOurPath(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "/jobs/1?x=1": "/jobs/1?x=1", "": "/", "//evil.example/": "/", `/\evil.example`: "/", "https://evil.example/": "/",
		"jobs": "/", "/jobs\nSet-Cookie: x": "/", "javascript:alert(1)": "/", "/ä": "/", "/a?q=ö": "/a?q=%C3%B6", "/a#b": "/", "/%2f%2fx": "/", "/a//b": "/", "/a/": "/", "/hooks/a-b@2": "/hooks/a-b@2", "/a?x=1#y": "/a?x=1%23y",
	} {
		if got := kit.OurPath(in); got != want {
			t.Errorf("%q leads to %q, want %q", in, got, want)
		}
	}
}

func FuzzOurPath(f *testing.F) {
	for _, s := range []string{"/", "//x", `/\x`, "/%2f%2fx", "/x?y#z", "https://x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := kit.OurPath(in)
		u, err := url.Parse(got)
		if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.HasPrefix(got, `/\`) || strings.ContainsAny(got, "\r\n\t") {
			t.Errorf("%q leads to %q", in, got)
		}
		if kit.OurPath(got) != got {
			t.Errorf("%q leads to %q, which leads to %q", in, got, kit.OurPath(got))
		}
	})
}

func TestWords(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]string{
		{}: "–", now: "just now", now.Add(-59 * time.Second): "59 s ago", now.Add(-90 * time.Minute): "1 h ago", now.Add(-47 * time.Hour): "47 h ago",
		now.Add(-49 * time.Hour): "2 days ago", now.Add(time.Hour): "in 1 h",
	} {
		if got := kit.Ago(at, now); got != want {
			t.Errorf("%v: %q, want %q", at, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567", -1000: "−1\u202f000"} {
		if got := kit.Grouped(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
