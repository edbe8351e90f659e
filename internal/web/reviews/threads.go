package reviews

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"hookline/internal/code"
	"hookline/internal/looks"
	"hookline/review"
)

// renderTime is how long one page works on the markup of comments; what is
// left stays text.
const renderTime = time.Second

// said is one comment.
type said struct {
	ID, User string
	At       time.Time
	Words    template.HTML
}

// thread is a comment with its answers.
type thread struct {
	said
	Part       review.Part
	Line       int64
	Code       *code.Line // that it is about
	Answers    []said
	ResolvedBy string
	ResolvedAt time.Time
}

// Open reports whether nobody settled it.
func (t thread) Open() bool { return t.ResolvedBy == "" }

// Place is what it is about.
func (t thread) Place() string { return place(t.Part, t.Line) }

func place(part review.Part, line int64) string {
	switch part {
	case review.PartScript:
		return fmt.Sprintf("hook.lua, line %d", line)
	case review.PartManifest:
		return fmt.Sprintf("hook.yaml, line %d", line)
	}
	return "the whole version"
}

// anchor is the id of a line on the page.
func anchor(part review.Part, line int64) string {
	if part == review.PartManifest {
		return fmt.Sprintf("m%d", line)
	}
	return fmt.Sprintf("s%d", line)
}

// Anchor is the id of its line, "" of the whole.
func (t thread) Anchor() string {
	if t.Line == 0 {
		return ""
	}
	return anchor(t.Part, t.Line)
}

// threads are the comments of a version: open ones first, by place and time.
type threads struct {
	List []thread
	Open int
	at   map[string][]thread // by anchor
}

// At are the threads of one line.
func (t threads) At(part review.Part, line int) []thread { return t.at[anchor(part, int64(line))] }

// Empty reports whether nobody said anything.
func (t threads) Empty() bool { return len(t.List) == 0 }

func (p *pages) threads(ctx context.Context, v review.Version, script, manifest []code.Line) (threads, error) {
	all, err := p.Store.Comments(ctx, v.Digest)
	if err != nil {
		return threads{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	out := threads{at: map[string][]thread{}}
	where := map[string]int{} // first comment → its place in out.List
	for _, c := range all {
		one := said{ID: c.ID, User: looks.Visible(c.User), At: c.At, Words: p.markdown.within(ctx, c.Text)}
		if c.Parent != "" {
			if i, ok := where[c.Parent]; ok {
				out.List[i].Answers = append(out.List[i].Answers, one)
			}
			continue
		}
		where[c.ID] = len(out.List)
		t := thread{said: one, Part: c.Part, Line: c.Line, ResolvedBy: looks.Visible(c.ResolvedBy), ResolvedAt: c.ResolvedAt}
		t.Code = lineOf(c.Part, c.Line, script, manifest)
		out.List = append(out.List, t)
	}
	slices.SortStableFunc(out.List, func(a, b thread) int {
		return cmp.Or(-compareBools(a.Open(), b.Open()), strings.Compare(string(a.Part), string(b.Part)), cmp.Compare(a.Line, b.Line))
	})
	for _, t := range out.List {
		if t.Open() {
			out.Open++
		}
		if t.Line > 0 {
			out.at[t.Anchor()] = append(out.at[t.Anchor()], t)
		}
	}
	return out, nil
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// lineOf is a line of the script or the manifest, nil where there is none.
func lineOf(part review.Part, line int64, script, manifest []code.Line) *code.Line {
	lines := script
	if part == review.PartManifest {
		lines = manifest
	}
	if part == review.PartWhole || line < 1 || line > int64(len(lines)) {
		return nil
	}
	return &lines[line-1]
}
