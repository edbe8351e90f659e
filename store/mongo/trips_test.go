package mongo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/internal/wiretest"
	"hookline/review"
)

// trip is one thing that a server does often, and how many round trips to
// MongoDB it may take when nothing stands in its way.
type trip struct {
	name string
	most int64
	do   func(w *tripWorld) func() error // makes ready, and returns what is counted
}

// tripWorld is a store in use: one active version, a peer's report, and 200 of
// whatever is listed.
type tripWorld struct {
	*DB
	t    *testing.T
	ctx  context.Context
	now  time.Time
	n    int
	sent atomic.Int64
}

func (w *tripWorld) id() string {
	w.n++
	return fmt.Sprintf("%08d-0000-7000-8000-000000000000", w.n)
}

func (w *tripWorld) ok(err error) {
	w.t.Helper()
	noError(w.t, err)
}

func newTripWorld(t *testing.T) *tripWorld {
	w := &tripWorld{t: t, ctx: t.Context(), now: time.UnixMilli(1_700_000_000_000).UTC()}
	w.DB = opened(t, wiretest.Address(t), Options{Monitor: &event.CommandMonitor{
		Started: func(context.Context, *event.CommandStartedEvent) { w.sent.Add(1) },
	}})
	w.active("hook", 1_000_000)
	return w
}

func (w *tripWorld) grant() auth.Grant {
	gate := &auth.Gate{Accounts: w.DB, Log: w.DB, Now: func() time.Time { return w.now }}
	admin := auth.Principal{User: "admin", Roles: []auth.Role{auth.RoleAdmin}, Kind: auth.TokenAPI}
	g, err := gate.Authorize(w.ctx, admin, auth.HooksSubmit, "", "")
	w.ok(err)
	return g
}

func (w *tripWorld) active(hook string, quantity int64) {
	v := review.Version{Digest: hook + "-1", Hook: hook, Number: 1, State: hooks.StateApproved, SubmittedAt: w.now}
	w.ok(w.AddVersion(w.ctx, v, w.grant()))
	w.ok(w.Activate(w.ctx, hooks.Activation{
		Digest: v.Digest, Hook: hook, Keys: []string{"fp:a", "pkg:b"}, Quantity: quantity, MaxBytes: 1 << 30,
		Deadline: w.now.Add(time.Hour), CreatedAt: w.now, ChangedAt: w.now,
	}, hooks.StateApproved, w.grant()))
}

func (w *tripWorld) job(hook string) jobs.Job {
	id := w.id()
	return jobs.Job{
		ID: id, PeerID: "peer of " + id, OriginalID: "original of " + id, Hook: hook, Version: hook + "-1", ProblemID: "problem",
		CreatedAt: w.now, Deadline: w.now.Add(time.Minute),
	}
}

func (w *tripWorld) leased(hook string) jobs.Job {
	j := w.job(hook)
	w.ok(w.Lease(w.ctx, j, w.now))
	return j
}

func (w *tripWorld) report(signal string) (jobs.Job, collector.Problem) {
	r := hooks.Report{hooks.FieldExecutablePath: "/bin/x", hooks.FieldSignal: signal, hooks.FieldPackage: "b"}
	fp := hooks.Fingerprint(r)
	j := jobs.Job{
		ID: w.id(), PeerID: "p", Status: jobs.Succeeded, CreatedAt: w.now, CompletedAt: w.now, Fingerprint: fp,
		ProblemID: hooks.ProblemID(fp), Report: r,
	}
	return j, collector.Problem{ID: j.ProblemID, Fingerprint: fp, Reports: 1, FirstSeen: w.now, LastSeen: w.now}
}

// settle is a settlement of a job, ready to be made.
func (w *tripWorld) settle(j jobs.Job, o hooks.Outcome) func() error {
	d := jobs.Decision{Status: jobs.StatusOf(o), Outcome: o}
	var r *collector.Result
	if o == hooks.OutcomeReceived {
		r = &collector.Result{
			ID: j.ID, JobID: j.OriginalID, Hook: j.Hook, Version: j.Version, PeerID: j.PeerID, ProblemID: j.ProblemID,
			Fields: []byte(`{"A":"b"}`), Bytes: 9, CreatedAt: w.now,
		}
	}
	return func() error { _, err := w.Settle(w.ctx, j.ID, d, r, w.now); return err }
}

func trips() []trip {
	return []trip{
		{"Lease", 2, func(w *tripWorld) func() error {
			j := w.job("hook")
			return func() error { return w.Lease(w.ctx, j, w.now) }
		}},
		{"Settle: received", 4, func(w *tripWorld) func() error { return w.settle(w.leased("hook"), hooks.OutcomeReceived) }},
		{"Settle: received, as an upload has reserved", 4, func(w *tripWorld) func() error {
			j := w.leased("hook")
			w.ok(w.Reserve(w.ctx, j.Version, j.ID, 9))
			return w.settle(j, hooks.OutcomeReceived)
		}},
		{"Settle: received, the last of the quantity", 4, func(w *tripWorld) func() error {
			w.active("one", 1)
			return w.settle(w.leased("one"), hooks.OutcomeReceived)
		}},
		{"Settle: empty", 4, func(w *tripWorld) func() error { return w.settle(w.leased("hook"), hooks.OutcomeEmpty) }},
		{"Settle: failed", 4, func(w *tripWorld) func() error { return w.settle(w.leased("hook"), hooks.OutcomeFailed) }},
		{"Settle: failed, with bytes reserved", 4, func(w *tripWorld) func() error {
			j := w.leased("hook")
			w.ok(w.Reserve(w.ctx, j.Version, j.ID, 1_000))
			return w.settle(j, hooks.OutcomeFailed)
		}},
		{"Settle: decided before", 4, func(w *tripWorld) func() error {
			j := w.leased("hook")
			w.ok(w.settle(j, hooks.OutcomeFailed)())
			return w.settle(j, hooks.OutcomeFailed)
		}},
		{"AddReport: of a new problem", 2, func(w *tripWorld) func() error {
			j, p := w.report("new")
			return func() error { _, err := w.AddReport(w.ctx, j, p); return err }
		}},
		{"AddReport: of a known problem", 2, func(w *tripWorld) func() error {
			j, p := w.report("new")
			return func() error { _, err := w.AddReport(w.ctx, j, p); return err }
		}},
		{"AddReport: the same again, counted", 2, func(w *tripWorld) func() error {
			j, p := w.report("again")
			_, err := w.AddReport(w.ctx, j, p)
			w.ok(err)
			_, err = w.Mend(w.ctx, w.now.Add(time.Minute), 100)
			w.ok(err)
			return func() error { _, err := w.AddReport(w.ctx, j, p); return err }
		}},
		{"AddReport: the same again, while it is to be counted", 2, func(w *tripWorld) func() error {
			j, p := w.report("at once")
			_, err := w.AddReport(w.ctx, j, p)
			w.ok(err)
			return func() error { _, err := w.AddReport(w.ctx, j, p); return err }
		}},
		{"Reserve", 1, func(w *tripWorld) func() error {
			j := w.leased("hook")
			return func() error { return w.Reserve(w.ctx, j.Version, j.ID, 100) }
		}},
		{"MarkSent", 1, func(w *tripWorld) func() error {
			j := w.leased("hook")
			return func() error { _, err := w.MarkSent(w.ctx, j.ID, w.now); return err }
		}},
		{"MarkAcked: 100 jobs", 1, func(w *tripWorld) func() error {
			acks := make([]collector.Ack, 100)
			for i := range acks {
				acks[i] = collector.Ack{JobID: w.id(), At: w.now}
			}
			return func() error { return w.MarkAcked(w.ctx, acks) }
		}},
		{"Connect", 1, func(w *tripWorld) func() error {
			w.ok(w.AddPeer(w.ctx, enroll.Peer{ID: "p", SPKI: "s"}))
			return func() error { _, err := w.Connect(w.ctx, "p", "server", enroll.Hello{}, w.now); return err }
		}},
		{"TrySignIn: the first one", 1, func(w *tripWorld) func() error {
			w.ok(w.AddUser(w.ctx, auth.User{Name: "alice"}, w.grant()))
			return w.try
		}},
		{"TrySignIn: one more", 2, func(w *tripWorld) func() error { return w.try }},
		{"TrySignIn: one too many", 3, func(w *tripWorld) func() error { return w.try }},
		{"PutSession", 1, func(w *tripWorld) func() error {
			return func() error { return w.PutSession(w.ctx, auth.Session{Key: "s", ExpiresAt: w.now}) }
		}},
		{"Session", 1, func(w *tripWorld) func() error {
			return func() error { _, err := w.Session(w.ctx, "s"); return err }
		}},
		{"AddComment", 5, func(w *tripWorld) func() error {
			g := w.grant()
			return func() error { return w.AddComment(w.ctx, review.Comment{ID: "c", Version: "hook-1"}, g) }
		}},
		{"Activate: other bounds", 6, func(w *tripWorld) func() error {
			w.active("bounds", 9)
			a, err := w.Activation(w.ctx, "bounds-1")
			w.ok(err)
			a.Quantity = 10
			g := w.grant()
			return func() error { return w.Activate(w.ctx, a, hooks.StateActive, g) }
		}},
		{"ActiveByKeys", 1, func(w *tripWorld) func() error {
			return func() error { _, err := w.ActiveByKeys(w.ctx, []string{"fp:a", "pkg:b"}); return err }
		}},
	}
}

// lists are read with 200 rows of each.
func lists() []trip {
	read := func(name string, most int64, ask func(w *tripWorld) (rows int, err error)) trip {
		return trip{name, most, func(w *tripWorld) func() error {
			return func() error {
				n, err := ask(w)
				if err == nil && n == 0 {
					return fmt.Errorf("%s is empty", name)
				}
				return err
			}
		}}
	}
	return []trip{
		read("Jobs", 1, func(w *tripWorld) (int, error) { l, err := w.Jobs(w.ctx, jobs.Filter{Limit: 200}); return len(l), err }),
		read("Results", 1, func(w *tripWorld) (int, error) {
			l, err := w.Results(w.ctx, collector.ResultFilter{Limit: 200})
			return len(l), err
		}),
		read("Problems", 1, func(w *tripWorld) (int, error) {
			l, err := w.Problems(w.ctx, collector.ProblemFilter{Limit: 200})
			return len(l), err
		}),
		read("PeersBy: connected ones by name", 1, func(w *tripWorld) (int, error) {
			l, err := w.PeersBy(w.ctx, enroll.PeerFilter{Online: true, Sort: enroll.ByName, Limit: 200})
			return len(l), err
		}),
		read("CountPeers", 2, func(w *tripWorld) (int, error) { n, _, err := w.CountPeers(w.ctx, 1000); return int(n), err }),
		read("CountJobs: 24 spans", 24, func(w *tripWorld) (int, error) {
			times := make([]time.Time, 25)
			for i := range times {
				times[i] = time.UnixMilli(0).Add(time.Duration(i) * 24 * time.Hour)
			}
			counts, err := w.CountJobs(w.ctx, jobs.Filter{}, times, 100)
			return len(counts), err
		}),
		read("BusyProblems", 3, func(w *tripWorld) (int, error) {
			_, n, err := w.BusyProblems(w.ctx, time.Time{}, time.Time{}, 1_000, 10)
			return int(n), err
		}),
		read("Waiting, with activations", 3, func(w *tripWorld) (int, error) { l, err := w.Waiting(w.ctx, "", 200); return len(l), err }),
		read("Comments", 1, func(w *tripWorld) (int, error) { l, err := w.Comments(w.ctx, "hook-1"); return len(l), err }),
		read("Peers", 1, func(w *tripWorld) (int, error) { l, err := w.Peers(w.ctx, "", 200); return len(l), err }),
		read("Entries", 1, func(w *tripWorld) (int, error) {
			l, err := w.Entries(w.ctx, auth.EntryFilter{Limit: 200})
			return len(l), err
		}),
		read("Leases", 1, func(w *tripWorld) (int, error) { l, err := w.Leases(w.ctx, "", 200); return len(l), err }),
		read("Overdue", 1, func(w *tripWorld) (int, error) {
			l, err := w.Overdue(w.ctx, w.now.Add(time.Hour), "", 200)
			return len(l), err
		}),
		read("ActivePast", 1, func(w *tripWorld) (int, error) {
			l, err := w.ActivePast(w.ctx, w.now.Add(2*time.Hour), 200)
			return len(l), err
		}),
		read("Originals", 1, func(w *tripWorld) (int, error) {
			l, err := w.Originals(w.ctx, "p", []string{"pkg:b"}, 200)
			return len(l), err
		}),
		read("Hooks, with versions and activations", 3, func(w *tripWorld) (int, error) { l, err := w.Hooks(w.ctx, "", 200); return len(l), err }),
		read("VersionsOf, with activations", 3, func(w *tripWorld) (int, error) {
			l, err := w.VersionsOf(w.ctx, "hook", 0, 200)
			return len(l), err
		}),
	}
}

// fill stores more than a page of what is listed.
func (w *tripWorld) fill() {
	var reports, results, problems, peers, entries []any
	for i := range 210 {
		j, p := w.report(fmt.Sprint(i))
		j.Workload = jobs.WorkReport
		doc := newJobDoc(j, 0)
		doc.Keys = hooks.MatchKeys(j.Report)
		reports = append(reports, doc)
		results = append(results, newResultDoc(collector.Result{ID: j.ID, Fields: []byte("{}")}))
		problems = append(problems, problemDoc{ID: p.ID, LastSeen: w.now})
		peers = append(peers, newPeerDoc(enroll.Peer{ID: j.ID, SPKI: j.ID, Connection: enroll.Connection{Server: "s"}}))
		entries = append(entries, newEntryDoc(auth.Entry{ID: j.ID, At: w.now}))
	}
	for c, docs := range map[*mongo.Collection][]any{
		w.jobs: reports, w.results: results, w.problems: problems, w.peers: peers, w.audit: entries,
	} {
		_, err := c.InsertMany(w.ctx, docs)
		w.ok(err)
	}
	w.leased("hook")
	w.ok(w.AddVersion(w.ctx, review.Version{Digest: "waits", Hook: "waits", Number: 1, State: hooks.StateSubmitted, SubmittedAt: w.now}, w.grant()))
}

// try is one to sign in as alice.
func (w *tripWorld) try() error {
	_, err := w.TrySignIn(w.ctx, "alice", w.now, w.now.Add(-time.Hour), 2)
	return err
}

// Round trips, as the driver counts them. FerretDB says nothing about speed;
// how often a server must be asked is the same with every one.
func TestRoundTrips(t *testing.T) {
	w := newTripWorld(t)
	table := "| What | Round trips | At most |\n|---|---|---|\n"
	count := func(all []trip) {
		for _, c := range all {
			do := c.do(w)
			before := w.sent.Load()
			w.ok(do())
			n := w.sent.Load() - before
			if n > c.most {
				t.Errorf("%s: %d round trips, at most %d", c.name, n, c.most)
			}
			table += fmt.Sprintf("| %s | %d | %d |\n", c.name, n, c.most)
		}
	}
	count(trips())
	w.fill()
	count(lists())
	t.Log("\n" + table)
	path := filepath.Join("..", "..", "docs", "mongodb.md")
	page, err := os.ReadFile(path)
	w.ok(err)
	switch text := replaced(t, string(page), "trips", table); {
	case text == string(page):
	case *update:
		w.ok(os.WriteFile(path, []byte(text), 0o644))
	default:
		t.Errorf("docs/mongodb.md is not current: run go test ./store/mongo -run 'TestConformance|TestRoundTrips' -update; it lacks\n%s", strings.TrimSpace(table))
	}
}
