// Package web is the pages for people's browsers: a problem with its reports,
// and a report with the new fields beside it. They are plain HTML, read-only,
// without scripts; a browser signs in with a one-time link that somebody with
// a token asked for.
//
// Everything on a page came from machines that may be hostile. html/template
// escapes it, Visible shows characters that would hide or reorder text, and a
// strict content security policy stands behind both.
package web

import (
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"hookline/collector"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/review"
	"hookline/signing"
)

//go:embed templates
var files embed.FS

// Versions reads a hook version.
type Versions interface {
	Life(ctx context.Context, digest string) (review.Life, error)
}

// Results reads results that show.
type Results interface {
	Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error)
}

// Peers reads a machine.
type Peers interface {
	Peer(ctx context.Context, id string) (enroll.Peer, error)
}

// Parts is what the pages are made from.
type Parts struct {
	Gate     *auth.Gate
	Queries  collector.Queries
	Results  Results
	Versions Versions
	Peers    Peers
	Rules    func() signing.Rules // that versions are held against now
	Notice   func() string        // what stands on top of every page; "" is nothing, nil too
	Now      func() time.Time
	Log      *slog.Logger
	Secure   bool // served over TLS: cookies are Secure
}

type site struct {
	Parts
	pages map[string]*template.Template
	sheet looks.Sheet
}

// New returns the handler of all pages.
func New(parts Parts) (http.Handler, error) {
	pages, err := looks.Pages(files, functions())
	if err != nil {
		return nil, err
	}
	s := &site{Parts: parts, pages: pages, sheet: looks.NewSheet()}
	return s.router(), nil
}

func (s *site) router() http.Handler {
	r := chi.NewRouter()
	r.Use(looks.Headers)
	// Browsers tell where a form was sent from; one from elsewhere is refused.
	r.Use(http.NewCrossOriginProtection().Handler)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, errs.New(errs.CodeNotFound, "there is no such page"))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		s.failWith(w, r, http.StatusMethodNotAllowed, errs.New(errs.CodeBadInput, "this page cannot be used like that"))
	})
	r.Method(http.MethodGet, s.sheet.Path, s.sheet)
	r.Get(looks.IconPath, looks.ServeIcon)
	r.Get("/login/{code}", s.askLogin)
	r.Post("/login/{code}", s.login)
	r.Post("/logout", s.logout)
	r.Get("/", s.signedIn(auth.JobsRead, func(w http.ResponseWriter, r *http.Request, _ auth.Principal) error {
		http.Redirect(w, r, "/problems", http.StatusSeeOther)
		return nil
	}))
	r.Get("/problems", s.signedIn(auth.JobsRead, s.problems))
	r.Get("/problems/{id}", s.signedIn(auth.JobsRead, s.problem))
	r.Get("/jobs/{id}", s.signedIn(auth.JobsRead, s.job))
	r.Get("/versions/{digest}", s.signedIn(auth.HooksRead, s.version))
	r.Get("/peers/{id}", s.signedIn(auth.PeersRead, s.peer))
	return r
}
