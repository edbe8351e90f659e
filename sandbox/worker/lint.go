package worker

import (
	"io"
	"os"
	"time"

	"hookline/hooks/lint"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// Lint checks the one script that comes over r and answers over w with its
// findings. The compiler that it uses can be attacked, so it runs in the same
// confinement as a hook.
func Lint(r io.Reader, w io.Writer) error {
	var task wire.LintTask
	script, _, err := wire.Read(r, &task, sandbox.MaxFrameBytes)
	if err != nil {
		return err
	}
	time.AfterFunc(sandbox.LintRuntime, func() { os.Exit(0) }) // no answer: the parent knows
	answer := wire.LintAnswer{}
	if line, err := checkNesting(string(script)); err != nil {
		answer.Findings = []wire.Finding{{Line: line, Severity: "error", Code: string(errs.CodeBadScript), Message: err.Error()}}
	} else {
		answer.Findings = findings(script, task)
	}
	_, err = wire.Write(w, answer, nil, sandbox.MaxFrameBytes)
	return err
}

func findings(script []byte, task wire.LintTask) []wire.Finding {
	found := lint.Check(script, task.Predicate)
	found = found[:min(len(found), sandbox.MaxFindings)]
	out := make([]wire.Finding, len(found))
	for i, f := range found {
		out[i] = wire.Finding{
			Line: f.Line, Column: f.Column, Severity: f.Severity,
			Code: clip(f.Code, 64), Message: clip(f.Message, 500),
		}
	}
	return out
}
