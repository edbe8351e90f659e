package collector_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store/sqlite"
)

const deployment = "d-0123456789abcdef0123456789abcdef"

// script is what every test version holds; nobody runs it here.
const script = `report.set("Extra", "new")`

// tester is testing.T or rapid.T.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// clock is the injected time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// line is the far end of the streams: which peers are there, what they got.
type line struct {
	mu    sync.Mutex
	there map[string]bool
	got   map[string][]collector.Dispatch
	over  []string // jobs that peers were told to stop: "peer job: reason"
	err   error    // every Send fails with it
}

func (l *line) Send(_ context.Context, d collector.Dispatch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if !l.there[d.Job.PeerID] {
		return errs.New(errs.CodePeerNotConnected, "no stream")
	}
	l.got[d.Job.PeerID] = append(l.got[d.Job.PeerID], d)
	return nil
}

func (l *line) Cancel(peerID, jobID, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = append(l.over, peerID+" "+jobID+": "+reason)
}

func (l *line) Connected(peerID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.there[peerID]
}

func (l *line) connect(peerID string, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.there[peerID] = there
}

// jobs lists what the peer got, oldest first.
func (l *line) jobs(peerID string) []jobs.Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []jobs.Job
	for _, d := range l.got[peerID] {
		out = append(out, d.Job)
	}
	return out
}

// world is a real store with a collector over it.
type world struct {
	tester
	ctx   context.Context
	db    *sqlite.DB
	c     *collector.Collector
	gate  *auth.Gate
	clock *clock
	line  *line
	n     int
}

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	return openWorld(t, t.Context(), filepath.Join(t.TempDir(), "hookline.db"), t.Cleanup)
}

func openWorld(t tester, ctx context.Context, path string, cleanup func(func())) *world {
	t.Helper()
	db, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	cleanup(func() { _ = db.Close() })
	w := &world{
		tester: t, ctx: ctx, db: db, clock: &clock{now: start},
		line: &line{there: map[string]bool{}, got: map[string][]collector.Dispatch{}},
	}
	w.gate = &auth.Gate{Accounts: db, Log: db, Now: w.clock.Now}
	w.c = w.collector()
	return w
}

// collector is a fresh one over the same store: a server that just started.
func (w *world) collector() *collector.Collector {
	return &collector.Collector{
		Activations: w.db, Jobs: w.db, Queries: w.db, Repairs: w.db, Peers: w.db,
		Signed: w.signed, Sender: w.line, Now: w.clock.Now,
		Wait: func(_ context.Context, d time.Duration) error { w.clock.add(d); return nil },
	}
}

func (w *world) signed(ctx context.Context, version string) (collector.Signed, error) {
	l, err := w.db.Life(ctx, version)
	return collector.Signed{Statement: l.Version.Statement, Script: l.Version.Script, Signatures: l.Version.Signatures}, err
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("%v", err)
	}
}

// peer enrols a connected peer that allows hooks.
func (w *world) peer() string {
	w.Helper()
	w.n++
	spki := hooks.Digest(fmt.Appendf(nil, "peer %d", w.n))
	p := enroll.Peer{ID: spki[:32], Name: fmt.Sprintf("peer%d", w.n), SPKI: spki, EnrolledAt: w.clock.Now()}
	w.ok(w.db.AddPeer(w.ctx, p))
	w.hello(p.ID, "yes")
	return p.ID
}

// hello connects the peer with what its owner allows.
func (w *world) hello(peerID, allow string) {
	w.Helper()
	_, err := w.db.Connect(w.ctx, peerID, "here", enroll.Hello{AllowHooks: allow, SendReports: true}, w.clock.Now())
	w.ok(err)
	w.line.connect(peerID, true)
}

// version describes what activate makes; zero members take a default.
type version struct {
	hook      string
	exe       string // fingerprints match reports of this executable
	match     hooks.Match
	level     hooks.Level
	lifetime  time.Duration
	number    int64
	quantity  int64
	deadline  time.Duration
	percent   int64
	perMinute int64
	maxRuns   int64
	maxBytes  int64
	maxResult int64
}

func (v version) withDefaults() version {
	set := func(p *int64, d int64) {
		if *p == 0 {
			*p = d
		}
	}
	set(&v.number, 1)
	set(&v.quantity, 10)
	set(&v.percent, 100)
	set(&v.perMinute, 600)
	set(&v.maxRuns, 1000)
	set(&v.maxBytes, 1<<20)
	set(&v.maxResult, 8192)
	if v.hook == "" {
		v.hook = "extra"
	}
	if v.exe == "" {
		v.exe = "/usr/bin/crasher"
	}
	if v.lifetime == 0 {
		v.lifetime = 7 * 24 * time.Hour
	}
	if v.deadline == 0 {
		v.deadline = 24 * time.Hour
	}
	if v.level == "" {
		v.level = hooks.LevelProblem
		v.match = hooks.Match{Fingerprints: []string{hooks.Fingerprint(report(v.exe))}}
	}
	return v
}

func (v version) manifest() hooks.Manifest {
	return hooks.Manifest{
		Hook: v.hook, Description: "a test", Level: v.level, Match: v.match, As: hooks.AsService,
		Fields: map[string]hooks.ManifestField{
			"Extra":  {Type: hooks.TypeText, Class: hooks.ClassTechnical, MaxBytes: v.maxResult},
			"Number": {Type: hooks.TypeInt, Class: hooks.ClassTechnical, MaxBytes: 32},
		},
		Limits: hooks.Limits{
			Lifetime: v.lifetime, MaxReports: 1000, MaxRunsPerPeer: v.maxRuns, MaxPercent: 100,
			MaxBytes: v.maxBytes, MaxResultBytes: v.maxResult, MaxRuntime: time.Second,
		},
	}
}

// approve stores an approved version and returns its digest and keys.
func (w *world) approve(v version) (string, hooks.Predicate) {
	w.Helper()
	m, err := hooks.ParseManifest(v.manifest().YAML())
	w.ok(err)
	st, err := m.Statement(hooks.Binding{
		Deployment: deployment, Author: hooks.Digest([]byte("author")), Version: v.number, Now: w.clock.Now(),
	}, []byte(script))
	w.ok(err)
	b, err := st.Canonical()
	w.ok(err)
	digest := hooks.Digest(b)
	w.ok(w.db.AddVersion(w.ctx, reviewVersion(digest, v, b, w.clock.Now()), w.grant(auth.HooksSubmit)))
	return digest, st.Predicate
}

// activate stores and activates a version and returns its digest.
func (w *world) activate(v version) string {
	w.Helper()
	v = v.withDefaults()
	digest, p := w.approve(v)
	now := w.clock.Now()
	w.ok(w.db.Activate(w.ctx, hooks.Activation{
		Digest: digest, Hook: v.hook, State: hooks.StateActive, Keys: p.Match.Keys(), Quantity: v.quantity,
		Deadline: now.Add(v.deadline), MaxBytes: p.MaxBytes,
		Rollout: hooks.Rollout{Percent: v.percent, PerMinute: v.perMinute}, CreatedAt: now, ChangedAt: now,
	}, hooks.StateApproved, w.grant(auth.HooksActivate)))
	return digest
}

func (w *world) grant(perm auth.Permission) auth.Grant {
	w.Helper()
	g, err := w.gate.Authorize(w.ctx, auth.Principal{User: "admin", Roles: []auth.Role{auth.RoleAdmin}, Kind: auth.TokenAPI}, perm, "test", "")
	w.ok(err)
	return g
}

// report is a crash of a program.
func report(exe string) hooks.Report {
	return hooks.Report{
		hooks.FieldExecutablePath: exe, hooks.FieldSignal: "6", hooks.FieldFrames: "a\nb\nc",
		hooks.FieldPackage: "crasher", hooks.FieldPackageVersion: "1.23-1",
	}
}

var ids atomic.Int64

// newID is a peer's id of the time at which the worlds begin, above the last one.
func newID() string { return idAt(start.Add(time.Duration(ids.Add(1)) * time.Millisecond)) }

func idAt(t time.Time) string {
	u := uuid.Must(uuid.NewV7())
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(u[:6], ms[2:])
	return u.String()
}

// file files a report of the default program and returns its job.
func (w *world) file(peerID string) jobs.Job {
	w.Helper()
	j, created, err := w.c.FileReport(w.ctx, peerID, newID(), report("/usr/bin/crasher"))
	w.ok(err)
	if !created {
		w.Fatalf("the report was there")
	}
	return j
}

// asked files and matches a report, and returns the one hook job it led to.
func (w *world) asked(peerID string) jobs.Job {
	w.Helper()
	before := len(w.line.jobs(peerID))
	w.ok(w.c.MatchOriginal(w.ctx, w.file(peerID)))
	got := w.line.jobs(peerID)
	if len(got) != before+1 {
		w.Fatalf("the peer got %d jobs, want 1", len(got)-before)
	}
	return got[before]
}

// upload brings fields in chunks and commits.
func (w *world) upload(j jobs.Job, fields map[string]any, chunk int) (jobs.Job, error) {
	w.Helper()
	return upload(w.ctx, w.c, j, fields, chunk)
}

func upload(ctx context.Context, c *collector.Collector, j jobs.Job, fields map[string]any, chunk int) (jobs.Job, error) {
	b, err := json.Marshal(fields)
	if err != nil {
		return jobs.Job{}, err
	}
	u, err := c.NewUpload(ctx, j.PeerID, j.ID)
	if err != nil {
		return jobs.Job{}, err
	}
	defer u.Abort(ctx)
	for len(b) > 0 {
		n := min(chunk, len(b))
		if err := u.Write(b[:n]); err != nil {
			return jobs.Job{}, err
		}
		b = b[n:]
	}
	return u.Commit(ctx)
}

func (w *world) job(id string) jobs.Job {
	w.Helper()
	j, err := w.db.Job(w.ctx, id)
	w.ok(err)
	return j
}

func (w *world) activation(v string) hooks.Activation {
	w.Helper()
	a, err := w.db.Activation(w.ctx, v)
	w.ok(err)
	return a
}

func (w *world) wantCode(err error, code errs.Code) {
	w.Helper()
	if !errs.Is(err, code) {
		w.Fatalf("got %v (%s), want code %s", err, errs.CodeOf(err), code)
	}
}

// wantJob checks how a job ended.
func (w *world) wantJob(id string, s jobs.Status, o hooks.Outcome, code errs.Code) {
	w.Helper()
	j := w.job(id)
	if j.Status != s || j.Outcome != o || j.FailedCode != string(code) {
		w.Fatalf("job is %s %q %q, want %s %q %q", j.Status, j.Outcome, j.FailedCode, s, o, code)
	}
}

// consistent holds everything against everything: ledger, leases, jobs and
// results. settled says that nothing is between two steps.
func (w *world) consistent(settled bool) {
	w.Helper()
	leases, err := w.db.Leases(w.ctx, "", 200)
	w.ok(err)
	for _, v := range w.versions() {
		a := w.activation(v)
		if err := a.Ledger.Check(a.Quantity, a.MaxBytes); err != nil {
			w.Fatalf("%v", err)
		}
		counted, results := w.counted(v)
		for _, l := range leases {
			if l.Version == v {
				counted.Leased++
				counted.Reserved += l.Reserved
			}
		}
		if counted.Received != results {
			w.Fatalf("%d jobs received, %d results show", counted.Received, results)
		}
		if settled {
			counted.Issued = counted.Leased + counted.Received + counted.Empty + counted.Failed + counted.Refused +
				counted.Deferred + counted.Cancelled + counted.TimedOut
			if a.Ledger != counted {
				w.Fatalf("ledger %+v, jobs and leases say %+v", a.Ledger, counted)
			}
		}
	}
	if settled {
		w.leasesHavePendingJobs(leases)
	}
}

func (w *world) leasesHavePendingJobs(leases []collector.Lease) {
	w.Helper()
	out := map[string]bool{}
	for _, l := range leases {
		out[l.ID] = true
		if j := w.job(l.ID); j.Final() {
			w.Fatalf("lease %s is out, its job is %s", l.ID, j.Status)
		}
	}
	pending, err := w.db.Jobs(w.ctx, jobs.Filter{Workload: jobs.WorkHook, Status: jobs.Pending, Limit: 200})
	w.ok(err)
	for _, j := range pending {
		if !out[j.ID] {
			w.Fatalf("job %s is pending without a lease", j.ID)
		}
	}
}

// counted is the ledger that the jobs of a version would give, and how many
// results show.
func (w *world) counted(v string) (hooks.Ledger, int64) {
	w.Helper()
	var l hooks.Ledger
	for after := ""; ; {
		page, err := w.db.Jobs(w.ctx, jobs.Filter{Version: v, After: after, Limit: 200})
		w.ok(err)
		for _, j := range page {
			if j.Final() {
				l.Settle(j.Outcome, j.Bytes)
			}
			after = j.ID
		}
		if len(page) < 200 {
			break
		}
	}
	l.Leased = 0
	results, err := w.db.Results(w.ctx, collector.ResultFilter{Version: v, Limit: 200})
	w.ok(err)
	return l, int64(len(results))
}

func (w *world) versions() []string {
	w.Helper()
	lives, err := w.db.Hooks(w.ctx, "", 200)
	w.ok(err)
	var out []string
	for _, l := range lives {
		of, err := w.db.VersionsOf(w.ctx, l.Version.Hook, 0, 200)
		w.ok(err)
		for _, v := range of {
			if v.Activation != nil {
				out = append(out, v.Version.Digest)
			}
		}
	}
	return out
}

// running starts the collector's background work; the sweep is not woken.
func (w *world) running(t *testing.T) (context.Context, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	w.c.Tick = make(chan time.Time)
	done := make(chan error, 1)
	go func() { done <- w.c.Run(ctx) }()
	return ctx, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}
