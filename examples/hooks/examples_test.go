// Package examples_test holds the example hooks to what they promise: they
// parse, lint says of them what is known, they bring exactly what they say
// from recorded answers, they run on this machine, and the commands of their
// READMEs work when copied.
package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// bin holds hookline and hookline-sandbox, where other users can reach them:
// copies of those of HOOKLINE_BIN, else built anew.
var bin string

func TestMain(m *testing.M) { os.Exit(withBinaries(m.Run)) }

func withBinaries(run func() int) int {
	err := makeBinaries()
	defer os.RemoveAll(bin)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot have the binaries: %v\n", err)
		return 1
	}
	return run()
}

func makeBinaries() (err error) {
	if bin, err = os.MkdirTemp("", "hookline-examples-"); err != nil {
		return err
	}
	if err := os.Chmod(bin, 0o755); err != nil {
		return err
	}
	if given := os.Getenv("HOOKLINE_BIN"); given != "" {
		for _, name := range []string{"hookline", sandbox.BinaryName} {
			b, err := os.ReadFile(filepath.Join(given, name))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(bin, name), b, 0o755); err != nil {
				return err
			}
		}
		return nil
	}
	build := exec.CommandContext(context.Background(), "go", "build", "-o", bin+"/", "hookline/cmd/hookline", "hookline/cmd/hookline-sandbox")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// example is one folder of examples/hooks.
type example struct {
	name     string
	manifest hooks.Manifest
	script   []byte
	report   hooks.Report
	fixtures replay.Fixtures
	expected hooks.Fields
}

func load(t *testing.T, name string) example {
	t.Helper()
	e := example{name: name, script: read(t, name, "hook.lua")}
	var err error
	e.manifest, err = hooks.ParseManifest(read(t, name, hooks.ManifestName))
	must(t, err)
	e.report, err = hooks.ParseReport(read(t, name, "report.json"))
	must(t, err)
	e.fixtures, err = replay.ParseFixtures(read(t, name, "fixtures.yaml"))
	must(t, err)
	numbers := json.NewDecoder(bytes.NewReader(read(t, name, "expected.json")))
	numbers.UseNumber() // 12 and 12.0 are not the same bytes
	must(t, numbers.Decode(&e.expected))
	return e
}

// task is a run over the example's report, filed by a person.
func (e example) task() sandbox.Task {
	now := time.Now()
	return sandbox.Task{
		Script: e.script, Predicate: e.manifest.Predicate(now), Report: e.report, Now: now,
		Filer: sandbox.Filer{UID: somebody, Known: true},
	}
}

func TestExamples(t *testing.T) {
	folders, err := filepath.Glob("*/" + hooks.ManifestName)
	must(t, err)
	if len(folders) < 7 {
		t.Fatalf("only these examples are here: %v", folders)
	}
	for _, manifest := range folders {
		name := filepath.Dir(manifest)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := load(t, name)
			t.Run("manifest", e.testManifest)
			t.Run("lint", e.testLint)
			t.Run("recorded", e.testRecorded)
			t.Run("nothing", e.testNothing)
			t.Run("live", e.testLive)
			t.Run("readme", e.testReadme)
		})
	}
}

func (e example) testManifest(t *testing.T) {
	if e.manifest.Hook != e.name {
		t.Errorf("the hook is called %q, its folder %q", e.manifest.Hook, e.name)
	}
	if !e.manifest.Match.Matches(e.manifest.Level, e.report) {
		t.Error("the match does not cover the example's own report")
	}
	for name := range e.manifest.Fields {
		if !bytes.Contains(read(t, e.name, "README.md"), []byte("`"+name+"`")) {
			t.Errorf("the README does not speak of field %s", name)
		}
	}
}

// testLint allows the findings of lint.txt, which the README explains to
// reviewers, and no others.
func (e example) testLint(t *testing.T) {
	findings, err := replay.Lint(t.Context(), sandboxBinary(), e.script, e.task().Predicate)
	must(t, err)
	var got strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&got, "%d:%d: %s: %s [%s]\n", f.Line, f.Column, f.Severity, f.Message, f.Code)
	}
	want, err := os.ReadFile(filepath.Join(e.name, "lint.txt"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("lint does not say what lint.txt has (-want +got):\n%s", diff)
	}
	if strings.Contains(string(want), "error:") {
		t.Error("an example must not have errors")
	}
	if len(want) > 0 && !bytes.Contains(read(t, e.name, "README.md"), []byte("**For the reviewer.**")) {
		t.Error("the README does not tell reviewers about lint's findings")
	}
}

func (e example) testRecorded(t *testing.T) {
	out, err := replay.Run(t.Context(), sandboxBinary(), e.task(), e.fixtures)
	must(t, err)
	ended(t, out)
	if diff := cmp.Diff(canonical(t, e.expected), canonical(t, out.Fields)); diff != "" {
		t.Errorf("the fields are not those of expected.json (-want +got):\n%s", diff)
	}
}

// testNothing runs it on a machine that answers no call: what may be missing
// must not end a hook. Only one whose single source is gone may fail.
func (e example) testNothing(t *testing.T) {
	out, err := replay.Run(t.Context(), sandboxBinary(), e.task(), replay.Fixtures{})
	must(t, err)
	if out.Code != "" && (out.Code != string(errs.CodeCallFailed) || e.name != "kernel-taint") {
		t.Errorf("code %q at line %d: %s", out.Code, out.Line, out.Error)
	}
}

// A report may hold anything. What is no clean path below the folders that are
// open must not even be asked for.
func TestHostilePaths(t *testing.T) {
	t.Parallel()
	e := load(t, "disk-pressure")
	e.report = maps.Clone(e.report)
	for _, text := range []string{
		"/var/../etc/shadow", "/usr/./bin", "/var/lib/..", "//etc//passwd", "/etc/passwd", "/home-x/y", "/proc/1/environ", "/", "///", "/var/lib/x/...", "/tmp/\x1b[2J",
		"/usr/" + strings.Repeat("x/", 4000), "/srv/{pid}/*", "--output=/var/x", "https://example.org/usr/bin", strings.Repeat("/opt/a ", 5000), strings.Repeat("/", 200_000),
	} {
		e.report[hooks.FieldStderr] = text
		out, err := replay.Run(t.Context(), sandboxBinary(), e.task(), replay.Fixtures{})
		must(t, err)
		ended(t, out)
		if len(out.Calls) > 12 {
			t.Errorf("%.40q: %d calls", text, len(out.Calls))
		}
	}
}

// testReadme runs the README's commands, as copied, in the repository's folder.
func (e example) testReadme(t *testing.T) {
	ran := 0
	for line := range strings.Lines(string(read(t, e.name, "README.md"))) {
		command, ok := strings.CutPrefix(line, "    ")
		if !ok || !strings.Contains(command, "bin/hookline ") {
			continue
		}
		ran++
		copied := strings.ReplaceAll(command, "bin/hookline ", "'"+filepath.Join(bin, "hookline")+"' ")
		cmd := exec.CommandContext(t.Context(), "sh", "-c", copied)
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("warning:")) {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	if ran < 2 {
		t.Errorf("the README has %d commands, want one recorded and one live", ran)
	}
}

// ended fails the test unless the run ended well and nothing was denied.
func ended(t *testing.T, out sandbox.Outcome) {
	t.Helper()
	if out.Code != "" || out.Denied != 0 {
		t.Fatalf("code %q at line %d: %s; %d denied, calls %+v", out.Code, out.Line, out.Error, out.Denied, out.Calls)
	}
}

func canonical(t *testing.T, f hooks.Fields) string {
	t.Helper()
	b, err := f.Canonical()
	must(t, err)
	return string(b)
}

func sandboxBinary() string { return filepath.Join(bin, sandbox.BinaryName) }

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
