package calls_test

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

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
	}
	return nil, errors.New("open /data/x: internal words")
}

func newTask() sandbox.Task {
	return sandbox.Task{
		Script: []byte("x"),
		Predicate: hooks.Predicate{
			Capabilities:   hooks.ReadingOnly("/data/*"),
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
	var answers bytes.Buffer
	return calls.Serve(bytes.NewReader(said), &answers, newTask(), disk{t}, []string{"/data/own"}), answers.Bytes()
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
		{wire.OpUnavailable, "cmd.run", "", "{denied not available in this version}"},
		{"fs.write", "/data/ok", "", "{denied unknown call}"},
	} {
		t.Run(tt.op+" "+calls.Clip(tt.arg, 20)+tt.tail, func(t *testing.T) {
			t.Parallel()
			_, answers := serve(t, say(t, ready, "", wire.Request{Op: tt.op, Arg: tt.arg}, tt.tail))
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
			got := string(tail)
			if answer.Nil {
				got = "{nil}"
			}
			if answer.Code != "" {
				got = fmt.Sprintf("{%s %s}", answer.Code, answer.Error)
			}
			if got != tt.want {
				t.Errorf("%s, expected %s", got, tt.want)
			}
		})
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
	rules := calls.NewRules(hooks.ReadingOnly("/data/**", "/dev/**", "/etc/**", "/proc/**", "/root/**"), []string{"/data/own", "/", "relative"})
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
