package web

import (
	"bytes"
	"html/template"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/looks"
)

// base is what every page has.
type base struct {
	Title string
	User  string // signed in as; "" is nobody
	Style string
	// Notice is what somebody has to do soon, in a sentence; "" is nothing.
	Notice string
}

func (s *site) base(title string, p auth.Principal) base {
	b := base{Title: title, User: p.User, Style: s.sheet.Path}
	if s.Notice != nil {
		b.Notice = s.Notice()
	}
	return b
}

// handler is a page for a signed-in person.
type handler func(w http.ResponseWriter, r *http.Request, p auth.Principal) error

// signedIn runs a page for people whose session holds the permission.
func (s *site) signedIn(perm auth.Permission, page handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := s.session(r)
		if err == nil {
			err = s.Gate.Allow(p, perm)
		}
		if err == nil {
			err = page(w, r, p)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// render writes a page only when all of it could be made.
func (s *site) render(w http.ResponseWriter, status int, page string, data any) error {
	var out bytes.Buffer
	if err := s.pages[page].ExecuteTemplate(&out, "layout", data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // a client that has gone is no failure of ours
	return nil
}

type errorPage struct {
	base
	Code   errs.Code
	Detail string
	Hint   string
}

func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	if e, ok := errs.As(err); ok {
		status = e.Kind().HTTPStatus()
	}
	if status == http.StatusServiceUnavailable {
		s.Log.WarnContext(r.Context(), "a page could not be shown", "page", chi.RouteContext(r.Context()).RoutePattern(), "code", errs.CodeOf(err), "error", err)
		w.Header().Set("Retry-After", "1")
	}
	s.failWith(w, r, status, err)
}

// failWith shows a coded error as it is; any other stays in the log, and the
// page names the id by which it is found there. The log names the route and
// not the path, which can hold a sign-in code that is still good.
func (s *site) failWith(w http.ResponseWriter, r *http.Request, status int, err error) {
	page := errorPage{base: base{Title: titleOf(status), Style: s.sheet.Path}, Code: errs.CodeOf(err)}
	if status != http.StatusServiceUnavailable { // else it would wait for the store once more
		if p, err := s.session(r); err == nil {
			page.User = p.User // keeps the way back
		}
	}
	if e, ok := errs.As(err); ok && e.Kind() != errs.Internal {
		page.Detail, page.Hint = e.Error(), e.Hint
	} else {
		id := uuid.NewString()
		s.Log.ErrorContext(r.Context(), "page failed", "request_id", id, "page", chi.RouteContext(r.Context()).RoutePattern(), "error", err)
		page.Detail, page.Hint = "Something broke inside.", "The server's log has the cause under request id "+id+"."
	}
	if err := s.render(w, status, "error", page); err != nil {
		s.Log.ErrorContext(r.Context(), "error page failed", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// titleOf names what went wrong; "Signed out" is no failure.
func titleOf(status int) string {
	switch status {
	case http.StatusOK:
		return "Signed out"
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

func functions() template.FuncMap {
	return template.FuncMap{
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"when":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"short": short, "sentence": looks.Sentence,
	}
}

// short is enough of a digest to tell versions apart.
func short(digest string) string { return digest[:min(12, len(digest))] }
