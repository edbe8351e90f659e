package mongo

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/wiretest"
)

// Of results that stand in their jobs, some are in hook_results, and the
// youngest is left alone.
func TestMendMovesResults(t *testing.T) {
	d := opened(t, wiretest.Address(t), Options{})
	const n = 2*moveAtOnce + 1
	var want []collector.Result
	for i := range n {
		r := collector.Result{ID: fmt.Sprintf("job %02d", i), JobID: "original", Fields: []byte(`{"a.$b":"1"}`), Bytes: 12, CreatedAt: filedAt}
		doc := newJobDoc(jobs.Job{
			ID: r.ID, Workload: jobs.WorkHook, Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived, OriginalID: strconv.Itoa(i),
			CreatedAt: filedAt, CompletedAt: filedAt.Add(time.Duration(i) * time.Second),
		}, 0)
		result := newResultDoc(r)
		doc.Result, doc.Todo = &result, todoShow
		if i%3 == 0 {
			noError(t, d.showResult(t.Context(), result))
		}
		if _, err := d.jobs.InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		want = append([]collector.Result{r}, want...)
	}
	youngest := filedAt.Add((n - 1) * time.Second)
	for _, c := range []struct{ limit, mended int }{{5, 5}, {100, n - 6}, {100, 0}} {
		if got, err := d.Mend(t.Context(), youngest, c.limit); err != nil || got != c.mended {
			t.Errorf("mended %d of %d, %v", got, c.mended, err)
		}
	}
	left, err := d.jobs.CountDocuments(t.Context(), m{{Key: "result", Value: m{{Key: "$exists", Value: true}}}})
	if err != nil || left != 1 {
		t.Errorf("%d jobs still have their result, %v", left, err)
	}
	_, err = d.Mend(t.Context(), youngest.Add(time.Millisecond), 100)
	noError(t, err)
	got, err := d.Results(t.Context(), collector.ResultFilter{Limit: 100})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

// The row of a hook names the newest of its versions, whichever were left.
func TestMendListsVersions(t *testing.T) {
	d := opened(t, wiretest.Address(t), Options{})
	for i, v := range []struct {
		hook   string
		number int64
		todo   string
	}{{"a", 1, ""}, {"a", 3, todoList}, {"a", 2, todoList}, {"b", 7, todoList}, {"c", 1, todoList}} {
		doc := versionDoc{
			Digest: fmt.Sprint(v.hook, v.number), Hook: v.hook, Number: v.number, Todo: v.todo,
			SubmittedAt: filedAt.Add(time.Duration(i) * time.Second),
		}
		if _, err := d.versions.InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	noError(t, d.listVersion(t.Context(), versionDoc{Digest: "a1", Hook: "a", Number: 1}))
	noError(t, d.listVersion(t.Context(), versionDoc{Digest: "b8", Hook: "b", Number: 8}))
	for _, want := range []int{3, 0} {
		if n, err := d.Mend(t.Context(), filedAt.Add(4*time.Second), 10); err != nil || n != want {
			t.Errorf("mended %d, want %d, %v", n, want, err)
		}
	}
	rows, err := list[hookDoc](t.Context(), d, d.hooks, m{}, oldestFirst(), 10, nil)
	want := []hookDoc{{"a", 3, "a3"}, {"b", 8, "b8"}} // c's is too young
	if diff := cmp.Diff(want, rows); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

// An action that nobody ended was done where its document says so.
func TestMendEndsActions(t *testing.T) {
	d := opened(t, wiretest.Address(t), Options{})
	_, err := d.users.InsertOne(t.Context(), userDoc{Name: "a/b", Audit: "1"})
	noError(t, err)
	_, err = d.users.InsertOne(t.Context(), userDoc{Name: "c", Audit: "other"})
	noError(t, err)
	want := map[string]string{}
	for i, c := range []struct{ where, outcome string }{
		{where(d.users, "d"), auth.OutcomeBegun}, // the one that is too young
		{where(d.users, "a/b"), auth.OutcomeOK},
		{where(d.users, "c"), auth.OutcomeUnknown},
		{where(d.users, "nobody"), auth.OutcomeUnknown},
		{where(d.tokens, "a/b"), auth.OutcomeUnknown},
		{"elsewhere/1", auth.OutcomeUnknown},
		{"", auth.OutcomeUnknown},
	} {
		e := auth.Entry{ID: strconv.Itoa(i), At: filedAt.Add(-time.Duration(i) * time.Second), Actor: "alice"}
		noError(t, d.begin(t.Context(), e, c.where))
		want[e.ID] = c.outcome
	}
	done := auth.Entry{ID: "done", At: filedAt.Add(-time.Hour), Outcome: "forbidden"}
	noError(t, d.AddEntry(t.Context(), done))
	want[done.ID] = done.Outcome
	for _, n := range []int{6, 0} {
		if got, err := d.Mend(t.Context(), filedAt, 10); err != nil || got != n {
			t.Errorf("mended %d, want %d, %v", got, n, err)
		}
	}
	entries, err := d.Entries(t.Context(), auth.EntryFilter{Limit: 10})
	noError(t, err)
	got := map[string]string{}
	for _, e := range entries {
		got[e.ID] = e.Outcome
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A running server leaves a report to its sender for as long as a lease; one
// that starts does not.
func TestWhoMendsWhen(t *testing.T) {
	d := opened(t, wiretest.Address(t), Options{})
	now := filedAt
	c := &collector.Collector{
		Activations: d, Jobs: d, Queries: d, Repairs: d, Peers: d, Sender: nobody{}, Now: func() time.Time { return now },
	}
	half := func(id string, problem int) string {
		t.Helper()
		j := aReport(id, problem, now)
		f, err := d.newFiling(j, collector.ProblemOf(j))
		noError(t, err)
		noError(t, f.store(t.Context()))
		return j.ProblemID
	}
	counted := func(problem string, want bool) {
		t.Helper()
		if _, err := d.Problem(t.Context(), problem); (err == nil) != want {
			t.Errorf("counted, want %v: %v", want, err)
		}
	}
	swept := half("a", 0)
	now = now.Add(time.Minute - time.Millisecond)
	noError(t, c.Sweep(t.Context()))
	counted(swept, false)
	now = now.Add(time.Millisecond)
	noError(t, c.Sweep(t.Context()))
	counted(swept, true)
	recovered := half("b", 1)
	noError(t, c.Recover(t.Context()))
	counted(recovered, true)
}

// nobody is connected.
type nobody struct{}

func (nobody) Connected(string) bool { return false }

func (nobody) Cancel(string, string, string) {}

func (nobody) Send(context.Context, collector.Dispatch) error {
	return errs.New(errs.CodePeerNotConnected, "nobody is connected")
}
