package guard

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
)

// filedLines are the ids that the record says were filed.
func filedLines(t *testing.T, g *Guard) []string {
	t.Helper()
	lines, _, err := g.record.Lines(0, "", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, line := range lines {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == KindReport {
			ids = append(ids, e.JobID)
		}
	}
	return ids
}

var filing = guardwire.Request{Op: guardwire.OpFile, Source: "report", Report: crashReport()}

// What the reporter hears, the outbox and the record always say the same.
func TestFilingThatFailsIsNotFiled(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	first := file(t, g)
	wantOnly := func(when string, ids ...string) {
		t.Helper()
		if got := filedLines(t, g); !slices.Equal(got, ids) || len(g.shelf.index) != len(ids) || g.outbox.len() != len(ids) {
			t.Errorf("%s: recorded %v, %d copies, %d in the outbox", when, got, len(g.shelf.index), g.outbox.len())
		}
	}
	outbox := filepath.Join(k.dir, outboxDir)
	if err := os.Rename(outbox, outbox+".away"); err != nil {
		t.Fatal(err)
	}
	if reply := g.Handle(Caller{}, filing); reply.Code == "" {
		t.Error("filed without an outbox")
	}
	if err := os.Rename(outbox+".away", outbox); err != nil {
		t.Fatal(err)
	}
	wantOnly("no outbox", first)

	record := g.record.file
	unwritable, err := os.Open(record.Name())
	if err != nil {
		t.Fatal(err)
	}
	g.record.file = unwritable
	reply := g.Handle(Caller{}, filing)
	g.record.file = record
	unwritable.Close()
	if reply.Code == "" {
		t.Error("filed without a record")
	}
	wantOnly("no record", first)
	wantOnly("both again", first, file(t, g))
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if again := k.open(); len(filedLines(t, again)) != 2 || !again.record.Intact() {
		t.Errorf("after a restart: %v, intact %v", filedLines(t, again), again.record.Intact())
	}
}

// A crash between outbox and record leaves a report that gets its line before
// it leaves.
func TestFilingCutByACrashIsRecorded(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	first := file(t, g)
	cut := Kept{ID: "01935b1e-0000-7000-8000-000000000001", Source: "exec", FiledAt: k.clock.Now(), Report: crashReport()}
	if err := g.shelf.add(cut, g.pinned, false); err != nil {
		t.Fatal(err)
	}
	if err := g.outbox.addReport(cut.ID); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and only one line
		again := k.open()
		if got := filedLines(t, again); !slices.Equal(got, []string{first, cut.ID}) {
			t.Errorf("recorded %v", got)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEmptyReportSaysWhatOneIs(t *testing.T) {
	g := newKit(t).optedIn(HooksYes)
	reply := g.Handle(Caller{}, guardwire.Request{Op: guardwire.OpFile, Report: hooks.Report{}})
	if reply.Code != string(errs.CodeBadReport) || reply.Hint == "" {
		t.Errorf("got %+v", reply)
	}
}
