// Package httpapi is the REST API for people's programs, the command line
// first of all: JSON under /api, described by OpenAPI 3.1 at
// /api/openapi.json.
//
// A handler decodes, calls the domain, and maps what comes back; it decides
// nothing. Who may do what is the gate's business: reads ask Gate.Allow with
// the permission that stands in the route table, changes go through the
// domain's services, which ask for a grant and have it audited. Every error
// is a problem (RFC 9457) with a code of docs/refusals.md.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"hookline/collector"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/review"
	"hookline/signing"
)

// Peers reads enrolled machines.
type Peers interface {
	Peer(ctx context.Context, id string) (enroll.Peer, error)
	Peers(ctx context.Context, after string, limit int) ([]enroll.Peer, error)
}

// Results reads results that show.
type Results interface {
	Result(ctx context.Context, id string) (collector.Result, error)
	Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error)
}

// Audit reads the audit log.
type Audit interface {
	Entries(ctx context.Context, f auth.EntryFilter) ([]auth.Entry, error)
}

// Trust is the deployment's trust metadata.
type Trust interface {
	// Newest is the newest bundle, encoded, with the policy file in it and the digest of its newest root.
	Newest() (bundle, policy []byte, root string)
	// Replace takes a newer bundle, Push newer revocations alone; changed is false where they say nothing new.
	Replace(ctx context.Context, p auth.Principal, bundle []byte) (changed bool, err error)
	Push(ctx context.Context, p auth.Principal, metadata []byte) (changed bool, err error)
}

// Parts is what the API answers from.
type Parts struct {
	Gate      *auth.Gate
	Review    *review.Service
	Versions  review.Versions
	Collector *collector.Collector
	Queries   collector.Queries
	Results   Results
	Peers     Peers
	Audit     Audit

	Rules   func() signing.Rules // that versions are held against now
	Trust   Trust
	Version string // of the server

	// CheckScript refuses a script that cannot be compiled, before a version is submitted; may be nil.
	CheckScript func(ctx context.Context, script, statement []byte) error

	Now     func() time.Time
	Log     *slog.Logger
	Observe Observe      // may be nil
	Metrics http.Handler // may be nil: no /metrics
}

type service struct {
	Parts
	gate       *auth.Gate
	log        *slog.Logger
	now        func() time.Time
	observe    Observe
	perToken   *limits
	perAddress *limits
}

// New returns the handler of /api and, where there is one, /metrics.
func New(parts Parts) http.Handler {
	s := &service{Parts: parts, gate: parts.Gate, log: parts.Log, now: parts.Now, observe: parts.Observe}
	if s.observe == nil {
		s.observe = func(string, string, int, time.Duration) {}
	}
	s.perToken = newLimits(s.now, tokenRate, tokenBurst)
	s.perAddress = newLimits(s.now, failRate, failBurst)

	r := chi.NewRouter()
	r.Use(identify, s.observed, s.recovered, checkURL)
	r.NotFound(notFound)
	r.MethodNotAllowed(methodNotAllowed)
	document := newDocument(s.Version)
	r.Group(func(r chi.Router) {
		r.Use(s.authenticated)
		rest := humachi.New(r, document)
		s.register(rest)
		finishDocument(rest.OpenAPI())
		if s.Metrics != nil {
			r.Method(http.MethodGet, "/metrics", s.allowed(auth.MetricsRead, s.Metrics))
		}
	})
	r.Get("/api/openapi.json", serveDocument(document.OpenAPI))
	return r
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	p := newProblem(http.StatusNotFound, errs.CodeNotFound, "there is no such path")
	p.Hint = "the paths are listed in /api/openapi.json"
	p.write(w)
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	p := newProblem(http.StatusMethodNotAllowed, errs.CodeBadInput, "cannot "+r.Method+" this path")
	p.Hint = "the methods of each path are listed in /api/openapi.json"
	p.write(w)
}

// newDocument configures huma: our one strict body format, our problems, no
// documentation page (it would load scripts from elsewhere), and no routes of
// its own.
func newDocument(version string) huma.Config {
	c := huma.DefaultConfig("Hookline", version)
	c.Info.Description = "Small, reviewed, signed collection scripts: submit, review, activate, and read what came back."
	c.DocsPath, c.SchemasPath, c.OpenAPIPath = "", "", ""
	c.CreateHooks = nil
	c.Formats = map[string]huma.Format{"application/json": strictJSON(), "json": strictJSON()} // the second is "+json"
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{ownProblems}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "a personal token: hookline token create"},
	}
	c.Security = []map[string][]string{{"token": {}}}
	return c
}
