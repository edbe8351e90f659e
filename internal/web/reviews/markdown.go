package reviews

import (
	"bytes"
	"context"
	"html/template"
	"net/url"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"

	"hookline/internal/looks"
	"hookline/review"
)

// markdown turns what people write into markup: paragraphs, emphasis, code,
// quotes, lists and links. The parser knows no raw HTML, so that a tag is shown
// as it was typed; no heading, for a page has its own; and no picture. What it
// makes passes a list of what is allowed all the same.
type markdown struct {
	parser goldmark.Markdown
	policy *bluemonday.Policy
}

func newMarkdown() *markdown {
	blocks := []util.PrioritizedValue{
		util.Prioritized(parser.NewThematicBreakParser(), 200), util.Prioritized(parser.NewListParser(), 300),
		util.Prioritized(parser.NewListItemParser(), 400), util.Prioritized(parser.NewCodeBlockParser(), 500),
		util.Prioritized(parser.NewFencedCodeBlockParser(), 700), util.Prioritized(parser.NewBlockquoteParser(), 800),
		util.Prioritized(parser.NewParagraphParser(), 1000),
	}
	inline := []util.PrioritizedValue{
		util.Prioritized(parser.NewCodeSpanParser(), 100), util.Prioritized(parser.NewLinkParser(), 200),
		util.Prioritized(parser.NewAutoLinkParser(), 300), util.Prioritized(parser.NewEmphasisParser(), 500),
	}
	policy := bluemonday.NewPolicy()
	policy.AllowElements("p", "br", "hr", "strong", "em", "code", "pre", "blockquote", "ul", "ol", "li")
	policy.AllowAttrs("href").OnElements("a")
	policy.AllowURLSchemes("mailto")
	for _, scheme := range []string{"http", "https"} {
		policy.AllowURLSchemeWithCustomPolicy(scheme, func(u *url.URL) bool { return u.Host != "" })
	}
	policy.RequireParseableURLs(true)
	policy.AllowRelativeURLs(false)
	policy.RequireNoFollowOnLinks(true)
	policy.RequireNoReferrerOnLinks(true)
	policy.AddTargetBlankToFullyQualifiedLinks(true) // says noopener with it
	return &markdown{
		parser: goldmark.New(
			goldmark.WithParser(parser.NewParser(parser.WithBlockParsers(blocks...), parser.WithInlineParsers(inline...))),
			goldmark.WithRendererOptions(html.WithHardWraps(), renderer.WithNodeRenderers(util.Prioritized(honest{}, 1))),
		),
		policy: policy,
	}
}

// widest is how much longer than its text markup may be: quotes in quotes, and
// links, are short for who writes them.
const widest = 6

// render makes markup of a text. What would hide in it is made visible, as it
// was typed and as the markup has it, for Markdown has names of characters too.
// What is longer than a comment may be, or becomes, stays text.
func (m *markdown) render(text string) template.HTML {
	shown := looks.Visible(text)
	var out bytes.Buffer
	most := widest*len(text) + 1000
	if len(text) > review.MaxCommentBytes || m.parser.Convert([]byte(shown), &out) != nil || out.Len() > most {
		return plain(text)
	}
	allowed := looks.Visible(string(m.policy.SanitizeBytes(out.Bytes())))
	if len(allowed) > most { // a link is longer with what it tells a browser
		return plain(text)
	}
	return template.HTML(allowed) //nolint:gosec // that is what the policy is for
}

// within is render while ctx lasts; then texts stay text.
func (m *markdown) within(ctx context.Context, text string) template.HTML {
	if ctx.Err() != nil {
		return plain(text)
	}
	return m.render(text)
}

// plain is a text without its markup.
func plain(text string) template.HTML {
	return template.HTML("<pre>" + template.HTMLEscapeString(looks.Visible(text)) + "</pre>") //nolint:gosec // escaped
}

// honest renders links with the host that they lead to, and pictures as links:
// the words of a link can say anything.
type honest struct{}

// RegisterFuncs is called by goldmark.
func (h honest) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindLink, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if link, ok := n.(*ast.Link); ok {
			h.link(w, string(link.Destination), entering)
		}
		return ast.WalkContinue, nil
	})
	r.Register(ast.KindImage, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if image, ok := n.(*ast.Image); ok {
			h.link(w, string(image.Destination), entering)
		}
		return ast.WalkContinue, nil
	})
}

func (honest) link(w util.BufWriter, to string, entering bool) {
	place := to
	u, err := url.Parse(to)
	// Browsers find a host, or a page of ours, also where there is none: http:evil.example
	leads := err == nil && ((u.Scheme == "http" || u.Scheme == "https") && u.Host != "" || u.Scheme == "mailto")
	switch {
	case leads && entering:
		_, _ = w.WriteString(`<a href="` + template.HTMLEscapeString(to) + `">`)
	case leads:
		_, _ = w.WriteString("</a>")
		if place = u.Host; u.Scheme == "mailto" {
			place = u.Opaque
		}
	}
	if !entering {
		_, _ = w.WriteString(" (" + template.HTMLEscapeString(place) + ")")
	}
}
