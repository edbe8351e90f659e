// Package problems is the pages of what went wrong and what hooks brought for
// it: the overview, problems, jobs, results.
package problems

import (
	"context"
	"embed"
	"net/http"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/web/kit"
	"hookline/review"
)

//go:embed templates
var files embed.FS

// Store is what these pages read.
type Store interface {
	collector.Queries
	collector.Counts
	Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error)
	Result(ctx context.Context, id string) (collector.Result, error)
	Peer(ctx context.Context, id string) (enroll.Peer, error)
	CountPeers(ctx context.Context, most int64) (all, online int64, err error)
	ActivePast(ctx context.Context, now time.Time, limit int) ([]hooks.Activation, error)
	ActiveByKeys(ctx context.Context, keys []string) ([]hooks.Activation, error)
	Life(ctx context.Context, digest string) (review.Life, error)
	Hooks(ctx context.Context, after string, limit int) ([]review.Life, error)
	VersionsOf(ctx context.Context, hook string, below int64, limit int) ([]review.Life, error)
	Waiting(ctx context.Context, after string, limit int) ([]review.Life, error)
}

// Parts is what these pages are made from.
type Parts struct {
	Store Store
	// Explain says why a version did or did not run for a job, as collector.Collector.Explain does; nil is offered
	// nowhere.
	Explain func(ctx context.Context, jobID, version string) (collector.Explanation, error)
}

type pages struct {
	Parts
	*kit.Templates
	counts dayCounts
	busy   busyCounts
}

// Routes are the routes of these pages.
func Routes(k *kit.Kit, parts Parts) ([]kit.Route, error) {
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	p := &pages{Parts: parts, Templates: t}
	page := func(path string, show kit.Page) kit.Route {
		return kit.Route{Method: http.MethodGet, Path: path, Access: kit.Reads(auth.JobsRead), Page: show}
	}
	return []kit.Route{
		page("/", p.overview),
		page("/problems", p.problems),
		page("/problems/{id}", p.problem),
		page("/jobs", p.jobs),
		page("/jobs/{id}", p.job),
		page("/results", p.results),
	}, nil
}
