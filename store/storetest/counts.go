package storetest

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store"
)

func countTests() []test {
	return []test{
		{"jobs by spans of time", countJobs},
		{"counts that are refused", refusedCounts},
		{"the busiest problems", busyProblems},
		{"the busiest of the newest reports", busySample},
	}
}

func countJobs(k *kit) {
	start := k.clock()
	all := k.mixedJobs()
	var times []time.Time
	for i := range 7 {
		times = append(times, start.Add(time.Duration(i)*4*time.Second-time.Millisecond*time.Duration(i%2)))
	}
	for _, f := range jobFilters(all[0].ProblemID) {
		for _, most := range []int64{1_000, 2} {
			want := make([]int64, len(times)-1)
			for _, j := range all {
				for i := range want {
					if matches(f, j) && !j.CreatedAt.Before(times[i]) && j.CreatedAt.Before(times[i+1]) {
						want[i] = min(want[i]+1, most)
					}
				}
			}
			// What a list would go by is left alone.
			f.From, f.Until, f.Oldest, f.After, f.Limit = times[3], times[2], true, all[1].ID, 1
			got, err := k.CountJobs(k.ctx, f, times, most)
			k.must(err)
			same(k, got, want)
		}
		if k.Failed() {
			k.Fatalf("with %+v", f)
		}
	}
}

func refusedCounts(k *kit) {
	k.filed("p", crashed)
	now := k.clock()
	for _, few := range [][]time.Time{nil, {now}} {
		got, err := k.CountJobs(k.ctx, jobs.Filter{}, few, 10)
		if err != nil || len(got) != 0 {
			k.Errorf("no span: %v, %v", got, err)
		}
	}
	for _, bad := range [][]time.Time{{now, now}, {now, now.Add(-time.Hour)}, {now, now.Add(2), now.Add(1)}} {
		_, err := k.CountJobs(k.ctx, jobs.Filter{}, bad, 10)
		k.refused(err, errs.CodeBadInput)
	}
	var many []time.Time
	for i := range store.MaxSpans + 2 {
		many = append(many, now.Add(time.Duration(i)*time.Second))
	}
	_, err := k.CountJobs(k.ctx, jobs.Filter{}, many, 10)
	k.refused(err, errs.CodeTooLarge)
	got, err := k.CountJobs(k.ctx, jobs.Filter{}, many[:store.MaxSpans+1], 10)
	k.must(err)
	same(k, len(got), store.MaxSpans)
	same(k, got[0], int64(1))
}

// busyOf counts reports as a store should: those of the newest ones.
func (k *kit) busyOf(reports []jobs.Job, from, until time.Time, sample int64) (want []collector.ProblemCount, looked int64) {
	k.Helper()
	counts := map[string]int64{}
	for _, j := range slices.Backward(reports) {
		if !j.CreatedAt.Before(from) && (until.IsZero() || j.CreatedAt.Before(until)) && looked < sample {
			looked++
			counts[j.ProblemID]++
		}
	}
	for id, n := range counts {
		p, err := k.Problem(k.ctx, id)
		k.must(err)
		want = append(want, collector.ProblemCount{Problem: p, Reports: n})
	}
	slices.SortFunc(want, func(a, b collector.ProblemCount) int {
		return cmp.Or(cmp.Compare(b.Reports, a.Reports), cmp.Compare(a.Problem.ID, b.Problem.ID))
	})
	return want, looked
}

// busyReports files reports of five problems, and makes hook jobs, which do
// not count.
func (k *kit) busyReports() []jobs.Job {
	k.Helper()
	var all []jobs.Job
	for i := range 24 {
		k.advance(time.Duration(i%2) * time.Second)
		r := with(crashed, hooks.FieldSignal, strconv.Itoa([]int{1, 2, 3, 1, 4, 1, 2, 5}[i%8]))
		all = append(all, k.filed("p", with(r, hooks.FieldDate, strconv.Itoa(i))))
		if i%3 == 0 {
			j := k.hookJob("q"+strconv.Itoa(i), k.on("v"), all[i].ID)
			j.ProblemID = all[0].ProblemID
			k.must(k.lease(j))
		}
	}
	return all
}

func busyProblems(k *kit) {
	none, looked, err := k.BusyProblems(k.ctx, time.Time{}, time.Time{}, 10, 10)
	if err != nil || len(none) != 0 || looked != 0 {
		k.Errorf("of nothing: %v of %d, %v", none, looked, err)
	}
	all := k.busyReports()
	for _, s := range spansAround(all[5].CreatedAt, all[18].CreatedAt) {
		for _, limit := range []int{1, 3, 200} {
			want, n := k.busyOf(all, s.from, s.until, 1_000)
			got, looked, err := k.BusyProblems(k.ctx, s.from, s.until, 1_000, limit)
			k.must(err)
			same(k, got, append([]collector.ProblemCount(nil), want[:min(limit, len(want))]...))
			same(k, looked, n)
		}
	}
}

// Of more reports than it may look at, it looks at the newest.
func busySample(k *kit) {
	all := k.busyReports()
	for _, s := range spansAround(all[5].CreatedAt, all[18].CreatedAt) {
		for _, sample := range []int64{1, 4, 13} {
			want, n := k.busyOf(all, s.from, s.until, sample)
			got, looked, err := k.BusyProblems(k.ctx, s.from, s.until, sample, 200)
			k.must(err)
			same(k, got, want)
			same(k, looked, n)
			if looked > sample {
				k.Errorf("looked at %d, more than %d", looked, sample)
			}
		}
	}
}
