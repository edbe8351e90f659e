package hooktest_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
)

// power is what a thief still can do, what bounds it, and the test that shows
// it. docs/stolen-server.md lists them.
type power struct{ can, bound, shown string }

func powers() []power {
	return []power{
		{
			"read every report and result that is on the server or comes to it", "redaction on the machines; what people signed a hook to bring; nothing is sealed to a reader yet",
			"loot, powers",
		},
		{
			"see which machines there are, their names, systems and settings", "a machine says no more of itself than in its hello", "powers",
		},
		{
			"withhold: take reports and results and lose them, send no jobs, turn machines away", "the machine's own copies of reports stay", "powers",
		},
		{
			"invent reports and results in its own database", "nothing of it comes from a machine's key or record; people who read it there cannot tell yet", "powers",
		},
		{
			"run a version that people fully signed, on machines that filed a matching report and whose owners allow hooks",
			"inside the signed window and share, at most `max_runs_per_peer` times on each machine, for ever, and under the owner's ceilings; quantity, rate and a disabled state are the server's own and bind no thief",
			"hooks",
		},
		{
			"stop runs that it asked for, and use up the runs of a version that way", "at most the signed runs; the record has each", "powers",
		},
		{
			"fill a machine's record with refusals, until its oldest lines fall out", "1,000 of a kind, then one line an hour and sums by code, into some 128 MiB: most of a year; the first line that is left has a number", "hooks, where each try is a line",
		},
		{
			"hide a revocation or a newer policy", "until the timestamp that the machine has runs out, 7 days after `hookline trust freshen` if nothing else was said and 14 at most; then no hook runs", "freeze",
		},
		{
			"go on hiding it where somebody freshens who hears of revocations from this server alone, or with a stolen freshen key",
			"until it is revoked with `--dir` in the folder that is freshened, or the timer is stopped; 365 days, the life of the revocations, at the latest. A stolen freshen key makes nothing fresh for machines that have heard of a root without it",
			"freeze, metadata",
		},
		{
			"take in machines that enrol, with a real enroll line", "they believe the line's root, as all do: the thief gives them nothing to run but what people signed", "enrolment",
		},
	}
}

// What the thief can do, it can do: the page says no less.
func stolenPowers(t *testing.T, h *heist, m *target) {
	before := len(ran(m.records(t)))
	m.takesAndLoses(t, h)
	m.mu.Lock()
	hello := m.hello
	m.mu.Unlock()
	if hello.GetState().GetFacts().GetKernel() == "" || hello.GetState().GetAllowHooks() != "yes" {
		t.Errorf("the hello tells %v", hello)
	}
	h.invents(t)
	run := h.signed(t, m.original, busy, func(p *hooks.Predicate) { p.Hook, p.MaxRuntimeMS, p.MaxRunsPerPeer = "busy", 10_000, 1 }, h.everybody()...)
	id := m.send(t, run)
	eventually(t, patience, func() error {
		if !slices.Contains(ran(m.records(t)), id) {
			return errors.New("the hook does not run yet")
		}
		return nil
	})
	m.say(t, cancels(id))
	if e := m.await(t, id); e.code != string(errs.CodeRunCancelled) {
		t.Errorf("the cancelled run ended %+v", e)
	}
	if _, e := m.run(t, run); e.code != string(errs.CodeRunLimit) {
		t.Errorf("after the one signed run was used up, the hook ended %+v", e)
	}
	m.nothingElseRan(t, before, id)
}

// takesAndLoses: the machine believes that a report is stored when the server
// says so.
func (m *target) takesAndLoses(t *testing.T, h *heist) {
	t.Helper()
	id, err := file(t.Context(), h.d, m.Peer, "lost")
	must(t, err)
	eventually(t, patience, func() error {
		if m.report(id) == nil {
			return errors.New("the report has not come")
		}
		return nil
	})
	nothingWaits(t, m.Peer)
	if _, err := os.Stat(filepath.Join(m.State(), "guard", "reports", id+".json")); err != nil {
		t.Errorf("the own copy is gone: %v", err)
	}
}

// invents writes a result into the stolen database.
func (h *heist) invents(t *testing.T) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.d.Path("loot", "hookline.db"))
	must(t, err)
	defer db.Close()
	changed, err := db.ExecContext(t.Context(), "UPDATE hook_results SET fields = ?", []byte(`{"Tainted":"INVENTED"}`))
	must(t, err)
	if n, err := changed.RowsAffected(); err != nil || n == 0 {
		t.Errorf("%d results were changed: %v", n, err)
	}
	for _, fields := range column(t, db, "SELECT fields FROM hook_results") {
		if string(fields) != `{"Tainted":"INVENTED"}` {
			t.Errorf("a result is %s", fields)
		}
	}
}
