package server

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hookline/collector"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// metrics counts in a registry of its own. No label takes a value that comes
// from outside without bound: routes, statuses and outcomes are fixed sets.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	reports  prometheus.Counter
	ended    *prometheus.CounterVec
	leases   prometheus.Gauge
	settled  *prometheus.CounterVec
	bytes    prometheus.Counter
	codes    *prometheus.CounterVec
	pass     pass
}

// trustFigures are what the metrics tell of the trust metadata.
type trustFigures struct {
	expires time.Duration // until it does
	revoked int
}

func (s *Server) trustFigures() trustFigures {
	t, now := s.trust.newest(), s.cfg.Now()
	return trustFigures{expires: t.Freshness(now).Expires.Sub(now), revoked: t.Revoked().Len()}
}

func newMetrics(streams func() int, trusted func() trustFigures) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hookline_http_request_seconds", Help: "Time to answer REST requests.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"method", "route", "status"}),
		reports: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hookline_reports_total", Help: "Problem reports stored since the start.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_hook_jobs_total", Help: "Hook jobs decided since the start, by outcome.",
		}, []string{"outcome"}),
		leases: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hookline_leases", Help: "Leases that are out.",
		}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_leases_settled_total", Help: "Leases settled since the start, by outcome.",
		}, []string{"outcome"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hookline_upload_bytes_total", Help: "Bytes of results stored since the start, uncompressed.",
		}),
		codes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_hook_jobs_failed_total", Help: "Hook jobs that brought nothing since the start, by the code of docs/refusals.md.",
		}, []string{"code"}),
	}
	expires := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hookline_trust_expires_seconds", Help: "Time until the trust metadata expires and peers run no hooks, negative when it has.",
	}, func() float64 { return trusted().expires.Seconds() })
	revoked := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hookline_revocations", Help: "Hooks, versions, keys and approvals that were revoked.",
	}, func() float64 { return float64(trusted().revoked) })
	connected := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hookline_streams", Help: "Peers whose job stream is open.",
	}, func() float64 { return float64(streams()) })
	m.registry.MustRegister(m.requests, m.reports, m.ended, m.leases, m.settled, m.bytes, m.codes, connected, expires, revoked,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

func (m *metrics) observe(method, route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(methodLabel(method), route, strconv.Itoa(status)).Observe(took.Seconds())
}

// methodLabel keeps invented methods from making series.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut:
		return method
	}
	return "other"
}

// codeLabel keeps codes that a peer invents from making series.
func codeLabel(code string) string {
	for _, known := range errs.Table() {
		if string(known.Code) == code {
			return code
		}
	}
	return "other"
}

// countLeases starts the gauge from what the store holds.
func (m *metrics) countLeases(ctx context.Context, r collector.Repairs) error {
	const batch = 200
	counted, after := countedRepairs{Repairs: r, m: m}, ""
	for {
		list, err := counted.Leases(ctx, after, batch)
		if err != nil || len(list) < batch {
			return err
		}
		after = list[len(list)-1].ID
	}
}

// pass is one walk over the leases that are out, from first to last.
type pass struct {
	mu    sync.Mutex
	next  string // where the walk goes on
	count int
}

// page counts a page of the walk; at its end the sum is told.
func (p *pass) page(after string, list []collector.Lease, limit int) (sum int, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case after == "":
		p.count = 0
	case after != p.next:
		return 0, false // somebody looks for one lease
	}
	p.count += len(list)
	if len(list) == limit {
		p.next = list[len(list)-1].ID
		return 0, false
	}
	p.next = ""
	return p.count, true
}

// countedJobs counts what the store confirmed.
type countedJobs struct {
	collector.Jobs
	m *metrics
}

func (c countedJobs) AddReport(ctx context.Context, j jobs.Job, p collector.Problem) (bool, error) {
	created, err := c.Jobs.AddReport(ctx, j, p)
	if err == nil && created {
		c.m.reports.Inc()
	}
	return created, err
}

func (c countedJobs) Lease(ctx context.Context, j jobs.Job, now time.Time) error {
	err := c.Jobs.Lease(ctx, j, now)
	if err == nil {
		c.m.leases.Inc()
	}
	return err
}

func (c countedJobs) Settle(ctx context.Context, id string, d jobs.Decision, r *collector.Result, now time.Time) (collector.Settlement, error) {
	s, err := c.Jobs.Settle(ctx, id, d, r, now)
	if err == nil && s.OK {
		c.m.ended.WithLabelValues(string(s.Job.Outcome)).Inc()
		if s.Job.FailedCode != "" {
			c.m.codes.WithLabelValues(codeLabel(s.Job.FailedCode)).Inc()
		}
		c.m.bytes.Add(float64(s.Job.Bytes))
		c.m.settledLease(s.Job)
	}
	return s, err
}

// countedRepairs counts the leases that recovery settled, and sets the gauge
// right whenever somebody walks over all of them, as each sweep does: a store
// that was away may have taken a lease, or ended one, without saying so.
type countedRepairs struct {
	collector.Repairs
	m *metrics
}

func (c countedRepairs) Leases(ctx context.Context, after string, limit int) ([]collector.Lease, error) {
	list, err := c.Repairs.Leases(ctx, after, limit)
	if err == nil {
		if sum, done := c.m.pass.page(after, list, limit); done {
			c.m.leases.Set(float64(sum))
		}
	}
	return list, err
}

func (c countedRepairs) RecoverLease(ctx context.Context, lost jobs.Job, now time.Time) (collector.Settlement, error) {
	s, err := c.Repairs.RecoverLease(ctx, lost, now)
	if err == nil && s.OK {
		c.m.settledLease(s.Job)
	}
	return s, err
}

func (m *metrics) settledLease(j jobs.Job) {
	m.leases.Dec()
	m.settled.WithLabelValues(string(j.Outcome)).Inc()
}
