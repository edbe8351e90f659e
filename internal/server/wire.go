package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"hookline/collector"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/httpapi"
	"hookline/internal/jobserver"
	"hookline/internal/web"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
	"hookline/review"
	"hookline/store/open"
)

const (
	maxSetupKeyBytes = 1 << 20

	// serverName marks the peers' connections in the store. A store has one
	// server, which finds those of its own last run by it.
	serverName = "hooklined"
)

// openSettings reads what the flags name and opens both listeners, before
// anything is made in the data folder: a server that cannot start leaves no CA
// and no token behind.
func (s *Server) openSettings(ctx context.Context) (err error) {
	if _, err = readTrust(s.cfg.Trust); err != nil {
		return err
	}
	if s.setupKeys, err = loadSetupKeys(s.cfg.SetupKeys); err != nil {
		return err
	}
	if s.httpTLS, err = s.cfg.httpTLS(); err != nil {
		return err
	}
	if s.grpcListener, err = listen(ctx, "--grpc", s.cfg.GRPC, s.cfg.GRPCListener); err != nil {
		return err
	}
	if s.httpListener, err = listen(ctx, "--http", s.cfg.HTTP, s.cfg.HTTPListener); err != nil || !s.cfg.ownPages() {
		return err
	}
	s.pagesListener, err = listen(ctx, "--pages", s.cfg.Pages, s.cfg.PagesListener)
	return err
}

// openStore opens the store, and then the data folder: a server whose store is
// away leaves no CA behind.
func (s *Server) openStore(ctx context.Context) (err error) {
	if err := MakeData(s.cfg.Data); err != nil {
		return err
	}
	if s.db, err = open.Store(ctx, s.cfg.Store, open.Options{Log: s.log, Timeout: s.cfg.StoreTime}); err != nil {
		return err
	}
	s.live = live.NewHub(live.Pace{})
	s.db = newTold(s.db, s.live)
	s.gate = &auth.Gate{Accounts: s.db, Log: s.db, Now: s.cfg.Now}
	s.trust = &trustHolder{path: filepath.Join(s.cfg.Data, keptTrustFile), gate: s.gate, now: s.cfg.Now, log: s.log}
	if err := s.trust.start(ctx, s.cfg.Trust); err != nil {
		return err
	}
	s.ca, err = enroll.LoadOrCreateCA(s.cfg.Data, s.trust.newest().Policy().Deployment, s.cfg.Now())
	return err
}

// openServices joins the domain to the store.
func (s *Server) openServices(ctx context.Context) error {
	s.hub = jobserver.NewHub()
	s.metrics = newMetrics(s.hub.Len, s.trustFigures)
	if err := s.metrics.countLeases(ctx, s.db); err != nil {
		return fmt.Errorf("count leases: %w", err)
	}
	s.collector = &collector.Collector{
		Activations: s.db,
		Jobs:        countedJobs{s.db, s.metrics},
		Queries:     s.db,
		Repairs:     countedRepairs{s.db, s.metrics},
		Peers:       s.db,
		Signed:      s.signed,
		Sender:      s.hub,
		Now:         s.cfg.Now,
		Log:         s.log,
	}
	s.review = &review.Service{
		Versions: s.db, Changes: s.db, Gate: s.gate, Rules: s.trust.rules,
		Now: s.cfg.Now, Activated: s.collector.ActivatedVersion, Revoked: s.collector.Withdraw,
	}
	return nil
}

// openPeers makes what answers peers.
func (s *Server) openPeers(context.Context) error {
	s.jobs = &jobserver.Server{
		Hub:       s.hub,
		Collector: s.collector,
		Uploads:   s.collector,
		Peers:     s.db,
		Enroller:  enroll.NewService(s.db, s.ca, s.setupKeys, s.cfg.Now),
		Trust:     s.trust,
		Name:      serverName,
		Version:   s.cfg.Version,
		Now:       s.cfg.Now,
		Log:       s.log,
	}
	return nil
}

// openPeople makes what answers people.
func (s *Server) openPeople(context.Context) error {
	mux := http.NewServeMux()
	rest := s.rest()
	mux.Handle("/api/", rest)
	mux.Handle("/metrics", rest)
	mux.HandleFunc("GET /livez", alive)
	mux.HandleFunc("GET /readyz", s.ready)
	if s.cfg.Pages == "" {
		s.http = s.httpServer(mux)
		return nil
	}
	pages, err := web.New(s.webParts())
	if err != nil {
		return err
	}
	if s.cfg.ownPages() {
		s.pages = s.httpServer(pages)
	} else {
		mux.Handle("/", pages)
	}
	s.http = s.httpServer(mux)
	return nil
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	var config *tls.Config
	if s.httpTLS != nil {
		config = s.httpTLS.Clone() // each server adds its protocols
	}
	return &http.Server{
		Handler:           handler,
		TLSConfig:         config,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          quietLog(s.log),
	}
}

func (s *Server) rest() http.Handler {
	return httpapi.New(httpapi.Parts{
		Gate: s.gate, Review: s.review, Versions: s.db, Collector: s.collector, Queries: s.db, Results: s.db, Peers: s.db, Audit: s.db,
		Rules: s.trust.rules, Trust: s.trust, Version: s.cfg.Version, CheckScript: newLint(s.cfg.Sandbox, s.log),
		Now: s.cfg.Now, Log: s.log, Observe: s.metrics.observe, Metrics: s.metrics.handler(),
	})
}

func (s *Server) webParts() web.Parts {
	return web.Parts{
		Gate: s.gate, Store: s.db, Facts: s.storeFacts, Review: s.review, Rules: s.trust.rules, Bench: newBench(s.cfg.Sandbox, s.log), Hub: s.live,
		Explain: s.collector.Explain, Notice: s.notice, Now: s.cfg.Now, Log: s.log, Secure: s.httpTLS != nil,
	}
}

// storeFacts are what operators see of the store on a page.
func (s *Server) storeFacts(ctx context.Context) (kit.Facts, error) {
	f, err := s.db.Facts(ctx)
	return kit.Facts{Kind: f.Kind, Address: f.Address, Schema: f.Schema, Server: f.Server}, err
}
