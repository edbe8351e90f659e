package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// bin is the small binary, and probe the program that tries what no command
// may, both built once and root's own where the tests run as root.
var bin, probe string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if what := os.Getenv(lackEnv); what != "" {
		fmt.Fprintln(os.Stderr, lack(what)) // it returns only an error
		return 1
	}
	dir, err := os.MkdirTemp("/usr/local/lib", "hookline-test") // every folder on the way is root's alone
	if err != nil {
		dir, err = os.MkdirTemp("", "hookline-test")
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin, probe = filepath.Join(dir, "hookline-sandbox"), filepath.Join(dir, "probe")
	for out, pkg := range map[string]string{bin: "hookline/cmd/hookline-sandbox", probe: "hookline/cmd/hookline-sandbox/testdata/probe"} {
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "cannot build %s: %v\n%s", pkg, err, text)
			return 1
		}
	}
	return m.Run()
}

// A user of its own: the kernel counts threads by user, and other tests have
// commands of 65534 that start all they can.
const nobody = 61234

// guard is who starts a command in a test.
type guard struct {
	name     string
	ordinary bool // as an ordinary user: no namespaces, no change of user
	uid      uint32
	bare     bool // as root without namespaces
	without  string
	binary   string
	lack     string // what is taken away from it
}

// guards are the ways in which a command can run: by a guard that is root, as
// root and as somebody else, and by one that is not.
func guards(t *testing.T) []guard {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("not root: only the ordinary user is tried")
		return []guard{{name: "user", ordinary: true, uid: uint32(os.Geteuid())}}
	}
	return []guard{
		{name: "root", uid: 0}, {name: "service", uid: nobody}, {name: "user", ordinary: true, uid: nobody},
	}
}

// ended is how a command ended.
type ended struct {
	stdout, stderr string
	exit           int
	signal         syscall.Signal
	refused        *sandbox.CommandAnswer // why it did not run, nil where it did
	cpu            time.Duration
}

func (e ended) String() string {
	if e.refused != nil {
		return "refused: " + e.refused.Code + ": " + e.refused.Error
	}
	return fmt.Sprintf("exit %d, signal %d, stdout %.2000q, stderr %.2000q", e.exit, e.signal, e.stdout, e.stderr)
}

// run runs a command as the guard does, and waits for its end.
func (g guard) run(t *testing.T, task sandbox.CommandTask) ended {
	t.Helper()
	task.UID, task.GID = g.uid, g.uid
	frame, err := wire.Encode(task, nil, sandbox.MaxFrameBytes)
	if err != nil {
		t.Fatal(err)
	}
	return g.start(t, frame)
}

func (g guard) start(t *testing.T, frame []byte) ended {
	t.Helper()
	// The command ends with the thread that started it, which must not go on to
	// a test that ends its thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	taskR, taskW := pipe(t)
	statusR, statusW := pipe(t)
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), bin, "command", "2")
	if g.binary != "" {
		cmd.Path = g.binary
	}
	if g.without != "" {
		cmd.Args = append(cmd.Args, "without="+g.without)
	}
	cmd.Dir = "/"
	cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=none", "SECRET=of the guard"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(""), &stdout, &stderr
	if g.lack != "" {
		cmd.Args = append([]string{g.binary, bin}, cmd.Args[1:]...)
		cmd.Env = []string{lackEnv + "=" + g.lack}
	}
	cmd.ExtraFiles = []*os.File{taskR, statusW}
	cmd.SysProcAttr = g.attributes()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	taskR.Close()
	statusW.Close()
	if _, err := taskW.Write(frame); err != nil && !errors.Is(err, syscall.EPIPE) {
		t.Fatal(err)
	}
	taskW.Close()
	var e ended
	var answer sandbox.CommandAnswer
	if _, _, err := wire.Read(statusR, &answer, sandbox.MaxFrameBytes); err == nil {
		e.refused = &answer
	} else if !errors.Is(err, io.EOF) {
		t.Errorf("status: %v", err)
	}
	_ = cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	e.stdout, e.stderr, e.exit = stdout.String(), stderr.String(), status.ExitStatus()
	e.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if status.Signaled() {
		e.signal = status.Signal()
	}
	return e
}

// attributes are how the guard starts a process.
func (g guard) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	switch {
	case g.ordinary && os.Geteuid() == 0:
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	case !g.ordinary && !g.bare:
		attr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNS
	}
	return attr
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

// Programs that people use to look at a machine do their work.
func TestCommands(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		program string
		args    []string
		reads   []string
		syslog  bool
		stdout  string   // part of it
		not     []string // guards with whom it may fail
	}{
		"kernel":    {program: "/usr/bin/uname", args: []string{"-s", "-r"}, stdout: "Linux "},
		"by a link": {program: "/bin/uname", args: []string{"-s"}, stdout: "Linux\n"},
		"disks":     {program: "/usr/bin/df", args: []string{"-k", "/"}, reads: []string{"/proc/mounts"}, stdout: "Mounted on"},
		"a file":    {program: "/usr/bin/cat", args: []string{"/etc/passwd"}, reads: []string{"/etc/passwd"}, stdout: "root:"},
		"of proc":   {program: "/usr/bin/cat", args: []string{"/proc/meminfo"}, reads: []string{"/proc/meminfo"}, stdout: "MemTotal"},
		"of sysctl": {program: "/usr/bin/cat", args: []string{"/proc/sys/kernel/osrelease"}, reads: []string{"/proc/sys/kernel/osrelease"}, stdout: "."},
		"by a name": {program: "/usr/bin/cat", args: []string{"/etc/os-release"}, reads: []string{"/etc/os-release"}, stdout: "NAME="},
		"a digest":  {program: "/usr/bin/sha256sum", args: []string{"/etc/passwd"}, reads: []string{"/etc/**"}, stdout: "  /etc/passwd"},
		"a folder":  {program: "/usr/bin/ls", args: []string{"-l", "/usr/bin/env"}, stdout: "/usr/bin/env"},
		"names":     {program: "/usr/bin/ls", args: []string{"/etc/apt"}, reads: []string{"/etc/apt/**"}, stdout: "sources.list"},
		"facts":     {program: "/usr/bin/stat", args: []string{"-c", "%U %u %F", "/etc/passwd"}, stdout: " 0 regular file"},
		"a sum":     {program: "/usr/bin/free", reads: []string{"/proc/meminfo"}, stdout: "Mem:"},
		"packages":  {program: "/usr/bin/dpkg-query", args: []string{"-W", "base-files"}, reads: []string{"/var/lib/dpkg/**"}, stdout: "base-files\t"},
		"a check":   {program: "/usr/bin/dpkg", args: []string{"--verify", "base-files"}, reads: []string{"/etc/**", "/usr/**", "/var/lib/dpkg/**"}},
		"its user":  {program: "/usr/bin/id", args: []string{"-u"}},
		"journal":   {program: "/usr/bin/journalctl", args: []string{"--no-pager", "-n", "1"}, reads: []string{"/var/log/journal/**", "/run/log/journal/**"}},
		"modes":     {program: "/usr/bin/ls", args: []string{"-la", "/usr/bin/passwd"}, stdout: "/usr/bin/passwd"},
		"the log":   {program: "/usr/bin/dmesg", syslog: true, not: []string{"user"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(tt.program); err != nil {
				t.Skipf("not on this machine: %v", err)
			}
			for _, g := range guards(t) {
				e := g.run(t, sandbox.CommandTask{Program: tt.program, Args: tt.args, Reads: tt.reads, Syslog: tt.syslog})
				t.Logf("%s: %s, %v of processor time", g.name, e, e.cpu)
				if strings.Contains(strings.Join(tt.not, " "), g.name) {
					continue
				}
				if e.refused != nil || e.exit != 0 || !strings.Contains(e.stdout, tt.stdout) {
					t.Errorf("%s: %s", g.name, e)
				}
			}
		})
	}
}

// What is not signed a program does not get, and the environment is not the
// guard's.
func TestCommandGetsNoMore(t *testing.T) {
	t.Parallel()
	for _, g := range guards(t) {
		for name, task := range map[string]sandbox.CommandTask{
			"another file":     {Program: "/usr/bin/cat", Args: []string{"/etc/hostname"}, Reads: []string{"/etc/passwd"}},
			"shadow":           {Program: "/usr/bin/cat", Args: []string{"/etc/shadow"}, Reads: []string{"/usr/**"}},
			"a process":        {Program: "/usr/bin/cat", Args: []string{"/proc/1/environ"}, Reads: []string{"/proc/meminfo"}},
			"a folder":         {Program: "/usr/bin/ls", Args: []string{"/etc"}, Reads: []string{"/etc/passwd"}},
			"the kernel's log": {Program: "/usr/bin/dmesg"},
			"to clear the log": {Program: "/usr/bin/dmesg", Args: []string{"-C"}, Syslog: true},
			"another program":  {Program: "/usr/bin/env", Args: []string{"/usr/bin/true"}},
			"all processes":    {Program: "/usr/bin/ps", Args: []string{"aux"}},
		} {
			e := g.run(t, task)
			if e.refused != nil || e.exit == 0 || e.stdout != "" && name != "all processes" {
				t.Errorf("%s, %s: %s", g.name, name, e)
			}
		}
		e := g.run(t, sandbox.CommandTask{Program: "/usr/bin/env"})
		if want := "LC_ALL=C\nPATH=/usr/bin:/bin\nHOME=/\nTERM=dumb\n"; e.stdout != want {
			t.Errorf("%s: %s", g.name, e)
		}
	}
}

// Programs that are not root's own, and what is no compiled program, are
// refused before anything runs, with the reason.
func TestRefusedPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(filepath.Dir(bin), "script")
	writable := filepath.Join(filepath.Dir(bin), "writable")
	copyOf := filepath.Join(dir, "uname")
	if os.Geteuid() == 0 {
		write(t, script, "#!/bin/sh\necho ran\n", 0o755)
		write(t, writable, "\x7fELF", 0o757)
	}
	data, err := os.ReadFile("/usr/bin/uname")
	if err != nil {
		t.Fatal(err)
	}
	write(t, copyOf, string(data), 0o755)
	for name, tt := range map[string]struct {
		task sandbox.CommandTask
		code errs.Code
		says string
		root bool // needs files of root
	}{
		"no such":             {sandbox.CommandTask{Program: "/usr/bin/nonesuch"}, errs.CodeCallFailed, "no such file", false},
		"a script":            {sandbox.CommandTask{Program: script}, errs.CodeDenied, "only a compiled program", true},
		"one others write":    {sandbox.CommandTask{Program: writable}, errs.CodeDenied, "can be changed by others", true},
		"in a folder of all":  {sandbox.CommandTask{Program: copyOf}, errs.CodeDenied, "can be changed by others", false},
		"a folder":            {sandbox.CommandTask{Program: "/usr/bin"}, errs.CodeDenied, "not a regular file", false},
		"a loader":            {sandbox.CommandTask{Program: "/lib64/ld-linux-x86-64.so.2"}, errs.CodeDenied, "runs other programs", false},
		"relative":            {sandbox.CommandTask{Program: "usr/bin/uname"}, errs.CodeBadInput, "absolute", false},
		"a secret among them": {sandbox.CommandTask{Program: "/usr/bin/cat", Reads: []string{"/etc/shadow"}}, errs.CodeDenied, "never read", false},
		"too many arguments":  {sandbox.CommandTask{Program: "/usr/bin/cat", Args: make([]string, 33)}, errs.CodeBadInput, "too large", false},
		"a zero byte":         {sandbox.CommandTask{Program: "/usr/bin/cat", Args: []string{"a\x00b"}}, errs.CodeBadInput, "zero byte", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(tt.task.Program); strings.HasPrefix(tt.task.Program, "/lib64") && err != nil {
				t.Skipf("not on this machine: %v", err)
			}
			if tt.root && os.Geteuid() != 0 {
				t.Skip("needs root, to make a file of root")
			}
			for _, g := range guards(t) {
				e := g.run(t, tt.task)
				if e.refused == nil || e.refused.Code != string(tt.code) || !strings.Contains(e.refused.Error, tt.says) || e.exit != 97 || e.stdout != "" {
					t.Errorf("%s: %s", g.name, e)
				}
			}
		})
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
