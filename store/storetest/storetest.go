// Package storetest is the one conformance suite of all stores. A backend
// passes it, or it is none:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, dir string) storetest.Store {
//			s, err := mystore.Open(t.Context(), dir)
//			…
//			return s
//		})
//	}
//
// It shows what the consumers' interfaces promise: what each method does and
// refuses, pages that neither skip nor repeat, records that stay exact under
// 16 goroutines, values that come back as they were given, and a ledger that
// sums after a crash between any two steps.
package storetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/store"
	"hookline/store/archive"
)

// Store is a backend whose intents the suite can stop in the middle.
type Store interface {
	store.Store
	archive.Target
	Steps
}

// Steps take the intents apart, for the suite to stop after each: all steps
// in their order make one Lease or Settle. A backend that needs several
// updates gives those; one that commits everything at once gives the parts
// that an older or other server could have left.
type Steps interface {
	LeaseSteps(j jobs.Job, now time.Time) []Step
	SettleSteps(id string, d jobs.Decision, r *collector.Result, now time.Time) []Step
}

// Step is one update.
type Step func(ctx context.Context) error

// Opener opens the store whose data is kept under dir, which exists. Called
// again after Close with the same dir it opens the same data. The suite
// closes what it opens.
type Opener func(t *testing.T, dir string) Store

// Run runs the whole suite.
func Run(t *testing.T, open Opener) {
	for _, part := range []struct {
		name  string
		tests []test
	}{
		{"accounts", accountTests()},
		{"signing in", signInTests()},
		{"audit", auditTests()},
		{"peers", peerTests()},
		{"versions", versionTests()},
		{"comments", commentTests()},
		{"activations", activationTests()},
		{"ledger", ledgerTests()},
		{"jobs", jobTests()},
		{"problems", problemTests()},
		{"counts", countTests()},
		{"results", resultTests()},
		{"repairs", repairTests()},
		{"values", valueTests()},
		{"queries", queryTests()},
		{"races", raceTests()},
		{"crash", crashTests()},
		{"cut", cutTests()},
	} {
		t.Run(part.name, func(t *testing.T) {
			for _, c := range part.tests {
				t.Run(c.name, func(t *testing.T) { c.run(newKit(t, open)) })
			}
		})
	}
}

// test is one row of a table: a name and what it shows on a fresh store.
type test struct {
	name string
	run  func(k *kit)
}

// kit is a fresh store with a clock moved by hand and makers of records.
type kit struct {
	*testing.T
	Store
	ctx  context.Context
	dir  string
	open Opener
	gate *auth.Gate

	mu  sync.Mutex
	now time.Time
	ids int
}

func newKit(t *testing.T, open Opener) *kit {
	k := &kit{
		T: t, ctx: context.Background(), dir: t.TempDir(), open: open,
		now: time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC),
	}
	k.Store = open(t, k.dir)
	k.gate = &auth.Gate{Accounts: k, Log: k, Now: k.clock}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// reopen closes the store and opens the same data again.
func (k *kit) reopen() {
	k.Helper()
	k.must(k.Close())
	k.Store = k.open(k.T, k.dir)
}

func (k *kit) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *kit) advance(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

// id makes the next of a rising sequence of UUIDv7s, of the time on the clock.
func (k *kit) id() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ids++
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[8:], 1<<63|uint64(k.ids))
	binary.BigEndian.PutUint64(u[:8], uint64(k.now.UnixMilli())<<16|7<<12)
	return u.String()
}

// grant is an admin's grant for one action.
func (k *kit) grant(p auth.Permission) auth.Grant {
	k.Helper()
	admin := auth.Principal{User: "admin", Roles: []auth.Role{auth.RoleAdmin}, TokenID: "t", Kind: auth.TokenAPI}
	g, err := k.gate.Authorize(k.ctx, admin, p, "target", "detail")
	k.must(err)
	return g
}

// Records with every member set, so that a store which drops one is seen.

func (k *kit) newPeer(id string) enroll.Peer {
	return enroll.Peer{
		ID: id, Name: "host-" + id, SPKI: "spki-" + id, EnrolledAt: k.clock(),
		Facts:   hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1.0", Arch: "amd64"},
		Version: "0.1.0", SendReports: true, AllowHooks: "ask", Labels: []string{"db", "ünï"},
	}
}

func (k *kit) peer(id string) enroll.Peer {
	k.Helper()
	p := k.newPeer(id)
	k.must(k.AddPeer(k.ctx, p))
	return p
}

// version stores a version of a hook in state submitted.
func (k *kit) version(hook string, number int64) review.Version {
	k.Helper()
	v := review.Version{
		Digest: fmt.Sprintf("%s-%d", hook, number), Hook: hook, Number: number, State: hooks.StateSubmitted,
		Manifest: []byte("hook: " + hook), Script: []byte("return {}"), Statement: []byte("{}"),
		Signatures: [][]byte{[]byte("author")}, SubmittedBy: "alice", SubmittedAt: k.clock(),
	}
	k.must(k.AddVersion(k.ctx, v, k.grant(auth.HooksSubmit)))
	return v
}

// approved stores a version and moves it to approved.
func (k *kit) approved(hook string, number int64) review.Version {
	k.Helper()
	v := k.version(hook, number)
	k.must(k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateSubmitted, hooks.StateApproved, k.grant(auth.HooksReview)))
	return v
}

func (k *kit) approval(digest, person string) review.Review {
	return review.Review{
		ID: k.id(), Version: digest, User: "user-" + person, Person: person, KeyID: "key-" + person,
		Verdict: review.VerdictApprove, Comment: "fine", Signature: []byte("signed by " + person), At: k.clock(),
	}
}

// activation is what Activate stores for a version.
func (k *kit) activation(v review.Version, quantity int64) hooks.Activation {
	return hooks.Activation{
		Digest: v.Digest, Hook: v.Hook, State: hooks.StateActive, Keys: []string{"fp:one", "fp:two"},
		Quantity: quantity, Deadline: k.clock().Add(time.Hour), MaxBytes: 10_000,
		Rollout: hooks.Rollout{Percent: 50, PerMinute: 7}, CreatedAt: k.clock(), ChangedAt: k.clock(),
	}
}

// active stores an approved version of a hook and activates it.
func (k *kit) active(hook string, quantity int64) hooks.Activation {
	k.Helper()
	a := k.activation(k.approved(hook, 1), quantity)
	k.must(k.Activate(k.ctx, a, hooks.StateApproved, k.grant(auth.HooksActivate)))
	return a
}

// report is a succeeded report job of a peer.
func (k *kit) report(peer string, fields hooks.Report) jobs.Job {
	fp := hooks.Fingerprint(fields)
	return jobs.Job{
		ID: k.id(), PeerID: peer, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer",
		CreatedAt: k.clock(), CompletedAt: k.clock(), Fingerprint: fp, ProblemID: hooks.ProblemID(fp), Report: fields,
		PackageVersion: "1.2-3", Release: "Debian 12",
	}
}

func (k *kit) problem(j jobs.Job) collector.Problem {
	return collector.Problem{
		ID: j.ProblemID, Fingerprint: j.Fingerprint, Package: j.Report[hooks.FieldPackage],
		Executable: j.Report[hooks.FieldExecutablePath], Reports: 1, FirstSeen: j.CreatedAt, LastSeen: j.CreatedAt,
	}
}

// filed stores a report and returns its job.
func (k *kit) filed(peer string, fields hooks.Report) jobs.Job {
	k.Helper()
	j := k.report(peer, fields)
	created, err := k.AddReport(k.ctx, j, k.problem(j))
	if err != nil || !created {
		k.Fatalf("cannot file a report: created %v, %v", created, err)
	}
	return j
}

// hookJob is a pending hook job.
func (k *kit) hookJob(peer, version, original string) jobs.Job {
	return jobs.Job{
		ID: k.id(), PeerID: peer, Workload: jobs.WorkHook, Status: jobs.Pending, TriggeredBy: "match",
		CreatedAt: k.clock(), Deadline: k.clock().Add(jobs.DefaultDeadline), OriginalID: original, ProblemID: "problem",
		Hook: "hook", Version: version, Slot: jobs.OpenSlot(version, original),
	}
}

// on makes sure that version 1 of a hook is active, and returns its digest.
func (k *kit) on(hook string) string {
	k.Helper()
	a, err := k.Activation(k.ctx, hook+"-1")
	if errs.Is(err, errs.CodeNotFound) {
		return k.active(hook, hooks.MaxLeasesOut).Digest
	}
	k.must(err)
	return a.Digest
}

func (k *kit) lease(j jobs.Job) error { return k.Lease(k.ctx, j, k.clock()) }

// pending leases a hook job of version 1 of a hook.
func (k *kit) pending(peer, hook, original string) jobs.Job {
	k.Helper()
	j := k.hookJob(peer, k.on(hook), original)
	k.must(k.lease(j))
	return j
}

// next is a hook job that nothing but the ledger can refuse.
func (k *kit) next(version string) jobs.Job {
	n := k.id()
	return k.hookJob("peer of "+n, version, "original of "+n)
}

// taken leases the next job.
func (k *kit) taken(version string) jobs.Job {
	k.Helper()
	j := k.next(version)
	k.must(k.lease(j))
	return j
}

func (k *kit) decision(o hooks.Outcome) jobs.Decision {
	d := jobs.Decision{Status: jobs.StatusOf(o), Outcome: o}
	if d.Status == jobs.Failed {
		d.Code, d.Text, d.HookError = "hook-error", "it broke", "line 3"
	}
	return d
}

// settle ends a job, with a result of n bytes where the outcome is received.
func (k *kit) settle(j jobs.Job, o hooks.Outcome, n int64) (collector.Settlement, error) {
	if o != hooks.OutcomeReceived {
		return k.Settle(k.ctx, j.ID, k.decision(o), nil, k.clock())
	}
	r := k.result(j, strings.Repeat("x", int(n)))
	return k.Settle(k.ctx, j.ID, k.decision(o), &r, k.clock())
}

// settled is settle for a pending job.
func (k *kit) settled(j jobs.Job, o hooks.Outcome, n int64) collector.Settlement {
	k.Helper()
	s, err := k.settle(j, o, n)
	if err != nil || !s.OK {
		k.Fatalf("settling job %s as %s: %v, %v", j.ID, o, s.OK, err)
	}
	return s
}

func (k *kit) result(j jobs.Job, fields string) collector.Result {
	return collector.Result{
		ID: j.ID, JobID: j.OriginalID, Hook: j.Hook, Version: j.Version, PeerID: j.PeerID, ProblemID: j.ProblemID,
		Level: hooks.LevelProblem, Package: "nginx", Fields: []byte(fields), Bytes: int64(len(fields)), CreatedAt: k.clock(),
	}
}

// must ends the test on an error.
func (k *kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// refused demands a coded refusal.
func (k *kit) refused(err error, code errs.Code) {
	k.Helper()
	if !errs.Is(err, code) {
		k.Errorf("got %v (%s), want a refusal with code %s", err, errs.CodeOf(err), code)
	}
}

// same compares what a store gave back with what it was given.
func same[T any](k *kit, got, want T) {
	k.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		k.Errorf("not what was stored (-want +got):\n%s", diff)
	}
}

// ledger reads the ledger of a version and holds it against its identities.
func (k *kit) ledger(version string) hooks.Ledger {
	k.Helper()
	a, err := k.Activation(k.ctx, version)
	k.must(err)
	if err := a.Ledger.Check(a.Quantity, a.MaxBytes); err != nil {
		k.Error(err)
	}
	return a.Ledger
}

// pages walks a whole list, page by page, and demands that it holds the ids
// of want in that order, whatever the size of the pages.
func pages[T any](k *kit, want []string, id func(T) string, next func(T) string, page func(after string, limit int) ([]T, error)) {
	k.Helper()
	pagesOf(k, []int{1, 3, 200}, want, id, next, page)
}

// pagesOf is pages with sizes of its own.
func pagesOf[T any](k *kit, sizes []int, want []string, id func(T) string, next func(T) string, page func(after string, limit int) ([]T, error)) {
	k.Helper()
	for _, limit := range sizes {
		var got []string
		for after := ""; ; {
			rows, err := page(after, limit)
			k.must(err)
			if len(rows) > limit {
				k.Fatalf("a page of %d has %d rows", limit, len(rows))
			}
			for _, row := range rows {
				got, after = append(got, id(row)), next(row)
			}
			if len(rows) < limit || len(got) > len(want) {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			k.Errorf("in pages of %d (-want +got):\n%s", limit, diff)
		}
	}
}
