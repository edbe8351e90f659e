// Package inbrowser_test runs what pages do with a script, in a real browser.
package inbrowser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"hookline/internal/auth"
	"hookline/internal/browsertest"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
	"hookline/internal/web/kit/kittest"
	"hookline/internal/web/live"
)

const page = `{{define "page"}}<h1>A page</h1>
<p id="old">{{.N}}</p>
<section id="part"><p id="n">number {{.N}}</p><details id="more"><summary>More</summary>text</details>
<form method="post" action="/form" id="form"><label>Why <input name="why" id="why"></label><label>Kind <select><option>a</option><option>b</option></select></label><button>Send</button></form></section>
<p id="other">other {{.N}}</p>
<p id="time">{{template "time" .At}}</p>
<p><code data-copy="exact&#10;text" id="code">short</code></p>
<form class="filters"><label>Words <input name="words" id="words"></label></form>
<a rel="next" href="/next">Next page</a>
{{end}}`

// always is a door that everybody goes through, until it is shut.
type always struct {
	kit.Door
	shut atomic.Bool
}

func (a *always) Who(*http.Request) (auth.Principal, error) {
	if a.shut.Load() {
		return auth.Principal{}, errs.New(errs.CodeUnauthenticated, "signed out")
	}
	return kittest.Principal(auth.RoleAdmin), nil
}

func (a *always) Still(r *http.Request) (auth.Principal, error) { return a.Who(r) }

type rig struct {
	t       *testing.T
	hub     *live.Hub
	door    *always
	number  atomic.Int64
	fetched atomic.Int64 // the page without what is around it
	broken  atomic.Bool
	server  *httptest.Server
	browser *browsertest.Browser
}

func newRig(t *testing.T) *rig {
	program, named, err := browsertest.Program()
	if err != nil && !named {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, hub: live.NewHub(live.Pace{Beat: 50 * time.Millisecond, Gap: 10 * time.Millisecond})}
	site := kittest.New(t)
	r.door = &always{Door: site.Kit.Door}
	site.Kit.Door, site.Kit.Mark = r.door, r.hub.Mark
	templates, err := site.Kit.Parse(fstest.MapFS{"page.html": {Data: []byte(page)}}, "*.html")
	if err != nil {
		t.Fatal(err)
	}
	show := func(q *kit.Request) (kit.Answer, error) {
		if q.Header.Get("Hx-Request") != "" {
			r.fetched.Add(1)
		}
		if r.broken.Load() {
			return nil, errs.New(errs.CodeUnavailable, "the store is away")
		}
		data := map[string]any{"N": r.number.Load(), "At": q.Now().Add(-59 * time.Second)}
		return templates.View("page", "A page", "Overview", data).Follow([]string{live.Overview}, []string{"part", "other"}), nil
	}
	r.server = httptest.NewServer(site.Kit.Handler(append(live.Routes(site.Kit, r.hub),
		kit.Route{Method: http.MethodGet, Path: "/", Access: kit.SignedIn, Page: show},
		kit.Route{Method: http.MethodGet, Path: "/next", Access: kit.SignedIn, Page: show},
		kit.Route{Method: http.MethodGet, Path: "/problems", Access: kit.SignedIn, Page: show})))
	t.Cleanup(func() {
		r.hub.Close()
		r.server.CloseClientConnections()
		r.server.Close()
	})
	r.browser, err = browsertest.StartBrowser(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.browser.Close)
	return r
}

// change changes the page, and says so.
func (r *rig) change() int64 {
	n := r.number.Add(1)
	r.hub.Publish(live.Overview)
	return n
}

func (r *rig) open() tab {
	r.t.Helper()
	t, err := r.browser.Visit(r.server.URL, "")
	r.check(err)
	r.t.Cleanup(t.Close)
	r.check(t.Open("/"))
	return tab{t, r.t}
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

type tab struct {
	*browsertest.Tab
	t *testing.T
}

// until waits for an expression.
func (t tab) until(format string, args ...any) {
	t.t.Helper()
	expression := fmt.Sprintf(format, args...)
	if err := t.Until(expression, expression); err != nil {
		t.t.Fatal(err)
	}
}

// run runs a statement.
func (t tab) run(statement string) {
	t.t.Helper()
	if _, err := browsertest.Evaluate[bool](t.Tab, "(() => {"+statement+"; return true})()"); err != nil {
		t.t.Fatal(err)
	}
}

func (t tab) key(key string) {
	t.t.Helper()
	t.run(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "` + key + `", bubbles: true, cancelable: true}))`)
}

// says waits for a text in an element.
func (t tab) says(id, text string) {
	t.t.Helper()
	t.until("document.getElementById(%q).textContent.includes(%q)", id, text)
}

func number(n int64) string { return fmt.Sprint("number ", n) }
func other(n int64) string  { return fmt.Sprint("other ", n) }

func TestPagesInABrowser(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name string
		do   func(*rig, tab)
	}{
		{"live", testLive},
		{"paused", testPaused},
		{"held", testHeld},
		{"stale", testStale},
		{"keys", testKeys},
		{"small things", testSmallThings},
		{"signed out", testSignedOut},
	} {
		if !t.Run(c.name, func(t *testing.T) {
			r.t = t
			tab := r.open()
			tab.says("live-word", "live")
			c.do(r, tab)
			for _, trouble := range tab.Trouble() {
				if c.name != "stale" && c.name != "signed out" || strings.Contains(trouble, "Content Security") {
					t.Error(trouble)
				}
			}
			tab.Close()
		}) {
			return
		}
	}
}

func testLive(r *rig, t tab) {
	t.run(`document.getElementById("more").open = true`)
	first := r.number.Load()
	n := r.change()
	t.says("n", number(n))
	t.says("other", other(n))
	t.until(`document.getElementById("more").open`)
	t.says("old", fmt.Sprint(first)) // the rest of the page stays
	t.says("live-word", "live")
}

func testPaused(r *rig, t tab) {
	t.run(`document.getElementById("live-pause").click()`)
	t.says("live-word", "paused since")
	before, fetched := r.number.Load(), r.fetched.Load()
	n := r.change()
	t.says("live-word", "there is news")
	t.says("n", number(before))
	if r.fetched.Load() != fetched {
		t.t.Error("a paused page was fetched")
	}
	t.key("p")
	t.says("n", number(n))
	t.until(`document.getElementById("live-word").textContent === "live"`)
}

func testHeld(r *rig, t tab) {
	before := r.number.Load()
	t.run(`why.focus(); why.value = "typed"`)
	n := r.change()
	t.says("other", other(n))
	t.says("live-word", "live, but for")
	t.says("n", number(before))
	t.run(`why.blur()`) // what was typed still stands there
	n = r.change()
	t.says("other", other(n))
	t.says("n", number(before))
	t.until(`why.value === "typed"`)
	t.run(`why.value = ""; why.focus(); why.blur()`)
	t.says("n", number(n))
	t.until(`document.getElementById("live-word").textContent === "live"`)

	t.run(`document.querySelector("#more summary").focus()`)
	before, n = n, r.change()
	t.says("other", other(n))
	t.says("n", number(before))
	t.run(`document.activeElement.blur()`)
	t.says("n", number(n))
}

func testStale(r *rig, t tab) {
	r.broken.Store(true)
	r.change()
	t.says("live-word", "not live since")
	t.says("live-pause", "Reload")
	r.broken.Store(false)
	n := r.change()
	t.says("n", number(n))
	t.until(`document.getElementById("live-word").textContent === "live"`)
	t.until(`document.getElementById("live").dataset.live === "on"`)

	n = r.number.Add(1) // nobody says so, but the stream breaks
	r.server.CloseClientConnections()
	t.says("n", number(n))
}

func testKeys(_ *rig, t tab) {
	t.key("/")
	t.until(`document.activeElement.id === "words"`)
	t.key("?") // is typed
	t.until(`!document.querySelector("dialog")`)
	t.run(`document.activeElement.blur()`)
	t.key("?")
	t.until(`document.querySelector("dialog").open`)
	t.run(`document.querySelector("dialog button.quiet").click(); document.querySelector("dialog").close()`)
	t.key("n") // keys are off
	t.run(`document.querySelector(".top button[aria-label=Keys]").click()`)
	t.until(`document.querySelector("dialog").open`)
	t.run(`document.querySelector("dialog button.quiet").click(); document.querySelector("dialog").close()`)
	t.until(`location.pathname === "/"`)
	t.key("n")
	t.until(`location.pathname === "/next"`)
	t.says("live-word", "live")
	t.key("g")
	t.key("p")
	t.until(`location.pathname === "/problems"`)
}

func testSmallThings(_ *rig, t tab) {
	t.until(`document.querySelector("#time time").textContent === "59 s ago"`)
	t.until(`document.querySelector("#code + button").textContent === "Copy"`)
	t.until(`!document.documentElement.outerHTML.includes("style=")`)
	leaving := `((e) => (dispatchEvent(e), e.defaultPrevented))(new Event("beforeunload", {cancelable: true}))`
	t.until("!%s", leaving)
	t.run(`why.value = "typed"`)
	t.until("%s", leaving)
	t.run(`why.value = ""`)
	t.until("!%s", leaving)
}

func testSignedOut(r *rig, t tab) {
	r.door.shut.Store(true)
	t.says("live-word", "signed out")
	t.says("live-pause", "Reload")
}
