package calls

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns s as one line of valid UTF-8 without control characters.
func Printable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

// longestToken is more than a token of the redaction has.
const longestToken = 16

// Clip returns at most limit bytes of s, cut between two runes, and before a
// token of the redaction rather than within it.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	from := max(0, limit-longestToken)
	if i := strings.LastIndexByte(s[from:limit], '<'); i >= 0 && !strings.Contains(s[from+i:limit], ">") {
		return s[:from+i]
	}
	return s[:limit]
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
