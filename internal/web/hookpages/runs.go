package hookpages

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/inwords"
	"hookline/internal/web/kit"
	"hookline/review"
	"hookline/signing"
)

// How far back runs are looked at, and how many at a time.
const (
	maxRuns  = 2000
	runsOnce = 200
)

// runsView is what became of the newest runs of a version.
type runsView struct {
	Looked   int64 // at the newest
	More     bool  // there are older ones
	Answered int64 // the machine said what came of it, new fields or not
	Brought  int64 // new fields
	Nothing  int64 // it ran and found nothing to add
	Pending  int64
	Groups   kit.TableView
	Failures int64 // in the groups
	All      string
	Failed   string // link to those that failed
}

// group is the runs that ended in the same way.
type group struct {
	ending      hooks.Ending
	code        string
	count       int64
	first, last time.Time
	sample      jobs.Job // the newest
}

// text says why the sample ended so.
func (g group) text() string {
	if g.sample.HookError != "" {
		return g.sample.HookError
	}
	return g.sample.FailedText
}

// runs looks at the newest runs of a version, at most so many.
func (p *pages) runs(ctx context.Context, digest string, most int64) (runsView, error) {
	v := runsView{All: runsLink(digest, ""), Failed: runsLink(digest, jobs.Failed)}
	groups := map[string]*group{}
	f := jobs.Filter{Workload: jobs.WorkHook, Version: digest}
	for v.Looked < most {
		f.Limit = int(min(runsOnce, most-v.Looked))
		list, err := p.Store.Jobs(ctx, f)
		if err != nil {
			return v, err
		}
		for _, j := range list {
			v.add(groups, j)
		}
		if len(list) < f.Limit {
			v.Groups = groupTable(groups)
			return v, nil
		}
		f.After = list[len(list)-1].ID
	}
	v.More, v.Groups = true, groupTable(groups)
	return v, nil
}

func runsLink(digest string, s jobs.Status) string {
	q := url.Values{"work": {"hook"}, "version": {digest}}
	if s != "" {
		q.Set("status", string(s))
	}
	return "/jobs?" + q.Encode()
}

// add counts one run; they come newest first.
func (v *runsView) add(groups map[string]*group, j jobs.Job) {
	v.Looked++
	ending := hooks.EndingOf(j.Outcome, errs.Code(j.FailedCode))
	switch {
	case j.Status == jobs.Pending:
		v.Pending++
		return
	case j.Outcome == hooks.OutcomeReceived:
		v.Brought++
		v.Answered++
		return
	case j.Outcome == hooks.OutcomeEmpty:
		v.Nothing++
		v.Answered++
		return
	}
	v.Failures++
	// A machine that was not connected, did not answer in time, or was not asked after all said nothing.
	if !j.SentAt.IsZero() && j.Outcome != hooks.OutcomeTimedOut && j.Outcome != hooks.OutcomeCancelled {
		v.Answered++
	}
	key := string(ending) + " " + j.FailedCode
	g := groups[key]
	if g == nil {
		g = &group{ending: ending, code: j.FailedCode, last: ended(j), sample: j}
		groups[key] = g
	}
	g.count++
	g.first = ended(j)
}

// ended is when a run was over.
func ended(j jobs.Job) time.Time {
	if j.CompletedAt.IsZero() {
		return j.CreatedAt
	}
	return j.CompletedAt
}

func groupTable(groups map[string]*group) kit.TableView {
	var list []group
	for _, g := range groups {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.ending, b.ending), cmp.Compare(a.code, b.code))
	})
	return kit.Table[group]{Name: "Runs that brought nothing", Columns: []kit.Column[group]{
		{Head: "Ending", Cell: func(g group) kit.Cell { return kit.State(string(g.ending)) }},
		{Head: "Code", Cell: func(g group) kit.Cell { return kit.Code(g.code) }},
		{Head: "Count", Cell: func(g group) kit.Cell { return kit.Number(g.count) }},
		{Head: "First", Cell: func(g group) kit.Cell { return kit.Time(g.first) }},
		{Head: "Last", Cell: func(g group) kit.Cell { return kit.Time(g.last) }},
		{Head: "Newest of them", Wide: true, Cell: func(g group) kit.Cell {
			return kit.ID(g.sample.ID, "/jobs/"+g.sample.ID).In(kit.Short(g.sample.ID)).With(clipped(g.text()))
		}},
	}}.Fixed(list)
}

// signed is how many signatures of a version count now.
func signed(rules signing.Rules, l review.Life) kit.Cell {
	s := inwords.SignaturesOf(rules, l)
	if s.Refused != "" {
		return kit.State("refused")
	}
	return kit.Text(fmt.Sprintf("%d of %d", s.Given, s.Needed))
}

// ledgerView is the ledger as it fills.
type ledgerView struct {
	Meter    any // drawn
	Bytes    any
	Columns  []kit.Fact
	Sum      string // the identity, with its numbers
	Broken   string // how it does not hold; "" where it does
	Stops    int64  // issued over this pauses it
	Until    time.Time
	Ended    time.Time // zero: it has not
	Why      string    // it has ended
	Rollout  string
	Reserved int64
}

func ledgerOf(a hooks.Activation) (ledgerView, error) {
	l := a.Ledger
	meter, err := drawn(l.Received, a.Quantity, kit.Grouped(l.Received)+" of "+kit.Grouped(a.Quantity)+" results")
	if err != nil {
		return ledgerView{}, err
	}
	size, err := drawn(l.Bytes, a.MaxBytes, kit.Bytes(l.Bytes)+" of "+kit.Bytes(a.MaxBytes))
	if err != nil {
		return ledgerView{}, err
	}
	v := ledgerView{
		Meter: meter, Bytes: size, Stops: 2*a.Quantity + 10, Until: a.Deadline, Reserved: l.Reserved,
		Rollout: fmt.Sprintf("%d %% of the peers, %s a minute", a.Rollout.Percent, kit.Grouped(a.Rollout.PerMinute)),
	}
	if kit.Ended(a) {
		v.Ended, v.Why = a.ChangedAt, cmp.Or(kit.EndOf(a), string(a.State))
	}
	sum := l.Leased
	for _, c := range []struct {
		name string
		n    int64
	}{
		{"Received", l.Received},
		{"Empty", l.Empty},
		{"Failed", l.Failed},
		{"Refused", l.Refused},
		{"Deferred", l.Deferred},
		{"Cancelled", l.Cancelled},
		{"Timed out", l.TimedOut},
	} {
		v.Columns = append(v.Columns, kit.Fact{Name: c.name, Cell: kit.Number(c.n)})
		sum += c.n
	}
	v.Columns = append([]kit.Fact{{Name: "Issued", Cell: kit.Number(l.Issued)}, {Name: "Out now", Cell: kit.Number(l.Leased)}}, v.Columns...)
	v.Columns = append(v.Columns, kit.Fact{Name: "Sum", Cell: kit.Number(sum)})
	v.Sum = "issued = out now + received + empty + failed + refused + deferred + cancelled + timed out"
	if err := l.Check(a.Quantity, a.MaxBytes); err != nil {
		v.Broken = err.Error()
	}
	return v, nil
}
