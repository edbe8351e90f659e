package hooktest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/onebox"
)

// rounds is how often a process is killed: 5, or HOOKLINE_SOAK_ROUNDS.
func rounds(t *testing.T) int {
	t.Helper()
	s := os.Getenv("HOOKLINE_SOAK_ROUNDS")
	if s == "" {
		return 5
	}
	n, err := strconv.Atoi(s)
	must(t, err)
	return n
}

// filer files reports one after the other until stopped, and keeps the ids
// that were acknowledged.
type filer struct {
	mu    sync.Mutex
	ids   []string
	tries int
}

func (f *filer) run(ctx context.Context, d *onebox.Deployment, p *onebox.Peer, name string) {
	for n := 0; ctx.Err() == nil; n++ {
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
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("HOOKLINE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		must(t, err)
		seed = n
	}
	t.Logf("seed %d (HOOKLINE_SEED)", seed)
	fmt.Printf("%s: seed %d\n", t.Name(), seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // moments, not secrets
	ctx, stop := context.WithCancel(t.Context())
	var f filer
	var filing sync.WaitGroup
	for i := range 2 {
		filing.Go(func() { f.run(ctx, d, p, fmt.Sprintf("w%d", i)) })
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
func TestKillServer(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	const quantity = 25
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
	const quantity = 25
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

func reportsArrive(t *testing.T, c *client.Client, ids []string) {
	t.Helper()
	for _, id := range ids {
		eventually(t, 60*time.Second, func() error {
			_, err := c.Job(t.Context(), id)
			return err
		})
	}
}

// resultsStand checks that every result that the peer was told is stored is
// there, that no result belongs to nothing, and that the counts agree.
func resultsStand(t *testing.T, c *client.Client, p *onebox.Peer, v api.Version, quantity int) {
	t.Helper()
	results := allResults(t, c, v.Digest)
	records, err := p.Log(t.Context())
	must(t, err)
	for _, r := range records {
		if r.Kind == "settled" && r.Outcome == "received" && !results[r.JobID] {
			t.Errorf("the server told the peer that result %s is stored, but it is not there", r.JobID)
		}
	}
	if len(results) > quantity {
		t.Errorf("%d results show, quantity is %d", len(results), quantity)
	}
	ledger := checkLedger(t, c, v.Digest)
	if int(ledger.Received) != len(results) {
		t.Errorf("the ledger has %d received, %d results show", ledger.Received, len(results))
	}
	if len(results) == 0 {
		t.Error("no result came back at all")
	}
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
