package kit

import (
	"html/template"
	"net/url"
	"strings"
	"time"

	"hookline/internal/looks"
)

// Lists are most of what pages hold: a page of fifty rows is three hundred
// cells. Their markup is written here, as html/template would, in a tenth of
// its time.

// escaper makes text of anything, between tags and in quoted attributes: the
// characters are those that html/template escapes there.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "+", "&#43;", "\x00", "\ufffd")

// markup is HTML under way; text gets into it by escaped alone.
type markup struct {
	strings.Builder
	now time.Time
}

// tags writes what is ours, letter by letter.
func (m *markup) tags(s string) { m.WriteString(s) }

// escaped writes what is not.
func (m *markup) escaped(s string) { _, _ = escaper.WriteString(m, s) } // a Builder takes all

// attribute writes an attribute that has a value.
func (m *markup) attribute(name, value string) {
	if value == "" {
		return
	}
	m.tags(" " + name + `="`)
	m.escaped(value)
	m.tags(`"`)
}

// cells writes a row's cells, for the template "rows".
func (k *Kit) cells(r row) template.HTML {
	m := markup{now: k.Now()}
	for _, c := range r.Cells {
		m.tags(`<td role="cell" data-label="`)
		m.escaped(c.Head)
		m.tags(`"`)
		var classes []string
		if c.Right {
			classes = append(classes, "number")
		}
		if c.Any {
			classes = append(classes, "any")
		}
		m.attribute("class", strings.Join(classes, " "))
		m.tags("><div>")
		m.cell(c.Cell)
		m.tags("</div></td>")
	}
	return template.HTML(m.String()) //nolint:gosec // all but tags is escaped
}

// cell writes one cell, for the template "cell".
func (k *Kit) cell(c Cell) template.HTML {
	m := markup{now: k.Now()}
	m.cell(c)
	return template.HTML(m.String()) //nolint:gosec // see cells
}

func (m *markup) cell(c Cell) {
	switch {
	case c.Kind == KindTime:
		m.moment(c)
	case c.Link != "":
		m.link(c)
	case c.Kind == KindState:
		m.tags(`<span class="state `)
		m.escaped(c.Shown())
		m.tags(`">`)
		m.escaped(c.Shown())
		m.tags("</span>")
	case (c.Kind == KindID || c.Kind == KindCode) && c.Shown() != "":
		m.tags(`<span class="id">`)
		m.escaped(c.Shown())
		m.tags("</span>")
	default:
		m.orDash(c.Shown())
	}
	if c.Note != "" {
		m.tags(` <span class="muted">`)
		m.escaped(looks.Visible(c.Note))
		m.tags("</span>")
	}
}

func (m *markup) orDash(s string) {
	if s == "" {
		s = "–"
	}
	m.escaped(s)
}

func (m *markup) moment(c Cell) {
	if word := c.Word(); word != "" {
		m.escaped(word)
		m.tags(" ")
	}
	close := m.open(c, "")
	t := c.Moment()
	if t.IsZero() {
		m.tags("–")
	} else {
		m.tags("<time")
		m.attribute("datetime", t.UTC().Format(time.RFC3339))
		m.attribute("title", t.UTC().Format("2006-01-02 15:04:05 UTC"))
		m.tags(">")
		m.escaped(Ago(t, m.now))
		m.tags("</time>")
	}
	m.tags(close)
}

func (m *markup) link(c Cell) {
	class := ""
	if c.Kind == KindID || c.Kind == KindCode {
		class = "id"
	}
	close := m.open(c, class)
	m.orDash(c.Shown())
	if tail := c.Tail(); tail != "" {
		m.tags(` <span class="id">`)
		m.escaped(tail)
		m.tags("</span>")
	}
	m.tags(close)
}

// open begins a link, where the cell has one to a page of ours, and returns
// what ends it.
func (m *markup) open(c Cell, class string) string {
	to := ours(c.Link)
	if to == "" {
		return ""
	}
	m.tags("<a")
	m.attribute("class", class)
	m.attribute("href", to)
	m.attribute("title", c.Title())
	m.tags(">")
	return "</a>"
}

// ours is the address of a page of ours as it stands in a link; "" is none.
func ours(link string) string {
	if !strings.HasPrefix(link, "/") || strings.HasPrefix(link, "//") || strings.HasPrefix(link, `/\`) {
		return ""
	}
	if !strings.ContainsFunc(link, odd) {
		return link
	}
	u, err := url.Parse(link)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return ""
	}
	return u.String()
}

// odd is what addresses hold only in escapes.
func odd(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._~:@?&=+,;!*()$#-", r)
}
