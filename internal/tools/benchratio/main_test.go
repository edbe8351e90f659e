package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// printed is what go test -bench prints, with a benchmark's log and metrics of
// its own in between.
const printed = `goos: linux
goarch: amd64
pkg: hookline/store/sqlite
cpu: An example-8 CPU @ 2.00GHz
BenchmarkVerify-2   	    5000	    240123 ns/op	  12345 B/op	     120 allocs/op
BenchmarkGetByID/100000-2         	   60000	     20100.5 ns/op
BenchmarkHookRoundTrip-2 	      60	  31000000 ns/op	        22.50 p50-ms	         2.250 ratio	        10.00 raw-p50-ms
BenchmarkOneProcessor 	 1000000000	         1e-06 ns/op
Benchmark is a word at the beginning of a line
--- BENCH: BenchmarkVerify-2
    bench_test.go:10: BenchmarkLog	 1	 5 ns/op
BenchmarkSandbox/root/GuardGrowth	     200	-0.3 MiB
PASS
ok  	hookline/store/sqlite	4.2s
`

func TestParse(t *testing.T) {
	got := results{}
	got.parse(printed)
	want := results{
		"BenchmarkVerify ns/op": 240123, "BenchmarkVerify B/op": 12345, "BenchmarkVerify allocs/op": 120,
		"BenchmarkGetByID/100000 ns/op": 20100.5,
		"BenchmarkHookRoundTrip ns/op":  31e6, "BenchmarkHookRoundTrip p50-ms": 22.5,
		"BenchmarkHookRoundTrip ratio": 2.25, "BenchmarkHookRoundTrip raw-p50-ms": 10,
		"BenchmarkOneProcessor ns/op": 1e-06, "BenchmarkSandbox/root/GuardGrowth MiB": -0.3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRow(t *testing.T) {
	for _, c := range []struct {
		name      string
		ours, raw float64
		goal      float64
		atLeast   bool
		want      string
	}{
		{"under a ceiling", 22.5, 10, 3, false, "2.25     ≤ 3 met"},
		{"over a ceiling", 40, 10, 3, false, "4.00     ≤ 3 MISSED"},
		{"over a floor", 70, 100, 0.6, true, "0.70     ≥ 0.6 met"},
		{"under a floor", 50, 100, 0.6, true, "0.50     ≥ 0.6 MISSED"},
		{"nothing measured", 0, 0, 3, false, "MISSED"},
		{"no raw limit", 10, 0, 3, false, "MISSED"},
	} {
		if got := row(c.name, c.ours, c.raw, c.goal, c.atLeast); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: %q, want it to end in %q", c.name, got, c.want)
		}
	}
}

// Every row must be measured by a suite: figures that nobody takes are a miss.
func TestMissingFiguresAreMisses(t *testing.T) {
	for _, r := range rows(results{}, true) {
		if !strings.HasSuffix(r, "MISSED") {
			t.Errorf("nothing was measured, and yet: %s", r)
		}
	}
}
