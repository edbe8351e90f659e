package main

import (
	"path/filepath"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"

	"github.com/spf13/cobra"
)

const (
	reportName   = "report.json"
	fixturesName = "fixtures.yaml"
)

func newHookCommand(a *app) *cobra.Command {
	return group("hook", "Write, try, submit and run hooks",
		newHookInitCommand(a), newHookLintCommand(a), newHookTestCommand(a), newHookSubmitCommand(a),
		newHookListCommand(a), newHookShowCommand(a), newHookDigestCommand(a), newHookStatementCommand(a), newHookAttachCommand(a), newHookExplainCommand(a),
		newHookActivateCommand(a), newHookBoundsCommand(a), newHookPauseCommand(a), newHookDisableCommand(a))
}

// folder is a hook as its author keeps it: hook.yaml and hook.lua, and beside
// them, never uploaded, a report and fixtures to try it with.
type folder struct {
	dir      string
	manifest hooks.Manifest
	yaml     []byte
	script   []byte
}

func readFolder(args []string) (folder, error) {
	f := folder{dir: "."}
	if len(args) > 0 {
		f.dir = args[0]
	}
	var err error
	if f.yaml, err = readFile(filepath.Join(f.dir, hooks.ManifestName), hooks.MaxManifestBytes); err != nil {
		return f, noFolder(err)
	}
	if f.script, err = readFile(filepath.Join(f.dir, hooks.ScriptName), hooks.MaxScriptBytes); err != nil {
		return f, noFolder(err)
	}
	if f.manifest, err = hooks.ParseManifest(f.yaml); err != nil {
		return f, err
	}
	return f, hooks.CheckScript(f.script)
}

// noFolder tells what a hook's folder is, where a file of it is missing.
func noFolder(err error) error {
	if e, ok := errs.As(err); ok && e.Code == errs.CodeNotFound {
		return e.WithHint("a hook is a folder with %s and %s; make one with: hookline hook init", hooks.ManifestName, hooks.ScriptName)
	}
	return err
}

func (f folder) file(name string) string { return filepath.Join(f.dir, name) }

// sandboxBinary finds the small binary that parses and runs Lua.
func (a *app) sandboxBinary() (string, error) {
	if path := a.getenv("HOOKLINE_SANDBOX"); path != "" {
		return path, nil
	}
	return sandbox.FindBinary()
}
