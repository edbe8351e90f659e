package kit

import (
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"hookline/hooks"
	"hookline/internal/looks"
)

// Cell is one value of a table, a list of facts, or an export.
type Cell struct {
	Text   string // as it is stored; pages and CSV show it with Text
	Link   string
	Kind   Kind
	At     time.Time // of a time
	Number int64     // of a number
	Note   string    // beside it, softer
	Brief  string    // what a page shows instead of Text; "" is Text
	tail   string    // the begin of an id, behind what is shown
	figure bool      // a value that is a number
	word   string    // pages show it, and since, instead of At; "" is At
	since  time.Time
}

// Kind is how a cell looks.
type Kind string

// The kinds of cells.
const (
	KindText   Kind = ""
	KindID     Kind = "id"
	KindCode   Kind = "code"
	KindTime   Kind = "time"
	KindNumber Kind = "number"
	KindState  Kind = "state"
	KindJSON   Kind = "json"
)

// Text is a cell of words.
func Text(s string) Cell { return Cell{Text: s} }

// Code is a cell of words that are meant letter by letter.
func Code(s string) Cell { return Cell{Text: s, Kind: KindCode} }

// Value is a cell with the value of a field, as it is written.
func Value(s string) Cell {
	_, err := strconv.ParseFloat(s, 64)
	return Cell{Text: s, Kind: KindCode, figure: err == nil}
}

// ID is a cell with an id that leads somewhere.
func ID(id, link string) Cell { return Cell{Text: id, Link: link, Kind: KindID} }

// State is a cell with a state, in its color.
func State(s string) Cell { return Cell{Text: s, Kind: KindState} }

// Time is a cell with a moment; the zero time is "–".
func Time(t time.Time) Cell { return Cell{At: t, Kind: KindTime} }

// Number is a cell with a count.
func Number(n int64) Cell { return Cell{Number: n, Kind: KindNumber} }

// JSON is a cell with a JSON text, which exports have whole; pages show brief.
func JSON(raw []byte, brief string) Cell {
	return Cell{Text: string(raw), Kind: KindJSON, Brief: brief}
}

// To leads somewhere.
func (c Cell) To(link string) Cell {
	c.Link = link
	return c
}

// With has a softer word beside it.
func (c Cell) With(note string) Cell {
	c.Note = note
	return c
}

// In is shown on pages as a shorter or a better word; exports keep what it is.
func (c Cell) In(brief string) Cell {
	c.Brief = brief
	return c
}

// Title is all of an id of which a page shows the begin.
func (c Cell) Title() string {
	if c.tail == "" {
		return ""
	}
	return looks.Visible(c.Text)
}

// Tail stands behind what is shown, as an id.
func (c Cell) Tail() string {
	if c.tail == c.Brief {
		return ""
	}
	return looks.Visible(c.tail)
}

// Shown is what a page shows.
func (c Cell) Shown() string {
	if c.Kind == KindNumber {
		return Grouped(c.Number)
	}
	if c.Brief != "" {
		return looks.Visible(c.Brief)
	}
	return looks.Visible(c.Text)
}

// value is what an export has.
func (c Cell) value() any {
	switch c.Kind {
	case KindNumber:
		return c.Number
	case KindTime:
		if c.At.IsZero() {
			return nil
		}
		return c.At.UTC().Format("2006-01-02T15:04:05.000Z")
	case KindJSON:
		if json.Valid([]byte(c.Text)) {
			return json.RawMessage(c.Text)
		}
	}
	return c.Text
}

// Fact is one labelled value.
type Fact struct {
	Name string
	Cell
}

// Grouped writes a count with thin spaces between the thousands.
func Grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "−", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return sign + digits
}

// MostCounted is how far pages count what there may be any number of.
const MostCounted = 10_000

// Counted writes a count that ends at MostCounted.
func Counted(n int64) string {
	if n >= MostCounted {
		return Grouped(MostCounted) + " or more"
	}
	return Grouped(n)
}

// Bytes writes a size.
func Bytes(n int64) string {
	switch {
	case n < 1<<10:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

// Short is enough of a digest to tell versions apart.
func Short(digest string) string { return digest[:min(12, len(digest))] }

// VersionRef names a hook version; Number is 0 where it is not known.
type VersionRef struct {
	Hook   string
	Number int64
	Digest string
}

// Name is "hook@number".
func (v VersionRef) Name() string {
	if v.Number == 0 {
		return v.Hook + "@?"
	}
	return v.Hook + "@" + strconv.FormatInt(v.Number, 10)
}

// Cell leads to the version.
func (v VersionRef) Cell() Cell { return Cell{Text: v.Name(), Link: "/versions/" + v.Digest} }

// Peer leads to a machine: pages show its name, which others may have too, and
// the begin of its id; exports, and whoever points at it, get the whole id. name
// is "" where it is not known.
func Peer(id, name string) Cell {
	const most, begin = 40, 8 // characters
	c := ID(id, "/peers/"+url.PathEscape(id))
	c.tail = id[:min(begin, len(id))]
	if name = brief(name, most); name == "" {
		return c.In(c.tail)
	}
	c.Kind = KindText
	return c.In(name)
}

// Program is the short name of what had a problem: the executable's, or else
// the package's.
func Program(executable, pkg string) string {
	for i := len(executable) - 1; i >= 0; i-- {
		if executable[i] == '/' {
			executable = executable[i+1:]
			break
		}
	}
	if executable != "" {
		return executable
	}
	return pkg
}

// Ago writes how long before now something was, or how long until it is.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "–"
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + Span(-d)
	}
	if d < time.Second {
		return "just now"
	}
	return Span(d) + " ago"
}

// Span writes a length of time, roughly.
func Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + " days"
}

// Percent is a share in whole percent.
func Percent(part, whole int64) string {
	if whole <= 0 {
		return "no data"
	}
	return strconv.FormatInt(part*100/whole, 10) + " %"
}

// ProgramOf is the short name of what a report is about.
func ProgramOf(r hooks.Report) string {
	return Program(r[hooks.FieldExecutablePath], r[hooks.FieldPackage])
}
