package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// lints at a time: each is a confined process of its own, and whoever may
// submit could ask for many.
const maxLints = 2

// newLint returns the check of scripts at submission: the small binary lints
// them, confined, since a compiler can be attacked too. What it finds to be
// wrong is refused, and so is a script that breaks it. Without the binary
// nothing is checked here; authors' own `hookline hook lint` and the reviewers,
// whose `hookline review` lints on their machines, remain.
func newLint(path string, log *slog.Logger) func(ctx context.Context, script, statement []byte) error {
	if path = smallBinary(path); path == "" {
		log.Info("hookline-sandbox was not found; scripts are not linted when they are submitted")
		return nil
	}
	slots := make(chan struct{}, maxLints)
	return func(ctx context.Context, script, statement []byte) error {
		st, err := hooks.ParseStatement(statement)
		if err != nil {
			return err
		}
		if err := hooks.CheckScript(script); err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
		findings, err := replay.Lint(ctx, path, script, st.Predicate)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && broke(err):
			return errs.Wrap(errs.CodeBadScript, err, "the script cannot be checked").At(hooks.ScriptName).WithHint(tryFirst)
		case err != nil:
			log.WarnContext(ctx, "a submitted script could not be linted here; its reviewers still see it", "error", err)
			return nil
		}
		return refusal(findings)
	}
}

// smallBinary is the path that was configured, or where the binary was found;
// "" where it was not.
func smallBinary(path string) string {
	if path != "" {
		return path
	}
	found, err := sandbox.FindBinary()
	if err != nil {
		return ""
	}
	return found
}

// broke reports whether it was the script that ended the linter, rather than
// a server that has none.
func broke(err error) bool {
	switch errs.CodeOf(err) {
	case errs.CodeLimitTime, errs.CodeLimitMemory, errs.CodeSandboxCrash:
		return true
	}
	return false
}

const tryFirst = "see all that is wrong with: hookline hook lint"

// refusal refuses what the linter calls an error; warnings are for reviewers
// to judge. The severities are those of package hooks/lint, which brings a
// compiler that this process must not link.
func refusal(findings []replay.Finding) error {
	wrong := slices.DeleteFunc(slices.Clone(findings), func(f replay.Finding) bool { return f.Severity == "warning" })
	if len(wrong) == 0 {
		return nil
	}
	first := wrong[0]
	message := first.Message
	if more := len(wrong) - 1; more > 0 {
		message += fmt.Sprintf(" (the first of %d errors)", more+1)
	}
	if first.File == hooks.ManifestName {
		return errs.New(errs.CodeBadManifest, "%s", message).At(hooks.ManifestName).WithHint(tryFirst)
	}
	return errs.New(errs.CodeBadScript, "%s", message).At(fmt.Sprintf("%s:%d", hooks.ScriptName, first.Line)).WithHint(tryFirst)
}
