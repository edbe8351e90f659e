package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// fixtureFailure is one entry of failed.
type fixtureFailure struct {
	Call    string `yaml:"call"`
	Path    string `yaml:"path"`
	Code    string `yaml:"code"`
	Message string `yaml:"message"`
}

// fixtureError is why a command brought nothing.
type fixtureError struct {
	Code    string `yaml:"code"`
	Message string `yaml:"message"`
}

// pathCalls are the calls that ask for a path.
func pathCalls() []string { return []string{wire.OpList, wire.OpRead, wire.OpStat} }

// pathCodes and commandCodes are how a host lets a call fail.
func pathCodes() []string {
	return []string{string(errs.CodeCallFailed), string(errs.CodeDenied), string(errs.CodeLimitRead)}
}

func commandCodes() []string {
	return []string{string(errs.CodeCallFailed), string(errs.CodeDenied), string(errs.CodeLimitOutput), string(errs.CodeLimitTime)}
}

// reason is a message as a host would say it: one short line.
func reason(message string) string {
	return calls.Clip(calls.Printable(message), sandbox.MaxErrorBytes)
}

// failure is what a hook hears of a recorded failure.
func failure(code, message string) *calls.Error {
	return &calls.Error{Code: errs.Code(code), Message: cmp.Or(message, "failed, as recorded in the fixtures")}
}

func (p *parser) code(key, code string, known []string) {
	if !slices.Contains(known, code) {
		p.bad(key, "code must be one of %s", strings.Join(known, ", "))
	}
}

func (p *parser) message(key, message string) {
	if reason(message) != message {
		p.bad(key, "message must be one line of at most %d bytes", sandbox.MaxErrorBytes)
	}
}

func (p *parser) failed(f *Fixtures, failed []fixtureFailure) {
	seen := map[[2]string]bool{}
	for i, c := range failed {
		key := fmt.Sprintf("failed[%d]", i)
		if !slices.Contains(pathCalls(), c.Call) {
			p.bad(key+".call", "call must be one of %s", strings.Join(pathCalls(), ", "))
		}
		if err := calls.CheckPath(c.Path); err != nil {
			p.bad(key+".path", "%s: %s", calls.Clip(calls.Printable(c.Path), 80), err.Message)
		}
		p.code(key+".code", c.Code, pathCodes())
		p.message(key+".message", c.Message)
		if f.answers(c.Call, c.Path) || seen[[2]string{c.Call, c.Path}] {
			p.bad(key, "%s of a path has one answer, or fails", c.Call)
		}
		seen[[2]string{c.Call, c.Path}] = true
		f.Failed = append(f.Failed, sandbox.RecordedFailure{Call: c.Call, Path: c.Path, Code: c.Code, Error: c.Message})
	}
}

// answers reports whether a call of the path is answered well.
func (f Fixtures) answers(call, path string) bool {
	switch call {
	case wire.OpRead:
		return has(f.Files, path)
	case wire.OpList:
		return has(f.Folders, path)
	}
	return has(f.Stats, path)
}

func (p *parser) commandError(key string, c fixtureCommand) {
	if c.Error == nil {
		return
	}
	p.code(key+".error.code", c.Error.Code, commandCodes())
	p.message(key+".error.message", c.Error.Message)
	if c.Stdout+c.StdoutBase64+c.Stderr+c.StderrBase64 != "" || c.Exit != 0 {
		p.bad(key, "a command has an error, or output and exit")
	}
}

// failuresOf are the failures of a recording that fixtures can hold: of each
// call and path the last, and none of what was answered as well.
func (f Fixtures) failuresOf(r sandbox.Recording) []sandbox.RecordedFailure {
	var out []sandbox.RecordedFailure
	for _, c := range r.Failed {
		if !slices.Contains(pathCalls(), c.Call) || !slices.Contains(pathCodes(), c.Code) || calls.CheckPath(c.Path) != nil || f.answers(c.Call, c.Path) {
			continue
		}
		c.Error = reason(c.Error)
		out = slices.DeleteFunc(out, func(before sandbox.RecordedFailure) bool { return before.Call == c.Call && before.Path == c.Path })
		out = append(out, c)
	}
	return out
}

// recorded is a command as fixtures hold it, false where they cannot.
func recorded(c sandbox.RecordedCommand) (sandbox.RecordedCommand, bool) {
	if !hooks.ValidHookName(c.Name) || !validArgs(c.Args) {
		return c, false
	}
	if c.Code == "" {
		c.Exit, c.Error = min(max(c.Exit, 0), 255), ""
		return c, true
	}
	return sandbox.RecordedCommand{Name: c.Name, Args: c.Args, Stdout: []byte{}, Stderr: []byte{}, Code: c.Code, Error: reason(c.Error)},
		slices.Contains(commandCodes(), c.Code)
}

func (f Fixtures) sortedFailures() []sandbox.RecordedFailure {
	return slices.SortedStableFunc(slices.Values(f.Failed), func(a, b sandbox.RecordedFailure) int {
		return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.Path, b.Path))
	})
}

func byCall(failed []sandbox.RecordedFailure) map[string]sandbox.RecordedFailure {
	m := make(map[string]sandbox.RecordedFailure, len(failed))
	for _, c := range failed {
		m[c.Call+" "+c.Path] = c
	}
	return m
}

func (w *writer) failed(failed []sandbox.RecordedFailure) {
	if len(failed) > 0 {
		w.line("failed:")
	}
	for _, c := range failed {
		w.line("  - call: %s", c.Call)
		w.line("    path: %s", scalar(c.Path))
		w.line("    code: %s", c.Code)
		w.line("    message: %s", scalar(c.Error))
	}
}
