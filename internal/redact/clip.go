package redact

import "strings"

// longestCut is how far Clip looks back for the end of a word, in bytes:
// longer than any address or name.
const longestCut = 320

// Clip returns at most limit bytes of a text that is still to be redacted. A
// word that it would cut is left out: nobody could tell that half an address
// is one.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > max(0, limit-longestCut) && strings.IndexByte(" \t\n\r,;()<>[]{}|\"'=", s[end]) < 0 {
		end--
	}
	return s[:end]
}
