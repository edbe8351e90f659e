// Command benchratio runs the benchmarks and prints ours beside the raw limit
// of the same run, as ratios with their goals. It never fails because a
// machine is slow; a goal that is missed says so. docs/benchmarks.md keeps
// the figures of record.
package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// A suite is one go test -bench call.
type suite struct {
	pkg, bench, time string
}

var (
	figure     = regexp.MustCompile(`(-?[0-9][0-9.e+-]*) (\S+)`)
	processors = regexp.MustCompile(`-\d+$`) // GOMAXPROCS, behind a benchmark's name
)

// results holds metric values by "Benchmark/metric".
type results map[string]float64

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cannot measure:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	all := results{}
	for _, s := range []suite{
		{"./signing", "Verify|Flood", "1s"},
		{"./internal/guard", "FullCheck", "500x"},
		{"./store/sqlite", "LeaseSettle16|RawGroupCommit16|GetByID|List50", "2s"},
		{"./sandbox/worker", "Parse10000Ratio", "1s"},
		{"./internal/hooktest", "HookRoundTrip", "60x"},
	} {
		fmt.Fprintf(out, "measuring %s (%s)\n", s.pkg, s.bench)
		if err := all.measure(s); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "measuring the sandbox, and 10,000 runs of one guard (two minutes)")
	if err := all.measureSandbox(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%-58s %12s %12s %8s %8s\n", "what", "ours", "raw limit", "ratio", "goal")
	for _, r := range rows(all, os.Geteuid() == 0) {
		fmt.Fprintln(out, r)
	}
	return nil
}

func (all results) measure(s suite) error {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", s.bench, "-benchtime", s.time, "-timeout", "20m", s.pkg) //nolint:noctx // as long as it takes
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", s.pkg, err, out.String())
	}
	all.parse(out.String())
	return nil
}

// parse takes the metrics of what go test -bench printed; other lines tell
// nothing.
func (all results) parse(out string) {
	for _, line := range strings.Split(out, "\n") {
		name, rest, ok := strings.Cut(line, "\t")
		if !ok || !strings.HasPrefix(name, "Benchmark") {
			continue
		}
		name = processors.ReplaceAllString(strings.TrimSpace(name), "")
		for _, m := range figure.FindAllStringSubmatch(rest, -1) {
			v, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				continue
			}
			all[name+" "+m[2]] = v
		}
	}
}

// measureSandbox runs sandboxbench on a build of its own, in a folder that
// ordinary users can reach.
func (all results) measureSandbox() error {
	dir, err := os.MkdirTemp("", "hookline-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "./cmd/hookline-sandbox", "./internal/tools/sandboxbench") //nolint:noctx // as long as it takes
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("cannot build the sandbox: %w", err)
	}
	measure := exec.Command(dir+"/sandboxbench", "-binary", dir+"/hookline-sandbox") //nolint:noctx // as long as it takes
	measure.Stderr = os.Stderr
	out, err := measure.Output()
	if err != nil {
		return fmt.Errorf("sandboxbench: %w", err)
	}
	all.parse(string(out))
	return nil
}

// rows are the lines of the table. Figures of root's are only there where this
// program is root.
func rows(all results, root bool) []string {
	lines := []string{
		row("hook round trip at one peer, p50 (ms)", all["BenchmarkHookRoundTrip p50-ms"], all["BenchmarkHookRoundTrip raw-p50-ms"], 3, false),
		row("verify author + 2 reviewers / 3 raw P-256 (µs)", all["BenchmarkVerify ns/op"]/1000, all["BenchmarkRawVerify3 ns/op"]/1000, 3, false),
		row("the same with 1,000 revocations (µs)", all["BenchmarkVerifyRevocations ns/op"]/1000, all["BenchmarkRawVerify3 ns/op"]/1000, 3, false),
		row("guard's full check / 3 raw P-256 + one fsync, p50 (ms)", all["BenchmarkFullCheck p50-ms"], all["BenchmarkFullCheck raw-p50-ms"], 4, false),
		bound("refusing 20,000 wrong signatures, worst way (ms)", all.worst("BenchmarkFlood/", " ns/op")/1e6, 1),
		row("lease + settle, 16 callers, against bare rows (1/s)", 1e9/all["BenchmarkLeaseSettle16 ns/op"], 1e9/all["BenchmarkRawGroupCommit16 ns/op"], 0.6, true),
		row("get by id, 100,000 rows against 1,000 (µs)", all["BenchmarkGetByID/100000 ns/op"]/1000, all["BenchmarkGetByID/1000 ns/op"]/1000, 2, false),
		row("list of 50, 100,000 rows against 1,000 (µs)", all["BenchmarkList50/100000 ns/op"]/1000, all["BenchmarkList50/1000 ns/op"]/1000, 2, false),
	}
	lines = append(lines, bound("10,000 lines in Lua, in units of bare gopher-lua, worst way", all.worst("BenchmarkParse10000Ratio/", " ours/bare"), 1.15))
	lines = append(lines, all.sandbox("user", 2.5)...)
	if !root {
		return append(lines, "the rest needs root: namespaces, and the guard's growth")
	}
	lines = append(lines, all.sandbox("root", 3.5)...)
	return append(
		lines,
		bound("guard's growth over 10,000 runs (MiB)", all.of("root", "GuardGrowth MiB"), 1),
		bound("files left open", all.of("root", "FilesLeft files"), 0),
		bound("processes left", all.of("root", "ProcessesLeft processes"), 0),
	)
}

// worst is the largest figure of the ways of one benchmark, NaN where none was
// measured.
func (all results) worst(benchmark, metric string) float64 {
	worst := math.NaN()
	for name, v := range all {
		if strings.HasPrefix(name, benchmark) && strings.HasSuffix(name, metric) && !(v <= worst) {
			worst = v
		}
	}
	return worst
}

// of is a figure of sandboxbench, NaN where it is missing.
func (all results) of(who, metric string) float64 {
	if v, ok := all["BenchmarkSandbox/"+who+"/"+metric]; ok {
		return v
	}
	return math.NaN()
}

// sandbox are the lines of the sandbox, as a user or as root.
func (all results) sandbox(who string, goal float64) []string {
	ms := func(metric string) float64 { return all.of(who, metric+" ns/op") / 1e6 }
	return []string{
		row("trivial hook as "+who+" against one bare spawn (ms)", ms("Trivial"), ms("Spawn"), goal, false),
		row("the same in processes that were started before (ms)", ms("Prepared"), ms("Spawn"), 1, false),
		row("100 report.set against a trivial hook (ms)", ms("Sets"), ms("Trivial"), 2.5, false),
		row("1,000 fs.read against open + read + close (ms)", ms("Reads")-ms("Trivial"), ms("RawReads"), 4, false),
		bound("resident, a trivial run (MiB)", all.of(who, "TrivialPeak MiB"), 8),
		bound("resident, a run at its limit (MiB)", all.of(who, "LimitPeak MiB"), 160),
	}
}

// bound is a line of a figure that has a goal of its own, no raw limit.
func bound(what string, ours, goal float64) string {
	verdict := "MISSED"
	if ours <= goal {
		verdict = "met"
	}
	return fmt.Sprintf("%-58s %12.2f %12s %8s %5s %g %s", what, ours, "", "", "≤", goal, verdict)
}

// row is one line; atLeast says that the goal is a floor.
func row(what string, ours, raw, goal float64, atLeast bool) string {
	ratio := ours / raw
	sign, met := "≤", ratio <= goal
	if atLeast {
		sign, met = "≥", ratio >= goal
	}
	verdict := "met"
	if !met { // NaN, a figure that is missing, is a miss too
		verdict = "MISSED"
	}
	return fmt.Sprintf("%-58s %12.2f %12.2f %8.2f %5s %g %s", what, ours, raw, ratio, sign, goal, verdict)
}
