// Command testsum reads `go test -json` on standard input, prints one line a
// package, the whole output of what failed, the reason of every skip, a line
// "N passed, N failed, N skipped", and what the conformance suite says of each
// backend. It exits 1 when anything failed or when no test ran.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

type summary struct {
	out                     io.Writer
	passed, failed, skipped int
	output                  map[string]*strings.Builder // by package and test
	skips                   []string
	backends                []*backend // in the order in which they end
}

func main() {
	s := &summary{out: os.Stdout, output: map[string]*strings.Builder{}}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "cannot read test events:", err)
		os.Exit(1)
	}
	for _, line := range s.skips {
		fmt.Fprintln(s.out, "skipped:", line)
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	s.conformance()
	if s.failed > 0 || s.passed == 0 {
		os.Exit(1)
	}
}

func (s *summary) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(s.out, lines.Text()) // not an event: the toolchain's own words
			continue
		}
		s.take(e)
	}
	return lines.Err()
}

func (s *summary) take(e event) {
	key := e.Package + e.ImportPath + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		b := s.output[key]
		if b == nil {
			b = &strings.Builder{}
			s.output[key] = b
		}
		b.WriteString(e.Output)
		return
	case "build-fail":
		s.failed++
		s.show("BUILD FAILED", key)
	case "pass", "fail", "skip":
		s.end(e, key)
	}
}

func (s *summary) end(e event, key string) {
	if e.Test == "" {
		if e.Action != "skip" { // skip: a package without tests
			fmt.Fprintf(s.out, "%-4s %s (%.1f s)\n", e.Action, e.Package, e.Elapsed)
		}
		if e.Action == "fail" {
			s.failed++ // its tests are counted too; a package can fail without one
			s.show("FAILED", key)
		}
		return
	}
	s.conforms(e, key)
	switch e.Action {
	case "pass":
		s.passed++
		delete(s.output, key)
	case "fail":
		s.failed++
		s.show("FAILED", key)
	case "skip":
		s.skipped++
		s.skips = append(s.skips, e.Package+" "+e.Test+": "+reason(s.output[key]))
	}
}

func (s *summary) show(verdict, key string) {
	if b := s.output[key]; b != nil {
		fmt.Fprintf(s.out, "--- %s: %s\n%s", verdict, key, b)
	}
}

func reason(b *strings.Builder) string {
	if b == nil {
		return "no reason given"
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return "no reason given"
}
