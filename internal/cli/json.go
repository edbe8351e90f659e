package cli

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapeJSON returns JSON with every character as an escape that moves a
// terminal's cursor, or the order of its text. Such characters can only stand
// inside of strings; line breaks and tabs are JSON's own layout.
func EscapeJSON(b []byte) []byte { return EscapeWith(b, jsonEscape) }

// EscapeWith is EscapeJSON for another notation: escape writes one character.
func EscapeWith(b []byte, escape func(rune) string) []byte {
	var out bytes.Buffer
	for _, r := range string(b) {
		if Dangerous(r) && r != '\n' && r != '\t' {
			out.WriteString(escape(r))
		} else {
			out.WriteRune(r)
		}
	}
	return out.Bytes()
}

// jsonEscape is \u with four digits, two of them beyond the basic plane.
func jsonEscape(r rune) string {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
