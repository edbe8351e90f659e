package redact

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	placeholders = regexp.MustCompile(`<(?:ip|mac|email|home|host|user)>`)
	emails       = regexp.MustCompile(`[\p{L}\p{N}._%+-]+(?:@|%40)[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}`)
	homes        = regexp.MustCompile(`/home/+[^/\s:;,"'<>|()\[\]{}\x00]+|%2[Ff]home(?:%2[Ff])+[^/\s:;,"'<>|()\[\]{}\x00%&]+`)
	macs         = regexp.MustCompile(`(\b|_)[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5,19}|(?:-[0-9A-Fa-f]{2}){5,19})(\b|_)`)
	dotted       = regexp.MustCompile(`\d+(?:\.\d+){3,}`)
	ipv6s        = regexp.MustCompile(`[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?:\.\d{1,5}){0,3}`)
)

// unitSuffixes end the names of systemd units, whose instances look like
// e-mail addresses ("getty@tty1.service").
var unitSuffixes = []string{
	".service", ".socket", ".timer", ".mount", ".slice", ".target", ".scope", ".path", ".device", ".swap",
}

func replaceEmails(s string) string {
	replace := func(token string) string {
		return emails.ReplaceAllStringFunc(token, func(m string) string {
			for _, suffix := range unitSuffixes {
				if strings.HasSuffix(m, suffix) {
					return m
				}
			}
			return email
		})
	}
	return tokens(tokens(s, "@", 1, replace), "%40", 1, replace)
}

func replaceHomes(s string) string {
	if !strings.Contains(s, "home") {
		return s
	}
	return homes.ReplaceAllString(s, home)
}

func replaceMACs(s string) string {
	replace := func(token string) string { return macs.ReplaceAllString(token, "${1}"+mac+"${2}") }
	return tokens(tokens(s, ":", 5, replace), "-", 5, replace)
}

// replaceIPv4 looks at whole runs of numbers and dots, whatever stands around
// them: the address in "if0_10.0.0.1" is one too.
func replaceIPv4(s string) string {
	return tokens(s, ".", 3, func(token string) string {
		return dotted.ReplaceAllStringFunc(token, func(run string) string {
			parts := strings.Split(run, ".")
			var out []string
			for len(parts) > 0 {
				if len(parts) >= 4 && !slices.ContainsFunc(parts[:4], notOctet) {
					out, parts = append(out, ip), parts[4:]
					continue
				}
				out, parts = append(out, parts[0]), parts[1:]
			}
			return strings.Join(out, ".")
		})
	})
}

func notOctet(part string) bool { return len(part) > 3 || len(part) == 3 && part > "255" }

func replaceIPv6(s string) string { return tokens(s, ":", 2, ipv6Tokens) }

// tokens applies replace to each run of letters, digits and the marks that
// addresses are made of, where the run has sep at least n times. Most of a
// text has no such run, and the patterns are slow.
func tokens(s, sep string, n int, replace func(token string) string) string {
	if strings.Count(s, sep) < n {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		start := strings.IndexFunc(s, inToken)
		if start < 0 {
			break
		}
		end := len(s)
		if i := strings.IndexFunc(s[start:], notInToken); i >= 0 {
			end = start + i
		}
		b.WriteString(s[:start])
		if token := s[start:end]; strings.Count(token, sep) >= n {
			b.WriteString(replace(token))
		} else {
			b.WriteString(token)
		}
		s = s[end:]
	}
	b.WriteString(s)
	return b.String()
}

func inToken(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r >= 'A' && r <= 'Z':
		return true
	case r < utf8.RuneSelf:
		return strings.IndexByte(".:-%_+@", byte(r)) >= 0
	}
	return isWord(r)
}

func notInToken(r rune) bool { return !inToken(r) }

// ipv6Tokens looks at each run of hexadecimal digits and colons that stands
// apart from other letters and digits, so that C++ names (std::bad_alloc) stay.
func ipv6Tokens(s string) string {
	var b strings.Builder
	from := 0
	for _, m := range ipv6s.FindAllStringIndex(s, -1) {
		if m[0] < from {
			continue // the zone of the one before reaches into it; the next round looks again
		}
		start, end := ipv6Within(s, m[0], m[1])
		if start == end {
			continue
		}
		b.WriteString(s[from:start])
		b.WriteString(ip)
		from = end
	}
	if from == 0 {
		return s
	}
	b.WriteString(s[from:])
	return b.String()
}

// longestIPv6 is the text of the longest IPv6 address, in bytes.
const longestIPv6 = 45

// ipv6Within returns where in the run s[start:end] an address stands; the two
// are equal where there is none.
func ipv6Within(s string, start, end int) (from, to int) {
	if wordBefore(s, start) {
		if s[start] != ':' || strings.HasPrefix(s[start:end], "::") {
			return start, start
		}
	}
	if s[start] == ':' && !strings.HasPrefix(s[start:end], "::") {
		start++ // "addr:fe80::1"
	}
	if start < end && s[end-1] == ':' && !strings.HasSuffix(s[start:end], "::") {
		end-- // "fe80::1: no route"
	}
	skip, length := addressIn(s[start:end], wordAfter(s, end))
	if length == 0 {
		return start, start
	}
	start, end = start+skip, start+skip+length
	if zone := zonePattern.FindString(s[end:]); zone != "" {
		end += len(zone)
	}
	return start, end
}

// addressIn finds the address in a run: all of it, or without the port that
// some tools put behind a dot or a colon, or without a word before it that
// looks like digits ("added:fe80::1"). Where a letter follows, only what is
// before a dot can be one.
func addressIn(run string, wordFollows bool) (skip, length int) {
	starts, ends := []int{0}, []int{}
	if i := strings.IndexByte(run, ':'); i >= 0 {
		starts = append(starts, i+1)
	}
	if !wordFollows {
		ends = append(ends, len(run))
	}
	dot := strings.IndexByte(run, '.')
	if last := strings.LastIndexByte(run, '.'); last >= 0 && last != dot {
		ends = append(ends, last)
	}
	if dot >= 0 {
		ends = append(ends, dot)
	} else if i := strings.LastIndexByte(run, ':'); i >= 0 && !wordFollows {
		ends = append(ends, i)
	}
	for _, from := range starts {
		for _, to := range ends {
			if to > from && to-from <= longestIPv6 && strings.Trim(run[from:to], ":") != "" {
				if _, err := netip.ParseAddr(run[from:to]); err == nil {
					return from, to - from
				}
			}
		}
	}
	return 0, 0
}

var zonePattern = regexp.MustCompile(`^%[0-9A-Za-z_.-]{1,15}`)

// replaceNames replaces names that stand alone: no letter or digit touches them.
func replaceNames(names []string, with string) rule {
	firsts := firstBytes(names)
	return func(s string) string {
		if len(names) == 0 {
			return s
		}
		var b strings.Builder
		from, alone := 0, true
		for i := 0; i < len(s); {
			if alone {
				if n := nameAt(s[i:], names, firsts); n > 0 {
					b.WriteString(s[from:i])
					b.WriteString(with)
					i += n
					from = i
					alone = true // a placeholder stands before what follows
					continue
				}
			}
			r, size := utf8.DecodeRuneInString(s[i:])
			alone = !isWord(r)
			i += size
		}
		if from == 0 {
			return s
		}
		b.WriteString(s[from:])
		return b.String()
	}
}

// nameAt is the length of the name that s starts with, 0 for none.
func nameAt(s string, names []string, firsts *[256]bool) int {
	if !firsts[s[0]] {
		return 0
	}
	for _, n := range names {
		if len(n) <= len(s) && strings.EqualFold(s[:len(n)], n) && !wordAfter(s, len(n)) {
			return len(n)
		}
	}
	return 0
}

// firstBytes holds the bytes that a name in either case may start with.
func firstBytes(names []string) *[256]bool {
	var set [256]bool
	for _, n := range names {
		r, _ := utf8.DecodeRuneInString(n)
		for f := unicode.SimpleFold(r); ; f = unicode.SimpleFold(f) {
			set[string(f)[0]] = true
			if f == r {
				break
			}
		}
	}
	return &set
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// wordBefore reports whether a letter or digit ends at i.
func wordBefore(s string, i int) bool {
	r, _ := utf8.DecodeLastRuneInString(s[:i])
	return i > 0 && isWord(r)
}

// wordAfter reports whether a letter or digit starts at i.
func wordAfter(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i:])
	return i < len(s) && isWord(r)
}
