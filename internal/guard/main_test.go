package guard

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
)

// sandboxBinary is hookline-sandbox, built for the tests.
var sandboxBinary string

func TestMain(m *testing.M) {
	if slices.Contains(os.Args, networkSideArg) {
		os.Exit(shortLife())
	}
	if slices.Contains(os.Args, idleArg) {
		os.Exit(idleConnections(os.Args[len(os.Args)-1]))
	}
	os.Exit(testMain(m))
}

const idleArg = "test-idle-connections"

// idleConnections opens more connections than there is room for, says so on
// standard output, and holds them until its parent closes its standard input.
func idleConnections(socket string) int {
	var held []net.Conn
	for range 2 * maxOwnerConns {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		held = append(held, conn)
	}
	fmt.Println(len(held))
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent, however that ends
	return 0
}

// testProgram copies this program to where another user may run it.
func testProgram(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "guard.test")
	syscall.ForkLock.RLock() // a process that is started meanwhile would inherit the open file, and keep it from being run
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hookline-guard-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// The broker of a root's guard runs as somebody else.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	sandboxBinary = filepath.Join(dir, sandbox.BinaryName)
	build := exec.Command("go", "build", "-trimpath", "-o", sandboxBinary, "hookline/cmd/hookline-sandbox")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the sandbox: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// The real sandbox, from the job as it comes to what leaves.
func TestRunInTheRealSandbox(t *testing.T) {
	k := newKit(t).realSandbox()
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	lua := `
local mem = fs.read("/proc/meminfo")
report.set("Answer", report.get("Package") .. " " .. mem:match("^(%a+):"))`
	end := s.end(k.runScript(original, lua, nil))
	if end.Code != "" || string(end.Finish.Fields) != `{"Answer":"nginx MemTotal"}` {
		t.Fatalf("ended %q %s %s", end.Code, end.Reason, end.Finish.Fields)
	}
	e := lastEntry(t, g, KindOutcome)
	if !slices.ContainsFunc(e.Reads, func(r Read) bool { return r.Name == "fs.read" && r.Arg == "/proc/meminfo" && r.Code == "" }) {
		t.Errorf("reads %+v", e.Reads)
	}
	for _, tc := range []struct {
		lua  string
		code errs.Code
	}{
		{`error("no luck")`, errs.CodeHookError},
		{`while true do end`, errs.CodeLimitTime},
		{`this is not Lua`, errs.CodeBadScript},
		{`report.set("Package", "apache")`, errs.CodeResultFieldExists},
		{`fs.read("` + k.dir + `/pin.json")`, errs.CodeDenied},
	} {
		end := s.end(k.runScript(original, tc.lua, func(p *hooks.Predicate) { p.MaxRuntimeMS = 300 }))
		if end.Finish.Outcome != hooks.OutcomeFailed || end.Code != string(tc.code) || len(end.Finish.HookError) > 200 {
			t.Errorf("%s: %s %s %q", tc.lua, end.Finish.Outcome, end.Code, end.Finish.HookError)
		}
		if tc.code == errs.CodeHookError && !strings.HasPrefix(end.Finish.HookError, "hook-error: line ") {
			t.Errorf("%s: hook error %q", tc.lua, end.Finish.HookError)
		}
	}
}
