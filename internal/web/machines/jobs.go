package machines

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/internal/web/kit"
)

// Bounds of what the success rate is made of.
const (
	maxRuns    = 1000 // newest hook runs that are looked at
	maxReports = 1000 // reports that are counted; more are "or more"
	runsAtOnce = 200
)

// jobsTab is the second tab.
type jobsTab struct {
	Ranges []tab
	Days   int
	Rate   kit.Part[rate]
	Table  kit.TableView
}

// rate is what became of a machine's hook runs in the last days.
type rate struct {
	Reports     int64
	ReportsMore bool // there are at least so many
	Runs        int64
	More        bool // these are the newest; there are more
	Pending     int64
	Ended       int64
	Good        int64
	Percent     string // "no data" where nothing has ended
	Endings     []ending
}

// ending is how many runs ended so.
type ending struct {
	State string
	Count int64
}

// endings in the order in which they are shown.
var endings = []hooks.Ending{
	hooks.EndingSucceeded, hooks.EndingEmpty, hooks.EndingDeferred, hooks.EndingRefused, hooks.EndingHookError, hooks.EndingLimit, hooks.EndingDenied,
	hooks.EndingKilled, hooks.EndingTimedOut, hooks.EndingCancelled, hooks.EndingFailed,
}

func (p *pages) jobs(r *kit.Request, m enroll.Peer, page peerPage) (kit.Answer, error) {
	word, err := r.One("days", "7", "1", "30")
	if err != nil {
		return nil, err
	}
	return kit.Show(r, p.jobTable(r, m.ID), func(v kit.TableView) (kit.Answer, error) {
		days, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		page.Jobs = &jobsTab{Table: v, Days: days, Ranges: ranges(r, word), Rate: kit.Load(r, "success rate", func(ctx context.Context) (rate, error) {
			return p.rate(ctx, m.ID, r.Now().AddDate(0, 0, -days), r.Now())
		})}
		return p.show(m, page, "top", "rate", "jobs"), nil
	})
}

func ranges(r *kit.Request, here string) []tab {
	var out []tab
	for _, d := range []struct{ word, name string }{{"1", "1 day"}, {"7", "7 days"}, {"30", "30 days"}} {
		out = append(out, tab{d.name, r.With("days", d.word), d.word == here})
	}
	return out
}

// rate looks at the newest hook runs since a moment. A report is stored when
// it has succeeded already: it says nothing about the machine's work.
func (p *pages) rate(ctx context.Context, id string, from, now time.Time) (rate, error) {
	reports, err := p.Store.CountJobs(ctx, jobs.Filter{PeerID: id, Workload: jobs.WorkReport}, []time.Time{from, now.Add(time.Hour)}, maxReports)
	if err != nil {
		return rate{}, err
	}
	out := rate{Reports: reports[0], ReportsMore: reports[0] >= maxReports}
	count := map[hooks.Ending]int64{}
	for f := (jobs.Filter{PeerID: id, Workload: jobs.WorkHook, From: from, Limit: runsAtOnce}); ; {
		list, err := p.Store.Jobs(ctx, f)
		if err != nil {
			return rate{}, err
		}
		for _, j := range list {
			out.add(j, count)
		}
		if len(list) < runsAtOnce {
			break
		}
		if out.Runs >= maxRuns {
			out.More = true
			break
		}
		f.After = list[len(list)-1].ID
	}
	for _, e := range endings {
		if count[e] > 0 {
			out.Endings = append(out.Endings, ending{string(e), count[e]})
		}
	}
	out.Percent = kit.Percent(out.Good, out.Ended)
	return out, nil
}

func (v *rate) add(j jobs.Job, count map[hooks.Ending]int64) {
	v.Runs++
	if !j.Final() {
		v.Pending++
		return
	}
	v.Ended++
	count[j.Ending()]++
	if j.Status == jobs.Succeeded {
		v.Good++
	}
}

func (p *pages) jobTable(r *kit.Request, id string) kit.Table[jobs.Job] {
	work, badWork := r.One("work", "", string(jobs.WorkReport), string(jobs.WorkHook), string(jobs.WorkBundle))
	status, badStatus := r.One("status", "", string(jobs.Pending), string(jobs.Succeeded), string(jobs.Failed))
	sort, badSort := r.One("sort", "newest", "oldest")
	return kit.Table[jobs.Job]{
		Name: "Jobs of a peer", Bad: cmp.Or(badWork, badStatus, badSort), Columns: jobColumns(),
		Fetch: func(ctx context.Context, after string, limit int) ([]jobs.Job, error) {
			return p.Store.Jobs(ctx, jobs.Filter{
				PeerID: id, Workload: jobs.Workload(work), Status: jobs.Status(status), Oldest: sort == "oldest", After: after, Limit: limit,
			})
		},
		Cursor: func(j jobs.Job) string { return j.ID },
		Filters: []kit.Filter{
			{Name: "work", Label: "Type", Value: work, Options: []kit.Option{
				{Label: "all"}, {Value: string(jobs.WorkReport), Label: "reports"}, {Value: string(jobs.WorkHook), Label: "hook runs"}, {Value: string(jobs.WorkBundle), Label: "bundles"},
			}},
			{Name: "status", Label: "Status", Value: status, Options: []kit.Option{
				{Label: "all"}, {Value: string(jobs.Pending), Label: "pending"}, {Value: string(jobs.Succeeded), Label: "succeeded"}, {Value: string(jobs.Failed), Label: "failed"},
			}},
		},
		Orders: []kit.Order{{Value: "newest", Label: "Newest first"}, {Value: "oldest", Label: "Oldest first"}},
		Empty:  kit.Empty{Text: "This machine has no jobs yet. A report is one: on it, this files one when the program crashes:", Command: "hookline-peer exec -- PROGRAM"},
	}
}

func jobColumns() []kit.Column[jobs.Job] {
	return []kit.Column[jobs.Job]{
		{Name: "time", Head: "Time", Cell: func(j jobs.Job) kit.Cell { return kit.Time(j.CreatedAt).To("/jobs/" + j.ID) }},
		{Name: "job", Head: "Job", Cell: func(j jobs.Job) kit.Cell { return kit.ID(j.ID, "/jobs/"+j.ID) }, Only: true},
		{Name: "type", Head: "Type", Cell: typeCell},
		{Name: "hook", Head: "Hook", Cell: func(j jobs.Job) kit.Cell { return kit.Text(j.Hook) }, Only: true},
		{Name: "version", Head: "Version", Cell: func(j jobs.Job) kit.Cell { return kit.Text(j.Version) }, Only: true},
		{Name: "status", Head: "Status", Cell: func(j jobs.Job) kit.Cell { return kit.State(stateOf(j)) }},
		{Name: "code", Head: "Code", Cell: func(j jobs.Job) kit.Cell { return kit.Text(j.FailedCode) }, Only: true},
		{Name: "result", Head: "Result", Cell: resultCell, Wide: true},
		{Name: "completed", Head: "Completed", Cell: func(j jobs.Job) kit.Cell { return kit.Time(j.CompletedAt) }, Only: true},
	}
}

func typeCell(j jobs.Job) kit.Cell {
	if j.Workload != jobs.WorkHook {
		return kit.Text(string(j.Workload))
	}
	return kit.Text(string(j.Workload)).In("hook " + j.Hook).To("/versions/" + j.Version)
}

// stateOf is how a job ended, or that it has not.
func stateOf(j jobs.Job) string {
	if e := j.Ending(); e != "" {
		return string(e)
	}
	return string(j.Status)
}

// resultCell says what a job brought, or why it did not.
func resultCell(j jobs.Job) kit.Cell {
	switch {
	case j.FailedText != "":
		return kit.Text(j.FailedText).With(j.FailedCode)
	case j.FailedCode != "":
		return kit.Text(j.FailedCode)
	case j.Bytes > 0:
		return kit.Text(kit.Bytes(j.Bytes) + " of new fields").To("/jobs/" + j.ID)
	case j.Workload == jobs.WorkHook && j.Status == jobs.Succeeded:
		return kit.Text("nothing to add")
	case j.ProblemID != "" && j.Workload != jobs.WorkHook:
		return kit.Text("problem " + kit.Short(j.ProblemID)).To("/problems/" + j.ProblemID)
	}
	return kit.Text("")
}
