package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// children returns the processes of the small binary that have mode as their
// first argument and belong to a run of this test: its runtime is in their
// second argument.
func children(t *testing.T, mode, cpu string) []string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, e := range entries {
		b, err := os.ReadFile(e)
		if err != nil {
			continue
		}
		args := strings.Split(string(b), "\x00")
		if len(args) > 2 && args[0] == sandbox.BinaryName && args[1] == mode && args[2] == cpu && parent(filepath.Dir(e)) == os.Getpid() {
			pids = append(pids, filepath.Dir(e))
		}
	}
	return pids
}

func parent(proc string) int {
	n, _ := strconv.Atoi(status(proc)["PPid"])
	return n
}

func status(proc string) map[string]string {
	b, _ := os.ReadFile(filepath.Join(proc, "status"))
	out := map[string]string{}
	for line := range strings.SplitSeq(string(b), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			out[key] = strings.Join(strings.Fields(value), " ")
		}
	}
	return out
}

func waitFor(t *testing.T, what string, found func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !found(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// While a hook runs, the kernel itself says what its two processes may do.
func TestProcessesAreConfined(t *testing.T) {
	work := task("while true do end", "/proc/meminfo")
	work.Predicate.MaxRuntimeMS = 9_000 // 12 s of processor time, a number that no other test has
	const cpu = "12"
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = (&sandbox.Runner{Binary: binary}).Run(ctx, work)
	}()
	defer func() { cancel(); <-ended }()

	var worker, broker string
	waitFor(t, "confined processes", func() bool {
		w, b := children(t, "worker", cpu), children(t, "broker", cpu)
		if len(w) != 1 || len(b) != 1 {
			return false
		}
		worker, broker = w[0], b[0]
		return status(worker)["Seccomp"] == "2" && status(broker)["Seccomp"] == "2"
	})
	for name, proc := range map[string]string{"worker": worker, "broker": broker} {
		s := status(proc)
		want := map[string]string{
			"NoNewPrivs": "1", "CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapInh": "0000000000000000",
		}
		if os.Geteuid() == 0 {
			want["Uid"] = "65534 65534 65534 65534"
			want["Gid"] = want["Uid"]
			want["Groups"] = ""
		}
		for key, value := range want {
			if s[key] != value {
				t.Errorf("%s: %s is %q, expected %q", name, key, s[key], value)
			}
		}
		tasks, _ := filepath.Glob(proc + "/task/[0-9]*")
		for _, thread := range tasks {
			if s := status(thread); s["Seccomp"] != "2" || s["NoNewPrivs"] != "1" {
				t.Errorf("%s: thread %s has Seccomp %s, NoNewPrivs %s", name, thread, s["Seccomp"], s["NoNewPrivs"])
			}
		}
	}
	checkLimits(t, worker)
	if os.Geteuid() == 0 {
		checkDescriptors(t, worker, 3)
		checkDescriptors(t, broker, 5)
		checkNamespaces(t, worker)
		checkRoot(t, worker)
	}
}

func checkLimits(t *testing.T, worker string) {
	b, err := os.ReadFile(worker + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(b)), " ")
	for _, want := range []string{
		"Max data size 134217728 134217728", "Max cpu time 12 12", "Max open files 0 0", "Max file size 0 0",
		"Max core file size 0 0", "Max locked memory 0 0",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the worker's limits lack %q:\n%s", want, b)
		}
	}
}

// checkDescriptors wants pipes below, and nothing above but the runtime's own.
func checkDescriptors(t *testing.T, proc string, pipes int) {
	t.Helper()
	entries, err := os.ReadDir(proc + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		n, _ := strconv.Atoi(e.Name())
		target, _ := os.Readlink(proc + "/fd/" + e.Name())
		ok := strings.HasPrefix(target, "pipe:")
		if n >= pipes {
			ok = target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]"
		}
		if !ok {
			t.Errorf("%s has descriptor %d open: %s", proc, n, target)
		}
	}
}

func checkNamespaces(t *testing.T, worker string) {
	for _, ns := range []string{"net", "pid", "ipc", "uts", "mnt"} {
		own, _ := os.Readlink("/proc/self/ns/" + ns)
		its, err := os.Readlink(worker + "/ns/" + ns)
		if err != nil || own == its {
			t.Errorf("the worker shares the %s namespace (%v)", ns, err)
		}
	}
}

func checkRoot(t *testing.T, worker string) {
	entries, err := os.ReadDir(worker + "/root/")
	if err != nil || len(entries) != 0 {
		t.Errorf("the worker's root directory holds %d entries (%v)", len(entries), err)
	}
}

// Many runs at a time, well or badly ended, leave no process, descriptor or
// goroutine behind.
func TestNothingStaysBehind(t *testing.T) {
	before := descriptors(t)
	ignore := goleak.IgnoreCurrent()
	scripts := []string{`report.set("Int", 1)`, `error("x")`, `local = 1`, `while true do end`, `return ("x"):rep(1e9)`, `while true do fs.read("/proc/meminfo") end`}
	var wg sync.WaitGroup
	for i := range 36 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			work := task(scripts[i%len(scripts)], "/proc/meminfo")
			work.Predicate.MaxRuntimeMS = 300
			var err error
			if i%2 == 0 {
				_, err = (&sandbox.Runner{Binary: binary}).Run(context.Background(), work)
			} else {
				_, err = replay.Run(context.Background(), binary, work, replay.Fixtures{})
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if err := goleak.Find(ignore); err != nil {
		t.Error(err)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range entries {
		if s := status(proc); s["PPid"] == fmt.Sprint(os.Getpid()) {
			t.Errorf("a process stayed behind: %s %s %s", proc, s["Name"], s["State"])
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A worker that is killed from outside is told as such, never as a result.
func TestKilledWorker(t *testing.T) {
	work := task(`report.set("Int", 1) while true do end`)
	work.Predicate.MaxRuntimeMS = 8_000
	result := make(chan sandbox.Outcome, 1)
	go func() {
		out, _ := (&sandbox.Runner{Binary: binary}).Run(context.Background(), work)
		result <- out
	}()
	waitFor(t, "worker", func() bool {
		w := children(t, "worker", "11")
		if len(w) != 1 || status(w[0])["Seccomp"] != "2" {
			return false
		}
		pid, _ := strconv.Atoi(filepath.Base(w[0]))
		p, err := os.FindProcess(pid)
		return err == nil && p.Kill() == nil
	})
	if out := <-result; out.Code != "sandbox-killed" || len(out.Fields) != 0 {
		t.Errorf("%+v", out)
	}
}

// The binary is small, static and without a network library.
func TestBinaryIsSmall(t *testing.T) {
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 6<<20 {
		t.Errorf("%d bytes", info.Size())
	}
}
