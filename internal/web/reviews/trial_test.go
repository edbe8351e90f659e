package reviews_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/web/reviews"
)

// A report has up to 1 MiB, and so has what a trial brings: their page is short
// all the same.
func TestATrialOverALargeReport(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "report.set('Extra', 'a')\n", "/proc/version", 10)
	report, brought := hooks.Report{"DuplicateSignature": fingerprint, "ProblemType": "Crash"}, map[string]string{}
	for i := range 60 {
		name := fmt.Sprintf("Field%02d", i)
		report[name], brought[name] = strings.Repeat("x", 16<<10), strings.Repeat("y", 16<<10)
	}
	fields, err := json.Marshal(brought)
	w.ok(err)
	w.bench.trial = reviews.Trial{Ending: hooks.EndingSucceeded, Fields: fields}
	page := w.Want(at(v, "/trial?job="+w.saved(report).ID), auth.RoleAuthor)
	if len(page) > 160<<10 {
		t.Errorf("the page has %d kB", len(page)>>10)
	}
	for _, name := range []string{"Field00", "Field59"} {
		if strings.Count(page, name) < 2 {
			t.Errorf("%s is missing", name)
		}
	}
	wants(t, page, "… cut here")
}
