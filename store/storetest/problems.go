package storetest

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
)

func problemTests() []test {
	return []test{
		{"problems count their reports", problemCounts},
		{"orders and pages", problemPages},
	}
}

func problemCounts(k *kit) {
	first := k.filed("p", crashed)
	want := k.problem(first)
	for range 3 {
		k.advance(time.Hour)
		k.filed("q", with(crashed, hooks.FieldDate, k.clock().String()))
	}
	other := with(crashed, hooks.FieldSignal, "6")
	k.filed("p", other)
	want.Reports, want.LastSeen = 4, k.clock()
	got, err := k.Problem(k.ctx, first.ProblemID)
	k.must(err)
	same(k, got, want)
	_, err = k.Problem(k.ctx, "none")
	k.refused(err, errs.CodeNotFound)
}

// mixedProblems stores problems of three packages, of which some have the same
// number of reports and some were seen in the same millisecond.
func (k *kit) mixedProblems() []collector.Problem {
	k.Helper()
	var ids []string
	for i := range 24 {
		if i%3 != 0 {
			k.advance(time.Second)
		}
		n := (i * 7) % 12
		r := hooks.Report{
			hooks.FieldExecutablePath: "/bin/" + strconv.Itoa(n), hooks.FieldSignal: "6",
			hooks.FieldPackage: []string{"nginx", "", "a/b.$c"}[n%3], hooks.FieldDate: strconv.Itoa(i),
		}
		if ids = append(ids, k.filed("p", r).ProblemID); i%5 == 0 {
			k.filed("q", r)
		}
	}
	slices.Sort(ids)
	var all []collector.Problem
	for _, id := range slices.Compact(ids) {
		p, err := k.Problem(k.ctx, id)
		k.must(err)
		all = append(all, p)
	}
	return all
}

func problemPages(k *kit) {
	all := k.mixedProblems()
	for _, pkg := range []string{"", "nginx", "a/b.$c", "none"} {
		for sort, value := range map[collector.ProblemSort]func(collector.Problem) int64{
			"":                    func(p collector.Problem) int64 { return p.LastSeen.UnixMilli() },
			collector.ByLastSeen:  func(p collector.Problem) int64 { return p.LastSeen.UnixMilli() },
			collector.ByFirstSeen: func(p collector.Problem) int64 { return p.FirstSeen.UnixMilli() },
			collector.ByReports:   func(p collector.Problem) int64 { return p.Reports },
		} {
			for _, least := range []bool{false, true} {
				k.problemPage(all, collector.ProblemFilter{Package: pkg, Sort: sort, Least: least}, value)
			}
		}
	}
	for _, sort := range []collector.ProblemSort{collector.ByLastSeen, collector.ByFirstSeen, collector.ByReports} {
		for _, bad := range []string{"x", "12", "/", "1x/2"} {
			_, err := k.Problems(k.ctx, collector.ProblemFilter{Sort: sort, After: bad, Limit: 10})
			k.refused(err, errs.CodeBadInput)
		}
	}
}

// problemPage walks one list of problems.
func (k *kit) problemPage(all []collector.Problem, f collector.ProblemFilter, value func(collector.Problem) int64) {
	k.Helper()
	list := slices.DeleteFunc(slices.Clone(all), func(p collector.Problem) bool { return f.Package != "" && p.Package != f.Package })
	slices.SortFunc(list, func(a, b collector.Problem) int {
		return cmp.Or(cmp.Compare(value(a), value(b)), cmp.Compare(a.ID, b.ID))
	})
	if !f.Least {
		slices.Reverse(list)
	}
	id := func(p collector.Problem) string { return p.ID }
	var want []string
	for _, p := range list {
		want = append(want, p.ID)
	}
	sizes := []int{1, 3, 200}
	if f.Package != "" {
		sizes = []int{2}
	}
	pagesOf(k, sizes, want, id, f.Cursor, func(after string, limit int) ([]collector.Problem, error) {
		f.After, f.Limit = after, limit
		return k.Problems(k.ctx, f)
	})
}
