package main

import (
	"context"
	"fmt"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/errs"
	"hookline/sandbox/replay"
)

// lintOf is what this machine's own linter says about the very bytes that
// would be signed; what a server found in them is a server's word.
func (a *app) lintOf(ctx context.Context, f fetched) ([]replay.Finding, error) {
	binary, err := a.sandboxBinary()
	if err != nil {
		return nil, err
	}
	findings, err := replay.Lint(ctx, binary, f.version.Script, f.statement.Predicate)
	if err == nil && findings == nil {
		findings = []replay.Finding{}
	}
	return findings, err
}

// linted shows what lint says. False means that it found errors, or that the
// script broke it. Where there is no linter the reader is told, and decides.
func (a *app) linted(ctx context.Context, f fetched) bool {
	a.section("lint, on this machine")
	findings, err := a.lintOf(ctx, f)
	if err != nil {
		fmt.Fprintf(a.out, "WARNING: not linted: %s\n", safe(err.Error()))
		return errs.Is(err, errs.CodeSandboxUnconfined)
	}
	if len(findings) == 0 {
		fmt.Fprintln(a.out, "nothing found")
	}
	a.findingLines(hooks.ManifestName, hooks.ScriptName, findings)
	return !hasErrors(findings)
}

// reviewed is a version as review show prints it for programs.
type reviewed struct {
	api.Version
	Findings []replay.Finding `json:"findings"` // of lint on this machine; null where it could not run
	NoLint   string           `json:"lint_error,omitempty"`
}

func (a *app) reviewed(ctx context.Context, f fetched) reviewed {
	v := reviewed{Version: f.version}
	var err error
	if v.Findings, err = a.lintOf(ctx, f); err != nil {
		v.NoLint = err.Error()
	}
	return v
}

// findingLines prints findings as compilers do. Those about a statement have
// no line in a manifest, which is not signed.
func (a *app) findingLines(manifest, script string, findings []replay.Finding) {
	for _, x := range findings {
		fmt.Fprintf(a.out, "%s: %s: %s [%s]\n", safe(findingPlace(manifest, script, x)), safe(x.Severity), safe(x.Message), safe(x.Code))
	}
}

func findingPlace(manifest, script string, x replay.Finding) string {
	place := manifest
	if x.File != hooks.ManifestName {
		place = script
	}
	if x.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", place, x.Line, x.Column)
	}
	return place
}

// lintRefuses is why nobody signs what lint calls an error.
func lintRefuses() error {
	return errs.New(errs.CodeBadScript, "cannot approve: lint found errors").WithHint("ask the author for a version without them: hookline review request-changes")
}
