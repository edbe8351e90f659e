package code

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"znkr.io/diff"
	"znkr.io/diff/textdiff"
)

// Context is how many lines that stay are shown around those that change.
const Context = 3

// Change is what became of a line.
type Change string

// The changes. A line without one stays.
const (
	Added   Change = "add"
	Removed Change = "del"
)

// Row is one line of a difference.
type Row struct {
	Change   Change
	Old, New int    // its numbers from 1; 0 where it is not in that text
	Raw      string // as it is written, without its line feed
	NoEnd    bool   // it ends the text without a line feed
	Line     Line   // fit to be shown; empty where Hunks made it
}

// Sign is the mark before the row: "+", "-", or a blank.
func (r Row) Sign() string {
	switch r.Change {
	case Added:
		return "+"
	case Removed:
		return "-"
	}
	return " "
}

// Hunk is a stretch of a difference with its context.
type Hunk struct {
	Head string // "@@ -1,4 +1,5 @@"
	Rows []Row
}

// Pair is two lines beside each other; nil is none.
type Pair struct{ Left, Right *Row }

// Pairs are the rows side by side: what was removed beside what was added in
// its place.
func (h Hunk) Pairs() []Pair {
	var out []Pair
	for i := 0; i < len(h.Rows); {
		if h.Rows[i].Change == "" {
			out = append(out, Pair{&h.Rows[i], &h.Rows[i]})
			i++
			continue
		}
		var gone, come []*Row
		for ; i < len(h.Rows) && h.Rows[i].Change != ""; i++ {
			if h.Rows[i].Change == Removed {
				gone = append(gone, &h.Rows[i])
			} else {
				come = append(come, &h.Rows[i])
			}
		}
		for n := range max(len(gone), len(come)) {
			var p Pair
			if n < len(gone) {
				p.Left = gone[n]
			}
			if n < len(come) {
				p.Right = come[n]
			}
			out = append(out, p)
		}
	}
	return out
}

// Difference is what changed from one text to another.
type Difference struct {
	Hunks          []Hunk // none where they are the same
	Added, Removed int    // lines
}

// Hunks is the difference of two texts, line by line, without colors. Lines
// are compared byte by byte, with their ends.
func Hunks(was, now []byte) Difference {
	var d Difference
	for _, h := range textdiff.Hunks(string(was), string(now), diff.Context(Context)) {
		out := Hunk{Head: fmt.Sprintf("@@ -%s +%s @@", span(h.LineNoX, h.EndLineNoX), span(h.LineNoY, h.EndLineNoY))}
		for _, e := range h.Edits {
			row := Row{Old: e.LineNoX + 1, New: e.LineNoY + 1, Raw: strings.TrimSuffix(e.Line, "\n"), NoEnd: !strings.HasSuffix(e.Line, "\n")}
			switch e.Op {
			case diff.Match:
			case diff.Delete:
				row.Change, row.New = Removed, 0
				d.Removed++
			case diff.Insert:
				row.Change, row.Old = Added, 0
				d.Added++
			}
			out.Rows = append(out.Rows, row)
		}
		d.Hunks = append(d.Hunks, out)
	}
	return d
}

// span is a stretch of lines as differences write it.
func span(from, end int) string {
	switch end - from {
	case 0:
		return fmt.Sprintf("%d,0", from)
	case 1:
		return fmt.Sprint(from + 1)
	}
	return fmt.Sprintf("%d,%d", from+1, end-from)
}

// LuaDifference is the difference of two scripts in colors. Where a line came
// in the place of another one, what they do not share is marked.
func (p *Painter) LuaDifference(was, now []byte) Difference {
	return shown(Hunks(was, now), p.Lua(was), p.Lua(now))
}

// YAMLDifference is LuaDifference for manifests.
func (p *Painter) YAMLDifference(was, now []byte) Difference {
	return shown(Hunks(was, now), p.YAML(was), p.YAML(now))
}

func shown(d Difference, was, now []Line) Difference {
	for _, h := range d.Hunks {
		for i := range h.Rows {
			if r := &h.Rows[i]; r.New > 0 {
				r.Line = now[r.New-1]
			} else {
				r.Line = was[r.Old-1]
			}
		}
		for _, p := range h.Pairs() {
			if p.Left != nil && p.Right != nil && p.Left != p.Right {
				p.Left.Line, p.Right.Line = marked(p.Left.Line, p.Right.Line)
			}
		}
	}
	return d
}

// marked are copies of two lines with a mark on what is between the beginning
// and the end that they share. Lines that share little have none.
func marked(a, b Line) (Line, Line) {
	left, right := a.Text(), b.Text()
	head := shared(left, right)
	tail := sharedEnd(left[head:], right[head:])
	head, tail = wholeWords(left, right, head, tail)
	if strings.TrimSpace(left[:head]+left[len(left)-tail:]) == "" || (head+tail)*3 < min(len(left), len(right)) {
		return a, b
	}
	return a.mark(head, len(left)-tail), b.mark(head, len(right)-tail)
}

// wholeWords gives back what two texts share of a word that differs.
func wholeWords(a, b string, head, tail int) (int, int) {
	word := func(s string, i int) bool {
		return i >= 0 && i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 'a' && s[i] <= 'z' || s[i] == '_')
	}
	for head > 0 && word(a, head-1) && (word(a, head) || word(b, head)) {
		head--
	}
	for tail > 0 && word(a, len(a)-tail) && (word(a, len(a)-tail-1) || word(b, len(b)-tail-1)) {
		tail--
	}
	return head, tail
}

// shared is how many bytes two texts begin with alike, in whole characters.
func shared(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) {
		r, size := utf8.DecodeRuneInString(a[n:])
		if other, _ := utf8.DecodeRuneInString(b[n:]); other != r {
			break
		}
		n += size
	}
	return n
}

func sharedEnd(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) {
		r, size := utf8.DecodeLastRuneInString(a[:len(a)-n])
		if other, _ := utf8.DecodeLastRuneInString(b[:len(b)-n]); other != r {
			break
		}
		n += size
	}
	return n
}

// mark is a copy of a line with marks on its bytes from..to.
func (l Line) mark(from, to int) Line {
	out := Line{Number: l.Number, Long: l.Long}
	at := 0
	for _, s := range l.Spans {
		start := min(max(from-at, 0), len(s.Text))
		end := max(start, min(max(to-at, 0), len(s.Text)))
		for _, part := range []Span{{s.Class, s.Text[:start], false}, {s.Class, s.Text[start:end], true}, {s.Class, s.Text[end:], false}} {
			if part.Text != "" {
				out.Spans = append(out.Spans, part)
			}
		}
		at += len(s.Text)
	}
	return out
}
