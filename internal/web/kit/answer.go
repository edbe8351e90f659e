package kit

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"hookline/internal/errs"
	"hookline/internal/querylog"
)

//go:embed templates assets
var files embed.FS

// Answer is what a page gives back: a View, a Redirect, a Download, or a
// Stream.
type Answer interface {
	write(w http.ResponseWriter, r *Request) error
}

// Redirect leads to another of our pages, after a form was taken.
type Redirect struct{ To string }

func (a Redirect) write(w http.ResponseWriter, r *Request) error { //nolint:unparam // as every answer
	http.Redirect(w, r.Request, a.To, http.StatusSeeOther)
	return nil
}

// Raw is an answer that writes itself, for as long as it likes: an event stream,
// an export.
type Raw func(w http.ResponseWriter, r *Request) error

func (a Raw) write(w http.ResponseWriter, r *Request) error {
	r.made() // whoever has streams open looks at pages too
	return a(w, r)
}

// Templates are the pages of one package.
type Templates struct {
	kit   *Kit
	pages map[string]*template.Template
}

// Share parses templates that several packages use into the layout, for the
// pages that are parsed after it. Their names must be nobody else's.
func (k *Kit) Share(from fs.FS, patterns ...string) error {
	_, err := k.layout.ParseFS(from, patterns...)
	return err
}

// Extend is Share for a package that parses its templates into others itself,
// such as code.AddTo.
func (k *Kit) Extend(add func(*template.Template) (*template.Template, error)) error {
	_, err := add(k.layout)
	return err
}

// Parse parses each file that a pattern names as a page that the layout goes
// around; it defines "page". Names are those of the files, without ending.
func (k *Kit) Parse(from fs.FS, patterns ...string) (*Templates, error) {
	t := &Templates{kit: k, pages: map[string]*template.Template{}}
	for _, pattern := range patterns {
		names, err := fs.Glob(from, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			page, err := k.layout.Clone()
			if err != nil {
				return nil, err
			}
			if t.pages[strings.TrimSuffix(path.Base(name), ".html")], err = page.ParseFS(from, name); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// View is a page. Title stands in the window; Section is the entry of the
// navigation that it belongs to; Live are the ids of its elements that are
// fetched anew when one of Topics changes.
type View struct {
	Title   string
	Section string
	Status  int // 0 is 200
	Data    any
	Topics  []string
	Live    []string

	templates *Templates
	name      string
}

// View makes a page from a template of the package; data is its dot.
func (t *Templates) View(name, title, section string, data any) *View {
	return &View{Title: title, Section: section, Data: data, templates: t, name: name}
}

// Follow makes parts of the page live.
func (v *View) Follow(topics, ids []string) *View {
	v.Topics, v.Live = topics, ids
	return v
}

// frame is the dot of the layout.
type frame struct {
	*View
	User     string
	Sections []section
	Style    string
	Script   string
	Notice   string
	Said     string
	Failed   *refusal // why a form was refused
	Address  string   // of the page
	Stream   string   // of its events
	Oob      string   // what htmx takes out of the page that is fetched anew
	Now      time.Time
	Debug    *debugFacts
	Content  template.HTML
}

type section struct {
	Name, Link string
	Here       bool
}

// refusal is an error in words.
type refusal struct {
	Code         errs.Code
	Field        string
	Detail, Hint string
}

func refusalOf(err error) *refusal {
	e, ok := errs.As(err)
	if !ok {
		return nil
	}
	return &refusal{Code: e.Code, Detail: e.Error(), Hint: e.Hint}
}

// write renders the page, and writes it only when all of it could be made. A
// part that htmx asks for is the page without what is around it.
func (v *View) write(w http.ResponseWriter, r *Request) error {
	page, ok := v.templates.pages[v.name]
	if !ok {
		return errs.New(errs.CodeInternal, "there is no template %q", v.name)
	}
	var content, out bytes.Buffer
	if err := page.ExecuteTemplate(&content, "page", v.Data); err != nil {
		return err
	}
	if r.Header.Get("Hx-Request") == "true" {
		out = content
	} else {
		f := r.kit.frame(v, r)
		f.Content = template.HTML(content.String()) //nolint:gosec // made by html/template
		if err := page.ExecuteTemplate(&out, "layout", f); err != nil {
			return err
		}
	}
	status := v.Status
	if status == 0 {
		status = http.StatusOK
		if e, ok := errs.As(cmp.Or(r.failed, r.bad)); ok {
			status = e.Kind().HTTPStatus()
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "Hx-Request")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // a client that has gone is no failure of ours
	return nil
}

func (k *Kit) frame(v *View, r *Request) frame {
	f := frame{
		View: v, User: r.Who.User, Style: k.sheet.Path, Script: k.scripts.path, Address: r.URL.RequestURI(),
		Failed: refusalOf(r.failed), Debug: r.debug(), Now: k.Now(),
	}
	if f.User != "" {
		f.Said = k.Door.Said(r.Request)
	}
	if r.Method != http.MethodGet {
		f.Topics = nil // its address is a form's: it cannot be fetched anew
	}
	if f.User != "" {
		f.Sections = r.sections(v.Section)
	}
	if k.Notice != nil {
		f.Notice = k.Notice()
	}
	if len(f.Topics) > 0 && f.User != "" {
		f.Stream = streamOf(f.Topics, r.mark)
		f.Oob = "#" + strings.Join(v.Live, ",#")
	}
	return f
}

// fail shows what went wrong. A coded error is shown as it is; any other stays
// in the log, and the page names the id by which it is found there. The log
// names the route and not the path, which can hold a sign-in code that is
// still good.
func (k *Kit) fail(w http.ResponseWriter, r *Request, err error) {
	pattern := chi.RouteContext(r.Context()).RoutePattern()
	data := refusal{Code: errs.CodeOf(err)}
	status := http.StatusInternalServerError
	if e, ok := errs.As(err); ok && e.Kind() != errs.Internal {
		status, data.Detail, data.Hint = e.Kind().HTTPStatus(), e.Error(), e.Hint
	} else {
		id := uuid.NewString()
		k.Log.ErrorContext(r.Context(), "page failed", "request_id", id, "page", pattern, "error", err)
		data.Detail, data.Hint = "something broke inside", "the server's log has the cause under request id "+id
	}
	if status == http.StatusServiceUnavailable {
		k.Log.WarnContext(r.Context(), "a page could not be shown", "page", pattern, "code", data.Code, "error", err)
		w.Header().Set("Retry-After", "1")
	}
	k.showError(w, r, status, data)
}

func (k *Kit) showError(w http.ResponseWriter, r *Request, status int, data refusal) {
	v := k.errors.View("error", titleOf(status), "", data)
	v.Status = status
	r.failed = nil
	if err := v.write(w, r); err != nil {
		k.Log.ErrorContext(r.Context(), "error page failed", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// refuse is the handler of what is no route.
func (k *Kit) refuse(status int, err *errs.Error) http.HandlerFunc {
	return func(w http.ResponseWriter, raw *http.Request) {
		ctx, queries := querylog.With(raw.Context())
		r := &Request{Request: raw.WithContext(ctx), kit: k, queries: queries, start: k.Now()}
		if who, err := k.Door.Who(r.Request); err == nil {
			r.Who = who // keeps the way back
		}
		k.showError(w, r, status, *refusalOf(err))
	}
}

// elsewhere answers a form that another site sent: with no word of who is
// signed in.
func (k *Kit) elsewhere() http.Handler {
	err := errs.New(errs.CodeForbidden, "this form was not sent from a page of ours").WithHint("open the page here and send it again")
	return http.HandlerFunc(func(w http.ResponseWriter, raw *http.Request) {
		k.showError(w, &Request{Request: raw, kit: k, start: k.Now()}, http.StatusForbidden, *refusalOf(err))
	})
}

// Refusal is a page that says why, with a status: for what is no failure, too.
func (k *Kit) Refusal(status int, title string, err error) *View {
	v := k.errors.View("error", title, "", *refusalOf(err))
	v.Status = status
	return v
}

// titleOf names what went wrong.
func titleOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Sign in"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusNotFound:
		return "Not found"
	case http.StatusInternalServerError:
		return "Something broke"
	case http.StatusServiceUnavailable:
		return "Not available now"
	}
	return http.StatusText(status)
}
