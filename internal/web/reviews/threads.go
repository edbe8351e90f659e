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

// Bounds of the threads of one page, which all who follow it fetch at each
// event.
const (
	maxThreads   = 50
	maxSaid      = 40_000 // bytes of markup
	excerptBytes = 200    // of the line that a thread is about
)

// Markup around what people say, in bytes, about.
const (
	aroundThread = 450
	aroundSaid   = 300
	aroundSpan   = 30
)

// said is one comment.
type said struct {
	ID, User string
	At       time.Time
	Words    template.HTML // "" where the page does not show it
	text     string
}

// thread is a comment with its answers.
type thread struct {
	said
	Part       review.Part
	Line       int64
	Code       *code.Line // that it is about, the beginning of it
	Answers    []said     // that the page shows
	Answered   int        // how many there are
	ResolvedBy string
	ResolvedAt time.Time

	answers []said // all, the oldest first
}

// Open reports whether nobody settled it.
func (t thread) Open() bool { return t.ResolvedBy == "" }

// Place is what it is about.
func (t thread) Place() string { return place{t.Part, t.Line}.String() }

// place is a line of a part of a version, or the whole.
type place struct {
	part review.Part
	line int64
}

// String is the place in words.
func (p place) String() string {
	switch p.part {
	case review.PartScript:
		return fmt.Sprintf("hook.lua, line %d", p.line)
	case review.PartManifest:
		return fmt.Sprintf("hook.yaml, line %d", p.line)
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

// Whole reports whether the page shows all of it.
func (t thread) Whole() bool { return t.Words != "" && len(t.Answers) == t.Answered }

// threads are the comments of a version: those of one page, open ones first, by
// place and time.
type threads struct {
	List    []thread
	All     int    // threads of the version
	Open    int    // of them
	First   int    // number of the newest thread on the page, from 1
	Last    int    // and of the oldest
	From    string // where the page begins, "" with the newest
	Newer   string // where the page before begins
	ToNewer bool   // there is one; the newest has no name
	Earlier string // where the next page begins, "" is none

	at    map[string][]thread // of the page, by anchor
	other map[string][]string // ids of threads on other pages, by anchor, the newest first
	heads map[string]place    // of all threads, by id
}

// At are the threads of one line that the page shows.
func (t threads) At(part review.Part, line int) []thread { return t.at[anchor(part, int64(line))] }

// Elsewhere are the ids of the threads of one line that other pages show, the
// newest first.
func (t threads) Elsewhere(part review.Part, line int) []string {
	return t.other[anchor(part, int64(line))]
}

// Empty reports whether nobody said anything.
func (t threads) Empty() bool { return t.All == 0 }

// threads reads the comments and makes one page of them: that with the newest,
// or the one that begins with the comment that from names.
func (p *pages) threads(ctx context.Context, v review.Version, from string, script, manifest []code.Line) (threads, error) {
	comments, err := p.Store.Comments(ctx, v.Digest)
	if err != nil {
		return threads{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	all := gathered(comments, script, manifest)
	pager := &pager{all: all, made: map[string]template.HTML{}, render: func(text string) template.HTML { return p.markdown.within(ctx, text) }}
	out, err := pager.page(from)
	if err != nil {
		return threads{}, err
	}
	out.at, out.other, out.heads = map[string][]thread{}, map[string][]string{}, map[string]place{}
	for i, t := range all {
		if t.Open() {
			out.Open++
		}
		out.heads[t.ID] = place{t.Part, t.Line}
		if t.Line > 0 && (i+1 < out.First || i+1 > out.Last) {
			out.other[t.Anchor()] = append(out.other[t.Anchor()], t.ID)
		}
	}
	slices.SortStableFunc(out.List, func(a, b thread) int {
		return cmp.Or(-compareBools(a.Open(), b.Open()), strings.Compare(string(a.Part), string(b.Part)), cmp.Compare(a.Line, b.Line), strings.Compare(a.ID, b.ID))
	})
	for _, t := range out.List {
		if t.Line > 0 {
			out.at[t.Anchor()] = append(out.at[t.Anchor()], t)
		}
	}
	return out, nil
}

// gathered are the threads that comments make, the newest first.
func gathered(comments []review.Comment, script, manifest []code.Line) []thread {
	var out []thread
	where := map[string]int{} // first comment → its place in out
	for _, c := range comments {
		one := said{ID: c.ID, User: looks.Visible(c.User), At: c.At, text: c.Text}
		if c.Parent != "" {
			if i, ok := where[c.Parent]; ok {
				out[i].answers = append(out[i].answers, one)
				out[i].Answered++
			}
			continue
		}
		where[c.ID] = len(out)
		t := thread{said: one, Part: c.Part, Line: c.Line, ResolvedBy: looks.Visible(c.ResolvedBy), ResolvedAt: c.ResolvedAt}
		if line := lineOf(c.Part, c.Line, script, manifest); line != nil {
			short := line.Short(excerptBytes)
			t.Code = &short
		}
		out = append(out, t)
	}
	slices.Reverse(out)
	return out
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
