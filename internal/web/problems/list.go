package problems

import (
	"context"
	"strings"

	"hookline/collector"
	"hookline/internal/web/kit"
)

// busiest is how many problems stand in the box on top of the list.
const busiest = 10

type topTen struct {
	Rows    kit.TableView
	Sampled int64 // see sampled
	Empty   bool
}

type problemsPage struct {
	Top   *kit.Part[topTen] // nil behind the first page, and where there are filters
	Table kit.TableView
}

// orders of problems by the word in the address.
var orders = map[string]collector.ProblemFilter{
	"last-seen":   {Sort: collector.ByLastSeen},
	"quiet":       {Sort: collector.ByLastSeen, Least: true},
	"first-seen":  {Sort: collector.ByFirstSeen},
	"oldest":      {Sort: collector.ByFirstSeen, Least: true},
	"reports":     {Sort: collector.ByReports},
	"few-reports": {Sort: collector.ByReports, Least: true},
}

func (p *pages) problems(r *kit.Request) (kit.Answer, error) {
	return kit.Show(r, p.problemTable(r), func(v kit.TableView) (kit.Answer, error) {
		data := problemsPage{Table: v}
		if v.First == "" && !v.Filtered {
			top := kit.Load(r, "top ten", func(ctx context.Context) (topTen, error) { return p.topTen(ctx, r) })
			data.Top = &top
		}
		return p.View("problems", "Problems", "Problems", data), nil
	})
}

func problemFilter(r *kit.Request) (f collector.ProblemFilter, words string, err error) {
	sort, err := r.One("sort", "last-seen", "quiet", "first-seen", "oldest", "reports", "few-reports")
	if err != nil {
		return f, "", err
	}
	f = orders[sort]
	if f.Package, err = r.Word("package"); err != nil {
		return f, "", err
	}
	words, err = r.Word("words")
	return f, words, err
}

func (p *pages) problemTable(r *kit.Request) kit.Table[collector.Problem] {
	f, words, err := problemFilter(r)
	t := kit.Table[collector.Problem]{
		Name: "Problems", Bad: err,
		Columns: []kit.Column[collector.Problem]{
			{Name: "id", Head: "Id", Cell: func(v collector.Problem) kit.Cell { return kit.Text(v.ID) }, Only: true},
			{Name: "fingerprint", Head: "Problem", Cell: problemCell, Wide: true},
			{Name: "executable", Head: "Program", Cell: func(v collector.Problem) kit.Cell { return kit.Text(v.Executable).In(program(v)) }},
			{Name: "package", Head: "Package", Cell: packageCell},
			{Name: "reports", Head: "Reports", Cell: func(v collector.Problem) kit.Cell { return kit.Number(v.Reports) }, Sort: "reports"},
			{Name: "first_seen", Head: "First seen", Cell: func(v collector.Problem) kit.Cell { return kit.Time(v.FirstSeen) }, Sort: "first-seen"},
			{Name: "last_seen", Head: "Last seen", Cell: func(v collector.Problem) kit.Cell { return kit.Time(v.LastSeen) }, Sort: "last-seen"},
		},
		Fetch: func(ctx context.Context, after string, limit int) ([]collector.Problem, error) {
			f := f
			f.After, f.Limit = after, limit
			return p.Store.Problems(ctx, f)
		},
		Cursor: f.Cursor,
		Filters: []kit.Filter{
			{Name: "package", Label: "Package", Value: f.Package, Hint: "its exact name"},
			{Name: "words", Label: "Words", Value: words, Hint: "part of a fingerprint or program"},
		},
		Orders: []kit.Order{
			{Value: "last-seen", Label: "Last seen, newest first"},
			{Value: "quiet", Label: "Last seen, oldest first"},
			{Value: "first-seen", Label: "First seen, newest first"},
			{Value: "oldest", Label: "First seen, oldest first"},
			{Value: "reports", Label: "Most reports first"},
			{Value: "few-reports", Label: "Fewest reports first"},
		},
		Empty: kit.Empty{Text: "No reports have come in yet. On an enrolled machine, this files one when the program crashes:", Command: "hookline-peer exec -- PROGRAM"},
	}
	if words != "" {
		t.Keep = func(_ context.Context, v collector.Problem) (bool, error) {
			return has(v.Fingerprint, words) || has(v.Executable, words) || has(v.Package, words), nil
		}
	}
	return t
}

func packageCell(v collector.Problem) kit.Cell {
	c := kit.Text(v.Package).In(cut(v.Package, 40))
	if v.Package != "" && len(v.Package) <= 256 {
		c = c.To(link("/problems", "package", v.Package))
	}
	return c
}

// has tells whether a text has words in it, in capitals or not.
func has(s, words string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(words)) }

// topTen are the problems with most reports of the last seven days.
func (p *pages) topTen(ctx context.Context, r *kit.Request) (topTen, error) {
	times := days(r.Now(), 7)
	list, looked, err := p.busy.of(ctx, p.Store, times[0], times[7], r.Now(), busiest)
	if err != nil {
		return topTen{}, err
	}
	rows := kit.Table[collector.ProblemCount]{
		Name: "Top ten of the last seven days",
		Columns: []kit.Column[collector.ProblemCount]{
			{Head: "Problem", Cell: func(v collector.ProblemCount) kit.Cell { return problemCell(v.Problem) }, Wide: true},
			{Head: "Program", Cell: func(v collector.ProblemCount) kit.Cell { return kit.Text(program(v.Problem)) }},
			{Head: "Reports in 7 days", Cell: func(v collector.ProblemCount) kit.Cell { return kit.Number(v.Reports) }},
			{Head: "In all", Cell: func(v collector.ProblemCount) kit.Cell { return kit.Number(v.Problem.Reports) }},
		},
	}.Fixed(list)
	return topTen{Rows: rows, Sampled: sampled(looked), Empty: len(list) == 0}, nil
}
