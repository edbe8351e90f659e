package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/cli"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// TestHookTest runs hook test in every way, with programs that are built once.
func TestHookTest(t *testing.T) {
	bin := builtForTests(t)
	t.Run("scripts", func(t *testing.T) { testHookTestScripts(t, bin) })
	for name, test := range map[string]func(*stage){
		"over a job":                    testHookTestOverJob,
		"as JSON":                       testHookTestJSON,
		"limits as JSON":                testNoLimitInJSON,
		"many changes of fixtures":      testManyFixtureChanges,
		"the token of whoever tries it": testLiveRunCannotReadTheToken,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.env["HOOKLINE_SANDBOX"] = filepath.Join(bin, sandbox.BinaryName)
			test(s)
		})
	}
}

// testHookTestScripts runs testdata/hooktest/*.txtar with the built programs.
func testHookTestScripts(t *testing.T, bin string) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/hooktest",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"mode":   mode,
			"golden": golden,
		},
	})
}

// golden wants the output of the last command to be what a file says, but for
// what no two runs have in common.
func golden(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: golden stdout|stderr FILE")
	}
	want, got := ts.ReadFile(args[1]), steady(ts.ReadFile(args[0]))
	if diff := cmp.Diff(want, got); diff != "" {
		ts.Fatalf("%s is not %s:\n%s\n%s", args[0], args[1], diff, got)
	}
}

func steady(text string) string {
	for _, r := range []struct{ from, to string }{
		{`(?m)[0-9.]+ (ms|µs)$`, "TIME"},
		{`(?m)^(time|instructions|memory of the script|memory of the process|traffic of calls) +([0-9.]+ (ms|µs|B|KiB|MiB)|[0-9]+|unknown) +(\S+( (ms|MiB))?) *([0-9]+%)?$`, "$1: of $4"},
		{`(?m)^ +USED +OF +LEFT$`, "USED OF LEFT"},
		{`uid [0-9]+`, "uid N"},
	} {
		text = regexp.MustCompile(r.from).ReplaceAllString(text, r.to)
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" && line[0] != '+' && line[0] != ' ' && line[0] != '>' {
			lines[i] = regexp.MustCompile(` {2,}`).ReplaceAllString(line, "  ") // a column is as wide as what stands in it
		}
	}
	return strings.Join(lines, "\n")
}

func (s *stage) write(name, text string) {
	s.t.Helper()
	s.must(os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	s.must(os.WriteFile(s.path(name), []byte(text), 0o644))
}

const jobManifest = `hook: from-job
description: what a job says
level: package
match: {package: nginx}
fields:
  Copy: {type: text, class: technical, max_bytes: 200, raw: true}
limits: {lifetime: 7d, max_reports: 1, max_runs_per_peer: 1, max_percent: 100, max_bytes: 1000, max_result_bytes: 500, max_runtime: 1s}
`

// What a job's report says reaches a terminal only as text, whichever way the
// hook sends it there.
func testHookTestOverJob(s *stage) {
	hostile := "\x1b[2J\u202eevil\r\nok: 9 new fields"
	s.serveJob(hooks.Report{hooks.FieldPackage: "nginx", "Evil": hostile})
	one := s.thief.answer
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/api/jobs" {
			_ = json.NewEncoder(w).Encode(api.Page[api.Job]{Items: []api.Job{{ID: "j1"}}})
			return true
		}
		return one(w, r)
	}
	s.write("h/hook.yaml", jobManifest)
	for script, want := range map[string]string{
		`report.set("Copy", report.get("Evil"))`:        "ok: 1 new field",
		`log(report.get("Evil"))`:                       "empty: nothing to add\nending: empty\n",
		`error(report.get("Evil"))`:                     "ending: hook-error; nothing would be added",
		`pcall(fs.read, report.get("Evil"))`:            "empty: nothing to add\nending: empty, 1 call denied\n",
		"local evil = report.get('Evil')\nlog(\"end\")": "log",
	} {
		s.write("h/hook.lua", script)
		for _, job := range []string{"j1", "latest"} {
			_, out := s.hookline("hook", "test", s.path("h"), "--job", job, "--trace")
			if !strings.Contains(out, want) || strings.ContainsAny(out, "\x1b\u202e\r") || strings.Contains(out, "\nok: 9") {
				s.t.Errorf("%s over %s: %q", script, job, out)
			}
		}
	}
	s.want(2, "--report or --job, not both", "hook", "test", s.path("h"), "--job", "j1", "--report", "x")
	s.serveJob(nil)
	s.want(1, "cannot take the report of job j1", "hook", "test", s.path("h"), "--job", "j1")
}

// The answer for programs is one JSON object with all that people are shown.
func testHookTestJSON(s *stage) {
	s.write("h/hook.yaml", jobManifest)
	s.write("h/hook.lua", "report.set('Copy', 'a\\nb')\npcall(fs.read, '/etc/x')")
	s.write("h/report.json", `{"Package":"nginx"}`)
	code, text := s.hookline("hook", "test", s.path("h"), "--trace", "-o", "json")
	var got tested
	if err := json.Unmarshal([]byte(text), &got); err != nil || code != 0 {
		s.t.Fatalf("%d %v %s", code, err, text)
	}
	want := difference{
		Stay: 1, NotSet: []string{},
		Added: []addedField{{Name: "Copy", Type: hooks.TypeText, Class: hooks.ClassTechnical, Raw: true, Bytes: 6, MaxBytes: 200, Value: "a\nb"}},
	}
	if diff := cmp.Diff(want, got.Difference); diff != "" {
		s.t.Error(diff)
	}
	if got.Ending != hooks.EndingSucceeded || got.Denied != 1 || len(got.Trace) < 2 || got.Fields["Copy"] != "a\nb" || len(got.Calls) != 1 {
		s.t.Errorf("%+v", got)
	}
	for _, u := range got.Used {
		switch limited := u.Limit > 0; {
		case limited != (u.Left != nil), limited && *u.Left != (u.Limit-u.Used)*100/u.Limit:
			s.t.Errorf("%+v", u)
		case u.Name == "time" && (u.Used != int64(got.Stats.Wall) || u.Limit != int64(time.Second)):
			s.t.Errorf("%+v, but the wall clock says %d", u, got.Stats.Wall)
		}
		if u.Name == "result" && (u.Used != 15 || u.Limit != 500) {
			s.t.Errorf("%+v", u)
		}
	}
}

// A limit that a run cannot have is not shown as one that is used up.
func testNoLimitInJSON(s *stage) {
	s.write("h/hook.yaml", jobManifest)
	s.write("h/hook.lua", "report.set('Copy', 'a')")
	s.write("h/report.json", `{"Package":"nginx"}`)
	_, text := s.hookline("hook", "test", s.path("h"), "-o", "json")
	var got struct {
		Used []map[string]any `json:"used"`
	}
	s.must(json.Unmarshal([]byte(text), &got))
	for _, u := range got.Used {
		_, limit := u["limit"]
		_, left := u["left"]
		if want := u["name"] != "read of the machine"; limit != want || left != want {
			s.t.Errorf("%v", u)
		}
	}
	if len(got.Used) != 9 {
		s.t.Errorf("%v", got.Used)
	}
}

// A failed run says what its author can do, where the reason does not.
func TestRemedyOfAFailedRun(t *testing.T) {
	late := func(reason string) []sandbox.Call {
		return []sandbox.Call{{Name: "cmd.run", Code: "limit-time", Reason: reason}}
	}
	for _, tt := range []struct {
		code, reason string
		calls        []sandbox.Call
		want         string
	}{
		{"limit-time", "the hook ran longer than 2s", nil, "raise max_runtime"},
		{"limit-time", "the command ran longer than 1.5s", late("the command ran longer than 1.5s"), "one command has 1.5s and 2 s of processor time"},
		{"limit-time", "the command used more than 2 s of processor time, or was killed", late("the command used more than 2 s of processor time, or was killed"), "whatever max_runtime"},
		{"limit-time", "the command ran longer than 300ms", late("the command ran longer than 300ms"), "raise max_runtime"},
		{"limit-time", "the hook ran longer than 2s", late("the command ran longer than 1.5s"), "raise max_runtime"},
		{"hook-error", "no list", nil, "correct the script"},
		{"call-failed", replay.NotRecorded + ", under files: hook test --record makes them", nil, ""},
		{"call-failed", "no such file", nil, "pcall"},
	} {
		r := tested{Outcome: sandbox.Outcome{Code: tt.code, Error: tt.reason, Calls: tt.calls}}
		if got := r.remedy(); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s, %s: %q", tt.code, tt.reason, got)
		}
	}
}

// A hook runs here as nobody whom its author did not mean, and says so first.
func TestRunsAs(t *testing.T) {
	for _, tt := range []struct {
		as    hooks.Identity
		euid  int
		filer uint32
		want  string
	}{
		{hooks.AsService, 1000, 1000, "you (uid 1000); on a peer its unprivileged service user"},
		{hooks.AsService, 0, 0, "nobody (uid 65534); on a peer its unprivileged"},
		{hooks.AsReporter, 1000, 1000, "you (uid 1000); on a peer the user who filed"},
		{hooks.AsReporter, 0, 1000, "uid 1000, who filed the report as --filed-by or sudo says; on a peer the user who filed"},
		{hooks.AsReporter, 0, 0, "nobody (uid 65534), since the report counts as root's: --filed-by UID makes it another user's; on a peer the user"},
		{hooks.AsRoot, 0, 1000, "ROOT, as on a peer"},
		{hooks.AsRoot, 1000, 1000, "error: cannot run the hook here: it runs as root"},
	} {
		got, err := runsAs(tt.as, tt.euid, sandbox.Credential{UID: tt.filer, GID: tt.filer})
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// Who filed the report is whom a reporter's hook runs as, with the group that
// the system gives them.
func TestReporter(t *testing.T) {
	for by, want := range map[string]sandbox.Credential{
		"":                                you(),
		strconv.Itoa(int(you().UID)):      you(),
		"4294967294":                      {UID: 4294967294, GID: sandbox.Nobody},
		strconv.Itoa(int(sandbox.Nobody)): {UID: sandbox.Nobody, GID: sandbox.Nobody},
	} {
		o := testOptions{FiledBy: by, Live: true}
		filer, err := o.filer()
		if err != nil {
			t.Fatal(err)
		}
		if got := (trial{testOptions: o, task: sandbox.Task{Filer: filer}}).reporter(); got != want {
			t.Errorf("%q: %+v, expected %+v", by, got, want)
		}
	}
	for _, by := range []string{"4294967295", "4294967296", "-1", "root"} {
		if _, err := (testOptions{FiledBy: by}).filer(); err == nil {
			t.Errorf("%s is taken for a user", by)
		}
	}
}

// A difference longer than people read is cut, and says so.
func testManyFixtureChanges(s *stage) {
	var old strings.Builder
	old.WriteString("missing:\n")
	for i := range 50 {
		old.WriteString("  - /a" + strings.Repeat("x", i) + "\n")
	}
	s.write("h/hook.yaml", jobManifest)
	s.write("h/hook.lua", "log('x')")
	s.write("h/report.json", `{"Package":"nginx"}`)
	s.write("h/fixtures.yaml", old.String())
	code, out := s.hookline("hook", "test", s.path("h"), "--record", "--yes")
	if code != 0 || !strings.Contains(out, "… and 31 more") || strings.Count(out, "  - missing /a") != maxShownChanges-1 {
		s.t.Errorf("%d %s", code, out)
	}
	code, out = s.hookline("hook", "test", s.path("h"), "--record", "--yes")
	if code != 0 || !strings.Contains(out, "says the same already") {
		s.t.Errorf("%d %s", code, out)
	}
	s.write("h/fixtures.yaml", "files: [")
	s.want(0, "cannot be read as fixtures", "hook", "test", s.path("h"), "--record", "--yes")
}

// Somebody else's hook, tried here, does not get the token of its reader.
func testLiveRunCannotReadTheToken(s *stage) {
	token := s.path(".config/hookline/config.yaml")
	if _, err := os.Stat(token); err != nil {
		s.t.Fatal(err)
	}
	s.write("h/hook.yaml", strings.Replace(jobManifest, "fields:", "capabilities: {fs.read: ["+token+"]}\nfields:", 1))
	s.write("h/hook.lua", "fs.read('"+token+"')")
	s.write("h/report.json", `{"Package":"nginx"}`)
	s.want(1, "denied: belongs to the peer itself", "hook", "test", s.path("h"), "--live", "--yes")
}

// Whatever a run says, what people read has no character that could move
// their cursor.
func TestTestedIsSafeToRead(t *testing.T) {
	const evil = "\x1b[2J\u202e\r\x00\u200b"
	var out strings.Builder
	a := &app{out: &out, err: &out, output: outputTable}
	work := trial{folder: folder{dir: evil, script: []byte("a\n" + evil + "\nc")}, from: evil}
	work.manifest.Fields = map[string]hooks.ManifestField{
		"A" + evil: {Type: evil, Class: evil}, "B" + evil: {}, "C" + evil: {}, "D" + evil: {}, "E" + evil: {},
	}
	outcome := sandbox.Outcome{
		Fields: hooks.Fields{"A" + evil: evil, "B" + evil: evil + "\n" + evil, "C" + evil: []any{evil}, "D" + evil: []any{strings.Repeat(evil, 20)}},
		Calls:  []sandbox.Call{{Name: evil, Arg: evil, Code: evil, Reason: evil}}, Log: []string{evil}, Trace: []string{evil},
	}
	for _, code := range []string{"", evil} {
		outcome.Code, outcome.Error, outcome.Line = code, evil, 2
		a.tested(work, work.result(outcome))
	}
	for _, r := range out.String() {
		if r != '\n' && cli.Dangerous(r) {
			t.Fatalf("%U in %q", r, out.String())
		}
	}
	if strings.Count(out.String(), `\u202e`) < 20 {
		t.Errorf("not everything was shown: %s", out.String())
	}
}
