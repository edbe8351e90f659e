package door

import (
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
	"hookline/store/sqlite"
)

const password = "four unrelated words here"

// rig is a site with this door, a page, and a form that remembers what it was
// sent, over a store of its own.
type rig struct {
	*testing.T
	db       *sqlite.DB
	gate     *auth.Gate
	door     *Door
	handler  http.Handler
	admin    auth.Principal
	now      time.Time
	got      []url.Values // what the form was sent
	onPage   func(r *kit.Request)
	sessions auth.Sessions
}

func newRig(t *testing.T) *rig {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hookline.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := &rig{T: t, db: db, sessions: db, now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return s.now }
	s.gate = &auth.Gate{Accounts: db, Log: db, Now: now}
	var secret string
	_, err = s.gate.Bootstrap(t.Context(), func(s, _ string) error { secret = s; return nil })
	s.ok(err)
	s.admin, err = s.gate.Authenticate(t.Context(), secret)
	s.ok(err)
	s.now = s.now.Add(time.Second)
	s.door = New(Parts{Gate: s.gate, Sessions: s.shared(), Now: now, Log: slog.New(slog.DiscardHandler), Secure: true})
	k, err := kit.New(kit.Parts{Gate: s.gate, Door: s.door, Now: now, Log: slog.New(slog.DiscardHandler)})
	s.ok(err)
	routes, err := s.door.Routes(k)
	s.ok(err)
	s.handler = k.Handler(append(routes,
		kit.Route{Method: http.MethodGet, Path: "/jobs", Access: kit.Reads(auth.JobsRead), Page: s.page},
		kit.Route{Method: http.MethodPost, Path: "/things/{id}/change", Access: kit.Acts(auth.HooksDisable), Page: s.form},
	))
	return s
}

// shared lets a test put another store of sessions in.
func (s *rig) shared() auth.Sessions { return lateSessions{s} }

type lateSessions struct{ s *rig }

func (l lateSessions) Session(ctx ctx, key string) (auth.Session, error) {
	return l.s.sessions.Session(ctx, key)
}

func (l lateSessions) PutSession(ctx ctx, one auth.Session) error {
	return l.s.sessions.PutSession(ctx, one)
}

func (l lateSessions) EndSession(ctx ctx, key string) error { return l.s.sessions.EndSession(ctx, key) }

func (s *rig) page(r *kit.Request) (kit.Answer, error) {
	if s.onPage != nil {
		s.onPage(r)
	}
	return s.door.templates.View("link", "Page of "+r.Who.User, "", linkData{User: "somebody"}), nil
}

func (s *rig) form(r *kit.Request) (kit.Answer, error) {
	s.got = append(s.got, r.PostForm)
	r.Say("It is done for <%s>.", r.Who.User)
	return kit.Redirect{To: "/jobs"}, nil
}

func (s *rig) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// link makes a one-time link of admin.
func (s *rig) link() string {
	s.Helper()
	code, _, err := s.gate.NewLogin(s.Context(), s.admin)
	s.ok(err)
	return "/login/" + code
}

// browser keeps cookies.
type browser struct {
	*rig
	cookies map[string]string
	set     []*http.Cookie // by the last answer
}

func (s *rig) browser() *browser { return &browser{rig: s, cookies: map[string]string{}} }

type answer struct {
	status   int
	location string
	body     string
}

func (b *browser) get(path string) answer {
	b.Helper()
	return b.do(httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil))
}

func (b *browser) post(path string, form url.Values) answer {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

func (b *browser) do(r *http.Request) answer {
	b.Helper()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	b.ok(err)
	b.set = res.Cookies()
	for _, c := range b.set {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
	}
	return answer{res.StatusCode, res.Header.Get("Location"), string(body)}
}

// signedIn is a browser that used a link.
func (s *rig) signedIn() *browser {
	s.Helper()
	b := s.browser()
	b.want(b.post(s.link(), nil), http.StatusSeeOther, "")
	return b
}

func (b *browser) want(a answer, status int, has ...string) {
	b.Helper()
	if a.status != status {
		b.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	for _, s := range has {
		if !strings.Contains(a.body, s) {
			b.Errorf("the page lacks %q:\n%s", s, a.body)
		}
	}
}

// in says whether the browser is signed in.
func (b *browser) in() bool {
	b.Helper()
	switch a := b.get("/jobs"); a.status {
	case http.StatusOK:
		return true
	case http.StatusUnauthorized:
		return false
	default:
		b.Fatalf("status %d: %s", a.status, a.body)
		return false
	}
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// fields are the hidden fields of a form of the page, by the form's id.
func (b *browser) fields(page, id string) url.Values {
	b.Helper()
	_, form, ok := strings.Cut(page, `id="`+id+`"`)
	if !ok {
		b.Fatalf("there is no form %s:\n%s", id, page)
	}
	form, _, _ = strings.Cut(form, "</form>")
	out := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(form, -1) {
		out.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return out
}

// awaySessions is a store that is away.
type awaySessions struct{ auth.Sessions }

func (awaySessions) Session(ctx, string) (auth.Session, error) {
	return auth.Session{}, errs.New(errs.CodeUnavailable, "the store is away")
}

func (s *rig) sessionRow(b *browser) (auth.Session, error) {
	s.Helper()
	secret := b.cookies["__Host-hookline"]
	if secret == "" {
		s.Fatal("the browser has no session")
	}
	if row, err := s.db.Session(s.Context(), secret); !errs.Is(err, errs.CodeNotFound) {
		s.Errorf("the store knows the secret itself: %+v %v", row, err)
	}
	return s.db.Session(s.Context(), hashOf(secret))
}
