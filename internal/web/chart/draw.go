package chart

import (
	_ "embed" // the templates
	"html/template"
	"strings"
	"sync"
)

//go:embed chart.html
var source string

// drawings parses the templates once.
var drawings = sync.OnceValues(func() (*template.Template, error) { return template.New("").Parse(source) })

// draw runs a template; what comes out was made by html/template.
func draw(name string, data any) (template.HTML, error) {
	t, err := drawings()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	if err := t.ExecuteTemplate(&out, name, data); err != nil {
		return "", err
	}
	return template.HTML(out.String()), nil //nolint:gosec // see above
}
