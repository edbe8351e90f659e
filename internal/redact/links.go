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
			at = strings.LastIndexByte(s[from:end], '@') + from
			i = end - 1
			if at < from {
				continue
			}
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
