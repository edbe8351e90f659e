package cli

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Dangerous reports whether a character can move the cursor, change the
// order of text or hide: C0, DEL, C1, line and paragraph separators, and all
// format characters (bidirectional controls, zero width, byte order mark).
func Dangerous(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// Safe makes text harmless on one line of a terminal.
func Safe(s string) string { return escape(s, "") }

// SafeLines is Safe that keeps line breaks and tabs.
func SafeLines(s string) string { return escape(s, "\n\t") }

func escape(s, keep string) string {
	clean := utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return Dangerous(r) && !strings.ContainsRune(keep, r) })
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !Dangerous(r) || strings.ContainsRune(keep, r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}
