// Package chart draws small charts as SVG, on the server: no script, and no
// style of their own but the classes of the style sheet. A chart has no words
// in it that a narrow page would make too small: they stand around it, and the
// numbers in a table beside it.
package chart

import (
	"html/template"
	"math"
	"strconv"
	"strings"

	"hookline/internal/looks"
)

// Tone is the color of a bar: one of the classes bar, bar-good, bar-bad
// and bar-wait.
type Tone string

// The tones.
const (
	Plain Tone = "plain"
	Good  Tone = "good"
	Bad   Tone = "bad"
	Wait  Tone = "wait"
)

// class is the class of a tone; one that is none is plain.
func (t Tone) class() string {
	switch t {
	case Good, Bad, Wait:
		return "bar-" + string(t)
	}
	return "bar"
}

// Caps of one chart.
const (
	maxGroups = 400
	maxSeries = 8
	maxWord   = 200 // bytes of a label
)

// Bars are bars side by side, one for each group, those of several series on
// top of each other.
type Bars struct {
	Title  string // says what is counted
	Of     string // what a group is: "Day"
	Series []Series
	Groups []Group // at most 400 are drawn, the last ones
	Most   int64   // counts that have reached it are "… or more"; 0 is no such bound
}

// Series is what one part of each bar counts.
type Series struct {
	Name string
	Tone Tone
}

// Group is one bar. Values are in the order of the series; what is missing or
// below 0 counts as 0.
type Group struct {
	Label  string
	Link   string // of the table's row; "" is none
	Values []int64
}

// HTML draws the chart.
func (b Bars) HTML() (template.HTML, error) { return draw("bars", b.view()) }

// The sizes of drawings, in units of their own: a chart is as wide as its
// place, and as high as its class says.
const (
	slot = 10  // width of a bar with its gap
	tall = 100 // height
)

type barsView struct {
	Title, Of, Top, First, Last string
	Width                       int
	Series                      []seriesView
	Groups                      []groupView
	Empty                       bool
}

type seriesView struct{ Name, Class, Total string }

type groupView struct {
	Label, Link, Title string
	Left               int
	Parts              []partView
	Counts             []string
}

type partView struct {
	Class       string
	Top, Height int
}

func (b Bars) view() barsView {
	b.Series = b.Series[:min(len(b.Series), maxSeries)]
	b.Groups = b.Groups[max(0, len(b.Groups)-maxGroups):]
	v := barsView{Title: word(b.Title), Of: word(b.Of), Width: max(1, len(b.Groups)) * slot}
	totals, capped, highest := make([]int64, len(b.Series)), make([]bool, len(b.Series)), int64(0)
	for _, g := range b.Groups {
		sum := int64(0)
		for i := range b.Series {
			n := g.value(i)
			sum, totals[i], capped[i] = add(sum, n), add(totals[i], n), capped[i] || b.capped(n)
		}
		highest = max(highest, sum)
	}
	for i, s := range b.Series {
		v.Series = append(v.Series, seriesView{word(s.Name), s.Tone.class(), count(totals[i], capped[i])})
	}
	v.Empty, v.Top = highest == 0, count(highest, false)
	for i, g := range b.Groups {
		v.Groups = append(v.Groups, b.group(g, i*slot+1, highest))
	}
	if n := len(v.Groups); n > 0 {
		v.First, v.Last = v.Groups[0].Label, v.Groups[n-1].Label
	}
	return v
}

// group is one bar: its parts from the bottom up, each at least visible where
// it counts anything, all of them together no higher than the chart.
func (b Bars) group(g Group, left int, highest int64) groupView {
	v := groupView{Label: word(g.Label), Link: g.Link, Left: left}
	words, bottom := make([]string, 0, len(b.Series)), tall
	for i, s := range b.Series {
		n := g.value(i)
		v.Counts = append(v.Counts, count(n, b.capped(n)))
		words = append(words, v.Counts[i]+" "+word(s.Name))
		if height := min(share(n, highest), bottom); height > 0 {
			bottom -= height
			v.Parts = append(v.Parts, partView{s.Tone.class(), bottom, height})
		}
	}
	v.Title = v.Label + ": " + strings.Join(words, ", ")
	return v
}

func (b Bars) capped(n int64) bool { return b.Most > 0 && n >= b.Most }

func (g Group) value(i int) int64 {
	if i >= len(g.Values) {
		return 0
	}
	return max(0, g.Values[i])
}

// share is part/whole of the height of a chart, at least 1 where part is above
// 0, and at most all of it.
func share(part, whole int64) int {
	if part <= 0 || whole <= 0 {
		return 0
	}
	return min(tall, max(1, int(math.Round(float64(part)/float64(whole)*tall))))
}

// add adds counts; it stays at the largest number where they are too many.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func count(n int64, more bool) string {
	if more {
		return strconv.FormatInt(n, 10) + " or more"
	}
	return strconv.FormatInt(n, 10)
}

// word is a label fit to be shown.
func word(s string) string {
	if len(s) > maxWord {
		s = strings.ToValidUTF8(s[:maxWord], "") + "…"
	}
	return looks.Visible(s)
}

// Spark is a line as high as a word, for one row of a table.
type Spark struct {
	Title  string // says what is counted
	Values []int64
}

// HTML draws the line.
func (s Spark) HTML() (template.HTML, error) {
	values := s.Values[max(0, len(s.Values)-maxGroups):]
	highest, sum := int64(0), int64(0)
	for _, n := range values {
		highest, sum = max(highest, n), add(sum, max(0, n))
	}
	var points strings.Builder
	for i, n := range values {
		if i > 0 {
			points.WriteByte(' ')
		}
		points.WriteString(strconv.Itoa(i*slot) + "," + strconv.Itoa(tall-share(n, highest)))
	}
	if len(values) == 1 { // a line has two ends
		points.WriteString(" " + strconv.Itoa(slot) + "," + strconv.Itoa(tall-share(values[0], highest)))
	}
	return draw("spark", map[string]any{
		"Title": word(s.Title) + ": " + count(sum, false), "Points": points.String(), "Width": max(1, len(values)-1) * slot, "Empty": len(values) == 0,
	})
}

// Meter is how much of a whole is there: a bar with words beside it, which say
// what it shows.
type Meter struct {
	Part, Whole int64
	Words       string // "37 of 200"
	Tone        Tone
}

// HTML draws the meter.
func (m Meter) HTML() (template.HTML, error) {
	return draw("meter", map[string]any{"Width": share(m.Part, m.Whole), "Class": m.Tone.class(), "Words": word(m.Words)})
}
