package hooktest_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
)

// The real server's folder in a thief's hands: whatever the thief's own server
// says to real machines, they run nothing that people did not sign. Each try
// has its refusal in the machine's own record; docs/stolen-server.md lists
// them.
func TestStolenServer(t *testing.T) {
	h := foundHeist(t)
	dir := hookFolder(t, h.d, "taint", taintScript, 50)
	change(t, filepath.Join(dir, "hook.yaml"), "max_runs_per_peer: 1000", "max_runs_per_peer: 4")
	live(t, h.d, dir, 50)
	plays := []struct {
		name string
		play func(t *testing.T, h *heist, m *target)
	}{
		{"hooks", stolenHooks},
		{"metadata", stolenMetadata},
		{"freeze", stolenFreeze},
		{"revocation", stolenRevocation},
		{"frames", stolenFrames},
		{"powers", stolenPowers},
		{"consent", stolenConsent},
	}
	side := h.enrol(t, "side")
	targets := []*target{side}
	for _, p := range plays {
		targets = append(targets, h.enrol(t, p.name))
	}
	for _, m := range targets {
		_, err := h.d.AwaitResult(t.Context(), "alice", m.original)
		must(t, err)
	}
	h.steal(t, targets...)
	t.Run("loot", func(t *testing.T) { stolenLoot(t, h, targets) })
	t.Run("peers", func(t *testing.T) {
		for i, p := range plays {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				p.play(t, h, targets[i+1])
			})
		}
		t.Run("network side", func(t *testing.T) {
			t.Parallel()
			stolenNetworkSide(t, h, side)
		})
		t.Run("enrolment", func(t *testing.T) {
			t.Parallel()
			stolenEnrolment(t, h)
		})
	})
}

// What the thief holds: reports and results in clear, and nothing that signs.
func stolenLoot(t *testing.T, h *heist, targets []*target) {
	for _, m := range targets {
		if !strings.Contains(string(h.loot.reports[m.original]), `"Mark":"`+m.Name+`"`) {
			t.Errorf("the report of %s is not in the loot: %s", m.Name, h.loot.reports[m.original])
		}
	}
	if len(h.loot.results) != len(targets) || !strings.Contains(string(h.loot.results[0]), "Tainted") {
		t.Errorf("the loot has the results %s", h.loot.results)
	}
}

// Every job of the tables is refused, and says so in the machine's record.
func stolenHooks(t *testing.T, h *heist, m *target) {
	before := len(ran(m.records(t)))
	jobs := map[string]string{}
	for _, try := range hookTries() {
		id, e := m.run(t, try.run(t, h, m))
		jobs[try.does] = id
		if e.outcome != string(hooks.OutcomeRefused) || e.code != string(try.code) {
			t.Errorf("%s: ended %s %s, want a refusal with %s", try.does, e.outcome, e.code, try.code)
		}
	}
	all := m.records(t)
	for _, try := range hookTries() {
		t.Run(try.does, func(t *testing.T) { refusedIn(t, all, jobs[try.does], try.code) })
	}
	m.nothingElseRan(t, before)
	notOptedIn(t, h, m)
	replays(t, h, m, before)
}

// notOptedIn: a no of the owner holds whatever people signed, and what waits
// for a yes does not run.
func notOptedIn(t *testing.T, h *heist, m *target) {
	t.Helper()
	for answer, code := range map[string]errs.Code{"no": errs.CodeNotOptedIn, "ask": errs.CodeWaitsForOwner} {
		_, err := m.Do(t.Context(), "allow", "--hooks="+answer)
		must(t, err)
		id, e := m.run(t, h.stolen(m.original))
		if e.code != string(code) {
			t.Errorf("with --hooks=%s the hook ended %+v, want %s", answer, e, code)
		}
		refusedIn(t, m.records(t), id, code)
	}
	_, err := m.Do(t.Context(), "allow", "--hooks=yes")
	must(t, err)
}

// replays runs the real hook as often as was signed, and no more; a newer
// version ends the older one.
func replays(t *testing.T, h *heist, m *target, before int) {
	t.Helper()
	var jobs []string
	most := h.loot.predicate(t).MaxRunsPerPeer
	for range most - int64(before) {
		id, e := m.run(t, h.stolen(m.original))
		if e.outcome != string(hooks.OutcomeReceived) || fieldsOf(t, e)["Tainted"] == nil {
			t.Fatalf("the real hook ended %+v, want its result", e)
		}
		jobs = append(jobs, id)
	}
	spent := func(code errs.Code) {
		t.Helper()
		id, e := m.run(t, h.stolen(m.original))
		if e.code != string(code) {
			t.Errorf("ended %+v, want %s", e, code)
		}
		refusedIn(t, m.records(t), id, code)
	}
	spent(errs.CodeRunLimit)
	again(t, h, m, jobs[0])
	m.Kill()
	streams := m.opened()
	must(t, m.Start(t.Context()))
	m.reconnects(t, streams)
	spent(errs.CodeRunLimit)
	real := h.loot.predicate(t)
	id, e := m.run(t, h.signed(t, m.original, taintScript, func(p *hooks.Predicate) { p.Hook, p.Version = real.Hook, real.Version+1 }, h.everybody()...))
	if e.outcome != string(hooks.OutcomeReceived) {
		t.Errorf("the next version ended %+v", e)
	}
	spent(errs.CodeVersionRollback)
	m.late(t, h)
	m.nothingElseRan(t, before, append(jobs, id)...)
}

// again sends a job under the id of one that ended: there is no second run,
// and no second decision.
func again(t *testing.T, h *heist, m *target, job string) {
	t.Helper()
	m.say(t, jobMessage(job, h.stolen(m.original)))
	marker, _ := m.run(t, h.stolen(m.original)) // the stream keeps the order: the other was taken before
	all := m.records(t)
	decisions := slices.DeleteFunc(slices.Clone(all), func(l recorded) bool { return l.Kind != "decision" || l.JobID != job })
	if len(decisions) != 1 {
		t.Errorf("the id of a job that ended was decided about %d times", len(decisions))
	}
	refusedIn(t, all, marker, errs.CodeRunLimit)
	// A job under the id of the report itself takes nothing away from it.
	m.say(t, jobMessage(m.original, h.stolen(m.original)))
	if e := m.await(t, m.original); e.code != string(errs.CodeRunLimit) {
		t.Errorf("a job with the report's own id ended %+v", e)
	}
}

// late sends a job whose deadline has passed: a hook of its own name, which
// nothing else would refuse.
func (m *target) late(t *testing.T, h *heist) {
	t.Helper()
	id := newID(t)
	m.say(t, jobFor(id, h.signed(t, m.original, canary, nil, h.everybody()...), 0))
	if e := m.await(t, id); e.code != string(errs.CodeJobDeadline) {
		t.Errorf("a job of yesterday ended %+v", e)
	}
	refusedIn(t, m.records(t), id, errs.CodeJobDeadline)
}
