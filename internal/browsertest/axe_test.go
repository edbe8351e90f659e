package browsertest_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"hookline/internal/browsertest"
)

// axeFile is axe-core as its authors publish it (MPL-2.0); refresh.sh renews it.
const axeFile = "testdata/axe.min.js"

// violation is a rule of axe that a page breaks.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		Target  []any
		HTML    string
		Summary string `json:"failureSummary"`
	}
}

// axe checks the page that a tab shows. The program comes through the browser's
// debugging protocol, which the page's content security policy does not bind.
func axe(t *testing.T, tab *browsertest.Tab, options string) []violation {
	t.Helper()
	source, err := os.ReadFile(axeFile)
	must(t, err)
	_, err = browsertest.Evaluate[bool](tab, "if (!window.axe) {"+string(source)+"}; true")
	must(t, err)
	found, err := browsertest.Evaluate[[]violation](tab, `axe.run(document, `+options+`).then(r => r.violations)`)
	must(t, err)
	return slices.DeleteFunc(found, func(v violation) bool { return v.Impact != "serious" && v.Impact != "critical" })
}

// everyRule is all that axe knows, of which serious and critical findings count.
const everyRule = `{resultTypes: ["violations"]}`

// onlyColors is what changes with the visitor's colours.
const onlyColors = `{resultTypes: ["violations"], runOnly: ["color-contrast", "link-in-text-block"]}`

// accessible fails the test where the page breaks a rule.
func accessible(t *testing.T, tab *browsertest.Tab, what, options string) {
	t.Helper()
	for _, v := range axe(t, tab, options) {
		var places []string
		for _, n := range v.Nodes[:min(len(v.Nodes), 5)] {
			places = append(places, n.HTML+"\n    "+strings.ReplaceAll(n.Summary, "\n", "\n    "))
		}
		t.Errorf("%s: %s, %s (%s), %d times:\n  %s", what, v.Impact, v.Help, v.ID, len(v.Nodes), strings.Join(places, "\n  "))
	}
}

// No page has anything that keeps people from using it, in light, in dark, or
// on a small screen.
func TestPagesAreAccessible(t *testing.T) {
	s := everybody(t)
	eachPage(t, s, func(t *testing.T, tab *browsertest.Tab, p browsertest.Page) {
		must(t, tab.Look(1280, false))
		must(t, tab.Open(p.Path(s.facts)))
		accessible(t, tab, p.Name, everyRule)
		must(t, tab.Look(1280, true))
		accessible(t, tab, p.Name+", dark", onlyColors)
		must(t, tab.Look(360, false))
		accessible(t, tab, p.Name+", narrow", everyRule)
		fits(t, tab, p.Name)
		if p.Status == 0 {
			calm(t, tab, p.Name)
		}
		tab.Trouble()
	})
}

// The check finds what it is for.
func TestAxeFindsWhatIsWrong(t *testing.T) {
	s := everybody(t)
	tab := s.tab(t, "", "/login")
	_, err := browsertest.Evaluate[bool](tab, `document.querySelector("main").innerHTML += "<p style='color:#999;background:#aaa'>pale</p><img src='/static/icon.svg'><input>"; true`)
	must(t, err)
	var ids []string
	for _, v := range axe(t, tab, everyRule) {
		ids = append(ids, v.ID)
	}
	for _, want := range []string{"image-alt", "label"} {
		if !slices.Contains(ids, want) {
			t.Errorf("axe did not find %s, but %v", want, ids)
		}
	}
}
