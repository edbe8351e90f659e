package collector_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

func TestAReportBringsItsNewFields(t *testing.T) {
	w := newWorld(t)
	peer, v := w.peer(), w.activate(version{quantity: 2})
	original := w.file(peer)
	w.ok(w.c.MatchOriginal(w.ctx, original))

	d := w.line.got[peer][0]
	if d.Job.OriginalID != original.ID || d.Job.Version != v || string(d.Script) != script || len(d.Signatures) != 1 {
		t.Fatalf("the peer got %+v", d)
	}
	if hooks.Digest(d.Statement) != v {
		t.Fatal("the peer got other bytes than were signed")
	}
	if want := w.clock.Now().Add(jobs.DefaultDeadline); !d.Job.Deadline.Equal(want) {
		t.Fatalf("deadline %s, want %s", d.Job.Deadline, want)
	}
	if j := w.job(d.Job.ID); j.SentAt.IsZero() || !j.AckedAt.IsZero() || j.TriggeredBy != "match" {
		t.Fatalf("stored %+v", j)
	}
	w.ok(w.c.Acked(w.ctx, peer, d.Job.ID))

	done, err := w.upload(d.Job, map[string]any{"Extra": "value", "Number": 7}, 5)
	w.ok(err)
	if done.Outcome != hooks.OutcomeReceived {
		t.Fatalf("ended %+v", done)
	}
	r, err := w.db.Result(w.ctx, done.ID)
	w.ok(err)
	if string(r.Fields) != `{"Extra":"value","Number":7}` || r.JobID != original.ID || r.ProblemID != original.ProblemID {
		t.Fatalf("result %+v", r)
	}
	a := w.activation(v)
	if a.Ledger.Received != 1 || a.Ledger.Bytes != r.Bytes || a.Ledger.Reserved != 0 || a.State != hooks.StateActive {
		t.Fatalf("activation %+v", a)
	}
	w.consistent(true)
}

// TestRefusals changes one thing of a match that would go through.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		v      version
		before func(w *world, peer, v string) // before the report is filed
		want   errs.Code
		check  string
	}{
		"goes through": {},
		"other program": {
			v: version{exe: "/usr/bin/other"}, want: errs.CodeNoMatch, check: "match",
		},
		"package out of range": {
			v:    version{level: hooks.LevelPackage, match: hooks.Match{Package: "crasher", From: "1.24"}},
			want: errs.CodeNoMatch, check: "match",
		},
		"package in range": {
			v: version{level: hooks.LevelPackage, match: hooks.Match{Package: "crasher", From: "1.22", Below: "1.24"}},
		},
		"disabled": {
			before: func(w *world, _, v string) {
				_, err := w.db.ChangeState(w.ctx, v, hooks.StateActive, hooks.StateDisabled, "no", w.clock.Now())
				w.ok(err)
			},
			want: errs.CodeHookNotActive, check: "state",
		},
		"past the deadline": {
			before: func(w *world, _, _ string) { w.clock.add(24 * time.Hour) },
			want:   errs.CodeDeadlineReached, check: "window",
		},
		"past not_after": {
			v:      version{lifetime: time.Hour, deadline: time.Hour},
			before: func(w *world, _, _ string) { w.clock.add(time.Hour) },
			want:   errs.CodeExpired, check: "window",
		},
		"before not_before": {
			before: func(w *world, _, _ string) { w.clock.add(-time.Minute) },
			want:   errs.CodeNotYetValid, check: "window",
		},
		"not connected": {
			before: func(w *world, peer, _ string) { w.line.connect(peer, false) },
			want:   errs.CodePeerNotConnected, check: "connected",
		},
		"opted out": {
			before: func(w *world, peer, _ string) { w.hello(peer, "no") },
			want:   errs.CodePeerOptOut, check: "opt-in",
		},
		"asks first": {
			before: func(w *world, peer, _ string) { w.hello(peer, "ask") },
		},
		"quantity is out": {
			v:      version{quantity: 1},
			before: func(w *world, _, _ string) { w.asked(w.peer()) },
			want:   errs.CodeQuantityReached, check: "quantity",
		},
		"runs of this peer": {
			v:      version{maxRuns: 1},
			before: func(w *world, peer, _ string) { w.asked(peer) },
			want:   errs.CodeRunLimit, check: "runs",
		},
		"a refusal is no run": {
			v: version{maxRuns: 1},
			before: func(w *world, peer, _ string) {
				_, err := w.c.Finish(w.ctx, peer, w.asked(peer).ID, collector.End{Outcome: hooks.OutcomeRefused, Code: "owner-ceiling"})
				w.ok(err)
			},
		},
		"peer busy": {
			before: func(w *world, peer, _ string) {
				for range jobs.MaxHooksPerPeer {
					w.asked(peer)
				}
			},
			want: errs.CodePeerBusy, check: "busy",
		},
		"rate": {
			v: version{perMinute: 2},
			before: func(w *world, _, _ string) {
				w.asked(w.peer())
				w.clock.add(30 * time.Second)
				w.asked(w.peer())
			},
			want: errs.CodeRateLimited, check: "rate",
		},
		"rate, a minute later": {
			v: version{perMinute: 2},
			before: func(w *world, _, _ string) {
				w.asked(w.peer())
				w.asked(w.peer())
				w.clock.add(time.Minute)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			peer, v := w.peer(), w.activate(c.v)
			if c.before != nil {
				c.before(w, peer, v)
			}
			original, had := w.file(peer), len(w.line.jobs(peer))
			e, err := w.c.Explain(w.ctx, original.ID, v)
			w.ok(err)
			if e.Code != string(c.want) {
				t.Errorf("explained %q (%s), want code %q", e.Code, e.Verdict, c.want)
			}
			for _, ch := range e.Checks {
				if ch.OK == (ch.Name == c.check) {
					t.Errorf("check %s is %v: %s", ch.Name, ch.OK, ch.Note)
				}
			}
			w.ok(w.c.MatchOriginal(w.ctx, original))
			if got := len(w.line.jobs(peer)) - had; (got == 1) != (c.want == "") {
				t.Errorf("the peer got %d jobs", got)
			}
			w.consistent(true)
		})
	}
}

func TestRolloutAsksItsShareOnly(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{percent: 50, quantity: 100})
	for range 20 {
		peer := w.peer()
		w.ok(w.c.MatchOriginal(w.ctx, w.file(peer)))
		p, err := w.db.Peer(w.ctx, peer)
		w.ok(err)
		if got, want := len(w.line.jobs(peer)) == 1, hooks.InRollout(v, p.SPKI, 50); got != want {
			t.Fatalf("peer %s was asked: %v, in the rollout: %v", peer, got, want)
		}
	}
}

// TestAskAgain tells which ends of a job let the same original be asked again.
func TestAskAgain(t *testing.T) {
	finish := func(o hooks.Outcome, code string) func(w *world, j jobs.Job) {
		return func(w *world, j jobs.Job) {
			_, err := w.c.Finish(w.ctx, j.PeerID, j.ID, collector.End{Outcome: o, Code: code})
			w.ok(err)
		}
	}
	for name, c := range map[string]struct {
		end            func(w *world, j jobs.Job)
		match, claimed bool
	}{
		"pending":  {func(*world, jobs.Job) {}, false, false},
		"empty":    {finish(hooks.OutcomeEmpty, ""), false, false},
		"failed":   {finish(hooks.OutcomeFailed, "hook-error"), false, false},
		"refused":  {finish(hooks.OutcomeRefused, "no-match"), false, false},
		"deferred": {finish(hooks.OutcomeDeferred, "waits-for-owner"), false, true},
		"received": {func(w *world, j jobs.Job) {
			_, err := w.upload(j, map[string]any{"Extra": "x"}, 100)
			w.ok(err)
		}, false, false},
		"timed out": {func(w *world, _ jobs.Job) {
			w.clock.add(jobs.DefaultDeadline)
			w.ok(w.c.Recover(w.ctx))
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			peer, v := w.peer(), w.activate(version{})
			original := w.file(peer)
			w.ok(w.c.MatchOriginal(w.ctx, original))
			c.end(w, w.line.jobs(peer)[0])
			w.ok(w.c.MatchOriginal(w.ctx, original))
			if got := len(w.line.jobs(peer)) == 2; got != c.match {
				t.Errorf("asked again by a match: %v, want %v", got, c.match)
			}
			if c.match {
				return
			}
			err := w.c.Claim(w.ctx, peer, v, original.ID)
			if (err == nil) != c.claimed || err != nil && !errs.Is(err, errs.CodeAlreadyAsked) {
				t.Errorf("asked again by a claim: %v, want %v", err, c.claimed)
			}
			if got := w.line.jobs(peer); c.claimed && got[1].TriggeredBy != "claim" {
				t.Errorf("the second job is %+v", got[1])
			}
			w.consistent(true)
		})
	}
}

func TestAPeerIsNotAskedForEver(t *testing.T) {
	w := newWorld(t)
	peer := w.peer()
	w.activate(version{quantity: 100})
	original := w.file(peer)
	for range jobs.MaxAsks + 2 {
		w.ok(w.c.MatchOriginal(w.ctx, original))
		w.clock.add(jobs.DefaultDeadline)
		w.ok(w.c.Recover(w.ctx))
	}
	if got := len(w.line.jobs(peer)); got != jobs.MaxAsks {
		t.Fatalf("asked %d times, want %d", got, jobs.MaxAsks)
	}
}

func TestClaimRefuses(t *testing.T) {
	w := newWorld(t)
	peer, other := w.peer(), w.peer()
	v := w.activate(version{})
	original := w.file(peer)
	hook := w.asked(peer)
	w.wantCode(w.c.Claim(w.ctx, other, v, original.ID), errs.CodeNotFound)
	w.wantCode(w.c.Claim(w.ctx, peer, v, hook.ID), errs.CodeNotFound)
	w.wantCode(w.c.Claim(w.ctx, peer, v, newID()), errs.CodeNotFound)
	w.wantCode(w.c.Claim(w.ctx, peer, v, "x"), errs.CodeNotFound)
	w.wantCode(w.c.Claim(w.ctx, peer, hooks.Digest(nil), original.ID), errs.CodeHookNotActive)
}

func TestAPeerThatGoesFailsTheJobAtOnce(t *testing.T) {
	w := newWorld(t)
	peer, v := w.peer(), w.activate(version{})
	w.line.err = errs.New(errs.CodePeerNotConnected, "gone in this very moment")
	original := w.file(peer)
	w.ok(w.c.MatchOriginal(w.ctx, original))
	list, err := w.db.Jobs(w.ctx, jobs.Filter{Version: v, Limit: 10})
	w.ok(err)
	w.wantJob(list[0].ID, jobs.Failed, hooks.OutcomeCancelled, errs.CodePeerNotConnected)
	w.consistent(true)

	w.line.err = nil
	w.ok(w.c.MatchPeer(w.ctx, peer)) // its next hello
	if got := w.line.jobs(peer); len(got) != 1 || got[0].OriginalID != original.ID {
		t.Fatalf("after the hello the peer got %v", got)
	}
}

func TestResumeSendsWhatWasNotSent(t *testing.T) {
	w := newWorld(t)
	peer := w.peer()
	w.activate(version{})
	w.line.err = errors.New("the stream broke")
	original := w.file(peer)
	if err := w.c.MatchOriginal(w.ctx, original); err == nil {
		t.Fatal("the broken stream is no error")
	}
	w.line.err = nil
	w.ok(w.c.Resume(w.ctx, peer))
	w.ok(w.c.Resume(w.ctx, peer)) // what was sent is not sent again
	got := w.line.jobs(peer)
	if len(got) != 1 || got[0].OriginalID != original.ID || w.job(got[0].ID).SentAt.IsZero() {
		t.Fatalf("the peer got %v", got)
	}
}

// A job that went out on a stream that broke before the peer acknowledged it
// goes out again, under the same id, on the next stream; one that the peer has
// does not.
func TestResumeSendsAgainWhatWasNotAcknowledged(t *testing.T) {
	w := newWorld(t)
	peer := w.peer()
	w.activate(version{})
	lost, held := w.asked(peer), w.asked(peer)
	w.ok(w.db.MarkAcked(w.ctx, []collector.Ack{{JobID: held.ID, At: w.clock.Now()}}))
	w.ok(w.c.Resume(w.ctx, peer)) // the same stream: nothing is sent again
	if got := w.line.jobs(peer); len(got) != 2 {
		t.Fatalf("on the same stream the peer got %d jobs, want 2", len(got))
	}
	w.clock.add(time.Second)
	w.hello(peer, "yes")
	w.ok(w.c.Resume(w.ctx, peer))
	got := w.line.jobs(peer)
	if len(got) != 3 || got[2].ID != lost.ID {
		t.Fatalf("on the next stream the peer got %v, want %s again", got[2:], lost.ID)
	}
}

func TestResumeEndsWhatMustNotBeSent(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(w *world, v string)
		outcome hooks.Outcome
		code    errs.Code
	}{
		"disabled": {func(w *world, v string) {
			_, err := w.db.ChangeState(w.ctx, v, hooks.StateActive, hooks.StateDisabled, "no", w.clock.Now())
			w.ok(err)
		}, hooks.OutcomeCancelled, errs.CodeHookNotActive},
		"too late": {func(w *world, _ string) {
			w.clock.add(jobs.DefaultDeadline)
		}, hooks.OutcomeTimedOut, errs.CodeTimedOut},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			peer, v := w.peer(), w.activate(version{})
			w.line.err = errors.New("the stream broke")
			_ = w.c.MatchOriginal(w.ctx, w.file(peer))
			w.line.err = nil
			c.change(w, v)
			w.ok(w.c.Resume(w.ctx, peer))
			if got := w.line.jobs(peer); len(got) != 0 {
				t.Fatalf("the peer got %v", got)
			}
			list, err := w.db.Jobs(w.ctx, jobs.Filter{Version: v, Limit: 10})
			w.ok(err)
			w.wantJob(list[0].ID, jobs.Failed, c.outcome, c.code)
			w.consistent(true)
		})
	}
}

func TestActivationAsksNewestFirst(t *testing.T) {
	w := newWorld(t)
	var originals []jobs.Job
	for range 3 {
		peer := w.peer()
		for range 2 {
			w.clock.add(time.Second)
			originals = append(originals, w.file(peer))
		}
	}
	away := w.peer()
	w.file(away)
	w.line.connect(away, false)
	v := w.activate(version{perMinute: 2, quantity: 100})

	w.ok(w.c.MatchActivation(w.ctx, v))
	want := map[string]bool{}
	for i := len(originals) - 1; i >= 0; i -= 2 {
		want[originals[i].ID], want[originals[i-1].ID] = true, true
		w.wantAsked(want)
		w.ok(w.c.Sweep(w.ctx)) // the minute has had its two
		w.wantAsked(want)
		w.clock.add(time.Minute)
		w.ok(w.c.Sweep(w.ctx))
	}
	w.wantAsked(want)
	w.consistent(true)
}

// wantAsked checks which originals peers were asked about.
func (w *world) wantAsked(want map[string]bool) {
	w.Helper()
	got := map[string]bool{}
	for _, ds := range w.line.got {
		for _, d := range ds {
			got[d.Job.OriginalID] = true
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Fatalf("asked about %v, want %v", got, want)
	}
}

func TestHelloAsksAboutWhatWasMissed(t *testing.T) {
	w := newWorld(t)
	peer := w.peer()
	w.line.connect(peer, false)
	original := w.file(peer)
	w.file(w.peer())
	w.activate(version{hook: "one"})
	w.activate(version{hook: "two", level: hooks.LevelPackage, match: hooks.Match{Package: "crasher"}})
	w.activate(version{hook: "other", exe: "/usr/bin/other"})
	w.ok(w.c.MatchPeer(w.ctx, peer))
	if got := w.line.jobs(peer); len(got) != 0 {
		t.Fatalf("a peer that is not there got %v", got)
	}
	w.hello(peer, "yes")
	w.ok(w.c.MatchPeer(w.ctx, peer))
	w.ok(w.c.MatchPeer(w.ctx, peer))
	got := w.line.jobs(peer)
	if len(got) != 2 || got[0].OriginalID != original.ID || got[0].Hook == got[1].Hook {
		t.Fatalf("the peer got %v", got)
	}
}

func TestABusyPeerIsAskedLater(t *testing.T) {
	w := newWorld(t)
	peer := w.peer()
	w.activate(version{})
	for range jobs.MaxHooksPerPeer + 1 {
		w.ok(w.c.MatchOriginal(w.ctx, w.file(peer)))
	}
	got := w.line.jobs(peer)
	if len(got) != jobs.MaxHooksPerPeer {
		t.Fatalf("the peer got %d jobs", len(got))
	}
	w.ok(w.c.Sweep(w.ctx))
	_, err := w.c.Finish(w.ctx, peer, got[0].ID, collector.End{Outcome: hooks.OutcomeEmpty})
	w.ok(err)
	w.ok(w.c.Sweep(w.ctx))
	if got := len(w.line.jobs(peer)); got != jobs.MaxHooksPerPeer+1 {
		t.Fatalf("the peer got %d jobs", got)
	}
	w.consistent(true)
}

func TestRunMatchesInTheBackground(t *testing.T) {
	w := newWorld(t)
	ctx, stop := w.running(t)
	defer stop()
	peer := w.peer()
	v := w.activate(version{quantity: 100})
	original := w.file(peer)
	w.until(func() bool { return len(w.line.jobs(peer)) == 1 })

	late := w.peer()
	w.line.connect(late, false)
	w.file(late)
	w.hello(late, "yes")
	w.c.Hello(late)
	w.until(func() bool { return len(w.line.jobs(late)) == 1 })

	second := w.activate(version{hook: "second"})
	w.c.ActivatedVersion(second)
	w.until(func() bool { return len(w.line.jobs(peer)) == 2 })
	if e, err := w.c.Explain(ctx, original.ID, v); err != nil || e.HookJob == "" {
		t.Fatalf("explained %+v, %v", e, err)
	}
}

// until waits for what the workers do.
func (w *world) until(done func() bool) {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("it did not happen within ten seconds")
		}
	}
}

// What the owner allows at once, and the peer has no slots for, runs as slots
// become free; until then the explanation says that it was allowed.
func TestClaimsWaitForSlots(t *testing.T) {
	const all = 10
	w := newWorld(t)
	peer, v := w.peer(), w.activate(version{quantity: 100})
	var originals []string
	for range all {
		original := w.file(peer)
		w.ok(w.c.MatchOriginal(w.ctx, original))
		got := w.line.jobs(peer)
		_, err := w.c.Finish(w.ctx, peer, got[len(got)-1].ID, collector.End{Outcome: hooks.OutcomeDeferred, Code: "waits-for-owner"})
		w.ok(err)
		originals = append(originals, original.ID)
	}
	explained := func(original string) string {
		e, err := w.c.Explain(w.ctx, original, v)
		w.ok(err)
		return e.Verdict
	}
	if got := explained(originals[all-1]); !strings.Contains(got, "hookline-peer pending") || !strings.Contains(got, "allow-once") {
		t.Errorf("before the yes: %q", got)
	}
	for i, original := range originals {
		err := w.c.Claim(w.ctx, peer, v, original)
		if busy := errs.Is(err, errs.CodePeerBusy); busy != (i >= jobs.MaxHooksPerPeer) || err != nil && !busy {
			t.Fatalf("claim %d: %v", i, err)
		}
	}
	if got := explained(originals[all-1]); !strings.Contains(got, "allowed it") || !strings.Contains(got, "4 hook jobs under way") {
		t.Errorf("after the yes: %q", got)
	}
	for ended := all; ended < 2*all; { // behind those that were deferred
		got := w.line.jobs(peer)
		if ended == len(got) {
			t.Fatalf("%d of %d came", len(got)-all, all)
		}
		for ; ended < len(got); ended++ {
			_, err := w.c.Finish(w.ctx, peer, got[ended].ID, collector.End{Outcome: hooks.OutcomeEmpty})
			w.ok(err)
		}
		w.ok(w.c.Sweep(w.ctx))
	}
	for _, original := range originals {
		if got := explained(original); !strings.Contains(got, "it ran") {
			t.Errorf("in the end: %q", got)
		}
	}
	w.consistent(true)
}
