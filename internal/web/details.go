package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"hookline/internal/auth"
	"hookline/internal/jobs"
)

// fact is one labelled value; ID sets it in the font of ids, State in the
// color of a state.
type fact struct {
	Name  string
	Text  string
	Link  string
	ID    bool
	State bool
}

// jobRow is one job of a peer.
type jobRow struct {
	ID    string
	Work  string
	State string
	At    time.Time
}

// detailsPage shows the plain facts of a thing that ids link to.
type detailsPage struct {
	base
	Heading  string
	Subject  string
	Facts    []fact
	Jobs     []jobRow
	ShowJobs bool
}

// peer shows a machine and its newest jobs.
func (s *site) peer(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	m, err := s.Peers.Peer(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	list, err := s.Queries.Jobs(r.Context(), jobs.Filter{PeerID: m.ID, Limit: problemsPerPage})
	if err != nil {
		return err
	}
	connected := "no, last seen " + stamp(m.Connection.Seen)
	if m.Connection.Server != "" {
		connected = "yes"
	}
	page := detailsPage{base: s.base("Peer "+visible(m.Name)+", "+m.ID, p), Heading: "Peer " + visible(m.Name), ShowJobs: true, Facts: []fact{
		{Name: "Peer", Text: m.ID, Link: "/peers/" + m.ID, ID: true},
		{Name: "Connected", Text: connected},
		{Name: "Sends reports", Text: yesNo(m.SendReports)},
		{Name: "Allows hooks", Text: visible(m.AllowHooks)},
		{Name: "System", Text: visible(strings.Join([]string{m.Facts.Release, m.Facts.Kernel, m.Facts.Arch}, ", "))},
		{Name: "hookline-peer", Text: visible(m.Version)},
		{Name: "Enrolled", Text: stamp(m.EnrolledAt)},
	}}
	for _, j := range list {
		page.Jobs = append(page.Jobs, rowOf(j))
	}
	return s.render(w, http.StatusOK, "details", page)
}

func rowOf(j jobs.Job) jobRow {
	row := jobRow{ID: j.ID, Work: string(j.Workload), State: stateOf(j), At: j.CreatedAt}
	if j.Workload == jobs.WorkHook {
		row.Work = "hook " + j.Hook
	}
	return row
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
