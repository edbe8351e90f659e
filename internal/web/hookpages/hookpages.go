// Package hookpages is the pages of hooks and their versions, and what
// operators do there: activate, change bounds, pause, disable.
package hookpages

import (
	"context"
	"embed"
	"net/http"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/code"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/internal/web/inwords"
	"hookline/internal/web/kit"
	"hookline/review"
	"hookline/signing"
)

//go:embed templates
var files embed.FS

// sectionName is the entry of the navigation that these pages belong to.
const sectionName = "Hooks"

// Store is what these pages read.
type Store interface {
	review.Versions
	Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error)
	Job(ctx context.Context, id string) (jobs.Job, error)
	Problem(ctx context.Context, id string) (collector.Problem, error)
	Peer(ctx context.Context, id string) (enroll.Peer, error)
	Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error)
	ActivePast(ctx context.Context, now time.Time, limit int) ([]hooks.Activation, error)
}

// Parts is what these pages are made from.
type Parts struct {
	Store  Store
	Review *review.Service
	// Painter colors scripts. Pages share one, for what it remembers.
	Painter *code.Painter
	Rules   func() signing.Rules // that versions are held against now
}

type pages struct {
	Parts
	*kit.Templates
}

// Routes are the routes of these pages.
func Routes(k *kit.Kit, parts Parts) ([]kit.Route, error) {
	if err := inwords.Share(k); err != nil {
		return nil, err
	}
	if err := k.Share(files, "templates/shared/*.html"); err != nil {
		return nil, err
	}
	if err := k.Extend(code.AddTo); err != nil {
		return nil, err
	}
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	p := &pages{parts, t}
	get := func(path string, show kit.Page) kit.Route {
		return kit.Route{Method: http.MethodGet, Path: path, Access: kit.Reads(auth.HooksRead), Page: show}
	}
	post := func(path string, perm auth.Permission, do kit.Page) kit.Route {
		return kit.Route{Method: http.MethodPost, Path: "/versions/{digest}/" + path, Access: kit.Acts(perm), Page: do}
	}
	// What a starter is made of says what the report says.
	starter := func(path string, show kit.Page) kit.Route {
		return kit.Route{Method: http.MethodGet, Path: path, Access: kit.Reads(auth.JobsRead), Page: show}
	}
	return []kit.Route{
		get("/hooks", p.hooks),
		get("/hooks/{hook}", p.hook),
		starter("/hooks/new", p.starter),
		starter("/hooks/new/"+hooks.ManifestName, p.starterFile),
		starter("/hooks/new/"+hooks.ScriptName, p.starterFile),
		get("/versions/{digest}", p.version),
		post(formActivate, auth.HooksActivate, p.activate),
		post(formBounds, auth.HooksActivate, p.bounds),
		post(formPause, auth.HooksDisable, p.pause),
		post(formDisable, auth.HooksDisable, p.disable),
	}, nil
}

// refOf names a version.
func refOf(v review.Version) kit.VersionRef {
	return kit.VersionRef{Hook: v.Hook, Number: v.Number, Digest: v.Digest}
}
