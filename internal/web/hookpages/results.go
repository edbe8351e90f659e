package hookpages

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
)

// Caps of the table of new fields.
const (
	maxFields    = 12 // columns; more are in the result's own page
	maxFieldText = 80 // bytes of one value
)

// resultsView are the newest results as a table of new fields.
type resultsView struct {
	Table kit.TableView
	Count int
	More  bool   // there are older ones
	All   string // link to all
	Left  int    // fields that have no column
}

func hookFilter(name string) collector.ResultFilter {
	return collector.ResultFilter{Hook: name, Limit: newest + 1}
}

func versionFilter(digest string) collector.ResultFilter {
	return collector.ResultFilter{Version: digest, Limit: newest + 1}
}

// resultRow is one result with its values.
type resultRow struct {
	collector.Result
	values map[string]string
	peer   string // what it is called; "" where that is not known
}

// results are the newest results that the filter leaves. declared are the
// fields that get a column first; nil takes them from the results.
func (p *pages) results(ctx context.Context, f collector.ResultFilter, declared []hooks.DeclaredField) (resultsView, error) {
	list, err := p.Store.Results(ctx, f)
	if err != nil {
		return resultsView{}, err
	}
	v := resultsView{All: allResults(f)}
	if len(list) > newest {
		list, v.More = list[:newest], true
	}
	v.Count = len(list)
	var names []string
	for _, d := range declared {
		names = append(names, d.Name)
	}
	var rows []resultRow
	peers := map[string]string{}
	for _, one := range list {
		values, found, err := kit.FieldValues(one.Fields)
		if err != nil {
			return v, err
		}
		for _, name := range found {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if _, ok := peers[one.PeerID]; !ok {
			m, err := p.Store.Peer(ctx, one.PeerID)
			if err != nil && !errs.Is(err, errs.CodeNotFound) {
				return v, err
			}
			peers[one.PeerID] = m.Name
		}
		rows = append(rows, resultRow{one, values, peers[one.PeerID]})
	}
	if len(names) > maxFields {
		names, v.Left = names[:maxFields], len(names)-maxFields
	}
	v.Table = kit.Table[resultRow]{Name: "Results", Columns: resultColumns(names)}.Fixed(rows)
	return v, nil
}

func allResults(f collector.ResultFilter) string {
	q := url.Values{}
	if f.Hook != "" {
		q.Set("hook", f.Hook)
	}
	if f.Version != "" {
		q.Set("version", f.Version)
	}
	return "/results?" + q.Encode()
}

func resultColumns(names []string) []kit.Column[resultRow] {
	columns := []kit.Column[resultRow]{
		{Name: "at", Head: "When", Cell: func(one resultRow) kit.Cell { return kit.Time(one.CreatedAt).To("/jobs/" + one.JobID) }},
		{Name: "peer", Head: "Peer", Cell: func(one resultRow) kit.Cell {
			return kit.Peer(one.PeerID, one.peer)
		}},
		{Name: "problem", Head: "Problem", Cell: func(one resultRow) kit.Cell {
			if one.ProblemID == "" {
				return kit.Text("")
			}
			return kit.ID(one.ProblemID, "/problems/"+one.ProblemID).In(kit.Short(one.ProblemID))
		}},
	}
	for _, name := range names {
		columns = append(columns, kit.Column[resultRow]{Name: name, Head: kit.NewField(name, "").Name, Cell: func(one resultRow) kit.Cell {
			text, ok := one.values[name]
			if !ok {
				return kit.Text("")
			}
			return kit.Value(clipped(text))
		}})
	}
	return columns
}

// clipped is a value short enough for a row.
func clipped(s string) string {
	if len(s) > 4*maxFieldText {
		return strings.Join(strings.Fields(strings.ToValidUTF8(s[:maxFieldText], "")), " ") + fmt.Sprintf("… (%s)", kit.Bytes(int64(len(s))))
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxFieldText {
		return s
	}
	return strings.ToValidUTF8(s[:maxFieldText], "") + fmt.Sprintf("… (%s)", kit.Bytes(int64(len(s))))
}
