package calls_test

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// disk is a host of two files that counts what was asked beyond the rules.
type disk struct{ t testing.TB }

func (d disk) ReadFile(p string, rules calls.Rules) ([]byte, error) {
	if err := rules.Check(p); err != nil || !path.IsAbs(p) || path.Clean(p) != p {
		d.t.Errorf("asked for %q: %v", p, err)
	}
	switch p {
	case "/data/ok":
		return []byte("content"), nil
	case "/data/big":
		return make([]byte, sandbox.MaxReadBytes+1), nil
	case "/data/much":
		return make([]byte, 10<<10), nil
	}
	return nil, errors.New("open /data/x: internal words")
}

func (d disk) List(p string, rules calls.Rules) ([]string, error) {
	if err := rules.Check(p); err != nil {
		d.t.Errorf("asked to list %q: %v", p, err)
	}
	switch p {
	case "/folder":
		return []string{"a", "b"}, nil
	case "/folder/many":
		return make([]string, sandbox.MaxListed+1), nil
	case "/folder/long":
		return slices.Repeat([]string{strings.Repeat("n", 255)}, sandbox.MaxListed), nil
	}
	return nil, calls.Failed("no such file")
}

func (d disk) Stat(p string, rules calls.Rules) (wire.FileInfo, error) {
	if err := rules.Check(p); err != nil {
		d.t.Errorf("asked to look at %q: %v", p, err)
	}
	return wire.FileInfo{Type: "file", Size: 7}, nil
}

func (d disk) Run(name string, args []string) (sandbox.CommandOutput, error) {
	cmd, ok := newTask().Predicate.Capabilities.Command(name)
	if !ok || cmd.Check(args) != nil {
		d.t.Errorf("asked to run %s %q", name, args)
	}
	if name == "flood" {
		return sandbox.CommandOutput{Stdout: make([]byte, sandbox.MaxOutputBytes), Stderr: []byte("x")}, nil
	}
	return sandbox.CommandOutput{Stdout: []byte("out " + strings.Join(args, " ")), Stderr: []byte("err"), Exit: 3}, nil
}

func newTask() sandbox.Task {
	return sandbox.Task{
		Script: []byte("x"),
		Filer:  sandbox.Filer{UID: 1000, Known: true},
		Predicate: hooks.Predicate{
			Match: hooks.Match{Package: "nginx"},
			Capabilities: hooks.Capabilities{
				FSRead: []string{"/data/*", "/exact", "/proc/{pid}/environ", "/proc/{pid}/limits"},
				FSList: []string{"/folder", "/folder/*", "/proc/{pid}/fd", "/proc/{pid}/task"}, FSStat: []string{"/data/*"},
				CmdRun: []hooks.Command{
					{Name: "disk", Program: "/bin/df", Args: []string{"{path}"}, Paths: []string{"/data/*", "/exact"}},
					{Name: "flood", Program: "/bin/yes"},
					{Name: "verify", Program: "/usr/bin/dpkg", Args: []string{"--verify", "{package}"}},
				},
			},
			Fields:         []hooks.DeclaredField{{Name: "Text", Type: hooks.TypeText, MaxBytes: 100}, {Name: "JSON", Type: hooks.TypeJSON, MaxBytes: 200}},
			MaxResultBytes: 250,
			MaxRuntimeMS:   1000,
		},
		Report: hooks.Report{"A": "b", "Text2": "x"},
		Redact: sandbox.Redaction{Users: []string{"alice"}},
	}
}

// say is what a worker says: frames in a row, without waiting for answers.
func say(t testing.TB, frames ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	for i := 0; i < len(frames); i += 2 {
		if _, err := wire.Write(&b, frames[i], []byte(frames[i+1].(string)), 1<<30); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func serve(t testing.TB, said []byte) (sandbox.Outcome, []byte) {
	t.Helper()
	return serveTask(t, newTask(), said)
}

func serveTask(t testing.TB, task sandbox.Task, said []byte) (sandbox.Outcome, []byte) {
	t.Helper()
	var answers bytes.Buffer
	out := calls.Serve(bytes.NewReader(said), &answers, task, disk{t}, []string{"/data/own"})
	return out, answers.Bytes()
}

var ready = wire.Request{Op: wire.OpReady}

func TestWorkersWord(t *testing.T) {
	t.Parallel()
	end := func(code, text string) wire.Request {
		return wire.Request{Op: wire.OpEnd, Code: code, Error: text, Line: 7}
	}
	for _, tt := range []struct {
		name   string
		frames []any
		code   string
		fields int
	}{
		{"ends well", []any{ready, "", wire.Request{Op: wire.OpSet, Arg: "Text"}, `"x"`, end("", ""), ""}, "", 1},
		{"ends badly", []any{ready, "", wire.Request{Op: wire.OpSet, Arg: "Text"}, `"x"`, end("hook-error", "e"), ""}, "hook-error", 0},
		{"a code of its own", []any{ready, "", end("not-opted-in", "e"), ""}, "hook-error", 0},
		{"a call's code without the call", []any{ready, "", end("denied", "e"), ""}, "hook-error", 0},
		{"a call's code", []any{ready, "", wire.Request{Op: wire.OpRead, Arg: "/etc/x"}, "", end("denied", "e"), ""}, "denied", 0},
		{"goes away", []any{ready, "", wire.Request{Op: wire.OpSet, Arg: "Text"}, `"x"`}, "sandbox-crash", 0},
		{"says nothing", nil, "sandbox-crash", 0},
		{"not confined", []any{wire.Request{Op: wire.OpEnd, Code: "sandbox-unconfined"}, ""}, "sandbox-unconfined", 0},
		{"not confined after all", []any{ready, "", wire.Request{Op: wire.OpRead, Arg: "/data/ok"}, "", wire.Request{Op: wire.OpEnd, Code: "sandbox-unconfined"}, ""}, "sandbox-crash", 0},
		{"out of turn", []any{wire.Request{Op: wire.OpRead, Arg: "/data/ok"}, ""}, "sandbox-crash", 0},
		{"a frame too big", []any{ready, "", wire.Request{Op: wire.OpSet, Arg: "Text"}, strings.Repeat(" ", sandbox.MaxFrameBytes)}, "limit-calls", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, _ := serve(t, say(t, tt.frames...))
			if out.Code != tt.code || len(out.Fields) != tt.fields {
				t.Errorf("%+v", out)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ op, arg, tail, want string }{
		{wire.OpGet, "A", "", "b"},
		{wire.OpGet, "Z", "", "{nil}"},
		{wire.OpNames, "", "", `["A","Text2"]`},
		{wire.OpRead, "/data/ok", "", "content"},
		{wire.OpRead, "/data/gone", "", "{call-failed cannot read the file}"},
		{wire.OpRead, "/data/big", "", "{limit-read the file is larger than 256 KiB}"},
		{wire.OpRead, "/data/own", "", "{denied belongs to the peer itself}"},
		{wire.OpRead, "/data/x.key", "", "{denied secrets and key files are never read}"},
		{wire.OpRead, "/data/a/b", "", "{denied not within the signed capabilities}"},
		{wire.OpRead, "data/ok", "", "{denied path must be absolute, without . and .. and doubled slashes}"},
		{wire.OpRead, "/data/\x00", "", "{denied path must be printable ASCII}"},
		{wire.OpRead, strings.Repeat("/data", 500), "", "{denied path is too long}"},
		{wire.OpSet, "A", `"x"`, "{field-undeclared no such field is declared}"},
		{wire.OpSet, "Text", `"x"`, ""},
		{wire.OpSet, "Text", `1`, "{field-type the declared type is text, the value is the number 1}"},
		{wire.OpSet, "Text", ``, "{field-type the value is not JSON}"},
		{wire.OpSet, "Text", `"a" "b"`, "{field-type the value is not JSON}"},
		{wire.OpSet, "Text", "\"\xff\"", "{field-type the value is not UTF-8}"},
		{wire.OpUnavailable, "fs.write", "", "{denied there is no such call}"},
		{"fs.write", "/data/ok", "", "{denied unknown call}"},
		{wire.OpTrace, "", "x", "{denied unknown call}"}, // no traced run
		{wire.OpList, "/folder", "", `["a","b"]`},
		{wire.OpList, "/folder/gone", "", "{call-failed no such file}"},
		{wire.OpList, "/folder/many", "", "{limit-read the folder has more than 4096 names, or 256 KiB of them}"},
		{wire.OpList, "/folder/long", "", "{limit-read the folder has more than 4096 names, or 256 KiB of them}"},
		{wire.OpList, "/root/.ssh", "", "{denied not within the signed capabilities}"},
		{wire.OpList, "/data", "", "{denied not within the signed capabilities}"},
		{wire.OpRead, "/folder", "", "{denied not within the signed capabilities}"},
		{wire.OpList, "/proc/12/fd", "", "{call-failed no such file}"},
		{wire.OpRead, "/proc/12/environ", "", "{denied memory, environment and open files of processes are never read}"},
		{wire.OpStat, "/data/x", "", `{"type":"file","size":7,"mode":0,"uid":0,"gid":0,"links":0,"mtime":0}`},
		{wire.OpStat, "/data/x.key", "", "{denied secrets and key files are never read}"},
		{wire.OpStat, "/data/own", "", "{denied belongs to the peer itself}"},
		{wire.OpRun, "verify", `["--verify","libc6"]`, "3:18:out --verify libc6err"},
		{wire.OpRun, "verify", `["--verify","--admindir=/tmp"]`, `{denied argument 2 of verify: "--admindir=/tmp" is no package name}`},
		{wire.OpRun, "verify", `["--verify"]`, "{denied verify takes 2 argument(s), not 1: give the whole list as signed: --verify {package}}"},
		{wire.OpRun, "verify", `["--verify",1]`, "{denied the arguments must be at most 32 texts}"},
		{wire.OpRun, "verify", `{}`, "{denied the arguments must be at most 32 texts}"},
		{wire.OpRun, "verify", ``, "{denied the arguments must be at most 32 texts}"},
		{wire.OpRun, "flood", `[]`, "{limit-output the command printed more than 256 KiB}"},
		{wire.OpRun, "sh", `["-c","id"]`, "{denied not among the signed commands}"},
		{wire.OpRun, "disk", `["/data/x"]`, "3:11:out /data/xerr"},
		{wire.OpRun, "disk", `["/data/own"]`, "{denied belongs to the peer itself}"},
		{wire.OpRun, "disk", `["/data/id_rsa"]`, "{denied secrets and key files are never read}"},
		{wire.OpRun, "disk", `["/etc/shadow"]`, `{denied argument 1 of disk: "/etc/shadow" is not within the signed paths}`},
	} {
		t.Run(tt.op+" "+calls.Clip(tt.arg, 20)+calls.Clip(tt.tail, 40), func(t *testing.T) {
			t.Parallel()
			_, answers := serve(t, say(t, ready, "", wire.Request{Op: tt.op, Arg: tt.arg}, tt.tail))
			if got := secondAnswer(t, answers); got != tt.want {
				t.Errorf("%s, expected %s", got, tt.want)
			}
		})
	}
}

// secondAnswer is what followed the start: the tail, "{nil}", "{code message}"
// or, of a command, "exit:split:output".
func secondAnswer(t *testing.T, answers []byte) string {
	t.Helper()
	r := bytes.NewReader(answers)
	var start wire.Start
	if _, _, err := wire.Read(r, &start, sandbox.MaxFrameBytes); err != nil {
		t.Fatal(err)
	}
	var answer wire.Response
	tail, _, err := wire.Read(r, &answer, sandbox.MaxFrameBytes)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case answer.Nil:
		return "{nil}"
	case answer.Code != "":
		return fmt.Sprintf("{%s %s}", answer.Code, answer.Error)
	case answer.Exit != 0:
		return fmt.Sprintf("%d:%d:%s", answer.Exit, answer.Split, tail)
	}
	return string(tail)
}

// A report that somebody other than root filed must not choose what a hook of
// root looks at: only what was signed word by word is open, and files of the
// filer's own processes.
func TestForgedReportDoesNotSteerRoot(t *testing.T) {
	t.Parallel()
	const only = "{denied a hook that runs as root over a report that somebody else filed opens exact paths only}"
	for _, tt := range []struct{ op, arg, tail, forged, trusted string }{
		{wire.OpRead, "/data/ok", "", only, "content"},
		{wire.OpRead, "/exact", "", "{call-failed cannot read the file}", "{call-failed cannot read the file}"},
		{wire.OpRead, "/proc/12/limits", "", "{call-failed cannot read the file}", "{call-failed cannot read the file}"},
		{wire.OpList, "/folder", "", `["a","b"]`, `["a","b"]`},
		{wire.OpList, "/folder/x", "", only, "{call-failed no such file}"},
		{wire.OpStat, "/data/ok", "", only, `{"type":"file","size":7,"mode":0,"uid":0,"gid":0,"links":0,"mtime":0}`},
		{wire.OpRun, "flood", "[]", "{limit-output the command printed more than 256 KiB}", "{limit-output the command printed more than 256 KiB}"},
		{wire.OpRun, "verify", `["--verify","libc6"]`, only, "3:18:out --verify libc6err"},
		{wire.OpRun, "verify", `["--verify","nginx"]`, "3:18:out --verify nginxerr", "3:18:out --verify nginxerr"},
		{wire.OpRun, "disk", `["/data/x"]`, only, "3:11:out /data/xerr"},
		{wire.OpRun, "disk", `["/exact"]`, "3:10:out /exacterr", "3:10:out /exacterr"},
	} {
		for filer, want := range map[sandbox.Filer]string{{}: tt.forged, {UID: 1000, Known: true}: tt.forged, {UID: 0, Known: true}: tt.trusted} {
			if filer == (sandbox.Filer{}) && strings.HasPrefix(tt.arg, "/proc/") {
				want = "{denied it is not known who filed the report, so no process is theirs}"
			}
			task := newTask()
			task.Predicate.As, task.Filer = hooks.AsRoot, filer
			_, answers := serveTask(t, task, say(t, ready, "", wire.Request{Op: tt.op, Arg: tt.arg}, tt.tail))
			if got := secondAnswer(t, answers); got != want {
				t.Errorf("%s %s %s for %+v: %s, expected %s", tt.op, tt.arg, tt.tail, filer, got, want)
			}
		}
	}
}

func TestRecording(t *testing.T) {
	t.Parallel()
	task := newTask()
	task.Record, task.Trace = true, true
	out, _ := serveTask(t, task, say(t, ready, "",
		wire.Request{Op: wire.OpRead, Arg: "/data/ok"}, "",
		wire.Request{Op: wire.OpRead, Arg: "/data/gone"}, "",
		wire.Request{Op: wire.OpRead, Arg: "/data/gone"}, "",
		wire.Request{Op: wire.OpRead, Arg: "/etc/passwd"}, "", // denied: nothing of the machine
		wire.Request{Op: wire.OpRead, Arg: "/data/big"}, "",
		wire.Request{Op: wire.OpList, Arg: "/folder"}, "",
		wire.Request{Op: wire.OpList, Arg: "/folder/gone"}, "",
		wire.Request{Op: wire.OpList, Arg: "/folder/gone"}, "",
		wire.Request{Op: wire.OpList, Arg: "/folder/many"}, "",
		wire.Request{Op: wire.OpStat, Arg: "/data/x"}, "",
		wire.Request{Op: wire.OpRun, Arg: "flood"}, `[]`,
		wire.Request{Op: wire.OpRun, Arg: "verify"}, `["--verify","nginx"]`,
		wire.Request{Op: wire.OpTrace}, "hook.lua:1 x=\x1b[31m",
		wire.Request{Op: wire.OpEnd}, ""))
	want := &sandbox.Recording{
		Files: map[string][]byte{"/data/ok": []byte("content")}, Folders: map[string][]string{"/folder": {"a", "b"}},
		Stats: map[string]wire.FileInfo{"/data/x": {Type: "file", Size: 7}}, Missing: []string{"/folder/gone"},
		Failed: []sandbox.RecordedFailure{
			{Call: "fs.read", Path: "/data/gone", Code: "call-failed", Error: "cannot read the file"},
			{Call: "fs.read", Path: "/data/big", Code: "limit-read", Error: "the file is larger than 256 KiB"},
			{Call: "fs.list", Path: "/folder/many", Code: "limit-read", Error: "the folder has more than 4096 names, or 256 KiB of them"},
		},
		Commands: []sandbox.RecordedCommand{
			{Name: "flood", Args: []string{}, Code: "limit-output", Error: "the command printed more than 256 KiB"},
			{Name: "verify", Args: []string{"--verify", "nginx"}, Stdout: []byte("out --verify nginx"), Stderr: []byte("err"), Exit: 3},
		},
	}
	if diff := cmp.Diff(want, out.Recording); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"hook.lua:1 x= [31m"}, out.Trace); diff != "" || out.Stats.Commands != 2 || out.Stats.BytesRead != 28 {
		t.Errorf("%+v, trace (-want +got):\n%s", out.Stats, diff)
	}
	var called []string
	for _, c := range out.Calls {
		called = append(called, c.Name+" "+c.Arg+" "+c.Code)
	}
	if diff := cmp.Diff([]string{
		"fs.read /data/ok ", "fs.read /data/gone call-failed", "fs.read /data/gone call-failed", "fs.read /etc/passwd denied",
		"fs.read /data/big limit-read", "fs.list /folder ", "fs.list /folder/gone call-failed", "fs.list /folder/gone call-failed",
		"fs.list /folder/many limit-read", "fs.stat /data/x ", "cmd.run flood limit-output", "cmd.run verify --verify nginx ",
	}, called); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// A machine is the same one in all that leaves of a run.
func TestOneTokenForOneValue(t *testing.T) {
	t.Parallel()
	out, _ := serve(t, say(t, ready, "",
		wire.Request{Op: wire.OpSet, Arg: "Text"}, `"from 10.0.0.1 to 10.0.0.2"`,
		wire.Request{Op: wire.OpSet, Arg: "JSON"}, `{"10.0.0.2":"alice@10.0.0.1"}`,
		wire.Request{Op: wire.OpLog}, "10.0.0.1",
		wire.Request{Op: wire.OpEnd}, ""))
	text := fmt.Sprint(out.Fields, out.Log)
	if strings.Contains(text, "10.0.0") || out.Fields["Text"] != "from <ip-1> to <ip-2>" || out.Log[0] != "<ip-1>" {
		t.Error(text)
	}
	if object, _ := out.Fields["JSON"].(map[string]any); object["<ip-2>"] == nil {
		t.Error(text)
	}
}

func TestRecordingIsBounded(t *testing.T) {
	t.Parallel()
	task := newTask()
	task.Record = true
	frames := []any{ready, ""}
	for range 600 {
		frames = append(frames, wire.Request{Op: wire.OpRead, Arg: "/data/much"}, "")
	}
	out, _ := serveTask(t, task, say(t, frames...))
	if out.Code != "limit-calls" || !strings.Contains(out.Error, "record") {
		t.Errorf("%s: %s", out.Code, out.Error)
	}
}

func TestDeepAndLargeValues(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 9) + "1" + strings.Repeat("]", 9)
	out, _ := serve(t, say(t, ready, "",
		wire.Request{Op: wire.OpSet, Arg: "JSON"}, deep,
		wire.Request{Op: wire.OpSet, Arg: "JSON"}, strings.Repeat("[", 100_000),
		wire.Request{Op: wire.OpSet, Arg: "JSON"}, `["`+strings.Repeat("x", 300)+`"]`,
		wire.Request{Op: wire.OpSet, Arg: "JSON"}, `["`+strings.Repeat("x", 190)+`"]`,
		wire.Request{Op: wire.OpSet, Arg: "Text"}, `"`+strings.Repeat("x", 90)+`"`,
		wire.Request{Op: wire.OpEnd}, ""))
	var codes []string
	for _, c := range out.Calls {
		codes = append(codes, c.Code)
	}
	if got := strings.Join(codes, " "); got != "field-type field-type limit-result limit-result" || len(out.Fields) != 1 {
		t.Errorf("%s, %+v", got, out.Fields)
	}
}

func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	var frames []any
	frames = append(frames, ready, "")
	for range 1000 {
		frames = append(frames, wire.Request{Op: wire.OpRead, Arg: "/x" + strings.Repeat("é\n", 300)}, "")
		frames = append(frames, wire.Request{Op: wire.OpLog}, "alice "+strings.Repeat("z", 500))
	}
	frames = append(frames, wire.Request{Op: wire.OpEnd}, "")
	out, _ := serve(t, say(t, frames...))
	if len(out.Calls) != 200 || out.Denied != 1000 || len(out.Calls[0].Arg) > 200 || !utf8.ValidString(out.Calls[0].Arg) {
		t.Errorf("%d calls, %d denied", len(out.Calls), out.Denied)
	}
	if text := strings.Join(out.Log, "\n"); len(text) > sandbox.MaxLogBytes || strings.Contains(text, "alice") {
		t.Errorf("%d bytes of log", len(text))
	}
}

// Whatever a worker says, what comes out is within every bound.
func FuzzServe(f *testing.F) {
	f.Add(say(f, ready, "", wire.Request{Op: wire.OpRead, Arg: "/data/ok"}, "", wire.Request{Op: wire.OpEnd}, ""))
	f.Add(say(f, ready, "", wire.Request{Op: wire.OpSet, Arg: "JSON"}, `{"a":[1,2.50,"alice"]}`, wire.Request{Op: wire.OpEnd}, ""))
	f.Add(say(f, ready, "", wire.Request{Op: wire.OpRun, Arg: "disk"}, `["/data/x"]`, wire.Request{Op: wire.OpEnd}, ""))
	f.Add(say(f, ready, "", wire.Request{Op: wire.OpRun, Arg: "verify"}, `["--verify","libc6"]`, wire.Request{Op: wire.OpStat, Arg: "/data/x"}, ""))
	f.Add(say(f, ready, "", wire.Request{Op: wire.OpList, Arg: "/proc/12/fd"}, "", wire.Request{Op: wire.OpRead, Arg: "/proc/1/limits"}, ""))
	f.Add(say(f, ready, "", wire.Request{Op: wire.OpLog}, "text", wire.Request{Op: wire.OpGet, Arg: "A"}, ""))
	f.Add(say(f, ready, "", wire.Request{Op: wire.OpEnd, Code: "hook-error", Error: "x\x00", Line: -1, Instructions: -5}, ""))
	f.Fuzz(func(t *testing.T, said []byte) {
		out, _ := serve(t, said)
		work := newTask()
		if err := hooks.CheckNew(out.Fields, work.Predicate, work.Report); err != nil {
			t.Errorf("fields: %v", err)
		}
		if out.Code != "" && len(out.Fields) > 0 {
			t.Error("fields of a failed run")
		}
		if len(out.Error) > sandbox.MaxErrorBytes || !utf8.ValidString(out.Error) || out.Line < 0 || out.Stats.Instructions < 0 || len(out.Calls) > 200 {
			t.Errorf("%+v", out)
		}
	})
}

func FuzzRules(f *testing.F) {
	for _, p := range []string{"/proc/self/environ", "/proc/1/mem", "/data/../etc/shadow", "/dev/mem", "/a/.ssh/x", "/etc/shadow"} {
		f.Add(p)
	}
	rules := calls.NewRules([]string{"/data/**", "/dev/**", "/etc/**", "/proc/**", "/root/**"}, sandbox.Task{}, []string{"/data/own", "/", "relative"})
	f.Fuzz(func(t *testing.T, p string) {
		if rules.Check(p) != nil {
			return
		}
		for _, never := range []string{"/dev/", "/proc/self/", "/data/own/", "/root/.ssh/", "/etc/shadow", "/proc/kmsg/", "/proc/1/environ/"} {
			if strings.HasPrefix(p+"/", never) {
				t.Errorf("%q is allowed", p)
			}
		}
		if path.Clean(p) != p || !path.IsAbs(p) {
			t.Errorf("%q is allowed", p)
		}
	})
}
