package reviews

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"hookline/review"
)

func TestMarkdown(t *testing.T) {
	m := newMarkdown()
	const rel = ` rel="nofollow noreferrer noopener" target="_blank"`
	for in, want := range map[string]string{
		"plain *em* **strong** `code`":         "<p>plain <em>em</em> <strong>strong</strong> <code>code</code></p>\n",
		"one\ntwo":                             "<p>one<br>\ntwo</p>\n",
		"- a\n- b":                             "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n",
		"> quoted":                             "<blockquote>\n<p>quoted</p>\n</blockquote>\n",
		"```lua\nx = '<b>'\n```":               "<pre><code>x = &#39;&lt;b&gt;&#39;\n</code></pre>\n",
		"# no heading":                         "<p># no heading</p>\n",
		"a\n---":                               "<p>a</p>\n<hr>\n",
		"[docs](https://a.example/x)":          `<p><a href="https://a.example/x"` + rel + `>docs</a> (a.example)</p>` + "\n",
		"<https://a.example/>":                 `<p><a href="https://a.example/"` + rel + `>https://a.example/</a></p>` + "\n",
		"[me](mailto:a@a.example)":             `<p><a href="mailto:a@a.example" rel="nofollow noreferrer">me</a> (a@a.example)</p>` + "\n",
		"[x](javascript:alert(1))":             "<p>x (javascript:alert(1))</p>\n",
		"[x](/versions/1)":                     "<p>x (/versions/1)</p>\n",
		"[x](//evil.example)":                  "<p>x (//evil.example)</p>\n",
		"[x](data:text/html,<script>)":         "<p>x (data:text/html,&lt;script&gt;)</p>\n",
		"![x](https://a.example/x.png)":        `<p><a href="https://a.example/x.png"` + rel + `>x</a> (a.example)</p>` + "\n",
		"<script>alert(1)</script>":            "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n",
		"a <img src=x onerror=alert(1)> b":     "<p>a &lt;img src=x onerror=alert(1)&gt; b</p>\n",
		"<div hx-get=\"/x\">y</div>":           "<p>&lt;div hx-get=&#34;/x&#34;&gt;y&lt;/div&gt;</p>\n",
		"a\u202eb\x00c":                        "<p>a⟨U+202E⟩b⟨U+0000⟩c</p>\n",
		"[a](https://a.example\u202e.b)":       `<p><a href="https://a.example%E2%9F%A8U+202E%E2%9F%A9.b"` + rel + `>a</a> (a.example⟨U+202E⟩.b)</p>` + "\n",
		"&lt;b&gt; &#x202e; &zwj;":             "<p>&lt;b&gt; ⟨U+202E⟩ ⟨U+200D⟩</p>\n",
		"[good.example](http:evil.example)":    "<p>good.example (http:evil.example)</p>\n",
		"[x](https:/evil.example)":             "<p>x (https:/evil.example)</p>\n",
		"[x](https:///evil.example)":           "<p>x (https:///evil.example)</p>\n",
		`[x](http:\\evil.example)`:             `<p>x (http:\\evil.example)</p>` + "\n",
		"<http:evil.example>":                  "<p>http:evil.example</p>\n",
		"[good.example](https://evil.example)": `<p><a href="https://evil.example"` + rel + `>good.example</a> (evil.example)</p>` + "\n",
	} {
		got := string(m.render(in))
		if got != want {
			t.Errorf("%q:\n got %q\nwant %q", in, got, want)
		}
		tame(t, in, got)
	}
}

// allowed are the tags that a comment may have, to the letter.
var allowed = regexp.MustCompile(`^</?(p|br|hr|strong|em|code|pre|blockquote|ul|ol|li|a)>$|^<ol start="\d+">$|` +
	`^<a href="(https?://|mailto:)[^"<>]*" rel="nofollow noreferrer noopener" target="_blank">$|^<a href="mailto:[^"<>]*" rel="nofollow noreferrer( noopener)?"( target="_blank")?>$`)

// tame checks that markup has no tag but the allowed, and hides nothing.
func tame(t *testing.T, in, got string) {
	t.Helper()
	for _, tag := range regexp.MustCompile(`<[^>]*>?`).FindAllString(got, -1) {
		if !allowed.MatchString(tag) {
			t.Errorf("%.200q gave the tag %s", in, tag)
		}
	}
	for _, r := range got {
		if unicode.In(r, unicode.Cf) || unicode.IsControl(r) && r != '\n' && r != '\t' {
			t.Errorf("%.200q gave %U", in, r)
		}
	}
}

// bombs are short for who writes them and long for who reads.
func bombs() map[string]string {
	const size = 4000
	full := func(s string) string { return strings.Repeat(s, size/len(s)) }
	return map[string]string{
		"quotes": full(">"), "quotes apart": full("> "), "lists": full("- "), "brackets": full("["), "links": full("[a]("), "images": full("![a]("),
		"nested links": full("[") + full("](x)"), "stars": full("*a_"), "emphasis": full("**a *a "), "backticks": full("`a``"), "autolinks": full("<a:"),
		"numbers": full("1. "), "entities": full("&#x202e;"), "fences": full("```\n"), "references": full("[a]: b\n"), "tags": full("<b "), "bidi": full("\u202e"),
		"deep list": func() string {
			var b strings.Builder
			for i := 0; b.Len() < size; i++ {
				b.WriteString(strings.Repeat(" ", i) + "- a\n")
			}
			return b.String()
		}(),
	}
}

func TestMarkdownBombsAreBounded(t *testing.T) {
	m := newMarkdown()
	for name, text := range bombs() {
		began := time.Now()
		got := string(m.render(text))
		took := time.Since(began)
		t.Logf("%-12s %v, %d bytes", name, took.Round(10*time.Microsecond), len(got))
		if len(got) > 10*len(text) {
			t.Errorf("%s made %d bytes of %d", name, len(got), len(text))
		}
		tame(t, text, got)
	}
}

// A page that has worked on markup for long enough shows the rest as text.
func TestMarkdownEndsWithItsTime(t *testing.T) {
	m := newMarkdown()
	ctx, cancel := context.WithCancel(t.Context())
	if got := m.within(ctx, "*a*"); got != "<p><em>a</em></p>\n" {
		t.Errorf("in time: %q", got)
	}
	cancel()
	if got := m.within(ctx, "*a* <b>\u202e"); got != "<pre>*a* &lt;b&gt;⟨U+202E⟩</pre>" {
		t.Errorf("too late: %q", got)
	}
	if got := m.render(strings.Repeat("*a* ", 1001)); !strings.HasPrefix(string(got), "<pre>") {
		t.Errorf("too long: %.80q", got)
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, text := range bombs() {
		f.Add(text)
	}
	f.Add("[x](javascript:alert(1)) <script> ![a](b) &#x202e; <https://a>")
	m := newMarkdown()
	f.Fuzz(func(t *testing.T, text string) { tame(t, text, string(m.render(text))) })
}

// What a comment takes of a page is bounded, with all that is added to what was
// typed.
func TestMarkupIsBounded(t *testing.T) {
	m := newMarkdown()
	most := widest*review.MaxCommentBytes + 1000
	longest := 0
	for _, one := range []string{
		">", "<http://a>", "<http://a> ", `"`, "\u00ad", "*a*", "- a\n", "[](http://a)", "![](http://a) x", "&quot;", "<a@b.c>", "`a`", "> - ", "[a]" + strings.Repeat("b", 6), "[a]bbbb", "[a]bbbbbbbb",
	} {
		text := "[a]: mailto:a\n\n" + strings.Repeat(one, review.MaxCommentBytes)
		n := len(m.render(text[:review.MaxCommentBytes]))
		if longest = max(longest, n); n > most {
			t.Errorf("%q becomes %d bytes, at most %d", one, n, most)
		}
	}
	if longest < most/2 {
		t.Errorf("the longest is %d bytes: no text tries the bound", longest)
	}
}
