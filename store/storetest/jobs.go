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
		{"hook jobs", hookJobs},
		{"one open job for a version and an original", slots},
		{"pending jobs of a peer are capped", peerCap},
		{"a failed job blocks its id", failedJobBlocksID},
		{"sent and acknowledged once", sentAndAcked},
		{"settled once", settleOnce},
		{"filters and pages", jobPages},
		{"spans of time and orders", jobSpans},
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

func hookJobs(k *kit) {
	original := k.filed("p", crashed)
	j := k.pending("p", "v", original.ID)
	same(k, k.job(j.ID), j)
	leases, err := k.Leases(k.ctx, "", 10)
	k.must(err)
	same(k, leases, []collector.Lease{{ID: j.ID, Version: j.Version, TakenAt: k.clock()}})
}

func slots(k *kit) {
	j := k.pending("p", "v", "original")
	k.refused(k.lease(k.hookJob("q", j.Version, "original")), errs.CodeAlreadyAsked)
	k.pending("q", "v", "other")
	k.pending("q", "v2", "original")
	k.settled(j, hooks.OutcomeDeferred, 0)
	same(k, k.job(j.ID).Slot, j.ID)
	second := k.pending("p", "v", "original") // free again after a failure
	k.settled(second, hooks.OutcomeReceived, 10)
	same(k, k.job(second.ID).Slot, second.Slot)
	k.refused(k.lease(k.hookJob("p", j.Version, "original")), errs.CodeAlreadyAsked) // never after a success
}

func peerCap(k *kit) {
	var first jobs.Job
	for i := range jobs.MaxHooksPerPeer {
		j := k.pending("p", "v", strconv.Itoa(i))
		if i == 0 {
			first = j
		}
	}
	k.refused(k.lease(k.hookJob("p", first.Version, "more")), errs.CodePeerBusy)
	k.pending("q", "v", "of another peer")
	k.filed("p", crashed) // reports do not count
	k.settled(first, hooks.OutcomeFailed, 0)
	k.pending("p", "v", "more")
	k.refused(k.lease(k.hookJob("p", first.Version, "and more")), errs.CodePeerBusy)
}

// What recovery does for a lease without a job: a stalled sender collides.
func failedJobBlocksID(k *kit) {
	for i := range jobs.MaxHooksPerPeer {
		k.pending("p", "v", strconv.Itoa(i))
	}
	stalled := k.hookJob("p", k.on("v"), "original")
	lost := k.lost(stalled)
	k.must(k.LeaseSteps(stalled, k.clock())[0](k.ctx)) // its sender comes no further
	want := k.ledger(stalled.Version)
	s, err := k.RecoverLease(k.ctx, lost, k.clock()) // whatever else is pending
	if err != nil || !s.OK {
		k.Errorf("a lease without a job was not settled: %v, %v", s.OK, err)
	}
	same(k, k.job(lost.ID), lost)
	k.settled(k.pending("q", "v", "another"), hooks.OutcomeEmpty, 0)
	k.refused(k.lease(stalled), errs.CodeConflict)
	want.Issued, want.Leased, want.Cancelled, want.Empty = want.Issued+1, want.Leased-1, 1, 1
	same(k, k.ledger(stalled.Version), want)
	first, err := k.MarkSent(k.ctx, stalled.ID, k.clock())
	if err != nil || first {
		k.Errorf("a job that was lost is sent: %v, %v", first, err)
	}
	stalled = k.hookJob("q", stalled.Version, "never stored")
	_, err = k.RecoverLease(k.ctx, stalled, k.clock())
	k.refused(err, errs.CodeBadInput) // it has not failed
}

// lost is what a server stores for a lease whose job it does not find.
func (k *kit) lost(j jobs.Job) jobs.Job {
	j.PeerID, j.Status, j.Outcome, j.FailedCode = "", jobs.Failed, hooks.OutcomeCancelled, string(errs.CodeLostLease)
	j.CompletedAt, j.Slot, j.OriginalID = k.clock(), j.ID, ""
	return j
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
	report := k.filed("p", crashed)
	late := k.pending("p", "v", "other")
	k.settled(late, hooks.OutcomeTimedOut, 0)
	j.AckedAt = k.clock()
	for range 2 {
		at := k.clock()
		k.must(k.MarkAcked(k.ctx, []collector.Ack{{JobID: report.ID, At: at}, {JobID: "none", At: at}, {JobID: late.ID, At: at}, {JobID: j.ID, At: at}}))
		k.advance(time.Second)
	}
	k.must(k.MarkAcked(k.ctx, nil))
	same(k, k.job(j.ID), j)
	same(k, k.job(report.ID), report)
	if got := k.job(late.ID); !got.AckedAt.Equal(j.AckedAt) {
		k.Errorf("an answer overtook its acknowledgement: %+v", got)
	}
	for _, id := range []string{"none", report.ID} {
		_, err := k.MarkSent(k.ctx, id, k.clock())
		k.refused(err, errs.CodeNotFound)
	}
	if first, err := k.MarkSent(k.ctx, late.ID, k.clock()); err != nil || first || !k.job(late.ID).SentAt.IsZero() {
		k.Errorf("a decided job is sent: %v, %v", first, err)
	}
}

func settleOnce(k *kit) {
	j := k.pending("p", "v", "original")
	k.advance(time.Second)
	d, at := k.decision(hooks.OutcomeFailed), k.clock()
	j.Status, j.Outcome, j.FailedCode, j.FailedText, j.HookError = d.Status, d.Outcome, d.Code, d.Text, d.HookError
	j.CompletedAt, j.Slot = at, j.ID
	want := hooks.Ledger{Issued: 1, Failed: 1}
	for i, o := range []hooks.Outcome{hooks.OutcomeFailed, hooks.OutcomeFailed, hooks.OutcomeReceived, hooks.OutcomeEmpty} {
		s, err := k.settle(j, o, 10)
		if err != nil || s.OK != (i == 0) {
			k.Errorf("decision number %d: %v, %v", i+1, s.OK, err)
		}
		same(k, s.Job, j)
		same(k, s.Activation.Digest, j.Version)
		same(k, s.Activation.Ledger, want)
		same(k, k.job(j.ID), j)
		same(k, k.ledger(j.Version), want)
		k.advance(time.Second)
	}
	report, open := k.filed("p", crashed), k.pending("p", "v", "other")
	for _, id := range []string{"none", report.ID} {
		_, err := k.Settle(k.ctx, id, d, nil, at)
		k.refused(err, errs.CodeNotFound)
	}
	for _, status := range []jobs.Status{jobs.Pending, "", "nonsense"} {
		d.Status = status
		_, err := k.Settle(k.ctx, open.ID, d, nil, at)
		k.refused(err, errs.CodeBadInput)
	}
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

func jobSpans(k *kit) {
	all := k.mixedJobs()
	id := func(j jobs.Job) string { return j.ID }
	for _, f := range []jobs.Filter{
		{},
		{PeerID: "p"},
		{ProblemID: all[0].ProblemID},
		{Original: "1"},
		{Version: "v1-1"},
		{Workload: jobs.WorkHook},
		{Status: jobs.Failed},
		{PeerID: "p", Workload: jobs.WorkHook, Status: jobs.Succeeded},
		{Workload: jobs.WorkHook, Status: jobs.Succeeded},
	} {
		for _, s := range spansAround(all[4].CreatedAt, all[13].CreatedAt)[1:] {
			f.From, f.Until, f.Oldest = s.from, s.until, s.oldest
			want := among(s, all, func(j jobs.Job) (string, time.Time, bool) { return j.ID, j.CreatedAt, matches(f, j) })
			pagesOf(k, s.sizes(), want, id, id, func(after string, limit int) ([]jobs.Job, error) {
				f.After, f.Limit = after, limit
				return k.Jobs(k.ctx, f)
			})
		}
	}
}

// mixedJobs stores reports and hook jobs of two peers in all statuses, and
// returns them as they are afterwards, oldest first.
func (k *kit) mixedJobs() []jobs.Job {
	k.Helper()
	var all []jobs.Job
	for i := range 24 {
		peer, version, original := string("pq"[i%2]), k.on("v"+strconv.Itoa(i%3)), strconv.Itoa(i%4)
		k.advance(time.Second)
		if i%5 == 0 {
			all = append(all, k.filed(peer, with(crashed, hooks.FieldSignal, strconv.Itoa(i%2))))
			continue
		}
		j := k.hookJob(peer, version, original)
		err := k.lease(j)
		if errs.Is(err, errs.CodeAlreadyAsked) || errs.Is(err, errs.CodePeerBusy) {
			continue
		}
		k.must(err)
		switch {
		case i%4 == 0:
		case i%2 == 0:
			k.settled(j, hooks.OutcomeReceived, 10)
		default:
			k.settled(j, hooks.OutcomeFailed, 0)
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
				set(&f.Version, "v1-1", bits&8)
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
