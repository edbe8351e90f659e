// Package redact takes out of a text what points to a machine or a person:
// addresses, host and user names, e-mail addresses, home directories. Text
// fields of a hook's result pass through it on the peer, unless they are
// signed raw.
//
// It knows patterns, not meaning: a name that is also a word is taken out
// wherever it stands alone, and a version number of four parts looks like an
// address. That is the right side to err on. Loopback and private addresses
// are addresses too. Kernel addresses (0x…), checksums, times, PCI slots and
// names of systemd units stay, since they are what a diagnosis needs.
package redact

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Names are what the peer knows itself and its people by. Matching ignores
// case. Names of fewer than two bytes, "root" and "localhost" stay.
type Names struct{ Hosts, Users []string }

// The placeholders, never matched again, which makes Text idempotent.
const (
	ip    = "<ip>"
	mac   = "<mac>"
	email = "<email>"
	home  = "<home>"
	host  = "<host>"
	user  = "<user>"
)

// maxRounds bounds the rounds of Text. A round can only find something new
// where the one before cut a text in two; one is enough for ordinary text.
const maxRounds = 16

// Text returns s with every address and name replaced by <ip>, <mac>, <email>,
// <home>, <host> or <user>. It is idempotent, never longer than four times s,
// and always UTF-8: bytes that are not become U+FFFD.
func Text(s string, n Names) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	rules := newRules(n)
	for range maxRounds {
		next := rules.round(s)
		if next == s {
			break
		}
		s = next
	}
	return s
}

// rule replaces what it finds in a text that holds no placeholder.
type rule func(s string) string

type rules struct {
	placeholder *regexp.Regexp
	all         []rule
}

func newRules(n Names) rules {
	return rules{
		placeholder: placeholders,
		all: []rule{
			replaceEmails, replaceHomes, replaceMACs, replaceIPv6, replaceIPv4,
			replaceNames(clean(n.Hosts, "localhost"), host),
			replaceNames(clean(n.Users, "root"), user),
		},
	}
}

// round applies every rule once, each between the placeholders only.
func (r rules) round(s string) string {
	for _, apply := range r.all {
		s = r.between(s, apply)
	}
	return s
}

func (r rules) between(s string, apply rule) string {
	marks := r.placeholder.FindAllStringIndex(s, -1)
	if marks == nil {
		return apply(s)
	}
	var b strings.Builder
	from := 0
	for _, m := range marks {
		b.WriteString(apply(s[from:m[0]]))
		b.WriteString(s[m[0]:m[1]])
		from = m[1]
	}
	b.WriteString(apply(s[from:]))
	return b.String()
}

// clean drops names that would do harm and puts longer ones first, so that
// "web1.example.com" goes before "web1".
func clean(names []string, keep string) []string {
	var out []string
	for _, n := range names {
		n = strings.TrimSpace(n)
		if len(n) >= 2 && utf8.ValidString(n) && !strings.ContainsAny(n, "<>\uFFFD") && !strings.EqualFold(n, keep) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(out)
}
