package storetest

import (
	"slices"
	"strconv"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

func resultTests() []test {
	return []test{
		{"a result comes with its job's success", resultShows},
		{"no other job has a result", noResult},
		{"filters and pages", resultPages},
		{"refused calls are counted with the decision", deniedCalls},
	}
}

func (k *kit) shown(f collector.ResultFilter) []collector.Result {
	k.Helper()
	f.Limit = 200
	all, err := k.Results(k.ctx, f)
	k.must(err)
	return all
}

func resultShows(k *kit) {
	j := k.pending("p", "v", "original")
	r := k.result(j, `{"A.b$c":"é\u0000😀"}`)
	_, err := k.Result(k.ctx, j.ID)
	k.refused(err, errs.CodeNotFound)
	_, err = k.Settle(k.ctx, j.ID, k.decision(hooks.OutcomeReceived), &r, k.clock())
	k.must(err)
	late := k.result(j, `{"A":"late"}`)
	if s, err := k.Settle(k.ctx, j.ID, k.decision(hooks.OutcomeReceived), &late, k.clock()); err != nil || s.OK {
		k.Errorf("a second result: %v, %v", s.OK, err)
	}
	got, err := k.Result(k.ctx, j.ID)
	k.must(err)
	same(k, got, r)
	same(k, k.shown(everyResult), []collector.Result{r})
	same(k, k.job(j.ID).Bytes, r.Bytes)
}

func deniedCalls(k *kit) {
	brought, failed, none := k.pending("p", "v", "brought"), k.pending("p", "v", "failed"), k.pending("p", "v", "none")
	r := k.result(brought, "{}")
	for _, c := range []struct {
		j jobs.Job
		o hooks.Outcome
		r *collector.Result
		n int64
	}{{brought, hooks.OutcomeReceived, &r, 2}, {failed, hooks.OutcomeFailed, nil, 5000}, {none, hooks.OutcomeEmpty, nil, 0}} {
		for i := range 2 { // the second decision is too late
			d := k.decision(c.o)
			d.Denied = c.n + int64(i)
			s, err := k.Settle(k.ctx, c.j.ID, d, c.r, k.clock())
			if err != nil || s.OK != (i == 0) || s.Job.Denied != c.n {
				k.Errorf("decision %d of %s: %v, %d calls, %v", i+1, c.o, s.OK, s.Job.Denied, err)
			}
		}
		same(k, k.job(c.j.ID).Denied, c.n)
	}
	list, err := k.Jobs(k.ctx, jobs.Filter{Workload: jobs.WorkHook, Limit: 10})
	k.must(err)
	for _, j := range list {
		same(k, j, k.job(j.ID))
	}
}

func noResult(k *kit) {
	failed, open := k.pending("p", "v", "failed"), k.pending("p", "v", "open")
	k.settled(failed, hooks.OutcomeTimedOut, 0)
	if s, err := k.settle(failed, hooks.OutcomeReceived, 2); err != nil || s.OK {
		k.Errorf("a late success: %v, %v", s.OK, err)
	}
	r, other := k.result(open, `{}`), k.result(failed, `{}`)
	for name, c := range map[string]struct {
		o hooks.Outcome
		r *collector.Result
	}{
		"received nothing":           {hooks.OutcomeReceived, nil},
		"failed with a result":       {hooks.OutcomeFailed, &r},
		"empty with a result":        {hooks.OutcomeEmpty, &r},
		"the result of another job ": {hooks.OutcomeReceived, &other},
	} {
		_, err := k.Settle(k.ctx, open.ID, k.decision(c.o), c.r, k.clock())
		if !errs.Is(err, errs.CodeBadInput) {
			k.Errorf("%s: %v", name, err)
		}
	}
	same(k, k.job(open.ID), open)
	if n := len(k.shown(everyResult)); n != 0 {
		k.Errorf("%d results are listed", n)
	}
}

// mixedResults stores results of several of everything, and returns them, the
// oldest first.
func (k *kit) mixedResults() []collector.Result {
	k.Helper()
	var all []collector.Result
	for i := range 24 {
		k.advance(time.Duration(i%2) * time.Second)
		j := k.hookJob(string("pq"[i%2]), k.on("v"+strconv.Itoa(i/2%2)), "original"+strconv.Itoa(i%11))
		j.Hook, j.ProblemID = "hook"+strconv.Itoa(i%3), "problem"+strconv.Itoa(i/4%2)
		if err := k.lease(j); errs.Is(err, errs.CodeAlreadyAsked) {
			continue
		}
		if i%9 == 4 {
			k.settled(j, hooks.OutcomeFailed, 0)
			continue
		}
		r := k.result(j, "xx")
		r.Level, r.Package = []hooks.Level{hooks.LevelProblem, hooks.LevelPackage}[i/3%2], []string{"nginx", "", "a/b.$c"}[i%3]
		s, err := k.Settle(k.ctx, j.ID, k.decision(hooks.OutcomeReceived), &r, k.clock())
		if err != nil || !s.OK {
			k.Fatalf("settling: %v, %v", s.OK, err)
		}
		all = append(all, r)
	}
	return all
}

func ofFilter(f collector.ResultFilter, r collector.Result) bool {
	return (f.JobID == "" || f.JobID == r.JobID) && (f.Hook == "" || f.Hook == r.Hook) && (f.Version == "" || f.Version == r.Version) &&
		(f.ProblemID == "" || f.ProblemID == r.ProblemID) && (f.PeerID == "" || f.PeerID == r.PeerID) &&
		(f.Level == "" || f.Level == r.Level) && (f.Package == "" || f.Package == r.Package)
}

func resultPages(k *kit) {
	all := k.mixedResults()
	for _, bits := range []int{0, 1, 2, 4, 8, 16, 32, 64, 3, 5, 9, 18, 34, 66, 20, 36, 68, 24, 40, 80, 48, 96, 112, 126, 127} {
		var f collector.ResultFilter
		set(&f.JobID, "original1", bits&1)
		set(&f.Hook, "hook1", bits&2)
		set(&f.Version, "v1-1", bits&4)
		set(&f.ProblemID, "problem1", bits&8)
		set(&f.PeerID, "p", bits&16)
		set((*string)(&f.Level), string(hooks.LevelPackage), bits&32)
		set(&f.Package, "nginx", bits&64)
		k.resultPage(f, span{}, all)
		if bits&(bits-1) == 0 { // at most one of them
			for _, s := range spansAround(all[4].CreatedAt, all[13].CreatedAt)[1:] {
				k.resultPage(f, s, all)
			}
		}
	}
	newest := slices.Clone(all)
	slices.Reverse(newest)
	same(k, k.shown(everyResult), newest)
}

// resultPage walks one list of results.
func (k *kit) resultPage(f collector.ResultFilter, s span, all []collector.Result) {
	k.Helper()
	f.From, f.Until, f.Oldest = s.from, s.until, s.oldest
	want := among(s, all, func(r collector.Result) (string, time.Time, bool) { return r.ID, r.CreatedAt, ofFilter(f, r) })
	id := func(r collector.Result) string { return r.ID }
	pagesOf(k, s.sizes(), want, id, id, func(after string, limit int) ([]collector.Result, error) {
		f.After, f.Limit = after, limit
		return k.Results(k.ctx, f)
	})
}

// everyResult narrows nothing.
var everyResult = collector.ResultFilter{}
