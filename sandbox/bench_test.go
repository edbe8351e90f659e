package sandbox_test

import (
	"context"
	"os/exec"
	"testing"

	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// BenchmarkSpawn is the raw cost under every run: one bare start of the small
// binary, which ends at once with a usage error.
func BenchmarkSpawn(b *testing.B) {
	for b.Loop() {
		cmd := exec.Command(binary)
		if err := cmd.Run(); err == nil {
			b.Fatal("no usage error")
		}
	}
}

// BenchmarkRun is a whole live run of a hook that reads a file and sets a field.
func BenchmarkRun(b *testing.B) {
	runner := &sandbox.Runner{Binary: binary}
	work := task(`report.set("Raw", fs.read("/proc/sys/kernel/osrelease"))`, "/proc/sys/kernel/osrelease")
	for b.Loop() {
		if out, err := runner.Run(context.Background(), work); err != nil || out.Code != "" {
			b.Fatal(out, err)
		}
	}
}

// BenchmarkRecorded is the same over fixtures.
func BenchmarkRecorded(b *testing.B) {
	work := task(`report.set("Raw", fs.read("/a"))`, "/a")
	f := replay.Fixtures{Files: map[string]string{"/a": "6.1.0\n"}}
	for b.Loop() {
		if out, err := replay.Run(context.Background(), binary, work, f); err != nil || out.Code != "" {
			b.Fatal(out, err)
		}
	}
}

// BenchmarkCalls is 1,000 fields read in one run.
func BenchmarkCalls(b *testing.B) {
	runner := &sandbox.Runner{Binary: binary}
	work := task(`for i = 1, 1000 do report.get("Package") end`)
	for b.Loop() {
		if out, err := runner.Run(context.Background(), work); err != nil || out.Code != "" {
			b.Fatal(out, err)
		}
	}
}
