package redact

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unitSuffixes end the names of systemd units, whose instances look like
// e-mail addresses ("getty@tty1.service").
var unitSuffixes = []string{
	".service", ".socket", ".timer", ".mount", ".slice", ".target", ".scope", ".path", ".device", ".swap", ".automount",
}

// longestLocal is the longest part of an e-mail address before the "@", in bytes.
const longestLocal = 256

// emails finds name@example.org, "a name"@example.org and, in links, name%40example.org.
func (r *Redactor) emails(s string, cuts []cut) []cut {
	least := 0
	for i := 0; ; {
		at, width := nextAt(s, i)
		if at < 0 {
			return cuts
		}
		i = at + width
		from := localBack(s, at, least, width > 1)
		to := i + domainIn(s[i:])
		if from == at || to == i {
			continue
		}
		text := strings.ToLower(s[from:to])
		least, i = to, to
		if isUnit(text) {
			continue
		}
		if strings.IndexByte(text, '%') >= 0 {
			text = decoded.Replace(text)
		}
		cuts = append(cuts, cut{from, to, r.marks.of(kindEmail, text)})
	}
}

var decoded = strings.NewReplacer("%40", "@", "%2b", "+", "%2e", ".", "%5f", "_", "%2d", "-")

func isUnit(s string) bool {
	for _, suffix := range unitSuffixes {
		if strings.HasSuffix(s, suffix) {
			return true
		}
	}
	return strings.Contains(s, "@plt.") // puts@plt.sec, in a backtrace
}

// nextAt finds the next "@" or "%40" from i on, and its width; -1 for none.
func nextAt(s string, i int) (at, width int) {
	for ; i < len(s); i++ {
		switch {
		case s[i] == '@':
			return i, 1
		case s[i] == '%' && strings.HasPrefix(s[i:], "%40"):
			return i, 3
		}
	}
	return -1, 0
}

// localBack returns where the name that ends at end starts, end for none.
func localBack(s string, end, least int, inLink bool) int {
	least = max(least, end-longestLocal)
	if end-1 > least && s[end-1] == '"' {
		if q := strings.LastIndexByte(s[least:end-1], '"'); q >= 0 && !strings.ContainsAny(s[least+q:end], "\n@") {
			return least + q
		}
		return end
	}
	i := end
	for i > least {
		c, size := utf8.DecodeLastRuneInString(s[least:i])
		switch {
		case inLink && i-2 > least && s[i-3] == '%' && in(s[i-2], setHex) && in(s[i-1], setHex):
			if !strings.Contains("%2b%2e%5f%2d", strings.ToLower(s[i-3:i])) {
				return i // "%3Cbob%40example.org": a mark, no letter of the name
			}
			i -= 3
			continue
		case isWord(c), strings.ContainsRune("._%+-'", c) && (c != '%' || !inLink):
			i -= size
			continue
		}
		break
	}
	for i < end && s[i] == '\'' {
		i++ // a quotation, no part of it
	}
	return i
}

// domainIn returns how much of s is a domain of at least two labels, 0 for none.
func domainIn(s string) int {
	end, label, labels := 0, 0, 0
	for i := 0; ; {
		c, size := utf8.DecodeRuneInString(s[i:])
		if i < len(s) && (isWord(c) || c == '-') {
			i += size
			continue
		}
		if i == label {
			return end
		}
		if labels++; labels > 1 && isTop(s[label:i]) {
			end = i
		} else if labels > 1 {
			end = max(end, topPrefix(s, label, i))
		}
		if c != '.' || i >= len(s) {
			return end
		}
		i++
		label = i
	}
}

// isTop reports whether a label can be the last of a domain.
func isTop(label string) bool {
	if strings.HasPrefix(label, "xn--") {
		return true
	}
	for _, c := range label {
		if !unicode.IsLetter(c) {
			return false
		}
	}
	return utf8.RuneCountInString(label) >= 2
}

// topPrefix returns where the letters end that s[label:end] starts with, 0
// where they are fewer than two.
func topPrefix(s string, label, end int) int {
	n := 0
	for i, c := range s[label:end] {
		if !unicode.IsLetter(c) {
			if n < 2 {
				return 0
			}
			return label + i
		}
		n++
	}
	return 0
}

// logins finds the names in name@10.0.0.1, and before the name of a host that is known.
func (r *Redactor) logins(s string, cuts []cut) []cut {
	for i, least := 0, 0; ; {
		n := strings.IndexByte(s[i:], '@')
		if n < 0 {
			return cuts
		}
		at := i + n
		i = at + 1
		from := runBack(s, at, max(least, at-longestLocal), setKey)
		if from == at || !in(s[from], setLetter) || strings.EqualFold(s[from:at], "root") {
			continue
		}
		if isAddressAt(s[i:]) || r.hosts.lengthAt(s[i:]) > 0 {
			cuts = append(cuts, cut{from, at, r.user(s[from:at])})
			least = at
		}
	}
}

const invalidUser = "nvalid user "

// beforeUsers stand before the name of a user in the log of a login.
var beforeUsers = []string{invalidUser, "for user ", "of user ", "assword for ", "ublickey for ", "interactive/pam for "}

// afterUsers stand behind it; without one, "for user space" would be a user.
var afterUsers = []string{" from ", "(uid=", " by ", ".\n", ":\n"}

// phrases finds names that only their place in a sentence tells: users of a
// directory service, and those whom somebody tried.
func (r *Redactor) phrases(s string, cuts []cut) []cut {
	if !strings.Contains(s, " user ") && !strings.Contains(s, " for ") {
		return cuts
	}
	for i := 0; i < len(s); i++ {
		n := strings.IndexByte(s[i:], 'r')
		if n < 0 {
			return cuts
		}
		i += n
		if !strings.HasPrefix(s[i:], "r ") {
			continue
		}
		from := i + 2
		for _, phrase := range beforeUsers {
			if !strings.HasSuffix(s[:from], phrase) {
				continue
			}
			to := run(s[:min(len(s), from+longestLocal)], from, setKey)
			to = from + len(strings.TrimRight(s[from:to], "."))
			if to > from && isName(s[from:to]) && !noValues[strings.ToLower(s[from:to])] && userEnds(s[to:]) {
				who := strings.ToLower(s[from:to])
				if phrase != invalidUser {
					r.learn(who) // whom an attacker tries is mostly a word
				}
				cuts = append(cuts, cut{from, to, r.marks.of(kindUser, who)})
				i = to
				break
			}
		}
	}
	return cuts
}

func userEnds(s string) bool {
	for _, after := range afterUsers {
		if strings.HasPrefix(s, after) || len(after) == 2 && s == after[:1] {
			return true
		}
	}
	return false
}

// isAddressAt reports whether s starts with an address, in brackets or not.
func isAddressAt(s string) bool {
	s = strings.TrimPrefix(s, "[")
	n := 0
	for n < len(s) && n <= longestIPv6 && (in(s[n], setHex) || s[n] == ':' || s[n] == '.') {
		n++
	}
	if _, _, ok := octets(s[:n], 0, '.'); ok {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimRight(s[:n], ":."))
	return err == nil
}

// nameList holds names of hosts or of users.
type nameList struct {
	kind    kind
	names   []string          // longest first
	numbers map[string]string // by lower-case name: what its number goes by
	domains map[string]bool   // lower-case names that other names may stand before
	firsts  [256]bool         // bytes that one may start with
}

// localDomains are the domains of one label that name machines.
var localDomains = []string{"lan", "local", "home", "corp", "intranet"}

func newNameList(names []string, keep string, k kind) *nameList {
	l := &nameList{kind: k, numbers: map[string]string{}, domains: map[string]bool{}}
	l.names = cleanNames(names, keep)
	for _, n := range l.names {
		lower := strings.ToLower(n)
		l.numbers[lower] = lower
		first, domain, ok := strings.Cut(lower, ".")
		if k != kindHost || !ok {
			continue
		}
		l.numbers[lower] = first // "web1" and "web1.example.com" are one machine
		if strings.Contains(strings.Trim(domain, "."), ".") || slices.Contains(localDomains, domain) {
			l.domains[domain] = true
		}
	}
	for d := range l.domains {
		if _, known := l.numbers[d]; !known {
			l.names = append(l.names, d)
			l.numbers[d] = d
		}
	}
	l.names = cleanNames(l.names, keep)
	for _, n := range l.names {
		l.first(n)
	}
	return l
}

// first remembers with which bytes name may start, in either case.
func (l *nameList) first(name string) {
	r, _ := utf8.DecodeRuneInString(name)
	for f := unicode.SimpleFold(r); ; f = unicode.SimpleFold(f) {
		l.firsts[string(f)[0]] = true
		if f == r {
			return
		}
	}
}

// named finds the names of l that stand alone: no letter or digit touches them.
func (r *Redactor) named(l *nameList) rule {
	return func(s string, cuts []cut) []cut {
		if len(l.names) == 0 {
			return cuts
		}
		from, alone := 0, true
		for i := 0; i < len(s); {
			c := s[i]
			if alone && l.firsts[c] {
				if n := l.lengthAt(s[i:]); n > 0 && !joined(s, i, n) {
					if start, key := l.whole(s, from, i, n); key != "" {
						cuts = append(cuts, cut{start, i + n, r.marks.of(l.kind, key)})
						i += n
						from = i
						continue // a token stands before what follows
					}
				}
			}
			if c < utf8.RuneSelf {
				alone = !isASCIIWord(c)
				i++
				continue
			}
			u, size := utf8.DecodeRuneInString(s[i:])
			alone = !isWord(u)
			i += size
		}
		return cuts
	}
}

// shortName is the length up to which a name that is a part of a longer word
// stays: a machine called "vm" does not own total_vm_kib.
const shortName = 3

// joined reports whether a short name is a part of a word with marks in it.
func joined(s string, i, n int) bool {
	mark := func(c byte) bool { return c == '_' || c == '-' }
	return n <= shortName && (i > 0 && mark(s[i-1]) || i+n < len(s) && mark(s[i+n]))
}

// longestHost is the longest name of a host, in bytes.
const longestHost = 253

// whole returns where the name starts whose end, of n bytes, was found at i:
// before a domain its labels belong to it. The key is empty for a domain of
// one label alone: /usr/local.
func (l *nameList) whole(s string, least, i, n int) (start int, key string) {
	key = strings.ToLower(s[i : i+n])
	if number, known := l.numbers[key]; known {
		key = number
	}
	if !l.domains[key] {
		return i, key
	}
	start = i
	least = max(least, i-longestHost)
	for i > least && s[i-1] == '.' && start > least && (isASCIIWord(s[start-1]) || s[start-1] == '-' || s[start-1] == '.' && s[start] != '.') {
		start--
	}
	for s[start] == '.' || s[start] == '-' {
		start++
	}
	if start == i && slices.Contains(localDomains, key) {
		return i, ""
	}
	return start, strings.ToLower(s[start : i+n])
}

// lengthAt is the length of the name that s starts with, 0 for none.
func (l *nameList) lengthAt(s string) int {
	if s == "" || !l.firsts[s[0]] {
		return 0
	}
	for _, n := range l.names {
		if len(n) <= len(s) && strings.EqualFold(s[:len(n)], n) && !wordAfter(s, len(n)) {
			return len(n)
		}
	}
	return 0
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
