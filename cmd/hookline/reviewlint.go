package main

import (
	"context"
	"fmt"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox/replay"
)

// linted shows what this machine's own linter says about the very bytes that
// would be signed; what a server found in them is a server's word. False means
// that it found errors, or that the script broke it. Where there is no linter
// the reader is told, and decides.
func (a *app) linted(ctx context.Context, f fetched) bool {
	a.section("lint, on this machine")
	binary, err := a.sandboxBinary()
	var findings []replay.Finding
	if err == nil {
		findings, err = replay.Lint(ctx, binary, f.version.Script, f.statement.Predicate)
	}
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

// findingLines prints findings as compilers do; line 0 is the manifest.
func (a *app) findingLines(manifest, script string, findings []replay.Finding) {
	for _, x := range findings {
		place := manifest
		if x.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", script, x.Line, x.Column)
		}
		fmt.Fprintf(a.out, "%s: %s: %s [%s]\n", safe(place), safe(x.Severity), safe(x.Message), safe(x.Code))
	}
}
