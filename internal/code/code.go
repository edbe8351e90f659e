// Package code makes scripts and manifests fit to be read: lines of colored
// spans, and the difference of two. All of it is data and text: what a script
// says never becomes markup, and what would hide in it is shown by its number,
// as looks.CodeLines does.
package code

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/alecthomas/chroma/v2"

	"hookline/internal/looks"
)

// Class is what a span is, as style sheets name it.
type Class string

// The classes. A span without one is text like any other.
const (
	Keyword  Class = "kw"
	String   Class = "str"
	Number   Class = "num"
	Comment  Class = "com"
	Function Class = "fn"
	Operator Class = "op"
)

// Span is a stretch of one line.
type Span struct {
	Class Class
	Text  string
	// Mark is set where it differs from the line on the other side.
	Mark bool
}

// Line is one line as it is shown.
type Line struct {
	Spans  []Span
	Number int  // from 1
	Long   bool // over 200 characters: it wraps, and the page says so
}

// Text is the line without colors.
func (l Line) Text() string {
	var b strings.Builder
	for _, s := range l.Spans {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Bounds of the work for one text. What is over them has no colors.
const (
	maxColored   = 64 << 10        // bytes
	maxTime      = 3 * time.Second // on an idle machine 64 KiB of Lua take a tenth
	maxSpans     = 4000            // with a color, in all: each is 30 bytes of a page, whatever its text is
	maxLineSpans = 400             // of one line
)

// Bounds of what a painter keeps.
const (
	maxKept      = 32      // texts
	maxKeptBytes = 4 << 20 // of them and their lines
)

//go:embed grammars/*.xml
var grammars embed.FS

// Painter colors texts, one at a time, and keeps the last ones.
type Painter struct {
	lua, yaml chroma.Lexer

	lock  sync.Mutex
	kept  map[[sha256.Size]byte][]Line
	order [][sha256.Size]byte // oldest first
	bytes int                 // of what is kept
}

// New makes a painter.
func New() (*Painter, error) {
	lua, err := chroma.NewXMLLexer(grammars, "grammars/lua.xml")
	if err != nil {
		return nil, fmt.Errorf("the grammar of Lua: %w", err)
	}
	yaml, err := chroma.NewXMLLexer(grammars, "grammars/yaml.xml")
	if err != nil {
		return nil, fmt.Errorf("the grammar of YAML: %w", err)
	}
	return &Painter{lua: lua, yaml: yaml, kept: map[[sha256.Size]byte][]Line{}}, nil
}

// Lua are the lines of a script. The lines belong to the painter: they are
// not to be changed.
func (p *Painter) Lua(script []byte) []Line { return p.painted("lua", p.lua, script) }

// YAML are the lines of a manifest, see Lua.
func (p *Painter) YAML(text []byte) []Line { return p.painted("yaml", p.yaml, text) }

func (p *Painter) painted(name string, lexer chroma.Lexer, text []byte) []Line {
	key := sha256.Sum256(append([]byte(name+"\x00"), text...))
	p.lock.Lock()
	defer p.lock.Unlock()
	if lines, ok := p.kept[key]; ok {
		return lines
	}
	lines := paint(lexer, string(text))
	p.keep(key, lines)
	return lines
}

// keep makes room for lines and keeps them, unless they alone are too much.
func (p *Painter) keep(key [sha256.Size]byte, lines []Line) {
	size := memory(lines)
	if size > maxKeptBytes {
		return
	}
	for len(p.order) == maxKept || p.bytes+size > maxKeptBytes {
		p.bytes -= memory(p.kept[p.order[0]])
		delete(p.kept, p.order[0])
		p.order = p.order[1:]
	}
	p.kept[key], p.order, p.bytes = lines, append(p.order, key), p.bytes+size
}

// memory is about how many bytes lines take: the spans are mostly more than
// their text.
func memory(lines []Line) int {
	n := len(lines) * int(unsafe.Sizeof(Line{}))
	for _, l := range lines {
		n += cap(l.Spans) * int(unsafe.Sizeof(Span{}))
		for _, s := range l.Spans {
			n += len(s.Text)
		}
	}
	return n
}

// paint colors a text. One that hides something has no colors: the compiler
// and the grammar might disagree on what that means, and then a color could
// make code look like a comment.
func paint(lexer chroma.Lexer, text string) []Line {
	lines := plain(text)
	shown := joined(lines)
	if len(lines) == 0 || len(text) > maxColored || shown != strings.TrimSuffix(text, "\n") {
		return lines
	}
	colored, ok := tokens(lexer, shown)
	if !ok {
		return lines
	}
	return split(shown, colored, lines)
}

func joined(lines []Line) string {
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.Text()
	}
	return strings.Join(texts, "\n")
}

// plain are the lines without colors.
func plain(text string) []Line {
	shown := looks.CodeLines(text)
	lines := make([]Line, len(shown))
	for i, l := range shown {
		lines[i] = Line{Number: i + 1, Long: l.Long}
		if l.Text != "" {
			lines[i].Spans = []Span{{Text: l.Text}}
		}
	}
	return lines
}

// stretch is a part of a text in one color.
type stretch struct {
	class    Class
	from, to int // bytes
}

// tokens are the stretches of a whole text; false where the grammar did not
// get through it in time, or lost some of it.
func tokens(lexer chroma.Lexer, text string) (out []stretch, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), maxTime)
	defer cancel()
	next, err := lexer.Tokenise(&chroma.TokeniseOptions{State: "root"}, text)
	if err != nil {
		return nil, false
	}
	at := 0
	for token := next(); token != chroma.EOF; token = next() {
		if ctx.Err() != nil || !strings.HasPrefix(text[at:], token.Value) {
			return nil, false
		}
		s := stretch{class(token), at, at + len(token.Value)}
		if token.Type == chroma.Name && s.class == "" && calls(text[s.to:]) {
			s.class = Function
		}
		at = s.to
		if n := len(out); n > 0 && out[n-1].class == s.class {
			out[n-1].to = s.to
			continue
		}
		out = append(out, s)
	}
	return out, at == len(text)
}

// calls reports whether what comes after a name calls it.
func calls(after string) bool {
	after = strings.TrimPrefix(after, " ")
	return after != "" && strings.ContainsRune(`("'{`, rune(after[0]))
}

func class(t chroma.Token) Class {
	switch {
	case t.Type == chroma.Name && isKeyword(t.Value), t.Type == chroma.Keyword:
		return Keyword
	case t.Type.InCategory(chroma.Comment):
		return Comment
	case t.Type.InSubCategory(chroma.LiteralString):
		return String
	case t.Type.InSubCategory(chroma.LiteralNumber):
		return Number
	case t.Type.InCategory(chroma.Operator):
		return Operator
	}
	return ""
}

func isKeyword(word string) bool {
	switch word {
	case "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
		"local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while":
		return true
	}
	return false
}

// split puts the stretches of a text into its lines. Where there are too many,
// the rest of the line is one span without a color.
func split(text string, colored []stretch, lines []Line) []Line {
	at, ended, all := 0, -1, 0 // line, the last one that has its rest, spans with a color
	lines[0].Spans = nil
	for _, s := range colored {
		from := s.from
		for i, part := range strings.Split(text[s.from:s.to], "\n") {
			if i > 0 {
				at++
				lines[at].Spans = nil
			}
			line := &lines[at]
			switch {
			case part == "" || at == ended:
			case len(line.Spans) == maxLineSpans-1 || s.class != "" && all == maxSpans:
				rest, _, _ := strings.Cut(text[from:], "\n")
				line.rest(rest)
				ended = at
			default:
				if s.class != "" {
					all++
				}
				line.Spans = append(line.Spans, Span{Class: s.class, Text: part})
			}
			from += len(part) + len("\n")
		}
	}
	return lines
}

// rest ends a line with text without a color.
func (l *Line) rest(text string) {
	if n := len(l.Spans); n > 0 && l.Spans[n-1].Class == "" {
		l.Spans[n-1].Text += text
		return
	}
	l.Spans = append(l.Spans, Span{Text: text})
}

// Short is the line with the first most bytes of its text, in whole
// characters, and "…" where there are more.
func (l Line) Short(most int) Line {
	out := Line{Number: l.Number, Long: l.Long}
	for _, s := range l.Spans {
		if len(s.Text) > most {
			for most > 0 && !utf8.RuneStart(s.Text[most]) {
				most--
			}
			s.Text = s.Text[:most] + "…"
			out.Spans = append(out.Spans, s)
			return out
		}
		most -= len(s.Text)
		out.Spans = append(out.Spans, s)
	}
	return out
}
