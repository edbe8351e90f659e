package problems

import (
	"context"
	"time"

	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/kit"
)

// span reads the days from and until of the query, the last one included.
func span(r *kit.Request) (from, until time.Time, err error) {
	if from, err = r.Day("from"); err != nil {
		return from, until, err
	}
	if until, err = r.Day("until"); err != nil || until.IsZero() {
		return from, until, err
	}
	if until.Before(from) {
		return from, until, errs.New(errs.CodeBadInput, "it is before the first day").At("until").WithHint("choose a later day, or an earlier first one")
	}
	return from, until.AddDate(0, 0, 1), nil
}

func dayFilters(r *kit.Request) []kit.Filter {
	q := r.URL.Query()
	return []kit.Filter{
		{Name: "from", Label: "From (UTC)", Value: q.Get("from"), Day: true},
		{Name: "until", Label: "Until (UTC)", Value: q.Get("until"), Day: true},
	}
}

// oldest reads the order of a list by time.
func oldest(r *kit.Request) (bool, error) {
	sort, err := r.One("sort", "newest", "oldest")
	return sort == "oldest", err
}

// jobRow is a job with what its ids are called.
type jobRow struct {
	jobs.Job
	ref  kit.VersionRef
	peer string
}

func (p *pages) jobs(r *kit.Request) (kit.Answer, error) {
	f, version, err := p.jobFilter(r)
	table := p.jobTable(r, f, version)
	table.Bad = err
	return kit.Show(r, table, func(v kit.TableView) (kit.Answer, error) {
		return p.View("jobs", "Jobs", "Jobs", listPage{v}), nil
	})
}

func (p *pages) jobFilter(r *kit.Request) (f jobs.Filter, version string, err error) {
	work, err := r.One("work", "", string(jobs.WorkReport), string(jobs.WorkHook), string(jobs.WorkBundle))
	if err != nil {
		return f, "", err
	}
	status, err := r.One("status", "", string(jobs.Pending), string(jobs.Succeeded), string(jobs.Failed))
	if err != nil {
		return f, "", err
	}
	f.Workload, f.Status = jobs.Workload(work), jobs.Status(status)
	if f.PeerID, err = r.Word("peer"); err != nil {
		return f, "", err
	}
	if f.ProblemID, err = r.Word("problem"); err != nil {
		return f, "", err
	}
	if version, f.Version, err = p.versionWord(r); err != nil {
		return f, "", err
	}
	if f.From, f.Until, err = span(r); err != nil {
		return f, "", err
	}
	f.Oldest, err = oldest(r)
	return f, version, err
}

func (p *pages) jobTable(r *kit.Request, f jobs.Filter, version string) kit.Table[*jobRow] {
	names, exports := p.names(), r.URL.Query().Has("format")
	return kit.Table[*jobRow]{
		Name: "Jobs", Columns: jobColumns(),
		Fetch: func(ctx context.Context, after string, limit int) ([]*jobRow, error) {
			f := f
			f.After, f.Limit = after, limit
			list, err := p.Store.Jobs(ctx, f)
			if err != nil {
				return nil, err
			}
			rows := make([]*jobRow, 0, len(list))
			for _, j := range list {
				row := &jobRow{Job: j, ref: kit.VersionRef{Hook: j.Hook, Digest: j.Version}}
				rows = append(rows, row)
				if exports {
					continue
				}
				if err := row.name(ctx, names); err != nil {
					return nil, err
				}
			}
			return rows, nil
		},
		Cursor: func(v *jobRow) string { return v.ID },
		Filters: append([]kit.Filter{
			{Name: "work", Label: "Work", Value: string(f.Workload), Options: []kit.Option{
				{Label: "all"}, {Value: string(jobs.WorkReport), Label: "reports"}, {Value: string(jobs.WorkHook), Label: "hook runs"}, {Value: string(jobs.WorkBundle), Label: "bundles"},
			}},
			{Name: "status", Label: "Status", Value: string(f.Status), Options: []kit.Option{
				{Label: "all"}, {Value: string(jobs.Pending), Label: "pending"}, {Value: string(jobs.Succeeded), Label: "succeeded"}, {Value: string(jobs.Failed), Label: "failed"},
			}},
			{Name: "peer", Label: "Peer", Value: f.PeerID, Hint: "its id"},
			{Name: "version", Label: "Version", Value: version, Hint: "HOOK@NUMBER or digest"},
			{Name: "problem", Label: "Problem", Value: f.ProblemID, Hint: "its id"},
		}, dayFilters(r)...),
		Orders: []kit.Order{{Value: "newest", Label: "Newest first"}, {Value: "oldest", Label: "Oldest first"}},
		Empty:  kit.Empty{Text: "There are no jobs yet. A report is one: on an enrolled machine, this files it when the program crashes:", Command: "hookline-peer exec -- PROGRAM"},
	}
}

func (v *jobRow) name(ctx context.Context, names *names) error {
	var err error
	if v.Workload == jobs.WorkHook {
		if v.ref, err = names.version(ctx, v.Hook, v.Version); err != nil {
			return err
		}
	}
	v.peer, err = names.peer(ctx, v.PeerID)
	return err
}

// jobColumns are a few columns on the page, all there is in an export.
func jobColumns() []kit.Column[*jobRow] {
	text := func(of func(*jobRow) string) func(*jobRow) kit.Cell {
		return func(v *jobRow) kit.Cell { return kit.Text(of(v)) }
	}
	at := func(of func(*jobRow) time.Time) func(*jobRow) kit.Cell {
		return func(v *jobRow) kit.Cell { return kit.Time(of(v)) }
	}
	return []kit.Column[*jobRow]{
		{Name: "stored", Head: "Time", Cell: at(func(v *jobRow) time.Time { return v.CreatedAt })},
		{Name: "job", Head: "Job", Cell: func(v *jobRow) kit.Cell { return idCell(v.ID, "/jobs/"+v.ID) }},
		{Name: "work", Head: "Work", Cell: func(v *jobRow) kit.Cell { return kit.Text(string(v.Workload)) }},
		{Name: "status", Head: "Status", Cell: text(func(v *jobRow) string { return string(v.Status) }), Only: true},
		{Name: "ending", Head: "Status", Cell: func(v *jobRow) kit.Cell { return kit.State(stateOf(v.Job)) }},
		{Name: "version", Head: "Hook version", Cell: func(v *jobRow) kit.Cell {
			if v.Workload != jobs.WorkHook {
				return kit.Text("")
			}
			return versionCell(v.ref)
		}},
		{Name: "problem", Head: "Problem", Cell: func(v *jobRow) kit.Cell {
			if v.ProblemID == "" {
				return kit.Text("")
			}
			return idCell(v.ProblemID, "/problems/"+v.ProblemID)
		}},
		{Name: "peer", Head: "Peer", Cell: func(v *jobRow) kit.Cell { return kit.Peer(v.PeerID, v.peer) }},
		{Name: "text", Head: "Result", Cell: func(v *jobRow) kit.Cell { return kit.Text(v.FailedText).In(cut(wordsOf(v.Job), 120)) }, Wide: true},
		{Name: "code", Head: "Code", Cell: text(func(v *jobRow) string { return v.FailedCode }), Only: true},
		{Name: "hook", Head: "Hook", Cell: text(func(v *jobRow) string { return v.Hook }), Only: true},
		{Name: "report", Head: "Report", Cell: text(func(v *jobRow) string { return v.OriginalID }), Only: true},
		{Name: "package_version", Head: "Package version", Cell: text(func(v *jobRow) string { return v.PackageVersion }), Only: true},
		{Name: "release", Head: "Release", Cell: text(func(v *jobRow) string { return v.Release }), Only: true},
		{Name: "triggered_by", Head: "Triggered by", Cell: text(func(v *jobRow) string { return v.TriggeredBy }), Only: true},
		{Name: "sent", Head: "Sent", Cell: at(func(v *jobRow) time.Time { return v.SentAt }), Only: true},
		{Name: "acknowledged", Head: "Acknowledged", Cell: at(func(v *jobRow) time.Time { return v.AckedAt }), Only: true},
		{Name: "completed", Head: "Completed", Cell: at(func(v *jobRow) time.Time { return v.CompletedAt }), Only: true},
		{Name: "denied_calls", Head: "Denied calls", Cell: func(v *jobRow) kit.Cell { return kit.Number(v.Denied) }, Only: true},
		{Name: "bytes", Head: "Bytes", Cell: func(v *jobRow) kit.Cell { return kit.Number(v.Bytes) }, Only: true},
	}
}

// wordsOf says in short what became of a job.
func wordsOf(j jobs.Job) string {
	switch {
	case j.FailedText != "":
		return j.FailedText
	case j.FailedCode != "":
		return j.FailedCode
	case j.Workload == jobs.WorkReport:
		if j.PackageVersion != "" {
			return "of package version " + j.PackageVersion
		}
	case j.Bytes > 0:
		return kit.Bytes(j.Bytes)
	}
	return ""
}
