package kit

import (
	"html/template"
	"net/url"
	"strings"
	"testing"
	"time"

	"hookline/internal/looks"
)

// FuzzCells: the markup of a cell is what html/template makes of the same
// parts, whatever is in them, and its links lead to pages of ours.
func FuzzCells(f *testing.F) {
	for _, s := range []string{"", "plain", "<script>alert(1)</script>", `" onload="x`, "a+b='c'&d", "\x00\xff\u202e", "/jobs/1?x=1&y=2", "//evil.example", `/\evil`, "javascript:alert(1)", "/a b\"<>", "/a%", "/a%2f?b=%zz"} {
		f.Add(s, s, s)
	}
	same := template.Must(template.New("").Parse(`{{range .}}{{if .IsID}}<span class="id">{{.Text}}</span>{{else if .IsState}}<span class="state {{.Text}}">{{.Text}}</span>{{else}}{{.Text}}{{end}}{{if .Note}} <span class="muted">{{.Note}}</span>{{end}}{{end}}`))
	type part struct {
		IsID, IsState bool
		Text, Note    string
	}
	k := &Kit{Parts: Parts{Now: func() time.Time { return time.Unix(1_000_000, 0) }}}
	f.Fuzz(func(t *testing.T, text, note, link string) {
		shown := looks.Visible(text)
		for _, c := range []Cell{Text(text).With(note), State(text).With(note), Code(text).With(note)} {
			p := part{IsID: c.Kind == KindCode && shown != "", IsState: c.Kind == KindState, Text: shown, Note: looks.Visible(note)}
			if shown == "" && c.Kind != KindState {
				p.Text = "–"
			}
			var want strings.Builder
			if err := same.Execute(&want, []part{p}); err != nil {
				t.Fatal(err)
			}
			if got := string(k.cell(c)); got != want.String() {
				t.Errorf("%q: %q, html/template makes %q", text, got, want.String())
			}
		}
		got := string(k.cell(Text(text).To(link)))
		if strings.Count(got, "<") != strings.Count(got, ">") || strings.Count(got, "<") > 2 {
			t.Errorf("%q to %q: %q", text, link, got)
		}
		if to := ours(link); to != "" {
			u, err := url.Parse(to)
			if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\"<> \\\n\t\r") {
				t.Errorf("%q leads to %q", link, to)
			}
		}
	})
}

func TestRowsOfCells(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	k := &Kit{Parts: Parts{Now: func() time.Time { return now }}}
	r := row{Cells: []cellView{
		{Cell: Number(1234), Head: `H"<`, Right: true, Any: true},
		{Cell: Time(now.Add(-time.Hour)).To("/jobs/1"), Head: "At"},
		{Cell: Time(time.Time{})},
		{Cell: ID("abc", "/jobs/abc?a=1&b=2")},
		{Cell: Text("away").To("https://evil.example/")},
	}}
	want := `<td role="cell" data-label="H&#34;&lt;" class="number any"><div>1` + "\u202f" + `234</div></td>` +
		`<td role="cell" data-label="At"><div><a href="/jobs/1"><time datetime="2026-05-04T11:00:00Z" title="2026-05-04 11:00:00 UTC">1 h ago</time></a></div></td>` +
		`<td role="cell" data-label=""><div>–</div></td>` +
		`<td role="cell" data-label=""><div><a class="id" href="/jobs/abc?a=1&amp;b=2">abc</a></div></td>` +
		`<td role="cell" data-label=""><div>away</div></td>`
	if got := string(k.cells(r)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func BenchmarkCells(b *testing.B) {
	k := &Kit{Parts: Parts{Now: time.Now}}
	r := row{Cells: []cellView{{Cell: ID("01960000-0000-7000-8000-000000000001", "/jobs/01960000-0000-7000-8000-000000000001")}, {Cell: Time(time.Now())}, {Cell: State("succeeded")}, {Cell: Text("some words")}}}
	for b.Loop() {
		_ = k.cells(r)
	}
}
