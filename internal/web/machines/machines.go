// Package machines is the pages of peers.
package machines

import (
	"context"
	"embed"

	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/internal/web/kit"
)

//go:embed templates
var files embed.FS

// Store is what these pages read.
type Store interface {
	Peer(ctx context.Context, id string) (enroll.Peer, error)
	PeersBy(ctx context.Context, f enroll.PeerFilter) ([]enroll.Peer, error)
	CountPeers(ctx context.Context) (all, online int64, err error)
	SetLabels(ctx context.Context, id string, labels []string, g auth.Grant) error
	Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error)
}

// Parts is what these pages are made from.
type Parts struct {
	Store Store
	Gate  *auth.Gate
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
