package lint_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/hooks/lint"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// built is the small binary, built once where it is not there.
var built = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("HOOKLINE_BIN"); dir != "" {
		return filepath.Join(dir, sandbox.BinaryName), nil
	}
	path := filepath.Join(buildDir, sandbox.BinaryName)
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "hookline/cmd/hookline-sandbox")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build: %w\n%s", err, out)
	}
	return path, nil
})

// buildDir is where built puts it.
var buildDir string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hookline-lint-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	buildDir = dir
	return m.Run()
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// inWorker runs a script in a real worker.
func inWorker(t *testing.T, script string) sandbox.Outcome {
	t.Helper()
	p := hooks.Predicate{
		Hook: "names", Version: 1, Capabilities: hooks.ReadingOnly(), As: hooks.AsService, MaxRuntimeMS: 2000, MaxResultBytes: 64 << 10,
		Fields: []hooks.DeclaredField{{Name: "Names", Type: hooks.TypeJSON, Class: hooks.ClassTechnical, MaxBytes: 64 << 10, Raw: true}},
	}
	out, err := replay.Run(context.Background(), binary(t), sandbox.Task{Script: []byte(script), Predicate: p, Report: hooks.Report{}, Now: time.Now()}, replay.Fixtures{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The linter knows what the worker has, name by name, and nothing else.
func TestNamesAreThoseOfTheWorker(t *testing.T) {
	out := inWorker(t, `
		local all = {}
		for name, value in pairs(_G) do
			all[name] = type(value)
			if type(value) == "table" and value ~= _G then
				local members = {}
				for member in pairs(value) do members[#members + 1] = member end
				table.sort(members)
				all[name] = members
			end
		end
		report.set("Names", all)`)
	if out.Code != "" {
		t.Fatalf("%s %s", out.Code, out.Error)
	}
	text, err := json.Marshal(out.Fields["Names"])
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]any
	if err := json.Unmarshal(text, &names); err != nil || len(names) < 20 {
		t.Fatalf("%v in %s", err, text)
	}
	var plain []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list, library := names[name].([]any)
		if !library {
			plain = append(plain, name)
			continue
		}
		var got []string
		for _, m := range list {
			got = append(got, m.(string))
		}
		if diff := cmp.Diff(got, lint.Members(name)); diff != "" {
			t.Errorf("%s (-worker +lint)\n%s", name, diff)
		}
		if lint.RemovedGlobal(name) != "" {
			t.Errorf("lint says that %s is not there", name)
		}
	}
	if diff := cmp.Diff(plain, lint.PlainGlobals()); diff != "" {
		t.Errorf("(-worker +lint)\n%s", diff)
	}
}

// What lint says will fail does fail in the worker, and what it lets pass runs.
func TestAgreesWithTheWorker(t *testing.T) {
	for _, tc := range []struct {
		script string
		fails  bool
	}{
		{"os.exit()", true},
		{"local o = _G.os; o.time()", true},
		{"io.open('x')", true},
		{"load('x')", true},
		{"loadstring('x')", true},
		{"require('x')", true},
		{"collectgarbage()", true},
		{"debug.traceback()", true},
		{"string.dump(print)", true},
		{"table.unpack({})", true},
		{"table.pack()", true},
		{"utf8.len('x')", true},
		{"bit32.band(1, 1)", true},
		{"coroutine.close(1)", true},
		{"fs.reed('/x')", true},
		{"cmd.exec('x', {})", true},
		{"sys.exec('x')", true},
		{"frobnicate()", true},
		{"fs:read('/x')", true},
		{"fs.read('/etc/passwd')", true},
		{"fs.read('etc/passwd')", true},
		{"fs.list('/etc')", true},
		{"fs.stat('/etc')", true},
		{"fs.read('/proc/self/environ')", true},
		{"cmd.run('dmesg', {})", true},
		{"cmd.run('dmesg')", true},
		{"report.set('Surprise', 1)", true},
		{"return {Surprise = 1}", true},
		{"local x = = 1", true},
		{"break", true},
		{"goto nowhere", true},
		{"local a = 1 \ufeff", true},
		{"print(#sys.facts().os, time.now(), _VERSION)", false},
		{"local t = {} for w in ('a b'):gmatch('%a') do t[#t + 1] = w end assert(#t == 2)", false},
		{"goto done\n::done::", false},
		{"_G.x = 1 assert(x == 1)", false},
		{"local ok = pcall(error, 'x') assert(not ok)", false},
		{"local co = coroutine.wrap(function() coroutine.yield(1) end) assert(co() == 1)", false},
		{"-- größer\nassert(#'ü' == 2)", false},
		{"return {Names = {1, 2}}", false},
	} {
		p := hooks.Predicate{Capabilities: hooks.ReadingOnly(), Fields: []hooks.DeclaredField{{Name: "Names"}}}
		out := inWorker(t, tc.script)
		linted := hasError(lint.Check([]byte(tc.script), p))
		if ran := out.Code != ""; ran != tc.fails || linted != tc.fails {
			t.Errorf("%q: fails in the worker %v (%s %s), to lint %v; want %v", tc.script, ran, out.Code, out.Error, linted, tc.fails)
		}
	}
}

// The hostile corpus is linted in the confined process: each script is
// answered, or ends that process and is refused.
func TestHostileScripts(t *testing.T) {
	files, err := filepath.Glob("../../sandbox/testdata/hostile/lua/*.lua")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	ended := 0
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		findings, err := replay.Lint(context.Background(), binary(t), script, predicate())
		took := time.Since(began)
		if took > sandbox.LintRuntime+sandbox.KillAfter+time.Second {
			t.Errorf("%s: took %v", file, took)
		}
		if err != nil {
			ended++
			t.Logf("%s: %v after %v", filepath.Base(file), err, took)
			if code := errs.CodeOf(err); !strings.HasPrefix(string(code), "limit-") && code != errs.CodeSandboxCrash {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		for _, f := range findings {
			if f.Message == "" || len(f.Message) > 500 || f.Line < 0 || f.Column < 0 {
				t.Errorf("%s: %+v", file, f)
			}
		}
		if len(findings) > sandbox.MaxFindings {
			t.Errorf("%s: %d findings", file, len(findings))
		}
	}
	t.Logf("%d scripts, %d ended the linter", len(files), ended)
}
