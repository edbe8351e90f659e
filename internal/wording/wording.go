// Package wording says in words what two statements of a hook differ in, for
// the terminal and for pages. Its texts hold what the statements hold: whoever
// shows them makes them fit for that.
package wording

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

// Mark is what became of a member of a statement. Only what can be counted or
// ordered has more of a thing or less.
type Mark string

// The marks of a change.
const (
	Added   Mark = "+"
	Removed Mark = "-"
	Changed Mark = "CHANGED"
	Wider   Mark = "WIDER"
	Tighter Mark = "narrower"
)

// More reports whether a hook may do or bring more than before.
func (m Mark) More() bool { return m == Added || m == Wider }

// Less reports whether it may do or bring less.
func (m Mark) Less() bool { return m == Removed || m == Tighter }

// Change is one thing in which two versions of a hook differ.
type Change struct {
	Mark   Mark
	Member string // "reads files"
	What   string // what was added or removed, or "3 → 50"
}

// Changes are the differences of two statements. The number and the dates are
// not among them, but how long it lives is.
func Changes(was, now hooks.Predicate) []Change {
	var out []Change
	for _, m := range []struct{ name, was, now string }{
		{"hook", was.Hook, now.Hook},
		{"deployment", was.Deployment, now.Deployment},
		{"author's key", was.Author, now.Author},
		{"level", string(was.Level), string(now.Level)},
		{"package", was.Match.Package, now.Match.Package},
		{"from version", was.Match.From, now.Match.From},
		{"below version", was.Match.Below, now.Match.Below},
	} {
		if m.was != m.now {
			out = append(out, Change{Changed, m.name, orNothing(m.was) + " → " + orNothing(m.now)})
		}
	}
	if was.As != now.As {
		out = append(out, Change{identityMark(was.As, now.As), "runs as", Identity(was.As) + " → " + Identity(now.As)})
	}
	for _, m := range []struct {
		name     string
		was, now []string
	}{
		{"fingerprint", was.Match.Fingerprints, now.Match.Fingerprints},
		{"uses", signing.CapabilitiesOf(was), signing.CapabilitiesOf(now)},
		{"reads files", paths(was.Capabilities.FSRead), paths(now.Capabilities.FSRead)},
		{"lists folders", paths(was.Capabilities.FSList), paths(now.Capabilities.FSList)},
		{"looks at", paths(was.Capabilities.FSStat), paths(now.Capabilities.FSStat)},
		{"runs program", commands(was.Capabilities.CmdRun), commands(now.Capabilities.CmdRun)},
		{"brings back", fields(was.Fields), fields(now.Fields)},
	} {
		out = append(out, setChanges(m.name, m.was, m.now)...)
	}
	return append(out, limitChanges(was, now)...)
}

// identityMark says which of two identities may see more of a machine.
func identityMark(was, now hooks.Identity) Mark {
	order := []hooks.Identity{hooks.AsService, hooks.AsReporter, hooks.AsRoot}
	before, after := slices.Index(order, was), slices.Index(order, now)
	switch {
	case before < 0 || after < 0:
		return Changed
	case after > before:
		return Wider
	}
	return Tighter
}

func limitChanges(was, now hooks.Predicate) []Change {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var out []Change
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
		mark := Wider
		if m.now < m.was {
			mark = Tighter
		}
		if m.was != m.now {
			out = append(out, Change{mark, m.name, m.text(m.was) + " → " + m.text(m.now)})
		}
	}
	return out
}

func setChanges(name string, was, now []string) []Change {
	var out []Change
	for _, v := range was {
		if !slices.Contains(now, v) {
			out = append(out, Change{Removed, name, v})
		}
	}
	for _, v := range now {
		if !slices.Contains(was, v) {
			out = append(out, Change{Added, name, v})
		}
	}
	return out
}

func paths(list []string) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = strings.TrimSuffix(Quoted(p)+" ("+Opens(p)+")", " ()")
	}
	return out
}

// commands has one line with all of a command.
func commands(list []hooks.Command) []string {
	out := make([]string, len(list))
	for i, c := range list {
		words := []string{c.Name + ":", Quoted(c.Program)}
		for _, arg := range c.Args {
			words = append(words, Quoted(arg))
		}
		if len(c.Paths) > 0 {
			words = append(words, "| "+hooks.PlacePath+":", strings.Join(paths(c.Paths), " "))
		}
		if len(c.Reads) > 0 {
			words = append(words, "| reads:", strings.Join(paths(c.Reads), " "))
		}
		if c.Syslog {
			words = append(words, "| AND THE KERNEL'S LOG")
		}
		out[i] = strings.Join(words, " ")
	}
	return out
}

func fields(list []hooks.DeclaredField) []string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = strings.TrimSpace(fmt.Sprintf("%s: %s, %s, at most %d bytes %s", f.Name, f.Type, f.Class, f.MaxBytes, Redaction(f.Type, f.Raw)))
	}
	return out
}

// Redaction is what happens to a field's text before it leaves a peer.
func Redaction(t hooks.FieldType, raw bool) string {
	switch {
	case raw:
		return "RAW"
	case t == hooks.TypeText || t == hooks.TypeJSON:
		return "redacted"
	}
	return ""
}

// Identity is who a hook runs as on a peer.
func Identity(as hooks.Identity) string {
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

// Opens says what a pattern of paths stands for, "" for one path.
func Opens(pattern string) string {
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

// Quoted is one word of a command line or one path: in quotes where it could
// be taken for several.
func Quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return strconv.Quote(word)
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
