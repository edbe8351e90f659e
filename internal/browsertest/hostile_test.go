package browsertest_test

import (
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/browsertest"
)

// payloads are what hostile machines and people write wherever they may write.
const (
	payloadScript = `<script>window.pwned=1;alert(1)</script>`
	payloadImage  = `"><img src=x onerror="window.pwned=2;alert(2)">`
	payloadHtmx   = `<div hx-get="/logout" hx-trigger="load" data-hx-post="/logout">hx</div>`
	payloadStyle  = `</textarea></pre></code><style>*{display:none}</style><h1>`
	payloadBidi   = "\u202eevil\u2066 \u200b\u00ad\ufeff"
	payloadLines  = "one\nevent: changed\ndata: x\n\nid: 2\r\nretry: 0\n"
	payloadMark   = "[run](javascript:window.pwned=3) ![see](http://203.0.113.9/x.png) <b onclick=alert(4)>b</b> <hx-get>"
	payloadFormat = `=HYPERLINK("http://203.0.113.9","x")`
)

func everyPayload() string {
	return payloadScript + payloadImage + payloadHtmx + payloadStyle + payloadBidi + "\x00" + payloadLines + payloadMark
}

// Whatever a machine or a person writes is text: nothing of it runs, nothing
// of it loads, and no page grows wider than its window, even by a word of a
// million letters.
func TestHostileInputIsText(t *testing.T) {
	s := everybody(t)
	f := s.hostile(t)
	shown := map[string]bool{}
	eachPage(t, s, func(t *testing.T, tab *browsertest.Tab, p browsertest.Page) {
		if p.Status != 0 {
			return
		}
		tab.Trouble()
		must(t, tab.Look(360, false))
		requests, err := tab.FirstVisit(p.Path(f))
		must(t, err)
		calm(t, tab, p.Name)
		fits(t, tab, p.Name+", narrow")
		must(t, tab.Look(1280, false))
		fits(t, tab, p.Name)
		for _, r := range requests {
			if !strings.HasPrefix(r.URL, tab.Base) && !strings.HasPrefix(r.URL, origin(tab.Base)) {
				t.Errorf("%s loads %s", p.Name, r.URL)
			}
		}
		harmless(t, tab, p.Name)
		text, err := browsertest.Evaluate[bool](tab, `document.body.innerText.includes("<script>")`)
		must(t, err)
		shown[p.Name] = text
	})
	for _, name := range []string{"job", "job-of-hook", "results", "review", "review-comments", "local-version", "problem"} {
		if !shown[name] {
			t.Errorf("%s shows nothing of what is hostile: the test looked at nothing there", name)
		}
	}
}

func origin(base string) string {
	scheme, rest, _ := strings.Cut(base, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// harmless fails the test where something that was written became markup.
func harmless(t *testing.T, tab *browsertest.Tab, what string) {
	t.Helper()
	found, err := browsertest.Evaluate[[]string](tab, `(() => {
		const bad = [];
		if (window.pwned) bad.push("a script ran: " + window.pwned);
		for (const e of document.querySelectorAll("main script, main img, main iframe, main object, main style, main [style], main base, main hx-get, [data-hx-post], [hx-post], [hx-get='/logout'], [hx-trigger=load], a[href^='javascript:' i], a[href*='203.0.113.9']:not(.prose a[rel~=noreferrer][rel~=noopener][rel~=nofollow])"))
			bad.push("there is " + e.outerHTML.slice(0, 200));
		for (const e of document.querySelectorAll("*")) for (const a of e.attributes)
			if (a.name.startsWith("on")) bad.push("there is a handler: " + e.outerHTML.slice(0, 200));
		return bad;
	})()`)
	must(t, err)
	for _, f := range found {
		t.Errorf("%s: %s", what, f)
	}
}

// hostile writes all that is bad wherever it can be written, and returns the
// facts that lead there.
func (s *shared) hostile(t *testing.T) browsertest.Facts {
	t.Helper()
	w, f := s.world, s.facts
	bad := everyPayload()
	report := hooks.Report{
		"Title": bad, "Bidi": payloadBidi, "Lines": payloadLines, "Formula": payloadFormat, "Mark": payloadScript,
		"<img/src=x/onerror=alert(5)>": "a name of a field", "hx-get": "/logout",
		hooks.FieldExecutablePath: "/usr/bin/" + payloadScript + payloadBidi,
		"Word":                    strings.Repeat("W", 900_000),
	}
	live, err := w.Live(t.Context(), browsertest.Hook{
		Name: "hostile", Package: "hostile", Note: `'<script>window.pwned=6</script> {{.}} hx-get="/logout"'`,
		Script: "-- " + payloadScript + payloadImage + payloadHtmx + "\n-- " + strings.Repeat("W", 20_000) +
			"\nreport.set('Tainted', report.get('Mark'))\nreport.set('Release', report.get('Formula') .. report.get('Bidi'))\n",
	}, 10)
	must(t, err)
	f.Hook, f.Active = "hostile", live.Digest
	f.Job, err = w.File(t.Context(), "hostile", report)
	must(t, err)
	result, err := w.AwaitResult(t.Context(), "alice", f.Job)
	must(t, err)
	f.HookJob, f.Problem = result.ID, result.ProblemID

	fails, err := w.Live(t.Context(), browsertest.Hook{Name: "hostile-error", Package: "hostile-error", Script: "error(report.get('Mark') .. report.get('Bidi'))\n"}, 10)
	must(t, err)
	f.Broken = fails.Digest
	id, err := w.File(t.Context(), "hostile-error", report)
	must(t, err)
	run, err := w.AwaitRun(t.Context(), id)
	must(t, err)
	f.Failed = run.ID

	waiting, err := w.Submit(t.Context(), browsertest.Hook{
		Name: "hostile", Package: "hostile", Note: "'<b hx-get=/logout>next</b>'", Script: "-- " + payloadStyle + "\n-- " + strings.Repeat("V", 20_000) + "\n" + browsertest.Taint,
	})
	must(t, err)
	f.Waiting = waiting.Digest
	changes, err := w.Submit(t.Context(), browsertest.Hook{Name: "hostile-words", Package: "hostile", Script: browsertest.Taint})
	must(t, err)
	words := strings.NewReplacer("\x00", "", "\r", "").Replace(bad) // a comment with control characters is refused
	_, err = w.Hookline(t.Context(), "bob", "review", "request-changes", changes.Digest, "--comment", words+"\n\n"+strings.Repeat("W", 2000))
	must(t, err)
	f.Changes = changes.Digest
	for _, digest := range []string{f.Changes, f.Waiting} {
		must(t, w.Comment(t.Context(), "carol", digest, 2, words+"\n\n```\n"+payloadScript+"\n"+strings.Repeat("W", 2000)))
		must(t, w.Comment(t.Context(), "carol", digest, 0, strings.Repeat("W", 3900)))
	}
	return f
}

// What the tests would see of an attack is seen: a dialog, a script against
// the policy, an error.
func TestTroubleIsSeen(t *testing.T) {
	tab := everybody(t).tab(t, "alice", "/")
	for what, act := range map[string]string{
		"dialog":           `setTimeout(() => alert("hello"))`,
		"content security": `document.body.insertAdjacentHTML("beforeend", "<p onclick='alert(1)'>x</p><img src=//203.0.113.9/x.png>")`,
		"exception":        `setTimeout(() => { throw new Error("broken") })`,
		"console.error":    `console.error("complaint")`,
		"404":              `new Image().src = "/nothing-here"`,
	} {
		tab.Trouble()
		_, err := browsertest.Evaluate[bool](tab, "("+act+", true)")
		must(t, err)
		waitFor(t, what+" is seen", func() bool {
			for _, trouble := range tab.Trouble() {
				if strings.Contains(trouble, what) {
					return true
				}
			}
			return false
		})
	}
}
