package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/store/archive"
	"hookline/store/storetest"
)

// runEveryQuery has every list, and what the writer looks up, pass through
// prepare, which keeps its text.
func runEveryQuery(t *testing.T, d *DB) {
	t.Helper()
	storetest.Ask(t, d)
	ctx := t.Context()
	for _, k := range append(append(archive.Kinds(), archive.Later()...), "unknown") {
		_, err := records(ctx, d.reader, k, "a/b", 10)
		noError(t, err)
		if _, err := record(ctx, d.reader, k, "a/b"); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("a record of kind %s: %v", k, err)
		}
	}
	_, err := completed(ctx, d.reader, []archive.Record{{Value: review.Version{}}, {Value: archive.Activation{}}}, nil)
	noError(t, err)
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// runEveryAction has people's changes pass through prepare too.
func runEveryAction(t *testing.T, d *DB) {
	t.Helper()
	ctx, now := context.Background(), time.Unix(1_000_000, 0)
	gate := &auth.Gate{Accounts: d, Log: d, Now: func() time.Time { return now }}
	admin := auth.Principal{User: "admin", Roles: []auth.Role{auth.RoleAdmin}, Kind: auth.TokenAPI}
	v := review.Version{Digest: "d", Hook: "h", Number: 1, State: hooks.StateSubmitted, Signatures: [][]byte{{1}}}
	r := review.Review{ID: "r", Version: "d", Person: "bob", Verdict: review.VerdictApprove, Signature: []byte{2}}
	a := hooks.Activation{Digest: "d", Hook: "h", Quantity: 1, MaxBytes: 1, Deadline: now.Add(time.Hour)}
	for _, act := range []func(g auth.Grant) error{
		func(g auth.Grant) error { return d.AddUser(ctx, auth.User{Name: "u"}, g) },
		func(g auth.Grant) error { return d.AddToken(ctx, auth.Token{ID: "t"}, g) },
		func(auth.Grant) error { return d.SpendToken(ctx, "t") },
		func(g auth.Grant) error { return d.AddVersion(ctx, v, g) },
		func(g auth.Grant) error { return d.AddReview(ctx, r, hooks.StateSubmitted, hooks.StateApproved, g) },
		func(g auth.Grant) error { return d.Activate(ctx, a, hooks.StateApproved, g) },
		func(auth.Grant) error { return d.Lease(ctx, jobs.Job{ID: "l", PeerID: "p", Version: "d"}, now) },
		func(auth.Grant) error { return d.Reserve(ctx, "d", "l", 1) },
		func(auth.Grant) error {
			received := jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}
			_, err := d.Settle(ctx, "l", received, &collector.Result{ID: "l", Bytes: 0}, now)
			return err
		},
		func(g auth.Grant) error { return d.Stop(ctx, "d", hooks.StateExpired, hooks.StateDisabled, "", now, g) },
		func(g auth.Grant) error { return d.Activate(ctx, a, hooks.StateDisabled, g) },
		func(g auth.Grant) error { return d.Revoke(ctx, "d", hooks.StateActive, "", now, g) },
		func(g auth.Grant) error {
			return d.AddVersion(ctx, review.Version{Digest: "d2", Hook: "h", Number: 2, State: hooks.StateSubmitted}, g)
		},
		func(g auth.Grant) error { return d.Revoke(ctx, "d2", hooks.StateSubmitted, "", now, g) },
		func(g auth.Grant) error { return d.AddComment(ctx, review.Comment{ID: "c", Version: "d"}, g) },
		func(g auth.Grant) error { return d.ResolveThread(ctx, "d", "c", "u", now, g) },
		func(g auth.Grant) error { return d.ChangeUser(ctx, "u", auth.UserChange{}, g) },
		func(g auth.Grant) error { return d.AddToken(ctx, auth.Token{ID: "t3", Hash: [32]byte{3}}, g) },
		func(g auth.Grant) error { return d.RemoveToken(ctx, "t3", g) },
		func(auth.Grant) error { return d.AddPeer(ctx, enroll.Peer{ID: "p", SPKI: "s"}) },
		func(g auth.Grant) error { return d.SetLabels(ctx, "p", []string{"l"}, g) },
		func(auth.Grant) error { _, err := d.Connect(ctx, "p", "s", enroll.Hello{}, now); return err },
		func(auth.Grant) error { _, err := d.Disconnect(ctx, "p", 1, now); return err },
		func(auth.Grant) error {
			_, err := d.AddReport(ctx, jobs.Job{ID: "o", PeerID: "p", Report: hooks.Report{"A": "b"}}, collector.Problem{ID: "p"})
			return err
		},
	} {
		g, err := gate.Authorize(ctx, admin, auth.HooksSubmit, "", "")
		noError(t, err)
		noError(t, act(g))
	}
}

// unbounded finds what a plan reads from end to end: a table or index without
// a SEARCH term. A list of values and one row are not.
var unbounded = regexp.MustCompile(`^SCAN (?:\w+ USING|(\w+)$)`)

// No query reads a whole table, and none of a list sorts what it has read:
// the index gives the order.
func TestNoQueryScans(t *testing.T) {
	d := openAt(t, filepath.Join(t.TempDir(), "hookline.db"), Options{})
	runEveryAction(t, d)
	runEveryQuery(t, d)
	conn := rawConn(t, d.path)
	queries := slices.Concat(keysOf(d.reader.statements), keysOf(d.writer.tx.statements), []string{busySample})
	explained := 0
	for _, query := range queries {
		if !regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE)`).MatchString(query) || strings.Contains(query, "schema_version") {
			continue
		}
		explained++
		plan := explain(t, conn, query)
		sorts := strings.Contains(query, "LIMIT") && !strings.Contains(query, busySample) // which is bounded, and looked at alone
		for _, line := range plan {
			if unbounded.MatchString(line) && !countsPeers(query, line) || strings.Contains(line, "USE TEMP B-TREE") && sorts {
				t.Errorf("%s\nin the plan of\n%s", strings.Join(plan, "\n"), query)
				break
			}
		}
	}
	for _, bad := range []string{"SELECT id FROM jobs WHERE failed_code = ?", "SELECT id FROM jobs", "SELECT id FROM peers ORDER BY name LIMIT 1"} {
		if !unbounded.MatchString(explain(t, conn, bad)[0]) {
			t.Errorf("this test would not see %q", bad)
		}
	}
	if explained < 400 {
		t.Errorf("only %d queries were looked at", explained)
	}
}

// countsPeers allows the count of connected peers, which reads so much of an
// index that holds no others.
func countsPeers(query, line string) bool {
	return strings.HasSuffix(query, "INDEXED BY peers_online WHERE server <> '' LIMIT ?)") && strings.Contains(line, "COVERING INDEX peers_online")
}

// A list that is narrowed by several members goes over the index of the one
// with the fewest rows: half of all results have the same level.
func TestTheNarrowestIndexIsTaken(t *testing.T) {
	d := openAt(t, filepath.Join(t.TempDir(), "hookline.db"), Options{})
	conn := rawConn(t, d.path)
	ordered := []collector.ResultFilter{
		{JobID: "x"}, {ProblemID: "x"}, {PeerID: "x"}, {Version: "x"}, {Hook: "x"}, {Package: "x"}, {Level: "x"},
	}
	for i, f := range ordered {
		query, _ := resultsQuery(f)
		alone := explain(t, conn, query)[0]
		for _, other := range ordered[i+1:] {
			both := f
			both.ProblemID, both.PeerID, both.Version = f.ProblemID+other.ProblemID, f.PeerID+other.PeerID, f.Version+other.Version
			both.Hook, both.Package, both.Level = f.Hook+other.Hook, f.Package+other.Package, f.Level+other.Level
			query, _ := resultsQuery(both)
			if plan := explain(t, conn, query); len(plan) != 1 || plan[0] != alone {
				t.Errorf("%q, alone %q, in the plan of %s", plan, alone, query)
			}
		}
	}
}

func keysOf[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

func explain(t *testing.T, conn *sql.Conn, query string) []string {
	t.Helper()
	args := make([]any, parameters(query))
	rows, err := conn.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%v in %s", err, query)
	}
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, line)
	}
	noError(t, rows.Err())
	return plan
}

// parameters counts the values that a query wants: ?1, ?2 … or plain ones.
func parameters(query string) int {
	numbered := map[string]bool{}
	for _, p := range regexp.MustCompile(`\?\d+`).FindAllString(query, -1) {
		numbered[p] = true
	}
	return max(len(numbered), strings.Count(query, "?"))
}
