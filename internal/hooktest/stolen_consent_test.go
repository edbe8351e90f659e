package hooktest_test

import (
	"slices"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
)

// The owner's yes is to one run of one version over one report, and the signed
// number of runs holds however many jobs come at once.
func stolenConsent(t *testing.T, h *heist, m *target) {
	before := len(ran(m.records(t)))
	_, err := m.Do(t.Context(), "allow", "--hooks=ask")
	must(t, err)
	refused := func(run *jobpb.HookRun, code errs.Code) {
		t.Helper()
		id, e := m.run(t, run)
		if e.code != string(code) {
			t.Errorf("ended %+v, want %s", e, code)
		}
		refusedIn(t, m.records(t), id, code)
	}
	refused(h.stolen(m.original), errs.CodeWaitsForOwner)
	m.saysYes(t)
	refused(h.signed(t, m.original, canary, nil, h.everybody()...), errs.CodeWaitsForOwner)
	swapped := h.stolen(m.original)
	swapped.Script = []byte(canary)
	refused(swapped, errs.CodeScriptDigest)
	id, e := m.run(t, h.stolen(m.original))
	if e.outcome != string(hooks.OutcomeReceived) {
		t.Errorf("what the owner said yes to ended %+v", e)
	}
	refused(h.stolen(m.original), errs.CodeWaitsForOwner)
	_, err = m.Do(t.Context(), "allow", "--hooks=yes")
	must(t, err)
	m.nothingElseRan(t, before, id, m.once(t, h))
}

// saysYes says yes to the one run that waits.
func (m *target) saysYes(t *testing.T) {
	t.Helper()
	out, err := m.Do(t.Context(), "pending")
	must(t, err)
	waiting := strings.Fields(out)
	if len(waiting) == 0 || strings.Count(out, m.original) != 1 {
		t.Fatalf("what waits is not the one run: %q", out)
	}
	_, err = m.Do(t.Context(), "allow-once", waiting[0])
	must(t, err)
}

// once sends a hook eight times at once that may run once, and returns the job
// that ran.
func (m *target) once(t *testing.T, h *heist) (job string) {
	t.Helper()
	run := h.signed(t, m.original, taintScript, func(p *hooks.Predicate) { p.Hook, p.MaxRunsPerPeer = "once", 1 }, h.everybody()...)
	var ids []string
	for range 8 {
		ids = append(ids, m.send(t, run))
	}
	for _, id := range ids {
		e := m.await(t, id)
		switch {
		case e.outcome == string(hooks.OutcomeReceived) && job == "":
			job = id
		case !slices.Contains([]string{string(errs.CodeRunLimit), string(errs.CodePeerBusy)}, e.code):
			t.Errorf("one of eight at once ended %+v", e)
		}
	}
	return job
}
