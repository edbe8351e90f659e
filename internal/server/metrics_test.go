package server

import (
	"strings"
	"testing"

	"hookline/collector"
	"hookline/internal/auth"
)

// A store that was away may have taken a lease without saying so: the gauge is
// right again after the next sweep.
func TestTheGaugeOfLeasesIsSetRight(t *testing.T) {
	r := newRig(t)
	r.metrics.leases.Add(5)
	if err := r.collector.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := string(r.send(auth.RoleAdmin, "GET", "/metrics", nil).Body); !strings.Contains(text, "\nhookline_leases 0\n") {
		t.Errorf("the gauge is wrong:\n%s", text)
	}
}

// A walk that somebody else's question interrupts still counts every page.
func TestAWalkCountsItsPages(t *testing.T) {
	var p pass
	if _, done := p.page("", []collector.Lease{{ID: "a"}, {ID: "b"}}, 2); done {
		t.Error("done after a full page")
	}
	if _, done := p.page("x", []collector.Lease{{ID: "y"}}, 2); done {
		t.Error("a question for one lease counts as a walk")
	}
	if sum, done := p.page("b", []collector.Lease{{ID: "c"}}, 2); sum != 3 || !done {
		t.Errorf("the walk counts %d, done %v, want 3", sum, done)
	}
}
