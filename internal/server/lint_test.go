package server

import (
	"os"
	"path/filepath"
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
	if err := r.stop(); err != nil {
		r.t.Fatal(err)
	}
	r.cfg.Sandbox = sandbox
	r.start()
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

// TestSubmitWithoutACompiler: a binary that does not work stops nobody; the
// reviewers still read the script.
func TestSubmitWithoutACompiler(t *testing.T) {
	r := newRig(t)
	r.restartWith(filepath.Join(t.TempDir(), "nothing"))
	r.must(auth.RoleAuthor, "POST", "/api/versions", r.newVersion("kernel-taint", 1), 201, nil)
}
