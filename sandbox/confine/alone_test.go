package confine_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hookline/sandbox/confine"
)

const aloneEnv = "HOOKLINE_CONFINE_TEST_ALONE"

func TestMain(m *testing.M) {
	if os.Getenv(aloneEnv) != "" {
		fmt.Println(tryAlone())
		return
	}
	os.Exit(m.Run())
}

// tryAlone shuts itself in and tries to get out; it says what went wrong.
func tryAlone() string {
	if err := confine.Alone(); err != nil {
		return "cannot: " + err.Error()
	}
	var wrong []string
	if err := exec.Command("/bin/true").Run(); err == nil {
		wrong = append(wrong, "started a program")
	}
	if unix.Kill(os.Getppid(), 0) == nil {
		wrong = append(wrong, "may signal its parent")
	}
	if unix.Tgkill(os.Getppid(), os.Getppid(), 0) == nil {
		wrong = append(wrong, "may signal a thread of its parent")
	}
	if _, err := unix.PidfdOpen(os.Getppid(), 0); err == nil {
		wrong = append(wrong, "may hold its parent")
	}
	if pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0); errno == 0 {
		if pid == 0 {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
		wrong = append(wrong, "forked")
	}
	var threads sync.WaitGroup // threads are still to be had
	for range 8 {
		threads.Go(func() {
			runtime.LockOSThread()
			_ = unix.Getppid()
		})
	}
	threads.Wait()
	return "tried: " + strings.Join(wrong, ", ")
}

func TestAlone(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{aloneEnv + "=1"}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "tried:" {
		t.Errorf("%v: %s", err, out)
	}
}
