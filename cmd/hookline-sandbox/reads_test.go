package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// rooted makes a folder that root alone can change.
func rooted(t *testing.T, in string) string {
	t.Helper()
	dir, err := os.MkdirTemp(in, "hookline-test")
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// folderWith makes a folder with a file named file.
func folderWith(t *testing.T, dir, text string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "file"), text, 0o644)
	return dir
}

func symlink(t *testing.T, to, at string) string {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
	return at
}

// Links that only root can have made are followed, in the last place and on
// the way, but not to what is never read.
func TestCommandFollowsRootsLinks(t *testing.T) {
	t.Parallel()
	needRootedProbe(t)
	dir, home := rooted(t, "/usr/local/lib"), rooted(t, "/root")
	open := folderWith(t, filepath.Join(dir, "open"), "open")
	folderWith(t, filepath.Join(open, "sub"), "open")
	hidden := folderWith(t, filepath.Join(dir, "private"), "secret")
	folderWith(t, filepath.Join(hidden, "sub"), "secret")
	folderWith(t, filepath.Join(home, "sub"), "secret")
	file := symlink(t, filepath.Join(open, "file"), filepath.Join(dir, "file"))
	tree := symlink(t, "open", filepath.Join(dir, "tree"))
	secret := symlink(t, filepath.Join(hidden, "file"), filepath.Join(dir, "secret"))
	inHidden := symlink(t, hidden, filepath.Join(dir, "in-private"))
	box := symlink(t, folderWith(t, filepath.Join(dir, "box.key"), "secret"), filepath.Join(dir, "box"))
	inHome := symlink(t, home, filepath.Join(dir, "in-root"))
	for _, tt := range []struct {
		name, path, reads string
		opens             bool
	}{
		{"a file", file, file, true},
		{"a file by the real name", open + "/file", file, true},
		{"a tree", tree + "/sub/file", tree + "/**", true},
		{"a file on the way", tree + "/file", tree + "/file", true},
		{"a tree on the way", tree + "/sub/file", tree + "/sub/**", true},
		{"not its neighbour", tree + "/file", tree + "/sub/**", false},
		{"a secret", secret, secret, false},
		{"a secret name", box + "/file", box + "/**", false},
		{"a secret tree", inHidden + "/file", inHidden + "/**", false},
		{"a secret on the way", inHidden + "/file", inHidden + "/file", false},
		{"a tree in a secret place", inHome + "/sub/file", inHome + "/sub/**", false},
		{"a secret place", inHome + "/file", inHome + "/**", false},
	} {
		g := guard{name: "root", uid: 0}
		e := g.run(t, sandbox.CommandTask{Program: "/usr/bin/cat", Args: []string{tt.path}, Reads: []string{tt.reads}})
		if e.refused != nil || e.stdout == "open" != tt.opens || !tt.opens && (e.stdout != "" || e.exit == 0) {
			t.Errorf("%s: %s", tt.name, e)
		}
	}
}

// What belongs to the peer itself no program reads, by whatever name.
func TestCommandReadsNothingOfThePeer(t *testing.T) {
	t.Parallel()
	needRootedProbe(t)
	dir := rooted(t, "/usr/local/lib")
	peer := folderWith(t, filepath.Join(dir, "peer", "state"), "secret")
	other := folderWith(t, filepath.Join(dir, "other"), "open")
	key := filepath.Join(other, "key")
	second := filepath.Join(dir, "second")
	write(t, key, "secret", 0o644)
	if err := os.Link(key, second); err != nil {
		t.Fatal(err)
	}
	byLink := symlink(t, peer, filepath.Join(dir, "link"))
	above := symlink(t, filepath.Dir(peer), filepath.Join(dir, "above"))
	moved := filepath.Join(dir, "moved")
	if err := os.Mkdir(moved, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(filepath.Dir(peer), moved, "", syscall.MS_BIND, ""); err != nil {
		t.Logf("no mounts can be made, so that none is tried: %v", err)
		moved = filepath.Dir(peer)
	} else {
		t.Cleanup(func() { _ = syscall.Unmount(moved, syscall.MNT_DETACH) })
	}
	deny := []string{peer, key, filepath.Join(dir, "none")}
	for name, reads := range map[string]string{
		"at": peer + "/**", "below": peer + "/file", "above": filepath.Dir(peer) + "/**", "a file": key,
		"around a file": other + "/**", "by a link": byLink + "/**", "below a link": byLink + "/file",
		"above by a link": above + "/**", "by a second name": second,
		"mounted": moved + "/state/**", "above, mounted": moved + "/**", "below, mounted": moved + "/state/file",
	} {
		for _, g := range guards(t) {
			e := g.run(t, sandbox.CommandTask{Program: "/usr/bin/cat", Args: []string{peer + "/file"}, Reads: []string{"/etc/passwd", reads}, Deny: deny})
			if e.refused == nil || e.refused.Code != "denied" || !strings.Contains(e.refused.Error, "belongs to the peer itself") || e.stdout != "" {
				t.Errorf("%s, %s: %s", g.name, name, e)
			}
		}
	}
	for _, reads := range []string{other + "/file", "/usr/local/lib/none/**", filepath.Join(dir, "peer-of-others")} {
		e := guard{name: "root"}.run(t, sandbox.CommandTask{Program: "/usr/bin/cat", Args: []string{other + "/file"}, Reads: []string{reads}, Deny: deny})
		if e.refused != nil || (e.stdout == "open") != (reads == other+"/file") {
			t.Errorf("%s: %s", reads, e)
		}
	}
}

// Of programs only the signed one is executed: not what lies among its
// libraries, and not what it may read.
func TestCommandExecutesNothingElse(t *testing.T) {
	t.Parallel()
	needRootedProbe(t)
	dir := rooted(t, "/usr/lib")
	dynamic := filepath.Join(dir, "dynamic") // needs a loader, and so may read libraries
	build := exec.Command("go", "build", "-trimpath", "-buildmode=pie", "-o", dynamic, "hookline/cmd/hookline-sandbox/testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(probe)
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(dir, "program")
	write(t, library, string(data), 0o755)
	elsewhere := filepath.Join(rooted(t, "/usr/local/lib"), "program")
	write(t, elsewhere, string(data), 0o755)
	for _, g := range guards(t) {
		for name, task := range map[string]sandbox.CommandTask{
			"among the libraries": {Program: dynamic, Args: []string{"become", library}},
			"in a signed tree":    {Program: probe, Args: []string{"become", elsewhere}, Reads: []string{filepath.Dir(elsewhere) + "/**"}},
			"a signed file":       {Program: probe, Args: []string{"become", elsewhere}, Reads: []string{elsewhere}},
		} {
			if e := g.run(t, task); e.refused != nil || e.stdout != "permission denied\n" || e.exit != 0 {
				t.Errorf("%s, %s: %s", g.name, name, e)
			}
		}
	}
}

// A command ends with the thread that started it, as it does with the guard.
func TestCommandEndsWithItsGuard(t *testing.T) {
	t.Parallel()
	needRootedProbe(t)
	all := append(guards(t), guard{name: "bare", uid: nobody, bare: true, without: "namespaces"})
	for _, g := range all {
		for _, syslog := range []bool{false, true} {
			task := sandbox.CommandTask{Program: probe, Args: []string{"wait"}, Syslog: syslog, UID: g.uid, GID: g.uid}
			frame, err := wire.Encode(task, nil, sandbox.MaxFrameBytes)
			if err != nil {
				t.Fatal(err)
			}
			g.orphan(t, frame)
		}
	}
}

// orphan starts a command on a thread that ends as soon as the program runs.
func (g guard) orphan(t *testing.T, frame []byte) {
	t.Helper()
	taskR, taskW := pipe(t)
	outR, outW := pipe(t)
	_, statusW := pipe(t)
	cmd := exec.Command(bin, "command", "2")
	if g.without != "" {
		cmd.Args = append(cmd.Args, "without="+g.without)
	}
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.Stdout, cmd.ExtraFiles = outW, []*os.File{taskR, statusW}
	cmd.SysProcAttr = g.attributes()
	started := make(chan error)
	go onOwnThread(func() {
		err := cmd.Start()
		if err == nil {
			_, err = taskW.Write(frame)
		}
		if err == nil {
			_, err = outR.Read(make([]byte, 16)) // it runs
		}
		started <- err
	})
	if err := <-started; err != nil {
		t.Fatalf("%s: %v", g.name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("%s: %v", g.name, err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s: the command outlives its guard's thread", g.name)
		_ = cmd.Process.Kill()
		t.Logf("killed: %v", <-ended)
	}
}

// onOwnThread runs do on a thread that ends with it. The first thread of a
// program never ends: where that is this one, another is taken.
func onOwnThread(do func()) {
	runtime.LockOSThread() // and not unlocked, so that the thread ends
	if unix.Gettid() != os.Getpid() {
		do()
		return
	}
	defer runtime.UnlockOSThread()
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOwnThread(do)
	}()
	<-done
}
