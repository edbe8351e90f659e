package code_test

import (
	"bytes"
	"html/template"
	"math/rand/v2"
	"strings"
	"testing"

	"hookline/internal/code"
	"hookline/internal/looks"
)

// unified writes a difference as differences are written.
func unified(d code.Difference) string {
	var b strings.Builder
	for _, h := range d.Hunks {
		b.WriteString(h.Head + "\n")
		for _, r := range h.Rows {
			b.WriteString(r.Sign() + r.Line.Text() + "\n")
		}
	}
	return b.String()
}

func TestDifference(t *testing.T) {
	p := painter(t)
	was := "a\nb\nc\nd\nlocal x = 1\nf\ng\nh\n?\ni\nj\nk\n"
	now := "a\nb\nc\nd\nlocal x = 22\nf\ng\nh\n?\ni\nj\nk\nl\nm\n"
	d := p.LuaDifference([]byte(was), []byte(now))
	want := "@@ -2,7 +2,7 @@\n b\n c\n d\n-local x = 1\n+local x = 22\n f\n g\n h\n@@ -10,3 +10,5 @@\n i\n j\n k\n+l\n+m\n"
	if got := unified(d); got != want || d.Added != 3 || d.Removed != 1 {
		t.Errorf("%d added, %d removed\n%s", d.Added, d.Removed, got)
	}
	if got := classes(d.Hunks[0].Rows[3].Line) + " " + classes(d.Hunks[0].Rows[4].Line); got != "kw:local| x |op:=| |!num:1 kw:local| x |op:=| |!num:22" {
		t.Errorf("marks %s", got)
	}
	d = p.LuaDifference([]byte("error('not a number in')\n"), []byte("error('no number at in')\n")) // whole words
	if got := classes(d.Hunks[0].Rows[0].Line) + " " + classes(d.Hunks[0].Rows[1].Line); got != "fn:error|(|str:'|!str:not a number|str: in'|) fn:error|(|str:'|!str:no number at|str: in'|)" {
		t.Errorf("words %s", got)
	}
	if classes(p.Lua([]byte(was))[4]) != "kw:local| x |op:=| |num:1" {
		t.Error("the marks are in what the painter keeps")
	}
	if d := p.LuaDifference([]byte(was), []byte(was)); len(d.Hunks) != 0 {
		t.Errorf("the same: %+v", d)
	}
	d = p.LuaDifference([]byte("a\n"), []byte("a")) // only the last line feed
	if len(d.Hunks) != 1 || !d.Hunks[0].Rows[1].NoEnd || d.Hunks[0].Rows[0].NoEnd {
		t.Errorf("a line feed: %+v", d)
	}
	d = p.LuaDifference([]byte("-- \u202e\n"), []byte("-- ⟨U+202E⟩\n")) // shown alike, and not the same
	if d.Added != 1 || d.Removed != 1 {
		t.Errorf("shown alike: %+v", d)
	}
	if d := p.LuaDifference(nil, []byte("a\n")); unified(d) != "@@ -0,0 +1 @@\n+a\n" {
		t.Errorf("of nothing: %s", unified(d))
	}
}

func TestPairs(t *testing.T) {
	d := painter(t).LuaDifference([]byte("a\nb\nc\nd\n"), []byte("a\nx\ny\nz\nd\ne\n"))
	var got []string
	for _, p := range d.Hunks[0].Pairs() {
		text := func(r *code.Row) string {
			if r == nil {
				return "."
			}
			return r.Sign() + r.Raw
		}
		got = append(got, text(p.Left)+"|"+text(p.Right))
	}
	if want := " a| a,-b|+x,-c|+y,.|+z, d| d,.|+e"; strings.Join(got, ",") != want {
		t.Errorf("%s, want %s", strings.Join(got, ","), want)
	}
}

// whole checks that a difference, applied, gives the other text, and that it
// shows what it says.
func whole(t *testing.T, was, now string, d code.Difference) {
	t.Helper()
	old, made := strings.SplitAfter(was, "\n"), strings.Builder{}
	at := 0
	for _, h := range d.Hunks {
		for _, r := range h.Rows {
			for ; r.Old > 0 && at < r.Old-1; at++ {
				made.WriteString(old[at])
			}
			line := r.Raw
			if !r.NoEnd {
				line += "\n"
			}
			if r.Change != code.Removed {
				made.WriteString(line)
			}
			if r.Change != code.Added {
				at++
			}
			if shown := looks.CodeLines(line); len(shown) == 1 && r.Line.Text() != shown[0].Text {
				t.Fatalf("%q is shown as %q", r.Raw, r.Line.Text())
			}
		}
	}
	for ; at < len(old); at++ {
		made.WriteString(old[at])
	}
	if len(d.Hunks) > 0 && made.String() != now || len(d.Hunks) == 0 && was != now {
		t.Fatalf("from %q to %q the difference makes %q", was, now, made.String())
	}
}

func TestDifferencesAreWhole(t *testing.T) {
	p := painter(t)
	random := rand.New(rand.NewPCG(3, 4))
	text := func() string {
		var b strings.Builder
		for range random.IntN(20) {
			b.WriteString([]string{"a\n", "b\n", "\n", "local x\n", "local y", "\u202e\n", "ö\n", "ä\n"}[random.IntN(8)])
		}
		return b.String()
	}
	for range 500 {
		a, b := text(), text()
		whole(t, a, b, p.LuaDifference([]byte(a), []byte(b)))
	}
}

// Nothing of a script becomes markup.
func TestTemplates(t *testing.T) {
	page, err := code.AddTo(template.New("x"))
	if err != nil {
		t.Fatal(err)
	}
	p := painter(t)
	evil := "x = \"<script>alert(1)</script>\" -- <img src=x onerror=y>\n"
	for name, data := range map[string]any{
		"code-lines": p.Lua([]byte(evil)), "diff-unified": p.LuaDifference(nil, []byte(evil)), "diff-split": p.LuaDifference([]byte("x = 1\n"), []byte(evil)),
	} {
		var out bytes.Buffer
		if err := page.ExecuteTemplate(&out, name, data); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); strings.Contains(got, "<script>") || strings.Contains(got, "<img") || !strings.Contains(got, `class="com">-- &lt;img src=x`) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
