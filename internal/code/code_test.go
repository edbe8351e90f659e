package code_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"hookline/internal/code"
	"hookline/internal/looks"
)

func painter(t testing.TB) *code.Painter {
	t.Helper()
	p, err := code.New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// classes writes a line with its classes: "kw:local| x |op:=| |num:1".
func classes(l code.Line) string {
	var words []string
	for _, s := range l.Spans {
		word := s.Text
		if s.Class != "" {
			word = string(s.Class) + ":" + word
		}
		if s.Mark {
			word = "!" + word
		}
		words = append(words, word)
	}
	return strings.Join(words, "|")
}

func TestColors(t *testing.T) {
	p := painter(t)
	for text, want := range map[string]string{
		`local x = fs.read("/etc/x") -- why`: `kw:local| x |op:=| fs|op:.|fn:read|(|str:"/etc/x"|) |com:-- why`,
		`x = 0x1F + 1.5e3`:                   `x |op:=| |num:0x1F| |op:+| |num:1.5e3`,
		`log 'a\'b'`:                         `fn:log| |str:'a\'b'`,
		`a =--"`:                             `a |op:=|com:--"`,
		`a = [==[ x ]] ]==] --[[ c ]] b`:     `a |op:=| |str:[==[ x ]] ]==]| |com:--[[ c ]]| b`,
		`"not closed`:                        `"|kw:not| closed`,
	} {
		lines := p.Lua([]byte(text))
		if got := classes(lines[0]); len(lines) != 1 || strings.ReplaceAll(got, "||", "|") != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
	lines := p.YAML([]byte("# why\nhook: \"a\" # b\nlimits: {max: 10}\n"))
	for i, want := range []string{"com:# why", `kw:hook|op::| |str:"a"| |com:# b`, "kw:limits|op::| |op:{|kw:max|op::| |num:10|op:}"} {
		if got := classes(lines[i]); got != want {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, got, want)
		}
	}
}

// A comment over several lines is one in each of them; the numbers count.
func TestLines(t *testing.T) {
	lines := painter(t).Lua([]byte("x()\n--[[ a\n\nb ]] y()\n"))
	want := []string{"fn:x|()", "com:--[[ a", "", "com:b ]]| |fn:y|()"}
	if len(lines) != len(want) {
		t.Fatalf("%d lines", len(lines))
	}
	for i, l := range lines {
		if classes(l) != want[i] || l.Number != i+1 {
			t.Errorf("line %d: %d %q", i+1, l.Number, classes(l))
		}
	}
	if lines := painter(t).Lua(nil); len(lines) != 0 {
		t.Errorf("of nothing: %v", lines)
	}
}

// What hides something is shown by its number, and has no colors: the
// compiler ends the comment at the carriage return.
func TestHiddenCharactersTakeTheColors(t *testing.T) {
	for _, text := range []string{"-- a\rb()", "x = 1 -- \u202e", "-- \u00a0", "\x00--", "-- \xff", "x\n-- \u2800\n"} {
		for i, l := range painter(t).Lua([]byte(text)) {
			for _, s := range l.Spans {
				if s.Class != "" {
					t.Errorf("%q, line %d: %s", text, i+1, classes(l))
				}
			}
		}
	}
}

// check holds what is shown against the text: nothing is lost or made up.
func check(t *testing.T, lines []code.Line, text string) {
	t.Helper()
	want := looks.CodeLines(text)
	if len(lines) != len(want) {
		t.Fatalf("%d lines of %d for %.80q", len(lines), len(want), text)
	}
	for i, l := range lines {
		if l.Text() != want[i].Text || l.Long != want[i].Long || l.Number != i+1 {
			t.Fatalf("line %d of %.80q is %q, want %q", i+1, text, l.Text(), want[i].Text)
		}
	}
}

// compiled is a program as the compiler has it, nil where it is none.
func compiled(text string) *lua.FunctionProto {
	chunk, err := parse.Parse(strings.NewReader(text), "x")
	if err != nil {
		return nil
	}
	proto, err := lua.Compile(chunk, "x")
	if err != nil {
		return nil
	}
	return proto
}

// operations are what a program does, whatever its names and constants are.
func operations(p *lua.FunctionProto) string {
	if p == nil {
		return "no program"
	}
	var b strings.Builder
	for _, instruction := range p.Code {
		fmt.Fprintf(&b, "%d ", instruction>>26)
	}
	for _, inner := range p.FunctionPrototypes {
		b.WriteString("(" + operations(inner) + ")")
	}
	return b.String()
}

// blanked is the text with what is in a class replaced.
func blanked(lines []code.Line, class code.Class, replace func(rune) rune) string {
	var b strings.Builder
	for _, l := range lines {
		for _, s := range l.Spans {
			if s.Class == class {
				s.Text = strings.Map(replace, s.Text)
			}
			b.WriteString(s.Text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// truthful checks that a color hides no code: without what is shown as a
// comment a program is the same, and with other words in what is shown as a
// string it does the same. What is neither begins no comment.
func truthful(t *testing.T, p *code.Painter, text string) {
	t.Helper()
	program := compiled(text)
	if program == nil {
		return
	}
	lines := p.Lua([]byte(text))
	if !colored(lines) { // it hides something, which is shown by its number: that is no program
		return
	}
	without := compiled(blanked(lines, code.Comment, func(rune) rune { return ' ' }))
	if without == nil || without.String() != program.String() {
		t.Errorf("what is colored as a comment in\n%s\nis code", text)
	}
	others := compiled(blanked(lines, code.String, func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return ' '
		}
		return r
	}))
	if operations(others) != operations(program) {
		t.Errorf("what is colored as a string in\n%s\nis code", text)
	}
	spans := 0
	for _, l := range lines {
		for _, s := range l.Spans {
			if s.Class != "" {
				spans++
			}
		}
		if spans >= maxSpans || len(l.Spans) >= maxLineSpans { // what is over the bounds has no color
			return
		}
		for _, s := range l.Spans {
			if s.Class != code.Comment && s.Class != code.String && strings.Contains(s.Text, "--") {
				t.Errorf("%q in\n%s\nis a comment, and shown as code", s.Text, text)
			}
		}
	}
}

func colored(lines []code.Line) bool {
	return slices.ContainsFunc(lines, func(l code.Line) bool {
		return slices.ContainsFunc(l.Spans, func(s code.Span) bool { return s.Class != "" })
	})
}

// Whatever a program is made of, its colors tell the truth about it.
func TestColorsTellTheTruth(t *testing.T) {
	p := painter(t)
	for _, text := range []string{
		"x = 1 +--\"\n1; evil()  --\"", "x = [[--]] evil()", "x = '--' evil()", "--[==[ \n]] ]==] evil()", "--[ [ x\nevil()", "x = \"\\\n--\" evil()",
		"x = a[b[ [[ ]] ]] evil()", "---[[ x\nevil() --]]", "--[[]]evil()", "x = 3-- 4\nevil()", "x='\\\\'--'\nevil()",
	} {
		if compiled(text) == nil || !colored(p.Lua([]byte(text))) {
			t.Errorf("%q does not compile, or has no colors", text)
		}
		truthful(t, p, text)
	}
	parts := []string{"--", "-", "[[", "]]", "[=[", "]=]", "\"", "'", "\\", "\n", " ", "x", "=", "1", "(", ")", "f", ";", "..", "local ", "[", "]", "x=1 ", "f() ", "--[[", "x='a' ", "\\\n", "x=[[", "{", "}"}
	random := rand.New(rand.NewPCG(1, 2))
	good := 0
	for range 4000 {
		var b strings.Builder
		b.WriteString("x=1 ")
		for range 1 + random.IntN(12) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		if compiled(b.String()) != nil {
			good++
		}
		truthful(t, p, b.String())
	}
	if good < 100 {
		t.Errorf("only %d of the texts are programs", good)
	}
}

// The hooks of our own examples have colors.
func TestExamplesHaveColors(t *testing.T) {
	p := painter(t)
	found, err := filepath.Glob("../../examples/hooks/*/hook.lua")
	if err != nil || len(found) == 0 {
		t.Fatal("no examples", err)
	}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[code.Class]bool{}
		for _, l := range p.Lua(text) {
			for _, s := range l.Spans {
				seen[s.Class] = true
			}
		}
		if len(seen) < 6 {
			t.Errorf("%s has only %v", path, seen)
		}
		truthful(t, p, string(text))
	}
}

// hostile texts make patterns slow, or much to show.
func hostile() map[string]string {
	const size = 16 << 10 // a quarter of the longest script: the race detector is slow
	full := func(s string) string { return strings.Repeat(s, size/len(s)) }
	return map[string]string{
		"open brackets": full("[["), "deep brackets": full("[=["), "open comments": full("--[["), "quotes": full("\""), "escapes": "\"" + full("\\"),
		"one line": full("x"), "blanks": full(" "), "line feeds": full("\n"), "names": full("a.b "), "functions": full("function "),
		"separators": "[" + full("="), "colons": full("a:"), "dashes": full("- "), "hash": full("# "), "code": full("local x = fs.read('/etc/x') -- y\n"),
		"hidden": full("\u202e"), "sums": full("+1"), "sums in lines": full(strings.Repeat("+1", 15) + "\n"), "comments in a line": full("--[[x]]1 "),
	}
}

// Texts that are made to be slow are shown whole all the same.
func TestHostileTextsAreShown(t *testing.T) {
	p := painter(t)
	for name, text := range hostile() {
		began := time.Now()
		check(t, p.Lua([]byte(text)), text)
		check(t, p.YAML([]byte(text)), text)
		d := code.Hunks([]byte(text), []byte(text[1:]+"y"))
		t.Logf("%-14s %v, %d hunks", name, time.Since(began).Round(time.Millisecond), len(d.Hunks))
	}
}

// The bounds of spans, as the pages count on them.
const (
	maxSpans     = 4000
	maxLineSpans = 400
)

// However many tokens a text has, its page has a bounded number of elements for
// them, and shows all of it.
func TestSpansAreBounded(t *testing.T) {
	p := painter(t)
	seen, widest := 0, 0
	for name, text := range hostile() {
		for _, lines := range [][]code.Line{p.Lua([]byte(text)), p.YAML([]byte(text))} {
			check(t, lines, text)
			spans := 0
			for _, l := range lines {
				for i, s := range l.Spans {
					if s.Class != "" {
						spans++
					}
					if i > 0 && s.Class == "" && l.Spans[i-1].Class == "" {
						t.Fatalf("%s: line %d has two spans without a color, one behind the other", name, l.Number)
					}
				}
				if widest = max(widest, len(l.Spans)); len(l.Spans) > maxLineSpans {
					t.Errorf("%s: line %d has %d spans", name, l.Number, len(l.Spans))
				}
			}
			if seen = max(seen, spans); spans > maxSpans {
				t.Errorf("%s: %d spans", name, spans)
			}
		}
	}
	if seen != maxSpans || widest != maxLineSpans {
		t.Errorf("at most %d spans, %d in a line: no text reaches the bounds", seen, widest)
	}
	line := p.Lua([]byte("x = " + strings.Repeat("1+", 300) + "2 -- ö\n--[[ a\nb ]] y()\n"))
	if got := line[0].Spans[maxLineSpans-1]; got.Class != "" || !strings.HasSuffix(got.Text, "+2 -- ö") || classes(line[1]) != "com:--[[ a" || classes(line[2]) != "com:b ]]| |fn:y|()" {
		t.Errorf("the rest is %q, then %s, %s", got.Text, classes(line[1]), classes(line[2]))
	}
}

func TestShort(t *testing.T) {
	line := painter(t).Lua([]byte(`x = "ööö" -- y`))[0]
	for most, want := range map[int]string{
		100: `x |op:=| |str:"ööö"| |com:-- y`, 17: `x |op:=| |str:"ööö"| |com:-- y`, 16: `x |op:=| |str:"ööö"| |com:-- …`, 6: `x |op:=| |str:"…`, 2: "x |op:…", 0: "…",
	} {
		if got := classes(line.Short(most)); got != want {
			t.Errorf("%d bytes: %s, want %s", most, got, want)
		}
	}
}

// What is kept is bounded in bytes: few large texts, or none that is larger than
// all that may be kept.
func TestKeepsFewBytes(t *testing.T) {
	p := painter(t)
	large := func(i int) []byte { return fmt.Appendf(nil, "x%d = 1\n%s", i, strings.Repeat("\n", 60_000)) }
	first := p.Lua(large(0))
	if again := p.Lua(large(0)); &again[0] != &first[0] {
		t.Error("it was painted again")
	}
	p.Lua(large(1)) // 2.4 MB each
	if again := p.Lua(large(0)); &again[0] == &first[0] {
		t.Error("both are kept")
	}
	small := p.Lua([]byte("x = 0"))
	huge := []byte(strings.Repeat("\n", 120_000))
	if one, other := p.Lua(huge), p.Lua(huge); &one[0] == &other[0] {
		t.Error("more than may be kept is kept")
	}
	if again := p.Lua([]byte("x = 0")); &again[0] != &small[0] {
		t.Error("what is not kept took the place of what was")
	}
}

// What was painted is kept, but never more than so much.
func TestKeepsFew(t *testing.T) {
	p := painter(t)
	first := p.Lua([]byte("x = 0"))
	if again := p.Lua([]byte("x = 0")); &again[0] != &first[0] {
		t.Error("it was painted again")
	}
	for i := range 100 {
		p.Lua(fmt.Appendf(nil, "x = %d", i+1))
	}
	if again := p.Lua([]byte("x = 0")); &again[0] == &first[0] {
		t.Error("it is kept for ever")
	}
	if classes(p.YAML([]byte("x = 0"))[0]) == classes(first[0]) {
		t.Error("Lua and YAML are mixed up")
	}
}

func FuzzPaint(f *testing.F) {
	f.Add("x = 1 +--\"\n1; f() --\"", "hook: x\n")
	f.Add("\r", "\n\r")
	f.Add("--[[ \r\n ]] \u202e\xff", "a\n\n")
	p := painter(f)
	f.Fuzz(func(t *testing.T, a, b string) {
		const most = 1 << 10 // of a text: longer ones only take longer
		a, b = a[:min(most, len(a))], b[:min(most, len(b))]
		for _, text := range []string{a, b} {
			check(t, p.Lua([]byte(text)), text)
			check(t, p.YAML([]byte(text)), text)
			truthful(t, p, text)
		}
		whole(t, a, b, p.LuaDifference([]byte(a), []byte(b)))
	})
}
