package sandbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hookline/internal/tools/hostile/attack"
	"hookline/internal/tools/hostile/corpus"
	"hookline/sandbox"
)

// binary is the small binary, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if code, lied := lie(); lied {
		return code
	}
	if os.Getenv(childEnv) != "" {
		serve := corpus.Serve
		if len(os.Args) > 1 && os.Args[1] == asTarget {
			serve = attack.Serve
		}
		if err := serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "hookline-sandbox-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // other users run it too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, sandbox.BinaryName)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "hookline/cmd/hookline-sandbox")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the small binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// task is a run of script with the fields that the tests set.
func task(script string, read ...string) sandbox.Task { return corpus.Base(script, read...) }
