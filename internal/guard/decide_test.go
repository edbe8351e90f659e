package guard

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/signing"
	"hookline/signing/trust"
)

// Every refusal of the decision, each with really signed material: the code
// stands in the record and is the only thing that leaves.
func TestDecision(t *testing.T) {
	for _, tc := range []struct {
		name  string
		hooks string // the owner's answer, yes where empty
		setup func(k *kit, g *Guard)
		run   func(k *kit, original string) *guardwire.Run
		code  errs.Code
	}{
		{name: "runs", run: func(k *kit, o string) *guardwire.Run { return k.run(o, nil) }},
		{name: "not opted in", hooks: HooksNo, code: errs.CodeNotOptedIn, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, nil)
		}},
		{name: "not opted in, and tampered with", hooks: HooksNo, code: errs.CodeNotOptedIn, run: func(k *kit, o string) *guardwire.Run {
			r := k.run(o, nil)
			r.Statement = []byte("not even JSON")
			return r
		}},
		{name: "not JSON", code: errs.CodeStatementMalformed, run: func(k *kit, o string) *guardwire.Run {
			r := k.run(o, nil)
			r.Statement = []byte("not even JSON")
			return r
		}},
		{name: "script changed by one byte", code: errs.CodeScriptDigest, run: func(k *kit, o string) *guardwire.Run {
			r := k.run(o, nil)
			r.Script[3] ^= 1
			return r
		}},
		{name: "deadline stretched after signing", code: errs.CodeSignatureInvalid, run: func(k *kit, o string) *guardwire.Run {
			signed := k.run(o, func(p *hooks.Predicate) { p.NotAfter = start.Add(24 * time.Hour).Unix() })
			stretched := k.run(o, nil)
			signed.Statement = stretched.Statement
			return signed
		}},
		{name: "one approval short", code: errs.CodeThresholdNotMet, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, nil, k.alice, k.bob)
		}},
		{name: "one reviewer twice", code: errs.CodeThresholdNotMet, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, nil, k.alice, k.bob, k.bob)
		}},
		{name: "a stranger reviews", code: errs.CodeThresholdNotMet, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, nil, k.alice, k.bob, k.mallory)
		}},
		{name: "an operator reviews", code: errs.CodeSignerRole, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, nil, k.alice, k.bob, k.dave)
		}},
		{name: "the author did not sign", code: errs.CodeAuthorMissing, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, nil, k.bob, k.carol)
		}},
		{name: "a stranger writes", code: errs.CodeSignerUnknown, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.Author = string(k.mallory.Public().ID) }, k.mallory, k.bob, k.carol)
		}},
		{name: "a broken signature file", code: errs.CodeSignatureMalformed, run: func(k *kit, o string) *guardwire.Run {
			r := k.run(o, nil)
			r.Signatures[1] = r.Signatures[1][:20]
			return r
		}},
		{name: "a wrong signature", code: errs.CodeSignatureInvalid, run: wrongBob},
		{name: "another deployment", code: errs.CodeWrongDeployment, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.Deployment = "d-ffffffffffffffffffffffffffffffff" })
		}},
		{name: "not yet", code: errs.CodeNotYetValid, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.NotBefore = start.Add(2 * time.Hour).Unix() })
		}},
		{name: "no more", code: errs.CodeExpired, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.NotAfter = start.Add(time.Minute).Unix() })
		}},
		{name: "no more, by the trusted time", code: errs.CodeExpired, setup: func(k *kit, g *Guard) {
			k.change(g, func(s *State) { s.Floor.At = start.Add(7 * 24 * time.Hour) })
		}, run: func(k *kit, o string) *guardwire.Run { return k.run(o, nil) }},
		{name: "lives too long", code: errs.CodeLifetimeTooLong, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.NotAfter = start.Add(8 * 24 * time.Hour).Unix() })
		}},
		{name: "a forbidden identity", code: errs.CodeCapabilityForbidden, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.As = hooks.AsReporter })
		}},
		{name: "an original that was never filed", code: errs.CodeOriginalUnknown, run: func(k *kit, _ string) *guardwire.Run {
			return k.run(newID(k.t), nil)
		}},
		{name: "an original that is a path", code: errs.CodeOriginalUnknown, run: func(k *kit, _ string) *guardwire.Run {
			return k.run("../state", nil)
		}},
		{name: "another package", code: errs.CodeNoMatch, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.Match.Package = "openssh-server" })
		}},
		{name: "another version of the package", code: errs.CodeNoMatch, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.Match.From = "1.24" })
		}},
		{name: "outside the percentage", code: errs.CodeNotInRollout, run: outsidePercent},
		{name: "an older version", code: errs.CodeVersionRollback, setup: func(k *kit, g *Guard) {
			k.change(g, func(s *State) { s.Highest["answer"] = 2 })
		}, run: func(k *kit, o string) *guardwire.Run { return k.run(o, nil) }},
		{name: "over the owner's ceiling of classes", code: errs.CodeOwnerCeiling, setup: func(_ *kit, g *Guard) {
			g.config.Ceilings.Classes = []string{"config"}
		}, run: func(k *kit, o string) *guardwire.Run { return k.run(o, nil) }},
		{name: "over the owner's ceiling of time", code: errs.CodeOwnerCeiling, setup: func(_ *kit, g *Guard) {
			g.config.Ceilings.MaxRuntime = 500 * time.Millisecond
		}, run: func(k *kit, o string) *guardwire.Run { return k.run(o, nil) }},
		{name: "raw text that the owner keeps in", code: errs.CodeOwnerCeiling, setup: func(_ *kit, g *Guard) {
			g.config.Ceilings.Raw = ptr(false)
		}, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.Fields[0].Raw = true })
		}},
		{name: "root, which the owner has not allowed", code: errs.CodeOwnerCeiling, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, func(p *hooks.Predicate) { p.As = hooks.AsRoot })
		}},
		{name: "programs, which the owner keeps out", code: errs.CodeOwnerCeiling, setup: func(_ *kit, g *Guard) {
			g.config.Ceilings.Commands = ptr(false)
		}, run: func(k *kit, o string) *guardwire.Run { return k.run(o, starts(listing)) }},
		{name: "the kernel's log, which the owner has not allowed", code: errs.CodeOwnerCeiling, setup: func(_ *kit, g *Guard) {
			g.config.Ceilings.Commands = ptr(true)
		}, run: func(k *kit, o string) *guardwire.Run { return k.run(o, starts(kernelLog)) }},
		{name: "after the job's deadline", code: errs.CodeJobDeadline, run: func(k *kit, o string) *guardwire.Run {
			r := k.run(o, nil)
			r.Deadline = k.clock.Now()
			return r
		}},
		{name: "asked first", hooks: HooksAsk, code: errs.CodeWaitsForOwner, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, nil)
		}},
		{name: "denied before", hooks: HooksAsk, code: errs.CodeOwnerDenied, run: func(k *kit, o string) *guardwire.Run {
			return k.run(o, nil)
		}, setup: func(k *kit, g *Guard) {
			original := g.lastReport()
			k.change(g, func(s *State) {
				s.Denied = []Pair{{Digest: hooks.Digest(k.run(original, nil).Statement), OriginalID: original}}
			})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newKit(t)
			g := k.optedIn(HooksYes)
			original := file(t, g)
			if tc.hooks != "" {
				owner(t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(tc.hooks)})
			}
			if tc.setup != nil {
				tc.setup(k, g)
			}
			end := connect(t, g).end(tc.run(k, original))
			checkDecision(t, g, end, tc.code)
		})
	}
}

func checkDecision(t *testing.T, g *Guard, end guardwire.Message, code errs.Code) {
	t.Helper()
	e := lastEntry(t, g, KindDecision)
	if end.Code != string(code) || e.Code != string(code) {
		t.Fatalf("the server heard %q (%s), the record says %q, want %q", end.Code, end.Reason, e.Code, code)
	}
	if code == "" {
		if end.Finish.Outcome != hooks.OutcomeReceived || string(end.Finish.Fields) != `{"Answer":"42"}` || e.Decision != "run" {
			t.Errorf("ended %s %s, decision %s", end.Finish.Outcome, end.Finish.Fields, e.Decision)
		}
		return
	}
	want := hooks.OutcomeRefused
	if code == errs.CodeWaitsForOwner {
		want = hooks.OutcomeDeferred
	}
	if end.Finish.Outcome != want || end.Finish.Fields != nil || end.Finish.HookError != "" || string(want) != e.Decision {
		t.Errorf("ended %+v, decision %s, want %s", end.Finish, e.Decision, want)
	}
	if n := len(g.ledger.now.Versions); n != 0 {
		t.Errorf("a refused run was counted: %d versions", n)
	}
}

func (k *kit) change(g *Guard, do func(*State)) {
	k.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ledger.update(do); err != nil {
		k.t.Fatal(err)
	}
}

func (g *Guard) lastReport() string {
	last := ""
	for id := range g.shelf.index {
		last = max(last, id)
	}
	return last
}

// wrongBob puts a stranger's signature into a file that says it is bob's.
func wrongBob(k *kit, original string) *guardwire.Run {
	r := k.run(original, nil, k.alice, k.mallory, k.carol)
	f, err := signing.ParseFile(r.Signatures[1])
	if err == nil {
		r.Signatures[1], err = signing.EncodeFile(r.Statement, f.Sig, k.bob.Public())
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return r
}

// outsidePercent searches a version that leaves this peer out.
func outsidePercent(k *kit, original string) *guardwire.Run {
	for version := int64(1); version < 1000; version++ {
		r := k.run(original, func(p *hooks.Predicate) { p.Version, p.MaxPercent = version, 1 })
		if !hooks.InRollout(hooks.Digest(r.Statement), ownSPKI, 1) {
			return r
		}
	}
	k.t.Fatal("every version is in the rollout")
	return nil
}

func TestRunLimitAndHigherVersions(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	twice := func(p *hooks.Predicate) { p.MaxRunsPerPeer = 2 }
	for i, want := range []errs.Code{"", "", errs.CodeRunLimit} {
		if end := s.end(k.run(original, twice)); end.Code != string(want) {
			t.Fatalf("run %d: %s %s", i+1, end.Code, end.Reason)
		}
	}
	if end := s.end(k.run(original, func(p *hooks.Predicate) { p.Version = 5 })); end.Code != "" {
		t.Fatalf("a newer version: %s", end.Code)
	}
	if end := s.end(k.run(original, func(p *hooks.Predicate) { p.Version = 4 })); end.Code != string(errs.CodeVersionRollback) {
		t.Fatalf("an older version: %s", end.Code)
	}
}

func TestDecisionNamesHookOnlyAsClaimed(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	s := connect(t, g)
	s.end(k.run(file(t, g), nil, k.alice))
	e := lastEntry(t, g, KindDecision)
	if e.Hook != "answer" || e.Version != 1 || !e.Unverified || e.Signers != nil {
		t.Errorf("entry %+v", e)
	}
	s.end(k.run(g.lastReport(), nil))
	e = lastEntry(t, g, KindDecision)
	if e.Unverified || len(e.Signers) != 3 || e.Signers[0] != "alice" {
		t.Errorf("entry %+v", e)
	}
}

// The solo profile asks, whatever the owner's general answer.
func TestSoloAlwaysAsks(t *testing.T) {
	k := newKit(t)
	k.policy.Profile, k.policy.Reviewers = signing.ProfileSolo, 0
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	if end := s.end(k.run(original, nil, k.alice)); end.Code != string(errs.CodeWaitsForOwner) {
		t.Fatalf("code %s", end.Code)
	}
	waiting := owner(t, g, guardwire.Request{Op: guardwire.OpPending}).Pending
	if len(waiting) != 1 || waiting[0].Author != "alice" || waiting[0].Fields[0] != "Answer (technical, redacted)" {
		t.Fatalf("pending %+v", waiting)
	}
	owner(t, g, guardwire.Request{Op: guardwire.OpAllowOnce, ID: waiting[0].ID})
	if e := lastEntry(t, g, KindOwner); e.Ask != waiting[0].ID || e.JobID != waiting[0].JobID || e.JobID == "" {
		t.Errorf("the answer cannot be followed: %+v", e)
	}
	claim := s.await(guardwire.KindClaim).Claim
	if claim.OriginalID != original || claim.Version != waiting[0].Digest {
		t.Errorf("claim %+v", claim)
	}
	if end := s.end(k.run(original, nil, k.alice)); end.Code != "" {
		t.Fatalf("after the yes: %s %s", end.Code, end.Reason)
	}
	if end := s.end(k.run(original, func(p *hooks.Predicate) { p.Version = 2 }, k.alice)); end.Code != string(errs.CodeWaitsForOwner) {
		t.Fatalf("another version needs another yes: %s", end.Code)
	}
}

// A yes to one run that was not used does not outlive a no to all.
func TestNoTakesBackUnusedYes(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksAsk)
	original := file(t, g)
	s := connect(t, g)
	s.end(k.run(original, nil))
	owner(t, g, guardwire.Request{Op: guardwire.OpAllowOnce, ID: owner(t, g, guardwire.Request{Op: guardwire.OpPending}).Pending[0].ID})
	for _, answer := range []string{HooksNo, HooksAsk} {
		owner(t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(answer)})
	}
	if end := s.end(k.run(original, nil)); end.Code != string(errs.CodeWaitsForOwner) {
		t.Errorf("the yes of before came back: %q", end.Code)
	}
}

func TestOwnerDenies(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksAsk)
	original := file(t, g)
	s := connect(t, g)
	s.end(k.run(original, nil))
	s.end(k.run(original, nil)) // asked twice, one question
	waiting := owner(t, g, guardwire.Request{Op: guardwire.OpPending}).Pending
	if len(waiting) != 1 {
		t.Fatalf("%d wait", len(waiting))
	}
	owner(t, g, guardwire.Request{Op: guardwire.OpDeny, ID: waiting[0].ID})
	if end := s.end(k.run(original, nil)); end.Code != string(errs.CodeOwnerDenied) {
		t.Fatalf("after the no: %s", end.Code)
	}
	if e := lastEntry(t, g, KindOwner); e.Decision != "deny" || e.UID == nil {
		t.Errorf("entry %+v", e)
	}
	if reply := g.Handle(Caller{}, guardwire.Request{Op: guardwire.OpAllowOnce, ID: waiting[0].ID}); reply.Code != string(errs.CodeNotFound) {
		t.Errorf("answered twice: %q", reply.Code)
	}
}

// What lies in the folder is verified like what comes from the server.
func TestMetadataOfTheFolderIsNotBelieved(t *testing.T) {
	k := newKit(t).enroll()
	path := filepath.Join(k.dir, trustFile)
	b, err := os.ReadFile(path)
	k.ok(err)
	var bundle trust.Bundle
	bundle, err = trust.ParseBundle(b)
	k.ok(err)
	for name, tc := range map[string]struct {
		change func(*trust.Bundle)
		code   errs.Code
	}{
		"a laxer policy": {func(b *trust.Bundle) {
			b.Policy = bytes.Replace(b.Policy, []byte("reviewers: 2"), []byte("reviewers: 1"), 1)
		}, errs.CodeTrustMixed},
		"another root": {func(b *trust.Bundle) {
			b.Roots = [][]byte{bytes.Replace(b.Roots[0], []byte(`"version":1`), []byte(`"version":2`), 1)}
		}, errs.CodeTrustRoot},
	} {
		t.Run(name, func(t *testing.T) {
			other := bundle
			tc.change(&other)
			raw, err := other.Encode()
			k.ok(err)
			k.ok(os.WriteFile(path, raw, 0o600))
			_, err = Open(k.options())
			wantCode(t, err, tc.code)
		})
	}
	k.ok(os.Remove(path))
	_, err = Open(k.options())
	wantCode(t, err, errs.CodeTrustMissing)
}
