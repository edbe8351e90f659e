package problems

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"hookline/hooks"
	"hookline/internal/jobs"
	"hookline/internal/looks"
	"hookline/internal/web/kit"
)

// Sizes of what is told about the newest reports of a problem.
const (
	newestReports = 1000
	storePage     = 200
	versionsShown = 20
	releasesShown = 8
	spreadPeers   = 20
	maxColumnName = 60 // characters of a release or version
)

// spread says where the newest reports of a problem came from.
type spread struct {
	Reports  int
	All      bool // they are all that there are
	Versions kit.TableView
	Cut      bool // there are more versions or releases than are shown
	Peers    kit.TableView
	AllPeers int
}

// spread reads the newest reports of a problem, without their fields.
func (p *pages) spread(ctx context.Context, problem string, names *names) (spread, error) {
	var list []jobs.Job
	f := jobs.Filter{ProblemID: problem, Workload: jobs.WorkReport, Limit: storePage}
	for len(list) < newestReports {
		some, err := p.Store.Jobs(ctx, f)
		if err != nil {
			return spread{}, err
		}
		list = append(list, some...)
		if len(some) < storePage {
			break
		}
		f.After = some[len(some)-1].ID
	}
	out := spread{Reports: len(list), All: len(list) < newestReports}
	out.Versions, out.Cut = matrix(list)
	var err error
	out.Peers, out.AllPeers, err = busyPeers(ctx, list, names)
	return out, err
}

// versionRow is one package version: its reports by release.
type versionRow struct {
	name   string
	counts map[string]int64
	all    int64
}

// matrix is package versions, the newest first, by releases, the busiest first.
func matrix(list []jobs.Job) (v kit.TableView, isCut bool) {
	byRelease, byVersion := map[string]int64{}, map[string]*versionRow{}
	for _, j := range list {
		byRelease[j.Release]++
		row, ok := byVersion[j.PackageVersion]
		if !ok {
			row = &versionRow{name: j.PackageVersion, counts: map[string]int64{}}
			byVersion[j.PackageVersion] = row
		}
		row.counts[j.Release]++
		row.all++
	}
	releases := slices.SortedFunc(maps.Keys(byRelease), func(a, b string) int {
		return cmp.Or(cmp.Compare(byRelease[b], byRelease[a]), cmp.Compare(a, b))
	})
	rows := slices.SortedFunc(maps.Values(byVersion), func(a, b *versionRow) int { return newer(a.name, b.name) })
	isCut = len(releases) > releasesShown || len(rows) > versionsShown
	releases, rows = releases[:min(len(releases), releasesShown)], rows[:min(len(rows), versionsShown)]
	t := kit.Table[*versionRow]{Name: "Reports by package version and release"}
	t.Columns = append(t.Columns, kit.Column[*versionRow]{Head: "Version", Cell: func(row *versionRow) kit.Cell { return kit.Code(orUnknown(row.name)) }})
	for _, release := range releases {
		t.Columns = append(t.Columns, kit.Column[*versionRow]{Head: looks.Visible(orUnknown(release)), Cell: func(row *versionRow) kit.Cell {
			if row.counts[release] == 0 {
				return kit.Text("")
			}
			return kit.Number(row.counts[release])
		}})
	}
	t.Columns = append(t.Columns, kit.Column[*versionRow]{Head: "All", Cell: func(row *versionRow) kit.Cell { return kit.Number(row.all) }})
	return t.Fixed(rows), isCut
}

// newer orders package versions, the newest first; what is no version comes
// last.
func newer(a, b string) int {
	if c, err := hooks.CompareVersions(b, a); err == nil && c != 0 {
		return c
	}
	_, errA := hooks.CompareVersions(a, a)
	_, errB := hooks.CompareVersions(b, b)
	switch {
	case errA == nil && errB != nil:
		return -1
	case errA != nil && errB == nil:
		return 1
	}
	return cmp.Compare(b, a)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return cut(s, maxColumnName)
}

// peerRow is a machine with its reports of a problem.
type peerRow struct {
	id, name string
	reports  int64
	newest   time.Time
}

// busyPeers are the machines that most of the reports came from.
func busyPeers(ctx context.Context, list []jobs.Job, names *names) (v kit.TableView, all int, err error) {
	byID := map[string]*peerRow{}
	for _, j := range list {
		row, ok := byID[j.PeerID]
		if !ok {
			row = &peerRow{id: j.PeerID, newest: j.CreatedAt} // the list begins with the newest
			byID[j.PeerID] = row
		}
		row.reports++
	}
	rows := slices.SortedFunc(maps.Values(byID), func(a, b *peerRow) int {
		return cmp.Or(cmp.Compare(b.reports, a.reports), b.newest.Compare(a.newest), cmp.Compare(a.id, b.id))
	})
	all, rows = len(rows), rows[:min(len(rows), spreadPeers)]
	for _, row := range rows {
		if row.name, err = names.peer(ctx, row.id); err != nil {
			return v, all, err
		}
	}
	return kit.Table[*peerRow]{
		Name: "Peers of these reports",
		Columns: []kit.Column[*peerRow]{
			{Head: "Peer", Cell: func(row *peerRow) kit.Cell { return kit.Peer(row.id, row.name) }, Wide: true},
			{Head: "Reports", Cell: func(row *peerRow) kit.Cell { return kit.Number(row.reports) }},
			{Head: "Newest", Cell: func(row *peerRow) kit.Cell { return kit.Time(row.newest) }},
		},
	}.Fixed(rows), all, nil
}
