package browsertest_test

import (
	"fmt"
	"testing"

	"hookline/internal/browsertest"
)

// Words of lists stay whole on windows of a middle width, and a list that is
// wider than its window scrolls in a box of its own.
func TestWordsOfListsStayWhole(t *testing.T) {
	s := everybody(t)
	lists := 0
	eachPage(t, s, func(t *testing.T, tab *browsertest.Tab, p browsertest.Page) {
		for _, width := range []int64{700, 1000} {
			must(t, tab.Look(width, false))
			must(t, tab.Open(p.Path(s.facts)))
			what := fmt.Sprintf("%s at %d pixels", p.Name, width)
			fits(t, tab, what)
			broken, err := browsertest.Evaluate[[]string](tab, `(() => {
				const broken = [];
				for (const td of document.querySelectorAll(".rows td")) {
					const walk = document.createTreeWalker(td, NodeFilter.SHOW_TEXT);
					while (walk.nextNode()) {
						for (const m of walk.currentNode.data.matchAll(/[A-Za-z0-9]{2,16}/g)) {
							if (/[^\s]{21,}/.test(td.textContent)) continue; // of one that is long, parts may
							const range = document.createRange();
							range.setStart(walk.currentNode, m.index);
							range.setEnd(walk.currentNode, m.index + m[0].length);
							if (new Set([...range.getClientRects()].map(r => r.top)).size > 1) broken.push(m[0]);
						}
					}
				}
				return broken;
			})()`)
			must(t, err)
			if len(broken) > 0 {
				t.Errorf("%s: broken: %q", what, broken)
			}
			n, err := browsertest.Evaluate[int](tab, `document.querySelectorAll(".rows td").length`)
			must(t, err)
			lists += n
		}
	})
	if lists == 0 {
		t.Error("no page has a list")
	}
}
