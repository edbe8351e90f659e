package reviews

import (
	"context"
	"strings"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
	"hookline/review"
)

// lists are those of the queue, as the address names them.
func lists() []listOf {
	return []listOf{
		{"", "Waiting for me", kit.Empty{Text: "Nothing waits for you.", Link: "/reviews?list=all", Label: "What waits for others"}},
		{"all", "Waiting for anybody", kit.Empty{Text: "Nothing waits for a review. Authors submit what they have tried.", Command: "hookline hook submit DIR --key KEY"}},
		{"mine", "Mine", kit.Empty{Text: "None of your hooks waits for anything.", Command: "hookline hook init --job latest"}},
		{"changes", "Changes requested", kit.Empty{Text: "No author was asked for changes that are still to come."}},
	}
}

type listOf struct {
	Word, Label string
	Empty       kit.Empty
}

// tab is a list in the row above it.
type tab struct {
	Link, Label string
	Here        bool
}

// waiting is a row of the queue.
type waiting struct {
	review.Life
	standing standing
}

// queue is what waits for a review.
func (p *pages) queue(r *kit.Request) (kit.Answer, error) {
	all := lists()
	word, err := r.One("list", "", "all", "mine", "changes")
	if err != nil {
		return nil, err
	}
	var tabs []tab
	here := all[0]
	for _, l := range all {
		link := "/reviews"
		if l.Word != "" {
			link += "?list=" + l.Word
		}
		tabs = append(tabs, tab{link, l.Label, l.Word == word})
		if l.Word == word {
			here = l
		}
	}
	if word == "" && !r.May(auth.HooksReview) {
		here.Empty = kit.Empty{Text: "No review waits for you: your account has no role of a reviewer.", Link: "/reviews?list=mine", Label: "Your own versions, and what they wait for"}
	}
	table := kit.Table[waiting]{Name: here.Label, Columns: columns(), Empty: here.Empty, Key: func(w waiting) string { return "v-" + w.Version.Digest }}
	p.rows(r, &table, word)
	return kit.Show(r, table, func(v kit.TableView) (kit.Answer, error) {
		page := struct {
			Tabs  []tab
			Table kit.TableView
		}{tabs, v}
		title := "Reviews: " + strings.ToLower(here.Label)
		return p.View("queue", title, sectionName, page).Follow([]string{live.Reviews}, []string{"queue"}), nil
	})
}

// rows says which versions are in a list. What waits comes the oldest first;
// the others are the newest version of each hook.
func (p *pages) rows(r *kit.Request, t *kit.Table[waiting], word string) {
	rules, mayReview := p.Rules(), r.May(auth.HooksReview)
	judged := func(lives []review.Life, err error) ([]waiting, error) {
		out := make([]waiting, len(lives))
		for i, l := range lives {
			out[i] = waiting{l, standingOf(rules, l, r.Who.User, mayReview)}
		}
		return out, err
	}
	if word == "" || word == "all" {
		t.Cursor = func(w waiting) string { return w.Version.Cursor() }
		t.Fetch = func(ctx context.Context, after string, limit int) ([]waiting, error) {
			return judged(p.Store.Waiting(ctx, after, limit))
		}
		if word == "" {
			t.Keep = func(_ context.Context, w waiting) (bool, error) { return w.standing.May, nil }
		}
		return
	}
	t.Cursor = func(w waiting) string { return w.Version.Hook }
	t.Fetch = func(ctx context.Context, after string, limit int) ([]waiting, error) {
		lives, err := p.Store.Hooks(ctx, after, limit)
		if err != nil {
			return nil, err
		}
		out := make([]waiting, len(lives))
		for i, l := range lives {
			if out[i].Life = l; keeps(word, r.Who.User, l) { // the others go, unlooked at
				out[i].standing = standingOf(rules, l, r.Who.User, mayReview)
			}
		}
		return out, nil
	}
	t.Keep = func(_ context.Context, w waiting) (bool, error) { return keeps(word, r.Who.User, w.Life), nil }
}

// keeps reports whether the newest version of a hook is in a list.
func keeps(list, user string, l review.Life) bool {
	switch l.State() {
	case hooks.StateChangesRequested:
		return list == "changes" || l.Version.SubmittedBy == user
	case hooks.StateSubmitted, hooks.StateApproved, hooks.StateRejected:
		return list == "mine" && l.Version.SubmittedBy == user
	}
	return false
}

func columns() []kit.Column[waiting] {
	return []kit.Column[waiting]{
		{Name: "version", Head: "Version", Cell: func(w waiting) kit.Cell {
			v := w.Version
			return kit.VersionRef{Hook: v.Hook, Number: v.Number, Digest: v.Digest}.Cell().To(path(v.Digest))
		}},
		{Name: "state", Head: "State", Cell: func(w waiting) kit.Cell { return kit.State(string(w.State())) }},
		{Name: "submitted_at", Head: "Submitted", Cell: func(w waiting) kit.Cell { return kit.Time(w.Version.SubmittedAt) }},
		{Name: "submitted_by", Head: "By", Cell: func(w waiting) kit.Cell { return kit.Text(w.Version.SubmittedBy) }},
		{Name: "approvals", Head: "Approvals", Cell: func(w waiting) kit.Cell { return kit.Text(w.standing.Count()) }},
		{Name: "you", Head: "You", Wide: true, Cell: func(w waiting) kit.Cell {
			if w.standing.Refused != "" {
				return kit.Text(w.standing.Words())
			}
			return kit.Text(w.standing.You())
		}},
		{Name: "digest", Only: true, Cell: func(w waiting) kit.Cell { return kit.Code(w.Version.Digest) }},
	}
}
