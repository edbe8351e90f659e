package sandbox_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hookline/internal/tools/hostile/corpus"
)

// sons are the processes of the small binary that a process started, by mode.
func sons(t *testing.T, pid int) map[string]string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range entries {
		proc := filepath.Dir(e)
		if b, err := os.ReadFile(e); err == nil && parent(proc) == pid {
			if args := strings.Split(string(b), "\x00"); len(args) > 1 {
				found[args[1]] = proc
			}
		}
	}
	return found
}

func alive(proc string) bool {
	state := status(proc)["State"]
	return state != "" && !strings.HasPrefix(state, "Z")
}

// A guard that is killed takes its worker and broker with it, long before the
// hook's own time is over.
func TestKilledGuardLeavesNoProcess(t *testing.T) {
	t.Parallel()
	program := copyProgram(t, "orphans.test")
	t.Run("own user", func(t *testing.T) { killGuard(t, childCommand(program, false)) })
	if os.Geteuid() == 0 {
		t.Run("ordinary user", func(t *testing.T) { killGuard(t, childCommand(program, true)) })
	}
}

func killGuard(t *testing.T, cmd *exec.Cmd) {
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	defer func() {
		if !killed {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	work := task("while true do time.now() end")
	work.Predicate.MaxRuntimeMS = 10_000
	job := corpus.Job{Binary: binary, Without: withoutRoot(), Runs: []corpus.Run{{Name: "orphans", Task: work}}}
	if err := json.NewEncoder(in).Encode(job); err != nil {
		t.Fatal(err)
	}
	var found map[string]string
	waitFor(t, "worker and broker", func() bool {
		found = sons(t, cmd.Process.Pid)
		return len(found) == 2 && status(found["worker"])["Seccomp"] == "2" && status(found["broker"])["Seccomp"] == "2"
	})
	for mode, proc := range found {
		checkNotDumpable(t, mode, proc)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	killed = true
	end := time.Now().Add(2 * time.Second)
	for mode, proc := range found {
		for alive(proc) && time.Now().Before(end) {
			time.Sleep(5 * time.Millisecond)
		}
		if alive(proc) {
			t.Errorf("the %s outlives its guard", mode)
		}
	}
}

// checkNotDumpable wants a process that leaves no core, not even to a program
// that collects them, and that its own user cannot look into: then its files
// in /proc are root's.
func checkNotDumpable(t *testing.T, mode, proc string) {
	t.Helper()
	info, err := os.Stat(filepath.Join(proc, "environ"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
		t.Errorf("the %s can be dumped: its files in /proc belong to user %s", mode, strconv.Itoa(int(owner)))
	}
}
