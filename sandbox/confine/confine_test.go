package confine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hookline/sandbox/confine"
)

const aloneEnv = "HOOKLINE_CONFINE_TEST_ALONE"

func TestMain(m *testing.M) {
	switch os.Getenv(aloneEnv) {
	case "":
	case "alone":
		fmt.Println(tryAlone())
		return
	default:
		fmt.Println(tryBroker(os.Getenv(aloneEnv)))
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
			_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
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

// tryBroker shuts itself in as a broker that may read one file, of its own
// user, and tries what a file's owner may do without any capability.
func tryBroker(path string) string {
	if err := confine.Broker(confine.Reading{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Read: []string{path}, OpenFrom: 3, CPUSeconds: 5}); err != nil {
		return "cannot: " + err.Error()
	}
	var wrong []string
	if b, err := os.ReadFile(path); err != nil || len(b) == 0 {
		wrong = append(wrong, fmt.Sprintf("cannot read (%v)", err))
	}
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err.Error()
	}
	at := uintptr(unsafe.Pointer(name)) //nolint:gosec // a name for the kernel
	old := map[string]uintptr{"chmod": 90, "chown": 92, "unlink": 87, "utime": 132}
	if runtime.GOARCH == "amd64" {
		for what, nr := range old {
			if _, _, errno := syscall.RawSyscall(nr, at, 0o777, 0); errno != syscall.EPERM {
				wrong = append(wrong, fmt.Sprintf("%s: %v", what, errno))
			}
		}
	}
	for what, err := range map[string]error{
		"write":    os.WriteFile(path, nil, 0o600),
		"setxattr": unix.Setxattr(path, "user.x", nil, 0),
		"utimes":   os.Chtimes(path, time.Time{}, time.Now()),
		"chmod":    os.Chmod(path, 0o777),
		"prlimit":  unix.Prlimit(os.Getppid(), unix.RLIMIT_CORE, nil, &unix.Rlimit{}),
		"priority": unix.Setpriority(unix.PRIO_PROCESS, os.Getppid(), 19),
		"remove":   os.Remove(path),
	} {
		if err == nil {
			wrong = append(wrong, what)
		}
	}
	return "tried: " + strings.Join(wrong, ", ")
}

func TestBrokerOnlyReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Only a program without cgo can shut itself in as a broker.
	pure := filepath.Join(t.TempDir(), "confine.test")
	build := exec.Command("go", "test", "-c", "-o", pure, "hookline/sandbox/confine")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out := again(t, pure, path); out != "tried:" {
		t.Error(out)
	}
}

func TestAlone(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out := again(t, self, "alone"); out != "tried:" {
		t.Error(out)
	}
}

// again runs this program, or its like, as one that shuts itself in.
func again(t *testing.T, program, what string) string {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = []string{aloneEnv + "=" + what}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}
