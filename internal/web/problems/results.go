package problems

import (
	"context"
	"strings"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/web/kit"
)

type listPage struct{ Table kit.TableView }

// found is what the results page searches for.
type found struct {
	filter  collector.ResultFilter
	version string // as it was typed
	field   string // name of a field that there must be
	value   string // that must be in it, or in any
}

func (p *pages) results(r *kit.Request) (kit.Answer, error) {
	f, err := p.search(r)
	table := p.resultTable(r, f)
	table.Bad = err
	return kit.Show(r, table, func(v kit.TableView) (kit.Answer, error) {
		return p.View("results", "Results", "Results", listPage{v}), nil
	})
}

func (p *pages) search(r *kit.Request) (f found, err error) {
	for name, into := range map[string]*string{
		"hook": &f.filter.Hook, "problem": &f.filter.ProblemID, "package": &f.filter.Package, "peer": &f.filter.PeerID, "field": &f.field, "value": &f.value,
	} {
		if *into, err = r.Word(name); err != nil {
			return f, err
		}
	}
	if f.version, f.filter.Version, err = p.versionWord(r); err != nil {
		return f, err
	}
	level, err := r.One("level", "", string(hooks.LevelPackage), string(hooks.LevelProblem))
	if err != nil {
		return f, err
	}
	f.filter.Level = hooks.Level(level)
	if f.filter.From, f.filter.Until, err = span(r); err != nil {
		return f, err
	}
	f.filter.Oldest, err = oldest(r)
	return f, err
}

func (p *pages) resultTable(r *kit.Request, f found) kit.Table[*resultRow] {
	names, exports := p.names(), r.URL.Query().Has("format")
	t := kit.Table[*resultRow]{
		Name: "Results",
		Columns: []kit.Column[*resultRow]{
			{Name: "time", Head: "Time", Cell: func(v *resultRow) kit.Cell { return kit.Time(v.CreatedAt) }},
			{Name: "hook", Head: "Hook", Cell: func(v *resultRow) kit.Cell { return kit.Text(v.Hook) }, Only: true},
			{Name: "version", Head: "Hook version", Cell: func(v *resultRow) kit.Cell { return versionCell(v.ref) }},
			{Name: "level", Head: "Level", Cell: func(v *resultRow) kit.Cell { return kit.Text(string(v.Level)) }, Only: true},
			{Name: "fields", Head: "New fields", Cell: func(v *resultRow) kit.Cell { return kit.JSON(v.Fields, v.brief()) }},
			{Name: "package", Head: "Package", Cell: func(v *resultRow) kit.Cell { return kit.Text(v.Package).In(cut(v.Package, 40)) }},
			{Name: "problem", Head: "Problem", Cell: func(v *resultRow) kit.Cell { return idCell(v.ProblemID, "/problems/"+v.ProblemID) }},
			{Name: "peer", Head: "Peer", Cell: func(v *resultRow) kit.Cell { return kit.Peer(v.PeerID, v.peer) }},
			{Name: "report", Head: "Report", Cell: func(v *resultRow) kit.Cell { return kit.ID(v.JobID, "/jobs/"+v.JobID) }, Only: true},
			{Name: "job", Head: "Job", Cell: func(v *resultRow) kit.Cell { return idCell(v.ID, "/jobs/"+v.ID) }},
			{Name: "bytes", Head: "Bytes", Cell: func(v *resultRow) kit.Cell { return kit.Number(v.Bytes) }, Only: true},
		},
		Fetch: func(ctx context.Context, after string, limit int) ([]*resultRow, error) {
			filter := f.filter
			filter.After, filter.Limit = after, limit
			list, err := p.Store.Results(ctx, filter)
			if err != nil {
				return nil, err
			}
			rows := make([]*resultRow, 0, len(list))
			for _, res := range list {
				row := newResultRow(res)
				rows = append(rows, &row)
				if !exports && !f.looks() {
					if err := row.name(ctx, names); err != nil {
						return nil, err
					}
				}
			}
			return rows, nil
		},
		Cursor:  func(v *resultRow) string { return v.ID },
		Filters: f.filters(r),
		Orders:  []kit.Order{{Value: "newest", Label: "Newest first"}, {Value: "oldest", Label: "Oldest first"}},
		Empty:   kit.Empty{Text: "No hook has brought a result yet.", Link: "/hooks", Label: "See the hooks"},
	}
	if f.looks() {
		t.Keep = func(ctx context.Context, v *resultRow) (bool, error) {
			if !f.fits(v) {
				return false, nil
			}
			if exports {
				return true, nil
			}
			return true, v.name(ctx, names)
		}
	}
	return t
}

// looks tells whether there is something to look for in the fields, which no
// index knows.
func (f found) looks() bool { return f.field != "" || f.value != "" }

// fits looks for the field by its whole name and for the value by a part of
// it, in capitals or not.
func (f found) fits(v *resultRow) bool {
	for _, name := range v.names {
		if (f.field == "" || strings.EqualFold(name, f.field)) && (f.value == "" || has(v.values[name], f.value)) {
			return true
		}
	}
	return false
}

func (f found) filters(r *kit.Request) []kit.Filter {
	return append([]kit.Filter{
		{Name: "hook", Label: "Hook", Value: f.filter.Hook},
		{Name: "version", Label: "Version", Value: f.version, Hint: "HOOK@NUMBER or digest"},
		{Name: "problem", Label: "Problem", Value: f.filter.ProblemID, Hint: "its id"},
		{Name: "package", Label: "Package", Value: f.filter.Package, Hint: "its exact name"},
		{Name: "peer", Label: "Peer", Value: f.filter.PeerID, Hint: "its id"},
		{Name: "field", Label: "Field", Value: f.field, Hint: "its whole name"},
		{Name: "value", Label: "Value", Value: f.value, Hint: "a part of it"},
		{Name: "level", Label: "Hooks", Value: string(f.filter.Level), Options: []kit.Option{
			{Label: "all"}, {Value: string(hooks.LevelPackage), Label: "package-level only"}, {Value: string(hooks.LevelProblem), Label: "problem-level only"},
		}},
	}, dayFilters(r)...)
}
