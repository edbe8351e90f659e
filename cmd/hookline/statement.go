package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/signing"
)

// aboutToSign shows the statement before it is signed.
func (a *app) aboutToSign(st hooks.Statement, digest string) {
	view := a.toRead()
	fmt.Fprintln(view.out, "you sign this statement:")
	view.statement(st, digest)
}

// toRead is where a person reads before signing: with the results of a table,
// else beside them.
func (a *app) toRead() *app {
	view := *a
	if a.output != outputTable {
		view.out = a.err
	}
	return &view
}

// statement prints what a signature covers: what the hook may do first, then
// its limits, then what it belongs to.
func (a *app) statement(st hooks.Statement, digest string) {
	p := st.Predicate
	a.pairs(
		[2]string{"hook", fmt.Sprintf("%s@%d", p.Hook, p.Version)},
		[2]string{"digest", digest},
		[2]string{"author's key", p.Author},
		[2]string{"deployment", p.Deployment},
	)
	a.section("may")
	a.may(p, identity(p.As))
	a.section("brings back")
	rows := [][]string{{"FIELD", "TYPE", "CLASS", "MAX BYTES", "TEXT"}}
	for _, f := range p.Fields {
		rows = append(rows, []string{f.Name, string(f.Type), string(f.Class), strconv.FormatInt(f.MaxBytes, 10), redaction(f.Type, f.Raw)})
	}
	a.table(rows)
	a.section("at most")
	a.pairs(
		[2]string{"results", fmt.Sprintf("%d, %d runs on one peer, %d%% of the peers", p.MaxReports, p.MaxRunsPerPeer, p.MaxPercent)},
		[2]string{"bytes", fmt.Sprintf("%d in all, %d in one result", p.MaxBytes, p.MaxResultBytes)},
		[2]string{"run time", (time.Duration(p.MaxRuntimeMS) * time.Millisecond).String()},
		[2]string{"valid", unix(p.NotBefore) + " until " + unix(p.NotAfter)},
	)
	a.section("for")
	a.pairs(append(matchPairs(p), [2]string{"script", "sha256:" + st.ScriptDigest()})...)
}

// redaction is what happens to a field's text before it leaves a peer.
func redaction(t hooks.FieldType, raw bool) string {
	switch {
	case raw:
		return "RAW"
	case t == hooks.TypeText || t == hooks.TypeJSON:
		return "redacted"
	}
	return ""
}

// identity is who a hook runs as on a peer, in the words of a reviewer.
func identity(as hooks.Identity) string {
	switch as {
	case hooks.AsRoot:
		return "ROOT"
	case hooks.AsReporter:
		return "reporter: the user who filed the report"
	case hooks.AsService:
		return "service: an unprivileged user of the peer"
	}
	return string(as)
}

// may prints what a hook may do on the machine: one path a line, since a path
// may have a comma, and each command with everything that it may be given.
func (a *app) may(p hooks.Predicate, as string) {
	c := p.Capabilities
	rows := [][]string{
		{"uses:", orNone(strings.Join(signing.CapabilitiesOf(p), ", "))},
		{"runs as:", as},
	}
	rows = append(rows, pathRows("reads files:", c.FSRead)...)
	rows = append(rows, pathRows("lists folders:", c.FSList)...)
	rows = append(rows, pathRows("looks at:", c.FSStat)...)
	if len(c.CmdRun) == 0 {
		rows = append(rows, []string{"runs programs:", "none"})
	}
	a.table(rows)
	for _, cmd := range c.CmdRun {
		a.command(cmd, p)
	}
}

func (a *app) command(c hooks.Command, p hooks.Predicate) {
	title := "may run " + safe(c.Name)
	if p.As == hooks.AsRoot {
		title += ", AS ROOT"
	}
	if c.Syslog {
		title += ", AND READ THE KERNEL'S LOG"
	}
	a.section(title)
	words := []string{shown(c.Program)}
	for _, arg := range c.Args {
		words = append(words, shown(arg))
	}
	rows := [][]string{{"command line:", strings.Join(words, " ")}}
	for _, name := range []string{hooks.PlacePackage, hooks.PlacePID} {
		if slices.Contains(c.Args, name) {
			rows = append(rows, []string{name + ":", placed(name, p)})
		}
	}
	if len(c.Paths) > 0 {
		rows = append(rows, pathRows(hooks.PlacePath+":", c.Paths)...)
	}
	a.table(append(rows, pathRows("program reads:", c.Reads)...))
}

// placed says what a placeholder may be. A report that somebody else filed does
// not choose what root's program gets; see hooks.Predicate.Chosen.
func placed(name string, p hooks.Predicate) string {
	root, only := p.As == hooks.AsRoot, "none"
	if name == hooks.PlacePID {
		if root {
			return "any process of root, over a report that root filed; over a report that somebody else filed none"
		}
		return "any process of the user who filed the report"
	}
	if p.Match.Package != "" {
		only = "only " + p.Match.Package
	}
	if root {
		return "any Debian package name; over a report that somebody else filed " + only
	}
	return "any Debian package name"
}

// pathRows are the rows of a list of paths, with what a pattern opens.
func pathRows(label string, paths []string) [][]string {
	if len(paths) == 0 {
		return [][]string{{label, "nothing"}}
	}
	var rows [][]string
	for _, p := range paths {
		rows = append(rows, []string{label, shown(p), opens(p)})
		label = ""
	}
	return rows
}

// opens says what a pattern stands for, "" for one path.
func opens(pattern string) string {
	switch {
	case strings.HasSuffix(pattern, "/**"):
		return "everything below, at any depth"
	case strings.HasSuffix(pattern, "/*"):
		return "everything in it, one level"
	case strings.Contains(pattern, hooks.PlacePID):
		return "of any process of the user who filed the report"
	}
	return ""
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+*{}-]+$`)

// shown is one word of a command line or one path: in quotes where it could
// be taken for several.
func shown(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return strconv.Quote(word)
}

func matchPairs(p hooks.Predicate) [][2]string {
	if p.Level == hooks.LevelPackage {
		return [][2]string{{"package", p.Match.Package}, {"from version", p.Match.From}, {"below version", p.Match.Below}}
	}
	var rows [][2]string
	for _, f := range p.Match.Fingerprints {
		rows = append(rows, [2]string{"fingerprint", f})
	}
	return rows
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func unix(seconds int64) string { return clock(time.Unix(seconds, 0)) }
