package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/sandbox"

	"golang.org/x/sys/unix"
)

// realSandbox runs a kit's hooks in real processes.
func (k *kit) realSandbox() *kit {
	k.real = &sandbox.Runner{Binary: sandboxBinary, Deny: []string{k.dir}}
	return k
}

// busy takes seconds before its budget of instructions ends it.
const busy = `while true do string.format("%99.99f", 1e300 / 3) end`

// Every way in which a real run can end is told apart, in what leaves and in
// the record: of a limit which and how much, of a denial what was asked for.
func TestEndingsOfRealRuns(t *testing.T) {
	k := newKit(t).realSandbox()
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	for n, tc := range []struct {
		name, lua string
		ending    hooks.Ending
		code      errs.Code
		says      []string // of the reason
		denied    int
	}{
		{"brings something", `report.set("Answer", "42")`, hooks.EndingSucceeded, "", nil, 0},
		{"returns nothing", `return nil`, hooks.EndingEmpty, "", nil, 0},
		{"raises", "\nerror('no luck')", hooks.EndingHookError, errs.CodeHookError, []string{"line 2", "no luck"}, 0},
		{"does not compile", "x = = 1", hooks.EndingHookError, errs.CodeBadScript, []string{"line 1", "syntax"}, 0},
		{"reads what is not there", `fs.read("/proc/nothing")`, hooks.EndingHookError, errs.CodeCallFailed, []string{"fs.read", "/proc/nothing"}, 0},
		{"loops", `while true do end`, hooks.EndingLimit, errs.CodeLimitTime, []string{"line 1"}, 0}, // the clock or the budget of instructions
		{"takes long", busy, hooks.EndingLimit, errs.CodeLimitTime, []string{"300ms"}, 0},
		{"eats memory", `local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end`, hooks.EndingLimit, errs.CodeLimitMemory, []string{"32 MiB"}, 0},
		{"asks too often", `for i = 1, 6000 do report.get("Package") end`, hooks.EndingLimit, errs.CodeLimitCalls, []string{"5000"}, 0},
		{"reads a secret", `fs.read("/etc/shadow")`, hooks.EndingDenied, errs.CodeDenied, []string{"fs.read", "/etc/shadow", "not within the signed capabilities"}, 1},
		{
			"catches two denials", `pcall(fs.read, "/etc/shadow") pcall(fs.read, "/etc/passwd") report.set("Answer", "42")`,
			hooks.EndingSucceeded, "", nil, 2,
		},
		{"catches one and finds nothing", `pcall(fs.read, "/etc/shadow")`, hooks.EndingEmpty, "", nil, 1},
		{"sets what was not declared", `report.set("Other", "1")`, hooks.EndingHookError, errs.CodeResultUndeclared, []string{"report.set", "Other"}, 0},
	} {
		end := s.end(k.runScript(original, tc.lua, func(p *hooks.Predicate) {
			p.Version, p.MaxRuntimeMS, p.Capabilities = int64(n+1), 1500, hooks.ReadingOnly("/proc/meminfo", "/proc/nothing")
			if tc.code == errs.CodeLimitTime {
				p.MaxRuntimeMS = 300
			}
		}))
		if got := hooks.EndingOf(end.Finish.Outcome, errs.Code(end.Code)); got != tc.ending || end.Code != string(tc.code) {
			t.Errorf("%s: %s, %s: %s; want %s, %s", tc.name, got, end.Code, end.Reason, tc.ending, tc.code)
		}
		for _, want := range tc.says {
			if !strings.Contains(end.Reason, want) {
				t.Errorf("%s: the reason is %q, without %q", tc.name, end.Reason, want)
			}
		}
		e := lastEntry(t, g, KindOutcome)
		if e.Ending != tc.ending || e.Denied != tc.denied || end.Finish.Denied != tc.denied || e.Code != end.Code || e.Reason != end.Reason {
			t.Errorf("%s: record %+v, left %+v", tc.name, e, end.Finish)
		}
		if e.Used == nil || e.Used.WallMS < 0 || e.Used.Calls < tc.denied {
			t.Errorf("%s: used %+v", tc.name, e.Used)
		}
	}
}

// A process of the run that is ended from outside ends that run only.
func TestEndingOfAKilledRun(t *testing.T) {
	for role, want := range map[string][]hooks.Ending{
		"worker": {hooks.EndingKilled},
		"broker": {hooks.EndingKilled},
	} {
		t.Run(role, func(t *testing.T) {
			k := newKit(t).realSandbox()
			g := k.optedIn(HooksYes)
			original := file(t, g)
			s := connect(t, g)
			long := k.runScript(original, busy, func(p *hooks.Predicate) { p.MaxRuntimeMS = 10_000 })
			s.write(guardwire.Message{Kind: guardwire.KindRun, JobID: newID(t), Run: long})
			var pid int
			eventually(t, "the hook runs", func() bool {
				pid = processOf(t, role)
				return pid != 0 && processorTime(t, processOf(t, "worker")) > 100*time.Millisecond
			})
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			end := s.await(guardwire.KindFinish)
			if e := lastEntry(t, g, KindOutcome); !slices.Contains(want, e.Ending) || end.Code != e.Code || end.Reason == "" {
				t.Errorf("record %s, %s: %s; left %s", e.Ending, e.Code, e.Reason, end.Code)
			}
			if end := s.end(k.run(original, version(2))); end.Finish.Outcome != hooks.OutcomeReceived {
				t.Errorf("the next run ended %s %s", end.Code, end.Reason)
			}
		})
	}
}

// processOf finds the child of this process that plays a part in a run.
func processOf(t *testing.T, role string) int {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, pid := range strings.Fields(string(b)) {
			args, err := os.ReadFile("/proc/" + pid + "/cmdline")
			if err == nil && strings.HasPrefix(string(args), "hookline-sandbox\x00"+role+"\x00") {
				n, err := strconv.Atoi(pid)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
	}
	return 0
}

// processorTime is what a process has used, zero for none.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, ok := strings.Cut(string(b), ") ")
	if err != nil || !ok {
		return 0
	}
	ticks, err := strconv.Atoi(strings.Fields(after)[11])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// What does not run says why, also where no Lua ran because the sandbox could
// not be confined.
func TestEndingOfWhatDidNotRun(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	end := s.end(k.run(newID(t), nil))
	if e := lastEntry(t, g, KindDecision); e.Ending != hooks.EndingRefused || e.Code != string(errs.CodeOriginalUnknown) || e.Reason != end.Reason || e.May != nil {
		t.Errorf("refused: %+v", e)
	}
	k.real = &sandbox.Runner{Binary: filepath.Join(k.dir, "none")}
	end = s.end(k.run(original, nil))
	e := lastEntry(t, g, KindOutcome)
	if e.Ending != hooks.EndingRefused || end.Code != string(errs.CodeSandboxUnconfined) || e.Reason == "" || e.Used != nil {
		t.Errorf("without a sandbox: %+v", e)
	}
	owner(t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(HooksAsk)})
	s.end(k.run(original, version(2)))
	if e := lastEntry(t, g, KindDecision); e.Ending != hooks.EndingDeferred || e.May == nil || e.As != "service" {
		t.Errorf("deferred: %+v", e)
	}
}

// Whatever limit ends a run, the reason says how much it is.
func TestLimitsSayHowMuch(t *testing.T) {
	p := hooks.Predicate{MaxRuntimeMS: 1500, MaxResultBytes: 1024}
	for _, info := range errs.Table() {
		if hooks.EndingOf(hooks.OutcomeFailed, info.Code) != hooks.EndingLimit || info.Code == errs.CodeResultTooBig {
			continue // the guard's own words say it
		}
		text := whyItFailed(sandbox.Outcome{Code: string(info.Code), Error: "too much"}, p)
		if !strings.HasPrefix(text, "too much (the limit: ") || !strings.ContainsAny(text, "0123456789") {
			t.Errorf("%s: %q", info.Code, text)
		}
		if text := whyItFailed(sandbox.Outcome{Code: string(info.Code), Error: "more than 32 MiB", Line: 3}, p); text != "line 3: more than 32 MiB" {
			t.Errorf("%s: %q", info.Code, text)
		}
		if text := whyItFailed(sandbox.Outcome{Code: string(info.Code), Error: "fs.read: /var/2/x9: too much"}, p); !strings.Contains(text, "(the limit: ") {
			t.Errorf("%s takes a name's digits for the limit: %q", info.Code, text)
		}
	}
}

// A denial names the call, also where what the worker says does not; names
// that the hook made up stay here.
func TestDenialsSayWhat(t *testing.T) {
	for _, tc := range []struct {
		calls []sandbox.Call
		text  string
		want  string
	}{
		{[]sandbox.Call{{Name: "fs.read", Arg: "/etc/shadow", Code: "denied"}}, "fs.read: /etc/shadow: no", "fs.read: /etc/shadow: no"},
		{[]sandbox.Call{{Name: "fs.read"}, {Name: "cmd.run", Code: "denied"}, {Name: "fs.list", Code: "denied"}}, "no", "cmd.run: no"},
		{[]sandbox.Call{{Name: "fs.of-alice", Code: "denied"}}, "no", "a call: no"},
		{nil, "no", "no"},
	} {
		if got := whyItFailed(sandbox.Outcome{Code: "denied", Calls: tc.calls, Error: tc.text}, hooks.Predicate{}); got != tc.want {
			t.Errorf("%v, %q: %q, want %q", tc.calls, tc.text, got, tc.want)
		}
	}
}

// The processes of a run start while it is counted. Where that fails nothing
// runs in them, and none stays.
func TestProcessesOfAnUncountedRunEnd(t *testing.T) {
	k := newKit(t).realSandbox()
	started := make(chan struct{}, 1)
	k.starts = func() { started <- struct{}{} }
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	if err := g.record.file.Close(); err != nil {
		t.Fatal(err)
	}
	if end := s.end(k.run(original, nil)); end.Code != string(errs.CodeInternal) || end.Finish.Fields != nil {
		t.Fatalf("ended %s %s, %s", end.Code, end.Reason, end.Finish.Fields)
	}
	<-started
	g.runs.Wait()
	if worker, broker := processOf(t, "worker"), processOf(t, "broker"); worker != 0 || broker != 0 {
		t.Errorf("worker %d and broker %d are left", worker, broker)
	}
}
