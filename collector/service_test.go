package collector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/internal/jobs"
)

func TestAReportIsStoredOnce(t *testing.T) {
	w := newWorld(t)
	peer, other, id := w.peer(), w.peer(), newID()
	_, created, err := w.c.FileReport(w.ctx, peer, id, report("/usr/bin/crasher"))
	w.ok(err)
	if !created {
		t.Fatal("the first was there already")
	}
	if _, created, err = w.c.FileReport(w.ctx, peer, id, report("/usr/bin/crasher")); err != nil || created {
		t.Fatalf("the same again: %v %v", created, err)
	}
	_, _, err = w.c.FileReport(w.ctx, peer, id, report("/usr/bin/other"))
	w.wantCode(err, errs.CodeConflict)
	_, _, err = w.c.FileReport(w.ctx, other, id, report("/usr/bin/crasher"))
	w.wantCode(err, errs.CodeConflict)
	for _, bad := range []string{"", "x", uuid.NewString(), "urn:uuid:" + newID(), "{" + newID() + "}"} {
		_, _, err = w.c.FileReport(w.ctx, peer, bad, report("/usr/bin/crasher"))
		w.wantCode(err, errs.CodeBadReport)
	}
	_, _, err = w.c.FileReport(w.ctx, peer, newID(), hooks.Report{"bad name": "x"})
	w.wantCode(err, errs.CodeBadReport)
}

// A peer chooses the ids of its reports, and lists are in their order: it
// cannot be first in them for ever. It may have been away for a month.
func TestAReportsIDHasATimeThatCanBeTrue(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name string
		ago  time.Duration
		ok   bool
	}{
		{"now", 0, true},
		{"delivered a month late", 30 * day, true},
		{"as old as may be", 35 * day, true},
		{"too old", 35*day + time.Millisecond, false},
		{"as far ahead as may be", -time.Hour, true},
		{"too far ahead", -time.Hour - time.Millisecond, false},
		{"of 1970", time.Duration(start.UnixMilli()) * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			_, created, err := w.c.FileReport(w.ctx, w.peer(), idAt(start.Add(-c.ago)), report("/usr/bin/crasher"))
			if c.ok {
				w.ok(err)
				return
			}
			w.wantCode(err, errs.CodeBadReport)
			if e, _ := errs.As(err); created || e.Field != "id" || !strings.Contains(e.Message, "clock") || !strings.Contains(e.Hint, "clock") {
				t.Errorf("refused with %+v", err)
			}
			if !jobpb.Final(jobpb.Status(err)) {
				t.Error("the peer would send it for ever")
			}
		})
	}
	for _, id := range []string{"ffffffff-ffff-7fff-bfff-ffffffffffff", "00000000-0000-7000-8000-000000000000"} {
		w := newWorld(t)
		_, _, err := w.c.FileReport(w.ctx, w.peer(), id, report("/usr/bin/crasher"))
		w.wantCode(err, errs.CodeBadReport)
	}
}

// Lists show a little of a report, and of the report that a result is for: no
// more than a little, whatever the peer says.
func TestListsShowLittleOfAReport(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "1.2-3": "1.2-3", strings.Repeat("x", 128): strings.Repeat("x", 128), strings.Repeat("x", 5_000): strings.Repeat("x", 128),
		"x" + strings.Repeat("é", 100): "x" + strings.Repeat("é", 63), // no half of a letter
	} {
		w := newWorld(t)
		w.activate(version{})
		r, peer := report("/usr/bin/crasher"), w.peer()
		r[hooks.FieldPackage], r[hooks.FieldPackageVersion], r[hooks.FieldRelease] = text, text, text
		filed, _, err := w.c.FileReport(w.ctx, peer, newID(), r)
		w.ok(err)
		list, err := w.db.Jobs(w.ctx, jobs.Filter{Workload: jobs.WorkReport, Limit: 10})
		w.ok(err)
		if len(list) != 1 || list[0].PackageVersion != want || list[0].Release != want {
			t.Fatalf("of %.20q: %+v", text, list)
		}
		w.ok(w.c.MatchOriginal(w.ctx, filed))
		job := w.line.jobs(peer)[0]
		_, err = w.upload(job, map[string]any{"Extra": "x"}, 100)
		w.ok(err)
		result, err := w.db.Result(w.ctx, job.ID)
		w.ok(err)
		if result.Package != want || result.Level != hooks.LevelProblem {
			t.Errorf("of %.20q: %+v", text, result)
		}
	}
}
