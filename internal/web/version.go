package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/review"
	"hookline/signing"
)

// versionPage shows what people signed: what the hook may do, in words, the
// script, and the statement itself.
type versionPage struct {
	base
	Heading   string
	Facts     []fact
	May       []termSection
	Fields    []hooks.DeclaredField
	Bounds    []termSection
	Script    []looks.CodeLine
	Long      int // lines of the script that are long
	Statement field
}

// termSection is a part of the statement in words.
type termSection struct {
	Name  string
	Warn  string // what nobody should overlook
	Terms []term
}

// term is one thing that the statement says, as one or several values.
type term struct {
	Name   string
	Values []termValue
}

// termValue is a value with what it stands for; Code is text that is meant
// letter by letter.
type termValue struct {
	Code string
	Note string
}

func (s *site) version(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	l, err := s.Versions.Life(r.Context(), chi.URLParam(r, "digest"))
	if err != nil {
		return err
	}
	v := l.Version
	st, err := hooks.ParseStatement(v.Statement)
	if err != nil {
		return fmt.Errorf("stored statement: %w", err)
	}
	var statement bytes.Buffer
	if err := json.Indent(&statement, v.Statement, "", "  "); err != nil {
		return fmt.Errorf("stored statement: %w", err)
	}
	name := fmt.Sprintf("%s@%d", v.Hook, v.Number)
	page := versionPage{
		base: s.base("Hook "+name, p), Heading: "Hook " + name, Facts: versionFacts(l, s.Rules()),
		May: maySections(st.Predicate), Fields: st.Predicate.Fields, Bounds: boundSections(st), Script: looks.CodeLines(string(v.Script)),
		Statement: newField("Statement, the object that people signed", statement.String()),
	}
	for _, line := range page.Script {
		if line.Long {
			page.Long++
		}
	}
	return s.render(w, http.StatusOK, "version", page)
}

func versionFacts(l review.Life, rules signing.Rules) []fact {
	v := l.Version
	facts := []fact{
		{Name: "Version digest", Text: v.Digest, Link: "/versions/" + v.Digest, ID: true},
		{Name: "State", Text: string(l.State()), State: true},
		{Name: "Submitted", Text: visible(v.SubmittedBy) + ", " + stamp(v.SubmittedAt)},
	}
	facts = append(facts, standingFacts(v, rules)...)
	if a := l.Activation; a != nil {
		facts = append(facts,
			fact{Name: "Results", Text: fmt.Sprintf("%d of %d", a.Ledger.Received, a.Quantity)},
			fact{Name: "Issued", Text: fmt.Sprint(a.Ledger.Issued)},
			fact{Name: "Until", Text: stamp(a.Deadline)})
		if a.Reason != "" {
			facts = append(facts, fact{Name: "Reason", Text: visible(a.Reason)})
		}
	}
	return facts
}

// standingFacts are whose signatures count now, and whose do not, by the
// verifier and not by what a row says.
func standingFacts(v review.Version, rules signing.Rules) []fact {
	_, standing, err := rules.Examine(v.Script, v.Statement, v.Signatures)
	if err != nil {
		return []fact{{Name: "Refused", Text: visible(fmt.Sprintf("%v (%s)", err, errs.CodeOf(err)))}}
	}
	var approved []string
	for _, r := range standing.Reviewers {
		approved = append(approved, visible(r.Person))
	}
	facts := []fact{{Name: "Approved by", Text: fmt.Sprintf("%s (%d of %d)", orNobody(strings.Join(approved, ", ")), len(approved), standing.Needed)}}
	for _, void := range standing.Void {
		facts = append(facts, fact{Name: "Does not count", Text: visible(fmt.Sprintf("%s: %s (%s)", void.Person, void.Reason, void.Code))})
	}
	return facts
}

func orNobody(s string) string {
	if s == "" {
		return "nobody"
	}
	return s
}

// maySections are what a hook may do on a machine, in the words of a reviewer.
func maySections(p hooks.Predicate) []termSection {
	may := termSection{Name: "May", Terms: []term{
		{"Uses", note(orNone(strings.Join(signing.CapabilitiesOf(p), ", ")))},
		{"Runs as", note(identity(p.As))},
		{"Reads files", paths(p.Capabilities.FSRead)},
		{"Lists folders", paths(p.Capabilities.FSList)},
		{"Looks at", paths(p.Capabilities.FSStat)},
	}}
	if p.As == hooks.AsRoot {
		may.Warn = "as root"
	}
	if len(p.Capabilities.CmdRun) == 0 {
		may.Terms = append(may.Terms, term{"Runs programs", note("none")})
	}
	sections := []termSection{may}
	for _, c := range p.Capabilities.CmdRun {
		sections = append(sections, commandSection(c, p))
	}
	return sections
}

// boundSections are what a hook is bound to.
func boundSections(st hooks.Statement) []termSection {
	p := st.Predicate
	return []termSection{{Name: "At most", Terms: []term{
		{"Results", note(fmt.Sprintf("%d, %d runs on one peer, %d%% of the peers", p.MaxReports, p.MaxRunsPerPeer, p.MaxPercent))},
		{"Bytes", note(fmt.Sprintf("%d in all, %d in one result", p.MaxBytes, p.MaxResultBytes))},
		{"Run time", note((time.Duration(p.MaxRuntimeMS) * time.Millisecond).String())},
		{"Valid", note(stamp(time.Unix(p.NotBefore, 0)) + " until " + stamp(time.Unix(p.NotAfter, 0)))},
	}}, matchSection(st)}
}

func commandSection(c hooks.Command, p hooks.Predicate) termSection {
	s := termSection{Name: "May run " + visible(c.Name)}
	var warn []string
	if p.As == hooks.AsRoot {
		warn = append(warn, "as root")
	}
	if c.Syslog {
		warn = append(warn, "and read the kernel's log")
	}
	s.Warn = strings.Join(warn, " ")
	words := []string{shown(c.Program)}
	places := map[string]bool{}
	for _, arg := range c.Args {
		words = append(words, shown(arg))
		places[arg] = true
	}
	s.Terms = append(s.Terms, term{"Command line", []termValue{{Code: strings.Join(words, " ")}}})
	own := ""
	if p.As == hooks.AsRoot {
		own = "; over a report that somebody else filed, only what was signed"
	}
	if places[hooks.PlacePackage] {
		s.Terms = append(s.Terms, term{hooks.PlacePackage, note("any Debian package name" + own)})
	}
	if places[hooks.PlacePID] {
		s.Terms = append(s.Terms, term{hooks.PlacePID, note("any process of the user who filed the report" + own)})
	}
	if places[hooks.PlacePath] {
		s.Terms = append(s.Terms, term{hooks.PlacePath, paths(c.Paths)})
	}
	s.Terms = append(s.Terms, term{"Program reads", paths(c.Reads)})
	return s
}

func matchSection(st hooks.Statement) termSection {
	p, s := st.Predicate, termSection{Name: "For"}
	if p.Level == hooks.LevelPackage {
		s.Terms = append(s.Terms, term{"Package", []termValue{{Code: visible(p.Match.Package)}}},
			term{"From version", note(orAny(p.Match.From))}, term{"Below version", note(orAny(p.Match.Below))})
	} else {
		var prints []termValue
		for _, f := range p.Match.Fingerprints {
			prints = append(prints, termValue{Code: visible(f)})
		}
		s.Terms = append(s.Terms, term{"Problems", prints})
	}
	s.Terms = append(s.Terms,
		term{"Script", []termValue{{Code: "sha256:" + st.ScriptDigest()}}},
		term{"Author's key", []termValue{{Code: visible(p.Author)}}},
		term{"Deployment", []termValue{{Code: visible(p.Deployment)}}})
	return s
}

func note(s string) []termValue { return []termValue{{Note: visible(s)}} }

// paths are values with what a pattern opens.
func paths(list []string) []termValue {
	if len(list) == 0 {
		return note("nothing")
	}
	var out []termValue
	for _, p := range list {
		v := termValue{Code: shown(p)}
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

// shown is one word of a command line or one path: in quotes where it could be
// taken for several.
func shown(word string) string {
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

func orNone(s string) string {
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
