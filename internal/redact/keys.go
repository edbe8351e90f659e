package redact

import "strings"

// need is what a value must be like to be taken for what its key says.
type need int

const (
	needAny    need = iota // anything but a word that tells of no value
	needSix                // at least six bytes
	needMixed              // eight bytes, no single word
	needLong               // 32 bytes, no single word: a plain "key:" may be anything
	needDigit              // four bytes with a digit, one word
	needName               // a name of a host or user
	needUser               // the same, in quotes or behind "=", and of a person
	needQuoted             // the same, in quotes
	needMAID               // 16 bytes, one word
	needHeader             // the rest of the line
	needCookie             // the same, where it has a "="
)

// keyRule says what stands behind a key whose words, in lower case and with
// "_" between them, end with name.
type keyRule struct {
	name  string
	glued bool // also as the end of a longer word: PGPASSWORD
	kind  kind
	need  need
}

// keyRules are tried in order; the first that fits decides.
var keyRules = []keyRule{
	{"password", true, kindPassword, needAny},
	{"passwd", true, kindPassword, needAny},
	{"passphrase", true, kindPassword, needAny},
	{"passcode", true, kindPassword, needAny},
	{"pwd", true, kindPassword, needAny},
	{"psk", false, kindPassword, needAny},
	{"wep_key", false, kindPassword, needAny},
	{"db_pass", true, kindPassword, needAny},
	{"dbpass", true, kindPassword, needAny},
	{"user_pass", true, kindPassword, needAny},
	{"userpass", true, kindPassword, needAny},
	{"_pass", true, kindPassword, needAny},
	{"pass", false, kindPassword, needMixed},
	{"secret", true, kindToken, needAny},
	{"api_key", true, kindKey, needSix},
	{"apikey", true, kindKey, needSix},
	{"access_key", true, kindKey, needSix},
	{"accesskey", true, kindKey, needSix},
	{"secret_key", true, kindKey, needSix},
	{"secretkey", true, kindKey, needSix},
	{"private_key", true, kindKey, needSix},
	{"privatekey", true, kindKey, needSix},
	{"account_key", true, kindKey, needSix},
	{"signing_key", false, kindKey, needSix},
	{"encryption_key", false, kindKey, needSix},
	{"master_key", false, kindKey, needSix},
	{"shared_key", false, kindKey, needSix},
	{"auth_key", false, kindKey, needSix},
	{"license_key", false, kindKey, needSix},
	{"setup_key", false, kindKey, needSix},
	{"secret_key_base", false, kindKey, needSix},
	{"app_key", false, kindKey, needSix},
	{"key_data", false, kindKey, needLong},
	{"key", false, kindKey, needLong},
	{"access_token", false, kindToken, needSix},
	{"auth_token", false, kindToken, needSix},
	{"api_token", false, kindToken, needSix},
	{"_token", true, kindToken, needSix},
	{"token", true, kindToken, needMixed},
	{"authorization", false, kindToken, needHeader},
	{"set_cookie", false, kindToken, needHeader},
	{"cookie", false, kindToken, needCookie},
	{"_auth", true, kindToken, needMixed},
	{"auth", false, kindToken, needMixed},
	{"session", false, kindToken, needMixed},
	{"session_id", true, kindToken, needMixed},
	{"sessionid", true, kindToken, needMixed},
	{"sessid", true, kindToken, needMixed},
	{"sid", false, kindToken, needMixed},
	{"credential", false, kindToken, needMixed},
	{"credentials", false, kindToken, needMixed},
	{"csrf", false, kindToken, needMixed},
	{"amz_signature", false, kindToken, needMixed},
	{"sig", false, kindToken, needMixed},
	{"hostname", false, kindHost, needName},
	{"nodename", false, kindHost, needName},
	{"rhost", false, kindHost, needName},
	{"ruser", false, kindUser, needName},
	{"logname", false, kindUser, needName},
	{"sudo_user", false, kindUser, needName},
	{"user", false, kindUser, needUser},
	{"username", false, kindUser, needUser},
	{"user_name", false, kindUser, needUser},
	{"login", false, kindUser, needQuoted},
	{"owner", false, kindUser, needQuoted},
	{"machine_id", false, kindID, needMAID},
	{"product_uuid", false, kindID, needMAID},
	{"system_uuid", false, kindID, needMAID},
	{"serial_number", false, kindID, needDigit},
	{"serialnumber", false, kindID, needDigit},
	{"serial_no", false, kindID, needDigit},
	{"id_serial", false, kindID, needDigit},
	{"serial_short", false, kindID, needDigit},
	{"_serial", true, kindID, needDigit},
	{"serial", false, kindID, needMixed},
	{"asset_tag", false, kindID, needDigit},
}

// keyRulesByEnd are keyRules by the last byte of the name.
var keyRulesByEnd = newKeyRules()

func newKeyRules() *[256][]keyRule {
	var t [256][]keyRule
	for _, k := range keyRules {
		end := k.name[len(k.name)-1]
		t[end] = append(t[end], k)
	}
	return &t
}

// longestKey is the longest key that is looked at, in bytes; of a longer one
// the end counts.
const longestKey = 64

// endings may follow the words of a key.
var endings = []string{"_hash", "_hashed", "_value", "_confirm", "_confirmation", "_new", "_old", "_plain", "_b64", "_base64"}

// ruleOf finds the rule of a key as it stands in the text; nil for none.
func ruleOf(key string) *keyRule {
	if key == "USER" || key == "USERNAME" {
		return &keyRule{key, false, kindUser, needName}
	}
	var buf [2*longestKey + 8]byte
	words := keyWords(buf[:0], key)
	for len(words) > 0 && (isDigit(words[len(words)-1]) || words[len(words)-1] == '_') {
		words = words[:len(words)-1]
	}
	if len(words) < 3 {
		return nil
	}
	for _, e := range endings {
		if n := len(words) - len(e); n > 2 && string(words[n:]) == e {
			words = words[:n]
			break
		}
	}
	table := keyRulesByEnd[words[len(words)-1]]
	for i := range table {
		n := len(words) - len(table[i].name)
		if n >= 0 && sameWords(words[n:], table[i].name) && (n == 0 || table[i].glued || words[n-1] == '_' || words[n-1] == ' ') {
			return &table[i]
		}
	}
	return nil
}

// sameWords reports whether words are those of a name. A space stands for "_"
// within the name, not before it: "success token:" tells of no secret.
func sameWords(words []byte, name string) bool {
	for i := range len(name) {
		if words[i] != name[i] && (i == 0 || name[i] != '_' || words[i] != ' ') {
			return false
		}
	}
	return true
}

// keyWords appends the words of a key in lower case, with "_" between them:
// "clientSecret" and "Client-Secret" are "client_secret". Spaces stay.
func keyWords(words []byte, key string) []byte {
	for i := range len(key) {
		c := key[i]
		if !isASCIIWord(c) {
			if c != ' ' {
				c = '_'
			}
			words = append(words, c)
			continue
		}
		if in(c, setUpper) {
			after := i > 0 && in(key[i-1], setLetter|setDigit) && !in(key[i-1], setUpper)
			before := i > 0 && in(key[i-1], setUpper) && i+1 < len(key) && in(key[i+1], setLetter) && !in(key[i+1], setUpper)
			if after || before {
				words = append(words, '_')
			}
			c |= 0x20
		}
		words = append(words, c)
	}
	return words
}

// keyed finds values by the key before them: key=value, key: value, JSON,
// YAML, headers of HTTP.
func (r *Redactor) keyed(s string, cuts []cut) []cut {
	least := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '=' && s[i] != ':' {
			continue
		}
		key, start := keyBefore(s, i, least)
		if key == "" {
			continue
		}
		rule := ruleOf(key)
		if rule == nil {
			continue
		}
		from := i + 1
		for from < len(s) && from < i+3 && strings.IndexByte("=:>", s[from]) >= 0 {
			from++
		}
		c := r.valueAt(s, start, from, i, rule)
		if c.to > 0 {
			cuts = append(cuts, c)
			least, i = c.to, c.to-1
		}
	}
	return cuts
}

// keyBefore returns the key that ends before the mark at i, with up to two
// words before it, and where it starts.
func keyBefore(s string, i, least int) (key string, start int) {
	end := i
	for end > least && i-end < 8 && (s[end-1] == ' ' || s[end-1] == '\t') {
		end--
	}
	quoted := false
	for end > least && i-end < 12 && strings.IndexByte("]\"'`\\", s[end-1]) >= 0 {
		end--
		quoted = true
	}
	least = max(least, end-longestKey)
	start = runBack(s, end, least, setKey)
	for more := 0; more < 2 && !quoted && start-1 > least && s[start-1] == ' ' && in(s[start-2], setKey); more++ {
		start = runBack(s, start-1, least, setKey)
	}
	return s[start:end], start
}

// longestLook is how much of a value decides whether it goes, in bytes: the
// values of a hostile text may overlap.
const longestLook = 256

// valueAt decides what of the text at from the rule takes. The key starts at
// start, its mark stands at mark.
func (r *Redactor) valueAt(s string, start, from, mark int, rule *keyRule) cut {
	v := valueOf(s[:min(len(s), from+longestLook)], start, from, rule)
	text := v.text(s)
	if text == "" || !fits(text, rule, v.quoted, s[mark]) {
		return cut{}
	}
	if len(s) > from+longestLook {
		v = valueOf(s, start, from, rule)
		text = v.text(s)
	}
	if rule.need == needName && s[mark] == ':' && !v.quoted && v.to < len(s) && s[v.to] == ' ' {
		return cut{} // "hostname: command not found"
	}
	key := strings.ToLower(text)
	if known, ok := r.hosts.numbers[key]; ok && rule.kind == kindHost {
		key = known
	}
	if rule.kind == kindUser {
		r.learn(key)
	}
	return cut{v.from, v.to, r.marks.of(rule.kind, key)}
}

// valueOf finds the value at from as its rule reads it.
func valueOf(s string, start, from int, rule *keyRule) span {
	v := valueIn(s, from)
	if rule.kind.secret() && !v.quoted && inList(s, start) {
		v.to = max(v.to, listEnd(s, v.from))
	}
	if rule.need == needHeader || rule.need == needCookie {
		v.to = lineStop(s, start, v)
	}
	if rule.kind.secret() {
		v = afterScheme(s, v)
	}
	return v
}

// inList reports whether the key at start stands in a list with ";" between
// its values, as databases take them: Server=x;Password=y;Database=z.
func inList(s string, start int) bool {
	return start > 0 && s[start-1] == ';'
}

// listEnd returns where the value at i of such a list ends: before the next
// ";", or at i where a blank or a quote comes first.
func listEnd(s string, i int) int {
	for end := i; end < len(s) && !in(s[end], setSpace) && strings.IndexByte("\"'`", s[end]) < 0; end++ {
		if s[end] == ';' {
			return end
		}
	}
	return i
}

// span is where a value stands, without its quotes.
type span struct {
	from, to int
	quoted   bool
}

func (v span) text(s string) string { return s[v.from:v.to] }

// valueIn finds the value at i: up to the closing quote, or to the next space
// or mark that cannot belong to it. It never goes past the line.
func valueIn(s string, i int) span {
	for n := 0; i < len(s) && n < 64 && (s[i] == ' ' || s[i] == '\t'); n++ {
		i++
	}
	escaped := i+1 < len(s) && s[i] == '\\' && (s[i+1] == '"' || s[i+1] == '\'')
	if escaped {
		i++
	}
	if i < len(s) && strings.IndexByte("\"'`", s[i]) >= 0 {
		return span{i + 1, quoteEnd(s, i+1, s[i], escaped), true}
	}
	return span{i, plainEnd(s, i), false}
}

func quoteEnd(s string, i int, quote byte, escaped bool) int {
	for ; i < len(s) && s[i] != '\n'; i++ {
		switch {
		case s[i] == '\\' && escaped && i+1 < len(s) && s[i+1] == quote:
			return i
		case s[i] == '\\' && i+1 < len(s) && s[i+1] != '\n':
			i++
		case s[i] == quote:
			return i
		}
	}
	return min(i, len(s))
}

// plainEnd returns where a value without quotes ends. A password may hold any
// mark, so that only those end it which another key follows.
func plainEnd(s string, i int) int {
	end := i
scan:
	for end < len(s) && !in(s[end], setSpace) {
		switch s[end] {
		case '&', ';', ',':
			if keyFollows(s, end+1) {
				break scan
			}
		case '"', '\'', '`':
			if end+1 == len(s) || strings.IndexByte(",;}])\\ \t\n", s[end+1]) >= 0 {
				break scan
			}
		}
		end++
	}
	for end > i && strings.IndexByte(")]}>,;.\"'`", s[end-1]) >= 0 {
		end--
	}
	return end
}

// keyFollows reports whether a key and its mark stand at i.
func keyFollows(s string, i int) bool {
	if i < len(s) && (s[i] == '"' || s[i] == '\'') {
		return true
	}
	end := run(s[:min(len(s), i+longestKey)], i, setKey)
	return end > i && end < len(s) && (s[end] == '=' || s[end] == ':')
}

// lineStop is the end of the line that v is on, or the quote that opened
// before the key: -H 'Cookie: a=b'.
func lineStop(s string, start int, v span) int {
	if v.quoted {
		return v.to
	}
	end := v.from
	var quote byte
	if start > 0 && strings.IndexByte("\"'`", s[start-1]) >= 0 {
		quote = s[start-1]
	}
	for end < len(s) && s[end] != '\n' && s[end] != '\r' && (quote == 0 || s[end] != quote) {
		end++
	}
	if quote != 0 && end > v.from && end < len(s) && s[end-1] == '\\' {
		end--
	}
	return v.from + len(strings.TrimRight(s[v.from:end], " \t"))
}

// schemes stand before a secret in a header, and stay.
var schemes = []string{"Bearer", "Basic", "Token", "Digest", "Negotiate", "NTLM", "AWS4-HMAC-SHA256", "ApiKey"}

// afterScheme takes the scheme from the value, and gives it the word behind.
func afterScheme(s string, v span) span {
	for _, scheme := range schemes {
		end := v.from + len(scheme)
		if len(s) < end || !strings.EqualFold(s[v.from:end], scheme) || end < len(s) && s[end] != ' ' {
			continue
		}
		old := v.to
		for v.from = end; v.from < len(s) && s[v.from] == ' '; {
			v.from++
		}
		if v.to = max(old, v.from); !v.quoted && old <= end {
			v.to = plainEnd(s, v.from)
		}
		return v
	}
	return v
}

// noValues are words that stand where a secret would, and tell that none does.
var noValues = map[string]bool{
	"yes": true, "no": true, "true": true, "false": true, "null": true, "nil": true, "none": true, "(none)": true,
	"required": true, "missing": true, "unset": true, "empty": true, "expired": true, "invalid": true, "incorrect": true,
	"wrong": true, "failed": true, "ok": true, "accepted": true, "rejected": true, "denied": true, "not": true, "for": true,
	"authentication": true, "unknown": true, "undefined": true, "optional": true, "on": true, "off": true, "changed": true, "set": true,
	"root": true, "localhost": true, "n/a": true, "the": true, "is": true, "was": true, "must": true, "cannot": true, "error": true, "string": true,
}

// noneMarks are words in brackets that programs write where they hide a value
// or have none.
var noneMarks = map[string]bool{
	"nil": true, "null": true, "none": true, "unset": true, "not set": true, "empty": true, "undefined": true,
	"redacted": true, "hidden": true, "filtered": true, "masked": true, "removed": true, "secret": true, "sensitive": true,
}

// tellsNone reports whether text stands for no value, or for a hidden one. Of
// a text without quotes the last bracket is no part.
func tellsNone(text string, quoted bool) bool {
	if len(text) > longestKey {
		return false
	}
	lower := strings.ToLower(text)
	if !quoted && noValues[lower] || strings.Trim(text, "*") == "" {
		return true
	}
	if i := strings.IndexByte("<([{", lower[0]); i >= 0 {
		return noneMarks[strings.TrimSuffix(lower[1:], ">)]}"[i:i+1])]
	}
	return false
}

// longestID is the longest number of a machine or of hardware, in bytes.
const longestID = 128

// fits reports whether a value is what its rule needs.
func fits(text string, rule *keyRule, quoted bool, mark byte) bool {
	if tellsNone(text, quoted) {
		return false
	}
	if rule.name == "pwd" && (text[0] == '/' || text[0] == '~') {
		return false // PWD=/root/src, of the shell
	}
	if rule.kind == kindKey && text[0] == '/' && strings.IndexByte(text, '.') > 0 {
		return false // the file that holds a key
	}
	switch rule.need {
	case needSix:
		return len(text) >= 6 && !isPointer(text)
	case needMixed:
		return mixed(text, 8) && !isPointer(text) && (rule.name != "sig" || mark == '=')
	case needLong:
		return mixed(text, 32) && run(text, 0, setAlnum) >= 16 && !strings.HasPrefix(text, "SHA256:")
	case needDigit:
		return run(text, 0, setKey) == len(text) && len(text) >= 4 && len(text) <= longestID && strings.ContainsAny(text, "0123456789")
	case needMAID:
		return run(text, 0, setKey) == len(text) && len(text) >= 16 && len(text) <= longestID
	case needName:
		return isName(text)
	case needUser:
		return (quoted || mark == '=') && isUserName(text)
	case needQuoted:
		return quoted && isUserName(text)
	case needCookie:
		return strings.IndexByte(text, '=') >= 0 || mixed(text, 8) && strings.IndexByte(text, ' ') < 0
	}
	return true
}

// isPointer reports whether text is an address in memory.
func isPointer(text string) bool {
	return strings.HasPrefix(text, "0x") && len(text) <= len("0x")+16 && run(text, 2, setHex) == len(text)
}

// isName reports whether text looks like a name of a host or user.
func isName(text string) bool {
	return len(text) >= 2 && len(text) <= longestHost && in(text[0], setLetter) && run(text, 0, setKey) == len(text)
}
