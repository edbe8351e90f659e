// Package lint reads a hook's script and says what will go wrong, before
// anybody signs it: syntax, globals that the sandbox does not have, paths
// outside the declared capabilities, fields that the manifest does not declare.
//
// It helps author and reviewer and enforces nothing: a script can hide what it
// reads, and the broker decides at run time. It parses and compiles Lua, which
// hostile text can stall or crash, so only the confined worker links it.
package lint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"

	"hookline/hooks"
	"hookline/internal/errs"
)

// The severities. An error will fail the run, or the call that it points to; a
// warning is for people to judge.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// The codes of findings.
const (
	CodeScript       = "script"             // not text, too big
	CodeSyntax       = "syntax"             // does not parse or compile
	CodeTooComplex   = "too-complex"        // nested too deep to check
	CodeRemoved      = "global-removed"     // os, io, load…
	CodeUnknown      = "global-unknown"     // never assigned, so nil
	CodeAssigned     = "global-assigned"    // local is missing
	CodeFunction     = "function-unknown"   // fs.reed
	CodeMethodCall   = "method-call"        // fs:read(…)
	CodePathInvalid  = "path-invalid"       // relative, not clean
	CodePath         = "path-undeclared"    // outside capabilities
	CodePathDynamic  = "path-dynamic"       // computed, cannot be checked
	CodeField        = "field-undeclared"   // the manifest does not declare it
	CodeFieldDynamic = "field-dynamic"      // computed, cannot be checked
	CodeFieldUnset   = "field-never-set"    // declared in vain
	CodeUnused       = "capability-unused"  // declared in vain
	CodeHidden       = "capability-dynamic" // fs[name], or fs handed on
)

// maxFindings bounds what one script can bring up.
const maxFindings = 200

// Finding is one thing about a script. Line and Column count from 1; 0 is
// unknown, or the manifest.
type Finding struct {
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
}

// Check returns what is to be said about script under p, in the order of its
// lines; empty for nothing.
func Check(script []byte, p hooks.Predicate) []Finding {
	if err := hooks.CheckScript(script); err != nil {
		return []Finding{{Severity: SeverityError, Code: CodeScript, Message: message(err)}}
	}
	chunk, err := parse.Parse(bytes.NewReader(script), hooks.ScriptName)
	if err != nil {
		return []Finding{syntaxFinding(err, script)}
	}
	c := newChecker(script, p)
	if !c.walk(chunk) {
		// Compile recurses too, so it is not asked.
		return []Finding{{Severity: SeverityError, Code: CodeTooComplex, Message: "the script is nested too deeply to be checked"}}
	}
	if _, err := lua.Compile(chunk, hooks.ScriptName); err != nil {
		return []Finding{syntaxFinding(err, script)}
	}
	return c.result()
}

func message(err error) string {
	if e, ok := errs.As(err); ok {
		return e.Message
	}
	return err.Error()
}

func syntaxFinding(err error, script []byte) Finding {
	f := Finding{Severity: SeverityError, Code: CodeSyntax}
	var pe *parse.Error
	var ce *lua.CompileError
	switch {
	case errors.As(err, &pe) && pe.Pos.Line > 0:
		f.Line, f.Column = pe.Pos.Line, max(pe.Pos.Column, 0)
		f.Message = fmt.Sprintf("%s near %q", strings.TrimSpace(pe.Message), clip(pe.Token))
	case errors.As(err, &pe):
		// The parser has no line for the end of the file.
		f.Line = bytes.Count(bytes.TrimRight(script, "\n"), []byte("\n")) + 1
		f.Message = strings.TrimSpace(pe.Message) + " at the end of the script"
	case errors.As(err, &ce):
		f.Line, f.Message = max(ce.Line, 0), ce.Message
	default:
		f.Message = "cannot be parsed"
	}
	return f
}

func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// checker collects findings while it walks one script.
type checker struct {
	lines    []string
	p        hooks.Predicate
	findings []Finding
	scope    *scope
	main     *function // the script itself
	function *function // the one that is being walked
	depth    int
	deep     bool // gave up

	assigned map[string]bool        // globals that the script assigns
	unknown  map[string][]int       // lines that read globals nobody has
	declared map[string]bool        // fields
	set      map[string]bool        // fields that are set
	used     map[string]bool        // capabilities that a constant path used
	hidden   map[string]bool        // "path", "field": something could not be followed
	seen     map[Finding]bool       // each finding once
	resolved map[resolution]bool    // parameters already followed
	sinks    map[*function][]sinkOf // parameters that end up as a path or field
}

func newChecker(script []byte, p hooks.Predicate) *checker {
	c := &checker{
		lines: strings.Split(string(script), "\n"), p: p,
		assigned: map[string]bool{}, unknown: map[string][]int{}, declared: map[string]bool{},
		set: map[string]bool{}, used: map[string]bool{}, hidden: map[string]bool{},
		seen: map[Finding]bool{}, resolved: map[resolution]bool{}, sinks: map[*function][]sinkOf{},
	}
	for _, f := range p.Fields {
		c.declared[f.Name] = true
	}
	return c
}

// walk visits the whole script; false means that it is too deep.
func (c *checker) walk(chunk []ast.Stmt) bool {
	c.main = &function{}
	c.function = c.main
	c.block(chunk)
	if c.deep {
		return false
	}
	c.followParameters()
	c.reportUnknown()
	c.reportUnused()
	return true
}

func (c *checker) result() []Finding {
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Code, b.Code), strings.Compare(a.Message, b.Message))
	})
	return c.findings
}

// add notes a finding; near is the text on the line that it points to.
func (c *checker) add(severity, code string, line int, near, format string, args ...any) {
	f := Finding{Line: line, Severity: severity, Code: code, Message: fmt.Sprintf(format, args...)}
	if line > 0 && line <= len(c.lines) && near != "" {
		f.Column = strings.Index(c.lines[line-1], near) + 1
	}
	if len(c.findings) < maxFindings && !c.seen[f] {
		c.seen[f] = true
		c.findings = append(c.findings, f)
	}
}

func (c *checker) reportUnknown() {
	for name, lines := range c.unknown {
		if c.assigned[name] {
			continue
		}
		for _, line := range lines {
			c.add(SeverityError, CodeUnknown, line, name, "nothing is called %q; it is nil here", clip(name))
		}
	}
}

func (c *checker) reportUnused() {
	if !c.hidden[sinkField] {
		for _, f := range c.p.Fields {
			if !c.set[f.Name] {
				c.add(SeverityWarning, CodeFieldUnset, 0, "", "the manifest declares the field %q, the script never sets it", f.Name)
			}
		}
	}
	if !c.hidden[sinkPath] {
		for _, path := range c.p.Capabilities.FSRead {
			if !c.used[path] {
				c.add(SeverityWarning, CodeUnused, 0, "", "the manifest asks to read %q, the script never does", path)
			}
		}
	}
}
