package browsertest_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"

	"hookline/internal/browsertest"
)

const pagesPage = "../../docs/pages.md"

var updatePages = flag.Bool("update", false, "write docs/pages.md anew")

// The page of the pages is made of what they cost.
func TestPagesPage(t *testing.T) {
	s := everybody(t)
	all := s.measured(t)
	b, err := os.ReadFile(pagesPage)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	is := string(b)
	want := pagesText(all, is)
	if *updatePages {
		must(t, os.WriteFile(pagesPage, []byte(want), 0o644)) //nolint:gosec // a page of the documentation
		return
	}
	if is != want {
		t.Errorf("docs/pages.md is not what the pages cost: go test ./internal/browsertest -run PagesPage -update\n%s", differing(is, want))
	}
}

// differing is the lines of one text that the other does not have.
func differing(is, want string) string {
	var b strings.Builder
	for line := range strings.Lines(want) {
		if !strings.Contains(is, line) {
			b.WriteString("+ " + line)
		}
	}
	for line := range strings.Lines(is) {
		if !strings.Contains(want, line) {
			b.WriteString("- " + line)
		}
	}
	return b.String()
}

func pagesText(all []figures, before string) string {
	var b strings.Builder
	b.WriteString(`# The pages

Every page of the server, and the two of the reviewer's own program, with what they cost. ` + "`make check`" + ` looks at each of them in a browser: nothing that
axe-core calls serious stands on any, in light, in dark or at 360 pixels; none is wider than its window; a first visit, with an empty cache, takes at most
120 kB in at most 4 requests. Style and scripts are one file each, sent compressed; a browser keeps both.

This page is made by that test, over a small deployment that real programs filled; ` + "`go test ./internal/browsertest -run PagesPage -update`" + ` writes it anew. Sizes
are in thousands of bytes, rounded up. Queries and rows are what the store counted, for a person with every role; operators see the same figures, with
times, on each page with ` + "`?debug=1`" + `.

| page | address | HTML, kB | first visit, kB | requests | stays live | queries | rows |
|---|---|---|---|---|---|---|---|
`)
	old := rowsOf(before)
	for _, f := range all {
		name, address := f.page.Name, f.page.Route
		if f.page.Local {
			address = strings.SplitN(f.page.Path(browsertest.Facts{Waiting: "{digest}"}), "?", 2)[0]
		}
		loaded, live := 0, "no"
		for _, r := range f.requests {
			if r.Type == stream {
				live = "yes"
				continue
			}
			loaded++
		}
		queries, rows := "–", "–"
		if len(f.loads) > 0 {
			queries, rows = fmt.Sprint(f.queries), fmt.Sprint(f.rows)
		}
		fmt.Fprintf(&b, "| %s | `%s` | %d | %d | %d | %s | %s | %s |\n", name, address,
			kilo(f.html, old[name], 2), kilo(f.total, old[name], 3), loaded, live, queries, rows)
	}
	return b.String()
}

// slack is by how many bytes a size may differ from run to run, and from machine
// to machine: ages, ports, the names of host, kernel and folder,
// how many digits a time has.
const slack = 600

// kilo is bytes in whole kB, rounded up. What was written down before stays
// where it is that, but for the slack.
func kilo(bytes int64, old []string, column int) int64 {
	if len(old) > column {
		was, err := strconv.ParseInt(old[column], 10, 64)
		if err == nil && bytes > (was-1)*1000-slack && bytes <= was*1000+slack {
			return was
		}
	}
	return (bytes + 999) / 1000
}

// rowsOf are the cells of a page's table, by the first.
func rowsOf(page string) map[string][]string {
	rows := map[string][]string{}
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) == 8 {
			rows[cells[0]] = cells
		}
	}
	return rows
}

func TestSizesKeepTheirLastFigureWithinTheSlack(t *testing.T) {
	old := []string{"page", "/", "8", "30"}
	for _, c := range []struct {
		bytes, want int64
	}{{7500, 8}, {8000, 8}, {8200, 8}, {8601, 9}, {6500, 8}, {6400, 7}, {1, 1}} {
		if is := kilo(c.bytes, old, 2); is != c.want {
			t.Errorf("%d bytes, 8 before: %d kB, want %d", c.bytes, is, c.want)
		}
	}
	if is := kilo(8001, nil, 2); is != 9 {
		t.Errorf("8001 bytes, nothing before: %d kB, want 9", is)
	}
}
