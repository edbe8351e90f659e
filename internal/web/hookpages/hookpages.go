// Package hookpages is the pages of hooks and their versions, and what
// operators do there: activate, change bounds, pause, disable.
package hookpages

import (
	"context"
	"embed"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/internal/web/kit"
	"hookline/review"
	"hookline/signing"
)

//go:embed templates
var files embed.FS

// Store is what these pages read.
type Store interface {
	review.Versions
	Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error)
	Job(ctx context.Context, id string) (jobs.Job, error)
	Problem(ctx context.Context, id string) (collector.Problem, error)
	Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error)
}

// Parts is what these pages are made from.
type Parts struct {
	Store  Store
	Review *review.Service
	Rules  func() signing.Rules // that versions are held against now
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
