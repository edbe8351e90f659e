package guard

import (
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/signing"
	"hookline/signing/trust/keeper"
)

const otherDeployment = "d-ffeeddccbbaa99887766554433221100"

// lived is a guard with something to forget: a run, an older version that may
// not run, a revocation, a question that waits and trusted time.
func lived(t *testing.T) *kit {
	t.Helper()
	k := newKit(t)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	if end := s.end(k.run(original, version(2))); end.Code != "" {
		t.Fatal(end.Reason)
	}
	owner(t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(HooksAsk)})
	s.end(k.run(original, version(3)))
	k.revoke(signing.RevokeHook, "other")
	k.clock.advance(time.Hour)
	k.freshen()
	s.hears(g, k)
	k.ok(g.Close())
	return k
}

// forgets tells what a guard has forgotten of what lived left.
func forgets(t *testing.T, k *kit) []string {
	t.Helper()
	g := k.open()
	defer func() { k.ok(g.Close()) }()
	var out []string
	for what, kept := range map[string]bool{
		"counts":      len(g.ledger.now.Versions) == 1,
		"highest":     g.ledger.now.Highest["answer"] == 2,
		"revocations": g.trusted.Revoked().Len() == 1,
		"remembered":  len(g.remembered.of(deployment).List) == 1,
		"question":    len(g.ledger.now.Pending) == 1,
		"floor":       !g.floor().Before(start.Add(2 * time.Hour)),
		"version":     g.trusted.RevocationsVersion() >= 2,
		"root":        g.pin.Anchor == k.enrolment().Anchor,
	} {
		if !kept {
			out = append(out, what)
		}
	}
	return out
}

// An enrolment of the same root goes on: nothing is forgotten, however old
// what the server brings is.
func TestEnrollAgain(t *testing.T) {
	k := lived(t)
	e := k.enrolment()
	k.ok(Enroll(k.dir, e))
	if lost := forgets(t, k); lost != nil {
		t.Errorf("forgotten: %v", lost)
	}
	k.clock.advance(time.Minute)
	k.freshen()
	k.ok(Enroll(k.dir, k.enrolment()))
	k.ok(Enroll(k.dir, func() Enrolment { e := k.enrolment(); e.Replace = true; return e }()))
	if lost := forgets(t, k); lost != nil {
		t.Errorf("forgotten with newer metadata: %v", lost)
	}
	wantCode(t, Enroll(k.dir, e), errs.CodeTrustRollback)
	e.Replace = true
	wantCode(t, Enroll(k.dir, e), errs.CodeTrustRollback)
	if lost := forgets(t, k); lost != nil {
		t.Errorf("forgotten with older metadata: %v", lost)
	}
}

// The root has gone on since: a line that names the newest one is of the same.
func TestEnrollAgainAfterRotation(t *testing.T) {
	k := lived(t)
	first := k.enrolment().Anchor
	k.ok(k.people().Rotate(keeper.Rotation{RootThreshold: 4}))
	k.changed()
	e := k.enrolment()
	if e.Anchor == first {
		t.Fatal("the root is the same")
	}
	k.ok(Enroll(k.dir, e))
	g := k.open()
	if g.pin.Anchor != first || g.ledger.now.Highest["answer"] != 2 || noteOf(g.trusted, 0).Root != 2 {
		t.Errorf("pinned %+v, root version %d", g.pin.Anchor, noteOf(g.trusted, 0).Root)
	}
}

// Another root is refused and that is recorded; with Replace it is recorded
// with both, and what people revoked in the deployment stays revoked.
func TestEnrollAnotherRoot(t *testing.T) {
	for _, tc := range []struct {
		name, deployment string
		lost             []string
	}{
		{"of the same deployment", deployment, []string{"question", "floor", "version", "root"}},
		{"of another deployment", otherDeployment, []string{"question", "floor", "version", "root", "revocations"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := lived(t)
			k.clock.advance(-90 * time.Minute)
			before := k.enrolment().Anchor
			e := k.enrolmentIn(k.strangers(tc.deployment))
			wantCode(t, Enroll(k.dir, e), errs.CodeTrustRoot)
			if lost := forgets(t, k); lost != nil {
				t.Fatalf("a refused enrolment: forgotten: %v", lost)
			}
			g := k.open()
			refused := lastEntry(t, g, KindEnrolled)
			k.ok(g.Close())
			if refused.Decision != "refused" || refused.Code != string(errs.CodeTrustRoot) || !strings.Contains(refused.Reason, e.Anchor.RootDigest) {
				t.Errorf("in the record: %+v", refused)
			}
			e.Replace = true
			k.ok(Enroll(k.dir, e))
			lost := map[string]bool{}
			for _, what := range forgets(t, k) {
				lost[what] = true
			}
			for _, what := range tc.lost {
				if !lost[what] {
					t.Errorf("kept: %s", what)
				}
				delete(lost, what)
			}
			if len(lost) > 0 {
				t.Errorf("forgotten: %v", lost)
			}
			g = k.open()
			entry := lastEntry(t, g, KindEnrolled)
			k.ok(g.Close())
			if entry.Decision != "replaced" || !strings.Contains(entry.Reason, e.Anchor.RootDigest) || !strings.Contains(entry.Reason, before.RootDigest) {
				t.Errorf("in the record: %+v", entry)
			}
			// And back: what was revoked there is revoked.
			k.clock.advance(90 * time.Minute)
			back := k.enrolment()
			back.Replace = true
			k.ok(Enroll(k.dir, back))
			if lost := forgets(t, k); len(lost) != 1 || lost[0] != "question" {
				t.Errorf("back again: forgotten: %v", lost)
			}
		})
	}
}

// Another deployment is refused before a server is asked.
func TestCheckEnrolment(t *testing.T) {
	k := newKit(t)
	other := k.enrolment().Anchor
	other.Deployment = otherDeployment
	k.ok(CheckEnrolment(k.dir, other, false, k.clock.Now)) // nothing is pinned
	g := k.enroll().open()
	wantCode(t, CheckEnrolment(k.dir, other, false, k.clock.Now), errs.CodeStateHeld)
	k.ok(g.Close())
	wantCode(t, CheckEnrolment(k.dir, other, false, k.clock.Now), errs.CodeTrustRoot)
	k.ok(CheckEnrolment(k.dir, other, true, k.clock.Now))
	k.ok(CheckEnrolment(k.dir, k.enrolment().Anchor, false, k.clock.Now))
	if e := lastEntry(t, k.open(), KindEnrolled); e.Decision != "refused" {
		t.Errorf("in the record: %+v", e)
	}
}

// A metadata file that is lost comes back from the pinned root only.
func TestEnrollOverLostMetadata(t *testing.T) {
	k := lived(t)
	k.ok(removeSynced(k.dir, trustFile))
	wantCode(t, Enroll(k.dir, k.enrolmentIn(k.strangers(deployment))), errs.CodeTrustRoot)
	k.ok(Enroll(k.dir, k.enrolment()))
	if lost := forgets(t, k); lost != nil {
		t.Errorf("forgotten: %v", lost)
	}
}

// A crash in the middle of a replacement leaves a guard that does not start,
// and an enrolment that goes on from there; revocations are kept throughout.
func TestReplacementThatWasCut(t *testing.T) {
	for _, tc := range []struct {
		name string
		cut  func(k *kit, e Enrolment)
	}{
		{"the metadata is gone, the pin is the old one", func(k *kit, _ Enrolment) { k.ok(removeSynced(k.dir, trustFile)) }},
		{"the pin is the new one, its metadata is not there", func(k *kit, e Enrolment) {
			k.ok(Enroll(k.dir, e))
			k.ok(removeSynced(k.dir, trustFile))
		}},
		{"the pin is damaged", func(k *kit, _ Enrolment) { k.ok(writeAtomic(k.dir, pinFile, []byte("{"))) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := lived(t)
			e := k.enrolmentIn(k.strangers(deployment))
			e.Replace = true
			tc.cut(k, e)
			if _, err := Open(k.options()); err == nil {
				t.Fatal("the guard starts")
			}
			k.ok(Enroll(k.dir, e))
			g := k.open()
			if g.pin.Anchor != e.Anchor || g.trusted.Revoked().Len() != 1 || g.ledger.now.Highest["answer"] != 2 {
				t.Errorf("pinned %+v, %d revoked", g.pin.Anchor, g.trusted.Revoked().Len())
			}
		})
	}
}

// Root of this machine, and nobody else, makes run counts go back.
func TestReset(t *testing.T) {
	k := lived(t)
	g := k.open()
	owner(t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(HooksYes)})
	s := connect(t, g)
	original := g.lastReport()
	_, _, err := g.Reset(7)
	wantCode(t, err, errs.CodeStateHeld)
	if end := s.end(k.run(original, version(1))); end.Code != string(errs.CodeVersionRollback) {
		t.Fatalf("before: %s", end.Code)
	}
	k.ok(g.Close())
	g = k.open()
	versions, highest, err := g.Reset(7)
	if err != nil || versions != 1 || highest != 1 {
		t.Fatalf("%d, %d, %v", versions, highest, err)
	}
	if e := lastEntry(t, g, KindReset); e.UID == nil || *e.UID != 7 || !strings.Contains(e.Reason, "1 versions") {
		t.Errorf("in the record: %+v", e)
	}
	kill(t, g)
	lost := map[string]bool{}
	for _, what := range forgets(t, k) {
		lost[what] = true
	}
	if len(lost) != 2 || !lost["counts"] || !lost["highest"] {
		t.Errorf("forgotten: %v", lost)
	}
	if end := connect(t, k.open()).end(k.run(original, version(1))); end.Code != "" || end.Finish.Outcome != hooks.OutcomeReceived {
		t.Errorf("after: %s %s", end.Code, end.Reason)
	}
}
