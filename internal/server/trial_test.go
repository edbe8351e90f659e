package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/reviews"
)

// realBench runs the real small binary, which the build leaves in HOOKLINE_BIN.
func realBench(t *testing.T) reviews.Bench {
	t.Helper()
	bin := os.Getenv("HOOKLINE_BIN")
	if bin == "" {
		t.Skip("HOOKLINE_BIN is not set: run make test")
	}
	return newBench(filepath.Join(bin, "hookline-sandbox"), slog.New(slog.DiscardHandler))
}

const tryManifest = `hook: tried
description: a test
level: problem
match: {fingerprints: ["x"]}
as: service
capabilities: {fs.read: [/etc/hostname]}
fields:
  Extra: {type: text, class: technical, max_bytes: 1024, raw: false}
  Other: {type: text, class: technical, max_bytes: 1024, raw: false}
limits: {lifetime: 7d, max_reports: 10, max_runs_per_peer: 1, max_percent: 50, max_bytes: 1048576, max_result_bytes: 8192, max_runtime: 500ms}
`

// statementOf binds the manifest above to a script.
func statementOf(t *testing.T, script string) []byte {
	t.Helper()
	m, err := hooks.ParseManifest([]byte(tryManifest))
	if err != nil {
		t.Fatal(err)
	}
	st, err := m.Statement(hooks.Binding{
		Deployment: deployment, Author: strings.Repeat("a", 64), Version: 1, Now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	}, []byte(script))
	if err != nil {
		t.Fatal(err)
	}
	b, err := st.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A trial is a run of the real sandbox with nothing to look at: this machine's
// own files are not read, and the page is told what was asked for.
func TestTrial(t *testing.T) {
	b := realBench(t)
	original := jobs.Job{Report: hooks.Report{"Package": "crasher", "DistroRelease": "Debian 12"}}
	for name, c := range map[string]struct {
		script, code, fields string
		calls                int
	}{
		"fields":              {"report.set('Extra', report.get('Package'))\n", "", `{"Extra":"crasher"}`, 0},
		"empty":               {"log('nothing')\n", "", "", 0},
		"not recorded":        {"report.set('Extra', fs.read('/etc/hostname'))\n", "call-failed", "", 1},
		"caught":              {"report.set('Extra', tostring(pcall(fs.read, '/etc/hostname')))\n", "", `{"Extra":"false"}`, 1},
		"not declared":        {"fs.read('/etc/' .. 'passwd')\n", "denied", "", 1},
		"its own error":       {"local x\nx()\n", "hook-error", "", 0},
		"not its field":       {"report.set('Nothing', 'x')\n", "field-undeclared", "", 1},
		"without end":         {"while true do end\n", "limit-time", "", 0},
		"much memory":         {"local t = {}\nwhile true do t[#t + 1] = string.rep('x', 65536) .. #t end\n", "limit-memory", "", 0},
		"no program":          {"x = = 1\n", "bad-script", "", 0},
		"deep for a compiler": {"return " + strings.Repeat("{", 3000), "", "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := b.Try(t.Context(), []byte(c.script), statementOf(t, c.script), original, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.calls < 0 { // it must end, no matter how
				if got.Code == "" {
					t.Errorf("%+v", got)
				}
				return
			}
			if got.Code != c.code || string(got.Fields) != c.fields || len(got.Calls) != c.calls || got.Took <= 0 || (got.Ending == hooks.EndingSucceeded) != (c.fields != "") {
				t.Errorf("%+v, fields %s", got, got.Fields)
			}
			if stop := got.Stop; (stop != nil) != (name == "not recorded") || stop != nil && (stop.Name != "fs.read" || stop.Arg != "/etc/hostname") {
				t.Errorf("stopped by %+v", stop)
			}
			for _, call := range got.Calls {
				if call.Unrecorded != (call.Arg == "/etc/hostname") {
					t.Errorf("%+v", call)
				}
			}
			if c.fields != "" && (len(got.NotSet) != 1 || got.NotSet[0] != "Other" || got.Memory == 0) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A recording answers what the statement allows, and nothing else.
func TestTrialWithARecording(t *testing.T) {
	b := realBench(t)
	original := jobs.Job{Report: hooks.Report{"Package": "crasher", "DistroRelease": "Debian 12"}}
	const hostname = "files: {/etc/hostname: recorded}\n"
	for name, c := range map[string]struct {
		script, recording, code, fields, stop string
	}{
		"answered":         {"report.set('Extra', fs.read('/etc/hostname'))\n", hostname, "", `{"Extra":"recorded"}`, ""},
		"another answer":   {"report.set('Extra', fs.read('/etc/hostname'))\n", "files: {/etc/os-release: x}\n", "call-failed", "", "/etc/hostname"},
		"missing":          {"fs.read('/etc/hostname')\n", "missing: [/etc/hostname]\n", "call-failed", "", ""},
		"not declared":     {"fs.read('/etc/' .. 'passwd')\n", "files: {/etc/passwd: recorded}\n", "denied", "", ""},
		"no such command":  {"cmd.run('id', {})\n", "commands: [{name: id, args: [], stdout: recorded}]\n", "denied", "", ""},
		"larger than read": {"fs.read('/etc/hostname')\n", "files: {/etc/hostname: " + strings.Repeat("x", 256<<10+1) + "}\n", "limit-read", "", ""},
		"no facts":         {"report.set('Extra', sys.facts().release)\n", hostname, "", `{"Extra":"Debian 12"}`, ""},
		"facts":            {"report.set('Extra', sys.facts().release)\n", "facts: {release: Debian 13}\n", "", `{"Extra":"Debian 13"}`, ""},
		"many calls": {
			"for i = 1, 300 do pcall(fs.read, '/etc/hostname') end\nfs.read('/etc/hostname')\n", "missing: []\n", "call-failed", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := b.Try(t.Context(), []byte(c.script), statementOf(t, c.script), original, []byte(c.recording))
			if err != nil {
				t.Fatal(err)
			}
			if got.Code != c.code || string(got.Fields) != c.fields {
				t.Errorf("%+v, fields %s", got, got.Fields)
			}
			switch stop := got.Stop; {
			case name == "many calls":
				if stop == nil || *stop != (reviews.Call{}) {
					t.Errorf("stopped by %+v, which is more than is known", stop)
				}
			case (stop != nil) != (c.stop != "") || stop != nil && stop.Arg != c.stop:
				t.Errorf("stopped by %+v", stop)
			}
		})
	}
	for name, recording := range hostileRecordings() {
		script := "log('x')\n"
		_, err := b.Try(t.Context(), []byte(script), statementOf(t, script), original, []byte(recording))
		e, ok := errs.As(err)
		if !ok || e.Kind() == errs.Internal || !strings.HasPrefix(e.Field, "recording") || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hostileRecordings are what no trial takes.
func hostileRecordings() map[string]string {
	const most = 128 << 10 // of what a page takes
	return map[string]string{
		"empty":            "",
		"huge":             "files: {/a: " + strings.Repeat("x", 13<<20) + "}",
		"deep lists":       strings.Repeat("[", most),
		"deep mappings":    strings.Repeat("{a: ", most/4),
		"deep blocks":      strings.Repeat("- ", most/2),
		"deep and closed":  "files: " + strings.Repeat("[", most/4) + strings.Repeat("]", most/4),
		"many values":      "missing: [" + strings.Repeat("/a,", most/4) + "]",
		"many documents":   strings.Repeat("---\n{}\n", most/7),
		"aliases":          "files: &a {/a: x}\nstats: *a\n",
		"a list":           "[]",
		"a text":           "recorded",
		"files are a list": "files: [x]",
		"a number":         "files: {/a: 1}",
		"null":             "files: ~",
		"unknown":          "answers: {}",
		"twice":            "files: {/a: x, /a: y}",
		"no path":          "files: {../etc/passwd: x}",
		"no base64":        "files_base64: {/a: '*'}",
		"no mode":          "stats: {/a: {type: file, mode: '99'}}",
		"no UTF-8":         "files: {/a: \"\xff\"}",
		"NUL":              "files: {/a: \x00}",
		"one long line":    strings.Repeat("a", most) + ": x",
		"open quote":       "files: {/a: \"" + strings.Repeat("\\", most),
		"comments":         strings.Repeat("#\n", most/2),
		"colons":           strings.Repeat("? ", most/2),
		"anchors":          strings.Repeat("&a ", most/3),
	}
}

// FuzzRecorded looks for a recording that breaks what reads it.
func FuzzRecorded(f *testing.F) {
	f.Add([]byte("files: {/etc/hostname: recorded}\nmissing: [/a]\n"))
	for _, recording := range hostileRecordings() {
		if len(recording) <= 256<<10 {
			f.Add([]byte(recording))
		}
	}
	f.Fuzz(func(t *testing.T, recording []byte) {
		_, err := recorded(recording)
		if e, ok := errs.As(err); err != nil && (!ok || e.Kind() == errs.Internal || !strings.HasPrefix(e.Field, "recording")) {
			t.Errorf("%v", err)
		}
	})
}

func TestBenchLints(t *testing.T) {
	b := realBench(t)
	script := "fs.read('/etc/passwd')\n"
	found, err := b.Lint(t.Context(), []byte(script), statementOf(t, script))
	wrong := slices.DeleteFunc(slices.Clone(found), func(f reviews.Finding) bool { return f.Severity != "error" })
	if err != nil || len(wrong) != 1 || wrong[0].File != hooks.ScriptName || wrong[0].Line != 1 || len(found) < 2 || found[0].Line != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	script = "report.set('Extra', 'x')\n"
	found, err = b.Lint(t.Context(), []byte(script), statementOf(t, script))
	for _, f := range found {
		if f.Severity == "error" {
			t.Errorf("%+v", f)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// Where two run the third waits a little, and is then sent away; a place is
// free again however a run ended.
func TestBenchIsSmall(t *testing.T) {
	b := &bench{path: "/bin/false", slots: make(chan struct{}, maxTrials), log: slog.New(slog.DiscardHandler)}
	var leave []func()
	for range maxTrials {
		_, l, err := b.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	if _, _, err := b.enter(t.Context()); !errs.Is(err, errs.CodeUnavailable) {
		t.Errorf("a third: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := b.enter(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("somebody who left: %v", err)
	}
	for _, l := range leave {
		l()
	}
	for range maxTrials + 1 { // what cannot run gives its place back
		script := "log('x')\n"
		if _, err := b.Try(t.Context(), []byte(script), statementOf(t, script), jobs.Job{Report: hooks.Report{"A": "b"}}, nil); err != nil && !errs.Is(err, errs.CodeUnavailable) {
			t.Error(err)
		}
		if _, err := b.Lint(t.Context(), []byte(script), statementOf(t, script)); err == nil {
			t.Error("/bin/false lints")
		}
	}
	if len(b.slots) != 0 {
		t.Errorf("%d places are taken", len(b.slots))
	}
	if _, err := b.Try(t.Context(), nil, []byte("{}"), jobs.Job{}, nil); err == nil {
		t.Error("no statement")
	}
}

// A server without the binary has no bench, which pages can see.
func TestNoBench(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("HOOKLINE_SANDBOX", "")
	if b := newBench("", slog.New(slog.DiscardHandler)); b != nil {
		t.Errorf("%+v", b)
	}
}
