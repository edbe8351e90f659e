package looks

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible shows what would hide, reorder or break text: control and format
// characters and bytes that are not UTF-8. Line feeds and tabs stay.
func Visible(s string) string {
	plain := func(r rune) bool {
		return r == '\n' || r == '\t' || r == ' ' || unicode.IsGraphic(r) && r != utf8.RuneError
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	var out strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `⟨\x%02x⟩`, s[0])
		case plain(r) || r == utf8.RuneError:
			out.WriteRune(r)
		default:
			fmt.Fprintf(&out, "⟨U+%04X⟩", r)
		}
		s = s[size:]
	}
	return out.String()
}

// longCode is how many characters of a line of a script make it long: the page
// wraps it as any other, and says so.
const longCode = 200

// CodeLine is one line of a script.
type CodeLine struct {
	Text string
	Long bool
}

// CodeLines are the lines of a script, with nothing in them that could hide:
// blanks other than a space or tab, and letters that show nothing, are shown
// by their number.
func CodeLines(script string) []CodeLine {
	var lines []CodeLine
	for line := range strings.Lines(script) {
		text := spaced(Visible(strings.TrimRight(line, "\n")))
		lines = append(lines, CodeLine{Text: text, Long: utf8.RuneCountInString(text) > longCode})
	}
	return lines
}

func spaced(s string) string {
	odd := func(r rune) bool {
		return r != ' ' && r != '\t' && unicode.IsSpace(r) || r == '\u2800' || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
	}
	if !strings.ContainsFunc(s, odd) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		if odd(r) {
			fmt.Fprintf(&out, "⟨U+%04X⟩", r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// Sentence writes an error, which starts small, as a sentence of a page.
func Sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if s == "" || strings.HasPrefix(s, "hookline") {
		return s
	}
	s = string(unicode.ToUpper(first)) + s[size:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
