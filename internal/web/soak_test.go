package web_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"hookline/internal/auth"
	"hookline/internal/web/admin"
	"hookline/internal/web/kit"
	"hookline/internal/web/kit/kittest"
	"hookline/internal/web/machines"
	"hookline/internal/web/problems"
	"hookline/store/sqlite"
)

// soakRows names how many rows the large store of this test has.
const soakRows = "HOOKLINE_SOAK_ROWS"

// renders of each page are timed, those over both stores in turn.
const renders = 31

// mostSlower is how much longer a list may take over the large store.
const mostSlower = 2.0

// A list costs the same at any size: over HOOKLINE_SOAK_ROWS (1,000,000) rows
// of each kind no page takes more than twice as long as over 10,000.
func TestListsOverManyRows(t *testing.T) {
	rows, err := strconv.ParseInt(os.Getenv(soakRows), 10, 64)
	if err != nil {
		t.Skipf("it takes minutes: run by make soak, which sets %s", soakRows)
	}
	small, large := filled(t, 10_000), filled(t, rows)
	for _, path := range []string{
		"/problems", "/problems?sort=reports", "/problems?sort=first-seen", "/problems?package=package-3",
		"/jobs", "/jobs?sort=oldest", "/jobs?work=hook&status=failed", "/jobs?peer=" + peerAt(3), "/results", "/results?hook=hook-3", "/results?peer=" + peerAt(3),
		"/peers", "/peers?sort=name", "/peers?sort=seen", "/peers/" + peerAt(3), "/peers/" + peerAt(3) + "?tab=jobs", "/audit", "/audit?actor=user-3",
	} {
		var took [2][]time.Duration
		for range renders {
			for i, site := range []*kittest.Site{small, large} {
				site.Clock.Advance(time.Minute) // nothing is remembered from the visit before
				start := time.Now()
				site.Want(path, auth.RoleAdmin)
				took[i] = append(took[i], time.Since(start))
			}
		}
		a, b := median(took[0]), median(took[1])
		ratio := float64(b) / float64(a)
		t.Logf("%-45s %8s over 10,000 rows, %8s over %d: %.2f", path, a.Round(10*time.Microsecond), b.Round(10*time.Microsecond), rows, ratio)
		if ratio > mostSlower {
			t.Errorf("%s takes %.2f times as long, at most %.1f", path, ratio, mostSlower)
		}
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// busyPeers are the machines that file and run all of it: each has a thousand
// runs in the small store, as many as a page looks at. There are as many
// others as rows.
const busyPeers = 5

func peerAt(i int64) string { return fmt.Sprintf("%032x", i) }

// filled is pages over a store with n jobs, problems, results and audit
// entries, a row a second, the last one now.
func filled(t *testing.T, n int64) *kittest.Site {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hookline.db")
	empty, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := empty.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	last := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC).UnixMilli()
	for _, statement := range fill {
		if _, err := raw.ExecContext(t.Context(), statement, sql.Named("n", n), sql.Named("last", last), sql.Named("peers", busyPeers)); err != nil {
			t.Fatalf("%v in %.60s", err, statement)
		}
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s := kittest.Over(t, db)
	var routes []kit.Route
	for _, pages := range []func() ([]kit.Route, error){
		func() ([]kit.Route, error) { return problems.Routes(s.Kit, problems.Parts{Store: db}) },
		func() ([]kit.Route, error) {
			return machines.Routes(s.Kit, machines.Parts{Store: db, Gate: s.Gate})
		},
		func() ([]kit.Route, error) { return admin.Routes(s.Kit, admin.Parts{Gate: s.Gate, Log: db}) },
	} {
		some, err := pages()
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, some...)
	}
	return s.Serve(routes, nil)
}

// rowNumbers is a table with i from 1 to n and the time of row i.
const rowNumbers = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < @n),
	r AS (SELECT i, @last - (@n - i) * 1000 AS ms, printf('%012x', @last - (@n - i) * 1000) AS hex FROM c) `

// idOf is a UUIDv7 of the row's time and a mark of what it is.
func idOf(mark string) string {
	return `substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || printf('-7000-8` + mark + `00-%012x', i)`
}

// fill makes half of the rows reports and half of them runs of hooks, each
// second one of which has a result. There are as many problems as rows.
var fill = []string{
	`INSERT INTO peers (id, name, spki, enrolled_at, os, release, kernel, arch, version, send_reports, allow_hooks, server, epoch, seen)
		WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < @n)
		SELECT printf('%032x', i), 'web-' || i, printf('%064x', i), @last, 'linux', 'Debian 12', '6.1', 'amd64', '1', 1, 'yes', iif(i % 2, 'hooklined', ''), 1, @last - i FROM c`,
	rowNumbers + `INSERT INTO jobs (id, peer_id, workload, status, triggered_by, created_at, deadline, sent_at, acked_at, completed_at, outcome,
		failed_code, failed_text, fingerprint, problem_id, package_version, release, original_id, hook, version, hook_error, slot, bytes, denied, report)
		SELECT ` + idOf("a") + `, printf('%032x', i % @peers + 1), 'report', 'succeeded', 'peer', ms, 0, 0, 0, ms, '', '', '', '/bin/x:6:f' || i, printf('%032x', i), '1.2-' || (i % 9), 'Debian 12', '', '', '', '', '', 0, 0, x'7b7d' FROM r WHERE i % 2`,
	rowNumbers + `INSERT INTO jobs (id, peer_id, workload, status, triggered_by, created_at, deadline, sent_at, acked_at, completed_at, outcome,
		failed_code, failed_text, fingerprint, problem_id, package_version, release, original_id, hook, version, hook_error, slot, bytes, denied)
		SELECT ` + idOf("b") + `, printf('%032x', i % @peers + 1), 'hook', iif(i % 4, 'succeeded', 'failed'), 'match', ms, ms, ms, ms, ms, iif(i % 4, 'received', 'failed'), iif(i % 4, '', 'hook-error'), '', '', printf('%032x', i - 1), '', '', 'original', 'hook-' || (i % 50), printf('%064x', i % 50), '', 'slot' || i, 10, 0 FROM r WHERE i % 2 = 0`,
	rowNumbers + `INSERT INTO problems (id, fingerprint, package, executable, reports, first_seen, last_seen)
		SELECT printf('%032x', i), '/bin/x:6:f' || i, 'package-' || (i % 100), '/bin/x', i % 1000, ms, ms FROM r`,
	rowNumbers + `INSERT INTO hook_results (id, job_id, hook, version, peer_id, problem_id, bytes, created_at, fields, level, package)
		SELECT ` + idOf("b") + `, 'original', 'hook-' || (i % 50), printf('%064x', i % 50), printf('%032x', i % @peers + 1), printf('%032x', i - 1), 10, ms, CAST('{"a":"b"}' AS BLOB), iif(i % 3, 'problem', 'package'), 'package-' || (i % 100) FROM r`,
	rowNumbers + `INSERT INTO audit (id, at, actor, token_id, action, target, detail, outcome)
		SELECT ` + idOf("c") + `, ms, 'user-' || (i % 20), 't', 'hooks.review', 'version/' || i, 'approve', 'ok' FROM r`,
}
