package reviewpage

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hookline/internal/code"
	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/signing"
)

// Caps of what is shown beside a statement and a script, which have their own.
const (
	maxText     = 4000 // bytes of one text
	maxReviews  = 200
	maxFindings = 200
)

// text is what somebody wrote, fit to be shown.
func text(s string) string {
	if len(s) > maxText {
		return looks.Visible(strings.ToValidUTF8(strings.Clone(s[:maxText]), "")) + fmt.Sprintf(" … (%d bytes in all)", len(s))
	}
	return looks.Visible(s)
}

// age is how long ago something was, roughly.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// view is a version as a page shows it.
type view struct {
	*Version
	Name    string
	At      time.Time
	Facts   []Row // of the first part of the statement
	Cards   []card
	Lines   []code.Line
	Long    int
	Diff    code.Difference
	Steps   []step
	Exactly string // the statement's bytes
	Whole   bool   // there is nothing to compare with
	Hidden  bool   // the script has characters that hide
	Cut     int    // reviews and findings that are not shown
}

// card is a part of the statement.
type card struct {
	Title string
	Warn  bool
	Terms []term
	Head  []string
	Cells [][]cell
}

type term struct {
	Name   string
	Values []Row
}

type cell struct{ Name, Text string }

type step struct {
	signing.Step
	Class, Word string
}

func (p *Page) view(v *Version) *view {
	out := &view{
		Version: v, Name: fmt.Sprintf("%s@%d", v.Hook, v.Number), At: p.Now(),
		Lines: p.painter.Lua(v.Script), Exactly: looks.Visible(string(v.Statement)),
		Whole: v.Against.To == "", Hidden: looks.Visible(string(v.Script)) != string(v.Script),
	}
	for _, line := range out.Lines {
		if line.Long {
			out.Long++
		}
	}
	for i, part := range v.Parts {
		if i == 0 {
			for _, r := range part.Rows {
				out.Facts = append(out.Facts, Row{Name: capital(r.Name), Value: r.Value})
			}
			continue
		}
		out.Cards = append(out.Cards, newCard(part))
	}
	if !out.Whole {
		out.Diff = p.painter.LuaDifference(v.Against.Script, v.Script)
	}
	for _, s := range v.Checks {
		out.Steps = append(out.Steps, newStep(s))
	}
	out.Cut = max(0, len(v.Server.Reviews)-maxReviews) + max(0, len(v.Findings)-maxFindings)
	v.Findings = v.Findings[:min(maxFindings, len(v.Findings))]
	v.Server, v.Against.Distrust = v.Server.fit(), text(v.Against.Distrust)
	return out
}

// fit is a small copy, fit to be shown: a view is kept, and what a server says
// can be long.
func (c Claims) fit() Claims {
	out := Claims{State: text(c.State), SubmittedBy: text(c.SubmittedBy), SubmittedAt: c.SubmittedAt}
	for _, w := range c.Reviews[:min(maxReviews, len(c.Reviews))] {
		out.Reviews = append(out.Reviews, Word{User: text(w.User), Verdict: text(w.Verdict), Comment: text(w.Comment), At: w.At})
	}
	return out
}

// newCard is a part with its rows by name. What nobody should overlook is in
// capitals, in a title or a value.
func newCard(part Part) card {
	c := card{Title: capital(part.Title), Warn: loud(part.Title)}
	for _, r := range part.Rows {
		c.Warn = c.Warn || loud(r.Value) && !r.Path
		if r.Name == "" && len(c.Terms) > 0 {
			last := &c.Terms[len(c.Terms)-1]
			last.Values = append(last.Values, r)
			continue
		}
		c.Terms = append(c.Terms, term{Name: capital(r.Name), Values: []Row{r}})
	}
	for i, row := range part.Table {
		if i == 0 {
			for _, name := range row {
				c.Head = append(c.Head, capital(strings.ToLower(name)))
			}
			continue
		}
		var cells []cell
		for j, text := range row {
			cells = append(cells, cell{Name: c.Head[min(j, len(c.Head)-1)], Text: text})
			c.Warn = c.Warn || text == "RAW"
		}
		c.Cells = append(c.Cells, cells)
	}
	return c
}

// loud reports whether the words of a reviewer shout.
func loud(s string) bool {
	return strings.HasPrefix(s, "ROOT") || strings.Contains(s, "AS ROOT") || strings.Contains(s, "KERNEL'S LOG")
}

func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[size:]
}

func newStep(s signing.Step) step {
	switch {
	case s.Verdict == signing.VerdictPassed:
		return step{s, "succeeded", "passed"}
	case s.Code == errs.CodeThresholdNotMet:
		return step{s, "pending", "not yet"}
	case s.Verdict == signing.VerdictRefused:
		return step{s, "refused", "refused"}
	}
	return step{s, "muted", string(s.Verdict)}
}

// filled is the page of a version with what was typed before.
type filled struct {
	basic
	*view
	Form   form
	Split  bool // the difference is in two columns
	Key    Key
	Digits string // what is to be typed
	// Mine is whose signature was uploaded from this page; Kept is whether it is
	// among those that came back.
	Mine signing.Signer
	Kept bool
}

func (p *Page) filled(v *view, f form) filled {
	out := filled{basic: p.signedIn(v.Name), view: v, Form: f, Key: p.Desk.Key(), Digits: v.Digest[:confirmDigits]}
	p.mu.Lock()
	out.Mine = p.signs[v.Digest]
	p.mu.Unlock()
	if v.Standing != nil {
		for _, r := range v.Standing.Reviewers {
			out.Kept = out.Kept || r == out.Mine
		}
	}
	return out
}
