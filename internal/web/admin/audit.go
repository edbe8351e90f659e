package admin

import (
	"context"
	"net/url"
	"strings"
	"time"

	"hookline/internal/auth"
	"hookline/internal/web/kit"
)

// tablePage is a page that is a table and what stands above it.
type tablePage struct {
	Table kit.TableView
	Above any
}

func (p *pages) audit(r *kit.Request) (kit.Answer, error) {
	f, filters, err := auditFilter(r)
	if err != nil {
		return nil, err
	}
	t := kit.Table[auth.Entry]{
		Name:    "audit",
		Columns: auditColumns(r),
		Fetch: func(ctx context.Context, after string, limit int) ([]auth.Entry, error) {
			f.After, f.Limit = after, limit
			return p.Log.Entries(ctx, f)
		},
		Cursor:  func(e auth.Entry) string { return e.ID },
		Filters: filters,
		Orders:  []kit.Order{{Value: "newest", Label: "newest first"}, {Value: "oldest", Label: "oldest first"}},
		Empty:   kit.Empty{Text: "Nothing is written yet. What people do, and what they were refused, stands here."},
	}
	return kit.Show(r, t, func(v kit.TableView) (kit.Answer, error) {
		return p.View("audit", "Audit log", "Audit", tablePage{Table: v}), nil
	})
}

// auditFilter reads the words of the address.
func auditFilter(r *kit.Request) (f auth.EntryFilter, filters []kit.Filter, err error) {
	words := map[string]string{}
	for _, name := range []string{"actor", "action", "target"} {
		if words[name], err = r.Word(name); err != nil {
			return f, nil, err
		}
	}
	from, err := r.Day("from")
	if err != nil {
		return f, nil, err
	}
	until, err := r.Day("until")
	if err != nil {
		return f, nil, err
	}
	order, err := r.One("sort", "newest", "oldest")
	if err != nil {
		return f, nil, err
	}
	f = auth.EntryFilter{Actor: words["actor"], Action: words["action"], Target: words["target"], From: from, Oldest: order == "oldest"}
	if !until.IsZero() {
		f.Until = until.Add(24 * time.Hour) // that day too
	}
	filters = []kit.Filter{
		{Name: "actor", Label: "Who", Value: f.Actor, Hint: "alice"},
		{Name: "action", Label: "Action", Value: f.Action, Hint: string(auth.HooksActivate)},
		{Name: "target", Label: "Target", Value: f.Target, Hint: "user/alice"},
		{Name: "from", Label: "From", Value: r.URL.Query().Get("from"), Day: true},
		{Name: "until", Label: "Until", Value: r.URL.Query().Get("until"), Day: true},
	}
	return f, filters, nil
}

func auditColumns(r *kit.Request) []kit.Column[auth.Entry] {
	users := r.May(auth.UsersManage)
	return []kit.Column[auth.Entry]{
		{Name: "at", Head: "Time", Cell: func(e auth.Entry) kit.Cell { return kit.Time(e.At) }},
		{Name: "actor", Head: "Who", Cell: func(e auth.Entry) kit.Cell { return kit.Text(e.Actor).To(r.With("actor", e.Actor)) }},
		{Name: "action", Head: "Action", Cell: func(e auth.Entry) kit.Cell { return kit.Code(e.Action).To(r.With("action", e.Action)) }},
		{Name: "target", Head: "Target", Cell: func(e auth.Entry) kit.Cell { return target(e.Target, users) }},
		{Name: "outcome", Head: "Outcome", Cell: func(e auth.Entry) kit.Cell { return outcome(e.Outcome) }},
		{Name: "detail", Head: "Detail", Cell: func(e auth.Entry) kit.Cell { return kit.Text(e.Detail) }},
		{Name: "token_id", Cell: func(e auth.Entry) kit.Cell { return kit.Code(e.TokenID) }, Only: true},
		{Name: "id", Cell: func(e auth.Entry) kit.Cell { return kit.Code(e.ID) }, Only: true},
	}
}

// target leads to what was acted on, where there is a page of it that the
// person may open.
func target(s string, users bool) kit.Cell {
	kind, id, _ := strings.Cut(s, "/")
	if id == "" {
		return kit.Code(s)
	}
	page, brief := url.PathEscape(id), kind+"/"+kit.Short(id)
	switch {
	case kind == "version":
		return kit.ID(s, "/versions/"+page).In(brief)
	case kind == "peer":
		return kit.ID(s, "/peers/"+page).In(brief)
	case kind == "trust":
		return kit.Code(s).In(brief)
	case kind == "user" && users:
		return kit.ID(s, "/users/"+page)
	}
	return kit.Code(s)
}

// outcome in the color of what it means.
func outcome(s string) kit.Cell {
	switch s {
	case auth.OutcomeOK, auth.OutcomeBegun, auth.OutcomeUnknown:
		return kit.State(s)
	}
	return kit.Cell{Text: "refused", Kind: kit.KindState, Note: s}
}
