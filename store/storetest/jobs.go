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

func jobTests() []test {
	return []test{
		{"reports are idempotent", reportIdempotent},
		{"an id belongs to one report", reportConflict},
		{"problems count their reports", problemCounts},
		{"pages of problems", problemPages},
		{"hook jobs", hookJobs},
		{"one open job for a version and an original", slots},
		{"pending jobs of a peer are capped", peerCap},
		{"a failed job blocks its id", failedJobBlocksID},
		{"sent and acknowledged once", sentAndAcked},
		{"decided once", decide},
		{"filters and pages", jobPages},
	}
}

func (k *kit) job(id string) jobs.Job {
	k.Helper()
	j, err := k.Job(k.ctx, id)
	k.must(err)
	return j
}

var crashed = hooks.Report{
	hooks.FieldExecutablePath: "/usr/sbin/nginx", hooks.FieldPackage: "nginx", hooks.FieldSignal: "11",
	hooks.FieldFrames: "main\nserve\nwrite",
}

// with is a copy of a report with one more field.
func with(r hooks.Report, name, value string) hooks.Report {
	r = r.Clone()
	r[name] = value
	return r
}

func reportIdempotent(k *kit) {
	j := k.filed("p", crashed)
	same(k, k.job(j.ID), j)
	want := k.problem(j)
	k.advance(time.Minute)
	again := j
	again.CreatedAt, again.CompletedAt = k.clock(), k.clock()
	created, err := k.AddReport(k.ctx, again, k.problem(again))
	if err != nil || created {
		k.Errorf("the same report again: created %v, %v", created, err)
	}
	same(k, k.job(j.ID), j)
	p, err := k.Problem(k.ctx, j.ProblemID)
	k.must(err)
	same(k, p, want)
}

func reportConflict(k *kit) {
	j := k.filed("p", crashed)
	want := k.problem(j)
	changed, thief := j, j
	changed.Report = with(crashed, "More", "x")
	thief.PeerID = "q"
	hook := k.pending("p", "v", j.ID)
	hookID := j
	hookID.ID = hook.ID
	for name, other := range map[string]jobs.Job{"another report": changed, "another peer": thief, "a hook job's id": hookID} {
		created, err := k.AddReport(k.ctx, other, k.problem(other))
		if created || !errs.Is(err, errs.CodeConflict) {
			k.Errorf("%s under a taken id: created %v, %v", name, created, err)
		}
	}
	same(k, k.job(j.ID), j)
	same(k, k.job(hook.ID), hook)
	p, err := k.Problem(k.ctx, j.ProblemID)
	k.must(err)
	same(k, p, want)
	_, err = k.Job(k.ctx, k.id())
	k.refused(err, errs.CodeNotFound)
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

func problemPages(k *kit) {
	var want []string
	for i := range 9 {
		if i%3 != 0 { // some are seen in the same millisecond
			k.advance(time.Second)
		}
		r := hooks.Report{hooks.FieldExecutablePath: "/bin/" + strconv.Itoa(i), hooks.FieldSignal: "6"}
		want = append(want, k.filed("p", r).ProblemID)
	}
	problems := map[string]collector.Problem{}
	for _, id := range want {
		p, err := k.Problem(k.ctx, id)
		k.must(err)
		problems[id] = p
	}
	slices.SortFunc(want, func(a, b string) int {
		if d := problems[b].LastSeen.Compare(problems[a].LastSeen); d != 0 {
			return d
		}
		if a < b {
			return 1
		}
		return -1
	})
	id := func(p collector.Problem) string { return p.ID }
	cursor := func(p collector.Problem) string { return strconv.FormatInt(p.LastSeen.UnixMilli(), 10) + "/" + p.ID }
	pages(k, want, id, cursor, func(after string, limit int) ([]collector.Problem, error) { return k.Problems(k.ctx, after, limit) })
	for _, bad := range []string{"x", "12", "/", "1x/2"} {
		_, err := k.Problems(k.ctx, bad, 10)
		k.refused(err, errs.CodeBadInput)
	}
}

func hookJobs(k *kit) {
	original := k.filed("p", crashed)
	j := k.pending("p", "v", original.ID)
	same(k, k.job(j.ID), j)
	k.refused(k.AddHookJob(k.ctx, j), errs.CodeConflict)
	taken := k.hookJob("p", "v2", original.ID)
	taken.ID = original.ID
	k.refused(k.AddHookJob(k.ctx, taken), errs.CodeConflict)
	same(k, k.job(original.ID), original)
}

func slots(k *kit) {
	j := k.pending("p", "v", "original")
	k.refused(k.AddHookJob(k.ctx, k.hookJob("q", "v", "original")), errs.CodeAlreadyAsked)
	k.pending("q", "v", "other")
	k.pending("q", "v2", "original")
	decided, err := k.Decide(k.ctx, j.ID, k.failure(hooks.OutcomeDeferred))
	if err != nil || !decided {
		k.Fatalf("decide: %v, %v", decided, err)
	}
	same(k, k.job(j.ID).Slot, j.ID)
	second := k.pending("p", "v", "original") // free again after a failure
	_, err = k.Decide(k.ctx, second.ID, k.success(10))
	k.must(err)
	same(k, k.job(second.ID).Slot, second.Slot)
	k.refused(k.AddHookJob(k.ctx, k.hookJob("p", "v", "original")), errs.CodeAlreadyAsked) // never after a success
}

func peerCap(k *kit) {
	var first jobs.Job
	for i := range jobs.MaxHooksPerPeer {
		j := k.pending("p", "v", strconv.Itoa(i))
		if i == 0 {
			first = j
		}
	}
	k.refused(k.AddHookJob(k.ctx, k.hookJob("p", "v", "more")), errs.CodePeerBusy)
	k.pending("q", "v", "of another peer")
	k.filed("p", crashed) // reports do not count
	_, err := k.Decide(k.ctx, first.ID, k.failure(hooks.OutcomeFailed))
	k.must(err)
	k.pending("p", "v", "more")
	k.refused(k.AddHookJob(k.ctx, k.hookJob("p", "v", "and more")), errs.CodePeerBusy)
}

// What Recover does for a lease without a job: a stalled sender collides.
func failedJobBlocksID(k *kit) {
	for i := range jobs.MaxHooksPerPeer {
		k.pending("p", "v", strconv.Itoa(i))
	}
	stalled := k.hookJob("p", "v", "original")
	lost := stalled
	lost.Status, lost.Outcome, lost.FailedCode = jobs.Failed, hooks.OutcomeCancelled, string(errs.CodeLostLease)
	lost.CompletedAt, lost.Slot, lost.OriginalID = k.clock(), lost.ID, ""
	k.must(k.AddHookJob(k.ctx, lost)) // whatever else is pending
	same(k, k.job(lost.ID), lost)
	k.refused(k.AddHookJob(k.ctx, stalled), errs.CodeConflict)
	first, err := k.MarkSent(k.ctx, stalled.ID, k.clock())
	if err != nil || first {
		k.Errorf("a job that was lost is sent: %v, %v", first, err)
	}
}

func sentAndAcked(k *kit) {
	j := k.pending("p", "v", "original")
	j.SentAt = k.clock()
	for i := range 2 {
		first, err := k.MarkSent(k.ctx, j.ID, k.clock())
		if err != nil || first != (i == 0) {
			k.Errorf("sent number %d: first %v, %v", i+1, first, err)
		}
		k.advance(time.Second)
	}
	j.AckedAt = k.clock()
	for range 2 {
		k.must(k.MarkAcked(k.ctx, j.ID, k.clock()))
		k.advance(time.Second)
	}
	same(k, k.job(j.ID), j)
	_, err := k.MarkSent(k.ctx, "none", k.clock())
	k.refused(err, errs.CodeNotFound)
	k.refused(k.MarkAcked(k.ctx, "none", k.clock()), errs.CodeNotFound)
	late := k.pending("p", "v", "other")
	_, err = k.Decide(k.ctx, late.ID, k.failure(hooks.OutcomeTimedOut))
	k.must(err)
	if first, err := k.MarkSent(k.ctx, late.ID, k.clock()); err != nil || first {
		k.Errorf("a decided job is sent: %v, %v", first, err)
	}
	k.must(k.MarkAcked(k.ctx, late.ID, k.clock()))
	if got := k.job(late.ID); !got.SentAt.IsZero() || !got.AckedAt.IsZero() {
		k.Errorf("a decided job was stamped: %+v", got)
	}
}

func decide(k *kit) {
	j := k.pending("p", "v", "original")
	k.advance(time.Second)
	d := k.failure(hooks.OutcomeFailed)
	j.Status, j.Outcome, j.FailedCode, j.FailedText, j.HookError = d.Status, d.Outcome, d.Code, d.Text, d.HookError
	j.CompletedAt, j.Slot = d.At, j.ID
	for i := range 3 {
		ok, err := k.Decide(k.ctx, j.ID, d)
		if err != nil || ok != (i == 0) {
			k.Errorf("decision number %d: %v, %v", i+1, ok, err)
		}
		same(k, k.job(j.ID), j)
		d = k.success(10)
	}
	_, err := k.Decide(k.ctx, "none", d)
	k.refused(err, errs.CodeNotFound)
	report := k.filed("p", crashed)
	if ok, err := k.Decide(k.ctx, report.ID, k.failure(hooks.OutcomeFailed)); err != nil || ok {
		k.Errorf("a report was decided: %v, %v", ok, err)
	}
	open := k.pending("p", "v", "other")
	d.Status = jobs.Pending
	_, err = k.Decide(k.ctx, open.ID, d)
	k.refused(err, errs.CodeBadInput)
	same(k, k.job(open.ID), open)
}

func jobPages(k *kit) {
	all := k.mixedJobs()
	slices.Reverse(all) // newest first
	for _, f := range jobFilters(all[0].ProblemID) {
		var want []string
		for _, j := range all {
			if matches(f, j) {
				want = append(want, j.ID)
			}
		}
		id := func(j jobs.Job) string { return j.ID }
		pages(k, want, id, id, func(after string, limit int) ([]jobs.Job, error) {
			f.After, f.Limit = after, limit
			return k.Jobs(k.ctx, f)
		})
	}
	list, err := k.Jobs(k.ctx, jobs.Filter{Limit: 200})
	k.must(err)
	for i, want := range all {
		want.Report = nil // lists leave it out
		same(k, list[i], want)
	}
}

// mixedJobs stores reports and hook jobs of two peers in all statuses, and
// returns them as they are afterwards, oldest first.
func (k *kit) mixedJobs() []jobs.Job {
	k.Helper()
	var all []jobs.Job
	for i := range 24 {
		peer, version, original := string("pq"[i%2]), "v"+strconv.Itoa(i%3), strconv.Itoa(i%4)
		k.advance(time.Second)
		if i%5 == 0 {
			all = append(all, k.filed(peer, with(crashed, hooks.FieldSignal, strconv.Itoa(i%2))))
			continue
		}
		j := k.hookJob(peer, version, original)
		err := k.AddHookJob(k.ctx, j)
		if errs.Is(err, errs.CodeAlreadyAsked) || errs.Is(err, errs.CodePeerBusy) {
			continue
		}
		k.must(err)
		if i%4 != 0 {
			d := k.failure(hooks.OutcomeFailed)
			if i%2 == 0 {
				d = k.success(10)
			}
			_, err := k.Decide(k.ctx, j.ID, d)
			k.must(err)
		}
		all = append(all, k.job(j.ID))
	}
	return all
}

// jobFilters is every workload and status with each other member and several.
func jobFilters(problem string) []jobs.Filter {
	var all []jobs.Filter
	for _, w := range []jobs.Workload{"", jobs.WorkReport, jobs.WorkHook} {
		for _, s := range []jobs.Status{"", jobs.Pending, jobs.Succeeded, jobs.Failed} {
			for _, bits := range []int{0, 1, 2, 4, 8, 9, 15} {
				f := jobs.Filter{Workload: w, Status: s}
				set(&f.PeerID, "p", bits&1)
				set(&f.ProblemID, problem, bits&2)
				set(&f.Original, "1", bits&4)
				set(&f.Version, "v1", bits&8)
				all = append(all, f)
			}
		}
	}
	return all
}

func set(into *string, value string, when int) {
	if when != 0 {
		*into = value
	}
}

func matches(f jobs.Filter, j jobs.Job) bool {
	return (f.Workload == "" || f.Workload == j.Workload) && (f.Status == "" || f.Status == j.Status) &&
		(f.PeerID == "" || f.PeerID == j.PeerID) && (f.ProblemID == "" || f.ProblemID == j.ProblemID) &&
		(f.Original == "" || f.Original == j.OriginalID) && (f.Version == "" || f.Version == j.Version)
}
