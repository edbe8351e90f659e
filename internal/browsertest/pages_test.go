package browsertest_test

import (
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
