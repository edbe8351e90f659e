package reviews_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"hookline/internal/auth"
	"hookline/review"
)

// say adds comments as they come, a second apart.
func (w *world) say(v review.Version, part review.Part, line int64, parent string, texts ...string) (last review.Comment) {
	w.t.Helper()
	for _, text := range texts {
		w.Clock.Advance(time.Second)
		c, err := w.service.Comment(w.t.Context(), command(auth.RoleReviewer), v.Digest, part, line, parent, text)
		w.ok(err)
		last = c
	}
	return last
}

// commentsOf is the part of a page with the comments, and the links from it.
func commentsOf(t *testing.T, page string) (part, newer, earlier string) {
	t.Helper()
	_, part, _ = strings.Cut(page, `id="comments"`)
	part, _, found := strings.Cut(part, "</section>")
	if !found {
		t.Fatalf("no comments in %.500s", page)
	}
	link := func(rel string) string {
		m := regexp.MustCompile(`<a href="([^"]*)" rel="` + rel + `"`).FindStringSubmatch(part)
		if m == nil {
			return ""
		}
		to, _, _ := strings.Cut(html.UnescapeString(m[1]), "#")
		return to
	}
	return part, link("prev"), link("next")
}

// articles are the ids of the threads, or comments, of a page.
func articles(part string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`<article [^>]*id="c-([^"]*)"`).FindAllStringSubmatch(part, -1) {
		out = append(out, m[1])
	}
	return out
}

// However much people say, a page that others fetch at each event is small; all
// of it is there behind links, and counted.
func TestManyThreads(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "local a = 1\nlocal b = \""+strings.Repeat("'+1", 200)+"\"\n", "/proc/version", 10)
	bare, _, _ := commentsOf(t, w.Want(at(v, ""), auth.RoleReviewer))
	evil := []string{
		strings.Repeat(">", 4000), strings.Repeat("<http://a> ", 363), strings.Repeat(`"`, 4000), strings.Repeat("\u00ad", 2000),
		"[a]: mailto:a\n\n" + strings.Repeat("[a] aaaaaaa", 360), strings.Repeat("*a*", 1333), strings.Repeat("- a\n", 1000),
	}
	const many = 28
	var first review.Comment
	for i := range many {
		c := w.say(v, review.PartScript, int64(1+i%2), "", evil[i%len(evil)])
		if i == 0 {
			first = c
		}
	}
	w.ok(w.service.Resolve(t.Context(), command(auth.RoleReviewer), v.Digest, first.ID, false))
	seen, pages, path, from := map[string]bool{}, []string{}, at(v, "?view=split"), ""
	for path != "" {
		page := w.Want(path, auth.RoleReviewer)
		part, newer, earlier := commentsOf(t, page)
		if n := len(part) - len(bare); n > 48_000 {
			t.Errorf("%s: %d bytes of comments", path, n)
		}
		list := articles(part)
		wants(t, part, "27 open of 28", fmt.Sprintf("%d of 28 threads", len(list)), "Of all of them 27 are open.")
		for _, id := range list {
			if seen[id] {
				t.Errorf("%s is on two pages", id)
			}
			seen[id] = true
			if !strings.Contains(page, `class="said" href="#c-`+id+`"`) {
				t.Errorf("no marker of %s beside its line", id)
			}
		}
		if (newer == "") != (from == "") || earlier != "" && !strings.Contains(earlier, "view=split") {
			t.Errorf("%s: to %q and %q", path, newer, earlier)
		}
		pages, from, path = append(pages, path), path, earlier
	}
	if len(seen) != many || len(pages) < 10 {
		t.Fatalf("%d threads on %d pages", len(seen), len(pages))
	}
	steps := 0
	for path = pages[len(pages)-1]; path != ""; steps++ {
		_, path, _ = commentsOf(t, w.Want(path, auth.RoleReviewer))
	}
	if steps < 10 || steps > 2*len(pages) {
		t.Errorf("%d pages on the way back, %d before", steps, len(pages))
	}

	// The marker of a line leads to the page with the newest of its other threads.
	page := w.Want(at(v, ""), auth.RoleReviewer)
	markers := regexp.MustCompile(`class="said" href="(\?threads=[^"#]*)#c-([^"]*)">(\d+) threads on other pages`).FindAllStringSubmatch(page, -1)
	if len(markers) != 2 {
		t.Fatalf("%d markers", len(markers))
	}
	for _, m := range markers {
		part, _, _ := commentsOf(t, w.Want(at(v, m[1]), auth.RoleReviewer))
		wants(t, part, `id="c-`+m[2]+`"`)
	}
	// The form knows threads of other pages, and who answers there is led there.
	wants(t, w.Want(at(v, "?answer="+first.ID), auth.RoleReviewer), "On the thread about hook.lua, line 1")
	a := w.Post(at(v, "/comment"), form("parent", first.ID, "text", "late"), auth.RoleAuthor)
	to, _, _ := strings.Cut(a.Header.Get("Location"), "#")
	part, _, _ := commentsOf(t, w.Want(to, auth.RoleAuthor))
	if wants(t, part, "<p>late</p>", `id="c-`+first.ID+`"`, "numbers 28 to 28"); a.Status != http.StatusSeeOther {
		t.Errorf("%d", a.Status)
	}
	wants(t, w.Want(at(v, "?threads=x"), auth.RoleReviewer), "there is no such comment on this version", "Approve")
}

// Small comments weigh by what stands around them, and a thread alone can be too
// much for a page.
func TestSmallCommentsAndLongThreads(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "x = 1"+strings.Repeat("+1", 1000)+"\n", "/proc/version", 10)
	w.say(v, review.PartScript, 1, "", strings.Fields(strings.Repeat("x ", 60))...)
	page := w.Want(at(v, ""), auth.RoleReviewer)
	part, _, earlier := commentsOf(t, page)
	if n := len(articles(part)); n > 50 || n < 5 || len(part) > 45_000 || earlier == "" {
		t.Errorf("%d threads in %d bytes, then %q", n, len(part), earlier)
	}
	w.say(v, review.PartWhole, 0, "", strings.Fields(strings.Repeat("x ", 60))...)
	part, _, _ = commentsOf(t, w.Want(at(v, ""), auth.RoleReviewer))
	if n := len(articles(part)); n != 50 || len(part) > 45_000 {
		t.Errorf("%d threads on the whole in %d bytes", n, len(part))
	}
	thread := w.say(v, review.PartWhole, 0, "", "the beginning")
	w.say(v, review.PartWhole, 0, thread.ID, strings.Fields(strings.Repeat("answer ", 150))...)
	part, _, earlier = commentsOf(t, w.Want(at(v, ""), auth.RoleReviewer))
	wants(t, part, "Begun by reviewer", "of 150 answers are here", "1 of 121 threads", `id="c-`+thread.ID+`"`)
	lacks(t, part, "the beginning")
	if len(part) > 45_000 || earlier == "" {
		t.Errorf("%d bytes, then %q", len(part), earlier)
	}
	for steps := 0; !strings.Contains(part, "the beginning"); steps++ {
		if part, _, earlier = commentsOf(t, w.Want(earlier, auth.RoleReviewer)); steps > 5 || earlier == "" {
			t.Fatal("no link leads to the beginning")
		}
	}
	wants(t, w.Want(at(v, "?threads="+thread.ID), auth.RoleReviewer), "the beginning")
}
