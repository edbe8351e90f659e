// Package machines is the pages of peers: the list, and one machine with its
// facts, its labels, what its owner allows, and its jobs.
package machines

import (
	"context"
	"embed"
	"net/http"
	"time"

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
	CountPeers(ctx context.Context, most int64) (all, online int64, err error)
	SetLabels(ctx context.Context, id string, labels []string, g auth.Grant) error
	Jobs
}

// Jobs are the jobs of a machine.
type Jobs interface {
	Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error)
	CountJobs(ctx context.Context, f jobs.Filter, times []time.Time, most int64) ([]int64, error)
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

// section is the entry of the navigation.
const section = "Peers"

// Routes are the routes of these pages.
func Routes(k *kit.Kit, parts Parts) ([]kit.Route, error) {
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	p := &pages{parts, t}
	return []kit.Route{
		{Method: http.MethodGet, Path: "/peers", Access: kit.Reads(auth.PeersRead), Page: p.list},
		{Method: http.MethodGet, Path: "/peers/{id}", Access: kit.Reads(auth.PeersRead), Page: p.peer},
		{Method: http.MethodPost, Path: "/peers/{id}/labels", Access: kit.Acts(auth.PeersLabel), Page: p.label},
	}, nil
}
