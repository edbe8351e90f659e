package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/confine"
	"hookline/sandbox/wire"
)

// lackEnv makes this program one that takes system calls away, as a kernel
// without them would, and then becomes the small binary.
const lackEnv = "HOOKLINE_TEST_LACK"

// lacking are the calls that are taken away, and with which error.
var lacking = map[string]struct {
	calls []uint32
	errno unix.Errno
}{
	"landlock": {[]uint32{unix.SYS_LANDLOCK_CREATE_RULESET}, unix.ENOSYS},
	"mounts":   {[]uint32{unix.SYS_FSOPEN}, unix.EPERM},
	"seccomp":  {[]uint32{unix.SYS_SECCOMP}, unix.ENOSYS},
	"limits":   {[]uint32{unix.SYS_PRLIMIT64}, unix.EPERM},
}

func lack(what string) error {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
	filter := []bpf.Instruction{bpf.LoadAbsolute{Off: 0, Size: 4}}
	for _, nr := range lacking[what].calls {
		filter = append(filter, bpf.JumpIf{Cond: bpf.JumpEqual, Val: nr, SkipFalse: 1},
			bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(lacking[what].errno)})
	}
	raw, err := bpf.Assemble(append(filter, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}))
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return err
	}
	return syscall.Exec(os.Args[1], os.Args[1:], []string{"GOMAXPROCS=1", "GOTRACEBACK=none"})
}

// lacks starts the small binary where something is missing: as root in its
// own namespaces, or as an ordinary user.
func lacks(t *testing.T, what string, root bool, args ...string) (stdout []byte, exit int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append([]string{bin}, args...)...)
	cmd.Env = []string{lackEnv + "=" + what}
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader("")
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if root {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNS
	}
	_ = cmd.Run()
	if errors.Len() > 0 {
		t.Errorf("%s: %s", what, errors.String())
	}
	return out.Bytes(), cmd.ProcessState.ExitCode()
}

// A layer that the kernel does not have is an error that names it, unless it
// may be missing; the others may never be.
func TestMissingLayers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what, layer string // what is not there, and which layer that is
		root        bool
		optional    bool
	}{
		{"landlock", "landlock", false, true},
		{"landlock", "landlock", true, true},
		{"mounts", "namespaces", true, true},
		{"seccomp", "seccomp", false, false},
		{"limits", "limits", false, false},
	} {
		if tt.root && os.Geteuid() != 0 {
			t.Logf("%s: needs root", tt.what)
			continue
		}
		if !tt.root && os.Geteuid() == 0 {
			tt.root = true // the same, but that root is dropped
		}
		name := fmt.Sprintf("%s, root: %v", tt.what, tt.root)
		for _, mode := range []string{"worker", "lint"} {
			said, exit := lacks(t, tt.what, tt.root, mode, "5")
			var end wire.Request
			_, _, err := wire.Read(bytes.NewReader(said), &end, sandbox.MaxFrameBytes)
			if err != nil || exit != 97 || end.Code != string(errs.CodeSandboxUnconfined) || !strings.Contains(end.Error, tt.layer) {
				t.Errorf("%s, %s: exit %d, %+v, %v", mode, name, exit, end, err)
			}
			if optional := strings.Contains(end.Error, "sandbox.allow_without"); optional != tt.optional {
				t.Errorf("%s, %s: %s", mode, name, end.Error)
			}
		}
		said, exit := lacks(t, tt.what, tt.root, "worker", "5", "without=landlock,namespaces")
		if confined := exit != 97; confined != tt.optional || len(said) == 0 {
			t.Errorf("%s, accepted: exit %d, %q", name, exit, said)
		}
		said, _ = lacks(t, tt.what, tt.root, "probe", "5")
		var failed []string
		for line := range bytes.Lines(said) {
			var l confine.Layer
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatalf("%s: %q", name, said)
			}
			if !l.OK && l.Needed {
				failed = append(failed, l.Layer)
			}
		}
		if !slices.Equal(failed, []string{tt.layer}) {
			t.Errorf("%s: the probe says that %v fail: %s", name, failed, said)
		}
	}
}

// Without landlock no program runs, whatever the owner accepts.
func TestNoCommandWithoutLandlock(t *testing.T) {
	t.Parallel()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(filepath.Dir(bin), "self") // where other users may execute it
	write(t, self, string(data), 0o755)
	for _, g := range guards(t) {
		g.without, g.lack, g.binary = "landlock,namespaces", "landlock", self
		e := g.run(t, sandbox.CommandTask{Program: "/usr/bin/uname"})
		if e.refused == nil || e.refused.Code != string(errs.CodeDenied) || !strings.Contains(e.refused.Error, "the kernel has no landlock") || e.stdout != "" {
			t.Errorf("%s: %s", g.name, e)
		}
	}
}
