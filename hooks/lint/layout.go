package lint

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Code can hide in plain sight: far to the right of a line, behind blanks,
// where whoever does not scroll sees an end of the line that is none. What
// lint says here is for readers of every other tool than ours, which number
// and wrap the lines that they show.
const (
	maxBlanks = 40  // columns of blanks inside of a line
	maxIndent = 80  // columns of blanks that a line begins with
	longLine  = 200 // columns: a warning
	farLine   = 400 // columns of code: an error
	tabWidth  = 8   // columns, as on a terminal
)

// layout looks at where the text of every line stands.
func (c *checker) layout(script string) {
	l := lineScan{c: c, line: 1}
	for rest := script; rest != ""; {
		kind, part := nextZone(rest)
		for _, r := range part {
			l.next(kind, r)
		}
		rest = rest[len(part):]
	}
	l.end()
}

// spot is a place on the line that is scanned; its column counts bytes from 1,
// 0 is none. Width is the columns that are there before it.
type spot struct{ column, width int }

// lineScan is a walk over the text that remembers one line.
type lineScan struct {
	c     *checker
	line  int
	bytes int // of the line so far
	width int // columns of the line so far
	texts int // of them, those of strings

	blanks    int  // columns of blanks just before
	blankZone zone // what they are in

	gap     spot // the first text behind many blanks
	gapZone zone // what these are in
	hides   bool // it is code, or code follows
	padded  bool // a string has many blanks
	long    spot // the first text that is far to the right
	far     spot // the first code that is too far to the right
}

// next takes one character.
func (l *lineScan) next(kind zone, r rune) {
	if r == '\n' {
		l.end()
		return
	}
	before := l.width
	switch {
	case r == '\t':
		l.width += tabWidth - l.width%tabWidth
	case r != '\r':
		l.width++
	}
	if kind == zoneString {
		l.texts += l.width - before
	}
	if unicode.IsSpace(r) || r == '\u2800' { // a Braille pattern without dots
		l.blanks += l.width - before
		l.blankZone = kind
	} else {
		l.text(kind, before)
		l.blanks = 0
	}
	l.bytes += utf8.RuneLen(r)
}

// text takes a character that is no blank, with the columns before it.
func (l *lineScan) text(kind zone, before int) {
	at := spot{l.bytes + 1, before}
	if l.blanks >= maxBlanks && (l.blanks < before || l.blanks >= maxIndent) {
		if l.padded = l.padded || l.blankZone == zoneString; l.gap.column == 0 || l.gapZone == zoneString && l.blankZone != zoneString {
			l.gap, l.gapZone = spot{at.column, l.blanks}, l.blankZone
		}
	}
	// A string's closing quote is no code, but what is put into it can be read
	// only where it is seen: blanks outside of a string hide it as well.
	if l.gap.column > 0 && l.gapZone != zoneString && kind != zoneComment {
		l.hides = true
	}
	if kind == zoneString {
		return
	}
	if l.long.column == 0 && before >= longLine {
		l.long = at
	}
	counted := before - l.texts
	if l.padded {
		counted = before
	}
	if l.far.column == 0 && kind == zoneCode && counted >= farLine {
		l.far = at
	}
}

// end says what there is to say of a line, and begins the next one.
func (l *lineScan) end() {
	if l.hides {
		l.add(SeverityError, CodeHiddenRight, l.gap, "text stands behind %d columns of blanks, where readers miss it; begin a new line there", l.gap.width)
		l.far, l.long, l.gap = spot{}, spot{}, spot{} // they say the same
	}
	if l.gap.column > 0 {
		l.add(SeverityWarning, CodeHiddenRight, l.gap, "text stands behind %d columns of blanks, where readers may miss it", l.gap.width)
	}
	if l.far.column > 0 {
		l.add(SeverityError, CodeLong, l.far, "code stands %d columns to the right, where readers miss it; break the line (at most %d columns)", l.far.width, longLine)
	} else if l.long.column > 0 {
		l.add(SeverityWarning, CodeLong, l.long, "the line goes on after %d columns, where readers may miss it; break it", longLine)
	}
	*l = lineScan{c: l.c, line: l.line + 1}
}

func (l *lineScan) add(severity, code string, at spot, format string, args ...any) {
	l.c.at(severity, code, l.line, at.column, format, args...)
}

// indentOf is the column, in bytes from 1, at which a line's text begins.
func indentOf(line string) int {
	return len(line) - len(strings.TrimLeft(line, " \t")) + 1
}
