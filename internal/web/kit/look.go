package kit

import (
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"net/http"
	"time"

	"hookline/internal/looks"
)

// script is what pages run: htmx and our own few lines, in one file under a
// path that changes with it.
type script struct {
	path    string
	content []byte
}

func newScript() script {
	var content []byte
	for _, name := range []string{"htmx.min.js", "hookline.js"} {
		b, err := files.ReadFile("assets/" + name)
		if err != nil {
			panic(err) // embedded
		}
		content = append(append(content, b...), '\n')
	}
	digest := sha256.Sum256(content)
	return script{path: "/static/hookline." + hex.EncodeToString(digest[:6]) + ".js", content: content}
}

// ServeHTTP sends the scripts.
func (s script) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // its path is its digest
	_, _ = w.Write(s.content)                                              // a client that has gone is no failure of ours
}

func (k *Kit) functions() template.FuncMap {
	return template.FuncMap{
		"stamp":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"exact":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"ago":      func(t time.Time) string { return Ago(t, k.Now()) },
		"short":    Short,
		"text":     looks.Visible,
		"sentence": looks.Sentence,
		"grouped":  Grouped,
		"counted":  Counted,
		"bytes":    Bytes,
		"span":     Span,
		"cell":     k.cell,
		"cells":    k.cells,
		"list":     func(v ...any) []any { return v },
	}
}
