package redact

import "strings"

// pemBlocks finds keys, certificates and messages in PEM: whole, or cut off by
// the end of a clipped log. Certificates go too, since they name hosts.
func (r *Redactor) pemBlocks(s string, cuts []cut) []cut {
	if !strings.Contains(s, pemDashes) {
		return cuts
	}
	least, nextEnd := 0, -1
	for i := 0; ; {
		n := strings.Index(s[i:], pemDashes)
		if n < 0 {
			return cuts
		}
		i += n
		rest := s[i+len(pemDashes):]
		switch {
		case strings.HasPrefix(rest, "BEGIN "):
			if nextEnd >= 0 && nextEnd < i || nextEnd == -1 {
				nextEnd = indexFrom(s, pemDashes+"END ", i)
			}
			to := pemBodyEnd(s, i)
			if nextEnd-i < longestPEM {
				to = max(to, lineEnd(s, nextEnd))
			}
			cuts = append(cuts, cut{i, to, r.marks.of(kindKey, "")})
			i, least = to, to
		case strings.HasPrefix(rest, "END "):
			from := pemBodyStart(s, i, least)
			to := lineEnd(s, i)
			cuts = append(cuts, cut{from, to, r.marks.of(kindKey, "")})
			i, least = to, to
		default:
			i += len(pemDashes)
		}
	}
}

// endsInPEM reports whether s ends within a block.
func endsInPEM(s string) bool {
	i := strings.LastIndex(s, pemDashes+"BEGIN ")
	return i >= 0 && pemBodyEnd(s, i) >= len(strings.TrimSpace(s))
}

// isPEMLine reports whether s can be a line of a block's body.
func isPEMLine(s string) bool {
	s = strings.TrimSpace(s)
	return s != "" && strings.HasSuffix("====", s[run(s, 0, setBase64):]) && !strings.Contains(s, pemDashes)
}

// staysInPEM reports whether s is a line before the body.
func staysInPEM(s string) bool {
	key, _, ok := strings.Cut(strings.TrimSpace(s), ":")
	return key == "" || ok && pemHeaders[key]
}

const (
	pemDashes    = "-----"
	longestPEM   = 32 << 10 // bytes between BEGIN and its END
	longestLabel = 80       // bytes of a BEGIN or END line
	shortestPEM  = 40       // bytes in a line that is taken for one of a block without BEGIN
)

// pemHeaders are what may stand before the body.
var pemHeaders = map[string]bool{"Proc-Type": true, "DEK-Info": true, "Version": true, "Comment": true, "Charset": true, "Hash": true, "Subject": true}

// indexFrom is where sub stands in s at or after i; where it stands nowhere,
// too far away for anybody.
func indexFrom(s, sub string, i int) int {
	if n := strings.Index(s[i:], sub); n >= 0 {
		return i + n
	}
	return 1 << 60
}

// lineEnd returns where the BEGIN or END line that starts at i ends: behind
// its second dashes, or at the end of the line where they are missing.
func lineEnd(s string, i int) int {
	i += len(pemDashes)
	line := s[i:min(len(s), i+longestLabel)]
	if n := strings.IndexByte(line, '\n'); n >= 0 {
		line = line[:n]
	}
	if n := strings.Index(line, pemDashes); n >= 0 {
		return i + n + len(pemDashes)
	}
	return i + len(strings.TrimRight(line, "\r"))
}

// pemBodyEnd returns where the block whose BEGIN line starts at i stops to
// look like one: at the first line with anything but base64 and headers.
func pemBodyEnd(s string, i int) int {
	end := lineEnd(s, i)
	for at := end; ; {
		start := at
		for start < len(s) && (in(s[start], setSpace) || strings.HasPrefix(s[start:], `\n`) || strings.HasPrefix(s[start:], `\r`)) {
			if s[start] == '\\' {
				start++
			}
			start++
		}
		at = run(s, start, setBase64|setKey)
		for at < len(s) && s[at] == '=' {
			at++
		}
		if start == at {
			return end
		}
		if at < len(s) && s[at] == ':' && pemHeaders[s[start:at]] {
			n := strings.IndexByte(s[at:], '\n')
			if n < 0 {
				return len(s)
			}
			at += n
		} else if at < len(s) && !in(s[at], setSpace) && s[at] != '\\' || at-start < 16 && at < len(s) && s[at] == ' ' {
			return end
		}
		end = at
	}
}

// pemBodyStart returns where the body starts that ends at i: lines of base64,
// of which all but the last and a clipped first one are long.
func pemBodyStart(s string, i, least int) int {
	start := i
	for line := 0; ; line++ {
		end := start
		for end > least && in(s[end-1], setSpace) {
			end--
		}
		at := end
		for at > least && (in(s[at-1], setBase64) || s[at-1] == '=' || s[at-1] == '\\') {
			at--
		}
		if at == end || line > 0 && end-at < shortestPEM && at > least {
			return start
		}
		if at > least && !in(s[at-1], setSpace) && s[at-1] != '"' {
			return at
		}
		start = at
	}
}

// shape is what tokens of a service look like: a prefix, and how many bytes of
// a set come behind it.
type shape struct {
	prefix string
	set    uint8
	more   string // bytes beside the set
	least  int
	kind   kind
	mixed  bool // holds a digit or a capital: no words
}

const setAlnum = setLetter | setDigit

// shapes that secrets of well-known services have, by first byte.
var shapes = newShapes([]shape{
	{prefix: "AKIA", set: setUpper | setDigit, least: 16, kind: kindKey},
	{prefix: "ASIA", set: setUpper | setDigit, least: 16, kind: kindKey},
	{prefix: "ABIA", set: setUpper | setDigit, least: 16, kind: kindKey},
	{prefix: "ghp_", set: setAlnum, least: 20, kind: kindToken},
	{prefix: "gho_", set: setAlnum, least: 20, kind: kindToken},
	{prefix: "ghu_", set: setAlnum, least: 20, kind: kindToken},
	{prefix: "ghs_", set: setAlnum, more: "_.-", least: 20, kind: kindToken},
	{prefix: "ghr_", set: setAlnum, least: 20, kind: kindToken},
	{prefix: "github_pat_", set: setAlnum, more: "_", least: 20, kind: kindToken},
	{prefix: "glpat-", set: setAlnum, more: "_-.", least: 20, kind: kindToken},
	{prefix: "gldt-", set: setAlnum, more: "_-.", least: 20, kind: kindToken},
	{prefix: "glrt-", set: setAlnum, more: "_-.", least: 20, kind: kindToken},
	{prefix: "glptt-", set: setAlnum, more: "_-.", least: 20, kind: kindToken},
	{prefix: "xoxa-", set: setAlnum, more: "-", least: 10, kind: kindToken},
	{prefix: "xoxb-", set: setAlnum, more: "-", least: 10, kind: kindToken},
	{prefix: "xoxc-", set: setAlnum, more: "-", least: 10, kind: kindToken},
	{prefix: "xoxd-", set: setAlnum, more: "-%", least: 10, kind: kindToken},
	{prefix: "xoxe-", set: setAlnum, more: "-", least: 10, kind: kindToken},
	{prefix: "xoxp-", set: setAlnum, more: "-", least: 10, kind: kindToken},
	{prefix: "xoxr-", set: setAlnum, more: "-", least: 10, kind: kindToken},
	{prefix: "xoxs-", set: setAlnum, more: "-", least: 10, kind: kindToken},
	{prefix: "xapp-", set: setAlnum, more: "-", least: 20, kind: kindToken},
	{prefix: "hooks.slack.com/services/", set: setAlnum, more: "/", least: 20, kind: kindToken},
	{prefix: "AIza", set: setAlnum, more: "_-", least: 30, kind: kindKey},
	{prefix: "ya29.", set: setAlnum, more: "_-.", least: 20, kind: kindToken},
	{prefix: "GOCSPX-", set: setAlnum, more: "_-", least: 20, kind: kindToken},
	{prefix: "sk_live_", set: setAlnum, least: 10, kind: kindKey},
	{prefix: "sk_test_", set: setAlnum, least: 10, kind: kindKey},
	{prefix: "rk_live_", set: setAlnum, least: 10, kind: kindKey},
	{prefix: "rk_test_", set: setAlnum, least: 10, kind: kindKey},
	{prefix: "whsec_", set: setAlnum, more: "+/=", least: 16, kind: kindKey},
	{prefix: "npm_", set: setAlnum, least: 30, kind: kindToken},
	{prefix: "pypi-Ag", set: setAlnum, more: "_-", least: 20, kind: kindToken},
	{prefix: "sk-", set: setAlnum, more: "_-", least: 20, kind: kindKey, mixed: true},
	{prefix: "AGE-SECRET-KEY-1", set: setAlnum, least: 16, kind: kindKey},
	{prefix: "SG.", set: setAlnum, more: "_-.", least: 30, kind: kindToken, mixed: true},
	{prefix: "dckr_pat_", set: setAlnum, more: "_-", least: 20, kind: kindToken},
	{prefix: "dop_v1_", set: setAlnum, least: 20, kind: kindToken},
	{prefix: "hvs.", set: setAlnum, more: "_-", least: 20, kind: kindToken},
	{prefix: "hf_", set: setAlnum, least: 30, kind: kindToken},
	{prefix: "shpat_", set: setAlnum, least: 20, kind: kindToken},
	{prefix: "tskey-", set: setAlnum, more: "-", least: 16, kind: kindKey},
	{prefix: "hkl_", set: setAlnum, more: "_-", least: 20, kind: kindToken, mixed: true},
	{prefix: "hkll_", set: setAlnum, more: "_-", least: 20, kind: kindToken, mixed: true},
	{prefix: "hkls_", set: setAlnum, more: "_-", least: 20, kind: kindToken, mixed: true},
	{prefix: "hkle_", set: setAlnum, more: "_-", least: 20, kind: kindKey, mixed: true},
	{prefix: "hookline-enroll:v2:", set: setAlnum, more: "_-", least: 20, kind: kindKey},
	{prefix: "eyJ", set: setAlnum, more: "_-.", least: 20, kind: kindToken, mixed: true}, // JWT, whole or clipped
	{prefix: "AAAAB3NzaC1", set: setAlnum, more: "+/=", least: 20, kind: kindKey},
	{prefix: "AAAAC3NzaC1", set: setAlnum, more: "+/=", least: 20, kind: kindKey},
	{prefix: "AAAAE2VjZHNh", set: setAlnum, more: "+/=", least: 20, kind: kindKey},
	{prefix: "AAAAG", set: setAlnum, more: "+/=", least: 60, kind: kindKey},  // of a security key
	{prefix: "LS0tLS1CRUdJTiB", set: setAlnum, more: "+/=_-", kind: kindKey}, // "-----BEGIN " once more in base64
	{prefix: "b3BlbnNzaC1rZXktdjE", set: setAlnum, more: "+/=", least: 8, kind: kindKey},
	{prefix: "$1$", set: setAlnum, more: "./$", least: 20, kind: kindPassword},
	{prefix: "$2a$", set: setAlnum, more: "./$", least: 20, kind: kindPassword},
	{prefix: "$2b$", set: setAlnum, more: "./$", least: 20, kind: kindPassword},
	{prefix: "$2y$", set: setAlnum, more: "./$", least: 20, kind: kindPassword},
	{prefix: "$5$", set: setAlnum, more: "./$=", least: 20, kind: kindPassword},
	{prefix: "$6$", set: setAlnum, more: "./$=", least: 20, kind: kindPassword},
	{prefix: "$y$", set: setAlnum, more: "./$", least: 20, kind: kindPassword},
	{prefix: "$argon2", set: setAlnum, more: "./$=,+", least: 20, kind: kindPassword},
	{prefix: "Bearer ", set: setAlnum, more: "_-.~+/=", least: 16, kind: kindToken, mixed: true},
	{prefix: "bearer ", set: setAlnum, more: "_-.~+/=", least: 16, kind: kindToken, mixed: true},
	{prefix: "enx", set: setHex, least: 12, kind: kindMAC}, // names of interfaces
	{prefix: "wlx", set: setHex, least: 12, kind: kindMAC},
	{prefix: "wwx", set: setHex, least: 12, kind: kindMAC},
})

func newShapes(all []shape) *[256][]shape {
	var t [256][]shape
	for _, sh := range all {
		t[sh.prefix[0]] = append(t[sh.prefix[0]], sh)
	}
	return &t
}

// shapes finds secrets by their shape where no letter or digit stands before.
func (r *Redactor) shapes(s string, cuts []cut) []cut {
	word := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !word && shapes[c] != nil {
			from, to, k := shapeAt(s, i)
			if to > 0 {
				key := ""
				if k == kindMAC {
					key = pairs(s[from:to])
				}
				cuts = append(cuts, cut{from, to, r.marks.of(k, key)})
				if k == kindKey && c == 'A' && s[i:i+4] == "AAAA" {
					cuts, to = r.comment(s, to, cuts)
				}
				i = to - 1
				word = false
				continue
			}
		}
		word = isASCIIWord(c)
	}
	return cuts
}

// longestWords is how far a token that may be words is searched for a digit or
// a capital, in bytes.
const longestWords = 100

// shapeAt looks for a shape at i; to is 0 for none. Of a token that follows a
// word (Bearer, enx, hooks.slack.com) the word stays.
func shapeAt(s string, i int) (from, to int, k kind) {
	for _, sh := range shapes[s[i]] {
		if !strings.HasPrefix(s[i:], sh.prefix) {
			continue
		}
		from = i + len(sh.prefix)
		to = from
		seen := false
		for to < len(s) && (in(s[to], sh.set) || strings.IndexByte(sh.more, s[to]) >= 0) {
			seen = seen || in(s[to], setDigit|setUpper)
			if to++; sh.mixed && !seen && to-from > longestWords {
				break
			}
		}
		if sh.kind == kindMAC && to-from != sh.least || to-from < sh.least || sh.mixed && !seen {
			continue
		}
		for s[to-1] == '.' {
			to-- // the end of a sentence
		}
		if sh.kind != kindMAC && !strings.HasSuffix(sh.prefix, " ") && !strings.HasSuffix(sh.prefix, "/") {
			from = i
		}
		return from, to, sh.kind
	}
	return 0, 0, 0
}

// pairs writes twelve digits as a MAC address.
func pairs(s string) string {
	var b strings.Builder
	for i := 0; i+2 <= len(s); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strings.ToLower(s[i : i+2]))
	}
	return b.String()
}

// comment takes the name@host behind a public key of SSH.
func (r *Redactor) comment(s string, i int, cuts []cut) (_ []cut, end int) {
	from := i
	for from < len(s) && s[from] == ' ' {
		from++
	}
	to := from
	for to < len(s) && !in(s[to], setSpace) && strings.IndexByte("\"'<>", s[to]) < 0 {
		to++
	}
	if from == i || to-from < 3 || strings.IndexByte(s[from:to], '@') < 0 {
		return cuts, i
	}
	return append(cuts, cut{from, to, r.marks.of(kindEmail, strings.ToLower(s[from:to]))}), to
}
