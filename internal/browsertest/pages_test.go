package browsertest_test

import (
	"testing"

	"hookline/internal/browsertest"
)

// byPerson is the table of pages, by whoever looks at them.
func byPerson() map[string][]browsertest.Page {
	all := map[string][]browsertest.Page{}
	for _, p := range browsertest.Pages() {
		all[p.As] = append(all[p.As], p)
	}
	return all
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
