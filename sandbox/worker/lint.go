package worker

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"hookline/hooks"
	"hookline/hooks/lint"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// maxFindingBytes caps the text of one finding.
const maxFindingBytes = 500

// Lint checks the one script that comes over r and answers over w with its
// findings. The compiler that it uses can be attacked, so it runs in the same
// confinement as a hook. What takes too long to check is answered with that.
func Lint(r io.Reader, w io.Writer) error {
	var task wire.LintTask
	script, _, err := wire.Read(r, &task, sandbox.MaxFrameBytes)
	if err != nil {
		return err
	}
	var once sync.Once
	answer := func(findings []wire.Finding) {
		once.Do(func() { _, err = wire.Write(w, wire.LintAnswer{Findings: findings}, nil, sandbox.MaxFrameBytes) })
	}
	time.AfterFunc(sandbox.LintRuntime, func() {
		answer(refused(errs.CodeLimitTime, 1, fmt.Sprintf("the script takes longer than %v to check", sandbox.LintRuntime)))
		os.Exit(0)
	})
	if line, wrong := checkNesting(string(script)); wrong != nil {
		answer(refused(errs.CodeBadScript, max(line, 1), wrong.Error()))
	} else {
		answer(findings(script, task))
	}
	return err
}

func refused(code errs.Code, line int, message string) []wire.Finding {
	return []wire.Finding{{File: hooks.ScriptName, Line: line, Column: 1, Severity: lint.SeverityError, Code: string(code), Message: message}}
}

func findings(script []byte, task wire.LintTask) []wire.Finding {
	found := lint.Check(script, task.Predicate)
	found = found[:min(len(found), sandbox.MaxFindings)]
	out := make([]wire.Finding, len(found))
	for i, f := range found {
		out[i] = wire.Finding{
			File: f.File, Key: clip(f.Key, maxFindingBytes), Line: f.Line, Column: f.Column, Severity: f.Severity,
			Code: clip(f.Code, 64), Message: strings.ToValidUTF8(clip(f.Message, maxFindingBytes), ""),
		}
	}
	return out
}
