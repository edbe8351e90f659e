package server

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/live"
	"hookline/review"
	"hookline/store"
	"hookline/store/sqlite"
)

// silent are the methods of a store that change nothing which open pages show:
// reads, accounts and what is the process's.
var silent = strings.Fields(`
	ActiveByKeys ActivePast Activation BusyProblems Close Comments CountJobs CountPeers Entries Facts Hooks Job Jobs LatestNumber Leases Life Originals
	Overdue Peer Peers PeersBy Problem Problems Ready Result Results Token TokenByHash Tokens Unacked User Users VersionsOf Waiting
	AddEntry AddToken AddUser ChangeUser EndSession PurgeTokens PutSession RemoveToken Session SignedIn SpendToken TrySignIn
	Reserve`)

// toldRig is a store whose changes are told.
type toldRig struct {
	*testing.T
	told
	gate   *auth.Gate
	now    time.Time
	played map[string]bool // methods that were seen to publish
}

func newToldRig(t *testing.T) *toldRig {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hookline.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &toldRig{T: t, told: newTold(db, live.NewHub(live.Pace{})), played: map[string]bool{}, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	r.gate = &auth.Gate{Accounts: db, Log: db, Now: func() time.Time { return r.now }}
	return r
}

func (r *toldRig) grant() auth.Grant {
	r.Helper()
	g, err := r.gate.Server(auth.HooksRevoke, "target", "")
	if err != nil {
		r.Fatal(err)
	}
	return g
}

func (r *toldRig) version(n int64) review.Version {
	digest := hooks.Digest(fmt.Append(nil, n))
	return review.Version{
		Digest: digest, Hook: "taint", Number: n, State: hooks.StateSubmitted, Manifest: []byte("m"), Script: []byte("s"), Statement: []byte(digest),
		Signatures: [][]byte{[]byte("a")}, SubmittedBy: "alice", SubmittedAt: r.now,
	}
}

func (r *toldRig) review(n int64) review.Review {
	return review.Review{
		ID: fmt.Sprintf("01960000-0000-7000-8000-0000000001%02d", n), Version: r.version(n).Digest, User: "bob", Person: "bob", KeyID: "key", Verdict: review.VerdictApprove,
		Signature: []byte("b"), At: r.now,
	}
}

func (r *toldRig) activation(n int64) hooks.Activation {
	return hooks.Activation{
		Digest: r.version(n).Digest, Hook: "taint", State: hooks.StateActive, Keys: []string{"k"}, Quantity: 10, Deadline: r.now.Add(time.Hour), MaxBytes: 1 << 20,
		Rollout: hooks.Rollout{Percent: 100, PerMinute: 10}, CreatedAt: r.now, ChangedAt: r.now,
	}
}

// change is one call, and the topics that it publishes.
type change struct {
	method string
	do     func() error
	want   []string
}

// TestEachChangeIsTold plays a life, and no method of a store is left out.
func TestEachChangeIsTold(t *testing.T) {
	r := newToldRig(t)
	ctx, d1, d2, thread := t.Context(), r.version(1).Digest, r.version(2).Digest, "01960000-0000-7000-8000-000000000201"
	report := jobs.Job{
		ID: reportID, PeerID: peerID, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer", CreatedAt: r.now, CompletedAt: r.now,
		Fingerprint: "k", ProblemID: hooks.ProblemID("k"), Report: hooks.Report{"a": "b"},
	}
	run := func(id string) jobs.Job {
		return jobs.Job{
			ID: id, PeerID: peerID, TriggeredBy: "match", CreatedAt: r.now, Deadline: r.now.Add(time.Minute), OriginalID: reportID, Hook: "taint", Version: d2,
			ProblemID: report.ProblemID,
		}
	}
	comment := review.Comment{ID: thread, Version: d1, User: "bob", Text: "why?", At: r.now}
	failed := jobs.Decision{Status: jobs.Failed, Outcome: hooks.OutcomeFailed, Code: "hook-error"}
	second := func(_ bool, err error) error { return err }
	peers := []string{live.Overview, live.Peers, live.Peer(peerID)}
	version := func(digest string) []string {
		return []string{live.Overview, live.Reviews, live.Version(digest), live.Hook("taint")}
	}
	ofReport := []string{live.Overview, live.Job(reportID), live.Problem(report.ProblemID), live.Peer(peerID)}
	ofRun := append([]string{live.Job(hookJobID), live.Version(d2), live.Hook("taint")}, ofReport...)
	stamps := []string{live.Job(hookJobID), live.Job(reportID)}

	r.play([]change{
		{"AddPeer", func() error {
			return r.AddPeer(ctx, enroll.Peer{ID: peerID, SPKI: peerID + peerID, EnrolledAt: r.now, AllowHooks: "yes"})
		}, peers},
		{"Connect", func() error {
			_, err := r.Connect(ctx, peerID, "s", enroll.Hello{AllowHooks: "yes"}, r.now)
			return err
		}, peers},
		{"AddReport", func() error { return second(r.AddReport(ctx, report, collector.ProblemOf(report))) }, ofReport},
		{"AddReport", func() error { return second(r.AddReport(ctx, report, collector.ProblemOf(report))) }, nil}, // the same again
		{"AddVersion", func() error { return r.AddVersion(ctx, r.version(1), r.grant()) }, version(d1)},
		{"AddReview", func() error {
			return r.AddReview(ctx, r.review(1), hooks.StateSubmitted, hooks.StateApproved, r.grant())
		}, version(d1)},
		{"AddComment", func() error { return r.AddComment(ctx, comment, r.grant()) }, version(d1)},
		{"ResolveThread", func() error { return r.ResolveThread(ctx, d1, thread, "bob", r.now, r.grant()) }, version(d1)},
		{"Activate", func() error { return r.Activate(ctx, r.activation(1), hooks.StateApproved, r.grant()) }, version(d1)},
		{"AddVersion", func() error { return r.AddVersion(ctx, r.version(2), r.grant()) }, version(d2)},
		{"AddReview", func() error {
			return r.AddReview(ctx, r.review(2), hooks.StateSubmitted, hooks.StateApproved, r.grant())
		}, version(d2)},
		{"Activate", func() error { return r.Activate(ctx, r.activation(2), hooks.StateApproved, r.grant()) }, append(version(d2), live.Version(d1))}, // superseded
		{"Lease", func() error { return r.Lease(ctx, run(hookJobID), r.now) }, ofRun},
		{"MarkSent", func() error { return second(r.MarkSent(ctx, hookJobID, r.now)) }, stamps},
		{"MarkSent", func() error { return second(r.MarkSent(ctx, hookJobID, r.now)) }, nil}, // the same again
		{"MarkAcked", func() error { return r.MarkAcked(ctx, []collector.Ack{{JobID: hookJobID, At: r.now}}) }, stamps},
		{"Settle", func() error { _, err := r.Settle(ctx, hookJobID, failed, nil, r.now); return err }, ofRun},
		{"Settle", func() error { _, err := r.Settle(ctx, hookJobID, failed, nil, r.now); return err }, nil}, // decided before
		{"ChangeState", func() error {
			return second(r.ChangeState(ctx, d2, hooks.StateActive, hooks.StatePaused, "error-rate", r.now))
		}, version(d2)},
		{"ChangeState", func() error {
			return second(r.ChangeState(ctx, d2, hooks.StateActive, hooks.StatePaused, "error-rate", r.now))
		}, nil}, // not active
		{"Stop", func() error {
			return r.Stop(ctx, d2, hooks.StatePaused, hooks.StateDisabled, "stop", r.now, r.grant())
		}, version(d2)},
		{"Revoke", func() error { return r.Revoke(ctx, d2, hooks.StateDisabled, "stop", r.now, r.grant()) }, version(d2)},
		{"SetLabels", func() error { return r.SetLabels(ctx, peerID, []string{"web"}, r.grant()) }, []string{live.Peers, live.Peer(peerID)}},
		{"Disconnect", func() error { return second(r.Disconnect(ctx, peerID, 0, r.now)) }, nil}, // an older stream
		{"Disconnect", func() error { return second(r.Disconnect(ctx, peerID, 1, r.now)) }, peers},
	})
	r.Store = repaired{r.Store, run(hookJobID)}
	r.play([]change{
		{"RecoverLease", func() error { _, err := r.RecoverLease(ctx, jobs.Job{}, r.now); return err }, ofRun},
		{"Mend", func() error { _, err := r.Mend(ctx, r.now, 1); return err }, []string{live.Overview, live.Reviews}},
	})
	told := reflect.TypeFor[store.Store]()
	for i := range told.NumMethod() {
		if name := told.Method(i).Name; !r.played[name] && !slices.Contains(silent, name) {
			t.Errorf("%s: a method of the store that says neither what it changes nor that it changes nothing", name)
		}
	}
}

// play makes the changes, and looks what was published.
func (r *toldRig) play(changes []change) {
	r.Helper()
	candidates := map[string]bool{}
	for _, c := range changes {
		for _, topic := range c.want {
			candidates[topic] = true
		}
	}
	for i, c := range changes {
		mark := r.hub.Mark()
		if err := c.do(); err != nil {
			r.Fatalf("%d %s: %v", i, c.method, err)
		}
		for topic := range candidates {
			if got, want := r.hub.Changed(topic, mark), slices.Contains(c.want, topic); got != want {
				r.Errorf("%d %s: %s published: %v, want %v", i, c.method, topic, got, want)
			}
		}
		r.played[c.method] = r.played[c.method] || len(c.want) > 0
	}
}

// repaired is a store that had something to repair, which one that commits
// whole intents never has.
type repaired struct {
	store.Store
	job jobs.Job
}

func (s repaired) RecoverLease(context.Context, jobs.Job, time.Time) (collector.Settlement, error) {
	return collector.Settlement{OK: true, Job: s.job}, nil
}

func (s repaired) Mend(context.Context, time.Time, int) (int, error) { return 1, nil }

// TestRefusedChangesAreNotTold: what the store did not do is not published.
func TestRefusedChangesAreNotTold(t *testing.T) {
	r := newToldRig(t)
	ctx, mark, none := t.Context(), r.hub.Mark(), r.version(9).Digest
	for name, err := range map[string]error{
		"AddReview":     r.AddReview(ctx, r.review(9), hooks.StateSubmitted, hooks.StateApproved, r.grant()),
		"Activate":      r.Activate(ctx, r.activation(9), hooks.StateApproved, r.grant()),
		"Stop":          r.Stop(ctx, none, hooks.StateActive, hooks.StatePaused, "", r.now, r.grant()),
		"Revoke":        r.Revoke(ctx, none, hooks.StateApproved, "", r.now, r.grant()),
		"AddComment":    r.AddComment(ctx, review.Comment{ID: reportID, Version: none, User: "x", Text: "x", At: r.now}, r.grant()),
		"ResolveThread": r.ResolveThread(ctx, none, reportID, "x", r.now, r.grant()),
		"SetLabels":     r.SetLabels(ctx, peerID, nil, r.grant()),
		"Lease":         r.Lease(ctx, jobs.Job{ID: hookJobID, PeerID: peerID, Version: none, OriginalID: reportID}, r.now),
	} {
		if _, ok := errs.As(err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r.hub.Mark() != mark {
		t.Error("something was published")
	}
}

func TestJobsUnderWayAreBounded(t *testing.T) {
	var u underWay
	for i := range 3 * maxUnderWay {
		u.add(fmt.Sprint(i), []string{"x"})
	}
	if len(u.all) > maxUnderWay {
		t.Errorf("%d are remembered", len(u.all))
	}
	if got := u.of("none"); !slices.Equal(got, []string{live.Job("none")}) {
		t.Errorf("%v", got)
	}
}

// TestServerStopsWithOpenStreams: at once, and a page hears of what the REST
// API does.
func TestServerStopsWithOpenStreams(t *testing.T) {
	r := newRig(t)
	me := r.signIn(auth.RoleViewer)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.HTTPURL()+"/live?topic=reviews", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(me)
	res, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	next := func() string {
		for lines.Scan() {
			if lines.Text() != "" {
				return lines.Text()
			}
		}
		return ""
	}
	if got := next(); res.StatusCode != http.StatusOK || !strings.HasPrefix(got, "retry: ") {
		t.Fatalf("%d %q", res.StatusCode, got)
	}
	r.must(auth.RoleAuthor, "POST", "/api/versions", r.newVersion("kernel-taint", 1), 201, nil)
	next() // id
	if event, data := next(), next(); event != "event: changed" || data != `data: ["reviews"]` {
		t.Errorf("%q %q", event, data)
	}
	start := time.Now()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > stopWithin/2 {
		t.Errorf("it took %s", took)
	}
	if got := next(); got != "" {
		t.Errorf("after the end: %q", got)
	}
}
