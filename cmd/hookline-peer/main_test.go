package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hookline/internal/enroll"
	"hookline/internal/guard"
	"hookline/internal/guardwire"
	"hookline/internal/source"
	"hookline/sandbox"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust/keeper"
)

// bin is the folder of the programs, built once; other users may run them.
var bin string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hookline-peer-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin = dir
	for _, name := range []string{"hookline-peer", sandbox.BinaryName} {
		build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(bin, name), "hookline/cmd/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "cannot build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	return m.Run()
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("S", filepath.Join(e.WorkDir, "state"))
			e.Setenv("TZ", "UTC")
			e.Setenv("NOBODY", enroll.Line{
				Address: "127.0.0.1:1", Deployment: "d-00112233445566778899aabbccddeeff", SetupKey: enroll.NewSetupKey(),
				RootDigest: strings.Repeat("ab", 32), CADigest: strings.Repeat("cd", 32),
			}.String())
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"pinned": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(pinned(ts.MkAbs("state"), args[0])) },
			"running": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(running(ts.MkAbs("state")))
			},
			// code N CMD… runs a command that must end with N.
			"code": func(ts *testscript.TestScript, _ bool, args []string) {
				code := 0
				var ended *exec.ExitError
				if err := ts.Exec(args[1], args[2:]...); errors.As(err, &ended) {
					code = ended.ExitCode()
				}
				if fmt.Sprint(code) != args[0] {
					ts.Fatalf("code %d, want %s", code, args[0])
				}
			},
		},
	})
}

// pinned enrols a state folder without a server, in a profile.
func pinned(state, profile string) error {
	seed := bytes.Repeat([]byte{7}, 32)
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
	if err != nil {
		return err
	}
	alice, err := signer.New(key)
	if err != nil {
		return err
	}
	p := signing.Policy{
		Deployment: "d-00112233445566778899aabbccddeeff", Profile: signing.Profile(profile), MaxLifetime: 24 * time.Hour,
		Needs: map[string]int{}, Forbidden: []string{},
		Persons: []signing.Person{{Name: "alice", Roles: []signing.Role{signing.RoleAuthor}, Keys: []signing.PublicKey{alice.Public()}}},
	}
	if err := os.MkdirAll(filepath.Join(state, "net"), 0o755); err != nil {
		return err
	}
	e, err := founded(p, alice)
	if err != nil {
		return err
	}
	return guard.Enroll(filepath.Join(state, "guard"), e)
}

// founded is an enrolment in a new deployment of one person.
func founded(p signing.Policy, alice *signer.Signer) (guard.Enrolment, error) {
	dir, err := os.MkdirTemp("", "hookline-offline")
	if err != nil {
		return guard.Enrolment{}, err
	}
	defer os.RemoveAll(dir)
	people, err := keeper.Init(dir, keeper.Plan{Policy: p.YAML()}, time.Now)
	if err == nil {
		_, err = people.Sign(alice)
	}
	if err == nil {
		_, err = people.Freshen(alice, 0)
	}
	if err != nil {
		return guard.Enrolment{}, err
	}
	anchor, err := people.Anchor()
	if err != nil {
		return guard.Enrolment{}, err
	}
	bundle, err := people.Bundle()
	if err != nil {
		return guard.Enrolment{}, err
	}
	raw, err := bundle.Encode()
	return guard.Enrolment{Anchor: anchor, Trust: raw, PeerSPKI: strings.Repeat("ab", 32), AcceptSolo: true, Now: time.Now}, err
}

// running waits for a guard.
func running(state string) error {
	g := source.Guard{Socket: filepath.Join(state, "guard", guard.SocketName)}
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err = g.Ask(context.Background(), guardwire.Request{Op: guardwire.OpStatus}); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no guard came up: %w", err)
}

// asUser runs hookline-peer as an ordinary user, whatever we are.
type asUser struct {
	t     *testing.T
	state string
	uid   uint32
}

func (u asUser) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, "hookline-peer"), append([]string{"--state", u.state}, args...)...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.uid, Gid: u.uid, NoSetGroups: false}}
	}
	return cmd
}

func (u asUser) run(args ...string) (string, int) {
	u.t.Helper()
	cmd := u.command(args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		u.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// All of it works for an ordinary user, guard and network side apart.
func TestWithoutRoot(t *testing.T) {
	dir, err := os.MkdirTemp("", "hookline-peer-user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	u := asUser{t: t, state: filepath.Join(dir, "state"), uid: 54321}
	if err := pinned(u.state, "solo"); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if out, err := exec.Command("chown", "-R", "54321:54321", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	if out, code := u.run("allow", "--send-reports=yes"); code != 0 {
		t.Fatalf("allow: %d %s", code, out)
	}
	guarding := u.command("run")
	var log bytes.Buffer
	guarding.Stderr = &log
	if err := guarding.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = guarding.Process.Signal(syscall.SIGTERM)
		if err := guarding.Wait(); err != nil {
			t.Errorf("run ended %v\n%s", err, log.String())
		}
	})
	if err := running(u.state); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if out, code := u.run("exec", "sh", "-c", "kill -9 $$"); code != 137 || !strings.Contains(out, "filed report") {
		t.Errorf("exec: %d %s", code, out)
	}
	if out, code := u.run("status"); code != 0 || !strings.Contains(out, "1 not yet confirmed") {
		t.Errorf("status: %d %s", code, out)
	}
	if os.Geteuid() == 0 {
		stranger := asUser{t: t, state: u.state, uid: 54322}
		if out, code := stranger.run("log"); code == 0 {
			t.Errorf("a stranger reads the log: %s", out)
		}
	}
}

// As root's, the network side is another user who keeps no way back and can
// read nothing of the guard.
func TestNetworkSideIsNobodyHere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives its network side to another user")
	}
	state := filepath.Join(t.TempDir(), "state") // below a folder that only root may pass
	if err := pinned(state, "solo"); err != nil {
		t.Fatal(err)
	}
	guarding := exec.Command(filepath.Join(bin, "hookline-peer"), "--state", state, "run")
	if err := guarding.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = guarding.Process.Signal(syscall.SIGTERM)
		_ = guarding.Wait()
	}()
	if err := running(state); err != nil {
		t.Fatal(err)
	}
	want := []string{"Uid:\t64117\t64117\t64117\t64117", "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "Groups:\t \n"}
	if u, err := user.Lookup(networkUser); err == nil {
		want[0] = "Uid:\t" + u.Uid
	}
	var status string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		status = childStatus(t, guarding.Process.Pid)
		if !slices.ContainsFunc(want, func(s string) bool { return !strings.Contains(status, s) }) {
			return
		}
	}
	t.Errorf("the network side never became nobody:\n%s", status)
}

// childStatus is /proc's word about the one child of a process.
func childStatus(t *testing.T, pid int) string {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if child := strings.TrimSpace(string(b)); err == nil && child != "" {
			status, err := os.ReadFile("/proc/" + child + "/status")
			if err == nil {
				return string(status)
			}
		}
	}
	return ""
}

// A signal to exec reaches the command, and a death that it caused is no crash.
func TestExecPassesSignalsOn(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	cmd := exec.Command(filepath.Join(bin, "hookline-peer"), "--state", state, "exec", "sh", "-c", "echo ready; exec sleep 60")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 16)
	if n, err := out.Read(line); err != nil || !strings.HasPrefix(string(line[:n]), "ready") {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 128+15 || stderr.Len() > 0 {
		t.Errorf("code %d, %s", code, stderr.String())
	}
}

// Root's peer does not use folders in which another user could put links.
func TestForeignStateIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, state string) error{
		"anybody's": func(_ *testing.T, state string) error {
			return errors.Join(os.Mkdir(state, 0o755), os.Chmod(state, 0o777))
		},
		"another user's": func(t *testing.T, state string) error {
			if os.Geteuid() != 0 {
				t.Skip("needs another user")
			}
			return errors.Join(os.Mkdir(state, 0o755), os.Chown(state, 54321, 54321))
		},
		"a link for a folder": func(t *testing.T, state string) error {
			return errors.Join(os.Mkdir(state, 0o755), os.Symlink(t.TempDir(), filepath.Join(state, "net")))
		},
		"a link for the guard's": func(t *testing.T, state string) error {
			return errors.Join(os.Mkdir(state, 0o755), os.Symlink(t.TempDir(), filepath.Join(state, "guard")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			state := filepath.Join(t.TempDir(), "state")
			if err := spoil(t, state); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(filepath.Join(bin, "hookline-peer"), "--state", state, "run").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "it is not a folder that only user") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
