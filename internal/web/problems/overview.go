package problems

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/jobs"
	"hookline/internal/web/chart"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
	"hookline/review"
)

// Sizes of the overview.
const (
	overviewDays   = 14
	activeShown    = 12
	waitingShown   = 6
	hooksLooked    = 50 // for those that their author has to change
	risingShown    = 5
	risingLooked   = 12  // problems whose days are counted
	risingProblems = 200 // of each week
)

type overviewPage struct {
	Steps  kit.Part[[]step]
	Active kit.Part[activeList]
	Queue  kit.Part[queue]
	Peers  kit.Part[online]
	Days   kit.Part[chart.Bars]
	Rising kit.Part[rising]
}

func (p *pages) overview(r *kit.Request) (kit.Answer, error) {
	names := p.names()
	data := overviewPage{
		Steps:  kit.Load(r, "steps", p.steps),
		Active: kit.Load(r, "active hooks", func(ctx context.Context) (activeList, error) { return p.active(ctx, names, r.Now()) }),
		Queue:  kit.Load(r, "reviews", func(ctx context.Context) (queue, error) { return p.queue(ctx, r) }),
		Peers:  kit.Load(r, "peers", p.online),
		Days:   kit.Load(r, "days", func(ctx context.Context) (chart.Bars, error) { return p.runsByDay(ctx, r.Now()) }),
		Rising: kit.Load(r, "rising", func(ctx context.Context) (rising, error) { return p.rising(ctx, r.Now()) }),
	}
	if !r.May(auth.HooksRead) {
		data.Queue.Value = queue{Hidden: true}
	}
	return p.View("overview", "Overview", "Overview", data).
		Follow([]string{live.Overview, live.Reviews}, []string{"glance", "active", "queue", "days", "rising"}), nil
}

// step is one of the first steps of a new deployment.
type step struct {
	Text, Command string
	Done          bool
}

// steps are what there is to do until a first hook is there; none after it.
func (p *pages) steps(ctx context.Context) ([]step, error) {
	versions, err := p.Store.Hooks(ctx, "", 1)
	if err != nil || len(versions) > 0 {
		return nil, err
	}
	peers, _, err := p.Store.CountPeers(ctx, 1)
	if err != nil {
		return nil, err
	}
	list, err := p.Store.Problems(ctx, collector.ProblemFilter{Limit: 1})
	if err != nil {
		return nil, err
	}
	return []step{
		{"Enroll a machine, with the line that the offline folder prints", "hookline-peer enroll LINE", peers > 0},
		{"Have it file a report: run a program that crashes", "hookline-peer exec -- PROGRAM", len(list) > 0},
		{"Write a hook that asks for what the report lacks", "hookline hook init first --job latest", false},
	}, nil
}

type activeRow struct {
	Version    kit.VersionRef
	Fill, Left chart.Meter
	Deadline   time.Time
	Failed     int64 // runs that failed or were refused
	FailedLink string
}

type activeList struct {
	Rows []activeRow
	More bool
}

// active lists active hooks, the one that ends first on top.
func (p *pages) active(ctx context.Context, names *names, now time.Time) (activeList, error) {
	list, err := p.Store.ActivePast(ctx, now.AddDate(100, 0, 0), activeShown+1)
	if err != nil {
		return activeList{}, err
	}
	out := activeList{More: len(list) > activeShown}
	for _, a := range list[:min(len(list), activeShown)] {
		ref, err := names.version(ctx, a.Hook, a.Digest)
		if err != nil {
			return activeList{}, err
		}
		out.Rows = append(out.Rows, activeRow{
			Version: ref, Fill: fillOf(a), Left: leftOf(a, now), Deadline: a.Deadline, Failed: a.Ledger.Failed + a.Ledger.Refused + a.Ledger.TimedOut,
			FailedLink: "/jobs?" + url.Values{"work": {"hook"}, "status": {"failed"}, "version": {a.Digest}}.Encode(),
		})
	}
	return out, nil
}

// fillOf is what an activation has brought of what it may.
func fillOf(a hooks.Activation) chart.Meter {
	return chart.Meter{Part: a.Ledger.Received, Whole: a.Quantity, Words: kit.Grouped(a.Ledger.Received) + " of " + kit.Grouped(a.Quantity), Tone: chart.Good}
}

// leftOf is how much of its time is left.
func leftOf(a hooks.Activation, now time.Time) chart.Meter {
	left, whole := a.Deadline.Sub(now), a.Deadline.Sub(a.CreatedAt)
	m := chart.Meter{Part: int64(left / time.Second), Whole: int64(whole / time.Second), Words: "ends " + kit.Ago(a.Deadline, now)}
	if left < min(24*time.Hour, whole/4) {
		m.Tone = chart.Wait
	}
	if left <= 0 {
		m.Words = "over"
	}
	return m
}

type waitingRow struct {
	Version kit.VersionRef
	Author  string
	At      time.Time
}

type queue struct {
	Rows    []waitingRow
	More    bool
	Changes []waitingRow // of the person who looks, with changes requested
	Unseen  bool         // there are hooks that were not looked at for them
	Hidden  bool
}

// queue lists versions that wait for reviewers, the oldest first, and those of
// the person who looks that wait for their author.
func (p *pages) queue(ctx context.Context, r *kit.Request) (queue, error) {
	list, err := p.Store.Waiting(ctx, "", waitingShown+1)
	if err != nil {
		return queue{}, err
	}
	out := queue{More: len(list) > waitingShown}
	for _, l := range list[:min(len(list), waitingShown)] {
		v := l.Version
		out.Rows = append(out.Rows, waitingOf(v))
	}
	if !slices.Contains(r.Who.Roles, auth.RoleAuthor) { // nobody else has versions that wait for them; sessions themselves submit none
		return out, nil
	}
	newest, err := p.Store.Hooks(ctx, "", hooksLooked)
	out.Unseen = len(newest) == hooksLooked
	for _, l := range newest {
		if l.State() == hooks.StateChangesRequested && l.Version.SubmittedBy == r.Who.User && len(out.Changes) < waitingShown {
			out.Changes = append(out.Changes, waitingOf(l.Version))
		}
	}
	return out, err
}

func waitingOf(v review.Version) waitingRow {
	return waitingRow{kit.VersionRef{Hook: v.Hook, Number: v.Number, Digest: v.Digest}, v.SubmittedBy, v.SubmittedAt}
}

type online struct{ All, Online int64 }

func (p *pages) online(ctx context.Context) (online, error) {
	all, on, err := p.Store.CountPeers(ctx, kit.MostCounted)
	return online{all, on}, err
}

// runsByDay is what hooks brought, and what failed.
func (p *pages) runsByDay(ctx context.Context, now time.Time) (chart.Bars, error) {
	bars := chart.Bars{
		Title: "Hook runs, last 14 days", Of: "Day (UTC)", Most: mostADay,
		Series: []chart.Series{{Name: "succeeded", Tone: chart.Good}, {Name: "failed", Tone: chart.Bad}},
	}
	good, err := p.counts.of(ctx, p.Store, jobs.Filter{Workload: jobs.WorkHook, Status: jobs.Succeeded}, now, overviewDays)
	if err != nil {
		return bars, err
	}
	bad, err := p.counts.of(ctx, p.Store, jobs.Filter{Workload: jobs.WorkHook, Status: jobs.Failed}, now, overviewDays)
	if err != nil {
		return bars, err
	}
	link := func(day string) string { return "/jobs?from=" + day + "&until=" + day + "&work=hook" }
	bars.Groups = groups(days(now, overviewDays), link, good, bad)
	return bars, nil
}

type risingRow struct {
	Problem      collector.Problem
	Program      string
	Fingerprint  string
	This, Before int64
	Days         chart.Spark
}

type rising struct {
	Rows    []risingRow
	Sampled int64 // see sampled
}

// rising are the problems that grew most from the seven days before to the
// last seven. Weeks are compared by their busiest problems; those that are
// shown are then counted, day by day.
func (p *pages) rising(ctx context.Context, now time.Time) (rising, error) {
	times := days(now, overviewDays)
	half, end := times[overviewDays-7], times[overviewDays]
	this, looked, err := p.busy.of(ctx, p.Store, half, end, now, risingProblems)
	if err != nil {
		return rising{}, err
	}
	before, lookedBefore, err := p.busy.of(ctx, p.Store, times[0], half, now, risingProblems)
	if err != nil {
		return rising{}, err
	}
	was := map[string]int64{}
	for _, v := range before {
		was[v.Problem.ID] = v.Reports
	}
	this = slices.Clone(this) // it may be kept
	slices.SortStableFunc(this, func(a, b collector.ProblemCount) int {
		return cmp.Compare(b.Reports-was[b.Problem.ID], a.Reports-was[a.Problem.ID])
	})
	out := rising{Sampled: sampled(max(looked, lookedBefore))}
	for _, v := range this[:min(len(this), risingLooked)] {
		row, err := p.risingRow(ctx, v.Problem, now)
		if err != nil {
			return rising{}, err
		}
		if row.This > row.Before {
			out.Rows = append(out.Rows, row)
		}
	}
	slices.SortStableFunc(out.Rows, func(a, b risingRow) int { return cmp.Compare(b.This-b.Before, a.This-a.Before) })
	out.Rows = out.Rows[:min(len(out.Rows), risingShown)]
	return out, nil
}

func (p *pages) risingRow(ctx context.Context, v collector.Problem, now time.Time) (risingRow, error) {
	counts, err := p.counts.of(ctx, p.Store, jobs.Filter{Workload: jobs.WorkReport, ProblemID: v.ID}, now, overviewDays)
	if err != nil {
		return risingRow{}, err
	}
	row := risingRow{Problem: v, Program: program(v), Fingerprint: cut(v.Fingerprint, 80), Days: chart.Spark{Title: "Reports of 14 days", Values: counts}}
	for i, n := range counts {
		if i < overviewDays-7 {
			row.Before += n
		} else {
			row.This += n
		}
	}
	return row, nil
}
