package confine_test

import (
	"errors"
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

const (
	aloneEnv = "HOOKLINE_CONFINE_TEST_ALONE"
	userEnv  = "HOOKLINE_CONFINE_TEST_USER"
)

const nobody = 65534

func TestMain(m *testing.M) {
	switch os.Getenv(aloneEnv) {
	case "":
	case "alone":
		fmt.Println(tryAlone())
		return
	default:
		fmt.Println(tryBroker(os.Getenv(aloneEnv), os.Getenv(userEnv) != ""))
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

// tryBroker shuts itself in as a broker that may read one file, of the user who
// started it, and tries what a file's owner may do without any capability.
func tryBroker(path string, ordinary bool) string {
	o := confine.Reading{
		UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Read: []string{path, "/proc/uptime"}, List: []string{"/proc/uptime"},
		OpenFrom: 3, CPUSeconds: 5,
	}
	if err := confine.Broker(o); err != nil {
		return "cannot: " + err.Error()
	}
	wrong := powers(o, ordinary)
	flags := map[string]int{"truncate": unix.O_TRUNC, "write": unix.O_WRONLY, "both": unix.O_RDWR, "create": unix.O_CREAT}
	for what, flag := range flags {
		if fd, err := unix.Open(path, flag, 0); !errors.Is(err, unix.EPERM) { // not EACCES: the filter's own answer
			wrong = append(wrong, fmt.Sprintf("open to %s: %d, %v", what, fd, err))
		}
		if ordinary {
			continue // the owner of the file: landlock alone sees these flags, truncation from version 3 on
		}
		if fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: uint64(flag)}); err == nil && flag != unix.O_CREAT {
			wrong = append(wrong, fmt.Sprintf("openat2 to %s: %d", what, fd))
		}
	}
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

// powers tells what of a broker's user and capabilities is not as it must be,
// on any thread: one of root is nobody, with the one capability to read.
func powers(o confine.Reading, ordinary bool) (wrong []string) {
	const none, read = "0000000000000000", "0000000000000004"
	want := map[string]string{"CapPrm": read, "CapEff": read, "CapInh": none, "CapAmb": none, "NoNewPrivs": "1", "Seccomp": "2"}
	if ordinary {
		want["CapPrm"], want["CapEff"] = none, none
	} else {
		o.UID, o.GID = nobody, nobody
	}
	for key, id := range map[string]uint32{"Uid": o.UID, "Gid": o.GID} {
		want[key] = strings.TrimSpace(strings.Repeat(fmt.Sprintf(" %d", id), 4))
	}
	dir, err := os.Open("/proc/self/task")
	if err != nil {
		return []string{err.Error()}
	}
	defer dir.Close()
	threads, err := dir.Readdirnames(-1)
	if err != nil || len(threads) == 0 {
		return []string{fmt.Sprintf("no threads (%v)", err)}
	}
	for _, thread := range threads {
		b, err := os.ReadFile("/proc/self/task/" + thread + "/status")
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		for key, value := range want {
			_, rest, _ := strings.Cut("\n"+string(b), "\n"+key+":")
			line, _, _ := strings.Cut(rest, "\n")
			if got := strings.Join(strings.Fields(line), " "); got != value {
				wrong = append(wrong, fmt.Sprintf("%s is %q", key, got))
			}
		}
	}
	return wrong
}

// A broker changes nothing, not even its user's own files: neither where
// landlock sees truncation nor, as root, where it does not.
func TestBrokerOnlyReads(t *testing.T) {
	root := os.Geteuid() == 0
	if !root {
		t.Log("not root: no broker of root is tried")
	}
	dir, err := os.MkdirTemp("", "hookline-confine") // where other users may start programs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{
		"full": nil, "old": {"-tags", "weaken", "-ldflags", "-X hookline/sandbox/confine.weakened=abi=2"},
	} {
		// Only a program without cgo can shut itself in as a broker.
		pure := filepath.Join(dir, name+".test")
		build := exec.Command("go", append(append([]string{"test", "-c", "-o", pure}, flags...), "hookline/sandbox/confine")...)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, ordinary := range []bool{false, true} {
			if !root && !ordinary {
				continue
			}
			path := filepath.Join(dir, fmt.Sprintf("%s-%v", name, ordinary))
			if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
				t.Fatal(err)
			}
			if root && ordinary {
				if err := os.Chown(path, nobody, nobody); err != nil {
					t.Fatal(err)
				}
			}
			if out := againAs(t, pure, path, ordinary); out != "tried:" {
				t.Errorf("%s, ordinary user %v: %s", name, ordinary, out)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != "text" {
				t.Errorf("%s, ordinary user %v: the file holds %q, %v", name, ordinary, b, err)
			}
		}
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
	return againAs(t, program, what, false)
}

func againAs(t *testing.T, program, what string, ordinary bool) string {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = []string{aloneEnv + "=" + what}
	if ordinary {
		cmd.Env = append(cmd.Env, userEnv+"=1")
	}
	if ordinary && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}
