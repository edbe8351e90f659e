// Package server puts the parts of hooklined together: store, gate, review,
// collector, the job server for peers, the REST API and the pages for people.
// It decides nothing of its own but the order in which things start and stop.
//
//	s, err := server.New(ctx, server.Config{Data: dir, Trust: "offline/trust.json", SetupKeys: "setup-keys.txt",
//		GRPC: "127.0.0.1:7443", HTTP: "127.0.0.1:7080"})
//	if err != nil {
//		return err
//	}
//	return s.Run(ctx) // until ctx is done, then it stops gracefully
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"hookline/collector"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobserver"
	"hookline/internal/web/live"
	"hookline/review"
	"hookline/store"
)

// Bounds of serving.
const (
	stopWithin     = 10 * time.Second // requests that are under way
	maxHTTPClients = 1024             // connections for people; peers have the other listener
	maxHeaderBytes = 16 << 10
)

// Server is a server whose listeners are open.
type Server struct {
	cfg       Config
	log       *slog.Logger
	setupKeys enroll.KeyHashes
	httpTLS   *tls.Config // nil is plain HTTP

	db        store.Store
	trust     *trustHolder
	verdicts  verdicts
	ca        *enroll.CA
	gate      *auth.Gate
	review    *review.Service
	collector *collector.Collector
	hub       *jobserver.Hub
	jobs      *jobserver.Server
	metrics   *metrics

	grpcListener net.Listener
	live         *live.Hub
	http         *http.Server
	httpListener net.Listener
	// pages have a listener of their own where they have an address of their own
	pages         *http.Server
	pagesListener net.Listener
	stopping      atomic.Bool
}

// New opens everything that a server needs, makes CA and first user where
// there are none, and listens. Nothing is answered before Run. An error about
// a setting names its flag and leaves nothing open.
func New(ctx context.Context, c Config) (*Server, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: c, log: newQuiet(c.Log)}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.openSettings, s.openStore, s.openGate, s.openServices, s.openPeers, s.openPeople} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// HTTPURL is where people find the server.
func (s *Server) HTTPURL() string { return s.urlOf(s.httpListener) }

// PagesURL is where browsers find the pages; "" where there are none.
func (s *Server) PagesURL() string {
	switch {
	case s.pagesListener != nil:
		return s.urlOf(s.pagesListener)
	case s.cfg.Pages == PagesWithAPI:
		return s.HTTPURL()
	}
	return ""
}

func (s *Server) urlOf(l net.Listener) string {
	scheme := "http"
	if s.cfg.secure() {
		scheme = "https"
	}
	return scheme + "://" + l.Addr().String()
}

// GRPCAddress is where peers find the server.
func (s *Server) GRPCAddress() string { return s.grpcListener.Addr().String() }

// Close releases what New opened, for a server that is not run. Run does it
// by itself.
func (s *Server) Close() error {
	var err error
	for _, l := range []net.Listener{s.grpcListener, s.httpListener, s.pagesListener} {
		if l == nil {
			continue
		}
		if e := l.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	if s.db != nil {
		err = errors.Join(err, s.db.Close())
	}
	return err
}

// Run serves until ctx is done or a part fails, then stops: peers are told to
// come back, what is under way is finished within a bound, the store is
// closed last.
func (s *Server) Run(ctx context.Context) error {
	// The parts outlive ctx for as long as they need to stop.
	parts, down := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, stop := context.WithCancel(down)
	defer stop()
	matching, stopMatching := context.WithCancel(down)
	defer stopMatching()
	parts.Go(func() error { return s.runCollector(matching) })
	parts.Go(func() error {
		t := time.NewTicker(purgeEvery)
		defer t.Stop()
		s.purgeLoop(matching, s.db, t.C)
		return nil
	})
	parts.Go(func() error {
		s.enforceLoop(matching)
		return nil
	})
	parts.Go(func() error {
		t := time.NewTicker(freshEvery)
		defer t.Stop()
		s.freshLoop(matching, t.C)
		return nil
	})
	parts.Go(func() error { return ended("peers", s.jobs.Serve(serving, s.grpcListener, s.ca.ServerTLS(s.cfg.Now))) })
	parts.Go(func() error { return ended("people", serveHTTP(s.http, s.httpListener)) })
	if s.pages != nil {
		parts.Go(func() error { return ended("pages", serveHTTP(s.pages, s.pagesListener)) })
	}
	parts.Go(func() error {
		<-serving.Done()
		s.live.Close() // its streams have no end of their own
		return s.stopHTTP(context.WithoutCancel(ctx))
	})
	s.log.InfoContext(ctx, "ready", "http", s.HTTPURL(), "pages", s.PagesURL(), "grpc", s.GRPCAddress(), "deployment", s.trust.newest().Policy().Deployment, "version", s.cfg.Version)
	select {
	case <-ctx.Done():
	case <-down.Done(): // a part failed
	}
	s.log.InfoContext(ctx, "stopping")
	s.stopping.Store(true)
	stopMatching()
	stop()
	err := errors.Join(parts.Wait(), s.Close())
	s.log.InfoContext(ctx, "stopped")
	return err
}

func (s *Server) runCollector(ctx context.Context) error {
	err := s.collector.Run(ctx)
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return ended("collector", err)
}

func serveHTTP(h *http.Server, l net.Listener) error {
	l = netutil.LimitListener(l, maxHTTPClients)
	if h.TLSConfig != nil {
		return h.ServeTLS(l, "", "")
	}
	return h.Serve(l)
}

// stopHTTP lets requests that are under way finish, for a while.
func (s *Server) stopHTTP(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	var err error
	for _, h := range []*http.Server{s.pages, s.http} {
		if h == nil {
			continue
		}
		if cut := h.Shutdown(ctx); cut != nil {
			s.log.WarnContext(ctx, "requests were cut", "error", cut)
			err = errors.Join(err, h.Close())
		}
	}
	return err
}

// ended says which part ended; an end that was asked for is none.
func ended(part string, err error) error {
	if err == nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("cannot go on serving %s: %w", part, err)
}
