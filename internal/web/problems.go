package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"hookline/collector"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// Rows of one page.
const (
	problemsPerPage = 50
	reportsPerPage  = 20
)

type problemsPage struct {
	base
	Problems []collector.Problem
	Next     string
}

// after is the key of the page before, as the link gave it.
func after(r *http.Request) (string, error) {
	key := r.URL.Query().Get("after")
	if len(key) > 256 {
		return "", errs.New(errs.CodeBadInput, "this is no key of a page").At("after")
	}
	return key, nil
}

func (s *site) problems(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	key, err := after(r)
	if err != nil {
		return err
	}
	list, err := s.Queries.Problems(r.Context(), key, problemsPerPage)
	if err != nil {
		return err
	}
	page := problemsPage{base: s.base("Problems", p), Problems: list}
	for i := range list {
		list[i].Fingerprint, list[i].Package = visible(list[i].Fingerprint), visible(list[i].Package)
	}
	if len(list) == problemsPerPage {
		last := list[len(list)-1]
		page.Next = fmt.Sprintf("%d/%s", last.LastSeen.UnixMilli(), last.ID)
	}
	return s.render(w, http.StatusOK, "problems", page)
}

// reportRow is one report of a problem with what hooks brought for it.
type reportRow struct {
	ID     string
	PeerID string
	Peer   string
	At     time.Time
	Groups []group
}

type problemPage struct {
	base
	Problem     collector.Problem
	Heading     string
	Fingerprint string
	Package     string
	Executable  string
	Reports     []reportRow
	Next        string
}

func (s *site) problem(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	key, err := after(r)
	if err != nil {
		return err
	}
	problem, err := s.Queries.Problem(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	list, err := s.Queries.Jobs(r.Context(), jobs.Filter{
		ProblemID: problem.ID, Workload: jobs.WorkReport, After: key, Limit: reportsPerPage,
	})
	if err != nil {
		return err
	}
	heading := "Problem"
	if program := programOf(problem.Executable, problem.Package); program != "" {
		heading += " in " + visible(program)
	}
	page := problemPage{
		base: s.base(heading+", "+problem.ID, p), Problem: problem, Heading: heading, Fingerprint: visible(problem.Fingerprint),
		Package: visible(problem.Package), Executable: visible(problem.Executable),
	}
	if page.Reports, err = s.reports(r.Context(), list); err != nil {
		return err
	}
	if len(list) == reportsPerPage {
		page.Next = list[len(list)-1].ID
	}
	return s.render(w, http.StatusOK, "problem", page)
}

// reports lists each report with what hooks brought for it.
func (s *site) reports(ctx context.Context, list []jobs.Job) ([]reportRow, error) {
	numbers := s.numbers()
	rows := make([]reportRow, 0, len(list))
	for _, j := range list {
		groups, err := s.groups(ctx, j.ID, numbers)
		if err != nil {
			return nil, err
		}
		peer, err := s.peerName(ctx, j.PeerID)
		if err != nil {
			return nil, err
		}
		rows = append(rows, reportRow{j.ID, j.PeerID, peer, j.CreatedAt, groups})
	}
	return rows, nil
}
