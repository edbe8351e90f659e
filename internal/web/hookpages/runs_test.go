package hookpages

import (
	"fmt"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/jobs"
)

// Runs that ended alike are one row, with the oldest and the newest of them.
func TestGroups(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	var v runsView
	groups := map[string]*group{}
	for i := range 5 { // newest first
		j := jobs.Job{ID: fmt.Sprintf("job-%d", i), Status: jobs.Failed, Outcome: hooks.OutcomeFailed, FailedCode: "hook-error", SentAt: start, CompletedAt: start.Add(-time.Duration(i) * time.Hour)}
		if i == 2 {
			j.FailedCode = "limit-time"
		}
		v.add(groups, j)
	}
	g := groups["hook-error hook-error"]
	if len(groups) != 2 || g == nil || g.count != 4 || !g.last.Equal(start) || !g.first.Equal(start.Add(-4*time.Hour)) || g.sample.ID != "job-0" {
		t.Fatalf("%+v", g)
	}
	if l := groups["limit limit-time"]; l == nil || l.count != 1 {
		t.Errorf("%+v", l)
	}
	if rows := groupTable(groups).Rows; len(rows) != 2 || rows[0].Cells[2].Number != 4 {
		t.Errorf("the most frequent is not first: %+v", rows)
	}
}
