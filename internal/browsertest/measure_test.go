package browsertest_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"hookline/hooks"
	"hookline/internal/browsertest"
)

// figures are what a page cost.
type figures struct {
	page     browsertest.Page
	html     int64                 // bytes of the document, as sent
	total    int64                 // bytes of all that a first visit loads, headers too, but streams
	requests []browsertest.Request // in their order, streams too
	queries  int64
	rows     int64
	loads    []load
}

// load is how long the server took for one page, in milliseconds.
type load struct{ queries, all float64 }

const loads = 5 // of each page, of which the fastest counts

// measured is what all pages cost before any test changed what is on them.
func (s *shared) measured(t *testing.T) []figures {
	t.Helper()
	s.measure.Do(func() {
		client, err := s.world.Session(t.Context(), "admin")
		must(t, err)
		eachPage(t, s, func(t *testing.T, tab *browsertest.Tab, p browsertest.Page) {
			if p.Extra {
				return
			}
			requests, err := tab.FirstVisit(p.Path(s.facts))
			must(t, err)
			calm(t, tab, p.Name)
			f := figures{page: p, requests: requests}
			f.html, err = browsertest.Evaluate[int64](tab, "performance.getEntriesByType('navigation')[0].encodedBodySize")
			must(t, err)
			for _, r := range requests {
				if r.Type != stream {
					f.total += r.Bytes
				}
			}
			if p.As != "" && !p.Local {
				s.ask(t, client, &f)
			}
			s.figures = append(s.figures, f)
		})
		s.complete = true
	})
	if !s.complete {
		t.Fatal("not every page could be measured; an earlier test says which")
	}
	return s.figures
}

// stream is the type of a request that stays open.
const stream = "EventSource"

var debugFigure = regexp.MustCompile(`data-(queries|rows|query-ms|total-ms)="([0-9.]+)"`)

// ask loads a page several times with the operators' figures on it.
func (s *shared) ask(t *testing.T, client *http.Client, f *figures) {
	t.Helper()
	address, err := url.Parse(s.world.HTTP + f.page.Path(s.facts))
	must(t, err)
	q := address.Query()
	q.Set("debug", "1")
	address.RawQuery = q.Encode()
	for range loads {
		body := get(t, client, address.String())
		found := map[string]float64{}
		for _, m := range debugFigure.FindAllStringSubmatch(body, -1) {
			n, err := strconv.ParseFloat(m[2], 64)
			must(t, err)
			found[m[1]] = n
		}
		if len(found) != 4 {
			t.Fatalf("%s has no figures for operators: %v", address, found)
		}
		f.queries, f.rows = int64(found["queries"]), int64(found["rows"])
		f.loads = append(f.loads, load{found["query-ms"], found["total-ms"]})
	}
}

func get(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	must(t, err)
	answer, err := client.Do(r)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	must(t, err)
	if answer.StatusCode != http.StatusOK {
		must(t, fmt.Errorf("GET %s: %s\n%.2000s", address, answer.Status, body))
	}
	return string(body)
}

// What a page may cost.
const (
	mostBytes    = 120_000
	mostRequests = 4 // the event stream stays open and is none of them
	mostTimes    = 5 // the server's time over that of its queries
)

// No page is heavy: few bytes in few requests, also on a first visit.
func TestPagesAreLight(t *testing.T) {
	for _, f := range everybody(t).measured(t) {
		var loaded []string
		streams := 0
		for _, r := range f.requests {
			if r.Type == stream {
				streams++
				continue
			}
			loaded = append(loaded, fmt.Sprintf("%s %d bytes", r.URL, r.Bytes))
		}
		if len(loaded) > mostRequests || f.total > mostBytes || streams > 1 {
			t.Errorf("%s: %d requests and %d streams, %d bytes; want at most %d, 1, %d:\n%s",
				f.page.Name, len(loaded), streams, f.total, mostRequests, mostBytes, strings.Join(loaded, "\n"))
		}
	}
}

// A page of a list is light when it is full, too.
func TestFullListsAreLight(t *testing.T) {
	s := everybody(t)
	var problem string
	for range rowsOfAPage + 5 {
		id, err := s.world.File(t.Context(), "bulk", hooks.Report{hooks.FieldPackageVersion: "2:10.4.1-3", hooks.FieldRelease: "Debian 12"})
		must(t, err)
		problem = id
	}
	c, err := s.world.Client("alice")
	must(t, err)
	waitFor(t, "the last report is there", func() bool {
		j, err := c.Job(t.Context(), problem)
		if err == nil {
			problem = j.Workload.ProblemID
		}
		return err == nil
	})
	tab := s.tab(t, "alice", "/")
	for _, path := range []string{"/jobs", "/problems/" + problem, "/audit"} {
		requests, err := tab.FirstVisit(path)
		must(t, err)
		total := int64(0)
		for _, r := range requests {
			if r.Type != stream {
				total += r.Bytes
			}
		}
		if total > mostBytes {
			t.Errorf("%s has %d bytes, want at most %d", path, total, mostBytes)
		}
		rows, err := browsertest.Evaluate[int](tab, "Math.max(...[...document.querySelectorAll('table.list')].map(t => t.rows.length - 1))")
		must(t, err)
		if rows < rowsOfAPage && path != "/audit" {
			t.Errorf("%s shows %d rows: it is not full", path, rows)
		}
	}
}

// rowsOfAPage is how many rows a page of a list has.
const rowsOfAPage = 50

// The server's own work is small beside that of its store: over all pages it
// takes at most five times as long as its queries.
func TestServerTimeIsThatOfItsQueries(t *testing.T) {
	var all, queries float64
	var table []string
	for _, f := range everybody(t).measured(t) {
		if len(f.loads) == 0 || f.page.Runs {
			continue
		}
		// The fastest load is the one that the machine's other work held up least.
		best := slices.MinFunc(f.loads, func(a, b load) int { return cmp.Compare(a.all, b.all) })
		all += best.all
		queries += best.queries
		table = append(table, fmt.Sprintf("%-14s %6.2f ms, queries %6.2f ms, %.1f times", f.page.Name, best.all, best.queries, best.all/max(best.queries, 0.001)))
	}
	what := fmt.Sprintf("all pages took the server %.1f ms, their queries %.1f ms, %.1f times:\n%s", all, queries, all/max(queries, 0.001), strings.Join(table, "\n"))
	if queries == 0 || all > mostTimes*queries {
		t.Errorf("want at most %d times", mostTimes)
	}
	t.Log(what)
}

// What every answer carries, whatever it is.
func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range everybody(t).measured(t) {
		for _, r := range f.requests {
			headers(t, f.page.Name+", "+r.URL, r)
			seen[r.Type] = true
		}
	}
	for _, kind := range []string{"Document", "Stylesheet", "Script", stream} {
		if !seen[kind] {
			t.Errorf("no page loaded a %s, and the test looked at none", kind)
		}
	}
}

func headers(t *testing.T, what string, r browsertest.Request) {
	t.Helper()
	if strings.HasPrefix(r.URL, "data:") || strings.HasPrefix(r.URL, "about:") {
		return
	}
	policy := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%s: the content security policy lacks %s: %q", what, want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
		t.Errorf("%s: the content security policy is loose: %q", what, policy)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if is := r.Header.Get(name); is != want {
			t.Errorf("%s: %s is %q, want %q", what, name, is, want)
		}
	}
	cache := r.Header.Get("Cache-Control")
	kept := r.Type != "Document" && r.Type != stream
	if kept != strings.HasPrefix(cache, "public") || !kept && cache != "no-store" {
		t.Errorf("%s: Cache-Control is %q", what, cache)
	}
}

// measuring is kept with what all tests share.
type measuring struct {
	measure  sync.Once
	complete bool
	figures  []figures
}
