package main

import (
	"fmt"
	"slices"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox/replay"

	"github.com/spf13/cobra"
)

func newHookLintCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lint [DIR]",
		Short: "Check hook.yaml and hook.lua without running anything",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := readFolder(args)
			if err != nil {
				return withoutLint(err)
			}
			findings, err := a.lint(c, f)
			if err != nil {
				return err
			}
			if err := a.show(findings, func() { a.findings(f, findings) }); err != nil {
				return err
			}
			if hasErrors(findings) {
				return errFailed
			}
			return nil
		},
	}
}

func (a *app) lint(c *cobra.Command, f folder) ([]replay.Finding, error) {
	binary, err := a.sandboxBinary()
	if err != nil {
		return nil, err
	}
	p := f.manifest.Predicate(a.now())
	findings, err := replay.Lint(c.Context(), binary, f.script, p)
	if findings == nil {
		findings = []replay.Finding{}
	}
	return f.placed(findings, p), err
}

// withoutLint keeps lint from sending people to lint: of a file that cannot be
// read it knows the first error alone.
func withoutLint(err error) error {
	if e, ok := errs.As(err); ok && e.Hint == "" && (e.Code == errs.CodeBadManifest || e.Code == errs.CodeBadScript) {
		return e.WithHint("correct it and lint again: there may be more, which shows only when the file can be read")
	}
	return err
}

func hasErrors(findings []replay.Finding) bool {
	return slices.ContainsFunc(findings, func(f replay.Finding) bool { return f.Severity == "error" })
}

func (a *app) findings(f folder, findings []replay.Finding) {
	a.findingLines(f.file(hooks.ManifestName), f.file(hooks.ScriptName), findings)
	if !hasErrors(findings) {
		fmt.Fprintf(a.out, "ok: %s, %s level, %s\n", safe(f.manifest.Hook), f.manifest.Level, fieldsOf(len(f.manifest.Fields), ""))
	}
}

// fieldsOf counts fields for people: "1 new field", "2 new fields".
func fieldsOf(n int, kind string) string {
	if n == 1 {
		return "1 " + kind + "field"
	}
	return fmt.Sprintf("%d %sfields", n, kind)
}
