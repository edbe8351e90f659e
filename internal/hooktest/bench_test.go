package hooktest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"hookline/internal/onebox"
)

// BenchmarkHookRoundTrip measures matched → stored → sent → verified → run →
// stored at one peer, from the server's own times, against the raw limit of
// the same machine in the same run: two bare spawns of the small binary and
// three synced writes.
func BenchmarkHookRoundTrip(b *testing.B) {
	d, err := onebox.New(filepath.Join(b.TempDir(), "d"), binaries)
	check(b, err)
	check(b, d.Found(b.Context(), onebox.Team()))
	defer d.Stop() //nolint:errcheck // the benchmark is over
	p, err := d.AddPeer(b.Context(), "peer", "--send-reports=yes", "--hooks=yes")
	check(b, err)
	defer p.Kill()
	dir := benchHook(b, d)
	v, err := d.Submit(b.Context(), "alice", dir)
	check(b, err)
	for _, reviewer := range []string{"bob", "carol"} {
		_, err = d.Approve(b.Context(), reviewer, v.Digest)
		check(b, err)
	}
	_, err = d.Activate(b.Context(), "alice", v.Digest, 900)
	check(b, err)
	var trips, raw []time.Duration
	for i := 0; b.Loop(); i++ {
		trips = append(trips, trip(b, d, p, strconv.Itoa(i)))
		raw = append(raw, rawLimit(b))
	}
	ours, limit := median(trips), median(raw)
	b.ReportMetric(float64(ours.Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(limit.Microseconds())/1000, "raw-p50-ms")
	b.ReportMetric(float64(ours)/float64(limit), "ratio")
}

// trip files a report and returns how long its hook job took, from the lease
// to the settled result.
func trip(b *testing.B, d *onebox.Deployment, p *onebox.Peer, mark string) time.Duration {
	b.Helper()
	id, err := file(b.Context(), d, p, mark)
	check(b, err)
	_, err = d.AwaitResult(b.Context(), "alice", id)
	check(b, err)
	j, err := d.Job(b.Context(), "alice", id)
	check(b, err)
	h := j.HookJobs[0]
	return h.CompletedAt.Sub(h.CreatedAt)
}

// rawLimit spawns the small binary twice, bare, and syncs three writes of 4 KiB.
func rawLimit(b *testing.B) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	check(b, err)
	defer f.Close()
	block := make([]byte, 4096)
	start := time.Now()
	for range 2 {
		_ = exec.CommandContext(context.Background(), binaries.Path("hookline-sandbox")).Run() // says how to use it, exits 2
	}
	for range 3 {
		_, err := f.Write(block)
		check(b, err)
		check(b, f.Sync())
	}
	return time.Since(start)
}

func benchHook(b *testing.B, d *onebox.Deployment) string {
	b.Helper()
	dir, err := writeHook(d, "bench", taintScript, 1000)
	check(b, err)
	return dir
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
