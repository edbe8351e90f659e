package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/sandbox"
)

// offer makes the thief show a version of this script, signed by its author.
func (s *stage) offer(script string, change func(*hooks.Predicate)) {
	s.t.Helper()
	st, err := hooks.ParseStatement(s.statement(change))
	s.must(err)
	st.Subject[0].Digest.SHA256 = hooks.Digest([]byte(script))
	b, err := st.Canonical()
	s.must(err)
	s.setVersion(b)
	s.thief.version.Script = []byte(script)
}

// The reviewer's own machine lints what it got: whatever the server says, the
// warnings stand before the signature, and errors are not signed.
func TestReviewLints(t *testing.T) {
	s := newStage(t)
	s.env["HOOKLINE_SANDBOX"] = filepath.Join(builtForTests(t), sandbox.BinaryName)
	const dynamic = "hook.lua:2:1: warning: this path is computed; it is checked only when the hook runs [path-dynamic]"
	deep := hookScript + "return " + strings.Repeat("{", 2000)
	for _, tt := range []struct {
		name, script, text string
		change             func(*hooks.Predicate)
		code               int
	}{
		{"nothing to say", "report.set('A', 1) fs.read('/proc/meminfo')\n", "nothing found", nil, 0},
		{"a path that is chosen", hookScript + "fs.read(report.get('P'))\n", dynamic, nil, 0},
		{"declared in vain", hookScript, `hook.yaml: warning: the manifest asks to read "/proc/meminfo", the script never does [capability-unused]`, nil, 0},
		{"text turned around", hookScript + "-- \u202e\n", "hook.lua:2:4: error: U+202E changes the direction", nil, 1},
		{"a path that is not declared", hookScript + "fs.read('/etc/passwd')\n", "hook.lua:2:10: error: the manifest does not ask", nil, 1},
		{"a shell", "cmd.run('x', {})\n", `hook.yaml: error: command "x": /bin/sh is a shell`, func(p *hooks.Predicate) {
			p.Capabilities.CmdRun = []hooks.Command{{Name: "x", Program: "/bin/sh", Args: []string{}, Paths: []string{}, Reads: []string{}}}
		}, 1},
		{"code far to the right", "local y = 2" + strings.Repeat(" ", 400) + "fs.read('/proc/meminfo') report.set('A', 1)\n", "hook.lua:1:412: error: text stands behind 400 columns", nil, 1},
		{"too deep for the compiler", deep, "nested too deeply", nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			s.offer(tt.script, tt.change)
			s.want(0, tt.text, "review", "show", s.digest)
			for _, format := range []string{"table", "json"} {
				s.thief.got = nil
				s.want(tt.code, tt.text, "review", "approve", s.digest, "--key", s.path("bob.key"), "--yes", "-o", format)
				if (s.thief.got != nil) != (tt.code == 0) {
					t.Errorf("sent: %s", s.thief.got)
				}
			}
			if tt.code != 0 {
				s.want(tt.code, "lint found errors", "review", "approve", s.digest, "--key", s.path("bob.key"), "--yes")
			}
		})
	}
}

// Programs get the findings too, and are told where there are none to be had.
func TestReviewShowsFindingsToPrograms(t *testing.T) {
	s := newStage(t)
	s.offer(hookScript+"-- \u202e\n", nil)
	show := func() (v reviewed) {
		t.Helper()
		code, out := s.hookline("review", "show", s.digest, "-o", "json")
		if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Digest != s.digest || len(v.Script) == 0 {
			t.Fatalf("%d %v\n%s", code, err, out)
		}
		return v
	}
	s.env["HOOKLINE_SANDBOX"] = filepath.Join(builtForTests(t), sandbox.BinaryName)
	v := show()
	want := map[string]string{hooks.ManifestName: "capability-unused", hooks.ScriptName: "character-hidden"}
	for _, f := range v.Findings {
		if want[f.File] != f.Code || (f.Line == 2) != (f.File == hooks.ScriptName) || (f.Key == "capabilities.fs.read[0]") != (f.File == hooks.ManifestName) {
			t.Errorf("odd finding %+v", f)
		}
	}
	if len(v.Findings) != 2 || v.NoLint != "" {
		t.Errorf("%+v, %q", v.Findings, v.NoLint)
	}
	s.env["HOOKLINE_SANDBOX"] = s.path("nothing")
	if v := show(); v.Findings != nil || v.NoLint == "" {
		t.Errorf("without a linter: %+v, %q", v.Findings, v.NoLint)
	}
}

// Nothing of a line is out of sight, whatever is between.
func TestScriptRows(t *testing.T) {
	row := strings.Repeat("x", scriptColumns)
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"", []string{""}},
		{"\tif x then\ty", []string{"    if x then   y"}},
		{row, []string{row}},
		{row + "y", []string{row, "y"}},
		{"a" + strings.Repeat(" ", 2*scriptColumns) + "b", []string{"a" + strings.Repeat(" ", scriptColumns-1), strings.Repeat(" ", scriptColumns), " b"}},
		{"a\u00a0\u2003\u3000\u2800\u3164b", []string{`a\u00a0\u2003\u3000\u2800\u3164b`}},
	} {
		if got := scriptRows(tt.line); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q", tt.line, got)
		}
	}
	s := newStage(t)
	s.offer("local y = 2"+strings.Repeat(" ", 400)+"report.set('A', 1)\nlocal z = 3\n", nil)
	_, out := s.hookline("review", "show", s.digest)
	for _, want := range []string{"   1  local y = 2", "\n   ↪  " + strings.Repeat(" ", 11) + "report.set('A', 1)\n   2  local z", "WARNING: the script has long lines (1)"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// Without a linter the reviewer is told, and decides.
func TestReviewWithoutALinter(t *testing.T) {
	s := newStage(t)
	s.env["HOOKLINE_SANDBOX"] = s.path("nothing")
	s.offer(hookScript+"-- \u202e\n", nil)
	const text = "WARNING: not linted: "
	s.want(0, text, "review", "show", s.digest)
	s.want(0, text, "review", "approve", s.digest, "--key", s.path("bob.key"), "--yes")
	// One that ends without an answer may have been ended by the script.
	s.env["HOOKLINE_SANDBOX"] = "/bin/true"
	s.thief.got = nil
	s.want(1, text, "review", "approve", s.digest, "--key", s.path("bob.key"), "--yes")
	if s.thief.got != nil {
		t.Errorf("something was sent: %s", s.thief.got)
	}
}

// An author sees the warnings that reviewers will see, and sends no errors.
func TestSubmitLints(t *testing.T) {
	s := newStage(t)
	s.env["HOOKLINE_SANDBOX"] = filepath.Join(builtForTests(t), sandbox.BinaryName)
	s.serveJob(crash())
	dir := s.initFolder()
	script, err := os.ReadFile(filepath.Join(dir, hooks.ScriptName))
	s.must(err)
	s.thief.answer = nil
	args := []string{"hook", "submit", dir, "--key", s.path("alice.key"), "--number", "1"}
	for _, tt := range []struct {
		more, text string
		code       int
	}{
		{"", "submitted", 0},
		{"fs.read(report.get('P'))\n", "[path-dynamic]", 0},
		{"-- \u200b\n", "error: U+200B is invisible", 1},
	} {
		s.must(os.WriteFile(filepath.Join(dir, hooks.ScriptName), append(script, tt.more...), 0o600))
		s.thief.got = nil
		s.want(tt.code, tt.text, args...)
		if (s.thief.got != nil) != (tt.code == 0) {
			t.Errorf("%q: sent %s", tt.more, s.thief.got)
		}
	}
	s.want(0, "submitted", append(args, "--no-lint")...) // the server lints all the same
}
