package lint

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const latin = "Latin"

// scriptsOf names up to two scripts that a word's letters are of. Those of East
// Asia, which are written together, count as one.
func scriptsOf(word []place) (first, second string) {
	seen := map[string]bool{}
	for _, p := range word {
		if s := scriptOf(p.r); s != "" {
			seen[s] = true
		}
	}
	names := slices.Sorted(maps.Keys(seen))
	switch len(names) {
	case 0:
		return "", ""
	case 1:
		return names[0], ""
	}
	return names[0], names[1]
}

const eastAsian = "East Asian"

// scriptOf names the script of a letter, "" for what all scripts share.
func scriptOf(r rune) string {
	switch {
	case !unicode.IsLetter(r) || unicode.In(r, unicode.Common, unicode.Inherited):
		return ""
	case unicode.Is(unicode.Latin, r):
		return latin
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul):
		return eastAsian
	case unicode.Is(unicode.Cyrillic, r):
		return "Cyrillic"
	case unicode.Is(unicode.Greek, r):
		return "Greek"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "unknown"
}

// wide reports whether a letter or digit is another form of an ASCII one:
// fullwidth or mathematical.
func wide(r rune) bool {
	return r >= 0xff01 && r <= 0xff5e || r >= 0x1d400 && r <= 0x1d7ff
}

// likeLetter is the ASCII letter or digit that a letter or digit looks like in
// most fonts, "" for none. The pairs are from confusables.txt of Unicode UTS 39,
// those of the scripts that share shapes with Latin.
func likeLetter(r rune) string {
	switch {
	case r < 0x80:
		return ""
	case r >= 0xff01 && r <= 0xff5e:
		return string(r - 0xff01 + '!')
	case r >= 0x1d400 && r <= 0x1d6a3:
		return string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(r-0x1d400)%52])
	case r >= 0x1d7ce && r <= 0x1d7ff:
		return string('0' + (r-0x1d7ce)%10)
	}
	return twin(r,
		"асԁеһіјӏорԛѕԝхуүѵАВЕНІЈКМОРСТХУЅԌԚԜҮ", "acdehijlopqswxyyvABEHIJKMOPCTXYSGQWY",
		"αγινορυϲϳκΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹͿ", "ayivopucjkABEZHIKMNOPTYXCJ",
		"օոսցհՏՕՍ", "onughSOU",
		"ᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃ", "ABCDEGHJKLMPRSTVWZ",
		"ɑɡıſƖǀℓℯℊℴℎ", "agiflllegoh",
	)
}

// likeSymbol is the ASCII character that a sign or space looks like, "" for none.
func likeSymbol(r rune) string {
	switch {
	case r == '\u00a0' || r == '\u1680' || r >= '\u2000' && r <= '\u200a' || r == '\u202f' || r == '\u205f':
		return " "
	case r == '\uff0d' || r == '\uff0e' || r == '\uff0f' || r == '\uff3c' || r == '\uff3f':
		return string(r - 0xff01 + '!')
	}
	return twin(r,
		"⁄∕⧸╱", "////",
		"‐‑−˗⁃", "-----",
		"․", ".",
		"∶꞉ː", ":::",
		"∗⁎", "**",
		"ˈ′‚", "'',",
	)
}

// twin looks r up in pairs: characters, and the ASCII ones that they look like.
func twin(r rune, pairs ...string) string {
	for i := 1; i < len(pairs); i += 2 {
		from, to := pairs[i-1], pairs[i]
		if at := strings.IndexRune(from, r); at >= 0 {
			n := utf8.RuneCountInString(from[:at])
			return to[n : n+1]
		}
	}
	return ""
}

// clip makes a text short enough for a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
