package storetest

import (
	"slices"
	"strconv"

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

func resultPages(k *kit) {
	var all []collector.Result
	for i := range 20 {
		j := k.hookJob("p", k.on("v"+strconv.Itoa(i%2)), "original"+strconv.Itoa(i%7))
		j.Hook, j.ProblemID = "hook"+strconv.Itoa(i%3), "problem"+strconv.Itoa(i%2)
		if err := k.lease(j); errs.Is(err, errs.CodeAlreadyAsked) {
			continue
		}
		if i%5 == 4 {
			k.settled(j, hooks.OutcomeFailed, 0)
			continue
		}
		k.settled(j, hooks.OutcomeReceived, 2)
		all = append(all, k.result(j, "xx"))
	}
	slices.Reverse(all)
	for bits := range 16 {
		var f collector.ResultFilter
		set(&f.JobID, "original1", bits&1)
		set(&f.Hook, "hook1", bits&2)
		set(&f.Version, "v1-1", bits&4)
		set(&f.ProblemID, "problem1", bits&8)
		var want []string
		for _, r := range all {
			if (f.JobID == "" || f.JobID == r.JobID) && (f.Hook == "" || f.Hook == r.Hook) &&
				(f.Version == "" || f.Version == r.Version) && (f.ProblemID == "" || f.ProblemID == r.ProblemID) {
				want = append(want, r.ID)
			}
		}
		id := func(r collector.Result) string { return r.ID }
		pages(k, want, id, id, func(after string, limit int) ([]collector.Result, error) {
			f.After, f.Limit = after, limit
			return k.Results(k.ctx, f)
		})
	}
}

// everyResult narrows nothing.
var everyResult = collector.ResultFilter{}
