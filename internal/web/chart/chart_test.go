package chart

import (
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

const hostile = "</title></svg><script>alert(1)</script>\" onload=\"x\" style=\"y\u202e\x00\x1b{{.}}"

// check holds a drawing against what every one promises: well-formed, nothing
// but our elements and attributes, numbers that are numbers, inside of the
// picture.
func check(t *testing.T, got template.HTML, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), "ZgotmplZ") || strings.ContainsAny(string(got), "\u202e\x00\x1b") {
		t.Errorf("something got through: %q", got)
	}
	elements := " figure figcaption span b svg rect g title div p details summary table thead tbody tr th td a polyline "
	attributes := " class width height viewBox preserveAspectRatio aria-hidden aria-label role x y points fill vector-effect scope href "
	d := xml.NewDecoder(strings.NewReader("<x>" + string(got) + "</x>"))
	d.Entity = xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("it is not well-formed: %v\n%s", err, got)
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local == "x" {
			continue
		}
		if !strings.Contains(elements, " "+e.Name.Local+" ") {
			t.Errorf("element %s\n%s", e.Name.Local, got)
		}
		for _, a := range e.Attr {
			if !strings.Contains(attributes, " "+a.Name.Local+" ") {
				t.Errorf("attribute %s\n%s", a.Name.Local, got)
			}
			inPicture(t, e.Name.Local, a)
		}
	}
}

func inPicture(t *testing.T, element string, a xml.Attr) {
	t.Helper()
	if element != "rect" && a.Name.Local != "points" || a.Name.Local == "class" || a.Name.Local == "fill" {
		return
	}
	for _, word := range strings.FieldsFunc(a.Value, func(r rune) bool { return r == ' ' || r == ',' }) {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil || math.IsNaN(n) || n < 0 || n > maxGroups*slot {
			t.Errorf("%s=%q is no place in the picture", a.Name.Local, a.Value)
		}
	}
}

func groups(values ...[]int64) []Group {
	var out []Group
	for i, v := range values {
		out = append(out, Group{Label: "day " + strconv.Itoa(i), Link: "/jobs", Values: v})
	}
	return out
}

func TestBars(t *testing.T) {
	many := make([][]int64, 1000)
	for i := range many {
		many[i] = []int64{int64(i), 1}
	}
	for name, b := range map[string]Bars{
		"nothing":   {},
		"no groups": {Series: []Series{{"good", Good}}},
		"no series": {Groups: groups(nil, nil)},
		"one zero":  {Series: []Series{{"good", Good}}, Groups: groups([]int64{0})},
		"one":       {Series: []Series{{"good", Good}}, Groups: groups([]int64{1})},
		"too few":   {Series: []Series{{"a", Good}, {"b", Bad}}, Groups: groups([]int64{1}, nil)},
		"below 0":   {Series: []Series{{"a", Good}, {"b", Bad}}, Groups: groups([]int64{-1, math.MinInt64}, []int64{3, -2})},
		"largest":   {Series: []Series{{"a", Good}, {"b", Bad}}, Groups: groups([]int64{math.MaxInt64, math.MaxInt64}, []int64{1, 1})},
		"many":      {Series: []Series{{"a", Good}, {"b", Bad}}, Groups: groups(many...)},
		"hostile": {Title: hostile, Of: hostile, Series: []Series{{hostile, Tone(hostile)}}, Groups: []Group{
			{Label: hostile, Link: "javascript:alert(1)", Values: []int64{1}}, {Label: strings.Repeat("x", 1<<20)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := b.HTML()
			if name == "hostile" {
				if strings.Contains(string(got), "javascript:") || len(got) > 10<<10 {
					t.Errorf("%.2000s", got)
				}
				got = template.HTML(strings.ReplaceAll(string(got), "#ZgotmplZ", "#")) // html/template's word for a link that it refuses
			}
			check(t, got, err)
		})
	}
}

func TestBarsSayTheirNumbers(t *testing.T) {
	b := Bars{
		Title: "Hook runs", Of: "Day", Most: 500,
		Series: []Series{{"succeeded", Good}, {"failed", Bad}},
		Groups: []Group{{Label: "20 Nov", Link: "/jobs?from=2026-11-20", Values: []int64{30, 10}}, {Label: "21 Nov", Values: []int64{0, 500}}},
	}
	got, err := b.HTML()
	check(t, got, err)
	for _, want := range []string{
		`<title>20 Nov: 30 succeeded, 10 failed</title>`, `<title>21 Nov: 0 succeeded, 500 or more failed</title>`,
		`<a href="/jobs?from=2026-11-20">20 Nov</a>`, `<td class="number">30</td><td class="number">10</td>`, `<b>510 or more</b>`,
		`<rect class="bar-good" x="1" y="94" width="8" height="6"/><rect class="bar-bad" x="1" y="92" width="8" height="2"/>`,
		`<rect class="bar-bad" x="11" y="0" width="8" height="100"/>`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

// TestOddNumbers holds that what is below 0 counts as nothing, and that what is
// too much stays the largest number.
func TestOddNumbers(t *testing.T) {
	got, err := Bars{Series: []Series{{"a", Good}, {"b", Bad}}, Groups: groups([]int64{math.MaxInt64, -5}, []int64{math.MaxInt64, 1})}.HTML()
	check(t, got, err)
	for _, want := range []string{`<b>9223372036854775807</b>`, `<b>1</b>`, `<td class="number">0</td>`} {
		if !strings.Contains(string(got), want) || strings.Contains(string(got), ">-") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestSpark(t *testing.T) {
	for name, test := range map[string]struct {
		values []int64
		want   string
	}{
		"none":    {nil, "no data"},
		"one":     {[]int64{4}, `points="0,0 10,0"`},
		"zeros":   {[]int64{0, 0, 0}, `points="0,100 10,100 20,100"`},
		"rising":  {[]int64{0, 1, 2}, `points="0,100 10,50 20,0"`},
		"hostile": {[]int64{math.MinInt64, math.MaxInt64, math.MaxInt64}, `points="0,100 10,0 20,0"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Spark{Title: hostile, Values: test.values}.HTML()
			check(t, got, err)
			if !strings.Contains(string(got), test.want) {
				t.Errorf("no %s in %s", test.want, got)
			}
		})
	}
}

func TestMeter(t *testing.T) {
	for _, test := range []struct {
		part, whole int64
		want        string
	}{
		{0, 0, ""},
		{5, 0, ""},
		{0, 10, ""},
		{-1, 10, ""},
		{5, -10, ""},
		{1, 1000, `width="1"`},
		{5, 10, `width="50"`},
		{10, 10, `width="100"`},
		{50, 10, `width="100"`},
		{math.MaxInt64, math.MaxInt64, `width="100"`},
	} {
		got, err := Meter{Part: test.part, Whole: test.whole, Words: hostile, Tone: Good}.HTML()
		check(t, got, err)
		if has := strings.Contains(string(got), "bar-good"); has != (test.want != "") || !strings.Contains(string(got), test.want) {
			t.Errorf("%d of %d: %s", test.part, test.whole, got)
		}
	}
}

// FuzzBars draws any numbers and words.
func FuzzBars(f *testing.F) {
	f.Add("a label", int64(1), int64(0), int64(math.MaxInt64), uint8(14))
	f.Add(hostile, int64(-1), int64(math.MinInt64), int64(7), uint8(0))
	f.Fuzz(func(t *testing.T, label string, a, b, c int64, n uint8) {
		bars := Bars{Title: label, Of: label, Series: []Series{{label, Tone(label)}, {"b", Bad}}, Most: c}
		for i := range int(n) {
			bars.Groups = append(bars.Groups, Group{Label: label, Values: []int64{a, b / int64(i+1)}})
		}
		got, err := bars.HTML()
		check(t, got, err)
		got, err = Spark{Title: label, Values: []int64{a, b, c}}.HTML()
		check(t, got, err)
		got, err = Meter{Part: a, Whole: b, Words: label}.HTML()
		check(t, got, err)
	})
}
