package worker_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hookline/sandbox/wire"
)

// broker answers as a broker does, and now and then as none should.
func broker(call wire.Request, _ []byte) (wire.Response, []byte) {
	switch call.Op + " " + call.Arg {
	case "fs.list /d":
		return wire.Response{}, []byte(`["a","b c",""]`)
	case "fs.list /empty":
		return wire.Response{}, []byte(`[]`)
	case "fs.list /wrong":
		return wire.Response{}, []byte(`{"a":1}`)
	case "fs.stat /f":
		return wire.Response{}, []byte(`{"type":"file","size":5000000000,"mode":420,"uid":1,"gid":2,"links":3,"mtime":1795176000}`)
	case "fs.stat /wrong":
		return wire.Response{}, []byte(`[1]`)
	case "cmd.run say":
		return wire.Response{Exit: 3, Split: 4}, []byte("out\nerr\n")
	case "cmd.run beyond":
		return wire.Response{Split: 9}, []byte("out")
	case "cmd.run before":
		return wire.Response{Split: -1}, []byte("out")
	case "cmd.run silent":
		return wire.Response{}, nil
	}
	if call.Op == wire.OpUnavailable {
		return wire.Response{Code: "denied", Error: "there is no such call"}, nil
	}
	return wire.Response{Code: "call-failed", Error: "no such file"}, nil
}

func TestHostCalls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script, fate, text string }{
		{"list", `local l = fs.list("/d") assert(#l == 3 and l[1] == "a" and l[2] == "b c" and l[3] == "")`, "well", ""},
		{"empty list", `local l = fs.list("/empty") assert(type(l) == "table" and next(l) == nil)`, "well", ""},
		{"list of a missing folder", `fs.list("/gone")`, "call-failed", "fs.list: /gone: no such file"},
		{"list with a wrong answer", `fs.list("/wrong")`, "call-failed", "cannot be read"},
		{"list of a number", `fs.list(1)`, "hook-error", "string expected"},
		{"list of nothing", `fs.list()`, "hook-error", "wrong number of arguments"},
		{"stat", `local s = fs.stat("/f") assert(s.type == "file" and s.size == 5e9 and s.mode == 420 and s.uid == 1 and s.gid == 2 and s.links == 3)
			assert(s.mtime == 1795176000)`, "well", ""},
		{"stat of a missing path", `fs.stat("/gone")`, "call-failed", "fs.stat: /gone: no such file"},
		{"stat of a missing path, caught", `assert(not pcall(fs.stat, "/gone"))`, "well", ""},
		{"stat with a wrong answer", `fs.stat("/wrong")`, "call-failed", "cannot be read"},
		{"run", `local out, err, code = cmd.run("say", { "a", 7 }) assert(out == "out\n" and err == "err\n" and code == 3)`, "well", ""},
		{"run silently", `local out, err, code = cmd.run("silent", {}) assert(out == "" and err == "" and code == 0)`, "well", ""},
		{"run with a split beyond", `cmd.run("beyond", {})`, "call-failed", "cannot be read"},
		{"run with a split before", `cmd.run("before", {})`, "call-failed", "cannot be read"},
		{"run without a list", `cmd.run("say")`, "hook-error", "wrong number of arguments"},
		{"run with a text", `cmd.run("say", "a")`, "hook-error", "table expected"},
		{"run with a map", `cmd.run("say", { a = 1 })`, "hook-error", "must be a list"},
		{"run with both", `cmd.run("say", { "x", a = 1 })`, "hook-error", "must be a list"},
		{"run with a table", `cmd.run("say", { "x", {} })`, "hook-error", "argument 2 of the command is a table"},
		{"run with a boolean", `cmd.run("say", { true })`, "hook-error", "is a boolean"},
		{"run with a fraction", `cmd.run("say", { 1.5 })`, "hook-error", "not a whole number"},
		{"run with NaN", `cmd.run("say", { 0/0 })`, "hook-error", "not a whole number"},
		{"run with a huge number", `cmd.run("say", { 1e300 })`, "hook-error", "not a whole number"},
		{"run with bytes", `cmd.run("say", { "\255" })`, "hook-error", "not UTF-8"},
		{"run with a long text", `cmd.run("say", { ("x"):rep(600) })`, "hook-error", "longer than"},
		{"run with too much", `local t = {} for i = 1, 33 do t[i] = "x" end cmd.run("say", t)`, "hook-error", "more than 32"},
		{"run with metamethods", `cmd.run("silent", setmetatable({}, { __index = error, __len = error, __pairs = error }))`, "well", ""},
		{"run of a number", `cmd.run(1, {})`, "hook-error", "string expected"},
		{"another call of fs", `fs.write("/f", "x")`, "denied", "there is no fs.write in this version"},
		{"another call of cmd", `cmd.exec("sh")`, "denied", "there is no cmd.exec in this version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := run(t, tt.script, wire.Start{}, broker)
			if e.fate() != tt.fate || !strings.Contains(e.Error, tt.text) {
				t.Errorf("%s: %q, expected %s with %q", e.fate(), e.Error, tt.fate, tt.text)
			}
		})
	}
}

func TestCommandIsSentAsWritten(t *testing.T) {
	t.Parallel()
	e := run(t, `cmd.run("silent", { "-e", "a b", "é", 12, -3, 2^40, "" })`, wire.Start{}, broker)
	if e.fate() != "well" {
		t.Fatalf("%s: %s", e.fate(), e.Error)
	}
	if diff := cmp.Diff([]string{`["-e","a b","é","12","-3","1099511627776",""]`}, e.Tails); diff != "" {
		t.Error(diff)
	}
}
