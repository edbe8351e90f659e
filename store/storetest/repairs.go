package storetest

import (
	"slices"
	"strconv"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/jobs"
)

func repairTests() []test {
	return []test{
		{"leases that are out", leases},
		{"overdue jobs", overdue},
		{"active activations past their deadline", activePast},
		{"unacknowledged jobs of a peer", unacked},
		{"matching originals of a peer", originals},
	}
}

func leases(k *kit) {
	a := k.active("taint", 20)
	var all []jobs.Job
	var want []string
	for range 7 {
		j := k.taken(a.Digest)
		all, want = append(all, j), append(want, j.ID)
	}
	k.must(k.Reserve(k.ctx, a.Digest, want[0], 10))
	first, err := k.Leases(k.ctx, "", 1)
	k.must(err)
	same(k, first, []collector.Lease{{ID: want[0], Version: a.Digest, Reserved: 10, TakenAt: k.clock()}})
	k.settled(all[3], hooks.OutcomeEmpty, 0)
	id := func(l collector.Lease) string { return l.ID }
	pages(k, slices.Delete(want, 3, 4), id, id, func(after string, limit int) ([]collector.Lease, error) { return k.Leases(k.ctx, after, limit) })
}

// The deadline itself is too late, as in jobs.Job.Overdue.
func overdue(k *kit) {
	var want []string
	for i := range 12 {
		j := k.next(k.on("v"))
		j.Deadline = k.clock().Add(time.Duration(i%3-1) * time.Millisecond)
		k.must(k.lease(j))
		if i >= 9 {
			k.settled(j, hooks.OutcomeFailed, 0)
		} else if j.Overdue(k.clock()) {
			want = append(want, j.ID)
		}
	}
	k.filed("p", crashed) // has no deadline
	id := func(j jobs.Job) string { return j.ID }
	pages(k, want, id, id, func(after string, limit int) ([]jobs.Job, error) { return k.Overdue(k.ctx, k.clock(), after, limit) })
}

func activePast(k *kit) {
	var deadlines []time.Time
	for i := range 4 {
		a := k.active("hook"+strconv.Itoa(i), 3)
		deadlines = append(deadlines, a.Deadline)
		k.advance(time.Minute)
	}
	_, err := k.ChangeState(k.ctx, "hook0-1", hooks.StateActive, hooks.StateExpired, "deadline", k.clock())
	k.must(err)
	for i, want := range [][]string{nil, {"hook1-1"}, {"hook1-1", "hook2-1"}} {
		var got []string
		list, err := k.ActivePast(k.ctx, deadlines[i], 10)
		k.must(err)
		for _, a := range list {
			got = append(got, a.Digest)
		}
		same(k, got, want)
	}
	if list, err := k.ActivePast(k.ctx, deadlines[3], 2); err != nil || len(list) != 2 {
		k.Errorf("%d of a page of 2, %v", len(list), err)
	}
}

func unacked(k *kit) {
	var all []jobs.Job
	for i := range 3 {
		all = append(all, k.pending("p", "v", strconv.Itoa(i)))
	}
	k.pending("q", "v", "other peer")
	sent := k.pending("p", "v", "sent")
	_, err := k.MarkSent(k.ctx, sent.ID, k.clock())
	k.must(err)
	k.settled(all[1], hooks.OutcomeTimedOut, 0)
	acked := k.pending("p", "v", "acknowledged")
	k.must(k.MarkAcked(k.ctx, []collector.Ack{{JobID: acked.ID, At: k.clock()}}))
	list, err := k.Unacked(k.ctx, "p", 10)
	k.must(err)
	var got []string
	for _, j := range list {
		got = append(got, j.ID)
	}
	same(k, got, []string{all[0].ID, all[2].ID, sent.ID})
	if list, err := k.Unacked(k.ctx, "p", 1); err != nil || len(list) != 1 || list[0].ID != all[0].ID {
		k.Errorf("the oldest unacknowledged job: %v, %v", list, err)
	}
}

func originals(k *kit) {
	var nginx, other []jobs.Job
	for i := range 5 {
		nginx = append(nginx, k.filed("p", with(crashed, hooks.FieldDate, strconv.Itoa(i))))
		k.filed("q", with(crashed, hooks.FieldDate, strconv.Itoa(i)))
		other = append(other, k.filed("p", hooks.Report{hooks.FieldExecutablePath: "/bin/x", hooks.FieldDate: strconv.Itoa(i)}))
	}
	slices.Reverse(nginx)
	slices.Reverse(other)
	key, pkg, otherKey := "fp:"+nginx[0].Fingerprint, "pkg:nginx", "fp:"+other[0].Fingerprint
	for name, c := range map[string]struct {
		keys  []string
		limit int
		want  []jobs.Job
	}{
		"no key":            {nil, 10, nil},
		"no match":          {[]string{"fp:none", "pkg:none"}, 10, nil},
		"fingerprint":       {[]string{key}, 10, nginx},
		"package":           {[]string{pkg}, 10, nginx},
		"both, each once":   {[]string{key, pkg, key}, 10, nginx},
		"newest of a key":   {[]string{key}, 2, nginx[:2]},
		"newest of several": {[]string{otherKey, key, pkg}, 3, []jobs.Job{other[0], nginx[0], other[1]}},
	} {
		got, err := k.Originals(k.ctx, "p", c.keys, c.limit)
		if err != nil {
			k.Errorf("%s: %v", name, err)
		}
		k.Log(name)
		same(k, got, c.want)
	}
}
