package problems

import (
	"context"
	"maps"
	"slices"
	"strings"

	"hookline/collector"
	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/internal/web/kit"
)

// The text that one page shows of a report, and of what hooks brought for it.
// Each value has 16 kB at most already; there can be a thousand.
const (
	originalBytes = 64 << 10
	broughtBytes  = 48 << 10
)

// resultRow is one result with its fields as text.
type resultRow struct {
	collector.Result
	ref    kit.VersionRef
	peer   string
	values map[string]string
	names  []string
}

// row reads a result's fields. Those that cannot be read are none: the page of
// its job says so.
func newResultRow(res collector.Result) resultRow {
	row := resultRow{Result: res, ref: kit.VersionRef{Hook: res.Hook, Digest: res.Version}}
	if values, names, err := kit.FieldValues(res.Fields); err == nil {
		row.values, row.names = values, names
	}
	return row
}

// name looks up what the row's version and machine are called.
func (row *resultRow) name(ctx context.Context, names *names) error {
	var err error
	if row.ref, err = names.version(ctx, row.Hook, row.Version); err != nil {
		return err
	}
	row.peer, err = names.peer(ctx, row.PeerID)
	return err
}

// brief is the fields in a few words.
func (row *resultRow) brief() string {
	const most = 240
	var out strings.Builder
	for i, name := range row.names {
		if i > 0 {
			out.WriteString(" · ")
		}
		out.WriteString(cut(name, 40) + ": " + cut(row.values[name], 60))
		if out.Len() > most {
			break
		}
	}
	return cut(out.String(), most)
}

// fieldTable is one table of new fields: rows are results, columns the fields
// that most of them have. hidden is how many fields have no column.
func fieldTable(ctx context.Context, results []collector.Result, names *names) (v kit.TableView, hidden int, err error) {
	rows, count := make([]resultRow, 0, len(results)), map[string]int{}
	for _, res := range results {
		row := newResultRow(res)
		if err := row.name(ctx, names); err != nil {
			return v, 0, err
		}
		for _, name := range row.names {
			count[name]++
		}
		rows = append(rows, row)
	}
	fields := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	hidden = max(0, len(fields)-resultColumns)
	fields = fields[:len(fields)-hidden]
	t := kit.Table[resultRow]{Name: "New fields, the newest results first", Empty: kit.Empty{Text: "No hook has brought anything for this problem yet."}}
	t.Columns = []kit.Column[resultRow]{
		{Head: "Result", Cell: func(row resultRow) kit.Cell { return kit.Time(row.CreatedAt).To("/jobs/" + row.JobID) }},
		{Head: "Version", Cell: func(row resultRow) kit.Cell { return versionCell(row.ref) }},
		{Head: "Peer", Cell: func(row resultRow) kit.Cell { return kit.Peer(row.PeerID, row.peer) }},
	}
	for _, name := range fields {
		t.Columns = append(t.Columns, kit.Column[resultRow]{Head: looks.Visible(cut(name, 60)), Cell: func(row resultRow) kit.Cell {
			return kit.Value(cut(row.values[name], cellRunes))
		}})
	}
	return t.Fixed(rows), hidden, nil
}

func notFound(err error) bool { return errs.Is(err, errs.CodeNotFound) }
