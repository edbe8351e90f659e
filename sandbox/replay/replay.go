// Package replay runs hooks in the real sandbox over recorded answers: the
// worker process is the one of live runs, the broker answers in process from
// Fixtures and touches nothing of the host. It serves hook test, CI and the
// server's lint and trial runs.
package replay

import (
	"context"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
)

// Fixtures are the recorded answers of one run.
type Fixtures struct {
	Files   map[string]string // path → content of fs.read
	Missing []string          // paths that do not exist; any other path fails with a hint
	Facts   hooks.Facts       // for sys.facts(); used where the task has none
}

// Finding is what the linter says about a script; the shape of lint.Finding,
// which callers must not link (it parses Lua).
type Finding struct {
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"` // "error" or "warning"
	Code     string `json:"code"`
	Message  string `json:"message"`
}

// ParseFixtures reads a fixtures file: strict YAML with the keys files,
// missing and facts.
func ParseFixtures(b []byte) (Fixtures, error) {
	return Fixtures{}, errs.New(errs.CodeBadInput, "cannot read fixtures yet")
}

// Run runs the task in a confined worker of binary over the fixtures.
func Run(ctx context.Context, binary string, t sandbox.Task, f Fixtures) (sandbox.Outcome, error) {
	return sandbox.Outcome{}, errs.New(errs.CodeSandboxUnconfined, "cannot run yet")
}

// Lint checks a script against what would be signed, in a confined process.
func Lint(ctx context.Context, binary string, script []byte, p hooks.Predicate) ([]Finding, error) {
	return nil, errs.New(errs.CodeSandboxUnconfined, "cannot lint yet")
}
