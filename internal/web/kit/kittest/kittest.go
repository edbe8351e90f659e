// Package kittest serves pages to tests: real routes over a real store, with a
// door that lets in whomever the test names. It is for tests only.
package kittest

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
	"hookline/store/sqlite"
)

// Site is a few pages over a store of their own.
type Site struct {
	T     testing.TB
	DB    *sqlite.DB
	Gate  *auth.Gate
	Kit   *kit.Kit
	Clock *Clock

	door    *door
	handler http.Handler
}

// Clock is moved by hand.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// New opens an empty store and makes a kit. Serve comes next.
func New(t *testing.T) *Site {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hookline.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return Over(t, db)
}

// Over makes a kit over a store that is open.
func Over(t testing.TB, db *sqlite.DB) *Site {
	t.Helper()
	s := &Site{T: t, DB: db, Clock: &Clock{now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}, door: &door{}}
	s.Gate = &auth.Gate{Accounts: db, Log: db, Now: s.Clock.Now}
	var err error
	s.Kit, err = kit.New(kit.Parts{Gate: s.Gate, Door: s.door, Now: s.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Serve serves routes, as a page package's Routes gives them.
func (s *Site) Serve(routes []kit.Route, err error) *Site {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
	s.handler = s.Kit.Handler(routes)
	return s
}

// Principal is who is signed in with these roles; the user is named like the
// first of them.
func Principal(roles ...auth.Role) auth.Principal {
	return auth.Principal{User: string(roles[0]), Roles: roles, TokenID: "session", Kind: auth.TokenSession, ExpiresAt: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Get fetches a page as somebody with these roles; without one, as nobody.
func (s *Site) Get(path string, roles ...auth.Role) Answer {
	s.T.Helper()
	return s.do(httptest.NewRequestWithContext(s.T.Context(), http.MethodGet, path, nil), roles)
}

// Post sends a form.
func (s *Site) Post(path string, form url.Values, roles ...auth.Role) Answer {
	s.T.Helper()
	r := httptest.NewRequestWithContext(s.T.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return s.do(r, roles)
}

// Leave ends the session of whoever asks, which an answer that is open finds
// out.
func (s *Site) Leave() { s.door.left.Store(true) }

// Want is Get of a page that must be there.
func (s *Site) Want(path string, roles ...auth.Role) string {
	s.T.Helper()
	a := s.Get(path, roles...)
	if a.Status != http.StatusOK {
		s.T.Fatalf("GET %s: %d\n%s", path, a.Status, a.Body)
	}
	return a.Body
}

func (s *Site) do(r *http.Request, roles []auth.Role) Answer {
	s.T.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, s.door.as(r, roles))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return Answer{w.Code, w.Header(), string(body)}
}

// door lets in whom the request's context names, and remembers one sentence.
type door struct {
	mu   sync.Mutex
	said string
	left atomic.Bool
}

type whoKey struct{}

func (d *door) as(r *http.Request, roles []auth.Role) *http.Request {
	if len(roles) == 0 {
		return r
	}
	return r.WithContext(contextWith(r, Principal(roles...)))
}

// Wrap is nothing.
func (d *door) Wrap(next http.Handler) http.Handler { return next }

// Who is whom the test named.
func (d *door) Who(r *http.Request) (auth.Principal, error) {
	p, ok := r.Context().Value(whoKey{}).(auth.Principal)
	if !ok {
		return p, errs.New(errs.CodeUnauthenticated, "you are not signed in")
	}
	return p, nil
}

// Still is Who, until the test ends the session.
func (d *door) Still(r *http.Request) (auth.Principal, error) {
	if d.left.Load() {
		return auth.Principal{}, errs.New(errs.CodeUnauthenticated, "you are not signed in any more")
	}
	return d.Who(r)
}

// Say keeps a sentence.
func (d *door) Say(_ *http.Request, sentence string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = sentence
}

// Said takes it.
func (d *door) Said(*http.Request) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	said := d.said
	d.said = ""
	return said
}

// Ask refuses.
func (d *door) Ask(_ *kit.Request, err error) (kit.Answer, error) { return nil, err }
