// Package inwords says what people signed in words: what a hook may do, what
// it brings back, what it is bound to, and whose signatures count. Pages show
// it with the templates "words", "terms", "brings" and "signatures", see Share.
package inwords

import (
	"embed"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/looks"
	"hookline/internal/web/kit"
	"hookline/signing"
)

//go:embed templates
var files embed.FS

// Share gives the pages that are parsed after it the templates of this package:
// "words" shows Words, "terms" a Section, "brings" the fields of Words, and
// "signatures" Signatures. They have headings of level h2.
func Share(k *kit.Kit) error { return k.Share(files, "templates/*.html") }

// Words are a statement in words. All texts in it are fit to be shown.
type Words struct {
	May    []Section // what the hook may do on a machine
	Fields []hooks.DeclaredField
	Bounds []Section // what it is bound to, and what it is for
	Warn   []string  // what nobody should overlook, one sentence each
}

// Section is a part of the statement in words.
type Section struct {
	Name  string
	Warn  string // what nobody should overlook
	Terms []Term
}

// Term is one thing that the statement says, as one or several values.
type Term struct {
	Name   string
	Values []Value
}

// Value is a value with what it stands for; Code is text that is meant letter
// by letter, Link leads to what it is about.
type Value struct {
	Code string
	Note string
	Link string
}

// Statement puts a statement into words.
func Statement(st hooks.Statement) Words {
	p := st.Predicate
	return Words{May: maySections(p), Fields: p.Fields, Bounds: boundSections(st), Warn: warnings(p)}
}

// warnings are the sentences for what reaches farthest.
func warnings(p hooks.Predicate) []string {
	var out []string
	if p.As == hooks.AsRoot {
		out = append(out, "Runs as root.")
	}
	if len(p.Capabilities.CmdRun) > 0 {
		out = append(out, fmt.Sprintf("Runs programs: %d.", len(p.Capabilities.CmdRun)))
	}
	for _, c := range p.Capabilities.CmdRun {
		if c.Syslog {
			out = append(out, "Reads the kernel's log.")
			break
		}
	}
	for _, f := range p.Fields {
		if f.Raw {
			out = append(out, "Brings back text that is not redacted.")
			break
		}
	}
	return out
}

// maySections are what a hook may do on a machine, in the words of a reviewer.
func maySections(p hooks.Predicate) []Section {
	may := Section{Name: "May", Terms: []Term{
		{"Uses", note(orNothing(strings.Join(signing.CapabilitiesOf(p), ", ")))},
		{"Runs as", note(identity(p.As))},
		{"Reads files", paths(p.Capabilities.FSRead)},
		{"Lists folders", paths(p.Capabilities.FSList)},
		{"Looks at", paths(p.Capabilities.FSStat)},
	}}
	if p.As == hooks.AsRoot {
		may.Warn = "as root"
	}
	if len(p.Capabilities.CmdRun) == 0 {
		may.Terms = append(may.Terms, Term{"Runs programs", note("none")})
	}
	sections := []Section{may}
	for _, c := range p.Capabilities.CmdRun {
		sections = append(sections, commandSection(c, p))
	}
	return sections
}

// boundSections are what a hook is bound to.
func boundSections(st hooks.Statement) []Section {
	p := st.Predicate
	return []Section{{Name: "At most", Terms: []Term{
		{"Results", note(fmt.Sprintf("%s, %s on one peer, %d %% of the peers", kit.Grouped(p.MaxReports), counted(p.MaxRunsPerPeer, "run"), p.MaxPercent))},
		{"Bytes", note(fmt.Sprintf("%s in all, %s in one result", kit.Bytes(p.MaxBytes), kit.Bytes(p.MaxResultBytes)))},
		{"Run time", note((time.Duration(p.MaxRuntimeMS) * time.Millisecond).String())},
		{"Valid", note(stamp(p.NotBefore) + " until " + stamp(p.NotAfter))},
	}}, matchSection(st)}
}

func counted(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return kit.Grouped(n) + " " + thing + "s"
}

func stamp(unix int64) string {
	return time.Unix(unix, 0).UTC().Format("2006-01-02 15:04:05 UTC")
}

func commandSection(c hooks.Command, p hooks.Predicate) Section {
	s := Section{Name: "May run " + looks.Visible(c.Name)}
	var warn []string
	if p.As == hooks.AsRoot {
		warn = append(warn, "as root")
	}
	if c.Syslog {
		warn = append(warn, "and read the kernel's log")
	}
	s.Warn = strings.Join(warn, " ")
	words := []string{quoted(c.Program)}
	places := map[string]bool{}
	for _, arg := range c.Args {
		words = append(words, quoted(arg))
		places[arg] = true
	}
	s.Terms = append(s.Terms, Term{"Command line", []Value{{Code: strings.Join(words, " ")}}})
	own := ""
	if p.As == hooks.AsRoot {
		own = "; over a report that somebody else filed, only what was signed"
	}
	if places[hooks.PlacePackage] {
		s.Terms = append(s.Terms, Term{hooks.PlacePackage, note("any Debian package name" + own)})
	}
	if places[hooks.PlacePID] {
		s.Terms = append(s.Terms, Term{hooks.PlacePID, note("any process of the user who filed the report" + own)})
	}
	if places[hooks.PlacePath] {
		s.Terms = append(s.Terms, Term{hooks.PlacePath, paths(c.Paths)})
	}
	s.Terms = append(s.Terms, Term{"Program reads", paths(c.Reads)})
	return s
}

func matchSection(st hooks.Statement) Section {
	p, s := st.Predicate, Section{Name: "For"}
	if p.Level == hooks.LevelPackage {
		s.Terms = append(s.Terms, Term{"Package", []Value{{Code: looks.Visible(p.Match.Package), Link: "/problems?package=" + url.QueryEscape(p.Match.Package)}}},
			Term{"From version", note(orAny(p.Match.From))}, Term{"Below version", note(orAny(p.Match.Below))})
	} else {
		var prints []Value
		for _, f := range p.Match.Fingerprints {
			prints = append(prints, Value{Code: looks.Visible(f), Link: "/problems/" + hooks.Digest([]byte(f))[:32]})
		}
		s.Terms = append(s.Terms, Term{"Problems", prints})
	}
	s.Terms = append(s.Terms,
		Term{"Script", []Value{{Code: "sha256:" + st.ScriptDigest()}}},
		Term{"Author's key", []Value{{Code: looks.Visible(p.Author)}}},
		Term{"Deployment", []Value{{Code: looks.Visible(p.Deployment)}}})
	return s
}

func note(s string) []Value { return []Value{{Note: looks.Visible(s)}} }

// paths are values with what a pattern opens.
func paths(list []string) []Value {
	if len(list) == 0 {
		return note("nothing")
	}
	var out []Value
	for _, p := range list {
		v := Value{Code: quoted(p)}
		switch {
		case strings.HasSuffix(p, "/**"):
			v.Note = "everything below, at any depth"
		case strings.HasSuffix(p, "/*"):
			v.Note = "everything in it, one level"
		case strings.Contains(p, hooks.PlacePID):
			v.Note = "of any process of the user who filed the report"
		}
		out = append(out, v)
	}
	return out
}

// quoted is one word of a command line or one path: in quotes where it could
// be taken for several.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./:=@%+*{}-", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return strconv.Quote(word)
}

func identity(as hooks.Identity) string {
	switch as {
	case hooks.AsRoot:
		return "root"
	case hooks.AsReporter:
		return "reporter: the user who filed the report"
	case hooks.AsService:
		return "service: an unprivileged user of the peer"
	}
	return string(as)
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}
