package guard

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/sandbox"
)

// How a run ended decides what leaves; only checked new fields ever do.
func TestOutcomes(t *testing.T) {
	long := strings.Repeat("x", 500)
	for _, tc := range []struct {
		name    string
		out     sandbox.Outcome
		err     error
		outcome hooks.Outcome
		code    errs.Code
		text    string // HookError
		fields  string
	}{
		{"fields", sandbox.Outcome{Fields: hooks.Fields{"Answer": "42"}}, nil, hooks.OutcomeReceived, "", "", `{"Answer":"42"}`},
		{"nothing new", sandbox.Outcome{}, nil, hooks.OutcomeEmpty, "", "", ""},
		{
			"a Lua error",
			sandbox.Outcome{Code: "hook-error", Line: 3, Error: "attempt to call nil"},
			nil,
			hooks.OutcomeFailed, errs.CodeHookError, "hook-error: line 3: attempt to call nil", "",
		},
		{
			"a long Lua error",
			sandbox.Outcome{Code: "hook-error", Error: long},
			nil,
			hooks.OutcomeFailed, errs.CodeHookError, ("hook-error: " + long)[:200], "",
		},
		{
			"fields and an error",
			sandbox.Outcome{Code: "hook-error", Fields: hooks.Fields{"Answer": "42"}},
			nil,
			hooks.OutcomeFailed, errs.CodeHookError, "hook-error", "",
		},
		{"too long", sandbox.Outcome{Code: "limit-time"}, nil, hooks.OutcomeFailed, errs.CodeLimitTime, "limit-time: (the limit: 1s, 50000000 instructions)", ""},
		{"too much memory", sandbox.Outcome{Code: "limit-memory"}, nil, hooks.OutcomeFailed, errs.CodeLimitMemory, "limit-memory: (the limit: 32 MiB of Lua memory, 128 MiB of the process)", ""},
		{
			"not confined",
			sandbox.Outcome{},
			errs.New(errs.CodeSandboxUnconfined, "no landlock"),
			hooks.OutcomeFailed, errs.CodeSandboxUnconfined, "", "",
		},
		{
			"an uncoded error",
			sandbox.Outcome{},
			fmt.Errorf("open /secret/path"),
			hooks.OutcomeFailed, errs.CodeInternal, "", "",
		},
		{
			"an undeclared field",
			sandbox.Outcome{Fields: hooks.Fields{"Other": "1"}},
			nil,
			hooks.OutcomeFailed, errs.CodeResultUndeclared, "", "",
		},
		{
			"a field that the report has",
			sandbox.Outcome{Fields: hooks.Fields{"Package": "nginx"}},
			nil,
			hooks.OutcomeFailed, errs.CodeResultFieldExists, "", "",
		},
		{
			"a field of another type",
			sandbox.Outcome{Fields: hooks.Fields{"Answer": true}},
			nil,
			hooks.OutcomeFailed, errs.CodeResultFieldType, "", "",
		},
		{
			"a field that is too big",
			sandbox.Outcome{Fields: hooks.Fields{"Answer": long}},
			nil,
			hooks.OutcomeFailed, errs.CodeResultTooBig, "", "",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newKit(t)
			k.sandbox = func(context.Context, sandbox.Task) (sandbox.Outcome, error) { return tc.out, tc.err }
			g := k.optedIn(HooksYes)
			end := connect(t, g).end(k.run(file(t, g), nil))
			if end.Finish.Outcome != tc.outcome || end.Code != string(tc.code) {
				t.Fatalf("ended %s %s (%s), want %s %s", end.Finish.Outcome, end.Code, end.Reason, tc.outcome, tc.code)
			}
			if end.Finish.HookError != tc.text || string(end.Finish.Fields) != tc.fields {
				t.Errorf("hook error %q, fields %s", end.Finish.HookError, end.Finish.Fields)
			}
			if strings.Contains(end.Reason, "/secret/path") {
				t.Errorf("the reason tells %q", end.Reason)
			}
			e := lastEntry(t, g, KindOutcome)
			if e.Ending != hooks.EndingOf(tc.outcome, tc.code) || e.Outcome != string(tc.outcome) || e.Code != string(tc.code) || string(e.Fields) != tc.fields {
				t.Errorf("record: %+v", e)
			}
		})
	}
}

// What left is in the record, byte for byte, with what was read for it.
func TestRecordHoldsExactlyWhatLeft(t *testing.T) {
	k := newKit(t)
	var got sandbox.Task
	k.sandbox = func(_ context.Context, task sandbox.Task) (sandbox.Outcome, error) {
		got = task
		return sandbox.Outcome{
			Fields: hooks.Fields{"Answer": "<42> & \"more\""}, Denied: 1,
			Calls: []sandbox.Call{{Name: "fs.read", Arg: "/proc/meminfo", Bytes: 12}, {Name: "fs.read", Arg: "/etc/shadow", Code: "denied"}},
		}, nil
	}
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	end := s.end(k.run(original, nil))
	e := lastEntry(t, g, KindOutcome)
	if string(e.Fields) != string(end.Finish.Fields) || e.JobID != end.JobID || e.OriginalID != original {
		t.Errorf("record %+v, left %s", e, end.Finish.Fields)
	}
	if len(e.Reads) != 2 || e.Reads[1].Code != "denied" || e.Denied != 1 || end.Finish.Denied != 1 {
		t.Errorf("reads %+v, denied %d", e.Reads, e.Denied)
	}
	if string(got.Script) != script || got.Report["Package"] != "nginx" || got.Facts.Kernel != "6.1" {
		t.Errorf("task %+v", got)
	}
	s.write(guardwire.Message{Kind: guardwire.KindFinished, JobID: end.JobID})
	eventually(t, "the outbox empties of the result", func() bool { return g.Handle(Caller{}, guardwire.Request{Op: guardwire.OpStatus}).Status.Outbox == 1 })
}

// blocked is a sandbox whose runs wait.
func blocked(started chan<- string, release <-chan struct{}) sandboxFunc {
	return func(ctx context.Context, t sandbox.Task) (sandbox.Outcome, error) {
		started <- t.Predicate.Hook
		select {
		case <-release:
			return sandbox.Outcome{Fields: hooks.Fields{"Answer": "42"}}, nil
		case <-ctx.Done():
			return sandbox.Outcome{}, ctx.Err()
		}
	}
}

// version makes different versions of a hook.
func version(n int64) func(*hooks.Predicate) {
	return func(p *hooks.Predicate) { p.Version = n }
}

func TestAtMostFourRuns(t *testing.T) {
	k := newKit(t)
	started, release := make(chan string, 10), make(chan struct{})
	k.sandbox = blocked(started, release)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	for n := int64(1); n <= maxRuns; n++ {
		s.write(guardwire.Message{Kind: guardwire.KindRun, JobID: newID(t), Run: k.run(original, version(n))})
		<-started
	}
	if end := s.end(k.run(original, version(9))); end.Code != string(errs.CodePeerBusy) {
		t.Fatalf("the fifth: %s", end.Code)
	}
	close(release)
	for range maxRuns {
		if end := s.await(guardwire.KindFinish); end.Code != "" {
			t.Errorf("ended %s", end.Code)
		}
	}
}

func TestCancelAndOptOutStopRuns(t *testing.T) {
	for _, tc := range []struct {
		name string
		stop func(s *side, g *Guard, job string)
		code errs.Code
	}{
		{"the server cancels", func(s *side, _ *Guard, job string) {
			s.write(guardwire.Message{Kind: guardwire.KindCancel, JobID: job})
		}, errs.CodeRunCancelled},
		{"the owner opts out", func(s *side, g *Guard, _ string) {
			owner(s.t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(HooksNo)})
		}, errs.CodeNotOptedIn},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newKit(t)
			started := make(chan string, 1)
			k.sandbox = blocked(started, nil)
			g := k.optedIn(HooksYes)
			s := connect(t, g)
			job := newID(t)
			s.write(guardwire.Message{Kind: guardwire.KindRun, JobID: job, Run: k.run(file(t, g), nil)})
			<-started
			tc.stop(s, g, job)
			end := s.await(guardwire.KindFinish)
			if end.Code != string(tc.code) || end.Finish.Outcome != hooks.OutcomeFailed {
				t.Fatalf("ended %+v %+v", end, end.Finish)
			}
		})
	}
}

// An owner who says no while the hook runs keeps the result in, also where
// the hook does not notice.
func TestOptOutWithholdsTheResult(t *testing.T) {
	k := newKit(t)
	var g *Guard
	k.sandbox = func(context.Context, sandbox.Task) (sandbox.Outcome, error) {
		owner(t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(HooksNo)})
		return sandbox.Outcome{Fields: hooks.Fields{"Answer": "42"}}, nil
	}
	g = k.optedIn(HooksYes)
	end := connect(t, g).end(k.run(file(t, g), nil))
	if end.Code != string(errs.CodeNotOptedIn) || end.Finish.Fields != nil || lastEntry(t, g, KindOutcome).Fields != nil {
		t.Fatalf("ended %+v %+v", end, end.Finish)
	}
}

// A job that comes twice runs once, and its end is told again.
func TestSameJobTwice(t *testing.T) {
	k := newKit(t)
	runs := 0
	k.sandbox = func(context.Context, sandbox.Task) (sandbox.Outcome, error) {
		runs++
		return sandbox.Outcome{Fields: hooks.Fields{"Answer": "42"}}, nil
	}
	g := k.optedIn(HooksYes)
	s := connect(t, g)
	m := guardwire.Message{Kind: guardwire.KindRun, JobID: newID(t), Run: k.run(file(t, g), nil)}
	for range 2 {
		s.write(m)
		if end := s.await(guardwire.KindFinish); end.JobID != m.JobID || end.Finish.Outcome != hooks.OutcomeReceived {
			t.Fatalf("ended %+v", end.Finish)
		}
	}
	s.write(guardwire.Message{Kind: guardwire.KindFinished, JobID: m.JobID})
	s.write(m) // a server that lies about what it has
	s.await(guardwire.KindAck)
	if runs != 1 {
		t.Errorf("ran %d times", runs)
	}
}

// kill -9 between the count and the end: the count stays, the run is over.
func TestCountSurvivesAKill(t *testing.T) {
	k := newKit(t)
	started := make(chan string, 1)
	k.sandbox = blocked(started, nil)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	job := newID(t)
	connect(t, g).write(guardwire.Message{Kind: guardwire.KindRun, JobID: job, Run: k.run(original, nil)})
	<-started
	kill(t, g)

	k.sandbox = answers(hooks.Fields{"Answer": "42"})
	again := k.open()
	s := connect(t, again)
	end := s.await(guardwire.KindFinish)
	if end.JobID != job || end.Code != string(errs.CodeRunInterrupted) || end.Finish.Outcome != hooks.OutcomeFailed {
		t.Fatalf("the interrupted run ended %+v %+v", end, end.Finish)
	}
	if end := s.end(k.run(original, nil)); end.Code != string(errs.CodeRunLimit) {
		t.Fatalf("the second run: %s", end.Code)
	}
	if !again.record.Intact() {
		t.Error("the record is damaged")
	}
}

// A kill between the two writes of a run's end: the result is kept and the
// record does not have it yet. It gets it before the result leaves.
func TestKeptResultIsRecordedBeforeItLeaves(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	r := Running{Pair: Pair{Digest: "ab", OriginalID: newID(t)}, JobID: newID(t), Hook: "answer"}
	k.change(g, func(s *State) { s.Running = []Running{r} })
	g.keepEnd(guardwire.Message{
		Kind: guardwire.KindFinish, JobID: r.JobID,
		Finish: &guardwire.Finish{Outcome: hooks.OutcomeReceived, Fields: []byte(`{"Answer":"42"}`)},
	})
	kill(t, g)
	again := k.open()
	if e := lastEntry(t, again, KindOutcome); e.JobID != r.JobID || string(e.Fields) != `{"Answer":"42"}` {
		t.Errorf("entry %+v", e)
	}
	if m := connect(t, again).await(guardwire.KindFinish); string(m.Finish.Fields) != `{"Answer":"42"}` {
		t.Errorf("left %+v", m.Finish)
	}
}

// Reports and results that nobody confirmed are there after a kill, and are
// sent again.
func TestOutboxSurvivesAKill(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	end := connect(t, g).end(k.run(original, nil))
	kill(t, g)
	again := k.open()
	s := connect(t, again)
	if m := s.await(guardwire.KindFinish); m.JobID != end.JobID || string(m.Finish.Fields) != `{"Answer":"42"}` {
		t.Errorf("the result: %+v", m)
	}
	if m := s.await(guardwire.KindFile); m.File.ID != original || m.File.Report["Package"] != "nginx" {
		t.Errorf("the report: %+v", m.File)
	}
	s.write(guardwire.Message{Kind: guardwire.KindFinished, JobID: end.JobID})
	s.write(guardwire.Message{Kind: guardwire.KindFiled, JobID: original})
	eventually(t, "the outbox is empty", func() bool { return owner(t, again, guardwire.Request{Op: guardwire.OpStatus}).Status.Outbox == 0 })
	if e := lastEntry(t, again, KindAnswered); e.Decision != "stored" || e.JobID != original {
		t.Errorf("entry %+v", e)
	}
}

func TestManyReportsGoInAWindow(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksNo)
	const n = 3*window + 5
	for range n {
		file(t, g)
	}
	s := connect(t, g)
	seen := map[string]bool{}
	for len(seen) < n {
		id := s.await(guardwire.KindFile).File.ID
		if seen[id] {
			t.Fatalf("report %s came twice", id)
		}
		seen[id] = true
		g.mu.Lock()
		if n := len(g.outbox.sent); n > window {
			t.Errorf("%d on their way", n)
		}
		g.mu.Unlock()
		s.write(guardwire.Message{Kind: guardwire.KindFiled, JobID: id})
	}
}
