package kit

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hookline/internal/errs"
)

// Sizes of lists.
const (
	pageRows  = 50  // rows of one page
	fetchRows = 100 // rows of one question to the store, where rows are left out; a result has up to 1 MiB
	// maxLooked is how many rows one page looks at for those that fit a filter
	// that no index knows. The page says how far it came, and goes on from there.
	maxLooked = 4000
	// maxLooking is how long it looks at them.
	maxLooking = 2 * time.Second
	maxAfter   = 4 << 10
)

// Table describes a list: its columns, how a page of it is fetched, and what
// is left out. The same description makes the page and the exports.
type Table[T any] struct {
	Name    string // of the exported file and of the table for those who hear it
	Columns []Column[T]
	// Fetch reads the rows behind a cursor ("": the first), at most limit.
	Fetch func(ctx context.Context, after string, limit int) ([]T, error)
	// Cursor is where the list goes on behind a row.
	Cursor func(T) string
	// Keep leaves rows out that Fetch cannot; nil keeps all. It may look things up.
	Keep func(ctx context.Context, row T) (bool, error)
	// Key is an id of the row's element, for parts that are live; nil is none.
	Key func(T) string

	// Bad is why the words of the address cannot be read; nil where they can. The
	// page has the form with what was typed, and no rows.
	Bad error

	Filters []Filter // the form on top
	Orders  []Order  // the first is the one without a word in the address
	Empty   Empty
}

// Column is one column.
type Column[T any] struct {
	Name string // in an export, lower case with "_": "last_seen"
	Head string
	Cell func(T) Cell
	Sort string // the word of the order that a click on the head gives
	Wide bool   // takes the room that is left
	Only bool   // in exports only
}

// Filter is one field of the form on top of a table.
type Filter struct {
	Name    string // in the address
	Label   string
	Value   string
	Options []Option // a choice; nil is words
	Day     bool     // a day
	Hint    string   // an example

	Bad bool // what was typed there cannot be read
}

// Option is one choice; the first is without a filter.
type Option struct{ Value, Label string }

// Order is one order of a table: a word in the address, ?sort=…
type Order struct{ Value, Label string }

// Empty says what an empty list means, and what to do next.
type Empty struct {
	Text    string
	Command string // to type
	Link    string
	Label   string // of the link
}

// TableView is a page of a table as the template "table" shows it.
type TableView struct {
	Name     string
	Heads    []head
	Rows     []row
	Filters  []Filter
	Order    string // in force
	Orders   []Order
	Filtered bool
	Kept     [][2]string // words of the address that the form must keep
	Path     string
	All      string // link to the list without filters
	First    string // link to the first page; "" on it
	Next     string
	Looked   int64 // rows looked at where some were left out and there may be more
	CSV      string
	NDJSON   string
	Empty    Empty
	Bad      *refusal // why the filters cannot be read
}

type head struct {
	Text, Link string
	Here, Wide bool
	Number     bool // its cells are aligned at the right
}

type row struct {
	Key   string
	Cells []cellView
}

type cellView struct {
	Cell
	Head  string
	Right bool
	Any   bool // has a word that may break anywhere
}

// Show makes one page of a table, or, where the address asks for it with
// ?format=csv or ?format=ndjson, the export of all that the filters leave.
// view is called with the page.
func Show[T any](r *Request, t Table[T], view func(TableView) (Answer, error)) (Answer, error) {
	format, err := r.One("format", "", "csv", "ndjson")
	if err != nil {
		return nil, err
	}
	if format != "" {
		if t.Bad != nil {
			return nil, t.Bad
		}
		return export(t, format), nil
	}
	v, err := t.View(r)
	if err != nil {
		return nil, err
	}
	return view(v)
}

// View makes one page of a table.
func (t Table[T]) View(r *Request) (TableView, error) {
	if t.Bad != nil {
		return t.bad(r)
	}
	after := r.URL.Query().Get("after")
	if len(after) > maxAfter {
		return TableView{}, errs.New(errs.CodeBadInput, "this is no place in the list").At("after").WithHint("begin at the first page")
	}
	began := r.Now()
	rows, next, looked, err := t.page(r.Context(), after, func() bool { return r.Now().Sub(began) > maxLooking })
	if err != nil {
		return TableView{}, err
	}
	v := t.frame(r)
	if after != "" {
		v.First = r.With()
	}
	if next != "" {
		v.Next = r.with(r.URL.Path, "after", next)
	}
	v.Looked = looked
	for _, one := range rows {
		v.Rows = append(v.Rows, t.row(one))
	}
	v.align()
	return v, nil
}

// bad is a page without rows, for filters that cannot be read. Any other error
// is its own page.
func (t Table[T]) bad(r *Request) (TableView, error) {
	e, ok := errs.As(t.Bad)
	if !ok || e.Code != errs.CodeBadInput {
		return TableView{}, t.Bad
	}
	r.bad = t.Bad
	t.Filters = slices.Clone(t.Filters)
	for i := range t.Filters {
		f := &t.Filters[i]
		typed := r.URL.Query().Get(f.Name)
		f.Value, f.Bad = strings.ToValidUTF8(typed[:min(len(typed), maxText)], ""), f.Name == e.Field
	}
	v := t.frame(r)
	v.Bad, v.Filtered, v.All = refusalOf(e), true, r.all(t.Filters, "sort")
	return v, nil
}

// all is the list's address without filters and other words.
func (r *Request) all(filters []Filter, others ...string) string {
	none := []string{"format", ""}
	for _, name := range others {
		none = append(none, name, "")
	}
	for _, f := range filters {
		none = append(none, f.Name, "")
	}
	return r.With(none...)
}

// wholeWord is how long a word is, in characters, that a page with room for it
// does not break.
const wholeWord = 20

// align puts columns of numbers at the right, with what stands in place of one,
// and finds what must break.
func (v *TableView) align() {
	for i := range v.Heads {
		number := func(r row) bool { return r.Cells[i].Kind == KindNumber || r.Cells[i].figure }
		word := func(r row) bool { return r.Cells[i].Kind == KindCode && r.Cells[i].Text != "" && !r.Cells[i].figure }
		v.Heads[i].Number = slices.ContainsFunc(v.Rows, number) && !slices.ContainsFunc(v.Rows, word)
		for _, r := range v.Rows {
			r.Cells[i].Right = v.Heads[i].Number
			r.Cells[i].Any = slices.ContainsFunc(strings.Fields(r.Cells[i].Shown()+" "+r.Cells[i].Note), func(w string) bool { return utf8.RuneCountInString(w) > wholeWord })
		}
	}
}

// page reads one page's rows. next is "" at the end; looked is 0 where the
// page is full or the list at its end. late tells that it was looked for long
// enough.
func (t Table[T]) page(ctx context.Context, after string, late func() bool) (rows []T, next string, looked int64, err error) {
	if t.Keep == nil {
		rows, err = t.Fetch(ctx, after, pageRows+1)
		if err != nil || len(rows) <= pageRows {
			return rows, "", 0, err
		}
		return rows[:pageRows], t.Cursor(rows[pageRows-1]), 0, nil
	}
	for looked < maxLooked && (looked == 0 || !late()) {
		some, err := t.Fetch(ctx, after, fetchRows)
		if err != nil {
			return nil, "", 0, err
		}
		for _, one := range some {
			looked++
			after = t.Cursor(one)
			keep, err := t.Keep(ctx, one)
			if err != nil {
				return nil, "", 0, err
			}
			if !keep {
				continue
			}
			if rows = append(rows, one); len(rows) == pageRows {
				return rows, after, 0, nil
			}
		}
		if len(some) < fetchRows {
			return rows, "", 0, nil
		}
	}
	return rows, after, looked, nil
}

func (t Table[T]) row(one T) row {
	out := row{}
	if t.Key != nil {
		out.Key = t.Key(one)
	}
	for _, c := range t.Columns {
		if !c.Only {
			out.Cells = append(out.Cells, cellView{Cell: c.Cell(one), Head: c.Head})
		}
	}
	return out
}

// frame is all of a page but its rows.
func (t Table[T]) frame(r *Request) TableView {
	v := TableView{
		Name: t.Name, Filters: t.Filters, Orders: t.Orders, Path: r.URL.Path, Empty: t.Empty,
		CSV: r.With("format", "csv"), NDJSON: r.With("format", "ndjson"), Order: r.URL.Query().Get("sort"),
	}
	if v.Order == "" && len(t.Orders) > 0 {
		v.Order = t.Orders[0].Value
	}
	known := []string{"after", "sort", "format"}
	for _, f := range t.Filters {
		known = append(known, f.Name)
		v.Filtered = v.Filtered || f.Value != ""
	}
	for name, values := range r.URL.Query() {
		if !slices.Contains(known, name) && len(values) > 0 {
			v.Kept = append(v.Kept, [2]string{name, values[0]})
		}
	}
	v.All = r.all(t.Filters)
	slices.SortFunc(v.Kept, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, c := range t.Columns {
		if c.Only {
			continue
		}
		h := head{Text: c.Head, Wide: c.Wide}
		if c.Sort != "" {
			h.Link, h.Here = r.With("sort", c.Sort), c.Sort == v.Order
		}
		v.Heads = append(v.Heads, h)
	}
	return v
}
