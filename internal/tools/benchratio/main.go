// Command benchratio runs the benchmarks and prints ours beside the raw limit
// of the same run, as ratios with their goals. It never fails because a
// machine is slow; a goal that is missed says so. docs/benchmarks.md keeps
// the figures of record.
package main

import (
	"bytes"
	"fmt"
	"io"
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
	figure     = regexp.MustCompile(`([0-9][0-9.e+-]*) (\S+)`)
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
		{"./signing", "Verify", "1s"},
		{"./store/sqlite", "LeaseSettle16|RawGroupCommit16|GetByID|List50", "2s"},
		{"./internal/hooktest", "HookRoundTrip", "60x"},
	} {
		fmt.Fprintf(out, "measuring %s (%s)\n", s.pkg, s.bench)
		if err := all.measure(s); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\n%-58s %12s %12s %8s %8s\n", "what", "ours", "raw limit", "ratio", "goal")
	for _, r := range rows(all) {
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

func rows(all results) []string {
	return []string{
		row("hook round trip at one peer, p50 (ms)", all["BenchmarkHookRoundTrip p50-ms"], all["BenchmarkHookRoundTrip raw-p50-ms"], 3, false),
		row("verify author + 2 reviewers / 3 raw P-256 (µs)", all["BenchmarkVerify ns/op"]/1000, all["BenchmarkRawVerify3 ns/op"]/1000, 3, false),
		row("lease + settle, 16 callers, against bare rows (1/s)", 1e9/all["BenchmarkLeaseSettle16 ns/op"], 1e9/all["BenchmarkRawGroupCommit16 ns/op"], 0.6, true),
		row("get by id, 100,000 rows against 1,000 (µs)", all["BenchmarkGetByID/100000 ns/op"]/1000, all["BenchmarkGetByID/1000 ns/op"]/1000, 2, false),
		row("list of 50, 100,000 rows against 1,000 (µs)", all["BenchmarkList50/100000 ns/op"]/1000, all["BenchmarkList50/1000 ns/op"]/1000, 2, false),
	}
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
	return fmt.Sprintf("%-58s %12.2f %12.2f %8.2f %5s %.1f %s", what, ours, raw, ratio, sign, goal, verdict)
}
