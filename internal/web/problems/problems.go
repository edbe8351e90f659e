// Package problems is the pages of what went wrong and what hooks brought for
// it: the overview, problems, jobs, results.
package problems

import (
	"context"
	"embed"
	"time"

	"hookline/collector"
	"hookline/hooks"
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
	CountPeers(ctx context.Context) (all, online int64, err error)
	ActivePast(ctx context.Context, now time.Time, limit int) ([]hooks.Activation, error)
	ActiveByKeys(ctx context.Context, keys []string) ([]hooks.Activation, error)
	Life(ctx context.Context, digest string) (review.Life, error)
	Waiting(ctx context.Context, after string, limit int) ([]review.Life, error)
}

type pages struct {
	Store
	*kit.Templates
}

// Routes are the routes of these pages.
func Routes(k *kit.Kit, store Store) ([]kit.Route, error) {
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	p := &pages{store, t}
	_ = p
	return []kit.Route{}, nil
}
