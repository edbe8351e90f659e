package hooktest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/onebox"
)

// rounds is how often a process is killed: 5, 3 on MongoDB, or
// HOOKLINE_SOAK_ROUNDS.
func rounds(t *testing.T) int {
	t.Helper()
	s := os.Getenv("HOOKLINE_SOAK_ROUNDS")
	if s == "" && strings.HasSuffix(t.Name(), onMongoDB) {
		return 3
	}
	if s == "" {
		return 5
	}
	n, err := strconv.Atoi(s)
	must(t, err)
	return n
}

// chance is that of this run, which HOOKLINE_SEED repeats.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("HOOKLINE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		must(t, err)
		seed = n
	}
	t.Logf("seed %d (HOOKLINE_SEED)", seed)
	fmt.Printf("%s: seed %d\n", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // moments, not secrets
}

// filer files reports one after the other until stopped, and keeps the ids
// that were acknowledged.
type filer struct {
	mu    sync.Mutex
	ids   []string
	tries int
}

// run files at the pace given: one peer may file 500 reports, and then 2 a
// second.
func (f *filer) run(ctx context.Context, d *onebox.Deployment, p *onebox.Peer, name string, pace time.Duration) {
	beat := time.NewTicker(pace)
	defer beat.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-beat.C
		id, err := file(ctx, d, p, fmt.Sprintf("%s-%d", name, n))
		f.mu.Lock()
		f.tries++
		if err == nil {
			f.ids = append(f.ids, id)
		}
		f.mu.Unlock()
	}
}

func (f *filer) acknowledged() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.ids...)
}

// whileFiling runs kill at random moments while reports and results flow, and
// returns the acknowledged report ids.
func whileFiling(t *testing.T, d *onebox.Deployment, p *onebox.Peer, kill func(round int)) []string {
	t.Helper()
	random := chance(t)
	ctx, stop := context.WithCancel(t.Context())
	var f filer
	var filing sync.WaitGroup
	pace := time.Duration(rounds(t)) * 5 * time.Millisecond
	if strings.HasSuffix(t.Name(), onMongoDB) {
		pace *= 5 // the wire server looks at every document, over one connection
	}
	for i := range 2 {
		filing.Go(func() { f.run(ctx, d, p, fmt.Sprintf("w%d", i), pace) })
	}
	for round := range rounds(t) {
		moment := time.NewTimer(time.Duration(random.Int64N(int64(1500 * time.Millisecond))))
		<-moment.C // the random moment of the kill, not a wait for anything
		kill(round)
	}
	stop()
	filing.Wait()
	if len(f.acknowledged()) == 0 {
		t.Fatalf("no report was acknowledged in %d tries", f.tries)
	}
	return f.acknowledged()
}

// Acknowledged reports and results are all there however often the server is
// killed; received stays within the quantity; the ledger sums.
func TestKillServer(t *testing.T) { onStores(t, testKillServer) }

func testKillServer(t *testing.T, store string) {
	d := foundOn(t, store, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	quantity := 5 * rounds(t)
	v := live(t, d, hookFolder(t, d, "taint", taintScript, 10_000), quantity)
	ids := whileFiling(t, d, p, func(int) {
		d.Server.Kill()
		must(t, d.StartServer(t.Context()))
	})
	c := as(t, d, "alice")
	reportsArrive(t, c, ids)
	resultsStand(t, c, p, v, quantity)
	t.Logf("%d reports acknowledged, ledger %+v", len(ids), checkLedger(t, c, v.Digest))
}

// The guard and the network side killed at random moments lose no report that
// the reporter was told is filed, and count no run twice.
func TestKillPeer(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	quantity := 5 * rounds(t)
	v := live(t, d, hookFolder(t, d, "taint", taintScript, 10_000), quantity)
	ids := whileFiling(t, d, p, func(int) {
		p.Kill()
		must(t, p.Start(t.Context()))
	})
	c := as(t, d, "alice")
	reportsArrive(t, c, ids)
	resultsStand(t, c, p, v, quantity)
	t.Logf("%d reports acknowledged, ledger %+v", len(ids), checkLedger(t, c, v.Digest))
}

// reportsArrive waits for the last report alone, then looks for all of them
// in pages: a token has only so many requests a second.
func reportsArrive(t *testing.T, c *client.Client, ids []string) {
	t.Helper()
	eventually(t, 60*time.Second, func() error {
		_, err := c.Job(t.Context(), ids[len(ids)-1])
		return err
	})
	eventually(t, 60*time.Second, func() error {
		there, err := allReports(t.Context(), c)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !there[id] {
				return fmt.Errorf("report %s is not there, of %d", id, len(ids))
			}
		}
		return nil
	})
}

func allReports(ctx context.Context, c *client.Client) (map[string]bool, error) {
	there := map[string]bool{}
	for list := listReports; ; {
		page, err := c.Jobs(ctx, list)
		if err != nil {
			return nil, err
		}
		for _, j := range page.Items {
			there[j.ID] = true
		}
		if list.After = page.Next; list.After == "" {
			return there, nil
		}
	}
}

// resultsStand checks that every run that the peer ended and hears no more
// about is decided at the server, that each result belongs to a job that
// succeeded and the other way round, and that the counts agree.
func resultsStand(t *testing.T, c *client.Client, p *onebox.Peer, v api.Version, quantity int) {
	t.Helper()
	decided := endsDecided(t, c, p, v)
	var results map[string]bool
	eventually(t, 10*time.Second, func() error { // between job and ledger is a moment
		results = allResults(t, c, v.Digest)
		if ledger := checkLedger(t, c, v.Digest); int(ledger.Received) != len(results) {
			return fmt.Errorf("the ledger has %d received, %d results show", ledger.Received, len(results))
		}
		return nil
	})
	for id, status := range decided {
		if results[id] != (status == "succeeded") {
			t.Errorf("job %s has %s; its result shows: %v", id, status, results[id])
		}
	}
	if len(results) == 0 || len(results) > quantity {
		t.Errorf("%d results show, want at least one and at most %d", len(results), quantity)
	}
}

// endsDecided waits until the server has decided the jobs whose runs brought
// something, by the peer's own record, and whose end waits no longer at the
// peer; it returns how.
func endsDecided(t *testing.T, c *client.Client, p *onebox.Peer, v api.Version) map[string]string {
	t.Helper()
	records, err := p.Log(t.Context())
	must(t, err)
	decided := map[string]string{}
	for _, r := range records {
		if r.Kind != "outcome" || r.Outcome != "received" || r.Hook != v.Hook {
			continue
		}
		eventually(t, 20*time.Second, func() error {
			if _, err := os.Stat(filepath.Join(p.State(), "guard", "outbox", r.JobID+".finish")); err == nil {
				return fmt.Errorf("the end of job %s waits at the peer", r.JobID)
			}
			j, err := c.Job(t.Context(), r.JobID)
			if err == nil && j.Status == "pending" {
				err = fmt.Errorf("the peer is done with job %s, which is pending", r.JobID)
			}
			decided[r.JobID] = j.Status
			return err
		})
	}
	return decided
}

func allResults(t *testing.T, c *client.Client, digest string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for after := ""; ; {
		page, err := c.Results(t.Context(), client.List{Version: digest, After: after, Limit: 200})
		must(t, err)
		for _, r := range page.Items {
			found[r.ID] = true
		}
		if after = page.Next; after == "" {
			return found
		}
	}
}
