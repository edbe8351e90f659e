package browsertest_test

import (
	"strings"
	"testing"

	"hookline/internal/browsertest"
)

// eachPage opens every page of the table, with one tab for each visitor.
func eachPage(t *testing.T, s *shared, look func(t *testing.T, tab *browsertest.Tab, p browsertest.Page)) {
	t.Helper()
	type visitor struct {
		as    string
		local bool
	}
	tabs := map[visitor]*browsertest.Tab{}
	for _, p := range browsertest.Pages() {
		who := visitor{p.As, p.Local}
		if tabs[who] == nil {
			tab, err := s.world.Enter(t.Context(), s.browser, p)
			must(t, err)
			t.Cleanup(tab.Close)
			calm(t, tab, p.As+" signs in")
			tabs[who] = tab
		}
		look(t, tabs[who], p)
	}
}

// fits fails the test where a page is wider than its window.
func fits(t *testing.T, tab *browsertest.Tab, what string) {
	t.Helper()
	wide, err := browsertest.Evaluate[[]string](tab, `(() => {
		const room = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= room) return [];
		return ["the page is " + document.documentElement.scrollWidth + " pixels wide in a window of " + room,
			...[...document.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > room + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 200))];
	})()`)
	must(t, err)
	for _, w := range wide {
		t.Errorf("%s: %s", what, w)
	}
}

// Everything works without scripts: only what is live stands still.
func TestWithoutScript(t *testing.T) {
	s := everybody(t)
	tab, err := s.browser.Visit(s.world.HTTP, "")
	must(t, err)
	t.Cleanup(tab.Close)
	must(t, tab.NoScript())
	must(t, s.world.SignIn(t.Context(), tab, "carol", "/problems"))
	must(t, tab.Send(".filters", "Show", map[string]string{"package": "ledger"}))
	must(t, tab.Until("the list is filtered", "location.search.includes('package=ledger') && document.querySelector('main a[href^=\"/problems/\"]')"))
	must(t, tab.Open("/versions/"+s.facts.Waiting+"/review"))
	must(t, tab.Click("link", "Comment on line 1"))
	must(t, tab.Until("the form is for line 1", "document.querySelector('#comment [name=line]').value === '1'"))
	must(t, tab.Send("#comment", "Send", map[string]string{"text": "said without a script"}))
	must(t, tab.Until("the comment is there", "document.querySelector('#comments').innerText.includes('said without a script')"))
	ran, err := browsertest.Evaluate[bool](tab, "Boolean(window.htmx)")
	must(t, err)
	if ran {
		t.Error("the pages' scripts ran: the test shows nothing")
	}
	calm(t, tab, "without script")
}

// With the keyboard alone: the first stop leads past the navigation, each stop
// can be seen, and a form is filled and sent.
func TestByKeyboard(t *testing.T) {
	s := everybody(t)
	tab := s.tab(t, "carol", "/problems")
	must(t, tab.Press("\t"))
	must(t, tab.Until("the first stop leads to the content", "document.activeElement.matches('a.skip') && document.activeElement.getBoundingClientRect().top >= 0"))
	must(t, tab.Press("\r"))
	must(t, tab.Until("the content is where it is", "location.hash === '#main'"))
	for range 40 {
		must(t, tab.Press("\t"))
		here, err := browsertest.Evaluate[string](tab, `(() => {
			const e = document.activeElement, s = getComputedStyle(e);
			if (e === document.body) return "nothing";
			if (s.outlineStyle === "none" && s.boxShadow === "none") return "unseen " + e.outerHTML.slice(0, 200);
			return e.name || e.textContent.trim();
		})()`)
		must(t, err)
		if strings.HasPrefix(here, "unseen") {
			t.Fatalf("nobody sees where the keyboard is: %s", here)
		}
		if here == "package" {
			must(t, tab.Press("ledger\r"))
			must(t, tab.Until("the list is filtered", "location.search.includes('package=ledger')"))
			calm(t, tab, "by keyboard")
			return
		}
	}
	t.Error("the keyboard never came to the filter")
}
