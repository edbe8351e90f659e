package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hookline/hooks"
	"hookline/sandbox"
)

// "/proc/{pid}/…" is open for processes of the user who filed the report, and
// for no others, whoever the hook runs as.
func TestOnlyTheFilersProcesses(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to start a process of another user")
	}
	const owner = 4242
	sleeper := exec.Command("sleep", "60")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner, Gid: owner}, Pdeathsig: syscall.SIGKILL}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = sleeper.Process.Kill(), sleeper.Wait() }()
	runner := &sandbox.Runner{Binary: binary, Reporter: sandbox.Credential{UID: owner, GID: owner}}
	for _, tt := range []struct {
		what    string
		as      hooks.Identity
		filer   sandbox.Filer
		pid     int
		call    string
		refusal string // "" where it is open
	}{
		{"theirs", hooks.AsService, sandbox.Filer{UID: owner, Known: true}, sleeper.Process.Pid, `fs.read("/proc/%d/limits")`, ""},
		{"theirs, as root", hooks.AsRoot, sandbox.Filer{UID: owner, Known: true}, sleeper.Process.Pid, `fs.read("/proc/%d/limits")`, ""},
		{"their open files", hooks.AsReporter, sandbox.Filer{UID: owner, Known: true}, sleeper.Process.Pid, `fs.list("/proc/%d/fd")`, ""},
		{"their open files, looked at", hooks.AsReporter, sandbox.Filer{UID: owner, Known: true}, sleeper.Process.Pid, `fs.stat("/proc/%d/fd")`, ""},
		{"an open file", hooks.AsReporter, sandbox.Filer{UID: owner, Known: true}, sleeper.Process.Pid, `fs.read("/proc/%d/fd")`, "never read"},
		{"somebody else's", hooks.AsService, sandbox.Filer{UID: owner + 1, Known: true}, sleeper.Process.Pid, `fs.read("/proc/%d/limits")`, "does not belong"},
		{"somebody else's, as root", hooks.AsRoot, sandbox.Filer{UID: owner + 1, Known: true}, sleeper.Process.Pid, `fs.read("/proc/%d/limits")`, "does not belong"},
		{"root's", hooks.AsRoot, sandbox.Filer{UID: owner, Known: true}, 1, `fs.read("/proc/%d/limits")`, "does not belong"},
		{"of nobody known", hooks.AsService, sandbox.Filer{}, sleeper.Process.Pid, `fs.read("/proc/%d/limits")`, "not known who filed"},
		{"the guard's", hooks.AsRoot, sandbox.Filer{UID: 0, Known: true}, os.Getpid(), `fs.read("/proc/%d/limits")`, "peer itself"},
		{"a thread of the guard's", hooks.AsRoot, sandbox.Filer{UID: 0, Known: true}, thread(t), `fs.read("/proc/%d/limits")`, "one of a thread"},
	} {
		work := task("local x = " + fmt.Sprintf(tt.call, tt.pid) + " return {Bool = true}")
		work.Predicate.As, work.Filer = tt.as, tt.filer
		work.Predicate.Capabilities.FSRead = []string{"/proc/{pid}/fd", "/proc/{pid}/limits"}
		work.Predicate.Capabilities.FSList = []string{"/proc/{pid}/fd"}
		work.Predicate.Capabilities.FSStat = []string{"/proc/{pid}/fd"}
		out, err := runner.Run(context.Background(), work)
		if err != nil {
			t.Fatal(err)
		}
		if (out.Code == "") != (tt.refusal == "") || !strings.Contains(out.Error, tt.refusal) {
			t.Errorf("%s: %q %s, want %q", tt.what, out.Code, out.Error, tt.refusal)
		}
	}
}

// thread is the number of a thread of this process that is not its first.
func thread(t *testing.T) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		var n int
		if _, err := fmt.Sscan(filepath.Base(task), &n); err == nil && n != os.Getpid() {
			return n
		}
	}
	t.Fatal("this process has one thread")
	return 0
}
