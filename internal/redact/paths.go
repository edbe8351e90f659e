package redact

import "strings"

// homes finds the folders of people: /home/x, /Users/x, C:\Users\x, ~x/, the
// same in a link (%2Fhome%2Fx), and names in the folders that the system keeps
// for its users.
func (r *Redactor) homes(s string, cuts []cut) []cut {
	if strings.IndexByte(s, '/') < 0 && strings.IndexByte(s, '\\') < 0 && strings.IndexByte(s, '%') < 0 {
		return cuts
	}
	least := 0
	for i := 0; i < len(s); i++ {
		var c cut
		switch s[i] {
		case 'h', 'U', 'u':
			c = r.homeAt(s, i, least)
		case '~':
			c = r.tildeAt(s, i, least)
		case '/':
			c = r.ownedAt(s, i)
		}
		if c.to > 0 {
			cuts = append(cuts, c)
			least, i = c.to, c.to-1
		}
	}
	return cuts
}

// nobodys are the folders beside those of people.
var nobodys = []string{"shared", "public", "default", "all users", "root", "lost+found"}

// homeAt looks at the word "home" or "Users" that starts at i.
func (r *Redactor) homeAt(s string, i, least int) cut {
	word := "home"
	if s[i] != 'h' {
		word = "users"
	}
	if len(s)-i < len(word) || !strings.EqualFold(s[i:i+len(word)], word) || s[i] == 'h' && s[i+1:i+4] != "ome" {
		return cut{}
	}
	from, inLink := slashBack(s, i, least)
	name := i + len(word)
	for n := slashAt(s[name:]); n > 0; n = slashAt(s[name:]) {
		name += n
	}
	if from == i || name == i+len(word) || s[i] == 'u' && s[i-1] != '\\' {
		return cut{} // "/users/" in lower case is a path of a web service
	}
	to := nameEnd(s, name, inLink)
	who := strings.ToLower(s[name:to])
	if !strings.ContainsFunc(who, isWord) || isNobody(who) {
		return cut{}
	}
	for _, parent := range []string{"/var", "/export", "/usr"} {
		if from-len(parent) >= least && s[from-len(parent):from] == parent {
			from -= len(parent)
		}
	}
	if s[from] == '\\' && from-2 >= least && s[from-1] == ':' && in(s[from-2], setLetter) {
		from -= 2
	}
	if from == 0 || !wordBefore(s, from) {
		r.learn(who) // not in a link: https://example.org/home/page
	}
	return cut{from, to, r.marks.of(kindHome, who)}
}

func isNobody(who string) bool {
	for _, n := range nobodys {
		if strings.HasPrefix(n, who) && (len(n) == len(who) || n[len(who)] == ' ') {
			return true
		}
	}
	return false
}

// slashBack returns where the slashes start that end at i, and whether they
// are written as in a link.
func slashBack(s string, i, least int) (from int, inLink bool) {
	for from = i; from > least; {
		switch {
		case s[from-1] == '/' || s[from-1] == '\\':
			from--
		case from-3 >= least && slashAt(s[from-3:from]) == 3:
			from, inLink = from-3, true
		default:
			return from, inLink
		}
	}
	return from, inLink
}

// slashAt returns the length of the slash that s starts with, 0 for none.
func slashAt(s string) int {
	switch {
	case s == "":
		return 0
	case s[0] == '/', s[0] == '\\':
		return 1
	case len(s) >= 3 && s[0] == '%' && (s[1] == '2' && s[2]|0x20 == 'f' || s[1] == '5' && s[2]|0x20 == 'c'):
		return 3
	}
	return 0
}

func nameEnd(s string, i int, inLink bool) int {
	stops := "/\\ \t\n\r\v\f:;,\"'<>|()[]{}\x00"
	if inLink {
		stops += "%&"
	}
	if n := strings.IndexAny(s[i:], stops); n >= 0 {
		return i + n
	}
	return len(s)
}

// longestUser is the longest name of a user, in bytes.
const longestUser = 32

// tildeAt looks at "~name/", where no word ends: Debian's versions have a "~" too.
func (r *Redactor) tildeAt(s string, i, least int) cut {
	if i > least && (isASCIIWord(s[i-1]) || strings.IndexByte("~.+-_", s[i-1]) >= 0) {
		return cut{}
	}
	to := run(s[:min(len(s), i+2+longestUser)], i+1, setKey)
	if to-i < 3 || to >= len(s) || s[to] != '/' || !in(s[i+1], setLetter) {
		return cut{}
	}
	who := strings.ToLower(s[i+1 : to])
	if isNobody(who) {
		return cut{}
	}
	r.learn(who)
	return cut{i, to, r.marks.of(kindHome, who)}
}

// owned are folders that hold something by the name of its user.
var owned = []string{
	"/run/media/", "/var/mail/", "/var/spool/mail/", "/var/spool/cron/crontabs/", "/var/spool/cron/",
	"/var/lib/AccountsService/users/", "/var/lib/systemd/linger/",
}

// ownedAt looks at the path that starts at i.
func (r *Redactor) ownedAt(s string, i int) cut {
	for _, folder := range owned {
		if !strings.HasPrefix(s[i:], folder) {
			continue
		}
		from := i + len(folder)
		to := nameEnd(s, from, false)
		who := strings.ToLower(s[from:to])
		if to-from >= 2 && strings.ContainsFunc(who, isWord) && !isNobody(who) && who != "crontabs" {
			return cut{from, to, r.user(who)}
		}
	}
	return cut{}
}
