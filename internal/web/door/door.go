// Package door is how people come in with a browser and go out: a password, a
// one-time link, the session, the account's own page. What was typed into a
// form whose session had ended is not lost.
package door

import (
	"embed"

	"hookline/internal/auth"
	"hookline/internal/web/kit"
)

//go:embed templates
var files embed.FS

// Door is a kit.Door: it knows who is signed in.
type Door struct {
	gate *auth.Gate
	// the pages' templates, once Routes has made them
	templates *kit.Templates
}

var _ kit.Door = (*Door)(nil)

// Routes are the routes of these pages.
func (d *Door) Routes(k *kit.Kit) ([]kit.Route, error) {
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	d.templates = t
	return []kit.Route{}, nil
}
