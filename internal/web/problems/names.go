package problems

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/kit"
)

// maxNames is how many names one request remembers.
const maxNames = 2000

// names looks up what ids are called, each once a request.
type names struct {
	store    Store
	versions map[string]known
	peers    map[string]string
}

// known is what is known of a version.
type known struct {
	ref        kit.VersionRef
	activation *hooks.Activation
}

func (p *pages) names() *names {
	return &names{p.Store, map[string]known{}, map[string]string{}}
}

// version is what a digest is called; one that is not there any more has the
// number 0.
func (n *names) version(ctx context.Context, hook, digest string) (kit.VersionRef, error) {
	v, err := n.known(ctx, hook, digest)
	return v.ref, err
}

func (n *names) known(ctx context.Context, hook, digest string) (known, error) {
	if v, ok := n.versions[digest]; ok {
		return v, nil
	}
	l, err := n.store.Life(ctx, digest)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		return known{}, err
	}
	if len(n.versions) >= maxNames {
		clear(n.versions)
	}
	n.versions[digest] = known{kit.VersionRef{Hook: hook, Number: l.Version.Number, Digest: digest}, l.Activation}
	return n.versions[digest], nil
}

// peer is what a machine is called; "" where that is not known.
func (n *names) peer(ctx context.Context, id string) (string, error) {
	if name, ok := n.peers[id]; ok {
		return name, nil
	}
	m, err := n.store.Peer(ctx, id)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		return "", err
	}
	if len(n.peers) >= maxNames {
		clear(n.peers)
	}
	n.peers[id] = m.Name
	return m.Name, nil
}

// versionCell is the digest of a version in exports, and its name on pages.
func versionCell(ref kit.VersionRef) kit.Cell {
	return kit.Text(ref.Digest).In(ref.Name()).To("/versions/" + ref.Digest)
}

// idCell is an id of which a page shows enough to tell it apart: those of jobs
// begin with their time and end in what is theirs alone.
func idCell(id, link string) kit.Cell {
	if len(id) <= 16 {
		return kit.ID(id, link)
	}
	return kit.ID(id, link).In(id[:8] + "…" + id[len(id)-6:])
}

// problemCell is a problem's fingerprint, the most telling part of it on pages.
func problemCell(v collector.Problem) kit.Cell {
	return kit.Code(v.Fingerprint).In(cut(v.Fingerprint, 140)).To("/problems/" + v.ID)
}

// program is the short name of what had the problem.
func program(v collector.Problem) string {
	if name := kit.Program(v.Executable, v.Package); name != "" {
		return cut(name, 60)
	}
	return "unknown program"
}

// cut is a text on one line, of at most n characters.
func cut(s string, n int) string {
	if len(s) > 8*n { // the rest is not seen
		s = strings.ToValidUTF8(s[:8*n], "\ufffd")
	}
	words := strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(words) <= n {
		return words
	}
	return string([]rune(words)[:n-1]) + "…"
}

// stateOf is how a job ended, or its status.
func stateOf(j jobs.Job) string {
	if e := j.Ending(); e != "" {
		return string(e)
	}
	return string(j.Status)
}

// meaningOf says what a code means; peers of a newer version may have others.
func meaningOf(code string) string {
	for _, info := range errs.Table() {
		if string(info.Code) == code {
			return info.Meaning
		}
	}
	return ""
}

var (
	digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
	nameForm   = regexp.MustCompile(`^([a-z0-9][a-z0-9-]*)@([1-9][0-9]{0,8})$`)
)

// versionWord reads a version of the query: a digest, or HOOK@NUMBER. The
// digest is "" where there is none.
func (p *pages) versionWord(r *kit.Request) (word, digest string, err error) {
	word, err = r.Word("version")
	if err != nil || word == "" || digestForm.MatchString(word) {
		return word, word, err
	}
	m := nameForm.FindStringSubmatch(word)
	if m == nil {
		return word, "", errs.New(errs.CodeBadInput, "it is no version").At("version").WithHint("write HOOK@NUMBER, or the 64 digits of its digest")
	}
	number, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return word, "", err
	}
	list, err := p.Store.VersionsOf(r.Context(), m[1], number+1, 1)
	if err != nil {
		return word, "", err
	}
	if len(list) == 0 || list[0].Version.Number != number {
		return word, "", errs.New(errs.CodeBadInput, "there is no version %s", word).At("version").WithHint("the page of the hook lists its versions")
	}
	return word, list[0].Version.Digest, nil
}
