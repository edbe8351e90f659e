package kit

import (
	"net/url"
	"strings"
	"time"

	"hookline/internal/auth"
	"hookline/internal/looks"
	"hookline/internal/querylog"
)

// StreamPath is where pages get their events from.
const StreamPath = "/live"

func streamOf(topics []string, mark string) string {
	q := url.Values{"topic": topics}
	if mark != "" {
		q.Set("since", mark)
	}
	return StreamPath + "?" + q.Encode()
}

// debugFacts are what ?debug=1 shows to operators.
type debugFacts struct {
	Queries, Rows    int64
	QueryMS, TotalMS float64
	Entries          []querylog.Entry
	Store            Facts
	StoreErr         string
}

// debug is nil where nobody asked, or who asked may not.
func (r *Request) debug() *debugFacts {
	if r.URL.Query().Get("debug") != "1" || !r.May(auth.AuditRead) {
		return nil
	}
	d := &debugFacts{Entries: r.queries.Entries()}
	queries, rows, took := r.queries.Sum()
	d.Queries, d.Rows = queries, rows
	d.QueryMS, d.TotalMS = float64(took.Microseconds())/1000, float64(r.kit.Now().Sub(r.start).Microseconds())/1000
	for i, e := range d.Entries {
		d.Entries[i].Query = looks.Visible(strings.Join(strings.Fields(e.Query), " "))
		d.Entries[i].Took = e.Took.Round(time.Microsecond)
	}
	if r.kit.Store != nil {
		var err error
		if d.Store, err = r.kit.Store(r.Context()); err != nil {
			d.StoreErr = err.Error()
		}
	}
	return d
}

// sections are the entries of the navigation that the person may open.
func (r *Request) sections(here string) []section {
	var out []section
	for _, s := range []struct {
		name, link string
		perm       auth.Permission
	}{
		{"Overview", "/", auth.JobsRead},
		{"Problems", "/problems", auth.JobsRead},
		{"Hooks", "/hooks", auth.HooksRead},
		{"Reviews", "/reviews", auth.HooksRead},
		{"Peers", "/peers", auth.PeersRead},
		{"Jobs", "/jobs", auth.JobsRead},
		{"Results", "/results", auth.JobsRead},
		{"Audit", "/audit", auth.AuditRead},
		{"Users", "/users", auth.UsersManage},
		{"Tokens", "/tokens", auth.TokensCreate},
	} {
		if r.May(s.perm) {
			out = append(out, section{s.name, s.link, s.name == here})
		}
	}
	return out
}
