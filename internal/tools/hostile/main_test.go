package main

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hookline/internal/tools/hostile/attack"
	"hookline/internal/tools/hostile/corpus"
	"hookline/sandbox"
)

// What is known names attacks, layers and parts that there are, each once.
func TestKnownsAreReal(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, a := range attack.All() {
		if names[a.Name] || !regexp.MustCompile(`^[a-z0-9][a-z0-9-]+$`).MatchString(a.Name) {
			t.Errorf("%q is no name, or there are two", a.Name)
		}
		names[a.Name] = true
	}
	layers := []string{"", layerLandlock, layerSeccomp, layerLimits, layerUser, layerFiles, layerNamespaces}
	seen := map[string]bool{}
	for _, k := range knowns() {
		if !slices.Contains(layers, k.layer) || k.why == "" || strings.Trim(k.parts, "wbcBC") != "" {
			t.Errorf("not known: %+v", k)
		}
		for name := range strings.FieldsSeq(k.attacks) {
			if seen[k.layer+name] || !names[name] && !strings.HasPrefix(name, "old-") {
				t.Errorf("%s: %q is known twice, or is no attack", k.layer, name)
			}
			seen[k.layer+name] = true
		}
	}
}

// An attack that gets through is a surprise, unless nothing else had to stop it.
func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		off, part, attack string
		surprises         int
	}{
		{"", attack.Worker, "chmod", 1},
		{"", attack.Command, "chdir", 0},
		{"", attack.Worker, "chdir", 1},
		{layerSeccomp, attack.Broker, "chmod", 0},
		{layerSeccomp, attack.Command, "chdir", 0},
		{layerSeccomp, attack.Worker, "pidfd", 0},
		{layerSeccomp, attack.Command, "mount", 1},
		{layerLandlock, attack.Broker, "open2-write", 0},
		{layerLandlock, attack.Broker, "write", 1},
		{layerLandlock, attack.RootBroker, "open2-write", 1},
		{layerLandlock, attack.Broker, "write-data", 1},
		{layerLandlock, attack.Worker, "read-secret", 1},
		{layerUser, attack.Worker, "kill-15", 1},
		{"abi=1", attack.Broker, "read-secret", 1},
	} {
		col := attacked{
			configuration: configuration{off: tt.off}, parts: []string{tt.part},
			results: attack.Results{tt.part: {tt.attack: attack.Through, "ptrace": "EPERM"}},
		}
		if got := col.judge(io.Discard); got != tt.surprises {
			t.Errorf("%+v: %d surprises", tt, got)
		}
	}
	left := attacked{left: []string{"a process"}}
	if left.judge(io.Discard) != 1 {
		t.Error("what is left behind is no surprise")
	}
}

// A snippet that ends otherwise, too late, or harms the next run is a surprise.
func TestSnippetsAreJudged(t *testing.T) {
	t.Parallel()
	s := corpus.Snippet{File: "001_x.lua", Expected: "ERR_OR_LIMIT"}
	for _, tt := range []struct {
		result corpus.Result
		wrong  bool
	}{
		{corpus.Result{Outcome: sandbox.Outcome{Code: "hook-error"}}, false},
		{corpus.Result{Outcome: sandbox.Outcome{Code: "limit-calls"}}, false},
		{corpus.Result{Outcome: sandbox.Outcome{Code: ""}}, true},
		{corpus.Result{Outcome: sandbox.Outcome{Code: "sandbox-crash"}}, true},
		{corpus.Result{Outcome: sandbox.Outcome{Code: "hook-error", Error: "goroutine 1"}}, true},
		{corpus.Result{Outcome: sandbox.Outcome{Code: "hook-error"}, Took: 2 * corpus.Deadline}, true},
		{corpus.Result{Outcome: sandbox.Outcome{Code: "hook-error"}, Wrong: []string{"harmed"}}, true},
		{corpus.Result{Error: "no sandbox"}, true},
	} {
		col := column{seen: map[string]corpus.Result{s.File: tt.result}, wrong: map[string][]string{}}
		if col.check(s); (len(col.wrong[s.File]) > 0) != tt.wrong {
			t.Errorf("%+v: %v", tt.result, col.wrong)
		}
	}
	col := column{seen: map[string]corpus.Result{}, wrong: map[string][]string{}}
	if col.check(s); len(col.wrong) != 1 {
		t.Error("a snippet that did not run is no surprise")
	}
}

// The corpus is whole, every outcome of its manifest is known, and exceptions
// are of snippets that there are.
func TestCorpusIsWhole(t *testing.T) {
	t.Parallel()
	all, err := corpus.Read("../../../"+corpusDir, "/fixtures")
	if err != nil {
		t.Fatal(err)
	}
	exceptions := 0
	for _, s := range all {
		if len(s.Codes()) == 0 || s.Script == "" || s.Attack == "" || strings.Contains(s.Script, "@FIX@") {
			t.Errorf("%s: %q", s.File, s.Expected)
		}
		if e, ok := s.Exception(); ok {
			exceptions++
			if !s.Excepted(e.Code) || e.Why == "" {
				t.Errorf("%s needs no exception", s.File)
			}
		}
	}
	if exceptions != 3 {
		t.Errorf("%d exceptions", exceptions)
	}
}
