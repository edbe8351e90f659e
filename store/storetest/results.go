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
		{"a result shows when its job succeeds", resultShows},
		{"a result goes when its job fails", resultGoes},
		{"only a pending job takes a result", resultOfDecidedJob},
		{"filters and pages", resultPages},
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
	k.must(k.AddHidden(k.ctx, k.result(j, `{"first":"try"}`)))
	r := k.result(j, `{"A.b$c":"é\u0000😀"}`)
	k.must(k.AddHidden(k.ctx, r)) // replaces
	_, err := k.Result(k.ctx, j.ID)
	k.refused(err, errs.CodeNotFound)
	if n := len(k.shown(collector.ResultFilter{})); n != 0 {
		k.Errorf("%d hidden results are listed", n)
	}
	_, err = k.Decide(k.ctx, j.ID, k.success(r.Bytes))
	k.must(err)
	got, err := k.Result(k.ctx, j.ID)
	k.must(err)
	same(k, got, r)
	same(k, k.shown(collector.ResultFilter{}), []collector.Result{r})
	same(k, k.job(j.ID).Bytes, r.Bytes)
}

func resultGoes(k *kit) {
	j := k.pending("p", "v", "original")
	k.must(k.AddHidden(k.ctx, k.result(j, `{}`)))
	_, err := k.Decide(k.ctx, j.ID, k.failure(hooks.OutcomeTimedOut))
	k.must(err)
	if ok, err := k.Decide(k.ctx, j.ID, k.success(2)); err != nil || ok {
		k.Errorf("a late success: %v, %v", ok, err)
	}
	_, err = k.Result(k.ctx, j.ID)
	k.refused(err, errs.CodeNotFound)
}

func resultOfDecidedJob(k *kit) {
	j := k.pending("p", "v", "original")
	r := k.result(j, `{"A":"1"}`)
	k.must(k.AddHidden(k.ctx, r))
	_, err := k.Decide(k.ctx, j.ID, k.success(r.Bytes))
	k.must(err)
	k.refused(k.AddHidden(k.ctx, k.result(j, `{"A":"2"}`)), errs.CodeJobDecided)
	got, err := k.Result(k.ctx, j.ID)
	k.must(err)
	same(k, got, r)
	k.refused(k.AddHidden(k.ctx, collector.Result{ID: "none"}), errs.CodeNotFound)
	big := k.result(k.pending("p", "v", "big"), string(make([]byte, hooks.MaxResultBytes+1)))
	k.refused(k.AddHidden(k.ctx, big), errs.CodeTooLarge)
}

func resultPages(k *kit) {
	var all []collector.Result
	for i := range 20 {
		j := k.hookJob("p", "v"+strconv.Itoa(i%2), strconv.Itoa(i))
		j.Hook, j.ProblemID, j.OriginalID = "hook"+strconv.Itoa(i%3), "problem"+strconv.Itoa(i%2), "original"+strconv.Itoa(i%7)
		if err := k.AddHookJob(k.ctx, j); errs.Is(err, errs.CodeAlreadyAsked) {
			continue
		}
		r := k.result(j, `{}`)
		k.must(k.AddHidden(k.ctx, r))
		d := k.success(r.Bytes)
		if i%5 == 4 {
			d = k.failure(hooks.OutcomeFailed)
		}
		_, err := k.Decide(k.ctx, j.ID, d)
		k.must(err)
		if d.Status == jobs.Succeeded {
			all = append(all, r)
		}
	}
	slices.Reverse(all)
	for bits := range 16 {
		var f collector.ResultFilter
		set(&f.JobID, "original1", bits&1)
		set(&f.Hook, "hook1", bits&2)
		set(&f.Version, "v1", bits&4)
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
