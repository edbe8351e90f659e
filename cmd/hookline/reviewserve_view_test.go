package main

import (
	"net/http"
	"strings"
	"testing"
)

// The script is in colors and the difference in one column or in two; what an
// author wrote is text in each of them.
func TestReviewPageViews(t *testing.T) {
	h := newShelf(t)
	const evil = "local x = \"</code><script>alert(1)</script>\" -- <img src=x onerror=alert(1)>\n"
	h.put("active", hookScript, numbered(2), bob())
	v := h.put("submitted", strings.Replace(hookScript, "1", "22", 1)+evil, nil)
	r := opened(t, h.env)
	one := r.read(v.Digest)
	one.want(t, 200, `<span class="kw">local</span>`, `<span class="com">-- <img src=x`, `<ol class="diff"`, `<mark class="num">22</mark>`, `?view=split#difference`, "2 lines added, 1 removed")
	two := r.do(http.MethodGet, r.at(v.Digest)+"?view=split", nil, nil)
	two.want(t, 200, `<table class="sides"`, `<mark class="num">1</mark>`, `<mark class="num">22</mark>`, v.Digest+"#difference")
	if strings.Contains(one.body, `class="sides"`) || strings.Contains(two.body, `<ol class="diff"`) {
		t.Error("both are shown")
	}
	for _, got := range []answer{one, two, r.do(http.MethodGet, r.at(v.Digest)+"?view=%3Cscript%3E", nil, nil)} {
		if got.want(t, 200); strings.Contains(got.body, "<script") || strings.Contains(got.body, "<img") {
			t.Errorf("%s: markup of the author's", got.Request.URL)
		}
	}
	// What hides takes the colors: they could lie.
	v = h.put("submitted", "-- \u202e\n"+hookScript, numbered(6))
	got := r.read(v.Digest)
	_, script, _ := strings.Cut(got.body, `<ol class="script">`)
	script, _, _ = strings.Cut(script, "</ol>")
	if got.want(t, 200, "holds control or invisible characters"); strings.Contains(script, "<span") || !strings.Contains(script, "202E⟩") {
		t.Errorf("the script is shown as %s", script)
	}
}
