package reviews

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/kit"
	"hookline/review"
)

// Bounds of the reports that a version can be tried over.
const (
	maxReports  = 10
	maxProblems = 8 // that are looked at for them
)

// shownBytes of a report, and of what a trial brings, are on its page.
const shownBytes = 48 << 10

// maxLinted versions have their findings kept: neither they nor the linter
// change while a server runs.
const maxLinted = 256

// linted keeps what lint found.
type linted struct {
	mu    sync.Mutex
	found map[string][]Finding
	order []string // oldest first
}

func (l *linted) get(digest string) ([]Finding, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.found[digest]
	return found, ok
}

func (l *linted) keep(digest string, found []Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.found[digest]; ok {
		return
	}
	if len(l.order) == maxLinted {
		delete(l.found, l.order[0])
		l.order = l.order[1:]
	}
	l.found[digest], l.order = found, append(l.order, digest)
}

// lint is what the linter says.
type lint struct {
	Findings []Finding
	Errors   int
	None     bool // there is no linter here
}

// Place is where a finding is.
func (f Finding) Place() string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return f.File
}

func (p *pages) lint(ctx context.Context, v review.Version) (lint, error) {
	if p.Bench == nil {
		return lint{None: true}, nil
	}
	found, ok := p.linted.get(v.Digest)
	if !ok {
		var err error
		if found, err = p.Bench.Lint(ctx, v.Script, v.Statement); err != nil {
			return lint{}, err
		}
		p.linted.keep(v.Digest, found)
	}
	out := lint{Findings: found}
	for _, f := range found {
		if f.Severity == "error" {
			out.Errors++
		}
	}
	return out, nil
}

// report is one that a version can be tried over.
type report struct {
	ID, PeerID, Release string
	PackageVersion      string
	At                  time.Time
}

// reports are the newest that the version is for.
func (p *pages) reports(ctx context.Context, pred hooks.Predicate) ([]report, error) {
	problems, err := p.problems(ctx, pred)
	if err != nil {
		return nil, err
	}
	var out []report
	for _, id := range problems {
		list, err := p.Store.Jobs(ctx, jobs.Filter{Workload: jobs.WorkReport, ProblemID: id, Limit: maxReports})
		if err != nil {
			return nil, err
		}
		for _, j := range list {
			if pred.Level == hooks.LevelPackage && !pred.Match.Matches(pred.Level, hooks.Report{
				hooks.FieldPackage: pred.Match.Package, hooks.FieldPackageVersion: j.PackageVersion,
			}) {
				continue
			}
			out = append(out, report{j.ID, j.PeerID, j.Release, j.PackageVersion, j.CreatedAt})
		}
	}
	slices.SortFunc(out, func(a, b report) int { return cmp.Compare(b.ID, a.ID) })
	return out[:min(len(out), maxReports)], nil
}

// problems are those that a version is for, a few of them.
func (p *pages) problems(ctx context.Context, pred hooks.Predicate) ([]string, error) {
	var ids []string
	if pred.Level != hooks.LevelPackage {
		for _, f := range pred.Match.Fingerprints[:min(len(pred.Match.Fingerprints), maxProblems)] {
			ids = append(ids, hooks.ProblemID(f))
		}
		return ids, nil
	}
	list, err := p.Store.Problems(ctx, collector.ProblemFilter{Package: pred.Match.Package, Limit: maxProblems})
	for _, one := range list {
		ids = append(ids, one.ID)
	}
	return ids, err
}

// maxRecording bytes are read of a recording that is pasted. What hook test
// takes from a file can be larger.
const maxRecording = 128 << 10

// tried is the page of a trial.
type tried struct {
	kit.VersionRef
	Job       report
	Trial     *Trial // nil where it did not run
	Fits      bool   // the version is for such a report
	Fields    kit.Fields
	Report    kit.Fields
	Missing   int    // calls that no recording answers
	Recording string // as it was pasted
	Most      int64  // bytes of it
	Busy      string // why it could not run now
}

// Path is where the version is reviewed.
func (t tried) Path() string { return path(t.Digest) }

// trial runs a version over a saved report and shows what came of it. Nothing
// is stored.
func (p *pages) trial(r *kit.Request) (kit.Answer, error) {
	life, err := p.life(r)
	if err != nil {
		return nil, err
	}
	id, err := r.Word("job")
	if err != nil {
		return nil, err
	}
	out, j, err := p.benchFor(r, life, id)
	if err != nil {
		return nil, err
	}
	trial, err := p.Bench.Try(r.Context(), life.Version.Script, life.Version.Statement, j, nil)
	if err != nil {
		return nil, err
	}
	return p.shown(out, &trial)
}

// tryRecorded is trial with recorded answers, which are gone with the page. The
// gate is asked as for all that people send, though nothing is changed: a
// refused attempt stands in the audit log.
func (p *pages) tryRecorded(r *kit.Request) (kit.Answer, error) {
	life, err := p.life(r)
	if err != nil {
		return nil, err
	}
	if _, err := p.Review.Gate.Authorize(r.Context(), r.Who, auth.HooksComment, "version/"+life.Version.Digest, "trial"); err != nil {
		return nil, err
	}
	id := r.Typed("job")
	if uuid.Validate(id) != nil {
		return nil, errs.New(errs.CodeNotFound, "there is no such job").At("job").WithHint("choose one of the reports on the review's page")
	}
	out, j, err := p.benchFor(r, life, id)
	if err != nil {
		return nil, err
	}
	out.Recording = typed(r, "recording")
	trial, err := p.replay(r, life.Version, j, out.Recording)
	switch {
	case errs.Is(err, errs.CodeUnavailable): // no matter of the form, but what was pasted is worth to be kept
		e, _ := errs.As(err)
		out.Busy = e.Error()
		v, err := p.shown(out, nil)
		if err != nil {
			return nil, err
		}
		v.Status = http.StatusServiceUnavailable
		return v, nil
	case err != nil:
		return r.Again(func(*kit.Request) (kit.Answer, error) { return p.shown(out, nil) }, err)
	}
	return p.shown(out, &trial)
}

// replay runs a version with a recording that was pasted.
func (p *pages) replay(r *kit.Request, v review.Version, j jobs.Job, recording string) (Trial, error) {
	switch {
	case recording == "":
		return Trial{}, errs.New(errs.CodeBadInput, "nothing was pasted").At("recording").WithHint("paste what hook test --record wrote")
	case len(recording) > maxRecording:
		return Trial{}, errs.New(errs.CodeTooLarge, "it is longer than %d KiB", maxRecording>>10).At("recording").
			WithHint("keep the answers that matter; on your own machine hookline hook test takes larger ones")
	}
	return p.Bench.Try(r.Context(), v.Script, v.Statement, j, []byte(recording))
}

// benchFor is the page of a trial that did not run yet, and the job whose
// report it is over.
func (p *pages) benchFor(r *kit.Request, life review.Life, id string) (tried, jobs.Job, error) {
	if p.Bench == nil {
		return tried{}, jobs.Job{}, errs.New(errs.CodeUnavailable, "this server has no hookline-sandbox to run a hook in").
			WithHint("try it on your own machine: hookline hook test --job %s", "ID")
	}
	j, err := p.Store.Job(r.Context(), id)
	if err != nil {
		return tried{}, j, err
	}
	if j.Workload != jobs.WorkReport || len(j.Report) == 0 {
		return tried{}, j, errs.New(errs.CodeBadInput, "this job has no report").At("job").WithHint("choose one of the reports on the review's page")
	}
	st, err := hooks.ParseStatement(life.Version.Statement)
	if err != nil {
		return tried{}, j, err
	}
	out := tried{
		VersionRef: refOf(life.Version), Job: report{j.ID, j.PeerID, j.Release, j.PackageVersion, j.CreatedAt}, Most: maxRecording,
		Fits: st.Predicate.Match.Matches(st.Predicate.Level, j.Report), Report: kit.Fields{Caption: "Report", Fields: kit.ReportFields(j.Report)},
	}
	left := shownBytes
	kit.Within(out.Report.Fields, &left)
	return out, j, nil
}

// shown is the page, with what a run gave; nil is none.
func (p *pages) shown(out tried, trial *Trial) (*kit.View, error) {
	view := func() *kit.View {
		return p.View("trial", "Trial of "+out.Name()+" over "+out.Job.ID, sectionName, out)
	}
	if out.Trial = trial; trial == nil {
		return view(), nil
	}
	trial.Took = trial.Took.Round(100 * time.Microsecond)
	if trial.Fields != nil {
		out.Fields.Caption = "New fields"
		var err error
		if out.Fields.Fields, err = kit.NewFields(trial.Fields); err != nil {
			return nil, err
		}
		left := shownBytes
		kit.Within(out.Fields.Fields, &left)
	}
	for _, c := range trial.Calls {
		if c.Unrecorded {
			out.Missing++
		}
	}
	return view(), nil
}
