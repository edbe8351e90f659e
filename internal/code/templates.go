package code

import (
	"embed"
	"html/template"
)

//go:embed templates/*.html
var templates embed.FS

// AddTo parses what shows lines and differences into a page's templates:
// "code-spans" (a Line), "code-lines" (a []Line), "diff-unified" and
// "diff-split" (a Difference). They need no functions.
func AddTo(page *template.Template) (*template.Template, error) {
	return page.ParseFS(templates, "templates/*.html")
}
