// Package admin is the pages of the audit log, users and tokens.
package admin

import (
	"context"
	"embed"

	"hookline/internal/auth"
	"hookline/internal/web/kit"
)

//go:embed templates
var files embed.FS

// Log reads the audit log.
type Log interface {
	Entries(ctx context.Context, f auth.EntryFilter) ([]auth.Entry, error)
}

// Parts is what these pages are made from.
type Parts struct {
	Gate *auth.Gate
	Log  Log
}

type pages struct {
	Parts
	*kit.Templates
}

// Routes are the routes of these pages.
func Routes(k *kit.Kit, parts Parts) ([]kit.Route, error) {
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	p := &pages{parts, t}
	_ = p
	return []kit.Route{}, nil
}
