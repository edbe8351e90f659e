// Command fuzzall runs every native fuzz target of the module, one after the
// other, each for -inputs inputs, and stops at the first failure. Inputs are
// counted, not time: a target that is stopped by the clock in the middle of an
// input now and then fails with "context deadline exceeded", which says
// nothing about the code.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	inputs := flag.Int("inputs", 10_000, "how many inputs each target gets")
	flag.Parse()
	if err := run(context.Background(), *inputs); err != nil {
		fmt.Fprintln(os.Stderr, "cannot fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, inputs int) error {
	targets, err := list(ctx)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("there is no fuzz target")
	}
	for i, t := range targets {
		fmt.Printf("fuzz %d/%d %s %s\n", i+1, len(targets), t.pkg, t.name)
		out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", strconv.Itoa(inputs*t.weight())+"x", "-fuzzminimizetime", "1x", t.pkg).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s %s: %w\n%s", t.pkg, t.name, err, out)
		}
	}
	fmt.Printf("%d fuzz targets held for %d inputs each, more where a hook speaks or people sign\n", len(targets), inputs)
	return nil
}

type target struct{ pkg, name string }

// weight is how many times the inputs of others a target gets: those that read
// what a hostile hook says, and those that decode what people signed, take about
// 20 s of a quick run.
func (t target) weight() int {
	switch t.pkg + "." + t.name {
	case "hookline/hooks.FuzzCommandCheck", "hookline/sandbox/calls.FuzzServe":
		return 300
	case "hookline/sandbox/wire.FuzzRead":
		return 800
	case "hookline/hooks.FuzzParseStatement", "hookline/signing.FuzzParseFile":
		return 110
	case "hookline/signing.FuzzParsePolicy":
		return 70
	case "hookline/signing/trust.FuzzParseBundle":
		return 45
	case "hookline/sandbox/worker.FuzzHostFunctions":
		return 10
	}
	return 1
}

var fuzzFunc = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// list finds the fuzz targets in the source, which costs no build.
func list(ctx context.Context) ([]target, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", `{{$d := .Dir}}{{$p := .ImportPath}}{{range .TestGoFiles}}{{$p}} {{$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$p}} {{$d}}/{{.}}{{"\n"}}{{end}}`, "./...").Output()
	if err != nil {
		return nil, err
	}
	var targets []target
	for _, line := range strings.Split(string(bytes.TrimSpace(out)), "\n") {
		pkg, file, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, m := range fuzzFunc.FindAllSubmatch(src, -1) {
			targets = append(targets, target{pkg, string(m[1])})
		}
	}
	return targets, nil
}
