package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hookline": main})
}

// TestScripts runs testdata/*.txtar: everything that needs no server.
func TestScripts(t *testing.T) {
	binary := sandboxForTests(t)
	examples, err := filepath.Abs("../../examples/hooks")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOOKLINE_SANDBOX", binary)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("EXAMPLES", examples)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"mode":  mode,
		},
	})
}

// sandboxForTests is the small binary: the one that was built, or one made here.
func sandboxForTests(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("HOOKLINE_SANDBOX"); path != "" {
		return path
	}
	if dir := os.Getenv("HOOKLINE_BIN"); dir != "" {
		return filepath.Join(dir, "hookline-sandbox")
	}
	path := filepath.Join(t.TempDir(), "hookline-sandbox")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "hookline/cmd/hookline-sandbox")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the small binary: %v\n%s", err, out)
	}
	return path
}

// exits runs hookline and wants an exit code: exits CODE ARGS…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARGS...")
	}
	err := ts.Exec("hookline", args[1:]...)
	code := "0"
	if err != nil {
		exit, ok := err.(*exec.ExitError) //nolint:errorlint // testscript returns it as it is
		if !ok {
			ts.Fatalf("cannot run hookline: %v", err)
		}
		code = strconv.Itoa(exit.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// mode wants a file's permissions: mode 0600 FILE
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode BITS FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := "0" + octal(info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

func octal(m os.FileMode) string {
	return string([]byte{'0' + byte(m>>6&7), '0' + byte(m>>3&7), '0' + byte(m&7)})
}
