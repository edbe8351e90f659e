package hooktest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/internal/onebox"
)

var listReports = client.List{Workload: "report", Limit: 200}

// Reports that are filed while the server is down arrive when it is back.
func TestReportsFiledWhileTheServerIsDown(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes")
	d.Server.Kill()
	const reports = 20
	var ids []string
	for i := range reports {
		id, err := file(t.Context(), d, p, fmt.Sprint(i))
		must(t, err)
		ids = append(ids, id)
	}
	if n := waiting(t, p); n != reports {
		t.Errorf("%d reports wait at the peer, want %d", n, reports)
	}
	must(t, d.StartServer(t.Context()))
	c := as(t, d, "alice")
	reportsArrive(t, c, ids)
	nothingWaits(t, p)
	page, err := c.Jobs(t.Context(), listReports)
	must(t, err)
	if len(page.Items) != reports {
		t.Errorf("the server has %d reports, want each once: %d", len(page.Items), reports)
	}
}

// busyScript takes all of its five seconds before its budget of instructions ends it.
const busyScript = `while true do string.format("%99.99f", 1e300 / 3) end
`

// A guard killed in the middle of a run has counted it, and says after its
// restart that the run was interrupted: the job ends, the signed number of
// runs stays used up, and no process stays behind.
func TestGuardKilledWhileAHookRuns(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	dir := hookFolder(t, d, "busy", busyScript, 10)
	change(t, filepath.Join(dir, "hook.yaml"), "max_runs_per_peer: 1000", "max_runs_per_peer: 1")
	change(t, filepath.Join(dir, "hook.yaml"), "max_runtime: 2s", "max_runtime: 5s")
	v := live(t, d, dir, 3)
	original, err := file(t.Context(), d, p, "original")
	must(t, err)
	var children []int
	eventually(t, 20*time.Second, func() error {
		// The network side, the worker and the broker.
		if children = childrenOf(t, p.PID()); len(children) < 3 || len(stateOf(t, p).Running) == 0 {
			return fmt.Errorf("the hook does not run yet; the guard's processes are %v", children)
		}
		return nil
	})
	p.Kill()
	if runs := runsOf(t, p, v.Digest); runs != 1 {
		t.Errorf("%d runs counted on disk, want 1", runs)
	}

	must(t, p.Start(t.Context()))
	ended := hookJob(t, d, original, v.Digest, "failed")
	if ended.FailedCode != string(errs.CodeRunInterrupted) {
		t.Errorf("the job ended %s %s, want run-interrupted", ended.Outcome, ended.FailedCode)
	}
	if s := stateOf(t, p); len(s.Running) != 0 || s.Versions[v.Digest].Runs != 1 {
		t.Errorf("after the restart the guard's state is %+v", s)
	}
	c := as(t, d, "alice")
	eventually(t, 10*time.Second, func() error {
		if ledger := checkLedger(t, c, v.Digest); ledger.Failed != 1 || ledger.Leased != 0 {
			return fmt.Errorf("ledger %+v, want one failed and nothing leased", ledger)
		}
		return nil
	})
	noSecondRun(t, d, p, v)
	// A run without its guard still ends by its own limits.
	eventually(t, 20*time.Second, func() error { return allGone(children) })
}

// noSecondRun files another report of a hook that may run once.
func noSecondRun(t *testing.T, d *onebox.Deployment, p *onebox.Peer, v api.Version) {
	t.Helper()
	second, err := file(t.Context(), d, p, "second")
	must(t, err)
	eventually(t, 20*time.Second, func() error {
		e, err := as(t, d, "alice").Explain(t.Context(), second, v.Digest)
		if err == nil && e.Code != string(errs.CodeRunLimit) {
			err = fmt.Errorf("explained with %q: %s", e.Code, e.Verdict)
		}
		return err
	})
}

// A server of another deployment at the pinned address is not believed and
// gets nothing; the right one gets all that was filed meanwhile.
func TestAnotherDeploymentsServer(t *testing.T) {
	d, other := found(t, onebox.Team()), deployment(t)
	p := addPeer(t, d, "peer", "--send-reports=yes")
	must(t, other.MakeKeys(t.Context(), onebox.Team()))
	must(t, other.MakePolicy(t.Context(), onebox.Team()))
	must(t, other.MakeTrust(t.Context(), onebox.Team()))
	other.HTTP, other.GRPC = d.HTTP, d.GRPC
	d.Server.Kill()
	must(t, other.StartServer(t.Context()))
	must(t, other.MakeTokens(t.Context(), onebox.Team()))
	eventually(t, 40*time.Second, func() error {
		status, err := p.Do(t.Context(), "status")
		if err == nil && !strings.Contains(status, "does not have the pinned CA") {
			err = fmt.Errorf("the peer's status does not say whom it met:\n%s", status)
		}
		return err
	})
	if log := p.Process.Log(); !strings.Contains(log, string(errs.CodeServerIdentity)) {
		t.Errorf("the peer's log has no %s:\n%s", errs.CodeServerIdentity, log)
	}
	id, err := file(t.Context(), d, p, "meanwhile")
	must(t, err)
	peers, err := as(t, other, "alice").Peers(t.Context(), client.List{Limit: 10})
	must(t, err)
	reports, err := as(t, other, "alice").Jobs(t.Context(), listReports)
	must(t, err)
	if len(peers.Items) != 0 || len(reports.Items) != 0 {
		t.Errorf("the other server got %d peers and %d reports", len(peers.Items), len(reports.Items))
	}
	must(t, other.Stop())
	must(t, d.StartServer(t.Context()))
	reportsArrive(t, as(t, d, "alice"), []string{id})
}

// hookJob waits until the hook job of an original and a version has a status.
func hookJob(t *testing.T, d *onebox.Deployment, original, digest, status string) api.Job {
	t.Helper()
	var found api.Job
	eventually(t, 30*time.Second, func() error {
		j, err := d.Job(t.Context(), "alice", original)
		if err != nil {
			return err
		}
		for _, found = range j.HookJobs {
			if found.Workload.Version == digest && found.Status == status {
				return nil
			}
		}
		return fmt.Errorf("no hook job is %s: %+v", status, j.HookJobs)
	})
	return found
}

// guardState is what these tests look at in the guard's state file.
type guardState struct {
	Versions map[string]struct{ Runs int64 }
	Running  []struct{}
}

func stateOf(t *testing.T, p *onebox.Peer) guardState {
	t.Helper()
	var s guardState
	b, err := os.ReadFile(filepath.Join(p.State(), "guard", "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s // nothing was counted yet
	}
	must(t, err)
	must(t, json.Unmarshal(b, &s))
	return s
}

func runsOf(t *testing.T, p *onebox.Peer, digest string) int64 {
	t.Helper()
	return stateOf(t, p).Versions[digest].Runs
}

// waiting is how much the server has not confirmed yet.
func waiting(t *testing.T, p *onebox.Peer) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.State(), "guard", "outbox"))
	must(t, err)
	n := 0
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			n++
		}
	}
	return n
}

func nothingWaits(t *testing.T, p *onebox.Peer) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if n := waiting(t, p); n > 0 {
			return fmt.Errorf("%d entries wait in the peer's outbox", n)
		}
		return nil
	})
}

// childrenOf are the processes that a process has started and not lost.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	var children []int
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the thread has ended
		}
		must(t, err)
		for _, s := range strings.Fields(string(b)) {
			child, err := strconv.Atoi(s)
			must(t, err)
			children = append(children, child)
		}
	}
	return children
}

func allGone(pids []int) error {
	for _, pid := range pids {
		if unix.Kill(pid, 0) == nil && !zombie(pid) {
			return fmt.Errorf("process %d is still there", pid)
		}
	}
	return nil
}

// zombie reports whether a process has ended and nobody has asked how: where
// the machine's first process does not, that is none of ours.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func change(t *testing.T, path, old, replacement string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	if !strings.Contains(string(b), old) {
		t.Fatalf("%s has no %q", path, old)
	}
	must(t, os.WriteFile(path, []byte(strings.Replace(string(b), old, replacement, 1)), 0o600))
}
