package redact

import (
	"encoding/hex"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// addresses finds MAC, IPv6 and IPv4 addresses. It goes once over the runs of
// the bytes that addresses are made of; few have enough marks to look at.
func (r *Redactor) addresses(s string, cuts []cut) []cut {
	for i := 0; i < len(s); {
		if !in(s[i], setAddress) {
			i++
			continue
		}
		start := i
		var colons, dots, dashes, lows int
		for ; i < len(s) && in(s[i], setAddress); i++ {
			switch s[i] {
			case ':':
				colons++
			case '.':
				dots++
			case '-':
				dashes++
			case '_':
				lows++
			}
		}
		word, before := s[start:i], len(cuts)
		if colons >= 5 || dashes >= 5 || lows >= 5 {
			cuts = r.macs(word, start, cuts)
		}
		if colons >= 2 && len(cuts) == before {
			cuts = r.ipv6(word, start, cuts)
		}
		if dots >= 3 && strings.Contains(word, ".ip6.arpa") {
			cuts = r.reversed(word, start, cuts)
		}
		if dots >= 3 && len(cuts) == before {
			cuts = r.ipv4(s, start, i, cuts)
		}
		if dashes >= 4 && len(cuts) == before {
			cuts = r.dashed(word, start, cuts)
		}
	}
	return cuts
}

// A MAC address has 6 pairs of digits; that of InfiniBand has 20.
const minPairs, maxPairs = 6, 20

// Two addresses of six pairs name no machine.
const broadcastMAC, noMAC = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"

// isNowhere reports whether an address is the same on every machine: loopback,
// "any" and broadcast.
func isNowhere(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsUnspecified() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// macs finds pairs of digits with one kind of mark between them, where no
// other letter or digit touches them. base is where word stands.
func (r *Redactor) macs(word string, base int, cuts []cut) []cut {
	for i, behind := 0, 0; i+3*minPairs-1 <= len(word); {
		if i > behind && isASCIIWord(word[i-1]) {
			i++
			continue
		}
		n, sep := 0, byte(0)
		at := i
		for n < maxPairs && at+2 <= len(word) && in(word[at], setHex) && in(word[at+1], setHex) {
			n++
			at += 2
			if at == len(word) || n > 1 && word[at] != sep || strings.IndexByte(":-_", word[at]) < 0 {
				break
			}
			sep = word[at]
			at++
		}
		end := i + 3*n - 1
		if n > minPairs && end < len(word) && isASCIIWord(word[end]) {
			end -= 3 // a letter touches the last pair only
		} else if n < minPairs || end < len(word) && isASCIIWord(word[end]) {
			i = max(i+1, end-2) // the last pair may be the first of another run
			continue
		}
		key := strings.Map(func(c rune) rune {
			if c == '-' || c == '_' {
				return ':'
			}
			return c
		}, strings.ToLower(word[i:end]))
		if key != broadcastMAC && key != noMAC {
			cuts = append(cuts, cut{base + i, base + end, r.marks.of(kindMAC, key)})
		}
		i, behind = end, end
	}
	return cuts
}

func isASCIIWord(c byte) bool { return in(c, setLetter|setDigit) }

// leastOID is how many numbers with dots between them are no address any more,
// but an object id of SNMP or X.509. Five are an address and its port.
const leastOID = 6

// ipv4 looks at whole runs of numbers and dots in s[from:to], whatever stands
// around them: the address in "if0_10.0.0.1" is one too.
func (r *Redactor) ipv4(s string, from, to int, cuts []cut) []cut {
	word, seen := s[:to], from
	for i := from; i < to; {
		if !isDigit(s[i]) {
			i++
			continue
		}
		if i >= seen {
			var numbers int
			if seen, numbers = dotted(word, i); numbers >= leastOID {
				i = seen
				continue
			}
		}
		end, addr, ok := octets(word, i, '.')
		if !ok {
			i = run(word, i, setDigit)
			continue
		}
		version := isVersion(s, i, end, addr)
		if strings.HasPrefix(word[end:], ".in-addr.arpa") {
			a := addr.As4()
			slices.Reverse(a[:])
			addr = netip.AddrFrom4(a)
		}
		if !version && !isNowhere(addr) {
			cuts = append(cuts, cut{i, end, r.marks.of(kindIP, addr.String())})
		}
		i = end
	}
	return cuts
}

// dotted returns where the numbers with dots between them end that start at i,
// and how many they are.
func dotted(s string, i int) (end, numbers int) {
	for {
		i = run(s, i, setDigit)
		numbers++
		if i+1 >= len(s) || s[i] != '.' || !isDigit(s[i+1]) {
			return i, numbers
		}
		i++
	}
}

// longestProduct is the longest name of a product before a version, in bytes.
const longestProduct = 32

// isVersion reports whether the four numbers s[i:end] are a version: of a
// library (libx.so.1.2.3.4) or of a product (Chrome/120.0.0.0). Java writes a
// host and its address the same way (db1/203.0.113.7:5432), so that the name
// must look like one of a product, or the version like nobody's address.
func isVersion(s string, i, end int, addr netip.Addr) bool {
	if strings.HasSuffix(s[:i], ".so.") {
		return true
	}
	if i < 2 || s[i-1] != '/' || !in(s[i-2], setLetter) || addr.IsPrivate() || end < len(s) && (s[end] == ':' || s[end] == '/') {
		return false
	}
	if a := addr.As4(); a[2] == 0 && a[3] == 0 {
		return true
	}
	name := runBack(s, i-1, max(0, i-1-longestProduct), setLetter)
	apart := name == 0 || in(s[name-1], setSpace) || strings.IndexByte("\"'(;,", s[name-1]) >= 0
	return apart && i-1-name >= 3 && in(s[name], setUpper) && !in(s[name+1], setUpper)
}

// reversed finds the digits that stand before ".ip6.arpa" in the DNS.
func (r *Redactor) reversed(word string, base int, cuts []cut) []cut {
	for i, least := 0, 0; ; {
		n := strings.Index(word[i:], ".ip6.arpa")
		if n < 0 {
			return cuts
		}
		to := i + n
		i = to + 1
		var digits []byte
		from := to
		for from > least && len(digits) < 32 && in(word[from-1], setHex) && (from == to || word[from] == '.') {
			digits = append(digits, word[from-1]|0x20) // digits have the bit anyway
			if from--; from-1 > least && word[from-1] == '.' && in(word[from-2], setHex) {
				from--
			}
		}
		if from == to {
			continue
		}
		cuts = append(cuts, cut{base + from, base + to, r.marks.of(kindIP, nibbles(digits))})
		least = to
	}
}

// nibbles is the address of which digits are all; some of them stand for themselves.
func nibbles(digits []byte) string {
	var a [16]byte
	if n, err := hex.Decode(a[:], digits); err == nil && n == len(a) {
		return netip.AddrFrom16(a).Unmap().String()
	}
	return string(digits)
}

// octets reads four numbers up to 255 with sep between them, and returns the
// address that they are.
func octets(s string, i int, sep byte) (end int, addr netip.Addr, ok bool) {
	var a [4]byte
	for n := range a {
		if n > 0 {
			if i >= len(s) || s[i] != sep {
				return 0, addr, false
			}
			i++
		}
		v, start := 0, i
		for ; i < len(s) && isDigit(s[i]); i++ {
			if v = 10*v + int(s[i]-'0'); i-start >= 3 || v > 255 {
				return 0, addr, false
			}
		}
		if i == start {
			return 0, addr, false
		}
		a[n] = byte(v)
	}
	return i, netip.AddrFrom4(a), true
}

// dashedPrefixes stand before an address in the names that providers make
// from it: ip-10-0-0-1.eu-west-1.compute.internal.
var dashedPrefixes = []string{
	"ip-", "ec2-", "host-", "dhcp-", "dsl-", "adsl-", "dyn-", "static-", "pool-", "cpe-", "ppp-", "vm-", "node-", "c-",
}

func (r *Redactor) dashed(word string, base int, cuts []cut) []cut {
	for i := 1; i < len(word); i++ {
		if word[i-1] != '-' || !isDigit(word[i]) || !dashedPrefix(word[:i]) {
			continue
		}
		end, addr, ok := octets(word, i, '-')
		if ok && !isNowhere(addr) && (end == len(word) || word[end] != '-' && word[end] != '_' && !isASCIIWord(word[end])) {
			cuts = append(cuts, cut{base + i, base + end, r.marks.of(kindIP, addr.String())})
			i = end
		}
	}
	return cuts
}

func dashedPrefix(s string) bool {
	for _, p := range dashedPrefixes {
		if n := len(s) - len(p); n >= 0 && strings.EqualFold(s[n:], p) && (n == 0 || !isASCIIWord(s[n-1])) {
			return true
		}
	}
	return false
}

var ipv6s = sync.OnceValue(func() *regexp.Regexp { // made when first needed: most processes that link it never do
	return regexp.MustCompile(`[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?:\.\d{1,5}){0,3}`)
})

// ipv6 looks at each run of hexadecimal digits and colons that stands apart
// from other letters and digits, so that C++ names (std::bad_alloc) stay.
func (r *Redactor) ipv6(s string, base int, cuts []cut) []cut {
	for i := 0; ; {
		m := ipv6s().FindStringIndex(s[i:])
		if m == nil {
			return cuts
		}
		from, to := m[0]+i, m[1]+i
		i = to
		if strings.Count(s[from:to], ":") < 2 {
			continue
		}
		from, to = ipv6Within(s, from, to)
		addr, err := netip.ParseAddr(s[from:to])
		if err != nil {
			continue
		}
		if isNowhere(addr) || isLoopbackPort(s[from:to]) {
			i = to
			continue
		}
		to += zoneAt(s[to:])
		cuts = append(cuts, cut{base + from, base + to, r.marks.of(kindIP, addr.Unmap().String())})
		s, base, i = s[to:], base+to, 0 // what follows stands behind a token
	}
}

// longestIPv6 is the text of the longest IPv6 address, in bytes.
const longestIPv6 = 45

// isLoopbackPort reports whether an address is what netstat writes for a port
// of ::1 ("::1:631").
func isLoopbackPort(s string) bool {
	port, ok := strings.CutPrefix(s, "::1:")
	return ok && run(port, 0, setDigit) == len(port)
}

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
	if strings.HasPrefix(s[start:end], ":::") {
		return start, start // ":::3000" is a port of every address
	}
	if start < end && s[end-1] == ':' && !strings.HasSuffix(s[start:end], "::") {
		end-- // "fe80::1: no route"
	}
	skip, length := addressIn(s[start:end], wordAfter(s, end))
	if length == 0 {
		return start, start
	}
	return start + skip, start + skip + length
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

// longestZone is the name of an interface, in bytes.
const longestZone = 15

// zoneAt returns how much of s is a zone: "%eth0", in a link "%25eth0".
func zoneAt(s string) int {
	if s == "" || s[0] != '%' {
		return 0
	}
	n := run(s[:min(len(s), 1+longestZone)], 1, setKey)
	if n == 1 {
		return 0
	}
	return n
}

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
