package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hookline/sandbox"
)

// A confined program tries to get out, and to change or to see what it must
// not: in each way in which a command can run.
func TestCommandCannotEscape(t *testing.T) {
	t.Parallel()
	needRootedProbe(t)
	for _, g := range guards(t) {
		if e := g.run(t, attempt(t)); e.refused != nil || e.stdout != "tried\n" {
			t.Errorf("%s: %s", g.name, e)
		}
	}
}

// attempt is the probe with a folder that its user may write.
func attempt(t *testing.T) sandbox.CommandTask {
	t.Helper()
	dir, err := os.MkdirTemp("", "hookline-command") // below no folder of one user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	write(t, filepath.Join(dir, "file"), "text", 0o666)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return sandbox.CommandTask{
		Program: probe, Args: []string{"try", dir, strconv.Itoa(os.Getpid())},
		Reads: []string{filepath.Join(dir, "file")},
	}
}

// needRootedProbe skips where the probe is not root's own, so that no command
// could run it.
func needRootedProbe(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, which alone can make a program that commands may run")
	}
}

// Each limit ends a program that goes beyond it, and nothing else.
func TestCommandLimits(t *testing.T) { // not at the same time as others of its user, who would get no threads
	needRootedProbe(t)
	for _, g := range guards(t) {
		e := g.run(t, sandbox.CommandTask{Program: probe, Args: []string{"memory"}})
		lines := strings.Split(strings.TrimSpace(e.stdout), "\n")
		most, err := strconv.Atoi(lines[len(lines)-1])
		if err != nil || most < 16 || most > sandbox.MaxCommandDataBytes>>20 || e.exit == 0 {
			t.Errorf("memory, %s: %d MiB, %s", g.name, most, e)
		}
		e = g.run(t, sandbox.CommandTask{Program: probe, Args: []string{"tables"}})
		most, err = strconv.Atoi(strings.TrimSpace(e.stdout))
		if err != nil || most < 256 || most > 2<<10 { // the runtime holds the rest
			t.Errorf("addresses, %s: %d MiB, %s", g.name, most, e)
		}
		e = g.run(t, sandbox.CommandTask{Program: probe, Args: []string{"cpu"}})
		if e.signal != syscall.SIGKILL || e.cpu < time.Second || e.cpu > 4*time.Second {
			t.Errorf("processor, %s: %s after %v of processor time", g.name, e, e.cpu)
		}
	}
	// Of root the kernel counts no threads: there memory and time bound them.
	for _, g := range guards(t)[1:] {
		if e := g.run(t, sandbox.CommandTask{Program: probe, Args: []string{"threads"}}); e.exit == 0 || !strings.Contains(e.stderr, "thread") {
			t.Errorf("threads, %s: %s", g.name, e)
		}
	}
}

// Whatever the guard may, a command holds at most two capabilities.
func TestCommandCapabilities(t *testing.T) {
	t.Parallel()
	needRootedProbe(t)
	for _, tt := range []struct {
		g      guard
		syslog bool
		want   string // effective, permitted, inheritable: two words each; bit 2 is to read files, bit 34 the log
	}{
		{guard{name: "root", uid: 0}, false, "<nil> [{4 4 4} {0 0 0}]"},
		{guard{name: "root, syslog", uid: 0}, true, "<nil> [{4 4 4} {4 4 4}]"},
		{guard{name: "service", uid: nobody}, false, "<nil> [{0 0 0} {0 0 0}]"},
		{guard{name: "service, syslog", uid: nobody}, true, "<nil> [{0 0 0} {4 4 4}]"},
		{guard{name: "user, syslog", ordinary: true, uid: nobody}, true, "<nil> [{0 0 0} {0 0 0}]"},
	} {
		e := tt.g.run(t, sandbox.CommandTask{Program: probe, Args: []string{"capabilities"}, Syslog: tt.syslog})
		if !strings.Contains(e.stdout, tt.want) {
			t.Errorf("%s: %s", tt.g.name, e)
		}
		if tt.g.ordinary {
			continue // who has no capability cannot drop one, and gets none: no_new_privs
		}
		bounding := map[string]string{"4 4 4} {0": "[2]\n", "4 4 4} {4": "[2 34]\n", "0 0 0} {0": "[]\n", "0 0 0} {4": "[34]\n"}
		e = tt.g.run(t, sandbox.CommandTask{Program: probe, Args: []string{"bounding"}, Syslog: tt.syslog})
		if want := bounding[tt.want[8:17]]; e.stdout != want || want == "" {
			t.Errorf("%s: bounding set, expected %q: %s", tt.g.name, want, e)
		}
	}
}

// A layer that is missing is an error, unless the owner accepts it.
func TestCommandNamesMissingLayers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: an ordinary user's commands have no namespaces to miss")
	}
	g := guard{name: "bare", uid: nobody, bare: true}
	task := sandbox.CommandTask{Program: "/usr/bin/uname"}
	if e := g.run(t, task); e.refused == nil || e.refused.Code != "sandbox-unconfined" || !strings.Contains(e.refused.Error, "the layer namespaces is missing") {
		t.Error(e)
	}
	g.without = "landlock,namespaces"
	if e := g.run(t, task); e.refused != nil || e.exit != 0 {
		t.Error(e)
	}
}

// A build for tests can leave out layers, and only that build.
func TestWeakening(t *testing.T) {
	t.Parallel()
	const symbol = "hookline/sandbox/confine.weakened"
	dir, err := os.MkdirTemp("", "hookline-weak") // where other users may start programs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	build := func(name string, args ...string) string {
		out := filepath.Join(dir, name)
		cmd := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", out}, args...), "hookline/cmd/hookline-sandbox")...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return out
	}
	// The linker is asked for the same of both.
	normal := build("normal", "-ldflags", "-X "+symbol+"=abi=2,seccomp")
	weak := build("weak", "-tags", "weaken", "-ldflags", "-X "+symbol+"=abi=2,seccomp")
	for _, tt := range []struct {
		file string
		want bool
	}{{normal, false}, {weak, true}} {
		names, err := exec.Command("go", "tool", "nm", tt.file).Output()
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(tt.file)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(names), symbol); got != tt.want {
			t.Errorf("%s has the switch: %v", filepath.Base(tt.file), got)
		}
		if got := strings.Contains(string(data), "abi=2,seccomp"); got != tt.want {
			t.Errorf("%s has its value: %v", filepath.Base(tt.file), got)
		}
	}
	needRootedProbe(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	task := attempt(t)
	task.Args = append(task.Args, "unix socket", "read shadow", "chmod")
	e := guard{name: "weak", uid: 0, binary: weak}.run(t, task)
	if !strings.Contains(e.stdout, "unix socket") || strings.Contains(e.stdout, "read shadow") {
		t.Errorf("without seccomp: %s", e)
	}
	// The filter alone keeps every file as it is.
	weak = build("unlocked", "-tags", "weaken", "-ldflags", "-X "+symbol+"=landlock")
	task = attempt(t)
	task.Args = append(task.Args, "open for writing", "open for both", "truncate by open", "create", "create unnamed", "openat2", "read its folder")
	for _, g := range guards(t) {
		g.binary = weak
		e := g.run(t, task)
		if lines := strings.Split(strings.TrimSpace(e.stdout), "\n"); len(lines) != 2 || lines[0] != "read its folder: <nil>" {
			t.Errorf("without landlock, %s: %s", g.name, e)
		}
	}
}

// What somebody else than root put in the place of a signed file leads a
// program of root to nothing else.
func TestCommandFollowsNobodysLinks(t *testing.T) {
	t.Parallel()
	needRootedProbe(t)
	dir, err := os.MkdirTemp("", "hookline-links")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	theirs := filepath.Join(dir, "theirs")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(theirs, 0o755), os.Chown(theirs, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	write(t, secret, "secret", 0o600)
	plain := filepath.Join(theirs, "plain")
	write(t, plain, "plain", 0o600)
	link, second, pipe := filepath.Join(theirs, "link"), filepath.Join(theirs, "second"), filepath.Join(theirs, "pipe")
	tree := filepath.Join(theirs, "tree") // to a folder of root's
	below := filepath.Join(dir, "below")
	if err := errors.Join(os.Mkdir(below, 0o755), os.WriteFile(filepath.Join(below, "file"), []byte("secret"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(secret, link), os.Link(secret, second), syscall.Mkfifo(pipe, 0o666), os.Symlink(dir, tree)); err != nil {
		t.Fatal(err)
	}
	g := guard{name: "root", uid: 0}
	cat := func(path, reads string) ended {
		return g.run(t, sandbox.CommandTask{Program: "/usr/bin/cat", Args: []string{path}, Reads: []string{reads}})
	}
	if e := cat(plain, plain); e.stdout != "plain" { // root reads what is somebody's
		t.Errorf("a plain file: %s", e)
	}
	for name, e := range map[string]ended{
		"a link":          cat(link, link),
		"a second name":   cat(second, second),
		"a pipe":          cat(pipe, pipe),
		"a link to a dir": cat(tree+"/secret", tree+"/**"),
		"out of a tree":   cat(link, theirs+"/**"),
		"a file on a way": cat(tree+"/below/file", tree+"/below/file"),
		"a dir on a way":  cat(tree+"/below/file", tree+"/below/**"),
	} {
		if e.refused != nil || e.exit == 0 || e.stdout != "" {
			t.Errorf("%s: %s", name, e)
		}
	}
}
