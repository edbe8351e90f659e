package mongo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store"
)

// AddReport stores a report job, which says that it is to be counted, and then
// counts it at its problem. It is idempotent by id, peer and the report itself.
// A report that a stop left uncounted is counted by Mend, whether or not it
// comes again. See counts.go for why each is counted once.
func (d *DB) AddReport(ctx context.Context, j jobs.Job, p collector.Problem) (bool, error) {
	f, err := d.newFiling(j, p)
	if err != nil {
		return false, err
	}
	if err := run(ctx, f.steps()); err != nil {
		return false, err
	}
	return f.created, nil
}

// filing is an AddReport under way.
type filing struct {
	d       *DB
	doc     jobDoc
	problem collector.Problem
	created bool
}

func (d *DB) newFiling(j jobs.Job, p collector.Problem) (*filing, error) {
	report, err := collector.EncodeReport(j.Report)
	if err != nil {
		return nil, err
	}
	if p.ID != j.ProblemID {
		return nil, errs.New(errs.CodeBadInput, "cannot store report: its problem is %s, not %s", j.ProblemID, p.ID)
	}
	j.Workload = jobs.WorkReport
	f := &filing{d: d, doc: newJobDoc(j, 0), problem: p}
	digest := sha256.Sum256(report)
	f.doc.Report, f.doc.ReportHash, f.doc.Keys, f.doc.Todo = report, digest[:], hooks.MatchKeys(j.Report), todoCount
	if err := fits(f.doc, "report"); err != nil {
		return nil, err
	}
	return f, fits(problemDoc{ID: p.ID, Fingerprint: p.Fingerprint, Package: p.Package, Executable: p.Executable}, "problem")
}

func (f *filing) steps() []step { return []step{f.store, f.count} }

func (f *filing) store(ctx context.Context) error {
	_, err := f.d.jobs.InsertOne(ctx, f.doc)
	if duplicate(err) {
		return f.again(ctx)
	}
	f.created = err == nil
	return f.d.failed(err)
}

// again is content with the report that is stored under the id, if it is this
// one: whoever stored it counts it, or Mend does.
func (f *filing) again(ctx context.Context) error {
	f.doc.Todo = ""
	stored, err := one[jobDoc](ctx, f.d, f.d.jobs, byID(f.doc.ID), options.FindOne().SetProjection(m{
		{Key: "peer_id", Value: 1},
		{Key: "workload", Value: 1},
		{Key: "report_sha256", Value: 1},
	}))
	switch {
	case none(err): // the majority has not got it yet
		return f.d.failed(err)
	case err != nil:
		return err
	case stored.PeerID != f.doc.PeerID, stored.Workload != jobs.WorkReport, !bytes.Equal(stored.ReportHash, f.doc.ReportHash):
		return collector.ErrReportTaken(f.doc.ID)
	}
	return nil
}

// maxCounting caps the reports of one problem that stand in its document
// because their jobs still say that they are to be counted. Those of a storm
// that come on top are counted a little later, by Mend.
const maxCounting = 5_000

// count counts the report that was stored now. The upsert is refused
// (its insert meets the document that is there) where the condition does not
// hold, and where two make a new problem's document at the same moment. The
// second try does not insert, and finds the document, for none is ever taken
// away: it lets the slower of those two through. A report that it does not
// match either is counted, or is left to Mend: one is past it already, or too
// many are being counted.
func (f *filing) count(ctx context.Context) error {
	if f.doc.Todo != todoCount {
		return nil
	}
	filter := m{
		{Key: "_id", Value: f.problem.ID},
		{Key: "counting", Value: m{{Key: "$ne", Value: f.doc.ID}}},
		{Key: "swept", Value: m{{Key: "$not", Value: m{{Key: "$gt", Value: f.doc.CreatedAt}}}}},
		{Key: "counting." + strconv.Itoa(maxCounting-1), Value: m{{Key: "$exists", Value: false}}},
	}
	change := counted(f.problem, []string{f.doc.ID}, store.FirstOf(f.problem.FirstSeen, f.doc.CreatedAt), store.FirstOf(f.problem.LastSeen, f.doc.CreatedAt))
	_, err := f.d.problems.UpdateOne(ctx, filter, change, options.UpdateOne().SetUpsert(true))
	if duplicate(err) {
		_, err = f.d.change(ctx, f.d.problems, filter, change)
	}
	return f.d.failed(err)
}

// counted is the update that counts reports at their problem; p names it where
// it is new.
func counted(p collector.Problem, ids []string, first, last time.Time) m {
	return m{
		{Key: "$setOnInsert", Value: m{
			{Key: "fingerprint", Value: p.Fingerprint}, {Key: "package", Value: p.Package}, {Key: "executable", Value: p.Executable},
		}},
		{Key: "$inc", Value: m{{Key: "reports", Value: int64(len(ids))}}},
		{Key: "$push", Value: m{{Key: "counting", Value: m{{Key: "$each", Value: ids}}}}},
		{Key: "$min", Value: m{{Key: "first_seen", Value: first}}},
		{Key: "$max", Value: m{{Key: "last_seen", Value: last}}},
	}
}
