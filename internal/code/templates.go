package code

import (
	"embed"
	"html/template"
)

//go:embed templates/*.html
var templates embed.FS

// AddTo parses what shows lines and differences into a page's templates:
// "spans" (a Line), "code" (a []Line), "unified" and "split" (a Difference).
func AddTo(page *template.Template) (*template.Template, error) {
	return page.ParseFS(templates, "templates/*.html")
}
