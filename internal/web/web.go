// Package web is the pages that people work in: it joins the packages of pages
// below it to one handler, which mounts on any mux at "/".
package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"hookline/collector"
	"hookline/internal/auth"
	"hookline/internal/code"
	"hookline/internal/web/admin"
	"hookline/internal/web/door"
	"hookline/internal/web/hookpages"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
	"hookline/internal/web/machines"
	"hookline/internal/web/problems"
	"hookline/internal/web/reviews"
	"hookline/review"
	"hookline/signing"
)

// Store is what all pages read, and the little that they write themselves.
type Store interface {
	problems.Store
	hookpages.Store
	reviews.Store
	machines.Store
	admin.Log
	auth.Sessions
}

// Parts is what the pages are made from.
type Parts struct {
	Gate   *auth.Gate
	Store  Store
	Facts  func(ctx context.Context) (kit.Facts, error) // of the store, for ?debug=1
	Review *review.Service
	Rules  func() signing.Rules // that versions are held against now
	Bench  reviews.Bench        // nil where there is no sandbox binary
	Hub    *live.Hub
	// Explain says why a version did or did not run for a job; nil is offered nowhere.
	Explain func(ctx context.Context, jobID, version string) (collector.Explanation, error)
	Notice  func() string // what stands on top of every page; "" is nothing, nil too
	Now     func() time.Time
	Log     *slog.Logger
	Secure  bool // served over TLS: cookies are Secure
}

// New returns the handler of all pages.
func New(parts Parts) (http.Handler, error) {
	k, routes, err := build(parts)
	if err != nil {
		return nil, err
	}
	return k.Handler(routes), nil
}

// Routes lists every route with its access rule.
func Routes(parts Parts) ([]kit.Route, error) {
	_, routes, err := build(parts)
	return routes, err
}

func build(parts Parts) (*kit.Kit, []kit.Route, error) {
	d := door.New(door.Parts{Gate: parts.Gate, Sessions: parts.Store, Now: parts.Now, Log: parts.Log, Secure: parts.Secure})
	k, err := kit.New(kit.Parts{
		Gate: parts.Gate, Door: d, Now: parts.Now, Log: parts.Log, Notice: parts.Notice, Store: parts.Facts, Mark: parts.Hub.Mark,
	})
	if err != nil {
		return nil, nil, err
	}
	painter, err := code.New()
	if err != nil {
		return nil, nil, err
	}
	var routes []kit.Route
	for _, pages := range []func() ([]kit.Route, error){
		func() ([]kit.Route, error) { return d.Routes(k) },
		func() ([]kit.Route, error) {
			return problems.Routes(k, problems.Parts{Store: parts.Store, Explain: parts.Explain})
		},
		func() ([]kit.Route, error) {
			return hookpages.Routes(k, hookpages.Parts{Store: parts.Store, Review: parts.Review, Painter: painter, Rules: parts.Rules})
		},
		func() ([]kit.Route, error) {
			return reviews.Routes(k, reviews.Parts{Store: parts.Store, Review: parts.Review, Painter: painter, Rules: parts.Rules, Bench: parts.Bench})
		},
		func() ([]kit.Route, error) {
			return machines.Routes(k, machines.Parts{Store: parts.Store, Gate: parts.Gate})
		},
		func() ([]kit.Route, error) { return admin.Routes(k, admin.Parts{Gate: parts.Gate, Log: parts.Store}) },
		func() ([]kit.Route, error) { return live.Routes(k, parts.Hub), nil },
	} {
		some, err := pages()
		if err != nil {
			return nil, nil, err
		}
		routes = append(routes, some...)
	}
	return k, routes, nil
}
