package hookpages

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
	"hookline/review"
)

// Sizes of lists.
const (
	newest    = 20                         // results on a page
	maxActive = 1000                       // as many as the server matches reports with
	farAhead  = 100 * 365 * 24 * time.Hour // no deadline is behind it
)

// hookRow is a hook: its newest version, and the one that is active, which may
// be an older one.
type hookRow struct {
	review.Life
	Active *hooks.Activation
}

// shown is the activation that the row is about.
func (h hookRow) shown() *hooks.Activation {
	if h.Active != nil {
		return h.Active
	}
	return h.Activation
}

// hooks lists all hooks, by name.
func (p *pages) hooks(r *kit.Request) (kit.Answer, error) {
	states := append([]string{""}, stateNames()...)
	state, badState := r.One("state", states...)
	words, badWords := r.Word("q")
	options := []kit.Option{{Label: "any"}}
	for _, s := range states[1:] {
		options = append(options, kit.Option{Value: s, Label: s})
	}
	table := kit.Table[hookRow]{
		Name: "Hooks", Bad: cmp.Or(badState, badWords), Columns: p.hookColumns(), Fetch: p.hookRows(),
		Cursor: func(h hookRow) string { return h.Version.Hook },
		Key:    func(h hookRow) string { return "hook-" + h.Version.Hook },
		Filters: []kit.Filter{
			{Name: "state", Label: "State", Value: state, Options: options},
			{Name: "q", Label: "Words", Value: words, Hint: "name or author"},
		},
		Empty: kit.Empty{
			Text:    "There are no hooks yet. An author makes one from a problem and submits it.",
			Command: "hookline hook init --job latest", Link: "/problems", Label: "Choose a problem",
		},
	}
	if state != "" || words != "" {
		table.Keep = func(_ context.Context, h hookRow) (bool, error) { return h.fits(state, words), nil }
	}
	return kit.Show(r, table, func(v kit.TableView) (kit.Answer, error) {
		return p.View("hooks", "Hooks", sectionName, struct{ Table kit.TableView }{v}), nil
	})
}

func stateNames() []string {
	var names []string
	for _, s := range []hooks.State{
		hooks.StateActive, hooks.StatePaused, hooks.StateApproved, hooks.StateSubmitted, hooks.StateChangesRequested,
		hooks.StateExpired, hooks.StateDisabled, hooks.StateSuperseded, hooks.StateRejected, hooks.StateRevoked,
	} {
		names = append(names, string(s))
	}
	return names
}

// fits reports whether a hook has a version in that state, its newest or the
// active one, and the words in its name or its submitter's.
func (h hookRow) fits(state, words string) bool {
	if state != "" && string(h.State()) != state && (h.Active == nil || state != string(hooks.StateActive)) {
		return false
	}
	text := strings.ToLower(h.Version.Hook + " " + h.Version.SubmittedBy)
	for _, w := range strings.Fields(strings.ToLower(words)) {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// hookRows fetches hooks with their active versions, which are read once.
func (p *pages) hookRows() func(ctx context.Context, after string, limit int) ([]hookRow, error) {
	var active map[string]*hooks.Activation
	return func(ctx context.Context, after string, limit int) ([]hookRow, error) {
		if active == nil {
			list, err := p.Store.ActivePast(ctx, p.Review.Now().Add(farAhead), maxActive)
			if err != nil {
				return nil, err
			}
			active = map[string]*hooks.Activation{}
			for _, a := range list {
				active[a.Hook] = &a
			}
		}
		list, err := p.Store.Hooks(ctx, after, limit)
		if err != nil {
			return nil, err
		}
		rows := make([]hookRow, len(list))
		for i, l := range list {
			rows[i] = hookRow{l, active[l.Version.Hook]}
		}
		return rows, nil
	}
}

func (p *pages) hookColumns() []kit.Column[hookRow] {
	return []kit.Column[hookRow]{
		{Name: "hook", Head: "Hook", Cell: func(h hookRow) kit.Cell {
			return kit.Text(h.Version.Hook).To("/hooks/" + url.PathEscape(h.Version.Hook))
		}},
		{Name: "newest", Head: "Newest", Cell: func(h hookRow) kit.Cell {
			return refOf(h.Version).Cell().In("@" + strconv.FormatInt(h.Version.Number, 10))
		}},
		{Name: "state", Head: "State", Cell: func(h hookRow) kit.Cell { return kit.State(string(h.State())) }},
		{Name: "active", Head: "Active version", Cell: func(h hookRow) kit.Cell {
			if h.Active == nil {
				return kit.Text("")
			}
			c := kit.ID(h.Active.Digest, "/versions/"+h.Active.Digest).In(kit.Short(h.Active.Digest))
			if h.Active.Digest == h.Version.Digest {
				c = c.In("the newest")
				c.Kind = kit.KindText
			}
			return c
		}},
		{Name: "received", Head: "Received", Cell: func(h hookRow) kit.Cell { return received(h.shown()) }},
		{Name: "quantity", Only: true, Cell: func(h hookRow) kit.Cell { return quantity(h.shown()) }},
		{Name: "deadline", Head: "Deadline", Cell: func(h hookRow) kit.Cell { return kit.Deadline(h.shown()) }},
		{Name: "submitted_by", Head: "Submitted by", Cell: func(h hookRow) kit.Cell { return kit.Text(h.Version.SubmittedBy) }},
		{Name: "submitted_at", Head: "Age", Cell: func(h hookRow) kit.Cell { return kit.Time(h.Version.SubmittedAt) }},
		{Name: "digest", Only: true, Cell: func(h hookRow) kit.Cell { return kit.Text(h.Version.Digest) }},
	}
}

func received(a *hooks.Activation) kit.Cell {
	if a == nil {
		return kit.Text("")
	}
	return kit.Number(a.Ledger.Received).With("of " + kit.Grouped(a.Quantity))
}

func quantity(a *hooks.Activation) kit.Cell {
	if a == nil {
		return kit.Text("")
	}
	return kit.Number(a.Quantity)
}

// hookPage is one hook.
type hookPage struct {
	Name    string
	Table   kit.TableView
	Results kit.Part[resultsView]
}

// hook lists a hook's versions, the newest first.
func (p *pages) hook(r *kit.Request) (kit.Answer, error) { return p.hookNamed(r, r.ID("hook")) }

func (p *pages) hookNamed(r *kit.Request, name string) (kit.Answer, error) {
	if n, err := p.Store.LatestNumber(r.Context(), name); err != nil {
		return nil, err
	} else if n == 0 {
		return nil, errs.New(errs.CodeNotFound, "there is no hook of this name").WithHint("look at all of them: hookline hook list")
	}
	table := kit.Table[review.Life]{
		Name: "Versions", Columns: p.versionColumns(),
		Cursor: func(l review.Life) string { return strconv.FormatInt(l.Version.Number, 10) },
		Fetch: func(ctx context.Context, after string, limit int) ([]review.Life, error) {
			below := int64(0)
			if after != "" {
				var err error
				if below, err = strconv.ParseInt(after, 10, 64); err != nil || below < 1 {
					return nil, errs.New(errs.CodeBadInput, "this is no place in the list").At("after").WithHint("begin at the first page")
				}
			}
			return p.Store.VersionsOf(ctx, name, below, limit)
		},
		Key: func(l review.Life) string { return "version-" + l.Version.Digest },
	}
	return kit.Show(r, table, func(v kit.TableView) (kit.Answer, error) {
		page := hookPage{Name: name, Table: v}
		page.Results = kit.Load(r, "results", func(ctx context.Context) (resultsView, error) {
			return p.results(ctx, hookFilter(name), nil)
		})
		view := p.View("hook", "Hook "+name, sectionName, page)
		return view.Follow([]string{live.Hook(name)}, []string{"versions", "results"}), nil
	})
}

func (p *pages) versionColumns() []kit.Column[review.Life] {
	rules := p.Rules()
	return []kit.Column[review.Life]{
		{Name: "version", Head: "Version", Cell: func(l review.Life) kit.Cell {
			return refOf(l.Version).Cell().With(kit.Short(l.Version.Digest))
		}},
		{Name: "state", Head: "State", Cell: func(l review.Life) kit.Cell { return kit.State(string(l.State())) }},
		{Name: "signed", Head: "Approvals", Cell: func(l review.Life) kit.Cell { return signed(rules, l) }},
		{Name: "received", Head: "Received", Cell: func(l review.Life) kit.Cell { return received(l.Activation) }},
		{Name: "quantity", Only: true, Cell: func(l review.Life) kit.Cell { return quantity(l.Activation) }},
		{Name: "issued", Head: "Issued", Cell: func(l review.Life) kit.Cell { return ledgerWords(l.Activation) }},
		{Name: "deadline", Head: "Deadline", Cell: func(l review.Life) kit.Cell { return kit.Deadline(l.Activation) }},
		{Name: "submitted_by", Head: "Submitted by", Cell: func(l review.Life) kit.Cell { return kit.Text(l.Version.SubmittedBy) }},
		{Name: "submitted_at", Head: "Age", Cell: func(l review.Life) kit.Cell { return kit.Time(l.Version.SubmittedAt) }},
		{Name: "compare", Head: "Compare", Cell: func(l review.Life) kit.Cell {
			return kit.Text("/versions/" + l.Version.Digest + "/review").In("diff").To("/versions/" + l.Version.Digest + "/review")
		}},
		{Name: "audit", Head: "Audit", Cell: func(l review.Life) kit.Cell {
			return kit.Text("version/" + l.Version.Digest).In("log").To("/audit?target=version/" + l.Version.Digest)
		}},
		{Name: "digest", Only: true, Cell: func(l review.Life) kit.Cell { return kit.Text(l.Version.Digest) }},
	}
}

func ledgerWords(a *hooks.Activation) kit.Cell {
	if a == nil {
		return kit.Text("")
	}
	c := kit.Number(a.Ledger.Issued)
	if a.Ledger.Leased > 0 {
		c = c.With(kit.Grouped(a.Ledger.Leased) + " out")
	}
	return c
}
