package reviews

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/code"
	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/internal/web/inwords"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
	"hookline/review"
)

// page is a version on the way to a decision.
type page struct {
	kit.VersionRef
	State     hooks.State
	Facts     []kit.Fact
	Words     inwords.Words
	Standing  standing
	Reviews   []verdict
	Against   kit.Part[compared]
	Lint      kit.Part[lint]
	Reports   kit.Part[[]report]
	Threads   kit.Part[threads]
	Script    []code.Line
	Manifest  []code.Line
	Hidden    bool // the script has characters that hide
	Long      int  // lines that wrap
	Form      commentForm
	Answer    string // what was typed
	MayReview bool
	MayAnswer bool // and it waits for one
	MayTalk   bool
	MayTry    bool

	query url.Values // of the page's address
	base  string     // of links to the page itself; "" where its address is its own
}

// verdict is what a reviewer said.
type verdict struct {
	User, Person string
	Verdict      review.Verdict
	Words        template.HTML // "" is nothing
	At           time.Time
}

// Path is where the version is reviewed.
func (p *page) Path() string { return path(p.Digest) }

// Link is the page with another word in its address; "" takes it out.
func (p *page) Link(name, value string) string {
	q := url.Values{}
	for n, v := range p.query {
		q[n] = v
	}
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	return (&url.URL{Path: p.Path(), RawQuery: q.Encode()}).String()
}

// At is the page with its form at a line. There is one for each line: they are
// short.
func (p *page) At(part review.Part, line int) string {
	q := url.Values{"line": {strconv.Itoa(line)}}
	if part != review.PartScript {
		q.Set("part", string(part))
	}
	p.compared(q)
	return (&url.URL{Path: p.base, RawQuery: q.Encode(), Fragment: "comment"}).String()
}

// compared adds what the page compares with, and how.
func (p *page) compared(q url.Values) {
	for _, name := range []string{"view", "against"} {
		if v := p.query.Get(name); v != "" {
			q.Set(name, v)
		}
	}
}

// Reply is the page with its form for an answer to a thread that it shows.
func (p *page) Reply(thread string) string {
	q := url.Values{"answer": {thread}}
	if from := p.Threads.Value.From; from != "" {
		q.Set("threads", from)
	}
	return (&url.URL{Path: p.Path(), RawQuery: q.Encode(), Fragment: "comment"}).String()
}

// From is the page with the threads from a comment on; "" is the newest.
func (p *page) From(comment string) string { return p.Link("threads", comment) + "#comments" }

// Said is where a thread is that another page shows.
func (p *page) Said(thread string) string {
	q := url.Values{"threads": {thread}}
	p.compared(q)
	return (&url.URL{Path: p.base, RawQuery: q.Encode(), Fragment: "c-" + thread}).String()
}

// Elsewhere are the threads of a line that other pages show, the newest first.
func (p *page) Elsewhere(part review.Part, line int) []string {
	if p.Threads.Err != nil {
		return nil
	}
	return p.Threads.Value.Elsewhere(part, line)
}

// Chosen reports whether the form is at a line.
func (p *page) Chosen(part review.Part, line int) bool {
	return p.Form.Parent == "" && p.Form.Part == part && p.Form.Line == int64(line)
}

// Says are the threads of a line; none where they could not be read.
func (p *page) Says(part review.Part, line int) []thread {
	if p.Threads.Err != nil {
		return nil
	}
	return p.Threads.Value.At(part, line)
}

// commentForm is the one form for what people say.
type commentForm struct {
	Part   review.Part
	Line   int64
	Parent string // id of a thread that it answers
	Place  string
	Code   *code.Line
	Text   string
}

// version shows one.
func (p *pages) version(r *kit.Request) (kit.Answer, error) {
	life, err := p.life(r)
	if err != nil {
		return nil, err
	}
	against, view, err := views(r)
	if err != nil {
		return nil, err
	}
	from, err := r.Word("threads")
	if err != nil {
		return nil, err
	}
	out, st, err := p.page(r, life)
	if err != nil {
		return nil, err
	}
	v := life.Version
	out.Against = kit.Load(r, "difference", func(ctx context.Context) (compared, error) {
		c, err := p.compare(ctx, v, st.Predicate, against, r.Who.User)
		c.Split = view == "split"
		return c, err
	})
	out.Lint = kit.Load(r, "lint", func(ctx context.Context) (lint, error) { return p.lint(ctx, v) })
	out.Threads = kit.Load(r, "comments", func(ctx context.Context) (threads, error) {
		return p.threads(ctx, v, from, out.Script, out.Manifest)
	})
	if out.MayTry {
		out.Reports = kit.Load(r, "reports", func(ctx context.Context) ([]report, error) { return p.reports(ctx, st.Predicate) })
	}
	if out.Form, err = out.form(r); err != nil {
		return nil, err
	}
	return p.View("version", "Review of "+out.Name(), sectionName, out).Follow([]string{live.Version(v.Digest)}, []string{"comments", "standing"}), nil
}

// views are the words of the address that say how the difference is shown.
func views(r *kit.Request) (against, view string, err error) {
	if against, err = r.Word("against"); err != nil {
		return "", "", err
	}
	view, err = r.One("view", "unified", "split")
	return against, view, err
}

func (p *pages) life(r *kit.Request) (review.Life, error) {
	digest := r.ID("digest")
	other := func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }
	if len(digest) != 64 || strings.ContainsFunc(digest, other) {
		return review.Life{}, errs.New(errs.CodeNotFound, "there is no such version").WithHint("a version is named by its whole digest here")
	}
	return p.Store.Life(r.Context(), digest)
}

// page is what needs nothing but the version.
func (p *pages) page(r *kit.Request, life review.Life) (*page, hooks.Statement, error) {
	v := life.Version
	st, err := hooks.ParseStatement(v.Statement)
	if err != nil {
		return nil, st, err
	}
	mayReview, mayTalk := r.May(auth.HooksReview), r.May(auth.HooksComment)
	out := &page{
		VersionRef: refOf(v), State: life.State(), Words: inwords.Statement(st),
		Standing: standingOf(p.Rules(), life, r.Who.User, mayReview),
		Script:   p.Painter.Lua(v.Script), Manifest: p.Painter.YAML(v.Manifest),
		Answer: r.Typed("comment"), MayReview: mayReview, MayTalk: mayTalk, MayTry: mayTalk && p.Bench != nil,
		MayAnswer: mayReview && decidable(life.State()), query: r.URL.Query(),
	}
	if r.Method != http.MethodGet {
		out.query, out.base = url.Values{}, out.Path()
	}
	out.Facts = []kit.Fact{
		{Name: "Version", Cell: out.Cell()},
		{Name: "State", Cell: kit.State(string(out.State))},
		{Name: "Submitted", Cell: kit.Time(v.SubmittedAt).With("by " + v.SubmittedBy)},
		{Name: "Hook", Cell: kit.ID(v.Hook, "/hooks/"+url.PathEscape(v.Hook))},
		{Name: "Digest", Cell: kit.ID(v.Digest, "/versions/"+v.Digest)},
	}
	ctx, cancel := context.WithTimeout(r.Context(), renderTime)
	defer cancel()
	for _, one := range life.Reviews {
		said := verdict{User: looks.Visible(one.User), Person: looks.Visible(one.Person), Verdict: one.Verdict, At: one.At}
		if one.Comment != "" {
			said.Words = p.markdown.within(ctx, one.Comment)
		}
		out.Reviews = append(out.Reviews, said)
	}
	for _, l := range out.Script {
		if l.Long {
			out.Long++
		}
	}
	out.Hidden = hides(v.Script, out.Script)
	return out, st, nil
}

// decidable reports whether reviewers can still say no.
func decidable(state hooks.State) bool {
	_, err := hooks.Next(state, hooks.EventReject)
	return err == nil
}

// hides reports whether a script is not shown as it is.
func hides(script []byte, lines []code.Line) bool {
	shown := make([]string, len(lines))
	for i, l := range lines {
		shown[i] = l.Text()
	}
	return strings.Join(shown, "\n") != strings.TrimSuffix(string(script), "\n")
}

// form is the form for a comment: as it was typed, or where the address puts it.
func (p *page) form(r *kit.Request) (commentForm, error) {
	f := commentForm{Part: review.Part(r.Typed("part")), Parent: r.Typed("parent"), Text: r.Typed("text")}
	line := r.Typed("line")
	if r.Method == http.MethodGet {
		part, err := r.One("part", "script", "manifest")
		if err != nil {
			return f, err
		}
		if f.Parent, err = r.Word("answer"); err != nil {
			return f, err
		}
		f.Part, line = review.Part(part), r.URL.Query().Get("line")
	}
	f.Line, _ = strconv.ParseInt(line, 10, 64) // what is no line is the whole
	if at, ok := p.Threads.Value.heads[f.Parent]; ok {
		f.Part, f.Line = at.part, at.line
	} else {
		f.Parent = ""
	}
	if f.Code = lineOf(f.Part, f.Line, p.Script, p.Manifest); f.Code == nil {
		f.Part, f.Line = review.PartWhole, 0
	}
	f.Place = place{f.Part, f.Line}.String()
	return f, nil
}
