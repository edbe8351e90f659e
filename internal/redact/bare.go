package redact

import (
	"strconv"
	"strings"
)

// bareSecrets finds secrets that no key with a mark tells of, only the words
// before them or the fields beside them: in .netrc and .pgpass, of SASL, of
// kubeadm. Each finder looks for its own word, so that most texts cost little.
func (r *Redactor) bareSecrets() []rule {
	return []rule{
		r.bare("assw", kindPassword, netrcAt),
		r.bare(":", kindPassword, pgpassAt),
		r.bare("AUTH", kindToken, saslAt),
		r.bare("oken ", kindToken, joinTokenAt),
	}
}

// bare makes a rule of a finder: it is asked wherever word stands, and returns
// where the secret is; to is 0 for none.
func (r *Redactor) bare(word string, k kind, find func(s string, i int) (from, to int)) rule {
	return func(s string, cuts []cut) []cut {
		for i := 0; ; {
			n := strings.Index(s[i:], word)
			if n < 0 {
				return cuts
			}
			at := i + n
			i = at + len(word)
			if from, to := find(s, at); to > from {
				cuts = append(cuts, cut{from, to, r.marks.of(k, "")})
				i = max(i, to)
			}
		}
	}
}

// longestWord is how far back a word is looked for, in bytes.
const longestWord = 128

// netrcAt looks at "password" or "passwd" around i: in .netrc a blank follows
// it, and "login name" or "machine name" stands before it.
func netrcAt(s string, i int) (from, to int) {
	start := i - 1
	if start < 1 || s[start] != 'p' || !in(s[start-1], setSpace) {
		return 0, 0
	}
	switch {
	case strings.HasPrefix(s[start:], "password"):
		from = start + len("password")
	case strings.HasPrefix(s[start:], "passwd"):
		from = start + len("passwd")
	}
	if from == 0 || from >= len(s) || s[from] != ' ' && s[from] != '\t' {
		return 0, 0
	}
	_, before := wordBack(s, start)
	switch second, _ := wordBack(s, before); second {
	case "login", "machine", "account":
	default:
		return 0, 0
	}
	v := valueIn(s, from)
	if v.to == v.from || tellsNone(v.text(s), v.quoted) {
		return 0, 0
	}
	return v.from, v.to
}

// wordBack returns the word that ends before the blanks before i, and where it starts.
func wordBack(s string, i int) (word string, start int) {
	least := max(0, i-longestWord)
	for i > least && in(s[i-1], setSpace) {
		i--
	}
	start = i
	for start > least && !in(s[start-1], setSpace) {
		start--
	}
	return s[start:i], start
}

// The ports that a line of .pgpass may hold. Lower numbers are mostly those of
// lines in a source file.
const leastPort, mostPort = 1024, 65535

// pgpassAt looks at the ":" at i, whether it is the first of
// host:port:database:user:password.
func pgpassAt(s string, i int) (from, to int) {
	at := run(s[:min(len(s), i+7)], i+1, setDigit)
	port, err := strconv.Atoi(s[i+1 : at])
	if err != nil || port < leastPort || port > mostPort {
		return 0, 0
	}
	host := runBack(s, i, max(0, i-longestHost), setKey)
	if host == i && i > 0 && s[i-1] == '*' {
		host-- // for every host
	}
	if host == i || host > 0 && strings.IndexByte("/:@%", s[host-1]) >= 0 {
		return 0, 0
	}
	hex := run(s, host, setHex) == i
	for range 2 {
		if at >= len(s) || s[at] != ':' {
			return 0, 0
		}
		start := at + 1
		if at = run(s[:min(len(s), start+longestKey)], start, setKey); at < len(s) && at == start && s[at] == '*' {
			at++
		}
		if at == start || isDigit(s[start]) {
			return 0, 0
		}
		hex = hex && run(s, start, setHex) >= at
	}
	if hex || at >= len(s) || s[at] != ':' || strings.HasPrefix(s[at:], "::") {
		return 0, 0 // an IPv6 address
	}
	from = at + 1
	if to = plainEnd(s, from); to == from || tellsNone(s[from:to], false) {
		return 0, 0
	}
	return from, to
}

// saslMechanisms take a secret on the line that starts them.
var saslMechanisms = []string{" PLAIN ", " LOGIN ", " XOAUTH2 ", " OAUTHBEARER "}

// saslAt looks behind "AUTH" for a mechanism and what is sent to it. In a list
// of mechanisms ("AUTH PLAIN LOGIN") no word has lower-case letters.
func saslAt(s string, i int) (from, to int) {
	i += len("AUTH")
	if strings.HasPrefix(s[i:], "ENTICATE") {
		i += len("ENTICATE")
	}
	for _, m := range saslMechanisms {
		if !strings.HasPrefix(s[i:], m) {
			continue
		}
		from = i + len(m)
		to = run(s, from, setBase64)
		if to-from < 8 || strings.ToUpper(s[from:min(to, from+longestLook)]) == s[from:min(to, from+longestLook)] {
			return 0, 0
		}
		for to < len(s) && s[to] == '=' {
			to++
		}
		return from, to
	}
	return 0, 0
}

// Lengths of the two halves of a token that joins a node to a cluster of
// Kubernetes.
const joinID, joinSecret = 6, 16

// joinTokenAt looks behind the word "token" at i-1 for one of kubeadm. The
// shape alone is not enough: ids of traces look like it.
func joinTokenAt(s string, i int) (from, to int) {
	if i < 1 || s[i-1]|0x20 != 't' || i > 1 && isASCIIWord(s[i-2]) {
		return 0, 0
	}
	from = i + len("oken ")
	if from < len(s) && strings.IndexByte("\"'`", s[from]) >= 0 {
		from++
	}
	dot := from + joinID
	to = dot + 1 + joinSecret
	if to > len(s) || s[dot] != '.' || to < len(s) && isASCIIWord(s[to]) {
		return 0, 0
	}
	for j := from; j < to; j++ {
		if j != dot && (!isASCIIWord(s[j]) || in(s[j], setUpper)) {
			return 0, 0
		}
	}
	return from, to
}
