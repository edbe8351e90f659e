package reviews

import (
	"html/template"
	"slices"

	"hookline/internal/errs"
)

// pager cuts threads into pages: a page is a run of comments, from newer threads
// to older ones and in each from its newest comment to its first, and it begins
// with the one that its address names. A thread is on one page where it fits on
// one; only one that never does is cut.
type pager struct {
	all    []thread // the newest first
	render func(text string) template.HTML
	made   map[string]template.HTML // markup by comment
}

// spot is a comment: a thread, and how many comments it has up to that one.
// (0, n) is the newest comment where the first thread has n.
type spot struct{ thread, upTo int }

// newest is the last comment of a thread.
func (g *pager) newest(thread int) spot { return spot{thread, 1 + len(g.all[thread].answers)} }

// at is a comment of a thread, from 1; the first one is the thread's own.
func (g *pager) at(thread, n int) *said {
	if n == 1 {
		return &g.all[thread].said
	}
	return &g.all[thread].answers[n-2]
}

// size is what a comment takes of a page.
func (g *pager) size(thread, n int) int {
	one := g.at(thread, n)
	words, ok := g.made[one.ID]
	if !ok {
		words = g.render(one.text)
		g.made[one.ID] = words
	}
	return aroundSaid + len(one.User) + len(words)
}

// around is what a thread takes of a page, whatever is said in it.
func (g *pager) around(thread int) int {
	t := g.all[thread]
	n := aroundThread + 2*len(t.User) + len(t.ResolvedBy)
	if t.Code != nil {
		n += len(template.HTMLEscapeString(t.Code.Text())) + aroundSpan*len(t.Code.Spans)
	}
	return n
}

// older counts the comments of a thread that fit into left bytes, from upTo
// back, and what they take.
func (g *pager) older(thread, upTo, left int) (count, took int) {
	for took = g.around(thread); count < upTo; count++ {
		size := g.size(thread, upTo-count)
		if took+size > left {
			break
		}
		took += size
	}
	return count, took
}

// page is the one that begins with a comment; "" is the newest.
func (g *pager) page(from string) (threads, error) {
	out := threads{All: len(g.all)}
	if len(g.all) == 0 {
		return out, nil
	}
	begin := g.newest(0)
	list, next := g.fill(begin)
	if from != "" {
		s, ok := g.find(from)
		if !ok {
			return out, errs.New(errs.CodeNotFound, "there is no such comment on this version").At("threads").WithHint("begin with the newest threads")
		}
		// What the newest page shows is on no other.
		if second := next; second != nil && !s.before(*second) {
			begin = s
			list, next = g.fill(begin)
			out.From, out.ToNewer, out.Newer = from, true, g.before(begin, *second)
		}
	}
	out.List, out.First, out.Last = list, begin.thread+1, begin.thread+len(list)
	if next != nil {
		out.Earlier = g.at(next.thread, next.upTo).ID
	}
	return out, nil
}

// before is the name of the page before a spot; "" where that is the newest one,
// behind which the second begins.
func (g *pager) before(s, second spot) string {
	begin := g.back(s)
	if begin.before(second) {
		if begin = second; s == second {
			return ""
		}
	}
	return g.at(begin.thread, begin.upTo).ID
}

// before reports whether a spot is on the way to another one.
func (s spot) before(o spot) bool {
	return s.thread < o.thread || s.thread == o.thread && s.upTo > o.upTo
}

// find is where the page of a comment begins: with the newest of its thread
// where all of that fits on one.
func (g *pager) find(id string) (spot, bool) {
	for i, t := range g.all {
		n := 1
		if t.ID != id {
			if n = 2 + slices.IndexFunc(t.answers, func(s said) bool { return s.ID == id }); n == 1 {
				continue
			}
		}
		whole := g.newest(i)
		if count, _ := g.older(i, whole.upTo, maxSaid); count == whole.upTo {
			return whole, true
		}
		return spot{i, n}, true
	}
	return spot{}, false
}

// fill makes the page that begins at a spot, and says where the next one does.
func (g *pager) fill(s spot) (list []thread, next *spot) {
	left := maxSaid
	for {
		count, took := g.older(s.thread, s.upTo, left)
		if count < s.upTo && len(list) > 0 || len(list) == maxThreads {
			return list, &s
		}
		if count = max(count, 1); count < s.upTo {
			return append(list, g.cut(s, count)), &spot{s.thread, s.upTo - count}
		}
		list, left = append(list, g.cut(s, count)), left-took
		if s.thread+1 == len(g.all) {
			return list, nil
		}
		s = g.newest(s.thread + 1)
	}
}

// cut is a thread with count of its comments, back from a spot.
func (g *pager) cut(s spot, count int) thread {
	t := g.all[s.thread]
	for n := s.upTo - count + 1; n <= s.upTo; n++ {
		one := *g.at(s.thread, n)
		one.Words = g.made[one.ID]
		if n == 1 {
			t.said = one
		} else {
			t.Answers = append(t.Answers, one)
		}
	}
	return t
}

// back is where the page before a spot begins.
func (g *pager) back(s spot) spot {
	if s != g.newest(s.thread) {
		return g.newer(s.thread, s.upTo+1)
	}
	left, begin := maxSaid, s
	for n := 0; n < maxThreads && begin.thread > 0; n++ {
		whole := g.newest(begin.thread - 1)
		count, took := g.older(whole.thread, whole.upTo, left)
		switch {
		case count == whole.upTo:
			begin, left = whole, left-took
		case n == 0:
			return g.newer(whole.thread, 1)
		default:
			return begin
		}
	}
	return begin
}

// newer is the newest comment of a thread that fits on a page with all from one
// on.
func (g *pager) newer(thread, from int) spot {
	left := maxSaid - g.around(thread)
	n := from
	for left -= g.size(thread, n); n < g.newest(thread).upTo; n++ {
		if left -= g.size(thread, n+1); left < 0 {
			break
		}
	}
	return spot{thread, n}
}
