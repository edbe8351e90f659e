// Package kit is what all pages are made with: routes with an access rule
// each, the layout with its style and scripts, tables that sort, filter, page
// and export by one description, parts that may fail alone, and the figures
// that operators see with ?debug=1.
//
// A page is a function from a Request to an Answer; nothing else writes to a
// browser. Everything shown came from machines that may be hostile:
// html/template escapes it, Text makes visible what would hide, and a strict
// content security policy stands behind both.
package kit

import (
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/internal/querylog"
)

// maxForm caps the body of a form, in which a byte may take three.
const maxForm = 512 << 10

// Access says who may use a route.
type Access struct {
	kind string
	perm auth.Permission
}

// The rules. The zero value is none, and no route may have it.
var (
	Public   = Access{kind: "public"}    // everybody, signed in or not
	SignedIn = Access{kind: "signed-in"} // whoever is signed in
)

// Reads is for people whose role holds the permission.
func Reads(perm auth.Permission) Access { return Access{"reads", perm} }

// Acts is for what changes something: the domain asks the gate for a grant of
// the permission, so that a refused attempt is in the audit log too.
func Acts(perm auth.Permission) Access { return Access{"acts", perm} }

// Permission is what the rule asks for; "" for Public and SignedIn.
func (a Access) Permission() auth.Permission { return a.perm }

// String is how the rule reads in a list of routes.
func (a Access) String() string {
	if a.perm != "" {
		return a.kind + " " + string(a.perm)
	}
	return a.kind
}

// Route is one page or form.
type Route struct {
	Method, Path string // chi's pattern
	Access       Access
	Page         Page
}

// Page answers one request.
type Page func(r *Request) (Answer, error)

// Door says who is signed in, and keeps a word for the next page.
type Door interface {
	// Wrap is around all routes: it reads the session and stores it.
	Wrap(next http.Handler) http.Handler
	// Who is who sent the request; errs.CodeUnauthenticated is nobody.
	Who(r *http.Request) (auth.Principal, error)
	// Still is Who, with the session read anew from where it is kept and nothing of it written: for an answer that stays
	// open, whose request knows the session only as it was at its begin.
	Still(r *http.Request) (auth.Principal, error)
	// Say keeps a sentence for the next page of this browser, Said takes it.
	Say(r *http.Request, sentence string)
	Said(r *http.Request) string
	// Ask is the page for a request of nobody; it keeps what was typed. err says why.
	Ask(r *Request, err error) (Answer, error)
}

// Facts are what operators see of the store.
type Facts struct{ Kind, Address, Schema, Server string }

// Parts is what a kit is made from.
type Parts struct {
	Gate   *auth.Gate
	Door   Door
	Now    func() time.Time
	Log    *slog.Logger
	Notice func() string                            // what stands on top of every page; "" is nothing, nil too
	Store  func(ctx context.Context) (Facts, error) // nil is unknown
	Mark   func() string                            // of the event stream, see live.Hub.Mark; nil is none
}

// Kit makes pages.
type Kit struct {
	Parts
	layout  *template.Template
	errors  *Templates
	sheet   looks.Sheet
	scripts script

	making, exporting *places
}

// New makes a kit.
func New(parts Parts) (*Kit, error) {
	k := &Kit{
		Parts: parts, sheet: looks.NewSheet(), scripts: newScript(),
		making:    &places{what: "pages", most: maxPages, mostUser: maxUserPages},
		exporting: &places{what: "exports", most: maxExports, mostUser: maxUserExports},
	}
	var err error
	if k.layout, err = template.New("").Funcs(k.functions()).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/table.html"); err != nil {
		return nil, err
	}
	k.errors, err = k.Parse(files, "templates/error.html")
	return k, err
}

// contentPolicy lets a page load our style, scripts and icon, open our event
// stream, send our forms, and nothing else; nobody may frame it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Handler serves the routes. It panics on a route without an access rule.
func (k *Kit) Handler(routes []Route) http.Handler {
	r := chi.NewRouter()
	r.Use(looks.HeadersWith(contentPolicy))
	// Browsers tell where a form was sent from; one from elsewhere is refused.
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(k.elsewhere())
	r.Use(origins.Handler)
	// Style and scripts are the same for everybody, so they go compressed. Pages
	// do not: their length would tell what stands beside words that others chose.
	same := r.With(middleware.Compress(9, "text/css", "text/javascript"))
	same.Method(http.MethodGet, k.sheet.Path, k.sheet)
	same.Method(http.MethodGet, k.scripts.path, k.scripts)
	r.Get(looks.IconPath, looks.ServeIcon)
	r.Group(func(r chi.Router) {
		r.Use(k.Door.Wrap)
		for _, route := range routes {
			if route.Access == (Access{}) {
				panic("kit: no access rule for " + route.Method + " " + route.Path)
			}
			r.Method(route.Method, route.Path, k.serve(route))
		}
		r.NotFound(k.refuse(http.StatusNotFound, errs.New(errs.CodeNotFound, "there is no such page")))
		r.MethodNotAllowed(k.refuse(http.StatusMethodNotAllowed, errs.New(errs.CodeBadInput, "this page cannot be used like that")))
	})
	return r
}

// serve runs one route: who asks, whether they may, the page, the answer.
func (k *Kit) serve(route Route) http.HandlerFunc {
	return func(w http.ResponseWriter, raw *http.Request) {
		ctx, queries := querylog.With(raw.Context())
		raw.Body = http.MaxBytesReader(w, raw.Body, maxForm)
		r := &Request{Request: raw.WithContext(ctx), kit: k, route: route, queries: queries, start: k.Now(), made: func() {}}
		if k.Mark != nil {
			r.mark = k.Mark() // before the page is made: what changes meanwhile is told by its stream
		}
		defer func() { r.made() }()
		answer, err := k.recovered(r)
		if err == nil {
			err = answer.write(w, r)
		}
		if err != nil {
			k.fail(w, r, err)
		}
	}
}

// recovered turns a panic of a page into an internal error; the process serves
// on.
func (k *Kit) recovered(r *Request) (answer Answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return k.answer(r)
}

func (k *Kit) answer(r *Request) (Answer, error) {
	who, err := k.Door.Who(r.Request)
	r.Who = who
	switch {
	case r.route.Access == Public && errs.Is(err, errs.CodeUnauthenticated):
	case errs.Is(err, errs.CodeUnauthenticated):
		if form := r.parseForm(); form != nil {
			return nil, form
		}
		return k.Door.Ask(r, err)
	case err != nil:
		return nil, err
	}
	if r.Who.User != "" {
		if r.made, err = k.making.enter(r.Who.User); err != nil {
			r.made = func() {}
			return nil, err
		}
	}
	if r.route.Access.kind == "reads" {
		if err := k.Gate.Allow(r.Who, r.route.Access.perm); err != nil {
			return nil, err
		}
	}
	if err := r.parseForm(); err != nil {
		return nil, err
	}
	return r.route.Page(r)
}

// ourPath is how paths of our pages look: no part is empty, and nothing in
// them needs an escape.
var ourPath = regexp.MustCompile(`^/([A-Za-z0-9._@-]+(/[A-Za-z0-9._@-]+)*)?$`)

// OurPath is a path that a person is led to after signing in: a page of ours,
// never another site; "/" where it is neither.
func OurPath(path string) string {
	const maxPath = 2000
	path, query, _ := strings.Cut(path, "?")
	words, err := url.ParseQuery(query)
	if err != nil || len(path)+len(query) > maxPath || !ourPath.MatchString(path) {
		return "/"
	}
	return (&url.URL{Path: path, RawQuery: words.Encode()}).String()
}
