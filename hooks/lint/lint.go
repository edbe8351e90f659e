// Package lint reads a hook's script and manifest and says what will go wrong,
// before anybody signs them: syntax, globals that the sandbox does not have,
// calls outside the declared capabilities, capabilities that nothing uses,
// commands that would run anything, fields that the manifest does not declare,
// characters that make people read something else than what runs.
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
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

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
	CodeScript          = "script"               // not text, too big
	CodeSyntax          = "syntax"               // does not parse or compile
	CodeTooComplex      = "too-complex"          // nested too deep, or too much to follow
	CodeRemoved         = "global-removed"       // os, io, load…
	CodeUnknown         = "global-unknown"       // never assigned, so nil
	CodeAssigned        = "global-assigned"      // local is missing
	CodeFunction        = "function-unknown"     // fs.reed
	CodeMethodCall      = "method-call"          // fs:read(…)
	CodePathInvalid     = "path-invalid"         // relative, not clean
	CodePath            = "path-undeclared"      // outside capabilities
	CodePathNever       = "path-never-open"      // secrets, devices, /proc/self
	CodePathDynamic     = "path-dynamic"         // computed, cannot be checked
	CodeField           = "field-undeclared"     // the manifest does not declare it
	CodeFieldDynamic    = "field-dynamic"        // computed, cannot be checked
	CodeFieldUnset      = "field-never-set"      // declared in vain
	CodeCommand         = "command-undeclared"   // cmd.run of what the manifest does not declare
	CodeCommandDynamic  = "command-dynamic"      // computed, cannot be checked
	CodeArguments       = "command-arguments"    // not those that were declared
	CodeArgumentDynamic = "argument-dynamic"     // chosen at run time
	CodeUnused          = "capability-unused"    // declared in vain
	CodeHidden          = "capability-dynamic"   // fs[name], or fs handed on
	CodeProgram         = "program-refused"      // a command that would run or write anything
	CodeProgramOdd      = "program-questionable" // a command to look at
	CodeSteered         = "root-exact-only"      // not open as root over somebody else's report
	CodeCharacter       = "character-hidden"     // bidirectional, invisible, control
	CodeLookalike       = "character-lookalike"  // looks like another one
	CodeHiddenRight     = "text-hidden"          // behind many blanks on its line
	CodeLong            = "line-long"            // goes on far to the right
	CodeShadowed        = "name-shadowed"        // a library's name for something else
	CodeWide            = "path-wide"            // a whole top folder
	CodeMore            = "more"                 // there are more findings than are shown
)

// maxFindings bounds what one script can bring up; see sandbox.MaxFindings.
// maxSteps bounds the calls that are followed into functions of the script.
const (
	maxFindings = 200
	maxSteps    = 100_000
)

// Finding is one thing about a script or its manifest. Line and Column of the
// script count from 1, columns in bytes. Of the manifest, which is not here,
// they are 0, and Key names the member of the predicate that it is about.
type Finding struct {
	File     string `json:"file"` // hooks.ScriptName or hooks.ManifestName
	Key      string `json:"key,omitempty"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
}

// Check returns what is to be said about script under p, in the order of its
// lines, the manifest first; empty for nothing.
func Check(script []byte, p hooks.Predicate) []Finding {
	c := newChecker(script, p)
	if err := hooks.CheckScript(script); err != nil {
		if utf8.Valid(script) && len(script) <= hooks.MaxScriptBytes {
			c.characters(string(script)) // they may know the line
		}
		if found := c.result(); len(found) > 0 {
			return found
		}
		return []Finding{{File: hooks.ScriptName, Line: 1, Column: 1, Severity: SeverityError, Code: CodeScript, Message: message(err)}}
	}
	c.manifest()
	c.characters(string(script))
	c.layout(string(script))
	chunk, err := parse.Parse(bytes.NewReader(script), hooks.ScriptName)
	switch {
	case err != nil:
		c.syntax(err, script)
	case !c.walk(chunk):
		// Compile recurses too, so it is not asked.
		c.add(SeverityError, CodeTooComplex, 1, "", "the script is too complex, or nested too deeply, to be checked")
	default:
		if _, err := lua.Compile(chunk, hooks.ScriptName); err != nil {
			c.syntax(err, script)
		}
	}
	return c.result()
}

func message(err error) string {
	if e, ok := errs.As(err); ok {
		return e.Message
	}
	return err.Error()
}

// syntax adds what the parser says, but for a line of which a character says
// it better.
func (c *checker) syntax(err error, script []byte) {
	f := syntaxFinding(err, script)
	clear := func(e Finding) bool {
		return e.Line == f.Line && (e.Code == CodeCharacter || e.Code == CodeLookalike)
	}
	if slices.ContainsFunc(c.errors, clear) {
		return
	}
	if f.Column == 0 {
		f.Column = c.indent(f.Line)
	}
	c.found(f)
}

func syntaxFinding(err error, script []byte) Finding {
	f := Finding{File: hooks.ScriptName, Line: 1, Severity: SeverityError, Code: CodeSyntax}
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
		f.Line, f.Message = max(ce.Line, 1), ce.Message
	default:
		f.Message = "cannot be parsed"
	}
	return f
}

// checker collects findings while it walks one script.
type checker struct {
	lines     []string
	p         hooks.Predicate
	errors    []Finding
	warnings  []Finding
	dropped   int              // findings past the cap
	seen      map[Finding]bool // each finding once
	scope     *scope
	main      *function   // the script itself
	function  *function   // the one that is being walked
	functions []*function // all of them
	depth     int
	deep      bool // gave up
	steps     int  // of maxSteps
	madeBytes int  // of maxTextsBytes

	assigned  map[string]bool        // globals that the script assigns
	anyGlobal bool                   // _G is used in a way that could assign others
	unknown   map[string][]int       // lines that read globals nobody has
	declared  map[string]bool        // fields
	set       map[string]bool        // fields that are set
	used      map[use]bool           // capabilities that were used
	hidden    map[string]bool        // kinds of use of which some could not be followed
	runs      []run                  // calls of cmd.run
	resolved  map[resolution]bool    // parameters already followed
	sinks     map[*function][]sinkOf // parameters that end up as a path or field
}

// use is a capability, by its kind, that the script uses.
type use struct{ kind, declared string }

func newChecker(script []byte, p hooks.Predicate) *checker {
	c := &checker{
		lines: strings.Split(string(script), "\n"), p: p,
		assigned: map[string]bool{}, unknown: map[string][]int{}, declared: map[string]bool{},
		set: map[string]bool{}, used: map[use]bool{}, hidden: map[string]bool{},
		seen: map[Finding]bool{}, resolved: map[resolution]bool{}, sinks: map[*function][]sinkOf{},
	}
	for _, f := range p.Fields {
		c.declared[f.Name] = true
	}
	return c
}

// walk visits the whole script; false means that it is too deep, or that
// there is too much to follow.
func (c *checker) walk(chunk []ast.Stmt) bool {
	c.main = newFunction(false)
	c.function = c.main
	c.block(chunk)
	if c.deep {
		return false
	}
	c.settle()
	c.followParameters()
	c.followRuns()
	if c.deep {
		return false
	}
	c.reportUnknown()
	c.reportUnused()
	return true
}

// step counts what is followed; false means that it was too much.
func (c *checker) step() bool {
	if c.steps++; c.steps > maxSteps {
		c.deep = true
	}
	return !c.deep
}

// result is what was found. Where it is too much, errors stay before warnings:
// nobody may push an error out with a hundred warnings.
func (c *checker) result() []Finding {
	room := maxFindings - len(c.errors)
	if len(c.warnings) > room {
		c.dropped += len(c.warnings) - room
		c.warnings = c.warnings[:room]
	}
	all := append(c.errors, c.warnings...)
	if c.dropped > 0 {
		all = all[:maxFindings-1]
		c.dropped++
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Severity, b.Severity), strings.Compare(a.Code, b.Code), strings.Compare(a.Message, b.Message))
	})
	if c.dropped > 0 {
		all = append(all, Finding{File: hooks.ScriptName, Line: len(c.lines), Column: 1, Severity: SeverityWarning, Code: CodeMore, Message: fmt.Sprintf("… and %d more", c.dropped)})
	}
	return all
}

// add notes a finding; near is the text on the line that it points to.
func (c *checker) add(severity, code string, line int, near, format string, args ...any) {
	column := c.indent(line)
	if c.has(line, near) {
		column = strings.Index(c.lines[line-1], near) + 1
	}
	c.at(severity, code, line, column, format, args...)
}

// at notes a finding at a column, once for its line.
func (c *checker) at(severity, code string, line, column int, format string, args ...any) {
	c.once(Finding{File: hooks.ScriptName, Line: max(line, 1), Column: column, Severity: severity, Code: code, Message: fmt.Sprintf(format, args...)})
}

// declares notes a finding about a member of the predicate.
func (c *checker) declares(severity, code, key, format string, args ...any) {
	c.once(Finding{File: hooks.ManifestName, Key: key, Severity: severity, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) once(f Finding) {
	where := f
	where.Column = 0
	if !c.seen[where] {
		c.seen[where] = true
		c.found(f)
	}
}

// indent is the column at which a line begins; 1 where there is none.
func (c *checker) indent(line int) int {
	if line < 1 || line > len(c.lines) {
		return 1
	}
	return indentOf(c.lines[line-1])
}

func (c *checker) full(severity string) bool {
	return severity == SeverityError && len(c.errors) >= maxFindings || severity != SeverityError && len(c.warnings) >= maxFindings
}

func (c *checker) found(f Finding) {
	if c.full(f.Severity) {
		c.dropped++
	} else if f.Severity == SeverityError {
		c.errors = append(c.errors, f)
	} else {
		c.warnings = append(c.warnings, f)
	}
}

// has reports whether a line holds a text that a finding can point to.
func (c *checker) has(line int, near string) bool {
	return near != "" && line > 0 && line <= len(c.lines) && strings.Contains(c.lines[line-1], near)
}

func (c *checker) reportUnknown() {
	for _, name := range slices.Sorted(maps.Keys(c.unknown)) {
		if c.assigned[name] {
			continue
		}
		severity := SeverityError
		if c.anyGlobal {
			severity = SeverityWarning
		}
		for _, line := range c.unknown[name] {
			c.add(severity, CodeUnknown, line, name, "nothing is called %q; it is nil here", clip(name))
		}
	}
}

func (c *checker) reportUnused() {
	if !c.hidden[sinkField] {
		for i, f := range c.p.Fields {
			if !c.set[f.Name] {
				c.declares(SeverityWarning, CodeFieldUnset, index("fields", i), "the manifest declares the field %q, the script never sets it", f.Name)
			}
		}
	}
	for _, kind := range pathKinds() {
		for i, path := range c.allowed(kind) {
			if !c.hidden[kind] && !c.used[use{kind, path}] {
				c.declares(SeverityWarning, CodeUnused, index(keyOf(kind), i), "the manifest asks to %s %q, the script never does", verb(kind), path)
			}
		}
	}
	for i, cmd := range c.p.Capabilities.CmdRun {
		if !c.hidden[sinkRun] && !c.used[use{sinkRun, cmd.Name}] {
			c.declares(SeverityWarning, CodeUnused, index(keyOf(sinkRun), i), "the manifest declares the command %q, the script never runs it", cmd.Name)
		}
	}
}
