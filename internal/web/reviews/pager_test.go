package reviews

import (
	"fmt"
	"html/template"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// pagerOf has threads with as many answers each, of texts of a size that grows
// with their markup.
func pagerOf(answers []int, size func() int) *pager {
	g := &pager{made: map[string]template.HTML{}, render: func(text string) template.HTML { return template.HTML(text) }} //nolint:gosec // made here
	for i, n := range answers {
		t := thread{said: said{ID: fmt.Sprintf("t%d", i), User: "ann", text: strings.Repeat("x", 1+size())}, Answered: n}
		for a := range n {
			t.answers = append(t.answers, said{ID: fmt.Sprintf("t%d-%d", i, a), User: "ann", text: strings.Repeat("x", 1+size())})
		}
		g.all = append(g.all, t)
	}
	return g
}

// ids are what a page shows, the newest first.
func ids(page threads) []string {
	var out []string
	for _, t := range page.List {
		for _, a := range slices.Backward(t.Answers) {
			out = append(out, a.ID)
		}
		if t.Words != "" {
			out = append(out, t.ID)
		}
	}
	return out
}

// holds checks one page against its bounds and gives what it shows.
func holds(t *testing.T, g *pager, from string) threads {
	t.Helper()
	page, err := g.page(from)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, one := range page.List {
		size += aroundThread
		for _, a := range append(one.Answers, one.said) {
			size += len(a.Words)
		}
		if cut := one.Answered != len(one.Answers) || one.Words == ""; cut == one.Whole() {
			t.Errorf("%s: whole is %v", one.ID, one.Whole())
		}
	}
	if shown := ids(page); len(shown) == 0 || size > maxSaid || len(page.List) > maxThreads || page.Last-page.First+1 != len(page.List) || page.All != len(g.all) {
		t.Fatalf("from %q: %d comments of %d bytes, threads %d to %d are %d of %d", from, len(shown), size, page.First, page.Last, len(page.List), page.All)
	}
	return page
}

// Every comment is on one page of those that lead from the newest to the
// oldest; the way back misses none; and the page of each shows it.
func TestPagesOfThreads(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, g := range map[string]*pager{
		"one":          pagerOf([]int{0}, func() int { return 10 }),
		"many small":   pagerOf(make([]int, 340), func() int { return 10 }),
		"large":        pagerOf(make([]int, 60), func() int { return 25_000 }),
		"one long":     pagerOf([]int{499}, func() int { return 3000 }),
		"long between": pagerOf([]int{0, 3, 200, 1, 0, 90, 0}, func() int { return random.IntN(9000) }),
		"mixed": pagerOf(slices.Collect(func(yield func(int) bool) {
			for range 80 {
				if !yield(random.IntN(8)) {
					return
				}
			}
		}), func() int { return random.IntN(4000) }),
	} {
		t.Run(name, func(t *testing.T) {
			var all, seen []string
			for i := range g.all {
				for _, a := range slices.Backward(g.all[i].answers) {
					all = append(all, a.ID)
				}
				all = append(all, g.all[i].ID)
			}
			page, pages := holds(t, g, ""), 1
			newest := ids(page)
			for seen = ids(page); page.Earlier != ""; seen = append(seen, ids(page)...) {
				page = holds(t, g, page.Earlier)
				pages++
			}
			if !slices.Equal(seen, all) {
				t.Fatalf("%d comments on the way to the oldest, of %d: %v", len(seen), len(all), seen)
			}
			back, steps := ids(page), 0
			for ; page.ToNewer; steps++ {
				begin := ids(page)[0]
				page = holds(t, g, page.Newer)
				shown := ids(page)
				if at, last := slices.Index(all, begin), slices.Index(all, shown[len(shown)-1]); last < at-1 || shown[0] == begin {
					t.Fatalf("between %s and %s there is more", shown[len(shown)-1], begin)
				}
				back = append(shown, back...)
			}
			slices.Sort(back)
			if n := len(slices.Compact(back)); n != len(all) || page.From != "" || steps > 2*pages {
				t.Errorf("%d comments on the way back to %q, of %d, in %d steps of %d", n, page.From, len(all), steps, pages)
			}
			for _, id := range all {
				page := holds(t, g, id)
				if !slices.Contains(ids(page), id) {
					t.Errorf("the page of %s does not show it", id)
				}
				if slices.Contains(newest, id) != (page.From == "") {
					t.Errorf("the page of %s begins with %q", id, page.From)
				}
				i := slices.IndexFunc(g.all, func(t thread) bool { return t.ID == strings.Split(id, "-")[0] })
				shown := page.List[max(0, i+1-page.First)]
				if n, _ := g.older(i, g.newest(i).upTo, maxSaid); n == 1+shown.Answered && !shown.Whole() {
					t.Errorf("the page of %s shows %d of %d answers, and the thread fits", id, len(shown.Answers), shown.Answered)
				}
			}
		})
	}
	if page, err := pagerOf(nil, nil).page(""); err != nil || !page.Empty() {
		t.Errorf("of nothing: %+v, %v", page, err)
	}
	if _, err := pagerOf([]int{0}, func() int { return 1 }).page("x"); err == nil {
		t.Error("a comment that is not there has a page")
	}
}
