package spawn_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hookline/sandbox/spawn"
)

// binary is the small binary, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hookline-spawn-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "hookline-sandbox")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "hookline/cmd/hookline-sandbox")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the small binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// The peak of a process is its own, not that of the one that started it.
func TestPeakMemory(t *testing.T) {
	t.Parallel()
	mine := make([]byte, 256<<20)
	for i := 0; i < len(mine); i += 4096 {
		mine[i] = 1
	}
	in, stdin, err := spawn.Pipe(spawn.Writing)
	if err != nil {
		t.Fatal(err)
	}
	stdout, out, err := spawn.Pipe(spawn.Reading)
	if err != nil {
		t.Fatal(err)
	}
	defer spawn.CloseAll(in, stdin, stdout, out)
	p, err := spawn.Start(spawn.Options{
		Binary: binary, Args: []string{"worker", "5"}, CPU: 5 * time.Second, Isolate: true, Files: []*os.File{in, out},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_ = stdout.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := stdout.Read(make([]byte, 64)); err != nil { // it is confined and waits for its script
		t.Fatal(err)
	}
	if peak := p.PeakMemory(); peak < 1<<20 || peak > 64<<20 || mine[0] != 1 {
		t.Errorf("%d KiB", peak>>10)
	} else {
		t.Logf("a worker that waits: %d KiB", peak>>10)
	}
	p.Wait(0)
	if peak := p.PeakMemory(); peak != 0 {
		t.Errorf("after its end: %d", peak)
	}
}

// BenchmarkSpawn is the bare small binary, started and waited for, without and
// with namespaces of its own: what a run is measured against.
func BenchmarkSpawn(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	for name, isolate := range map[string]bool{"bare": false, "isolated": true} {
		b.Run(name, func(b *testing.B) {
			if err := spawn.MayIsolate(); isolate && err != nil {
				b.Skip(err)
			}
			for b.Loop() {
				p, err := spawn.Start(spawn.Options{Binary: binary, Isolate: isolate, Files: []*os.File{null, null}})
				if err != nil {
					b.Fatal(err)
				}
				p.Wait(time.Minute)
				p.Close()
			}
		})
	}
}
