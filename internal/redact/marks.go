package redact

import (
	"crypto/sha256"
	"strconv"
	"strings"
)

// kind is what a token stands for.
type kind int

const (
	kindIP kind = iota
	kindMAC
	kindEmail
	kindHome
	kindHost
	kindUser
	kindID       // of a machine or a piece of hardware
	kindKey      // from here on without a number
	kindToken    // what a service asks for
	kindPassword // what a person types
)

// kindNames are by kind; no name starts with another.
var kindNames = [...]string{"ip", "mac", "email", "home", "host", "user", "id", "key", "token", "password"}

func (k kind) String() string { return kindNames[k] }

// secret kinds have no numbers.
func (k kind) secret() bool { return k >= kindKey }

// maxNumber is the highest number of a token, and maxRemembered how many
// values one Redactor tells apart; further ones get a token without a number.
const (
	maxNumber     = 10_000
	maxRemembered = 10_000
	maxKey        = 64 // bytes of a value that are kept; longer ones are hashed
)

type value struct {
	kind kind
	key  string
}

// marks gives tokens to values. Its memory is bounded: at most maxRemembered
// keys of maxKey bytes, and as many numbers.
type marks struct {
	given map[value]string
	taken map[value]bool // numbers that a text brought along
	last  [len(kindNames)]int
}

func newMarks() marks {
	return marks{given: map[value]string{}, taken: map[value]bool{}}
}

// of returns the token of a value; key is its normal form.
func (m *marks) of(k kind, key string) string {
	if k.secret() {
		return "<" + k.String() + ">"
	}
	if len(key) > maxKey {
		sum := sha256.Sum256([]byte(key))
		key = "\x00" + string(sum[:])
	}
	v := value{k, key}
	if mark, ok := m.given[v]; ok {
		return mark
	}
	if len(m.given) >= maxRemembered {
		return "<" + k.String() + ">"
	}
	n := m.last[k] + 1
	for m.taken[value{k, strconv.Itoa(n)}] {
		n++
	}
	if n > maxNumber {
		m.last[k] = maxNumber
		return "<" + k.String() + ">"
	}
	m.last[k] = n
	mark := "<" + k.String() + "-" + strconv.Itoa(n) + ">"
	m.given[v] = mark
	return mark
}

// at returns the length of the token that s starts with, 0 for none, and
// remembers its number: no later value is to get one that a text brought.
func (m *marks) at(s string) int {
	if len(s) < 2 || s[1] < 'a' || s[1] > 'z' {
		return 0
	}
	for k, name := range kindNames {
		rest, ok := strings.CutPrefix(s[1:], name)
		if !ok {
			continue
		}
		number := ""
		if !kind(k).secret() && strings.HasPrefix(rest, "-") {
			number = rest[1 : 1+digitsIn(rest[1:])]
			rest = rest[1+len(number):]
			if n, err := strconv.Atoi(number); err != nil || n < 1 || n > maxNumber || number[0] == '0' {
				return 0
			}
		}
		if !strings.HasPrefix(rest, ">") {
			return 0
		}
		if number != "" {
			m.taken[value{kind(k), number}] = true
		}
		return len(s) - len(rest) + 1
	}
	return 0
}

// digitsIn counts the digits that s starts with, up to six.
func digitsIn(s string) int {
	n := 0
	for n < len(s) && n < 6 && isDigit(s[n]) {
		n++
	}
	return n
}

// Sets of bytes, looked at once for each byte of a text.
const (
	setDigit = 1 << iota
	setHex
	setLetter
	setUpper
	setKey     // of the name before "=" or ":"
	setBase64  // both alphabets, without padding
	setAddress // of what addresses are made of
	setSpace
)

var sets = newSets()

func newSets() *[256]uint8 {
	var t [256]uint8
	add := func(chars string, set uint8) {
		for i := range len(chars) {
			t[chars[i]] |= set
		}
	}
	const lower, upper, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	add(digits, setDigit)
	add(digits+"abcdefABCDEF", setHex)
	add(lower+upper, setLetter)
	add(upper, setUpper)
	add(lower+upper+digits+"_.-", setKey)
	add(lower+upper+digits+"+/-_", setBase64)
	add(lower+upper+digits+".:-%_+@", setAddress)
	add(" \t\r\n\v\f", setSpace)
	for c := 0x80; c <= 0xff; c++ {
		t[c] |= setAddress
	}
	return &t
}

func in(c byte, set uint8) bool { return sets[c]&set != 0 }

func isDigit(c byte) bool { return in(c, setDigit) }

// run returns where the bytes of a set that start at i end.
func run(s string, i int, set uint8) int {
	for i < len(s) && in(s[i], set) {
		i++
	}
	return i
}

// runBack returns where the bytes of a set that end at i start, at or after least.
func runBack(s string, i, least int, set uint8) int {
	for i > least && in(s[i-1], set) {
		i--
	}
	return i
}

// mixed reports whether s has n bytes and, unless it has 20, letters and digits
// in it: no single word.
func mixed(s string, n int) bool {
	if len(s) < n {
		return false
	}
	var seen uint8
	for i := range len(s) {
		seen |= sets[s[i]]
	}
	return seen&setDigit != 0 && seen&setLetter != 0 || len(s) >= 20
}
