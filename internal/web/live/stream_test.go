package live_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/waitfor"
	"hookline/internal/web/kit"
	"hookline/internal/web/kit/kittest"
	"hookline/internal/web/live"
)

// gatekeeper is a door whose session may end, and whose middleware wraps the
// writer, as sessions do.
type gatekeeper struct {
	kit.Door
	roles atomic.Pointer[[]auth.Role]
	asked atomic.Int64
}

type wrapped struct{ http.ResponseWriter }

// Unwrap gives the writer below.
func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (g *gatekeeper) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(wrapped{w}, r) })
}

func (g *gatekeeper) Who(*http.Request) (auth.Principal, error) {
	return kittest.Principal(auth.RoleViewer), nil
}

func (g *gatekeeper) Still(*http.Request) (auth.Principal, error) {
	g.asked.Add(1)
	roles := g.roles.Load()
	if roles == nil {
		return auth.Principal{}, errs.New(errs.CodeUnauthenticated, "signed out")
	}
	p := kittest.Principal(auth.RoleViewer)
	p.Roles = *roles
	return p, nil
}

func (g *gatekeeper) set(roles ...auth.Role) { g.roles.Store(&roles) }

// writeTimeout of the server is one that no stream would survive.
const writeTimeout = 600 * time.Millisecond

// rig is a real server over loopback.
type rig struct {
	*httptest.Server
	t    *testing.T
	hub  *live.Hub
	door *gatekeeper
}

func newRig(t *testing.T, pace live.Pace) *rig { return newRigOver(t, pace, false) }

func newRigOver(t *testing.T, pace live.Pace, http2 bool) *rig {
	t.Helper()
	site := kittest.New(t)
	g := &gatekeeper{Door: site.Kit.Door}
	g.set(auth.RoleViewer)
	site.Kit.Door = g
	hub := live.NewHub(pace)
	r := &rig{t: t, hub: hub, door: g}
	r.Server = httptest.NewUnstartedServer(site.Kit.Handler(live.Routes(site.Kit, hub)))
	r.Config.WriteTimeout = writeTimeout
	r.Config.RegisterOnShutdown(hub.Close)
	if r.EnableHTTP2 = http2; http2 {
		r.StartTLS()
	} else {
		r.Start()
	}
	t.Cleanup(func() {
		hub.Close()
		r.Close()
	})
	return r
}

// tab is an open stream.
type tab struct {
	t    *testing.T
	body *bufio.Scanner
	res  *http.Response
}

func (r *rig) open(query string, headers ...string) *tab {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+kit.StreamPath+"?"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.Client().Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { res.Body.Close() })
	return &tab{r.t, bufio.NewScanner(res.Body), res}
}

// next is the next line that says something; "" at the end of the stream.
func (t *tab) next() string {
	for t.body.Scan() {
		if line := t.body.Text(); line != "" {
			return line
		}
	}
	return ""
}

// until reads lines up to one that begins so, and fails at the end.
func (t *tab) until(prefix string) string {
	t.t.Helper()
	for {
		line := t.next()
		if strings.HasPrefix(line, prefix) {
			return line
		}
		if line == "" {
			t.t.Fatalf("the stream ended without %q: %v", prefix, t.body.Err())
		}
	}
}

func (t *tab) ends() {
	t.t.Helper()
	for t.next() != "" {
	}
	if err := t.body.Err(); err != nil {
		t.t.Errorf("the stream broke: %v", err)
	}
}

func TestStream(t *testing.T)      { testStream(t, false) }
func TestStreamHTTP2(t *testing.T) { testStream(t, true) }

func testStream(t *testing.T, http2 bool) {
	t.Parallel()
	r := newRigOver(t, live.Pace{Beat: writeTimeout / 8, Gap: time.Millisecond}, http2)
	tab := r.open("topic=overview&topic=hook/some-hook")
	if h := tab.res.Header; tab.res.StatusCode != http.StatusOK || (tab.res.ProtoMajor == 2) != http2 || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" ||
		h.Get("Content-Security-Policy") == "" {
		t.Fatalf("%d %v", tab.res.StatusCode, h)
	}
	tab.until("retry: ")
	for range 12 { // longer than the server's time for an answer
		tab.until(":")
	}
	r.hub.Publish(live.Overview, live.Reviews)
	tab.until("id: ")
	tab.until("event: changed")
	if got := tab.until("data: "); got != `data: ["overview"]` {
		t.Errorf("%q", got)
	}
	r.hub.Publish(live.Hook("some-hook"))
	tab.until(`data: ["hook/some-hook"]`)
	tab.res.Body.Close()
	waitfor.True(t, 10*time.Second, "the hub forgets a stream that is closed", func() bool { return r.hub.Len() == 0 })
}

func TestStreamComesBack(t *testing.T) {
	r := newRig(t, live.Pace{})
	mark := r.hub.Mark()
	r.open("topic=overview", "Last-Event-ID", mark).until(`data: ["overview"]`)
	r.hub.Publish(live.Overview)
	r.open("topic=overview&topic=reviews&since=" + url.QueryEscape(mark)).until(`data: ["overview"]`)
}

func TestStreamEnds(t *testing.T) {
	fast := 10 * time.Millisecond
	for name, c := range map[string]struct {
		pace live.Pace
		do   func(r *rig)
		over bool
	}{
		"signed out":         {live.Pace{Beat: fast}, func(r *rig) { r.door.roles.Store(nil) }, true},
		"a role was taken":   {live.Pace{Beat: fast}, func(r *rig) { r.door.set() }, false},
		"the server stops":   {live.Pace{}, func(r *rig) { r.hub.Close() }, false},
		"the stream is old":  {live.Pace{Life: fast}, func(*rig) {}, false},
		"the server is shut": {live.Pace{}, func(r *rig) { r.check(r.Config.Shutdown(t.Context())) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.pace)
			tab := r.open("topic=overview")
			tab.until("retry: ")
			c.do(r)
			if c.over {
				tab.until("event: over")
			}
			tab.ends()
			waitfor.True(t, 10*time.Second, "the hub forgets it", func() bool { return r.hub.Len() == 0 })
		})
	}
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Error(err)
	}
}

func TestStreamRefuses(t *testing.T) {
	r := newRig(t, live.Pace{})
	for query, want := range map[string]int{
		"": 400, "topic=x": 400, "topic=overview&topic=" + url.QueryEscape("overview\n"): 400, strings.Repeat("topic=overview&", live.MaxTopics+1): 400,
	} {
		if got := r.open(query).res; got.StatusCode != want || strings.HasPrefix(got.Header.Get("Content-Type"), "text/event-stream") {
			t.Errorf("%.50q: %d", query, got.StatusCode)
		}
	}
	for i := range live.MaxStreamsPerUser {
		if got := r.open("topic=overview").res.StatusCode; got != 200 {
			t.Fatalf("stream %d: %d", i, got)
		}
	}
	if got := r.open("topic=overview").res.StatusCode; got != http.StatusTooManyRequests {
		t.Errorf("one stream too many: %d", got)
	}
	r.hub.Close()
	if got := r.open("topic=overview").res; got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("while the server stops: %d", got.StatusCode)
	}
}

func TestStreamsOfNobody(t *testing.T) {
	site := kittest.New(t)
	site.Serve(live.Routes(site.Kit, live.NewHub(live.Pace{})), nil)
	if a := site.Get(kit.StreamPath + "?topic=overview"); a.Status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", a.Status)
	}
	if a := site.Get(kit.StreamPath+"?topic=overview", auth.Role("none")); a.Status != http.StatusForbidden || !strings.Contains(a.Body, "jobs.read") {
		t.Errorf("without a role: %d %s", a.Status, a.Body)
	}
}

// TestOneEventASecond: however often something changes.
func TestOneEventASecond(t *testing.T) {
	const gap = 300 * time.Millisecond
	r := newRig(t, live.Pace{Gap: gap})
	tab := r.open("topic=overview&topic=reviews")
	tab.until("retry: ")
	start := time.Now()
	r.hub.Publish(live.Overview)
	tab.until(`data: ["overview"]`)
	for i := range 100 {
		r.hub.Publish([]string{live.Overview, live.Reviews}[i%2])
	}
	tab.until(`data: ["overview","reviews"]`)
	if took := time.Since(start); took < gap {
		t.Errorf("two events within %s", took)
	}
}
