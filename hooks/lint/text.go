package lint

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Characters that make a person read something else than what runs ("Trojan
// Source", CVE-2021-42574 and CVE-2021-42694) are looked for in the text
// itself, comments included: reviewers read those too. What turns or hides
// text is an error; what looks like something else is a warning, since people
// write in many scripts.

// zone is what a part of a script is to Lua.
type zone int

const (
	zoneCode zone = iota
	zoneString
	zoneComment
)

// nextZone returns the part that text begins with, by the rules of the parser.
func nextZone(text string) (zone, string) {
	end := func(i int) int {
		if i < 0 {
			return len(text)
		}
		return i
	}
	switch {
	case strings.HasPrefix(text, "--"):
		if n := longBracket(text[2:]); n > 0 {
			return zoneComment, text[:2+n]
		}
		return zoneComment, text[:end(strings.IndexAny(text, "\r\n"))]
	case text[0] == '"' || text[0] == '\'':
		return zoneString, text[:quoted(text)]
	}
	if n := longBracket(text); n > 0 {
		return zoneString, text[:n]
	}
	next := strings.IndexAny(text[1:], "-\"'[")
	if next < 0 {
		return zoneCode, text
	}
	return zoneCode, text[:next+1]
}

// quoted is the length of the string that text begins with.
func quoted(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '\r', '\n':
			return i
		case text[0]:
			return i + 1
		}
	}
	return len(text)
}

// longBracket is the length of the [[…]] or [=[…]=] that text begins with, 0
// where it does not begin so.
func longBracket(text string) int {
	if text == "" || text[0] != '[' {
		return 0
	}
	level := len(text[1:]) - len(strings.TrimLeft(text[1:], "="))
	if !strings.HasPrefix(text[1+level:], "[") {
		return 0
	}
	closing := "]" + strings.Repeat("=", level) + "]"
	if i := strings.Index(text[2+level:], closing); i >= 0 {
		return 2 + level + i + len(closing)
	}
	return len(text)
}

// characters looks at every character of the script.
func (c *checker) characters(script string) {
	t := textScan{c: c, line: 1}
	for rest := script; rest != ""; {
		kind, part := nextZone(rest)
		t.part(kind, part, strings.HasPrefix(rest[len(part):], "\n"))
		rest = rest[len(part):]
	}
}

// textScan is a walk over the text, with the place where it is.
type textScan struct {
	c      *checker
	line   int
	column int // bytes of the line so far
}

// place is one character with where it stands.
type place struct {
	r            rune
	line, column int
}

// part looks at one part; newline says that a line ends after it.
func (t *textScan) part(kind zone, text string, newline bool) {
	plain := kind != zoneString || hasPlainForeign(text)
	var word []place
	for i, r := range text {
		at := place{r, t.line, t.column + 1}
		t.column += utf8.RuneLen(r)
		if r == '\n' {
			t.line++
			t.column = 0
		}
		next := i + utf8.RuneLen(r)
		hidden := t.hidden(at, next == len(text) && newline || strings.HasPrefix(text[next:], "\n"))
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) || r == '_' {
			word = append(word, at)
			continue
		}
		t.word(word, kind, plain)
		word = word[:0]
		if !hidden {
			t.symbol(at, kind)
		}
	}
	t.word(word, kind, plain)
}

func (t *textScan) add(severity, code string, at place, format string, args ...any) {
	t.c.at(severity, code, at.line, at.column, format, args...)
}

// hidden looks for what turns, hides or moves text.
func (t *textScan) hidden(at place, beforeNewline bool) bool {
	var what string
	switch r := at.r; {
	case r == '\n' || r == '\t' || r == '\r' && beforeNewline:
		return false
	case r == '\r':
		what = "ends a line for Lua, but not for many who show it"
	case r == '\u061c' || r == '\u200e' || r == '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069':
		what = "changes the direction of text, so that people read another order than Lua (Trojan Source, CVE-2021-42574)"
	case r == '\u2028' || r == '\u2029' || r == '\u0085':
		what = "ends a line for some who show it, but not for Lua"
	case unicode.IsControl(r):
		what = "is a control character"
	case unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point):
		what = "is invisible"
	default:
		return false
	}
	t.add(SeverityError, CodeCharacter, at, "%U %s; remove it, or write it in a string as %s", at.r, what, escaped(at.r))
	return true
}

// escaped is a character as a string of Lua can spell it.
func escaped(r rune) string {
	var b strings.Builder
	for _, c := range []byte(string(r)) {
		fmt.Fprintf(&b, `\%03d`, c)
	}
	return b.String()
}

// symbol looks at a character that is no letter.
func (t *textScan) symbol(at place, kind zone) {
	if at.r < utf8.RuneSelf {
		return
	}
	twin := likeSymbol(at.r)
	if kind == zoneComment || kind == zoneString && twin == "" {
		return
	}
	t.lookalike(at, kind, twin)
}

// lookalike reports one character; in code it also keeps the script from being
// parsed, which says less.
func (t *textScan) lookalike(at place, kind zone, twin string) {
	like := ""
	if twin != "" {
		like = fmt.Sprintf(" looks like %q and", twin)
	}
	if kind == zoneCode {
		t.add(SeverityError, CodeLookalike, at, "%U%s is no part of Lua; only ASCII stands outside of strings and comments", at.r, like)
		return
	}
	t.add(SeverityWarning, CodeLookalike, at, "%U looks like %q and is another character", at.r, twin)
}

// word looks at letters that stand together.
func (t *textScan) word(word []place, kind zone, plain bool) {
	i := firstForeign(word)
	if i < 0 {
		return
	}
	if kind == zoneCode {
		t.lookalike(word[i], kind, likeLetter(word[i].r))
		return
	}
	first, second := scriptsOf(word)
	all := true // those beyond ASCII are all lookalikes
	var found *place
	for i := range word {
		r := word[i].r
		switch twin := likeLetter(r); {
		case twin != "" && (found == nil || wide(r)):
			if found = &word[i]; wide(r) {
				t.lookalike(*found, kind, twin)
				return
			}
		case twin == "" && r >= utf8.RuneSelf && unicode.IsLetter(r):
			all = false
		}
	}
	switch {
	case second != "" && (found != nil || first != latin && second != latin):
		at := word[i]
		if found != nil {
			at = *found
		}
		t.mixed(at, text(word), first, second)
	case found != nil && all && !plain:
		t.lookalike(*found, kind, likeLetter(found.r))
	}
}

func (t *textScan) mixed(at place, word, first, second string) {
	twin := ""
	if like := likeLetter(at.r); like != "" {
		twin = fmt.Sprintf(", which looks like %q", like)
	}
	t.add(SeverityWarning, CodeLookalike, at, "the word %q mixes %s and %s: it has %U%s", clip(word), first, second, at.r, twin)
}

func text(word []place) string {
	var b strings.Builder
	for _, p := range word {
		b.WriteRune(p.r)
	}
	return b.String()
}

// firstForeign is the index of the first character beyond ASCII, -1 for none.
func firstForeign(word []place) int {
	for i, p := range word {
		if p.r >= utf8.RuneSelf {
			return i
		}
	}
	return -1
}

// hasPlainForeign reports whether a text has a letter beyond ASCII that looks
// like itself alone: who writes in another script writes such letters too.
func hasPlainForeign(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return r >= utf8.RuneSelf && unicode.IsLetter(r) && likeLetter(r) == ""
	})
}
