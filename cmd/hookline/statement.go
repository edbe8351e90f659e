package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/wording"
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

// part is a part of a statement in the words of a reviewer, for the terminal
// and for the page of review serve: rows, or a table whose first row is its head.
type part struct {
	Title string
	Rows  []row
	Table [][]string
}

// row is one thing that a statement says; one without a name goes on with the
// one above.
type row struct {
	Name, Value string
	Note        string // what a path opens
	Path        bool
}

// statement prints what a signature covers.
func (a *app) statement(st hooks.Statement, digest string) {
	for _, p := range statementParts(st, digest) {
		a.part(p)
	}
}

func (a *app) part(p part) {
	if p.Title != "" {
		a.section(safe(p.Title))
	}
	rows := p.Table
	for _, r := range p.Rows {
		cells := []string{"", r.Value}
		if r.Name != "" {
			cells[0] = r.Name + ":"
		}
		if r.Path {
			cells = append(cells, r.Note)
		}
		rows = append(rows, cells)
	}
	a.table(rows)
}

// statementParts are what the hook may do first, then its limits, then what it
// belongs to.
func statementParts(st hooks.Statement, digest string) []part {
	p := st.Predicate
	parts := []part{{Rows: present(
		row{Name: "hook", Value: fmt.Sprintf("%s@%d", p.Hook, p.Version)},
		row{Name: "digest", Value: digest},
		row{Name: "author's key", Value: p.Author},
		row{Name: "deployment", Value: p.Deployment},
	)}}
	parts = append(parts, mayParts(p, wording.Identity(p.As))...)
	fields := [][]string{{"FIELD", "TYPE", "CLASS", "MAX BYTES", "TEXT"}}
	for _, f := range p.Fields {
		fields = append(fields, []string{f.Name, string(f.Type), string(f.Class), strconv.FormatInt(f.MaxBytes, 10), wording.Redaction(f.Type, f.Raw)})
	}
	return append(parts,
		part{Title: "brings back", Table: fields},
		part{Title: "at most", Rows: present(
			row{Name: "results", Value: fmt.Sprintf("%d, %d runs on one peer, %d%% of the peers", p.MaxReports, p.MaxRunsPerPeer, p.MaxPercent)},
			row{Name: "bytes", Value: fmt.Sprintf("%d in all, %d in one result", p.MaxBytes, p.MaxResultBytes)},
			row{Name: "run time", Value: (time.Duration(p.MaxRuntimeMS) * time.Millisecond).String()},
			row{Name: "valid", Value: unix(p.NotBefore) + " until " + unix(p.NotAfter)},
		)},
		part{Title: "for", Rows: present(append(matchRows(p), row{Name: "script", Value: "sha256:" + st.ScriptDigest()})...)})
}

// present leaves out rows without a value.
func present(rows ...row) []row {
	return slices.DeleteFunc(rows, func(r row) bool { return r.Value == "" })
}

// mayParts are what a hook may do on the machine: one path a line, since a path
// may have a comma, and each command with everything that it may be given.
func mayParts(p hooks.Predicate, as string) []part {
	c := p.Capabilities
	may := part{Title: "may", Rows: []row{
		{Name: "uses", Value: orNone(strings.Join(signing.CapabilitiesOf(p), ", "))},
		{Name: "runs as", Value: as},
	}}
	may.Rows = append(may.Rows, pathRows("reads files", c.FSRead)...)
	may.Rows = append(may.Rows, pathRows("lists folders", c.FSList)...)
	may.Rows = append(may.Rows, pathRows("looks at", c.FSStat)...)
	if len(c.CmdRun) == 0 {
		may.Rows = append(may.Rows, row{Name: "runs programs", Value: "none"})
	}
	parts := []part{may}
	for _, cmd := range c.CmdRun {
		parts = append(parts, commandPart(cmd, p))
	}
	return parts
}

// may prints mayParts below what was said already.
func (a *app) may(p hooks.Predicate, as string) {
	parts := mayParts(p, as)
	parts[0].Title = ""
	for _, p := range parts {
		a.part(p)
	}
}

func commandPart(c hooks.Command, p hooks.Predicate) part {
	out := part{Title: "may run " + c.Name}
	if p.As == hooks.AsRoot {
		out.Title += ", AS ROOT"
	}
	if c.Syslog {
		out.Title += ", AND READ THE KERNEL'S LOG"
	}
	words := []string{wording.Quoted(c.Program)}
	for _, arg := range c.Args {
		words = append(words, wording.Quoted(arg))
	}
	out.Rows = []row{{Name: "command line", Value: strings.Join(words, " ")}}
	for _, name := range []string{hooks.PlacePackage, hooks.PlacePID} {
		if slices.Contains(c.Args, name) {
			out.Rows = append(out.Rows, row{Name: name, Value: placed(name, p)})
		}
	}
	if len(c.Paths) > 0 {
		out.Rows = append(out.Rows, pathRows(hooks.PlacePath, c.Paths)...)
	}
	out.Rows = append(out.Rows, pathRows("program reads", c.Reads)...)
	return out
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
func pathRows(name string, paths []string) []row {
	if len(paths) == 0 {
		return []row{{Name: name, Value: "nothing"}}
	}
	var rows []row
	for _, p := range paths {
		rows = append(rows, row{Name: name, Value: wording.Quoted(p), Note: wording.Opens(p), Path: true})
		name = ""
	}
	return rows
}

func matchRows(p hooks.Predicate) []row {
	if p.Level == hooks.LevelPackage {
		return []row{{Name: "package", Value: p.Match.Package}, {Name: "from version", Value: p.Match.From}, {Name: "below version", Value: p.Match.Below}}
	}
	var rows []row
	for _, f := range p.Match.Fingerprints {
		rows = append(rows, row{Name: "fingerprint", Value: f})
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
