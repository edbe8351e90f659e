// Package looks is what all our pages share: the style sheet and the icon, the
// headers of an answer, and text made fit to be shown.
package looks

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"regexp"
)

//go:embed hookline.css
var styleSheet []byte

//go:embed icon.svg
var icon []byte

// IconPath is where pages look for the icon.
const IconPath = "/static/icon.svg"

// Sheet is the style sheet, under a path that changes with it.
type Sheet struct {
	Path    string
	content []byte
}

// NewSheet returns the style sheet, without comments and indents.
func NewSheet() Sheet {
	content := indent.ReplaceAll(comment.ReplaceAll(styleSheet, nil), []byte("\n"))
	digest := sha256.Sum256(content)
	return Sheet{Path: "/static/hookline." + hex.EncodeToString(digest[:6]) + ".css", content: content}
}

// What browsers need nothing of; no string of the sheet has either.
var (
	comment = regexp.MustCompile(`/\*[^*]*\*+(?:[^/*][^*]*\*+)*/`)
	indent  = regexp.MustCompile(`\s*\n\s*`)
)

// ServeHTTP sends the style sheet.
func (s Sheet) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // its path is its digest
	_, _ = w.Write(s.content)                                              // a client that has gone is no failure of ours
}

// ServeIcon sends the icon.
func ServeIcon(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	_, _ = w.Write(icon) // see above
}

// ContentPolicy lets a page load our style sheet and icon, send our forms,
// and nothing else; nobody may frame it.
const ContentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Headers sets what every answer of a page without scripts carries.
func Headers(next http.Handler) http.Handler { return HeadersWith(ContentPolicy)(next) }

// HeadersWith sets what every answer carries, with a content security policy;
// nothing of it is kept by anybody.
func HeadersWith(policy string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Security-Policy", policy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Cache-Control", "no-store")
			next.ServeHTTP(w, r)
		})
	}
}
