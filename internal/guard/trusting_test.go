package guard

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/sandbox"
	"hookline/signing"
	"hookline/signing/trust"
)

// digestOf is the digest of the version that run makes.
func (k *kit) digestOf(r *guardwire.Run) string { return hooks.Digest(r.Statement) }

// Whatever people take back, or let grow old, keeps a hook from running; the
// record names the check that refused.
func TestTrustDecides(t *testing.T) {
	day := 24 * time.Hour
	window := func(from, until time.Duration) func(*kit) {
		return func(k *kit) {
			w := signing.Window{}
			if from != 0 {
				w.From = start.Add(from)
			}
			if until != 0 {
				w.Until = start.Add(until)
			}
			k.policy.Persons[1].Windows = map[signing.KeyID]signing.Window{k.bob.Public().ID: w}
		}
	}
	for _, tc := range []struct {
		name  string
		plan  func(k *kit)                             // before people found the deployment
		later func(k *kit, g *Guard, r *guardwire.Run) // with the guard running
		hears bool
		code  errs.Code
		check string
	}{
		{name: "nothing happened"},
		{name: "another version is revoked", hears: true, later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.revoke(signing.RevokeVersion, strings.Repeat("ab", 32))
		}},
		{name: "the version is revoked", hears: true, later: func(k *kit, _ *Guard, r *guardwire.Run) {
			k.revoke(signing.RevokeVersion, k.digestOf(r))
		}, code: errs.CodeRevoked, check: "signed/revocations"},
		{name: "the hook is revoked", hears: true, later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.revoke(signing.RevokeHook, "answer")
		}, code: errs.CodeRevoked, check: "signed/revocations"},
		{name: "the author's key is revoked", hears: true, later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.revoke(signing.RevokeKey, keyID(k.alice))
		}, code: errs.CodeRevoked, check: "signed/author"},
		{name: "a reviewer's key is revoked", hears: true, later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.revoke(signing.RevokeKey, keyID(k.bob))
		}, code: errs.CodeThresholdNotMet, check: "signed/threshold"},
		{name: "an approval is revoked", hears: true, later: func(k *kit, _ *Guard, r *guardwire.Run) {
			k.revoke(signing.RevokeApproval, signing.ApprovalValue(k.digestOf(r), k.carol.Public().ID))
		}, code: errs.CodeThresholdNotMet, check: "signed/threshold"},
		{name: "the approval of another version is revoked", hears: true, later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.revoke(signing.RevokeApproval, signing.ApprovalValue(strings.Repeat("ab", 32), k.carol.Public().ID))
		}},
		{name: "the policy needs another reviewer now", hears: true, later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.policy.Forbidden = append(k.policy.Forbidden, signing.CapFSRead)
			k.ok(k.people().ReplaceTargets(k.policy.YAML(), nil))
			k.changed()
		}, code: errs.CodeCapabilityForbidden, check: "signed/capabilities"},
		{name: "a key whose time has come", plan: window(time.Hour, 0)},
		{name: "a key a second before its time", plan: window(time.Hour+time.Second, 0), code: errs.CodeThresholdNotMet, check: "signed/threshold"},
		{name: "a key in its last second", plan: window(0, time.Hour+time.Second)},
		{name: "a key at its end", plan: window(0, time.Hour), code: errs.CodeThresholdNotMet, check: "signed/threshold"},
		{name: "a key at its end, the clock set back", plan: window(0, 2*time.Hour), later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.boot.pass(time.Hour)
		}, code: errs.CodeThresholdNotMet, check: "signed/threshold"},
		{name: "the last second of the metadata", later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.clock.advance(fresh - time.Second)
		}, plan: func(k *kit) { k.notAfter = 12 * day; k.policy.MaxLifetime = 14 * day }},
		{name: "the end of the metadata", later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.clock.advance(fresh)
		}, plan: func(k *kit) { k.notAfter = 12 * day; k.policy.MaxLifetime = 14 * day }, code: errs.CodeTrustStale, check: "trust fresh"},
		{name: "the end of the metadata, the clock set back", later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.clock.advance(-time.Minute)
			k.boot.pass(fresh)
		}, code: errs.CodeTrustStale, check: "trust fresh"},
		{name: "the end of the metadata, and fresh ones came", later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.clock.advance(fresh)
			k.freshen()
		}, hears: true, plan: func(k *kit) { k.notAfter = 12 * day; k.policy.MaxLifetime = 14 * day }},
		{name: "the end of the hook, the clock set back", later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.clock.advance(-30 * time.Minute)
			k.boot.pass(23 * time.Hour)
		}, plan: func(k *kit) { k.notAfter = day }, code: errs.CodeExpired, check: "window"},
		{name: "metadata signed after the hook's end, the clock set back", later: func(k *kit, _ *Guard, _ *guardwire.Run) {
			k.clock.advance(23 * time.Hour)
			k.freshen()
			k.clock.advance(-23 * time.Hour)
		}, hears: true, plan: func(k *kit) { k.notAfter = day }, code: errs.CodeExpired, check: "window"},
		{name: "the owner wants more reviewers", later: func(_ *kit, g *Guard, _ *guardwire.Run) {
			g.config.Ceilings.Reviewers = 3
		}, code: errs.CodeOwnerCeiling, check: "ceilings"},
		{name: "the owner is content with fewer reviewers", later: func(_ *kit, g *Guard, _ *guardwire.Run) {
			g.config.Ceilings.Reviewers = 1
		}},
		{name: "the owner forbids a capability", later: func(_ *kit, g *Guard, _ *guardwire.Run) {
			g.config.Ceilings.Forbidden = []string{signing.CapFSRead}
		}, code: errs.CodeOwnerCeiling, check: "ceilings"},
		{name: "the owner wants shorter lives", later: func(_ *kit, g *Guard, _ *guardwire.Run) {
			g.config.Ceilings.MaxLifetime = 7*day - time.Second
		}, code: errs.CodeOwnerCeiling, check: "ceilings"},
		{name: "the owner is content with the life", later: func(_ *kit, g *Guard, _ *guardwire.Run) {
			g.config.Ceilings.MaxLifetime = 7 * day
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newKit(t)
			if tc.plan != nil {
				tc.plan(k)
			}
			g := k.optedIn(HooksYes)
			original := file(t, g)
			s := connect(t, g)
			r := k.run(original, nil)
			if tc.later != nil {
				tc.later(k, g, r)
			}
			if tc.hears {
				s.hears(g, k)
			}
			r.Deadline = k.clock.Now().Add(time.Minute)
			checkDecision(t, g, s.end(r), tc.code)
			if e := lastEntry(t, g, KindDecision); e.Check != tc.check {
				t.Errorf("refused by %q, want %q", e.Check, tc.check)
			}
			if tc.check != "" && !slices.Contains(CheckNames(), tc.check) {
				t.Errorf("%q is no check's name: %v", tc.check, CheckNames())
			}
			file(t, g) // reports go on, whatever keeps hooks from running
		})
	}
}

// A run under way that people take back is stopped, and nothing of it leaves:
// neither where the hook ends at once nor where it does not notice.
func TestRevocationStopsRuns(t *testing.T) {
	for _, tc := range []struct {
		name   string
		revoke func(k *kit, r *guardwire.Run)
		code   errs.Code
	}{
		{"the version", func(k *kit, r *guardwire.Run) { k.revoke(signing.RevokeVersion, k.digestOf(r)) }, errs.CodeRevoked},
		{"the hook", func(k *kit, _ *guardwire.Run) { k.revoke(signing.RevokeHook, "answer") }, errs.CodeRevoked},
		{"the author's key", func(k *kit, _ *guardwire.Run) { k.revoke(signing.RevokeKey, keyID(k.alice)) }, errs.CodeRevoked},
		{"a reviewer's key", func(k *kit, _ *guardwire.Run) { k.revoke(signing.RevokeKey, keyID(k.bob)) }, errs.CodeThresholdNotMet},
		{"another hook", func(k *kit, _ *guardwire.Run) { k.revoke(signing.RevokeHook, "other") }, ""},
	} {
		for _, deaf := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deaf %v", tc.name, deaf), func(t *testing.T) {
				k := newKit(t)
				started, release := make(chan string, 1), make(chan struct{})
				k.sandbox = blocked(started, release)
				if deaf {
					k.sandbox = func(context.Context, sandbox.Task) (sandbox.Outcome, error) {
						started <- ""
						<-release
						return sandbox.Outcome{Fields: hooks.Fields{"Answer": "42"}}, nil
					}
				}
				g := k.optedIn(HooksYes)
				s := connect(t, g)
				r := k.run(file(t, g), nil)
				s.write(guardwire.Message{Kind: guardwire.KindRun, JobID: newID(t), Run: r})
				<-started
				tc.revoke(k, r)
				s.hears(g, k)
				if deaf || tc.code == "" {
					close(release)
				}
				end, e := s.await(guardwire.KindFinish), Entry{}
				eventually(t, "the end is in the record", func() bool {
					all := entries(t, g, KindOutcome)
					if len(all) > 0 {
						e = all[0]
					}
					return len(all) > 0
				})
				if end.Code != string(tc.code) || e.Code != string(tc.code) {
					t.Fatalf("ended %q %s, in the record %q, want %q", end.Code, end.Reason, e.Code, tc.code)
				}
				if left := end.Finish.Fields != nil || e.Fields != nil; left != (tc.code == "") {
					t.Errorf("left %s, in the record %s", end.Finish.Fields, e.Fields)
				}
			})
		}
	}
}

// A revocation between the decision and the start of the sandbox.
func TestRevocationBeforeTheStart(t *testing.T) {
	k := newKit(t)
	k.sandbox = func(ctx context.Context, _ sandbox.Task) (sandbox.Outcome, error) {
		return sandbox.Outcome{}, ctx.Err()
	}
	g := k.optedIn(HooksYes)
	s := connect(t, g)
	r := k.run(file(t, g), nil)
	q, err := g.admit(t.Context(), guardwire.Message{Kind: guardwire.KindRun, JobID: newID(t), Run: r})
	k.ok(err)
	k.revoke(signing.RevokeVersion, k.digestOf(r))
	s.hears(g, k)
	g.start(q)
	if end := s.await(guardwire.KindFinish); end.Code != string(errs.CodeRevoked) {
		t.Errorf("ended %q %s", end.Code, end.Reason)
	}
}

// A revocation that comes when the hook has ended and its result is judged: the
// run cannot be stopped any more, and still nothing leaves.
func TestRevocationAfterTheEnd(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	s := connect(t, g)
	r := k.run(file(t, g), nil)
	q, err := g.admit(t.Context(), guardwire.Message{Kind: guardwire.KindRun, JobID: newID(t), Run: r})
	k.ok(err)
	g.running[q.jobID].cancel = func(error) {}
	k.revoke(signing.RevokeVersion, k.digestOf(r))
	s.hears(g, k)
	g.start(q)
	if end := s.await(guardwire.KindFinish); end.Code != string(errs.CodeRevoked) || end.Finish.Fields != nil {
		t.Errorf("ended %q %s", end.Code, end.Finish.Fields)
	}
}

// What was revoked is not asked about, and a yes to it is no yes any more.
func TestRevocationTakesQuestionsAndYesesBack(t *testing.T) {
	for name, revoke := range map[string]func(k *kit, r *guardwire.Run){
		"version": func(k *kit, r *guardwire.Run) { k.revoke(signing.RevokeVersion, k.digestOf(r)) },
		"hook":    func(k *kit, _ *guardwire.Run) { k.revoke(signing.RevokeHook, "answer") },
		"key":     func(k *kit, _ *guardwire.Run) { k.revoke(signing.RevokeKey, keyID(k.carol)) },
		"approval": func(k *kit, r *guardwire.Run) {
			k.revoke(signing.RevokeApproval, signing.ApprovalValue(k.digestOf(r), k.carol.Public().ID))
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			g := k.optedIn(HooksAsk)
			s := connect(t, g)
			r := k.run(file(t, g), nil)
			s.end(r)
			asked := owner(t, g, guardwire.Request{Op: guardwire.OpPending}).Pending
			if len(asked) != 1 {
				t.Fatalf("%d questions", len(asked))
			}
			owner(t, g, guardwire.Request{Op: guardwire.OpAllowOnce, ID: asked[0].ID})
			again := *r
			again.OriginalID = file(t, g)
			s.end(&again)
			before := owner(t, g, guardwire.Request{Op: guardwire.OpPending})
			if len(before.Pending) != 1 || len(before.Allowed) != 1 {
				t.Fatalf("before: %+v", before)
			}
			revoke(k, r)
			s.hears(g, k)
			eventually(t, "both are gone", func() bool {
				now := owner(t, g, guardwire.Request{Op: guardwire.OpPending})
				return len(now.Pending) == 0 && len(now.Allowed) == 0
			})
			if e := lastEntry(t, g, KindTrust); e.Decision != "taken" || e.Trust.New != 1 || !strings.Contains(e.Reason, "1 questions to the owner and 1 of the owner's yeses") {
				t.Errorf("in the record: %+v", e)
			}
		})
	}
}

// What is revoked is on disk before anybody hears of it, and stays: after a
// kill, with the metadata of before in its place, after an enrolment anew.
func TestRevocationsAreForEver(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	old := k.bundle()
	r := k.run(original, nil)
	k.revoke(signing.RevokeVersion, k.digestOf(r))
	connect(t, g).hears(g, k)
	kill(t, g)
	refuses := func(what string) {
		t.Helper()
		g := k.open()
		if end := connect(t, g).end(r); end.Code != string(errs.CodeRevoked) {
			t.Errorf("%s: %q %s", what, end.Code, end.Reason)
		}
		k.ok(g.Close())
	}
	refuses("after a kill")
	k.ok(os.WriteFile(filepath.Join(k.dir, trustFile), old, 0o600))
	refuses("with old metadata")
	e := k.enrolment()
	e.Trust = old
	k.ok(Enroll(k.dir, e))
	refuses("enrolled with old metadata over old metadata")
}

// Nothing that a network side says of trust changes anything but the record,
// and the guard lives.
func TestHostileTrust(t *testing.T) {
	k := newKit(t)
	old := k.bundle()
	k.clock.advance(time.Minute)
	k.freshen()
	stranger := k.strangers(deployment)
	k.revoke(signing.RevokeHook, "other")
	g := k.optedIn(HooksYes)
	g.bundles.SetLimit(1e9)
	original := file(t, g)
	s := connect(t, g)
	good, err := trust.ParseBundle(k.bundle())
	k.ok(err)
	changed := func(change func(*trust.Bundle)) []byte {
		b := good
		change(&b)
		raw, err := b.Encode()
		k.ok(err)
		return raw
	}
	state := func() string {
		var all []string
		for _, name := range []string{pinFile, trustFile, revokedFile} {
			b, err := os.ReadFile(filepath.Join(k.dir, name))
			k.ok(err)
			info, err := os.Stat(filepath.Join(k.dir, name))
			k.ok(err)
			all = append(all, string(b), info.ModTime().String())
		}
		return strings.Join(all, "\n")
	}
	before, lines := state(), 0
	for _, tc := range []struct {
		name   string
		bundle []byte
		code   errs.Code // "" is no news, and no line
	}{
		{"nothing", []byte{}, errs.CodeTrustInvalid},
		{"garbage", []byte("\x00\xff garbage"), errs.CodeTrustInvalid},
		{"too big", bytes.Repeat([]byte("x"), trust.MaxBundleBytes+1), errs.CodeTrustInvalid},
		{"deep", bytes.Repeat([]byte("["), 1<<20), errs.CodeTrustInvalid},
		{"empty", []byte("{}"), errs.CodeTrustInvalid},
		{"older", old, errs.CodeTrustRollback},
		{"another root", bundleOf(k, stranger), errs.CodeTrustRoot},
		{"no roots", changed(func(b *trust.Bundle) { b.Roots = [][]byte{} }), errs.CodeTrustMissing},
		{"no revocations", changed(func(b *trust.Bundle) { b.Revocations = nil }), errs.CodeTrustMissing},
		{"revocations forged", changed(func(b *trust.Bundle) {
			b.Pushed = bytes.Replace(b.Pushed, []byte("hook/other"), []byte("hook/answe"), 1)
		}), errs.CodeTrustSigned},
		{"a policy forged", changed(func(b *trust.Bundle) {
			b.Policy = bytes.Replace(b.Policy, []byte("reviewers: 2"), []byte("reviewers: 1"), 1)
		}), errs.CodeTrustMixed},
		{"a stranger's targets", changed(func(b *trust.Bundle) {
			other, err := stranger.Bundle()
			k.ok(err)
			b.Targets = other.Targets
		}), errs.CodeTrustMixed},
		{"revocations held back", changed(func(b *trust.Bundle) { b.Pushed = nil }), ""},
		{"what it has", k.bundle(), ""},
	} {
		for range 3 {
			s.trust(tc.bundle)
		}
		if tc.code != "" {
			lines++
		}
		eventually(t, tc.name+" is answered", func() bool { return len(entries(t, g, KindTrust)) >= lines })
		s.write(guardwire.Message{Kind: guardwire.KindConnected}) // read behind it
		if tc.code == "" {
			continue
		}
		if e := lastEntry(t, g, KindTrust); e.Decision != "refused" || e.Code != string(tc.code) {
			t.Errorf("%s: in the record %s %s, want %s", tc.name, e.Code, e.Reason, tc.code)
		}
	}
	const others = 200
	for i := range others {
		s.trust(fmt.Appendf(nil, "garbage %d", i))
	}
	for range 1000 {
		s.trust(k.bundle())
	}
	if end := s.end(k.run(original, nil)); end.Code != "" {
		t.Errorf("after all that: %s %s", end.Code, end.Reason)
	}
	if n := len(entries(t, g, KindTrust)); n != lines+others {
		t.Errorf("%d lines, want %d", n, lines+others)
	}
	if state() != before {
		t.Error("the files of the folder are others")
	}
}

// A flood of bundles waits: it cannot fill the record.
func TestTrustIsTakenAtABoundedRate(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range bundlesBurst {
		k.ok(g.onTrust(ctx, fmt.Appendf(nil, "garbage %d", i)))
	}
	cancel() // the next one would wait
	if err := g.onTrust(ctx, []byte("one more")); err == nil {
		t.Error("it did not wait")
	}
}

// A policy under which one person signs alone needs the owner's word.
func TestTeamDoesNotBecomeSolo(t *testing.T) {
	k := newKit(t)
	k.people()
	g := k.optedIn(HooksYes)
	k.policy.Profile, k.policy.Reviewers = signing.ProfileSolo, 0
	k.ok(k.people().ReplaceTargets(k.policy.YAML(), nil))
	k.changed()
	s := connect(t, g)
	s.trust(k.bundle())
	eventually(t, "it is refused", func() bool { return len(entries(t, g, KindTrust)) == 1 })
	if e := lastEntry(t, g, KindTrust); e.Code != string(errs.CodePolicyInvalid) || g.trusted.Policy().Profile != signing.ProfileTeam {
		t.Errorf("in the record: %+v", e)
	}
	k.ok(g.Close())
	e := k.enrolment()
	e.AcceptSolo = false
	wantCode(t, Enroll(k.dir, e), errs.CodeEnrollRefused)
	e.AcceptSolo = true
	k.ok(Enroll(k.dir, e))
	if g := k.open(); g.trusted.Policy().Profile != signing.ProfileSolo || g.pin.Anchor != e.Anchor {
		t.Errorf("pinned %+v", g.pin)
	}
}

// The network side hears of the server's certificates that people signed.
func TestSignedCAIsHandedOver(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	s := connect(t, g)
	if m := s.await(guardwire.KindState); m.State.CA != nil {
		t.Fatalf("at first: %s", m.State.CA)
	}
	ca := certificate(t)
	k.ok(k.people().ReplaceTargets(k.policy.YAML(), ca))
	k.changed()
	s.hears(g, k)
	if m := s.await(guardwire.KindState); !bytes.Equal(m.State.CA, ca) {
		t.Errorf("handed over: %s", m.State.CA)
	}
}

// What a full disk refused is written when there is room again, without anybody
// saying it again.
func TestRevocationIsKeptOnceThereIsRoom(t *testing.T) {
	k := newKit(t)
	k.dir = smallDisk(t, "1m")
	g := k.optedIn(HooksYes)
	free := fillDisk(t, k.dir)
	k.revoke(signing.RevokeHook, "answer")
	k.ok(g.onTrust(t.Context(), k.bundle()))
	if g.trusted.Revoked().Len() != 1 || len(g.remembered.of(deployment).List) != 0 {
		t.Fatal("the disk was not full")
	}
	g.tend()
	free()
	g.tend()
	kill(t, g)
	if g := k.open(); g.trusted.Revoked().Len() != 1 {
		t.Error("it was forgotten")
	}
}
