package redact

import "strings"

// flags finds --password value, the form of a command line without "=".
func (r *Redactor) flags(s string, cuts []cut) []cut {
	for i, least := 0, 0; ; {
		n := strings.Index(s[i:], "--")
		if n < 0 {
			return cuts
		}
		from := i + n + 2
		end := run(s[:min(len(s), from+longestKey)], from, setKey)
		i = max(end, from)
		if end == from || end+1 >= len(s) || s[end] != ' ' || s[end+1] == '-' || from < least {
			continue
		}
		rule := ruleOf(s[from:end])
		if rule == nil || !rule.kind.secret() || rule.need > needMixed {
			continue
		}
		v := valueIn(s, end)
		if text := v.text(s); text != "" && fits(text, rule, v.quoted, '=') {
			cuts = append(cuts, cut{v.from, v.to, r.marks.of(rule.kind, "")})
			i, least = v.to, v.to
		}
	}
}

// elements finds <password>value</password>. The opening tag may look like a
// token of ours, and then is none of this part.
func (r *Redactor) elements(s string, cuts []cut) []cut {
	for i, least := 0, 0; ; {
		n := strings.Index(s[i:], "</")
		if n < 0 {
			return cuts
		}
		at := i + n
		end := run(s[:min(len(s), at+2+longestKey)], at+2, setKey)
		i = at + 2
		if end >= len(s) || s[end] != '>' {
			continue
		}
		rule := ruleOf(s[at+2 : end])
		if rule == nil || !rule.kind.secret() {
			continue
		}
		from := at
		for from > least && strings.IndexByte("<>\n", s[from-1]) < 0 {
			from--
		}
		if from < at && fits(s[from:at], rule, true, '=') {
			cuts = append(cuts, cut{from, at, r.marks.of(rule.kind, "")})
		}
		least = at
	}
}

// userInfo finds names and passwords in links, and in the addresses of
// databases: scheme://name:password@host, name:password@tcp(host).
func (r *Redactor) userInfo(s string, cuts []cut) []cut {
	if strings.IndexByte(s, '@') < 0 {
		return cuts
	}
	least := 0
	for i := 0; i < len(s); i++ {
		var from, at int
		switch {
		case s[i] == ':' && strings.HasPrefix(s[i:], "://"):
			from = i + 3
			end := len(s)
			if n := strings.IndexAny(s[from:], "/ \t\r\n\"'<>`"); n >= 0 {
				end = from + n
			}
			end = from + listStart(s[from:end])
			at = strings.LastIndexByte(s[from:end], '@') + from
			i = end - 1
			if at < from {
				continue
			}
		case s[i] == 'o' && strings.HasPrefix(s[i:], oraclePrefix):
			if from, at = oracleAt(s, i+len(oraclePrefix)); at == 0 {
				continue
			}
			slash := strings.IndexByte(s[from:at], '/') + from
			cuts = r.userPart(s, from, slash, cuts)
			cuts = append(cuts, cut{slash + 1, at, r.marks.of(kindPassword, "")})
			least, i = at, at
			continue
		case s[i] == '@' && (strings.HasPrefix(s[i:], "@tcp(") || strings.HasPrefix(s[i:], "@unix(")):
			at = i
			from = at
			for from > least && !in(s[from-1], setSpace) && strings.IndexByte("\"'=`", s[from-1]) < 0 {
				from--
			}
		default:
			continue
		}
		cuts = r.userPart(s, from, at, cuts)
		least = max(at, 0)
	}
	return cuts
}

// listStart returns where a list of key=value starts in what stands between
// "://" and the next "/": jdbc:sqlserver://db:1433;user=x;password=y@z. What is
// behind the ":" of a name and a password is no port.
func listStart(s string) int {
	i := strings.IndexByte(s, ';')
	if i < 0 || !keyFollows(s, i+1) {
		return len(s)
	}
	if c := strings.IndexByte(s[:i], ':'); c >= 0 && run(s[:i], c+1, setDigit) != i {
		return len(s)
	}
	return i
}

const oraclePrefix = "oracle:thin:"

// oracleAt finds name/password@ at i, of jdbc:oracle:thin:name/password@host;
// at is where the "@" stands, 0 for nowhere.
func oracleAt(s string, i int) (from, at int) {
	end := min(len(s), i+longestLook)
	if n := strings.IndexAny(s[i:end], " \t\r\n\"'<>`"); n >= 0 {
		end = i + n
	}
	name := run(s[:min(end, i+longestKey)], i, setKey)
	if name == i || name >= end || s[name] != '/' {
		return 0, 0
	}
	if at = strings.LastIndexByte(s[name:end], '@') + name; at <= name+1 {
		return 0, 0
	}
	return i, at
}

// serviceUsers are names in links that are the same everywhere.
var serviceUsers = map[string]bool{"root": true, "git": true, "anonymous": true, "x-access-token": true, "oauth2": true, "user": true}

// userPart takes s[from:at] apart: "name:password", or one of them.
func (r *Redactor) userPart(s string, from, at int, cuts []cut) []cut {
	name, password, both := strings.Cut(s[from:at], ":")
	who := strings.ToLower(name)
	if name != "" && !serviceUsers[who] {
		k := kindUser
		if !both && mixed(name, 20) {
			k = kindToken // https://<token>@host
		}
		cuts = append(cuts, cut{from, from + len(name), r.marks.of(k, who)})
	}
	if password != "" {
		cuts = append(cuts, cut{from + len(name) + 1, at, r.marks.of(kindPassword, "")})
	}
	return cuts
}
