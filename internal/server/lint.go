package server

import (
	"context"
	"fmt"
	"log/slog"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// lints at a time: each is a confined process of its own, and whoever may
// submit could ask for many.
const maxLints = 2

// newLint returns the check of scripts at submission: the small binary
// compiles them, confined, since a compiler can be attacked too. Without the
// binary nothing is checked here; authors' own `hookline hook lint` and the
// reviewers remain.
func newLint(path string, log *slog.Logger) func(ctx context.Context, script, statement []byte) error {
	if path == "" {
		found, err := sandbox.FindBinary()
		if err != nil {
			log.Info("hookline-sandbox was not found; scripts are not compiled when they are submitted")
			return nil
		}
		path = found
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
		if err != nil {
			log.WarnContext(ctx, "a submitted script could not be compiled here; its reviewers still see it", "error", err)
			return nil
		}
		return refusal(findings)
	}
}

// refusal refuses scripts that cannot run at all; what is only unwise is for
// reviewers to judge. The codes are those of package hooks/lint, which brings
// a compiler that this process must not link.
func refusal(findings []replay.Finding) error {
	for _, f := range findings {
		if f.Code == "syntax" || f.Code == "script" {
			return errs.New(errs.CodeBadScript, "%s", f.Message).At(fmt.Sprintf("%s:%d", hooks.ScriptName, f.Line)).
				WithHint("try it first: hookline hook lint")
		}
	}
	return nil
}
