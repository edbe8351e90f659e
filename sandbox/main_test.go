package sandbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/sandbox"
)

// binary is the small binary, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Getenv(childEnv) != "" {
		return child()
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
func task(script string, read ...string) sandbox.Task {
	field := func(name string, t hooks.FieldType) hooks.DeclaredField {
		return hooks.DeclaredField{Name: name, Type: t, Class: hooks.ClassTechnical, MaxBytes: 64 << 10}
	}
	raw := field("Raw", hooks.TypeText)
	raw.Raw = true
	if read == nil {
		read = []string{}
	}
	return sandbox.Task{
		Script: []byte(script),
		Predicate: hooks.Predicate{
			Capabilities: hooks.ReadingOnly(read...),
			As:           hooks.AsService,
			Fields: []hooks.DeclaredField{
				field("Bool", hooks.TypeBool), field("Int", hooks.TypeInt), field("JSON", hooks.TypeJSON),
				field("Number", hooks.TypeNumber), raw, field("Text", hooks.TypeText), field("k", hooks.TypeJSON),
			},
			MaxResultBytes: 128 << 10,
			MaxRuntimeMS:   2000,
		},
		Report: hooks.Report{"Package": "nginx", "Signal": "6", "ExecutablePath": "/usr/sbin/nginx"},
		Facts:  hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1.0", Arch: "amd64"},
		Redact: sandbox.Redaction{Hosts: []string{"web-7"}, Users: []string{"alice"}},
		Now:    time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
	}
}
