// Command sandboxbench measures the sandbox against the raw limit of the same
// machine, in turns, and prints medians as go test -bench prints figures, for
// benchratio to read.
//
//	sandboxbench -binary hookline-sandbox -runs 10000
//
// As root it measures twice: as root, with namespaces, and again as an
// ordinary user.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"hookline/hooks"
	"hookline/sandbox"
)

func main() {
	binary := flag.String("binary", "", "the small binary; other users must be able to run it")
	runs := flag.Int("runs", 10_000, "runs of one guard, for what it grows by")
	rounds := flag.Int("rounds", 200, "turns of each measurement")
	flag.Parse()
	b := &bench{
		who: "user", rounds: *rounds, runs: *runs,
		runner: &sandbox.Runner{Binary: *binary},
	}
	if os.Geteuid() == 0 {
		b.who = "root"
	}
	err := b.measure()
	if err == nil && b.who == "root" {
		err = asNobody(*binary, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot measure:", err)
		os.Exit(1)
	}
}

// asNobody runs this program again as an ordinary user, from a folder that
// everybody may read.
func asNobody(binary string, rounds int) error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hookline-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "sandboxbench")
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(program, self, 0o755); err != nil {
		return err
	}
	cmd := exec.Command(program, "-binary", binary, "-rounds", fmt.Sprint(rounds), "-runs", "0") //nolint:noctx // as long as it takes
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sandbox.Nobody, Gid: sandbox.Nobody}}
	return cmd.Run()
}

type bench struct {
	who          string
	rounds, runs int
	runner       *sandbox.Runner
}

const readsPerRun = 1000

func (b *bench) measure() error {
	sets := task(`for i = 1, 100 do report.set("N", i) end`)
	reads := task(fmt.Sprintf(`for i = 1, %d do fs.read("/proc/meminfo") end`, readsPerRun), "/proc/meminfo")
	trivial := task(`return {N = 1}`)
	if err := b.turns([]measured{
		{"Spawn", b.spawn},
		{"Trivial", func() (time.Duration, error) { return b.run(trivial) }},
		{"Prepared", func() (time.Duration, error) { return b.prepared(trivial) }},
		{"Sets", func() (time.Duration, error) { return b.run(sets) }},
		{"Reads", func() (time.Duration, error) { return b.run(reads) }},
		{"RawReads", rawReads},
	}); err != nil {
		return err
	}
	if err := b.memory(trivial); err != nil {
		return err
	}
	if b.runs == 0 {
		return nil
	}
	return b.growth(trivial)
}

type measured struct {
	name string
	once func() (time.Duration, error)
}

// turns measures everything once in each round, so that what slows the machine
// down slows all of it.
func (b *bench) turns(all []measured) error {
	took := make([][]time.Duration, len(all))
	for range b.rounds {
		for i, m := range all {
			d, err := m.once()
			if err != nil {
				return fmt.Errorf("%s as %s: %w", m.name, b.who, err)
			}
			took[i] = append(took[i], d)
		}
	}
	for i, m := range all {
		slices.Sort(took[i])
		b.print(m.name, float64(took[i][len(took[i])/2].Nanoseconds()), "ns/op")
	}
	return nil
}

func (b *bench) print(name string, value float64, unit string) {
	fmt.Printf("BenchmarkSandbox/%s/%s\t%8d\t%.1f %s\n", b.who, name, b.rounds, value, unit)
}

// spawn is one bare start of the small binary, which ends with a usage error.
func (b *bench) spawn() (time.Duration, error) {
	began := time.Now()
	if err := exec.Command(b.runner.Binary).Run(); err == nil { //nolint:noctx // it ends at once
		return 0, fmt.Errorf("no usage error from %s", b.runner.Binary)
	}
	return time.Since(began), nil
}

func (b *bench) run(t sandbox.Task) (time.Duration, error) {
	began := time.Now()
	out, err := b.runner.Run(context.Background(), t)
	return time.Since(began), failure(out, err)
}

// prepared is a run in processes that were started a while ago.
func (b *bench) prepared(t sandbox.Task) (time.Duration, error) {
	p, err := b.runner.Prepare(t.Wanted())
	if err != nil {
		return 0, err
	}
	defer p.Close()
	time.Sleep(10 * time.Millisecond) // they have started, and wait
	began := time.Now()
	out, err := p.Run(context.Background(), t)
	return time.Since(began), failure(out, err)
}

func failure(out sandbox.Outcome, err error) error {
	if err == nil && out.Code != "" {
		err = fmt.Errorf("%s: %s", out.Code, out.Error)
	}
	return err
}

// rawReads is what the reads of one run cost without any sandbox.
func rawReads() (time.Duration, error) {
	buf := make([]byte, 64<<10)
	began := time.Now()
	for range readsPerRun {
		fd, err := syscall.Open("/proc/meminfo", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		if _, err := syscall.Read(fd, buf); err != nil {
			return 0, err
		}
		if err := syscall.Close(fd); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// memory prints the largest resident size of a trivial run and of runs that
// take all they can.
func (b *bench) memory(trivial sandbox.Task) error {
	trivial.Measure = true
	out, err := b.runner.Run(context.Background(), trivial)
	if err := failure(out, err); err != nil {
		return err
	}
	b.print("TrivialPeak", float64(out.Stats.PeakMemory)/(1<<20), "MiB")
	most := int64(0)
	for _, script := range []string{
		`local t = {} while true do t[#t + 1] = string.rep("x", 1e5) end`,
		`local t = {} for i = 1, 1e9 do t[i] = {i} end`,
		`local s = "x" while true do s = s .. s end`,
		`local t = {} for i = 1, 1e9 do t["k" .. i] = i end`,
		`local t = {} for i = 1, 1000 do t[i] = coroutine.create(function() local function f() f() end f() end) coroutine.resume(t[i]) end`,
		`local s = string.rep("a", 4e6) local t = {} while true do t[#t + 1] = s:gsub("a", "b") end`,
	} {
		greedy := task(script)
		greedy.Measure = true
		out, err := b.runner.Run(context.Background(), greedy)
		if err != nil {
			return err
		}
		most = max(most, out.Stats.PeakMemory)
	}
	b.print("LimitPeak", float64(most)/(1<<20), "MiB")
	return nil
}

// growth prints what many runs leave behind in the process that starts them.
func (b *bench) growth(trivial sandbox.Task) error {
	for range 200 { // what the runtime takes once
		if _, err := b.run(trivial); err != nil {
			return err
		}
	}
	resident, files, children := left()
	for range b.runs {
		if _, err := b.run(trivial); err != nil {
			return err
		}
	}
	residentAfter, filesAfter, childrenAfter := left()
	b.print("GuardGrowth", float64(residentAfter-resident)/(1<<20), "MiB")
	b.print("FilesLeft", float64(filesAfter-files), "files")
	b.print("ProcessesLeft", float64(childrenAfter-children), "processes")
	return nil
}

// left is what this process holds: resident bytes, open files, children.
func left() (resident, files, children int) {
	b, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, _ = fmt.Sscan(strings.Fields(string(b))[1], &resident)
	}
	entries, _ := os.ReadDir("/proc/self/fd")
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		children += len(strings.Fields(string(b)))
	}
	return resident * os.Getpagesize(), len(entries), children
}

// task is a run that may set one number and read the given paths.
func task(script string, read ...string) sandbox.Task {
	return sandbox.Task{
		Script: []byte(script),
		Predicate: hooks.Predicate{
			Capabilities:   hooks.ReadingOnly(read...),
			As:             hooks.AsService,
			Fields:         []hooks.DeclaredField{{Name: "N", Type: hooks.TypeInt, Class: hooks.ClassTechnical, MaxBytes: 64}},
			MaxResultBytes: 4096, MaxRuntimeMS: 5000,
		},
		Report: hooks.Report{"Package": "nginx"},
		Now:    time.Now(),
	}
}
