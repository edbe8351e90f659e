package collector_test

import (
	"testing"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
)

func TestExplainWhatThePeerSaid(t *testing.T) {
	w := newWorld(t)
	peer, v := w.peer(), w.activate(version{quantity: 1})
	j := w.asked(peer)
	for _, c := range []struct {
		step func()
		code string
		ok   bool
	}{
		{func() {}, "", false},
		{func() { w.ok(w.c.Acked(w.ctx, peer, j.ID)) }, "", false},
		{func() {
			_, err := w.c.Finish(w.ctx, peer, j.ID, collector.End{Outcome: hooks.OutcomeRefused, Code: "version-rollback", Reason: "it has run version 2"})
			w.ok(err)
		}, "version-rollback", false},
	} {
		c.step()
		e, err := w.c.Explain(w.ctx, j.OriginalID, v)
		w.ok(err)
		last := e.Checks[len(e.Checks)-1]
		if e.Code != c.code || e.HookJob != j.ID || last.Name != "answer" || last.OK != c.ok || last.Note != e.Verdict {
			t.Fatalf("explained %+v", e)
		}
		byHook, err := w.c.Explain(w.ctx, j.ID, "")
		w.ok(err)
		if byHook.Verdict != e.Verdict {
			t.Fatalf("by the hook job: %q", byHook.Verdict)
		}
	}
	_, err := w.c.Explain(w.ctx, newID(), v)
	w.wantCode(err, errs.CodeNotFound)
	_, err = w.c.Explain(w.ctx, j.OriginalID, hooks.Digest(nil))
	w.wantCode(err, errs.CodeNotFound)
	_, err = w.c.Explain(w.ctx, j.ID, hooks.Digest(nil))
	w.wantCode(err, errs.CodeBadInput)

	approved, _ := w.approve(version{hook: "never"}.withDefaults())
	e, err := w.c.Explain(w.ctx, j.OriginalID, approved)
	w.ok(err)
	if e.Code != string(errs.CodeHookNotActive) || e.Checks[0].OK {
		t.Fatalf("explained %+v", e)
	}
}
