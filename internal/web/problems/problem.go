package problems

import (
	"context"
	"net/url"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/jobs"
	"hookline/internal/looks"
	"hookline/internal/web/chart"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
)

// Sizes of a problem's page.
const (
	problemDays     = 30
	attachedVersion = 30 // versions
	resultRows      = 25
	resultColumns   = 12 // fields
	resultsLooked   = 60 // of up to 1 MiB each
	cellRunes       = 80
)

type problemPage struct {
	Heading  string
	Problem  collector.Problem
	Facts    []kit.Fact
	New      string // link to a new hook; "" where the person may not see hooks
	Days     kit.Part[chart.Bars]
	Spread   kit.Part[spread]
	Attached kit.Part[attached]
	Table    kit.TableView // reports
}

func (p *pages) problem(r *kit.Request) (kit.Answer, error) {
	problem, err := p.Store.Problem(r.Context(), r.ID("id"))
	if err != nil {
		return nil, err
	}
	names := p.names()
	return kit.Show(r, p.reportTable(r, problem, names), func(v kit.TableView) (kit.Answer, error) {
		heading := "Problem in " + program(problem)
		data := problemPage{Heading: looks.Visible(heading), Problem: problem, Facts: factsOf(problem), Table: v}
		if r.May(auth.HooksRead) {
			data.New = link("/hooks/new", "problem", problem.ID)
		}
		data.Days = kit.Load(r, "days", func(ctx context.Context) (chart.Bars, error) { return p.reportsByDay(ctx, r, problem.ID) })
		data.Spread = kit.Load(r, "spread", func(ctx context.Context) (spread, error) { return p.spread(ctx, problem.ID, names) })
		data.Attached = kit.Load(r, "hooks", func(ctx context.Context) (attached, error) { return p.attached(ctx, problem, names) })
		return p.View("problem", looks.Visible(heading)+", "+problem.ID, "Problems", data).
			Follow([]string{live.Problem(problem.ID)}, []string{"facts", "days", "spread", "hooks", "results", "reports"}), nil
	})
}

// link is an address with words: pairs of name and value.
func link(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + q.Encode()
}

func factsOf(v collector.Problem) []kit.Fact {
	facts := []kit.Fact{{Name: "Problem", Cell: kit.ID(v.ID, "/problems/"+v.ID)}}
	if v.Package != "" {
		facts = append(facts, kit.Fact{Name: "Package", Cell: packageCell(v)})
	}
	if v.Executable != "" {
		facts = append(facts, kit.Fact{Name: "Executable", Cell: kit.Code(cut(v.Executable, 200))})
	}
	return append(facts,
		kit.Fact{Name: "Reports", Cell: kit.Number(v.Reports)},
		kit.Fact{Name: "First seen", Cell: kit.Time(v.FirstSeen)},
		kit.Fact{Name: "Last seen", Cell: kit.Time(v.LastSeen)},
		kit.Fact{Name: "Results", Cell: kit.Text("all results").To(link("/results", "problem", v.ID))},
		kit.Fact{Name: "Jobs", Cell: kit.Text("all jobs").To(link("/jobs", "problem", v.ID))},
	)
}

func (p *pages) reportsByDay(ctx context.Context, r *kit.Request, problem string) (chart.Bars, error) {
	counts, err := p.counts.of(ctx, p.Store, jobs.Filter{Workload: jobs.WorkReport, ProblemID: problem}, r.Now(), problemDays)
	if err != nil {
		return chart.Bars{}, err
	}
	dayLink := func(day string) string {
		return link("/jobs", "problem", problem, "work", "report", "from", day, "until", day)
	}
	return chart.Bars{
		Title: "Reports, last 30 days", Of: "Day (UTC)", Most: mostADay, Series: []chart.Series{{Name: "reports"}},
		Groups: groups(days(r.Now(), problemDays), dayLink, counts),
	}, nil
}

// attached are the hooks of a problem: those that are active for it now, and
// those that brought something for it, with what they brought.
type attached struct {
	Versions kit.TableView
	Fields   kit.TableView // rows are results, columns their fields
	Results  int
	More     bool // there are more results
	Hidden   int  // fields that have no column
}

type versionRef struct {
	known
	brought int64 // for this problem, of the results that were looked at
	explain string
}

func (p *pages) attached(ctx context.Context, problem collector.Problem, names *names) (attached, error) {
	results, err := p.Store.Results(ctx, collector.ResultFilter{ProblemID: problem.ID, Limit: resultsLooked})
	if err != nil {
		return attached{}, err
	}
	rows, err := p.versionsOf(ctx, problem, results, names)
	if err != nil {
		return attached{}, err
	}
	out := attached{Versions: p.versionTable(rows), Results: len(results), More: len(results) > resultRows}
	out.Fields, out.Hidden, err = fieldTable(ctx, results[:min(len(results), resultRows)], names)
	return out, err
}

// versionsOf are the active ones first.
func (p *pages) versionsOf(ctx context.Context, problem collector.Problem, results []collector.Result, names *names) ([]*versionRef, error) {
	keys := []string{"fp:" + problem.Fingerprint}
	if problem.Package != "" {
		keys = append(keys, "pkg:"+problem.Package)
	}
	active, err := p.Store.ActiveByKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	newest, err := p.Store.Jobs(ctx, jobs.Filter{ProblemID: problem.ID, Workload: jobs.WorkReport, Limit: 1})
	if err != nil {
		return nil, err
	}
	var rows []*versionRef
	seen := map[string]*versionRef{}
	add := func(hook, digest string) error {
		if _, ok := seen[digest]; ok || len(rows) >= attachedVersion {
			return nil
		}
		v, err := names.known(ctx, hook, digest)
		row := &versionRef{known: v}
		if p.Explain != nil && len(newest) > 0 {
			row.explain = link("/jobs/"+newest[0].ID, "explain", digest) + "#explain"
		}
		seen[digest], rows = row, append(rows, row)
		return err
	}
	for _, a := range active {
		if err := add(a.Hook, a.Digest); err != nil {
			return nil, err
		}
	}
	for _, res := range results {
		if err := add(res.Hook, res.Version); err != nil {
			return nil, err
		}
		if row, ok := seen[res.Version]; ok {
			row.brought++
		}
	}
	return rows, nil
}

func (p *pages) versionTable(rows []*versionRef) kit.TableView {
	of := func(f func(*hooks.Activation) kit.Cell) func(*versionRef) kit.Cell {
		return func(row *versionRef) kit.Cell {
			if row.activation == nil {
				return kit.Text("")
			}
			return f(row.activation)
		}
	}
	t := kit.Table[*versionRef]{
		Name: "Hooks of this problem",
		Columns: []kit.Column[*versionRef]{
			{Head: "Version", Cell: func(row *versionRef) kit.Cell { return versionCell(row.ref) }, Wide: true},
			{Head: "State", Cell: of(func(a *hooks.Activation) kit.Cell { return kit.State(string(a.State)) })},
			{Head: "Newest results here", Cell: func(row *versionRef) kit.Cell { return kit.Number(row.brought) }},
			{Head: "Brought in all", Cell: of(func(a *hooks.Activation) kit.Cell {
				return kit.Number(a.Ledger.Received).With("of " + kit.Grouped(a.Quantity))
			})},
			{Head: "Deadline", Cell: of(kit.Deadline)},
		},
		Empty: kit.Empty{Text: "No hook asks for more about this problem."},
	}
	if p.Explain != nil {
		t.Columns = append(t.Columns, kit.Column[*versionRef]{Head: "Newest report", Cell: func(row *versionRef) kit.Cell {
			return kit.Text("why it ran or not").To(row.explain)
		}})
	}
	return t.Fixed(rows)
}

// reportTable lists the reports of a problem.
func (p *pages) reportTable(r *kit.Request, problem collector.Problem, names *names) kit.Table[reportRow] {
	exports := r.URL.Query().Has("format")
	return kit.Table[reportRow]{
		Name: "Reports",
		Columns: []kit.Column[reportRow]{
			{Name: "filed", Head: "Filed", Cell: func(v reportRow) kit.Cell { return kit.Time(v.CreatedAt) }},
			{Name: "job", Head: "Report", Cell: func(v reportRow) kit.Cell { return kit.ID(v.ID, "/jobs/"+v.ID) }, Wide: true},
			{Name: "peer", Head: "Peer", Cell: func(v reportRow) kit.Cell { return kit.Peer(v.PeerID, v.peer) }},
			{Name: "package_version", Head: "Package version", Cell: func(v reportRow) kit.Cell { return kit.Code(v.PackageVersion).In(cut(v.PackageVersion, 40)) }},
			{Name: "release", Head: "Release", Cell: func(v reportRow) kit.Cell { return kit.Text(v.Release).In(cut(v.Release, 40)) }},
		},
		Fetch: func(ctx context.Context, after string, limit int) ([]reportRow, error) {
			list, err := p.Store.Jobs(ctx, jobs.Filter{ProblemID: problem.ID, Workload: jobs.WorkReport, After: after, Limit: limit})
			if err != nil {
				return nil, err
			}
			rows := make([]reportRow, 0, len(list))
			for _, j := range list {
				row := reportRow{Job: j}
				if !exports {
					if row.peer, err = names.peer(ctx, j.PeerID); err != nil {
						return nil, err
					}
				}
				rows = append(rows, row)
			}
			return rows, nil
		},
		Cursor: func(v reportRow) string { return v.ID },
		Empty:  kit.Empty{Text: "No report of this problem is kept any more."},
	}
}

type reportRow struct {
	jobs.Job
	peer string
}
