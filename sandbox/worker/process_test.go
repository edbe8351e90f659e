package worker_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// binary builds the small binary, once for all tests of this package.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hookline-worker-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, sandbox.BinaryName)

	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "hookline/cmd/hookline-sandbox")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the small binary: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// ended is how a worker process ended.
type ended struct {
	wire.Request                // its last word; Op is "" where it had none
	Log          []string       // what it logged
	Trace        []string       // and traced
	Asked        []wire.Request // its calls
	Tails        []string       // of the calls
	Took         time.Duration
	State        *os.ProcessState
}

// answer is what a test's broker answers to a call.
type answer func(call wire.Request, tail []byte) (wire.Response, []byte)

func nothing(wire.Request, []byte) (wire.Response, []byte) { return wire.Response{}, nil }

// run runs a script in a worker process of its own, locked in as on a peer.
func run(t testing.TB, script string, start wire.Start, reply answer) ended {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "worker", "6", "without=landlock,namespaces") // what these tests are about needs neither
	cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=none"}
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	e := talk(in, out, script, start, func(call wire.Request, tail []byte) (wire.Response, []byte) {
		if call.Op == wire.OpGet && call.Arg == "peak" {
			return wire.Response{}, peak(cmd.Process.Pid)
		}
		return reply(call, tail)
	})
	kill.Stop()
	in.Close()
	_ = cmd.Wait()
	e.Took, e.State = time.Since(began), cmd.ProcessState
	return e
}

// peak is the largest resident size of a process up to now, in kB. What the
// kernel tells when a process has ended is no use: that counts the parent,
// whose memory the process shared until it became another program.
func peak(pid int) []byte {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, found := strings.Cut(string(status), "VmHWM:")
	if err != nil || !found {
		return []byte("0") // its time was over while it asked
	}
	return []byte(strings.Fields(after)[0])
}

// talk is the broker's side, up to the worker's end.
func talk(in io.Writer, out io.Reader, script string, start wire.Start, reply answer) (e ended) {
	if start.RuntimeMS == 0 {
		start.RuntimeMS = 2000
	}
	for {
		var said wire.Request
		tail, _, err := wire.Read(out, &said, sandbox.MaxFrameBytes)
		if err != nil {
			return e
		}
		switch said.Op {
		case wire.OpReady:
			_, err = wire.Write(in, start, []byte(script), sandbox.MaxFrameBytes)
		case wire.OpLog:
			e.Log = append(e.Log, string(tail))
		case wire.OpTrace:
			e.Trace = append(e.Trace, string(tail))
		case wire.OpEnd:
			e.Request = said
			return e
		default:
			e.Asked, e.Tails = append(e.Asked, said), append(e.Tails, string(tail))
			head, body := reply(said, tail)
			_, err = wire.Write(in, head, body, sandbox.MaxFrameBytes)
		}
		if err != nil {
			return e
		}
	}
}

// cpu is the processor time that it took: that of the clock is the machine's.
func (e ended) cpu() time.Duration { return e.State.UserTime() + e.State.SystemTime() }

// fate is what a run came to: a code, or what the kernel did.
func (e ended) fate() string {
	switch {
	case e.Op == wire.OpEnd && e.Code == "":
		return "well"
	case e.Op == wire.OpEnd:
		return e.Code
	case e.State.ExitCode() == 2:
		return "out of memory" // Go's own end; see spawn.Fate
	}
	return e.State.String()
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
