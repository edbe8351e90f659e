package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// events is what `go test -json` printed for a package with one test of each
// fate, one without tests, and one that does not compile.
const events = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"    a_test.go:5: chatter\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood","Elapsed":0.01}
{"Action":"run","Package":"m/a","Test":"TestBad"}
{"Action":"output","Package":"m/a","Test":"TestBad","Output":"    a_test.go:9: one is not two\n"}
{"Action":"fail","Package":"m/a","Test":"TestBad","Elapsed":0.02}
{"Action":"run","Package":"m/a","Test":"TestRoot"}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"=== RUN   TestRoot\n"}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"    a_test.go:12: only root can\n"}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"--- SKIP: TestRoot (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestRoot","Elapsed":0}
{"Action":"skip","Package":"m/a","Test":"TestSilent","Elapsed":0}
{"Action":"output","Package":"m/a","Output":"FAIL\n"}
{"Action":"fail","Package":"m/a","Elapsed":1.5}
{"Action":"output","Package":"m/none","Output":"?   \tm/none\t[no test files]\n"}
{"Action":"skip","Package":"m/none","Elapsed":0}
{"ImportPath":"m/c [m/c.test]","Action":"build-output","Output":"c/c_test.go:3:1: undefined: nope\n"}
{"ImportPath":"m/c [m/c.test]","Action":"build-fail"}
go: a word of the toolchain itself
`

func TestSummary(t *testing.T) {
	var out bytes.Buffer
	s := &summary{out: &out, output: map[string]*strings.Builder{}}
	if err := s.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	want := `--- FAILED: m/a TestBad
    a_test.go:9: one is not two
fail m/a (1.5 s)
--- FAILED: m/a 
FAIL
--- BUILD FAILED: m/c [m/c.test] 
c/c_test.go:3:1: undefined: nope
go: a word of the toolchain itself
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
	// A package that failed counts beside its tests: it can fail without one.
	if s.passed != 1 || s.failed != 3 || s.skipped != 2 {
		t.Errorf("%d passed, %d failed, %d skipped, want 1, 3, 2", s.passed, s.failed, s.skipped)
	}
	skips := []string{"m/a TestRoot: a_test.go:12: only root can", "m/a TestSilent: no reason given"}
	if diff := cmp.Diff(skips, s.skips); diff != "" {
		t.Errorf("skips (-want +got):\n%s", diff)
	}
}

func TestLongLines(t *testing.T) {
	s := &summary{out: &bytes.Buffer{}, output: map[string]*strings.Builder{}}
	line := `{"Action":"output","Package":"m","Test":"T","Output":"` + strings.Repeat("x", 1<<20) + "\"}\n"
	if err := s.read(strings.NewReader(line + `{"Action":"pass","Package":"m","Test":"T"}`)); err != nil || s.passed != 1 {
		t.Errorf("%d passed, %v", s.passed, err)
	}
}
