package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"hookline/internal/auth"
	"hookline/internal/jobs"
	"hookline/review"
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
	Blocks   []field
	Jobs     []jobRow
	ShowJobs bool
}

// version shows what people signed: the statement itself, and the script.
func (s *site) version(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	l, err := s.Versions.Life(r.Context(), chi.URLParam(r, "digest"))
	if err != nil {
		return err
	}
	v := l.Version
	name := fmt.Sprintf("%s@%d", v.Hook, v.Number)
	var statement bytes.Buffer
	if err := json.Indent(&statement, v.Statement, "", "  "); err != nil {
		return fmt.Errorf("stored statement: %w", err)
	}
	return s.render(w, http.StatusOK, "details", detailsPage{
		base: s.base("Hook "+name, p), Heading: "Hook " + name, Facts: versionFacts(l),
		Blocks: []field{newField("Statement, the object that people signed", statement.String()), newField("Script", string(v.Script))},
	})
}

func versionFacts(l review.Life) []fact {
	v := l.Version
	facts := []fact{
		{Name: "Version digest", Text: v.Digest, Link: "/versions/" + v.Digest, ID: true},
		{Name: "State", Text: string(l.State()), State: true},
		{Name: "Submitted", Text: visible(v.SubmittedBy) + ", " + stamp(v.SubmittedAt)},
	}
	var approved []string
	for _, r := range l.Reviews {
		if r.Verdict == review.VerdictApprove {
			approved = append(approved, visible(r.Person))
		}
	}
	if len(approved) > 0 {
		facts = append(facts, fact{Name: "Approved by", Text: strings.Join(approved, ", ")})
	}
	if a := l.Activation; a != nil {
		facts = append(facts,
			fact{Name: "Results", Text: fmt.Sprintf("%d of %d", a.Ledger.Received, a.Quantity)},
			fact{Name: "Issued", Text: fmt.Sprint(a.Ledger.Issued)},
			fact{Name: "Until", Text: stamp(a.Deadline)})
		if a.Reason != "" {
			facts = append(facts, fact{Name: "Reason", Text: visible(a.Reason)})
		}
	}
	return facts
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
