package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/jobs"
)

// childEnv holds the database's path in a child that writes until it is killed.
const childEnv = "HOOKLINE_TEST_STORE_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if err := writeForEver(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeForEver stores reports from 8 callers, and prints each id once it is
// acknowledged.
func writeForEver(path string) error {
	ctx := context.Background()
	d, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	if err := d.write(ctx, func(t *tx) error { _, err := t.exec(benchActivation + " ON CONFLICT DO NOTHING"); return err }); err != nil {
		return err
	}
	var print sync.Mutex
	failed := make(chan error)
	for caller := range 8 {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), caller, n)
				if err := d.storePair(ctx, id); err != nil {
					failed <- err
					return
				}
				print.Lock()
				fmt.Println(id)
				print.Unlock()
			}
		}()
	}
	return <-failed
}

// storePair stores a report and a failed hook job for it, one after the other.
func (d *DB) storePair(ctx context.Context, id string) error {
	r := hooks.Report{hooks.FieldExecutablePath: "/bin/x", "Padding": strings.Repeat("x", 2000)}
	j := jobs.Job{ID: id, PeerID: "p", Workload: jobs.WorkReport, Status: jobs.Succeeded, CreatedAt: time.Now(), Report: r}
	if _, err := d.AddReport(ctx, j, collector.Problem{ID: "problem", Fingerprint: "f"}); err != nil {
		return err
	}
	_, err := d.RecoverLease(ctx, jobs.Job{ID: id + "-hook", Status: jobs.Failed, Version: "v"}, time.Now())
	return err
}

// A store whose process is killed at any moment has everything that it
// acknowledged, and opens again at once.
func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("HOOKLINE_TEST_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	rounds := 5
	if s := os.Getenv("HOOKLINE_TEST_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	t.Logf("HOOKLINE_TEST_SEED=%d, %d kills", seed, rounds)
	random := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "hookline.db")
	var acknowledged []string
	for range rounds {
		acknowledged = append(acknowledged, killAfter(t, path, 1+random.IntN(300))...)
		checkAcknowledged(t, path, acknowledged)
	}
	t.Logf("%d acknowledged", len(acknowledged))
}

// killAfter starts a child, kills it once it has acknowledged n records, and
// returns all that it had acknowledged by then.
func killAfter(t *testing.T, path string, n int) []string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		ids = append(ids, lines.Text())
		if len(ids) == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(ids) < n {
		t.Fatalf("the child ended by itself after %d records: %v", len(ids), err)
	}
	return ids
}

func checkAcknowledged(t *testing.T, path string, ids []string) {
	t.Helper()
	d, err := Open(t.Context(), path, Options{})
	noError(t, err)
	defer func() { noError(t, d.Close()) }()
	for _, id := range ids {
		j, err := d.Job(t.Context(), id)
		if err != nil || len(j.Report["Padding"]) != 2000 {
			t.Errorf("acknowledged report %s: %v", id, err)
		}
		if _, err := d.Job(t.Context(), id+"-hook"); err != nil {
			t.Errorf("acknowledged job of %s: %v", id, err)
		}
	}
	reports, err := one(t.Context(), d.reader, scanInt, "SELECT count(*) FROM jobs WHERE workload = 'report'")
	noError(t, err)
	p, err := d.Problem(t.Context(), "problem")
	if err != nil || p.Reports != reports {
		t.Errorf("the problem counts %d reports, %d are there, %v", p.Reports, reports, err)
	}
	if got := mustText(t, d, "PRAGMA integrity_check"); len(got) != 1 || got[0] != "ok" {
		t.Errorf("integrity: %v", got)
	}
}
