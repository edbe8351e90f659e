package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

func record(t *testing.T, script string, f replay.Fixtures, read ...string) sandbox.Outcome {
	t.Helper()
	work := task(script, read...)
	work.Predicate.MaxRuntimeMS = 10_000
	out, err := replay.Run(context.Background(), binary, work, f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func live(t *testing.T, script string, read ...string) sandbox.Outcome {
	t.Helper()
	work := task(script, read...)
	work.Predicate.MaxRuntimeMS = 10_000
	out, err := (&sandbox.Runner{Binary: binary}).Run(context.Background(), work)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestScripts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, script string
		fields       hooks.Fields
		code         string
		line         int
		text         string // part of the error
	}{
		{name: "nothing", script: "local x = 1", fields: hooks.Fields{}},
		{
			name: "set", script: `report.set("Text", "hello") report.set("Int", 3) report.set("Number", 0.5) report.set("Bool", false)`,
			fields: hooks.Fields{"Text": "hello", "Int": json.Number("3"), "Number": json.Number("0.5"), "Bool": false},
		},
		{
			name: "returned", script: `return { Text = "hello", JSON = { list = { 1, 2, "x" }, map = { a = true } } }`,
			fields: hooks.Fields{"Text": "hello", "JSON": map[string]any{
				"list": []any{json.Number("1"), json.Number("2"), "x"}, "map": map[string]any{"a": true},
			}},
		},
		{name: "set twice", script: `report.set("Int", 1) report.set("Int", 2)`, fields: hooks.Fields{"Int": json.Number("2")}},
		{
			name: "report", script: `report.set("JSON", { get = report.get("Package"), none = report.get("Nope") == nil, names = report.names() })`,
			fields: hooks.Fields{"JSON": map[string]any{"get": "nginx", "none": true, "names": []any{"ExecutablePath", "Package", "Signal"}}},
		},
		{
			name: "facts", script: `local f = sys.facts() report.set("Text", f.os .. "/" .. f.release .. "/" .. f.kernel .. "/" .. f.arch)`,
			fields: hooks.Fields{"Text": "linux/Debian 12/6.1.0/amd64"},
		},
		{name: "time", script: `local now = time.now() report.set("Bool", now >= 1795176000 and now < 1795176060)`, fields: hooks.Fields{"Bool": true}},
		{
			name: "redacted", script: `local s = "web-7: alice at 10.1.2.3" report.set("Text", s) report.set("JSON", { [s] = { s } }) report.set("Raw", s)`,
			fields: hooks.Fields{
				"Text": "<host-1>: <user-1> at <ip-1>", "Raw": "web-7: alice at 10.1.2.3",
				"JSON": map[string]any{"<host-1>: <user-1> at <ip-1>": []any{"<host-1>: <user-1> at <ip-1>"}},
			},
		},
		{name: "bytes become text", script: `report.set("Text", "a\255b")`, fields: hooks.Fields{"Text": "a\uFFFDb"}},
		{
			name: "json", script: `local v = json.decode('{"a":[1,2,{"b":null}],"e":[],"o":{},"s":"\\u00e9"}') assert(v.a[3].b == json.null)
			assert(json.encode(v.e) == "[]" and json.encode(v.o) == "{}" and v.s == "é") assert(json.encode({1,2.5,"<a>",true}) == '[1,2.5,"<a>",true]')
			assert(not pcall(json.decode, "{") and not pcall(json.decode, "1 2") and not pcall(json.encode, {1,x=2}) and not pcall(json.encode, 0/0))`,
			fields: hooks.Fields{},
		},
		{
			name: "strings", script: `
			assert(("a,b,,c"):gsub(",", ";") == "a;b;;c") assert(("hello world"):match("(%w+) (%w+)") == "hello")
			assert(string.format("%5.1f|%-4d|%04x|%q|%s|%%", 3.14159, 7, 255, 'a"b', "x") == '  3.1|7   |00ff|"a\\"b"|x|%')
			local t = {} for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do t[#t+1] = k .. v end assert(table.concat(t, "+") == "a1+b2")
			assert(("x"):rep(3) == "xxx" and ("abc"):sub(-2) == "bc" and ("abc"):byte(2) == 98 and ("AbC"):lower() == "abc")
			assert(("key = value"):find("=", 1, true) == 5 and ("f(a(b)c)d"):match("%b()") == "(a(b)c)" and ("THE (quick) fox"):find("%((%a+)%)") == 5)
			assert(("abc"):gsub("%w", "%0%0") == "aabbcc" and ("$x $y"):gsub("%$(%w)", { x = "1" }) == "1 $y" and ("abc"):gsub("", "-") == "-a-b-c-")
			assert(tostring(12) == "12" and tostring(nil) == "nil" and tonumber("0x10") == 16 and tonumber("  12 ") == 12 and tonumber("1e2") == 100)
			assert(tonumber("ff", 16) == 255 and tonumber("abc") == nil and tonumber("inf") == nil and tonumber("nan") == nil)`,
			fields: hooks.Fields{},
		},
		{
			name: "tables", script: `
			local t = { 3, 1, 2 } table.sort(t) assert(table.concat(t) == "123") table.sort(t, function(a, b) return a > b end) assert(t[1] == 3)
			table.insert(t, 9) table.insert(t, 1, 0) assert(#t == 5 and t[1] == 0 and t[5] == 9) assert(table.remove(t, 1) == 0 and table.remove(t) == 9 and #t == 3)
			local n = 0 for _ in pairs({ 1, 2, a = 3 }) do n = n + 1 end assert(n == 3) for i, v in ipairs({ "a", "b" }) do n = n + i end assert(n == 6)
			assert(select("#", unpack({ 1, 2, 3 })) == 3 and select(-1, 1, 2) == 2 and select(2, "a", "b") == "b")
			local m = setmetatable({}, { __index = function(_, k) return k .. "!" end, __call = function(_, x) return x end, __tostring = function() return "mine" end })
			assert(m.a == "a!" and m(5) == 5 and tostring(m) == "mine" and rawget(m, "a") == nil and getmetatable(m).__call)`,
			fields: hooks.Fields{},
		},
		{name: "errors", script: `
			local ok, e = pcall(error, { code = 7 }) assert(not ok and e.code == 7)
			local ok2, e2 = pcall(function() error("x", 0) end) assert(e2 == "x")
			local ok3, e3 = xpcall(function() error("y", 0) end, function(m) return m .. "!" end) assert(e3 == "y!")
			assert(select(2, pcall(function() local a = nil return a.b end)):find("hook.lua:5:", 1, true))
			assert(pcall(function(...) return ... end, 1, 2) == true)`, fields: hooks.Fields{}},
		{name: "coroutines", script: `
			local c = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
			local _, x = coroutine.resume(c, 1) local _, y = coroutine.resume(c, 10) assert(x == 2 and y == 20 and coroutine.status(c) == "dead")
			local sum = 0 for v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do sum = sum + v end assert(sum == 6)
			assert(not coroutine.resume(c))`, fields: hooks.Fields{}},
		{name: "own fields of string", script: `string.trim = function(s) return (s:gsub("^%s+", "")) end assert(("  a"):trim() == "a")`, fields: hooks.Fields{}},

		{name: "syntax", script: "local a = 1\nlocal = 2", code: "bad-script", line: 2, text: "near '='"},
		{name: "unfinished", script: "if true then\n\n", code: "bad-script", line: 3},
		{name: "error with a line", script: "\n\nerror('boom')", code: "hook-error", line: 3, text: "boom"},
		{name: "nil call", script: "\nfoo()", code: "hook-error", line: 2, text: "attempt to call"},
		{name: "error redacted", script: `error("alice on 10.0.0.1")`, code: "hook-error", line: 1, text: "<user-1> on <ip-1>"},
		{name: "undeclared", script: `report.set("Nope", 1)`, code: "field-undeclared", line: 1, text: "Nope"},
		{name: "type", script: `report.set("Int", "1")`, code: "field-type", line: 1, text: "Int"},
		{name: "fraction", script: `report.set("Int", 1.5)`, code: "field-type", line: 1},
		{name: "not finite", script: `report.set("Number", 1/0)`, code: "hook-error", line: 1, text: "not finite"},
		{name: "null", script: `report.set("JSON", { a = json.null })`, code: "field-type", line: 1},
		{name: "too big", script: `report.set("Text", ("x"):rep(70000))`, code: "limit-result", line: 1, text: "max_bytes"},
		{
			name: "together too big", script: `report.set("Text", ("x"):rep(60000)) report.set("Raw", ("x"):rep(60000)) report.set("JSON", {("x"):rep(60000)})`,
			code: "limit-result", line: 1, text: "max_result_bytes",
		},
		{name: "bigger than a frame", script: `report.set("Text", ("x"):rep(600000))`, code: "limit-result", line: 1},
		{name: "returned undeclared", script: `return { Nope = 1 }`, code: "field-undeclared", text: "Nope"},
		{name: "unknown call", script: `fs.write("/tmp")`, code: "denied", line: 1, text: "there is no fs.write in this version"},
		{name: "caught and changed", script: `local ok, e = pcall(string.rep, "x", 1e9) error("mine: " .. e)`, code: "hook-error", line: 1, text: "4 MiB"},
		{name: "caught and rethrown", script: `local ok, e = pcall(string.rep, "x", 1e9) error(e, 0)`, code: "limit-memory", line: 1, text: "4 MiB"},
		{name: "arguments", script: `fs.read("/a", "/b")`, code: "hook-error", line: 1, text: "wrong number of arguments"},
		{name: "too many fields in a call", script: `for i = 1, 6000 do report.get("Package") end`, code: "limit-calls", text: "5000"},
		{name: "long text of an error", script: `error(("e"):rep(5000))`, code: "hook-error", line: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := record(t, tt.script, replay.Fixtures{})
			if out.Code != tt.code || out.Line != tt.line || !strings.Contains(out.Error, tt.text) {
				t.Fatalf("code %q line %d error %q, expected %q line %d with %q", out.Code, out.Line, out.Error, tt.code, tt.line, tt.text)
			}
			if diff := cmp.Diff(tt.fields, out.Fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if len(out.Error) > sandbox.MaxErrorBytes {
				t.Errorf("error has %d bytes", len(out.Error))
			}
		})
	}
}

func TestExistingFieldIsRefused(t *testing.T) {
	t.Parallel()
	work := task(`local ok, e = pcall(report.set, "Text", "new") report.set("Raw", e)`)
	work.Report["Text"] = "from the original"
	out, err := replay.Run(context.Background(), binary, work, replay.Fixtures{})
	if err != nil || out.Code != "" || !strings.Contains(fmt.Sprint(out.Fields["Raw"]), "the original has this field") {
		t.Fatalf("%+v, %v", out, err)
	}
	if len(out.Calls) != 1 || out.Calls[0].Code != "field-exists" {
		t.Errorf("calls: %+v", out.Calls)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	out := record(t, `local t = {} for i = 1, 100000 do t[i] = i end report.set("Int", #t) fs.read("/a")`,
		replay.Fixtures{Files: map[string]string{"/a": "12345"}}, "/a")
	s := out.Stats
	if out.Code != "" || s.Wall <= 0 || s.Instructions < 100_000 || s.PeakHeap < 1<<20 || s.Calls != 2 || s.Traffic < 100 {
		t.Errorf("%+v", out)
	}
	if len(out.Calls) == 1 && out.Calls[0].Took <= 0 {
		t.Errorf("a call took %v", out.Calls[0].Took)
	}
	for i := range out.Calls {
		out.Calls[i].Took = 0
	}
	want := []sandbox.Call{{Name: "fs.read", Arg: "/a", Bytes: 5}}
	if diff := cmp.Diff(want, out.Calls); diff != "" {
		t.Error(diff)
	}
}

func TestLogIsCapturedAndCapped(t *testing.T) {
	t.Parallel()
	out := record(t, `print("a", 1, nil, {}) log("from alice\nsecond") log("\27[31mred") for i = 1, 5000 do print(("y"):rep(100)) end`, replay.Fixtures{})
	if out.Code != "" || len(out.Log) < 5 {
		t.Fatalf("%+v", out)
	}
	want := []string{"a 1 nil table", "from <user-1>", "second", " [31mred"}
	if diff := cmp.Diff(want, out.Log[:4]); diff != "" {
		t.Error(diff)
	}
	if n := len(strings.Join(out.Log, "\n")); n > sandbox.MaxLogBytes {
		t.Errorf("%d bytes of log", n)
	}
}

func TestRecordedReads(t *testing.T) {
	t.Parallel()
	f := replay.Fixtures{Files: map[string]string{"/etc/hosts": "127.0.0.1 x\n", "/etc/shadow": "secret"}, Missing: []string{"/etc/gone"}}
	out := record(t, `
		report.set("Raw", fs.read("/etc/hosts"))
		local function why(p) return select(2, pcall(fs.read, p)) end
		report.set("JSON", { why("/etc/gone"), why("/etc/other"), why("/etc/shadow"), why("/var/x") })`, f, "/etc/*")
	if out.Code != "" || out.Denied != 2 {
		t.Fatalf("%+v", out)
	}
	got := fmt.Sprint(out.Fields["JSON"])
	for _, part := range []string{"no such file", "not recorded", "key files", "not within the signed capabilities"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in %s", part, got)
		}
	}
}

func TestLiveReads(t *testing.T) {
	t.Parallel()
	dir := makeFixtures(t)
	alias := dir + "/alias" // the peer's state by another name than the hook uses
	if err := errors.Join(os.Symlink("allowed", alias), os.Mkdir(dir+"/allowed/state", 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, code, text string }{
		{"/allowed/ok", "", "hello"},
		{"/allowed/link_ok", "", "hello"},
		{"/allowed/big", "", "xxx"},
		{"/allowed/link_link", "denied", "link"},
		{"/allowed/link_secret", "denied", "link"},
		{"/allowed/link_dir/secret", "denied", "link"},
		{"/allowed/hard_secret", "denied", "several names"},
		{"/allowed/fifo", "denied", "not a regular file"},
		{"/allowed", "denied", "not within"},
		{"/allowed/../secret", "denied", "absolute"},
		{"/allowed//ok", "denied", "absolute"},
		{"/secret", "denied", "not within"},
		{"/allowed/huge", "limit-read", "256 KiB"},
		{"/allowed/gone", "call-failed", "no such file"},
		{"/allowed/state/key.txt", "denied", "belongs to the peer"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			work := task(`report.set("Raw", fs.read("`+dir+tt.path+`"):sub(1, 100))`, dir+"/allowed/**")
			runner := &sandbox.Runner{Binary: binary, Deny: []string{alias + "/state"}}
			out, err := runner.Run(context.Background(), work)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(out.Error, out.Fields["Raw"]); out.Code != tt.code || !strings.Contains(got, tt.text) {
				t.Errorf("code %q, %s", out.Code, got)
			}
		})
	}
}

// What is always refused, with a capability for everything under it.
func TestNeverRead(t *testing.T) {
	t.Parallel()
	self := fmt.Sprint(os.Getpid())
	paths := []string{
		"/proc/self/environ", "/proc/self/status", "/proc/thread-self/status", "/proc/1/environ", "/proc/1/mem", "/proc/1/maps",
		"/proc/1/task/1/environ", "/proc/1/root/etc/shadow", "/proc/1/cwd/x", "/proc/1/fd/0", "/proc/kmsg", "/proc/kcore",
		"/proc/" + self + "/status", "/proc/" + self + "/cmdline", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/sudoers",
		"/etc/ssh/ssh_host_ed25519_key", "/etc/ssl/private/x.txt", "/etc/x/server.key", "/root/.ssh/id_ed25519", "/root/.ssh/config",
		"/root/.aws/credentials", "/root/.netrc", "/dev/zero", "/dev/mem", "/proc/kallsyms",
		"/etc/wireguard/wg0.conf", "/etc/NetworkManager/system-connections/wifi.nmconnection", "/etc/ppp/chap-secrets", "/etc/mysql/debian.cnf",
		"/root/.bash_history", "/root/.vault-token", "/root/.azure/x", "/root/app/.env", "/etc/app/.env.production", "/etc/secrets/token", "/etc/kubernetes/admin.conf", "/sys/kernel/debug/x", "/sys/kernel/tracing/trace_pipe",
	}
	out := live(t, `
		local bad = {}
		for _, p in ipairs({"`+strings.Join(paths, `","`)+`"}) do
			local ok, e = pcall(fs.read, p)
			if ok or e:find("not within", 1, true) or e:find("no such", 1, true) then bad[#bad + 1] = p end
		end
		report.set("JSON", { bad = bad, count = #bad })`, "/dev/**", "/etc/**", "/proc/**", "/root/**", "/sys/**")
	if out.Code != "" || out.Denied != len(paths) {
		t.Errorf("code %q (%s), %d denied of %d: %v", out.Code, out.Error, out.Denied, len(paths), out.Fields)
	}
}

func TestKernelFiles(t *testing.T) {
	t.Parallel()
	out := live(t, `
		local n = 0
		for _, p in ipairs({"/proc/meminfo", "/proc/sys/kernel/osrelease", "/proc/mounts", "/proc/net/dev", "/proc/1/status", "/proc/loadavg"}) do
			assert(#fs.read(p) > 0, p) n = n + 1
		end
		report.set("Int", n)`, "/proc/**")
	if out.Code != "" {
		t.Fatalf("%+v", out)
	}
	if _, err := os.Stat("/etc/os-release"); err == nil {
		if out := live(t, `report.set("Raw", fs.read("/etc/os-release"))`, "/etc/os-release"); out.Code != "" {
			t.Errorf("/etc/os-release: %s %s", out.Code, out.Error)
		}
	}
}

// A path that is swapped for a link to a secret all the time never gives it away.
func TestSwappedPathLeaksNothing(t *testing.T) {
	t.Parallel()
	dir := makeFixtures(t)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		race := filepath.Join(dir, "allowed", "race")
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			tmp := fmt.Sprintf("%s.%d", race, i%2)
			os.Remove(tmp)
			if rand.IntN(2) == 0 {
				_ = os.Symlink(filepath.Join(dir, "secret"), tmp)
			} else {
				_ = os.WriteFile(tmp, []byte("fine\n"), 0o644)
			}
			_ = os.Rename(tmp, race)
		}
	}()
	out := live(t, `
		local leaks, fine = 0, 0
		for i = 1, 2000 do
			local ok, text = pcall(fs.read, "`+dir+`/allowed/race")
			if ok and text:find("SECRET") then leaks = leaks + 1 elseif ok then fine = fine + 1 end
		end
		report.set("JSON", { leaks = leaks, fine = fine })`, dir+"/allowed/**")
	close(stop)
	<-done
	if out.Code != "" {
		t.Fatalf("%+v", out)
	}
	if got := out.Fields["JSON"].(map[string]any); got["leaks"] != json.Number("0") || got["fine"] == json.Number("0") {
		t.Errorf("%v", got)
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script, severity string }{
		{"clean", `report.set("Text", fs.read("/proc/meminfo"))`, ""},
		{"syntax", "local x = = 1", "error"},
		{"global", `os.execute("id")`, "error"},
		{"nested", strings.Repeat("{", 20000), "error"},
		{"chain", "return 1" + strings.Repeat("+1", 20000), "error"},
		{"bytecode", "\x1bLua", "error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			findings, err := replay.Lint(context.Background(), binary, []byte(tt.script), task("", "/proc/meminfo").Predicate)
			if err != nil {
				t.Fatal(err)
			}
			worst := ""
			for _, f := range findings {
				if f.Severity == "error" {
					worst = "error"
				}
			}
			if worst != tt.severity {
				t.Errorf("findings: %+v", findings)
			}
		})
	}
}

func TestCancelledRunEnds(t *testing.T) {
	t.Parallel()
	work := task("while true do end")
	work.Predicate.MaxRuntimeMS = 10_000
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := (&sandbox.Runner{Binary: binary}).Run(ctx, work); err == nil {
		t.Error("no error")
	}
	if _, err := replay.Run(ctx, binary, work, replay.Fixtures{}); err == nil {
		t.Error("no error")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestNoBinaryIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := (&sandbox.Runner{Binary: "/nonexistent/x"}).Run(context.Background(), task("local x")); err == nil {
		t.Error("no error")
	}
	if _, err := (&sandbox.Runner{Binary: "/bin/true"}).Run(context.Background(), task("local x")); err != nil {
		t.Logf("refused: %v", err)
	}
}
