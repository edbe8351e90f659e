package main

import (
	"fmt"
	"strings"
)

// suite is the test of a backend that runs the conformance suite.
const suite = "TestConformance"

// backend is how one fared. Only the suite's cases count, not their groups.
type backend struct {
	name                  string // the package, and on what it ran
	passed, failed, gated int
	reasons               []string
}

// conforms takes the end of a test into account, where it is the suite's.
func (s *summary) conforms(e event, key string) {
	name, isCase := strings.CutPrefix(e.Test, suite+"/")
	if !isCase && e.Test != suite {
		return
	}
	b := s.backend(e.Package)
	if !isCase {
		if on := said(s.output[key], "backend: "); on != "" {
			b.name += " on " + on
		}
		return
	}
	if !strings.Contains(name, "/") && e.Action != "skip" {
		return // a group: its cases are counted
	}
	switch e.Action {
	case "pass":
		b.passed++
	case "fail":
		b.failed++
	case "skip":
		b.gated++
		b.reasons = append(b.reasons, name+": "+reason(s.output[key]))
	}
}

func (s *summary) backend(pkg string) *backend {
	name := strings.TrimPrefix(pkg, "hookline/")
	for _, b := range s.backends {
		if b.name == name || strings.HasPrefix(b.name, name+" on ") {
			return b
		}
	}
	b := &backend{name: name}
	s.backends = append(s.backends, b)
	return b
}

func (s *summary) conformance() {
	for _, b := range s.backends {
		fmt.Fprintf(s.out, "conformance %s: %d passed, %d failed, %d gated\n", b.name, b.passed, b.failed, b.gated)
		for _, reason := range b.reasons {
			fmt.Fprintln(s.out, "  gated:", reason)
		}
	}
}

// said is what a test wrote on a line after a word.
func said(b *strings.Builder, word string) string {
	if b == nil {
		return ""
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if _, after, ok := strings.Cut(line, word); ok {
			return strings.TrimSpace(after)
		}
	}
	return ""
}
