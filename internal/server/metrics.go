package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hookline/collector"
	"hookline/hooks"
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
}

func newMetrics(streams func() int) *metrics {
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
			Name: "hookline_upload_bytes_total", Help: "Bytes of results taken from uploads, uncompressed.",
		}),
	}
	connected := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hookline_streams", Help: "Peers whose job stream is open.",
	}, func() float64 { return float64(streams()) })
	m.registry.MustRegister(m.requests, m.reports, m.ended, m.leases, m.settled, m.bytes, connected,
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
	case http.MethodGet, http.MethodPost:
		return method
	}
	return "other"
}

// countLeases starts the gauge from what the store holds.
func (m *metrics) countLeases(ctx context.Context, r collector.Repairs) error {
	const batch = 200
	after := ""
	for {
		list, err := r.Leases(ctx, after, batch)
		if err != nil {
			return err
		}
		m.leases.Add(float64(len(list)))
		if len(list) < batch {
			return nil
		}
		after = list[len(list)-1].ID
	}
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

func (c countedJobs) Decide(ctx context.Context, id string, d jobs.Decision) (bool, error) {
	ok, err := c.Jobs.Decide(ctx, id, d)
	if err == nil && ok {
		c.m.ended.WithLabelValues(string(d.Outcome)).Inc()
	}
	return ok, err
}

// countedActivations counts leases and bytes.
type countedActivations struct {
	collector.Activations
	m *metrics
}

func (c countedActivations) TakeLease(ctx context.Context, version, lease string, now time.Time) error {
	err := c.Activations.TakeLease(ctx, version, lease, now)
	if err == nil {
		c.m.leases.Inc()
	}
	return err
}

func (c countedActivations) Reserve(ctx context.Context, version, lease string, n int64) error {
	err := c.Activations.Reserve(ctx, version, lease, n)
	if err == nil {
		c.m.bytes.Add(float64(n))
	}
	return err
}

func (c countedActivations) SettleLease(ctx context.Context, version, lease string, o hooks.Outcome, bytes int64, now time.Time) (hooks.Activation, bool, error) {
	a, ok, err := c.Activations.SettleLease(ctx, version, lease, o, bytes, now)
	if err == nil && ok {
		c.m.leases.Dec()
		c.m.settled.WithLabelValues(string(o)).Inc()
	}
	return a, ok, err
}
