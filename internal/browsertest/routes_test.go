package browsertest_test

import (
	"net/http"
	"testing"

	"hookline/internal/browsertest"
	"hookline/internal/web"
	"hookline/internal/web/live"
)

// Every page that the server has is in the table, and the table has no other:
// what axe, pictures, sizes and headers look at is all that there is.
func TestEveryRouteIsInTheTable(t *testing.T) {
	routes, err := web.Routes(web.Parts{Hub: &live.Hub{}})
	must(t, err)
	known := map[string]bool{}
	for _, p := range browsertest.Pages() {
		if p.Route != "" && !p.Extra {
			if known[p.Route] {
				t.Errorf("%s is in two rows of the table: all but one are extra", p.Route)
			}
			known[p.Route] = true
		}
	}
	for route := range browsertest.Others() {
		known[route] = true
	}
	pages := 0
	for _, r := range routes {
		if r.Method != http.MethodGet {
			continue
		}
		pages++
		if !known[r.Path] {
			t.Errorf("the page %s is in no row of the table: add it to internal/browsertest/pages.go", r.Path)
		}
		delete(known, r.Path)
	}
	for route := range known {
		t.Errorf("the table has %s, and the server has not", route)
	}
	if pages < 10 {
		t.Errorf("the server has only %d pages", pages)
	}
}
