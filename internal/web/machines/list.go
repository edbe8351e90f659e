package machines

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"hookline/internal/enroll"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
)

// counts stand on top of the list.
type counts struct{ All, Online int64 }

type listPage struct {
	Counts kit.Part[counts]
	Table  kit.TableView
}

// orders of machines by the word in the address.
var orders = map[string]enroll.PeerFilter{
	"name":   {Sort: enroll.ByName},
	"seen":   {Sort: enroll.BySeen, Last: true},
	"unseen": {Sort: enroll.BySeen},
	"id":     {Sort: enroll.ByID},
}

func (p *pages) list(r *kit.Request) (kit.Answer, error) {
	return kit.Show(r, p.table(r), func(v kit.TableView) (kit.Answer, error) {
		c := kit.Load(r, "counts", func(ctx context.Context) (c counts, err error) {
			c.All, c.Online, err = p.Store.CountPeers(ctx, kit.MostCounted)
			return c, err
		})
		return p.View("peers", "Peers", section, listPage{c, v}).Follow([]string{live.Peers}, []string{"counts", "peers"}), nil
	})
}

// filter is what the page looks for.
type filter struct{ sort, connection, words, label string }

func filterOf(r *kit.Request) (f filter, err error) {
	if f.sort, err = r.One("sort", "name", "seen", "unseen", "id"); err != nil {
		return f, err
	}
	if f.connection, err = r.One("connection", "", "connected", "away"); err != nil {
		return f, err
	}
	if f.words, err = r.Word("words"); err != nil {
		return f, err
	}
	f.label, err = r.Word("label")
	return f, err
}

func (p *pages) table(r *kit.Request) kit.Table[enroll.Peer] {
	asked, err := filterOf(r)
	connection, words, label := asked.connection, asked.words, asked.label
	f := orders[asked.sort]
	f.Online = connection == "connected"
	t := kit.Table[enroll.Peer]{
		Name: "Peers", Bad: err, Columns: columns(), Cursor: f.Cursor,
		Fetch: func(ctx context.Context, after string, limit int) ([]enroll.Peer, error) {
			f := f
			f.After, f.Limit = after, limit
			return p.Store.PeersBy(ctx, f)
		},
		Filters: []kit.Filter{
			{Name: "connection", Label: "Connection", Value: connection, Options: []kit.Option{
				{Label: "all"}, {Value: "connected", Label: "connected"}, {Value: "away", Label: "not connected"},
			}},
			{Name: "words", Label: "Words", Value: words, Hint: "part of a name, id or fact"},
			{Name: "label", Label: "Label", Value: label, Hint: "the whole of it"},
		},
		Orders: []kit.Order{
			{Value: "name", Label: "Name"},
			{Value: "seen", Label: "Last seen, newest first"},
			{Value: "unseen", Label: "Last seen, oldest first"},
			{Value: "id", Label: "Id"},
		},
		Empty: kit.Empty{Text: "No machine is enrolled. This prints the line that its owner types, from the offline folder:", Command: "hookline enroll-line"},
	}
	if words != "" || label != "" || connection == "away" {
		t.Keep = func(_ context.Context, m enroll.Peer) (bool, error) {
			return fits(m, words) && (label == "" || slices.Contains(m.Labels, label)) && (connection != "away" || m.Connection.Server == ""), nil
		}
	}
	return t
}

// fits tells whether a machine has each of the words somewhere.
func fits(m enroll.Peer, words string) bool {
	all := strings.ToLower(strings.Join([]string{m.ID, m.Name, m.Facts.OS, m.Facts.Release, m.Facts.Kernel, m.Facts.Arch, m.Version}, "\n"))
	for word := range strings.FieldsSeq(strings.ToLower(words)) {
		if !strings.Contains(all, word) {
			return false
		}
	}
	return true
}

func columns() []kit.Column[enroll.Peer] {
	text := func(of func(enroll.Peer) string) func(enroll.Peer) kit.Cell {
		return func(m enroll.Peer) kit.Cell { return kit.Text(of(m)) }
	}
	return []kit.Column[enroll.Peer]{
		{Name: "name", Head: "Name", Cell: func(m enroll.Peer) kit.Cell { return kit.Text(m.Name).To(linkTo(m.ID)) }, Sort: "name"},
		{Name: "id", Head: "Id", Cell: func(m enroll.Peer) kit.Cell { return kit.ID(m.ID, linkTo(m.ID)).In(m.ID[:min(8, len(m.ID))] + "…") }, Sort: "id"},
		{Name: "connection", Head: "Connection", Cell: func(m enroll.Peer) kit.Cell { return kit.State(connectionOf(m)) }},
		{Name: "last_seen", Head: "Last seen", Cell: func(m enroll.Peer) kit.Cell { return kit.Time(m.Connection.Seen) }, Sort: "seen"},
		{Name: "sends_reports", Head: "Reports", Cell: text(func(m enroll.Peer) string { return yesNo(m.SendReports) })},
		{Name: "allows_hooks", Head: "Hooks", Cell: text(func(m enroll.Peer) string { return m.AllowHooks })},
		{Name: "release", Head: "Release", Cell: text(func(m enroll.Peer) string { return m.Facts.Release })},
		{Name: "kernel", Head: "Kernel", Cell: text(func(m enroll.Peer) string { return m.Facts.Kernel }), Only: true},
		{Name: "arch", Head: "Arch", Cell: text(func(m enroll.Peer) string { return m.Facts.Arch })},
		{Name: "version", Head: "Version", Cell: text(func(m enroll.Peer) string { return m.Version })},
		{Name: "enrolled", Head: "Enrolled", Cell: func(m enroll.Peer) kit.Cell { return kit.Time(m.EnrolledAt) }, Only: true},
		{Name: "labels", Head: "Labels", Cell: text(func(m enroll.Peer) string { return strings.Join(m.Labels, " ") })},
	}
}

func linkTo(id string) string { return "/peers/" + url.PathEscape(id) }

// connectionOf is the state of a machine's stream.
func connectionOf(m enroll.Peer) string {
	if m.Connection.Server == "" {
		return "away"
	}
	return "connected"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
