package kit

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/querylog"
)

// maxText caps a word of a query.
const maxText = 256

// Request is what a page is asked. Who is nobody on public pages.
type Request struct {
	*http.Request
	Who auth.Principal

	kit     *Kit
	route   Route
	queries *querylog.Log
	start   time.Time
	mark    string
	failed  error  // why the form that was sent was refused, see Again
	bad     error  // why the filters of a list cannot be read, see Table.Bad
	made    func() // gives the place back that the page took while it is made
}

// Now is the clock.
func (r *Request) Now() time.Time { return r.kit.Now() }

// ID is a part of the path, by its name in the route.
func (r *Request) ID(name string) string { return chi.URLParam(r.Request, name) }

// May says whether the person may do something, so that a page offers it.
func (r *Request) May(perm auth.Permission) bool { return r.kit.Gate.Allow(r.Who, perm) == nil }

// Word reads a word of the query; what is longer than 256 bytes, or no UTF-8,
// is errs.CodeBadInput.
func (r *Request) Word(name string) (string, error) {
	s := strings.TrimSpace(r.URL.Query().Get(name))
	if len(s) > maxText || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", errs.New(errs.CodeBadInput, "it is not at most %d bytes of text", maxText).At(name)
	}
	return s, nil
}

// One reads a word of the query that must be one of those given; "" is the
// first.
func (r *Request) One(name string, of ...string) (string, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return of[0], nil
	}
	if !slices.Contains(of, s) {
		return "", errs.New(errs.CodeBadInput, "it is none of: %s", strings.Join(slices.DeleteFunc(slices.Clone(of), func(s string) bool { return s == "" }), ", ")).At(name)
	}
	return s, nil
}

// Day reads a day of the query, "2026-05-04", as its first moment in UTC; the
// zero time where there is none.
func (r *Request) Day(name string) (time.Time, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, errs.New(errs.CodeBadInput, "it is no day like %s", r.Now().UTC().Format(time.DateOnly)).At(name)
	}
	return t, nil
}

// Typed is what was typed into a form of a page that shows it again, "" on the
// page's first visit.
func (r *Request) Typed(name string) string {
	if r.PostForm == nil {
		return ""
	}
	return r.PostForm.Get(name)
}

// TypedOr is what was typed, or else what stands there at first.
func (r *Request) TypedOr(name, first string) string {
	if r.PostForm == nil || !r.PostForm.Has(name) {
		return first
	}
	return r.PostForm.Get(name)
}

// Again shows the page that a form is on once more, with the reason why it was
// refused, as err says, and with what was typed. Whatever is no matter of the
// form (the person may not, the thing is not there) is its own page.
func (r *Request) Again(page Page, err error) (Answer, error) {
	e, ok := errs.As(err)
	if !ok || e.Kind() == errs.Internal || r.failed != nil {
		return nil, err
	}
	switch e.Kind().HTTPStatus() {
	case http.StatusForbidden, http.StatusNotFound, http.StatusUnauthorized, http.StatusServiceUnavailable:
		return nil, err
	}
	r.failed = err
	return page(r)
}

// Say keeps a sentence for the next page.
func (r *Request) Say(format string, args ...any) {
	r.kit.Door.Say(r.Request, fmt.Sprintf(format, args...))
}

// With is this page's address with other words in its query: pairs of name and
// value, "" takes one out. The place in a list is taken out always.
func (r *Request) With(pairs ...string) string {
	return r.with(r.URL.Path, append([]string{"after", ""}, pairs...)...)
}

func (r *Request) with(path string, pairs ...string) string {
	q := r.URL.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
			continue
		}
		q.Set(pairs[i], pairs[i+1])
	}
	return (&url.URL{Path: path, RawQuery: q.Encode()}).String()
}

// parseForm reads a form that was sent.
func (r *Request) parseForm() error {
	if r.Method != http.MethodPost {
		return nil
	}
	err := r.ParseForm()
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return errs.New(errs.CodeTooLarge, "what was typed is longer than %d kB", maxForm>>10).WithHint("shorten it")
	}
	if err != nil {
		return errs.New(errs.CodeBadInput, "this is no form of ours")
	}
	return nil
}
