package reviewpage

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"sync"

	"hookline/internal/errs"
)

const (
	openPath   = "/open/"
	cookieName = "hookline-review"
)

// door lets one browser in. Browsers send a cookie to every port of a machine,
// so it is bound to a path that nobody else knows, and the path is not enough
// without it.
type door struct {
	link, cookie string // secrets
	base         string // path of all pages, with a secret of its own

	lock sync.Mutex
	used bool
}

// rand.Text has 128 bits and more, in letters and digits.
func newDoor() *door {
	return &door{link: rand.Text() + rand.Text(), cookie: rand.Text() + rand.Text(), base: "/r/" + rand.Text() + "/"}
}

func same(got, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(got), []byte(secret)) == 1
}

// spend takes the link; false where it is another one, or was used.
func (d *door) spend(code string) bool {
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.used || !same(code, d.link) {
		return false
	}
	d.used = true
	return true
}

func (d *door) good(code string) bool {
	d.lock.Lock()
	defer d.lock.Unlock()
	return !d.used && same(code, d.link)
}

func badLink() error {
	return errs.New(errs.CodeUnauthenticated, "this link opens nothing: it was used, or is another one").
		WithHint("a link works once; if it was not you who used it, end the program, and start it again: hookline review serve")
}

// onlyHere refuses a request that was meant for another name: a site whose
// name leads here all of a sudden would read along with the reviewer.
func (p *Page) onlyHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != p.Addr {
			http.Error(w, "this page has another address", http.StatusMisdirectedRequest)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// askOpen shows a button and spends nothing: browsers fetch links ahead of
// people, and a cookie for this page alone is sent after a form of its own.
func (p *Page) askOpen(w http.ResponseWriter, r *http.Request) {
	if !p.good(r.PathValue("code")) {
		p.fail(w, "", badLink())
		return
	}
	p.render(w, http.StatusOK, "open", p.basic("Review on this machine"))
}

func (p *Page) open(w http.ResponseWriter, r *http.Request) {
	if !p.spend(r.PathValue("code")) {
		p.fail(w, "", badLink())
		return
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // no TLS: it never leaves this machine
		Name: cookieName, Value: p.cookie, Path: p.base, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	p.Say("the page was opened in a browser; the link is used up")
	p.touch()
	to := p.base
	if p.First != "" {
		to += "versions/" + p.First
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// inside runs a page for the browser that was let in.
func (p *Page) inside(page func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(cookieName)
		if err != nil || !same(c.Value, p.cookie) {
			p.fail(w, "", errs.New(errs.CodeUnauthenticated, "this browser was not let in").
				WithHint("open the link that the program printed"))
			return
		}
		p.touch()
		defer p.touch()
		if err := page(w, r); err != nil {
			p.fail(w, p.base, err)
		}
	}
}

func (p *Page) touch() {
	select {
	case p.touched <- struct{}{}:
	default: // told already
	}
}
