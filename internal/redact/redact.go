// Package redact takes out of a text what points to a machine or a person, and
// what opens a door: addresses, host and user names, e-mail addresses, home
// directories, serial numbers; passwords, keys and tokens. Text fields of a
// hook's result pass through it on the peer, unless they are signed raw.
//
// It knows patterns, not meaning: a name that is also a word is taken out
// wherever it stands alone, and a version number of four parts looks like an
// address. That is the right side to err on. Private addresses are addresses
// too; loopback, "any" and broadcast stay, since they are the same everywhere.
// Kernel addresses (0x…), checksums, build ids, times, PCI slots, object ids,
// UUIDs of file systems, ids of boots and of users (/run/user/1000) and names
// of systemd units stay, since they are what a diagnosis needs.
//
// A name of a user that a text tells by its place (/home/name, name@10.0.0.1,
// user=name, uid=1000(name)) is learned: it goes from then on where it stands
// alone, in that text and in those after it. Texts before it are done with.
// testdata/corpus.tsv measures what is caught and what is not.
package redact

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Names are what the peer knows itself and its people by. Matching ignores
// case. Names of fewer than two bytes, "root" and "localhost" stay. Names
// below the domain of a host ("db2.example.com" beside "web1.example.com"),
// and the domain, are taken for hosts too.
type Names struct{ Hosts, Users []string }

// maxRounds bounds the rounds of Text. A round can only find something new
// where the one before cut a text in two; one is enough for ordinary text.
const maxRounds = 16

// Redactor redacts the texts of one run. The same address or name becomes the
// same numbered token in all of them, so that a reader still sees which lines
// speak of one machine; what the numbers stood for is gone with the Redactor.
// It must not be used by two goroutines at once.
type Redactor struct {
	rules []rule
	marks marks
	hosts *nameList
	users *nameList

	learned *nameList // names of users that a text told
	recall  rule      // finds them
	news    bool      // one was learned that not all parts were searched for

	cuts  []cut // of one rule over one part, used again
	inPEM bool  // the text before ended within a block
}

// New returns a Redactor that knows n beside the patterns.
func New(n Names) *Redactor {
	r := &Redactor{
		marks:   newMarks(),
		hosts:   newNameList(n.Hosts, "localhost", kindHost),
		users:   newNameList(n.Users, "root", kindUser),
		learned: newNameList(nil, "", kindUser),
	}
	r.recall = r.named(r.learned)
	r.rules = append([]rule{r.pemBlocks, r.elements}, r.bareSecrets()...)
	r.rules = append(r.rules, r.userInfo, r.keyed, r.flags, r.shapes,
		r.logins, r.phrases, r.ids, r.emails, r.homes, r.addresses, r.named(r.hosts), r.named(r.users))
	return r
}

// Text returns s with what is to go replaced: by <ip-1>, <mac-1>, <email-1>,
// <home-1>, <host-1>, <user-1> or <id-1>, numbered by the value; by <key>,
// <token> or <password> without a number, since a number would tell that two
// accounts have one password. It is idempotent as long as no name is learned
// in between, never longer than six times s, and always UTF-8: bytes that are
// not become U+FFFD.
//
// Such a token that s itself holds stays as it is, and its number is not given
// to a value that is met later. Texts may be the lines of one text: where one
// ends within a block of PEM, its next lines go too.
func (r *Redactor) Text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if r.inPEM && isPEMLine(s) {
		return r.marks.of(kindKey, "")
	}
	r.inPEM = endsInPEM(s) || r.inPEM && staysInPEM(s)
	parts := r.split(s)
	for range maxRounds {
		next, changed := r.round(parts)
		if !changed {
			break
		}
		parts = next
	}
	if len(parts) == 1 {
		return parts[0].text
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.text)
	}
	return b.String()
}

// Text redacts one text that stands alone, with a Redactor of its own.
func Text(s string, n Names) string { return New(n).Text(s) }

// rule finds what is to go in a part of a text that holds no token, and
// appends it to cuts: in order, apart, each with the token to stand there.
type rule func(s string, cuts []cut) []cut

type cut struct {
	from, to int
	mark     string
}

// part is a stretch of text. Rules look at each on its own, as if nothing
// stood beside it: that, and that a token never is looked into, makes the
// second time find what the first did.
type part struct {
	text  string
	token bool
	clean bool // seen by all rules without a find
	cut   bool // made in this round
}

// split parts a text at the tokens that it holds already.
func (r *Redactor) split(s string) []part {
	var parts []part
	from := 0
	for i := strings.IndexByte(s, '<'); i >= 0; {
		n := r.marks.at(s[i:])
		if n > 0 {
			parts = append(parts, part{text: s[from:i]}, part{text: s[i : i+n], token: true})
			from = i + n
		}
		next := strings.IndexByte(s[i+1:], '<')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return append(parts, part{text: s[from:]})
}

// round applies every rule once to each part that is not clean, and searches
// also the clean ones for names that were learned since.
func (r *Redactor) round(parts []part) (_ []part, changed bool) {
	for _, find := range r.rules {
		if next := r.pass(parts, find, false); next != nil {
			parts, changed = next, true
		}
	}
	if len(r.learned.names) > 0 {
		all := r.news
		r.news = false
		if next := r.pass(parts, r.recall, all); next != nil {
			parts, changed = next, true
		}
	}
	for i := range parts {
		parts[i].clean = parts[i].clean || !parts[i].cut
		parts[i].cut = false
	}
	return parts, changed
}

// pass applies one rule to each part that is not clean, or to all but tokens.
// It returns nil where the rule finds nothing.
func (r *Redactor) pass(parts []part, find rule, all bool) []part {
	var next []part
	for i, p := range parts {
		if !p.token && (all || !p.clean) && p.text != "" {
			r.cuts = find(p.text, r.cuts[:0])
			if len(r.cuts) > 0 {
				if next == nil {
					next = append(make([]part, 0, len(parts)+2*len(r.cuts)), parts[:i]...)
				}
				next = r.apply(next, p.text)
				continue
			}
		}
		if next != nil {
			next = append(next, p)
		}
	}
	return next
}

// apply appends what the cuts leave of a text, and their tokens.
func (r *Redactor) apply(parts []part, text string) []part {
	from := 0
	for _, c := range r.cuts {
		if c.from > from {
			parts = append(parts, part{text: text[from:c.from], cut: true})
		}
		parts = append(parts, part{text: c.mark, token: true})
		from = c.to
	}
	if from < len(text) {
		parts = append(parts, part{text: text[from:], cut: true})
	}
	return parts
}

// cleanNames drops names that would do harm and puts longer ones first, so
// that "web1.example.com" goes before "web1".
func cleanNames(names []string, keep string) []string {
	var out []string
	for _, n := range names {
		n = strings.TrimSpace(n)
		if len(n) >= 2 && utf8.ValidString(n) && !strings.ContainsAny(n, "<>\uFFFD") && !strings.EqualFold(n, keep) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(out)
}
