package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/jobs"
)

// callers is how many goroutines lease and settle at once.
const callers = 16

// benchActivation makes an activation past the review, directly as a row.
const benchActivation = `INSERT INTO activations (digest, hook, state, reason, quantity, deadline, max_bytes, percent, per_minute,
	created_at, changed_at, keys) VALUES ('v', 'h', 'active', '', 1000000000, 9000000000000, 1000000000000, 100, 0, 1, 1, '["fp:x"]')`

// benchJob is a hook job with columns as long as real ones.
func benchJob(id string) jobs.Job {
	at := time.Unix(1_700_000_000, 0)
	return jobs.Job{
		ID: id, PeerID: "peer-of-" + id, Workload: jobs.WorkHook, Status: jobs.Pending, TriggeredBy: "match",
		CreatedAt: at, Deadline: at.Add(jobs.DefaultDeadline), ProblemID: "00112233445566778899aabbccddeeff",
		OriginalID: "original-" + id, Hook: "kernel-taint", Version: "v", Slot: jobs.OpenSlot("v", "original-"+id),
	}
}

func benchResult(j jobs.Job) collector.Result {
	fields := []byte(`{"KernelTaint":"12288"}`)
	return collector.Result{
		ID: j.ID, JobID: j.OriginalID, Hook: j.Hook, Version: j.Version, PeerID: j.PeerID, ProblemID: j.ProblemID,
		Fields: fields, Bytes: int64(len(fields)), CreatedAt: j.CreatedAt,
	}
}

// BenchmarkLeaseSettle16 leases jobs and settles them with a result from 16
// callers; one operation is both, two commits. Its limit is
// BenchmarkRawGroupCommit16.
func BenchmarkLeaseSettle16(b *testing.B) {
	d := open(b, Options{})
	if err := d.write(b.Context(), func(t *tx) error { _, err := t.exec(benchActivation); return err }); err != nil {
		b.Fatal(err)
	}
	ctx, received := context.Background(), jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}
	inParallel(b, func(id string) error {
		j := benchJob(id)
		if err := d.Lease(ctx, j, j.CreatedAt); err != nil {
			return err
		}
		r := benchResult(j)
		_, err := d.Settle(ctx, id, received, &r, j.CreatedAt)
		return err
	})
	b.StopTimer()
	a, err := d.Activation(ctx, "v")
	if err != nil || a.Ledger.Received != int64(b.N) || a.Ledger.Check(a.Quantity, a.MaxBytes) != nil {
		b.Errorf("%d pairs, ledger %+v, %v", b.N, a.Ledger, err)
	}
}

// inParallel runs op from 16 goroutines with ids of their own.
func inParallel(b *testing.B, op func(id string) error) {
	b.Helper()
	var ids, left atomic.Int64
	left.Store(int64(b.N))
	failures := make(chan error, callers)
	b.ResetTimer()
	for range callers {
		go func() {
			for left.Add(-1) >= 0 {
				if err := op(fmt.Sprintf("0190a1b2-c3d4-7e5f-8000-%012d", ids.Add(1))); err != nil {
					failures <- err
					return
				}
			}
			failures <- nil
		}()
	}
	for range callers {
		if err := <-failures; err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRawGroupCommit16 writes the same rows in as many commits with a
// bare loop: a channel, one transaction for what waits, prepared statements,
// the same schema and pragmas; no savepoints, no conditions, no refusals,
// nothing read.
func BenchmarkRawGroupCommit16(b *testing.B) {
	path := filepath.Join(b.TempDir(), "raw.db")
	d, err := Open(b.Context(), path, Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
	raw := newRawLoop(b, path)
	inParallel(b, func(id string) error {
		j := benchJob(id)
		at := j.CreatedAt.UnixMilli()
		err := raw.do([]any{raw.take}, []any{raw.lease, id, "v", 0, at}, []any{
			raw.job, j.ID, j.PeerID, string(j.Workload), string(j.Status), j.TriggeredBy, at, j.Deadline.UnixMilli(), 0, 0, 0,
			"", "", "", "", j.ProblemID, j.OriginalID, j.Hook, j.Version, "", j.Slot, 0, 0, nil, nil,
		})
		if err != nil {
			return err
		}
		r := benchResult(j)
		return raw.do(
			[]any{raw.decide, r.Bytes, at, id},
			[]any{raw.result, r.ID, r.JobID, r.Hook, r.Version, r.PeerID, r.ProblemID, r.Fields, r.Bytes, at},
			[]any{raw.settle, r.Bytes}, []any{raw.end, id},
		)
	})
}

// rawLoop is the least that commits in groups.
type rawLoop struct {
	conn                                          *sql.Conn
	queue                                         chan rawOp
	take, lease, job, decide, result, settle, end *sql.Stmt
}

// rawOp is statements with their values, and who waits for them.
type rawOp struct {
	statements [][]any
	done       chan error
}

func newRawLoop(b *testing.B, path string) *rawLoop {
	b.Helper()
	db, err := sql.Open(driverName, dsn(path, writerPragmas(Options{})))
	if err != nil {
		b.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	prepare := func(query string) *sql.Stmt {
		s, err := conn.PrepareContext(context.Background(), query)
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	if _, err := conn.ExecContext(context.Background(), benchActivation); err != nil {
		b.Fatal(err)
	}
	values := func(n int) string { return ` VALUES (?` + strings.Repeat(`, ?`, n-1) + `)` }
	r := &rawLoop{
		conn: conn, queue: make(chan rawOp, 1024),
		take:   prepare(`UPDATE activations SET issued = issued + 1, leased = leased + 1 WHERE digest = 'v'`),
		lease:  prepare(`INSERT INTO leases (id, version, reserved, taken_at)` + values(4)),
		job:    prepare(`INSERT INTO jobs (` + jobColumns + `, report_sha256, report)` + values(24)),
		decide: prepare(`UPDATE jobs SET status = 'succeeded', outcome = 'received', bytes = ?, completed_at = ? WHERE id = ?`),
		result: prepare(`INSERT INTO hook_results (` + resultColumns + `)` + values(9)),
		settle: prepare(`UPDATE activations SET leased = leased - 1, received = received + 1, bytes = bytes + ? WHERE digest = 'v'`),
		end:    prepare(`DELETE FROM leases WHERE id = ?`),
	}
	begin, commit := prepare("BEGIN IMMEDIATE"), prepare("COMMIT")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.loop(begin, commit)
	}()
	b.Cleanup(func() {
		close(r.queue)
		<-stopped
		_ = conn.Close()
		_ = db.Close()
	})
	return r
}

func (r *rawLoop) do(statements ...[]any) error {
	op := rawOp{statements, make(chan error, 1)}
	r.queue <- op
	return <-op.done
}

func (r *rawLoop) loop(begin, commit *sql.Stmt) {
	ctx := context.Background()
	for first := range r.queue {
		batch := []rawOp{first}
		for more := true; more; {
			select {
			case op, open := <-r.queue:
				if more = open; open {
					batch = append(batch, op)
				}
			default:
				more = false
			}
		}
		_, err := begin.ExecContext(ctx)
		for _, op := range batch {
			for _, s := range op.statements {
				if err == nil {
					_, err = s[0].(*sql.Stmt).ExecContext(ctx, s[1:]...)
				}
			}
		}
		if err == nil {
			_, err = commit.ExecContext(ctx)
		}
		for _, op := range batch {
			op.done <- err
		}
	}
}

// filled is a store with n report jobs of 4 peers in 4 problems: a page is
// full at both sizes.
func filled(b *testing.B, n int) *DB {
	b.Helper()
	d := open(b, Options{})
	const each = 1000
	for from := 0; from < n; from += each {
		if err := d.write(b.Context(), func(t *tx) error { return fillJobs(t, from, min(from+each, n)) }); err != nil {
			b.Fatal(err)
		}
	}
	return d
}

func fillJobs(t *tx, from, to int) error {
	for i := from; i < to; i++ {
		r := hooks.Report{hooks.FieldExecutablePath: "/bin/" + strconv.Itoa(i%4), "Padding": fmt.Sprintf("%0500d", i)}
		j := jobs.Job{
			ID: benchID(i), PeerID: "peer-" + strconv.Itoa(i%4), Workload: jobs.WorkReport, Status: jobs.Succeeded,
			CreatedAt: time.Unix(int64(i), 0), ProblemID: "problem-" + strconv.Itoa(i%4), Report: r,
		}
		if _, err := insertJob(t, j, make([]byte, 32), r.Canonical()); err != nil {
			return err
		}
		p := collector.Problem{ID: j.ProblemID, Fingerprint: "f"}
		if err := countProblem(t, j, p); err != nil {
			return err
		}
	}
	return nil
}

func benchID(i int) string { return fmt.Sprintf("0190a1b2-c3d4-7e5f-8000-%012d", i) }

// BenchmarkGetByID reads one job with its report, at two sizes of the table.
func BenchmarkGetByID(b *testing.B) {
	atSizes(b, func(b *testing.B, d *DB, n, i int) {
		if _, err := d.Job(b.Context(), benchID(i*7919%n)); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkList50 reads pages of 50 jobs, everywhere in the list and with
// each kind of filter, at two sizes of the table.
func BenchmarkList50(b *testing.B) {
	filters := []jobs.Filter{
		{}, {PeerID: "peer-3"}, {ProblemID: "problem-3"}, {Workload: jobs.WorkReport, Status: jobs.Succeeded},
	}
	atSizes(b, func(b *testing.B, d *DB, n, i int) {
		f := filters[i%len(filters)]
		f.Limit = 50
		if i%2 == 0 {
			f.After = benchID(n - i*7919%(n/2))
		}
		if _, err := d.Jobs(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	})
}

func atSizes(b *testing.B, read func(b *testing.B, d *DB, n, i int)) {
	b.Helper()
	for _, n := range []int{1_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			d := filled(b, n)
			for i := 0; b.Loop(); i++ {
				read(b, d, n, i)
			}
		})
	}
}
