package storetest

import (
	"slices"
	"strings"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// sound holds what a store shows, once a server has started on it, against
// what is true of every store at rest.
func (k *kit) sound(s snapshot) {
	k.Helper()
	k.soundVersions(s)
	k.soundLedgers(s)
	k.soundProblems(s)
	for _, e := range k.entries() {
		if e.Outcome == auth.OutcomeBegun {
			k.Errorf("the action of audit entry %+v has no end", e)
		}
	}
}

// soundVersions: at most one version of a hook is active, it alone is
// matched, and the list of hooks names the newest.
func (k *kit) soundVersions(s snapshot) {
	k.Helper()
	active, newest := map[string]string{}, map[string]int64{}
	for _, l := range s.Versions {
		hook := l.Version.Hook
		newest[hook] = max(newest[hook], l.Version.Number)
		if l.Activation == nil || l.Activation.State != hooks.StateActive {
			continue
		}
		if other := active[hook]; other != "" {
			k.Errorf("%s and %s of hook %s are active", other, l.Version.Digest, hook)
		}
		active[hook] = l.Version.Digest
		if !slices.Contains(s.Matched, l.Version.Digest) {
			k.Errorf("active version %s is not matched by its keys", l.Version.Digest)
		}
	}
	if len(s.Matched) != len(active) {
		k.Errorf("%v are matched, %v are active", s.Matched, active)
	}
	for hook, want := range newest {
		if n, err := k.LatestNumber(k.ctx, hook); err != nil || n != want {
			k.Errorf("the newest version of %s is said to be %d (%v), it is %d", hook, n, err, want)
		}
	}
}

// soundLedgers: a ledger counts its jobs, its leases are those of its pending
// jobs, and a result shows exactly where its job has brought one.
func (k *kit) soundLedgers(s snapshot) {
	k.Helper()
	want, reserved := map[string]*hooks.Ledger{}, map[string]int64{}
	var pending, out, brought, shown []string
	for _, j := range s.Jobs {
		if j.Workload != jobs.WorkHook {
			continue
		}
		l := want[j.Version]
		if l == nil {
			l = &hooks.Ledger{}
			want[j.Version] = l
		}
		l.Issued, l.Leased = l.Issued+1, l.Leased+1
		if j.Final() {
			l.Settle(j.Outcome, j.Bytes)
		} else {
			pending = append(pending, j.ID)
		}
		_, err := k.Result(k.ctx, j.ID)
		if err == nil {
			shown = append(shown, j.ID)
		} else {
			k.refused(err, errs.CodeNotFound)
		}
		if j.Outcome == hooks.OutcomeReceived {
			brought = append(brought, j.ID)
		}
	}
	for _, l := range s.Leases {
		out, reserved[l.Version] = append(out, l.ID), reserved[l.Version]+l.Reserved
	}
	for _, l := range s.Versions {
		if l.Activation == nil {
			continue
		}
		var sum hooks.Ledger
		if w := want[l.Version.Digest]; w != nil {
			sum = *w
		}
		sum.Reserved = reserved[l.Version.Digest]
		same(k, l.Activation.Ledger, sum)
		if err := l.Activation.Ledger.Check(l.Activation.Quantity, l.Activation.MaxBytes); err != nil {
			k.Error(err)
		}
	}
	slices.Sort(pending)
	same(k, out, pending)
	same(k, shown, brought)
	same(k, len(s.Results), len(brought))
}

// soundProblems: a problem counts the reports that are stored, first and last.
func (k *kit) soundProblems(s snapshot) {
	k.Helper()
	count := map[string]int64{}
	for _, j := range s.Jobs {
		if j.Workload == jobs.WorkReport {
			count[j.ProblemID]++
		}
	}
	for _, p := range s.Problems {
		if p.Reports != count[p.ID] {
			k.Errorf("problem %s counts %d reports, %d are stored", p.ID, p.Reports, count[p.ID])
		}
		if p.FirstSeen.After(p.LastSeen) || strings.TrimSpace(p.ID) == "" {
			k.Errorf("problem %+v", p)
		}
		delete(count, p.ID)
	}
	if len(count) > 0 {
		k.Errorf("reports of no problem: %v", count)
	}
}
