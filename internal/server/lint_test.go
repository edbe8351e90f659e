package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hookline/internal/api"
	"hookline/internal/auth"
	"hookline/internal/errs"
)

// sandboxed is a rig whose server compiles scripts with the real small
// binary, which the build leaves in HOOKLINE_BIN.
func sandboxed(t *testing.T) *rig {
	t.Helper()
	bin := os.Getenv("HOOKLINE_BIN")
	if bin == "" {
		t.Skip("HOOKLINE_BIN is not set: run make test")
	}
	r := newRig(t)
	r.restartWith(filepath.Join(bin, "hookline-sandbox"))
	return r
}

func (r *rig) restartWith(sandbox string) {
	r.t.Helper()
	r.cfg.Sandbox = sandbox
	r.restart()
}

func TestScriptThatDoesNotCompileIsRefused(t *testing.T) {
	r := sandboxed(t)
	broken := r.signed(read(t, "kernel-taint", "hook.yaml"), []byte("local x =\n= 1\n"), 1)
	a := r.send(auth.RoleAuthor, "POST", "/api/versions", broken)
	p := a.problem(t)
	if a.Status != 422 || p.Code != string(errs.CodeBadScript) || len(p.Errors) != 1 || p.Errors[0].Field != "hook.lua:2" || p.Hint == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	var hooks api.Page[api.Version]
	r.must(auth.RoleAuthor, "GET", "/api/hooks", nil, 200, &hooks)
	if len(hooks.Items) != 0 {
		t.Errorf("it was stored all the same: %+v", hooks.Items)
	}
	if a := r.send(auth.RoleViewer, "POST", "/api/versions", broken); a.Status != 403 {
		t.Errorf("as viewer: %d %s", a.Status, a.Body)
	}
	r.must(auth.RoleAuthor, "POST", "/api/versions", r.newVersion("kernel-taint", 1), 201, nil)
}

// Whatever lint calls an error stops a submission, sent by whichever client;
// a warning does not.
func TestLintErrorsStopASubmission(t *testing.T) {
	r := sandboxed(t)
	manifest := read(t, "kernel-taint", "hook.yaml")
	good := string(read(t, "kernel-taint", "hook.lua"))
	shell := bytes.Replace(manifest, []byte("fields:"), []byte("  cmd.run:\n    - {name: sh, program: /bin/sh, args: [-c, id]}\nfields:"), 1)
	for _, tt := range []struct {
		name             string
		manifest         []byte
		script           string
		code, at, detail string
	}{
		{"a path that is not declared", manifest, good + "fs.read('/etc/passwd')\n", "bad-script", "hook.lua:49", "/etc/passwd"},
		{"a hidden character", manifest, "-- \u202e\n" + good, "bad-script", "hook.lua:1", "U+202E"},
		{"several", manifest, "os.exit()\nio.write()\n" + good, "bad-script", "hook.lua:1", "the first of 2 errors"},
		{"a shell", shell, good + "cmd.run('sh', {'-c', 'id'})\n", "bad-manifest", "hook.yaml", "is a shell"},
		{"code far to the right", manifest, good + "local y = 2" + strings.Repeat(" ", 400) + "print(y)\n", "bad-script", "hook.lua:49", "behind 400 columns"},
		{"too deep for a compiler", manifest, good + "return " + strings.Repeat("{", 2000), "bad-script", "hook.lua:49", "nested"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := r.send(auth.RoleAuthor, "POST", "/api/versions", r.signed(tt.manifest, []byte(tt.script), 1))
			p := a.problem(t)
			if a.Status != 422 || p.Code != tt.code || len(p.Errors) != 1 || p.Errors[0].Field != tt.at || !strings.Contains(p.Detail, tt.detail) || p.Hint == "" {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	r.must(auth.RoleAuthor, "POST", "/api/versions", r.signed(manifest, []byte(good+"-- p\u0430ypal\n"), 1), 201, nil)
}

// A script that ends the linter is refused; a server that cannot lint is no
// reason to refuse one.
func TestRefusesWhatBreaksTheLinter(t *testing.T) {
	r := newRig(t)
	r.restartWith("/bin/true") // gives no answer, as a linter that a script has ended
	a := r.send(auth.RoleAuthor, "POST", "/api/versions", r.newVersion("kernel-taint", 1))
	if p := a.problem(t); a.Status != 422 || p.Code != string(errs.CodeBadScript) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	for code, want := range map[errs.Code]bool{
		errs.CodeLimitTime: true, errs.CodeLimitMemory: true, errs.CodeSandboxCrash: true, errs.CodeSandboxUnconfined: false, errs.CodeNotFound: false,
	} {
		if broke(errs.New(code, "it ended")) != want {
			t.Errorf("%s: not %v", code, want)
		}
	}
}

// TestSubmitWithoutACompiler: a binary that does not work stops nobody; the
// reviewers still read the script.
func TestSubmitWithoutACompiler(t *testing.T) {
	r := newRig(t)
	r.restartWith(filepath.Join(t.TempDir(), "nothing"))
	r.must(auth.RoleAuthor, "POST", "/api/versions", r.newVersion("kernel-taint", 1), 201, nil)
}
