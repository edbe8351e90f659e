package looks

import (
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
)

// layoutFile is the template that all pages of a folder share.
const layoutFile = "templates/layout.html"

// Pages parses templates/*.html, each page with the layout, by their names
// without folder and ending.
func Pages(files fs.FS, functions template.FuncMap) (map[string]*template.Template, error) {
	layout, err := template.New("").Funcs(functions).ParseFS(files, layoutFile)
	if err != nil {
		return nil, fmt.Errorf("layout: %w", err)
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		if name == layoutFile {
			continue
		}
		page, err := layout.Clone()
		if err != nil {
			return nil, err
		}
		if pages[strings.TrimSuffix(path.Base(name), ".html")], err = page.ParseFS(files, name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return pages, nil
}
