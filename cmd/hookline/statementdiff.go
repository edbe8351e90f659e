package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/signing"

	"github.com/rogpeppe/go-internal/diff"
)

// Marks of a change. Only a limit has more of a thing or less.
const (
	markAdded   = "+"
	markRemoved = "-"
	markChanged = "CHANGED"
	markWider   = "WIDER"
	markTighter = "narrower"
)

// statementChanges are rows of mark, member and what became of it, one for
// each thing in which two versions of a hook differ. The number and the dates
// are not among them, but how long it lives is.
func statementChanges(was, now hooks.Predicate) [][]string {
	var rows [][]string
	for _, m := range []struct{ name, was, now string }{
		{"hook", was.Hook, now.Hook},
		{"deployment", was.Deployment, now.Deployment},
		{"author's key", was.Author, now.Author},
		{"runs as", identity(was.As), identity(now.As)},
		{"level", string(was.Level), string(now.Level)},
		{"package", was.Match.Package, now.Match.Package},
		{"from version", was.Match.From, now.Match.From},
		{"below version", was.Match.Below, now.Match.Below},
	} {
		if m.was != m.now {
			rows = append(rows, []string{markChanged, m.name, orNone(m.was) + " → " + orNone(m.now)})
		}
	}
	for _, m := range []struct {
		name     string
		was, now []string
	}{
		{"fingerprint", was.Match.Fingerprints, now.Match.Fingerprints},
		{"uses", signing.CapabilitiesOf(was), signing.CapabilitiesOf(now)},
		{"reads files", pathsText(was.Capabilities.FSRead), pathsText(now.Capabilities.FSRead)},
		{"lists folders", pathsText(was.Capabilities.FSList), pathsText(now.Capabilities.FSList)},
		{"looks at", pathsText(was.Capabilities.FSStat), pathsText(now.Capabilities.FSStat)},
		{"runs program", commandsText(was.Capabilities.CmdRun), commandsText(now.Capabilities.CmdRun)},
		{"brings back", fieldsText(was.Fields), fieldsText(now.Fields)},
	} {
		rows = append(rows, setChanges(m.name, m.was, m.now)...)
	}
	return append(rows, limitChanges(was, now)...)
}

func limitChanges(was, now hooks.Predicate) [][]string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var rows [][]string
	for _, m := range []struct {
		name     string
		was, now int64
		text     func(int64) string
	}{
		{"results", was.MaxReports, now.MaxReports, number},
		{"runs on one peer", was.MaxRunsPerPeer, now.MaxRunsPerPeer, number},
		{"percent of the peers", was.MaxPercent, now.MaxPercent, number},
		{"bytes in all", was.MaxBytes, now.MaxBytes, number},
		{"bytes in one result", was.MaxResultBytes, now.MaxResultBytes, number},
		{"run time", was.MaxRuntimeMS, now.MaxRuntimeMS, func(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }},
		{"lives for", was.NotAfter - was.NotBefore, now.NotAfter - now.NotBefore, func(s int64) string { return (time.Duration(s) * time.Second).String() }},
	} {
		mark := markWider
		if m.now < m.was {
			mark = markTighter
		}
		if m.was != m.now {
			rows = append(rows, []string{mark, m.name, m.text(m.was) + " → " + m.text(m.now)})
		}
	}
	return rows
}

func setChanges(name string, was, now []string) [][]string {
	var rows [][]string
	for _, v := range was {
		if !slices.Contains(now, v) {
			rows = append(rows, []string{markRemoved, name, v})
		}
	}
	for _, v := range now {
		if !slices.Contains(was, v) {
			rows = append(rows, []string{markAdded, name, v})
		}
	}
	return rows
}

func pathsText(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = strings.TrimSuffix(shown(p)+" ("+opens(p)+")", " ()")
	}
	return out
}

// commandsText has one line with all of a command.
func commandsText(commands []hooks.Command) []string {
	out := make([]string, len(commands))
	for i, c := range commands {
		words := []string{safe(c.Name) + ":", shown(c.Program)}
		for _, arg := range c.Args {
			words = append(words, shown(arg))
		}
		if len(c.Paths) > 0 {
			words = append(words, "| "+hooks.PlacePath+":", strings.Join(pathsText(c.Paths), " "))
		}
		if len(c.Reads) > 0 {
			words = append(words, "| reads:", strings.Join(pathsText(c.Reads), " "))
		}
		if c.Syslog {
			words = append(words, "| AND THE KERNEL'S LOG")
		}
		out[i] = strings.Join(words, " ")
	}
	return out
}

func fieldsText(fields []hooks.DeclaredField) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = strings.TrimSpace(fmt.Sprintf("%s: %s, %s, at most %d bytes %s", f.Name, f.Type, f.Class, f.MaxBytes, redaction(f.Type, f.Raw)))
	}
	return out
}

// scriptDiff are the lines of a unified difference, each with its mark: "+",
// "-", a blank, "@" before a part, and a backslash before a remark.
func scriptDiff(was, now []byte) []string {
	const header = 3 // lines: diff, ---, +++
	var lines []string
	for line := range strings.Lines(string(diff.Diff("was", was, "now", now))) {
		lines = append(lines, strings.TrimRight(line, "\n"))
	}
	return lines[min(header, len(lines)):]
}

// scriptChanges prints the changed lines of a script, as little out of sight as
// in script.
func (a *app) scriptChanges(was, now []byte) {
	for _, line := range scriptDiff(was, now) {
		mark, text := line[:min(1, len(line))], line[min(1, len(line)):]
		if mark == "@" || mark == `\` {
			fmt.Fprintln(a.out, safe(line))
			continue
		}
		rows := scriptRows(safeLines(text))
		fmt.Fprintf(a.out, "%1s  %s\n", mark, rows[0])
		for _, row := range rows[1:] {
			fmt.Fprintf(a.out, "%1s↪ %s\n", mark, row)
		}
	}
}
