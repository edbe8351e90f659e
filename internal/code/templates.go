package code

import (
	"embed"
	"io/fs"
)

//go:embed templates/*.html
var templates embed.FS

// Templates are those that show lines and differences: "code-spans" (a Line),
// "code-lines" (a []Line), "diff-unified" and "diff-split" (a Difference).
// They parse with TemplateFiles and need no functions.
func Templates() fs.FS { return templates }

// TemplateFiles is the pattern of the files in Templates.
const TemplateFiles = "templates/*.html"
