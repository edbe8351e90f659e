package hookpages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/jobs"
	"hookline/internal/web/hookpages"
	"hookline/review"
	"hookline/signing"
)

// One store for what only looks.
func TestPages(t *testing.T) {
	w := newWorld(t)
	if page := w.Want("/hooks", auth.RoleViewer); !strings.Contains(page, "There are no hooks yet") {
		t.Errorf("an empty list says nothing:\n%s", page)
	}
	first := w.active("extra", 3)
	v := first.Version.Digest
	w.run(first, brought(), `{"Extra":"one","Other":{"deep":[1]}}`)
	w.run(first, failed("hook-error", "line 2"), "")
	w.run(first, failed("hook-error", nasty), "")
	w.run(first, jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeEmpty}, "")
	w.run(first, jobs.Decision{Status: jobs.Failed, Outcome: hooks.OutcomeTimedOut, Code: "timed-out"}, "")
	w.run(first, failed(notConnected, ""), "")
	w.run(first, jobs.Decision{}, "")
	second := w.submitted("extra")
	other := w.approved("memory")

	t.Run("list", func(t *testing.T) {
		page := w.Want("/hooks", auth.RoleViewer)
		w.has(page, `href="/hooks/extra"`, `href="/hooks/memory"`, "/versions/"+second.Version.Digest, "/versions/"+v, `<span class="muted">of 3</span>`)
		for query, want := range map[string][2]bool{ // extra, memory
			"state=active":    {true, false},
			"state=submitted": {true, false},
			"state=approved":  {false, true},
			"state=revoked":   {false, false},
			"q=MEM":           {false, true},
			"q=alice+extra":   {true, false},
			"q=nobody":        {false, false},
		} {
			page := w.Want("/hooks?"+query, auth.RoleViewer)
			if got := [2]bool{strings.Contains(page, `href="/hooks/extra"`), strings.Contains(page, `href="/hooks/memory"`)}; got != want {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		bad := w.Get("/hooks?state=nonsense&q=extra", auth.RoleViewer)
		if bad.Status != http.StatusUnprocessableEntity {
			t.Errorf("a state that is none: %d", bad.Status)
		}
		w.has(bad.Body, "State: it is none of: active", `name="q" value="extra"`, `<a href="/hooks">Show all</a>`)
		w.lacks(bad.Body, `href="/hooks/extra"`)
		a := w.Get("/hooks?format=csv&q=extra", auth.RoleViewer)
		if lines := strings.Split(strings.TrimSpace(a.Body), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "extra,extra@2,submitted,"+v+",1,3,") {
			t.Errorf("exported %q", a.Body)
		}
	})
	t.Run("hook", func(t *testing.T) {
		page := w.Want("/hooks/extra", auth.RoleViewer)
		w.has(page, `href="/versions/`+v+`"`, `href="/versions/`+v+`/review"`, `href="/audit?target=version/`+v+`"`, `id="version-`+v+`"`,
			">1 of 1<", ">0 of 1<", `href="/results?hook=extra"`, ">one<")
		if strings.Index(page, second.Version.Digest) > strings.Index(page, v) {
			t.Error("the newest is not first")
		}
		if a := w.Get("/hooks/nobody", auth.RoleViewer); a.Status != http.StatusNotFound {
			t.Errorf("a hook that is none: %d", a.Status)
		}
		if a := w.Get("/hooks/extra?after=x", auth.RoleViewer); a.Status >= 500 || a.Status < 400 {
			t.Errorf("a place that is none: %d", a.Status)
		}
	})
	t.Run("version", func(t *testing.T) {
		page := w.Want("/versions/"+v, auth.RoleViewer)
		w.has(page, "<title>Hook extra@1, "+v, `aria-current="step">Live`, "1 of 3 results",
			"signature of bob, uploaded by rita", "signature of alice", `id="ledger"`, `id="results"`, `id="runs"`, `id="state"`,
			"All 7 runs", "4 answered", "1 of them brought data", "1 found nothing to add", "1 pending", "4 failed or did not run",
			"⟨U&#43;202E⟩", "&lt;script&gt;", `href="/results?version=`+v+`"`, "status=failed", `<span class="com">-- it looks</span>`,
			`sse-connect="/live?topic=version%2F`+v)
		w.lacks(page, "<script>alert", "<img src=x", `action="/versions/`, "/audit?target")
		if n := strings.Count(page, ">hook-error<"); n != 2 { // its state and its code: one group
			t.Errorf("hook-error is there %d times", n)
		}
		w.has(w.Want("/versions/"+v, auth.RoleOperator), "/audit?target=version/"+v)
		for _, bad := range []string{strings.Repeat("0", 64), "x", "..%2f"} {
			if a := w.Get("/versions/"+bad, auth.RoleViewer); a.Status != http.StatusNotFound {
				t.Errorf("%s: %d", bad, a.Status)
			}
		}
	})
	t.Run("runs", func(t *testing.T) {
		for most, more := range map[int64]bool{1: true, 3: true, 8: false, 2000: false} {
			looked, m, err := hookpages.Looked(t.Context(), w.DB, v, most)
			if err != nil || looked != min(most, 7) || m != more {
				t.Errorf("at most %d: %d, more %t: %v", most, looked, m, err)
			}
		}
	})
	t.Run("states", func(t *testing.T) {
		w.has(w.Want("/versions/"+second.Version.Digest, auth.RoleViewer), `aria-current="step">Review`, "0 of 1 reviewer")
		w.has(w.Want("/versions/"+other.Version.Digest, auth.RoleViewer), `aria-current="step">Approved`)
		w.lacks(w.Want("/versions/"+other.Version.Digest, auth.RoleOperator), `id="ledger"`)
	})
	t.Run("roles", func(t *testing.T) {
		for _, path := range []string{"/hooks", "/hooks/extra", "/versions/" + v, "/hooks/new"} {
			if a := w.Get(path); a.Status != http.StatusUnauthorized {
				t.Errorf("%s as nobody: %d", path, a.Status)
			}
		}
		for role, forms := range map[auth.Role][]string{
			auth.RoleOperator: {`id="bounds"`, `id="pause"`, `id="disable"`}, auth.RoleAdmin: {`id="bounds"`, `id="pause"`, `id="disable"`},
			auth.RoleAuthor: nil, auth.RoleReviewer: nil, auth.RoleViewer: nil,
		} {
			page := w.Want("/versions/"+v, role)
			w.has(page, forms...)
			if forms == nil {
				w.lacks(page, `id="bounds"`, `id="pause"`, `id="disable"`, `id="activate"`)
			}
		}
	})
}

// A value of a megabyte, and names that would be markup, are text, and little of it.
func TestHostileResults(t *testing.T) {
	w := newWorld(t)
	l := w.active("extra", 10)
	w.run(l, brought(), `{"<b>Bad":"`+strings.Repeat("x", 1<<19)+`","Extra":"=HYPERLINK(\"x\")\u0000\u202e<script>"}`)
	for range 20 {
		w.run(l, failed("<script>", nasty), "")
	}
	page := w.Want("/versions/"+l.Version.Digest, auth.RoleViewer)
	w.has(page, "&lt;b&gt;Bad", "=HYPERLINK", "⟨U&#43;0000⟩⟨U&#43;202E⟩&lt;script&gt;", "512.0 KiB")
	w.lacks(page, "<b>Bad", "<script>alert", "\u202e")
	if len(page) > 120<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
	// A reason is text as well.
	_, err := w.review.Disable(t.Context(), account("olga", auth.RoleOperator), l.Version.Digest, "<script>alert(2)</script> \u202e")
	w.ok(err)
	page = w.Want("/versions/"+l.Version.Digest, auth.RoleOperator)
	w.has(page, `aria-current="step">Disabled`, "&lt;script&gt;alert(2)", `id="activate"`, "Activate again")
	w.lacks(page, "<script>alert(2)", "\u202e")
}

// Signatures that do not count any more say why, and nobody's word but the verifier's says that they do.
func TestVoidSignatures(t *testing.T) {
	w := newWorld(t)
	l := w.approved("extra")
	for i, p := range w.policy.Persons {
		if p.Name == "bob" {
			w.policy.Persons[i].Windows = map[signing.KeyID]signing.Window{p.Keys[0].ID: {Until: w.Clock.Now().Add(-time.Hour)}}
		}
	}
	page := w.Want("/versions/"+l.Version.Digest, auth.RoleViewer)
	w.has(page, "0 of 1 reviewer", `<span class="state refused">no</span>`, "key-not-valid", "signature of bob, uploaded by rita")
	w.policy.Persons = w.policy.Persons[:0]
	w.has(w.Want("/versions/"+l.Version.Digest, auth.RoleViewer), "It may not run, whoever signs it", ">refused<")
}

func TestWindowIsOver(t *testing.T) {
	w := newWorld(t)
	l := w.approved("extra")
	w.has(w.Want("/versions/"+l.Version.Digest, auth.RoleOperator), `id="activate"`)
	w.Clock.Advance(8 * 24 * time.Hour)
	page := w.Want("/versions/"+l.Version.Digest, auth.RoleOperator)
	w.has(page, "nothing starts it again")
	w.lacks(page, `id="activate"`)
}

// A version that has ended says when and why, and no time that is to come.
func TestEndedSaysSo(t *testing.T) {
	w := newWorld(t)
	l := w.active("extra", 3)
	path := "/versions/" + l.Version.Digest
	w.has(w.Want(path, auth.RoleViewer), "Until <time", "pauses by itself")
	w.has(w.Want("/hooks/extra", auth.RoleViewer), `data-label="Deadline"><div><time`)
	_, err := w.review.Disable(t.Context(), account("olga", auth.RoleOperator), l.Version.Digest, "it is too slow")
	w.ok(err)
	page := w.Want(path, auth.RoleViewer)
	w.has(page, "disabled</span> <span>it is too slow", "Ended <time", ": it is too slow.</p>", `aria-current="step">Disabled`)
	w.lacks(page, "Until <time", "pauses by itself")
	for _, list := range []string{"/hooks", "/hooks/extra"} {
		w.has(w.Want(list, auth.RoleViewer), `data-label="Deadline"><div>ended <time`, `<span class="muted">it is too slow</span>`)
	}
	if a := w.Get("/hooks/extra?format=csv", auth.RoleViewer); strings.Contains(a.Body, "ended") {
		t.Errorf("an export has no deadline: %s", a.Body)
	}
}

// Only where another version is active does the form say what becomes of it.
func TestActivateNamesTheOther(t *testing.T) {
	w := newWorld(t)
	l := w.approved("extra")
	w.active("memory", 3)
	w.lacks(w.Want("/versions/"+l.Version.Digest, auth.RoleOperator), "superseded")
	other := w.active("extra", 3)
	w.has(w.Want("/versions/"+l.Version.Digest, auth.RoleOperator), "Another version of extra is active, and is superseded: "+other.Version.Digest[:12])
}

// The station of each state of a version that was never activated.
func TestStations(t *testing.T) {
	w := newWorld(t)
	l := w.submitted("extra")
	for _, c := range []struct {
		verdict review.Verdict
		want    string
	}{{review.VerdictRequestChanges, "Changes requested"}, {review.VerdictReject, "Rejected"}} {
		_, err := w.review.Review(t.Context(), account("rita", auth.RoleReviewer), l.Version.Digest, c.verdict, "no", nil)
		w.ok(err)
		page := w.Want("/versions/"+l.Version.Digest, auth.RoleViewer)
		w.has(page, `aria-current="step">`+c.want, "no, says rita")
		if c.verdict == review.VerdictReject {
			w.lacks(page, "<li>Live", "<li>Expires")
		}
	}
}
