package sandbox_test

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// More attacks than the corpus has: on the gaps between the VM's instructions,
// on the replaced library, on what crosses to the broker. None may crash the
// worker, outlive its time or bring fields with an error.
func TestMoreHostile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script, codes string }{
		{"doubling", `local s = "x" while true do s = s .. s end`, "limit-memory"},
		{"doubling kept", `local t, s = {}, ("x"):rep(1e6) while true do t[#t+1] = s .. s .. s .. s .. s end`, "limit-memory"},
		{"wide arrays", `local t = {} for i = 1, 1e9 do t[i] = {} t[i][1048575] = 1 end`, "limit-memory"},
		{"wide arrays dropped", `for i = 1, 1e9 do local t = {} t[1048575] = 1 end`, "limit-time limit-memory"},
		{"long strings kept", `local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(4e6) end`, "limit-memory"},
		{"json wide", `for i = 1, 10 do _G[i] = json.decode("[" .. ("[],"):rep(300000) .. "1]") end`, "limit-memory"},
		{"json deep", `json.decode(("["):rep(300000))`, "hook-error"},
		{"json shared", `local t = {} for i = 1, 25 do t = { t, t } end report.set("JSON", t)`, "hook-error"},
		{"json wide shared", `local t = { ("x"):rep(1000) } local u = {} for i = 1, 5000 do u[i] = t end report.set("JSON", u)`, "hook-error limit-result"},
		{"coroutines one by one", `for i = 1, 1e9 do coroutine.wrap(function() end)() end`, "limit-memory"},
		{"yield in a metamethod", `local t = setmetatable({}, { __index = function() coroutine.yield(1) end }) local c = coroutine.wrap(function() return t.x end) for i = 1, 100 do c() end`, " hook-error"},
		{"yield in sort", `coroutine.wrap(function() table.sort({ 3, 2, 1 }, function() coroutine.yield() end) end)()`, "hook-error"},
		{"yield in pcall", `local c = coroutine.wrap(function() pcall(coroutine.yield) coroutine.yield(2) end) c() c() c()`, " hook-error"},
		{"yield from main", `coroutine.yield()`, "hook-error"},
		{"wrap of wrap", `coroutine.wrap(coroutine.wrap)(coroutine.wrap)`, " hook-error"},
		{"resume in a metamethod", `local c c = coroutine.create(function() setmetatable(_G, { __index = function() coroutine.resume(c) end }) return nope end) coroutine.resume(c)`, " hook-error"},
		{"error in a coroutine", `local c = coroutine.create(function() error({}) end) for i = 1, 1000 do coroutine.resume(c) end`, ""},
		{"tostring returns a table", `print(setmetatable({}, { __tostring = function() return {} end })) log(setmetatable({}, { __tostring = function() error("x") end }))`, "hook-error"},
		{"error with looping index", `error(setmetatable({}, { __index = function() while true do end end }))`, "hook-error"},
		{"error is a function", `error(print)`, "hook-error"},
		{"handlers that fail", `local function h() error("again") end for i = 1, 1000 do xpcall(function() error("x") end, h) end`, ""},
		{"handler recursion", `local function h() return xpcall(error, h) end h()`, " hook-error"},
		{"deep pcall", `local function f() return pcall(f) end f() local function g() pcall(g) end g()`, " hook-error limit-time"},
		{"eq recursion", `local mt = {} mt.__eq = function(a, b) return a == b end return setmetatable({}, mt) == setmetatable({}, mt)`, "hook-error"},
		{"concat recursion", `local mt = {} mt.__concat = function(a, b) return a .. b end return setmetatable({}, mt) .. "x"`, "hook-error"},
		{"newindex circle", `local a, b = {}, {} setmetatable(a, { __newindex = b }) setmetatable(b, { __newindex = a }) a.x = 1`, "hook-error"},
		{"index circle", `local a, b = {}, {} setmetatable(a, { __index = b }) setmetatable(b, { __index = a }) return a.x`, "hook-error"},
		{"len of arrays", `local t = {} for i = 1, 1048570 do t[i] = i end for i = 1048570, 2, -1 do t[i] = nil end for i = 1, 1e9 do local x = #t end`, "limit-time limit-memory"},
		{"removed and counted", `local t = {} t[100000] = 1 t[100000] = nil for i = 1, 1e9 do table.insert(t, 1) table.remove(t) end`, "limit-time"},
		{"many arguments", `local t = {} for i = 1, 15000 do t[i] = i end local function f(...) return f(1, ...) end return f(unpack(t))`, "hook-error limit-time"},
		{"char flood", `local t = {} for i = 1, 15000 do t[i] = 65 end for i = 1, 1e9 do string.char(unpack(t)) end`, "limit-time"},
		{"byte of all", `return (("x"):rep(4e6)):byte(1, -1)`, "hook-error"},
		{"format of much", `return string.format(("%99.99f"):rep(100000), 1)`, "hook-error limit-memory"},
		{"format of go", `return string.format("%v %#v %T %p", {}, {}, {}, {})`, "hook-error"},
		{"format of stars", `return string.format("%*d", 5, 5)`, "hook-error"},
		{"format argument index", `return string.format("%[2]d", 5, 6)`, "hook-error"},
		{"gsub empty", `for i = 1, 1e9 do (("x"):rep(1e6)):gsub("", "") end`, "limit-time"},
		{"gsub in gsub", `local function f(s) return (s:gsub(".", f)) end f("ab")`, "hook-error"},
		{"gsub with error", `pcall(string.gsub, ("x"):rep(1e5), ".", function() error(("e"):rep(1e5)) end)`, ""},
		{"find backwards", `return ("abc"):find("c", -1e15), ("abc"):sub(-2^53, 2^53), ("abc"):find("b", 2^60)`, "hook-error"},
		{"frontier at the end", `return ("abc"):find("%f[%z]"), ("abc"):gsub("%f[%w]%w+", "x"), pcall(string.find, "a", "%f"), pcall(string.find, "a", "[a-")`, ""},
		{"pattern backtracking", `return (("a"):rep(30)):match(("a*"):rep(15) .. "b")`, "limit-time"},
		{"pattern of balance", `return (("("):rep(1e6)):find("%b()")`, "limit-time"},
		{"sort of mixed", `table.sort({ 1, "a", {}, print })`, "hook-error"},
		{"sort of much", `local t = {} for i = 1, 200000 do t[i] = (i * 7919) % 200003 end for i = 1, 1e9 do table.sort(t) table.sort(t, function(a, b) return a > b end) end`, "limit-time"},
		{"insert anywhere", `local t = {} table.insert(t, -5, 1) table.insert(t, 2^40, 1) table.insert(t, 0, 1) for k in pairs(t) do end pcall(table.insert, t, 0/0, 1) pcall(table.insert, t, 1/0, 1) pcall(table.concat, t, ",", -1e9, 1e9)`, ""},
		{"NaN key", `local t = {} t[0/0] = 1`, "hook-error"},
		{"next of nothing", `local t = { a = 1 } t.a = nil for i = 1, 100 do next(t) pcall(next, t, "b") pcall(next, t, 0/0) pcall(next, t, -1) pcall(next, t, 2^53) end`, ""},
		{"changing in pairs", `local t = { a = 1 } for i = 1, 1000 do for k in pairs(t) do t[k .. i] = i if i > 5 then break end end end`, "limit-memory limit-time"},
		{"globals taken away", `string, table, math, json, error, pcall, print = nil local g = _G for k in next, g do if k ~= "report" then g[k] = nil end end report.set("Int", 1)`, ""},
		{"strings without methods", `string.upper = nil getmetatable("").__index = nil getmetatable("").__add = print return ("x"):lower()`, ""},
		{"protected libraries", `setmetatable(fs, {})`, "hook-error"},
		{"metatable of later", `return getmetatable(fs).__index, getmetatable(cmd)`, "hook-error"},
		{"command flood", `while true do pcall(cmd.run, "id", {}) end`, "limit-calls"},
		{"command flood without arguments", `while true do pcall(cmd.run, "id") end`, "limit-time"},
		{"set flood", `while true do report.set("k", {}) end`, "limit-calls"},
		{"names flood", `while true do report.names() end`, "limit-calls"},
		{"log flood", `while true do log("x") end`, "limit-time"},
		{"clock flood", `while true do time.now() end`, "limit-time"},
		{"traffic", `for i = 1, 100 do pcall(report.set, "Text", ("x"):rep(500000)) end`, "limit-calls"},
		{"name as number", `report.get(1)`, "hook-error"},
		{"name with everything", `pcall(report.get, ("\0\255\n"):rep(100000)) pcall(report.set, ("\0\255"):rep(1e5), 1) pcall(fs.read, ("/\0"):rep(1e5))`, ""},
		{"returned functions", `return { Text = print }`, "hook-error"},
		{"returned trap", `return setmetatable({}, { __index = function() while true do end end, __len = error, __pairs = error })`, ""},
		{"returned thread", `return coroutine.create(print)`, ""},
		{"returned keys", `return { [1] = "x", [{}] = "y" }`, "hook-error"},
		{"many locals", "local x = 1\n" + strings.Repeat("local a = 1\n", 300), "bad-script"},
		{"many upvalues", "local a = 1 local function f() " + strings.Repeat("local b = a ", 150) + " end", ""},
		{"bad goto", "goto nowhere", "bad-script"},
		{"break outside", "break", "bad-script"},
		{"many constants", "local t = {" + manyConstants() + "}", " bad-script limit-time"},
		{"long concat", "local a = 'x' return a" + strings.Repeat("..a", 150), ""},
		{"comma chains", "return a" + strings.Repeat("..f(1,1)", 7000), "bad-script hook-error limit-memory"},
		{"unfinished string", "local a = 'x", "bad-script"},
		{"unfinished comment", "--[[ x", " bad-script"},
		{"number forms", "local a = 0x 1e 1..2 ...", "bad-script"},
		{"a BOM", "\uFEFFlocal a", "bad-script"},
		{"a hash-bang", "#!/usr/bin/lua\nlocal a = 1", " bad-script"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			work := task(tt.script, "/proc/meminfo")
			work.Predicate.MaxRuntimeMS = 60_000 // another limit comes first, on a busy machine too
			if strings.Contains(tt.codes, "limit-time") {
				work.Predicate.MaxRuntimeMS = 500
			}
			began := time.Now()
			out, err := replay.Run(context.Background(), binary, work, replay.Fixtures{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(strings.Split(tt.codes, " "), out.Code) {
				t.Errorf("code %q (line %d: %s), expected one of %q", out.Code, out.Line, out.Error, tt.codes)
			}
			if took := time.Since(began); took > work.Runtime()+5*time.Second {
				t.Errorf("took %v", took)
			}
			if out.Code != "" && len(out.Fields) > 0 {
				t.Errorf("fields: %v", out.Fields)
			}
			for _, leak := range []string{"goroutine", "0xc0", ".go:", "runtime error", "interface conversion"} {
				if text := out.Error + strings.Join(out.Log, " "); strings.Contains(text, leak) {
					t.Errorf("the outcome tells about the worker: %.300s", text)
				}
			}
		})
	}
}

func manyConstants() string {
	var b strings.Builder
	for i := range 9000 {
		b.WriteString("k")
		b.WriteString(strings.Repeat("x", i%3))
		b.WriteString("=")
		b.WriteString(time.Duration(i).String()[:1])
		b.WriteString(",")
	}
	return b.String()
}

// Who the broker is decides what the system lets it read.
func TestIdentity(t *testing.T) {
	if os.Geteuid() != 0 {
		work := task("local x")
		work.Predicate.As = hooks.AsRoot
		if _, err := (&sandbox.Runner{Binary: binary}).Run(context.Background(), work); err == nil {
			t.Error("a hook ran as root without root")
		}
		return
	}
	t.Parallel()
	dir := makeFixtures(t)
	secret := dir + "/allowed/only-root"
	if err := os.WriteFile(secret, []byte("for root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs := dir + "/allowed/only-1234"
	if err := os.WriteFile(theirs, []byte("for 1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(theirs, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	runner := &sandbox.Runner{Binary: binary, Reporter: sandbox.Credential{UID: 1234, GID: 1234}}
	for _, tt := range []struct {
		as    hooks.Identity
		path  string
		reads bool
	}{
		{hooks.AsService, secret, false},
		{hooks.AsReporter, secret, false},
		{hooks.AsRoot, secret, true},
		{hooks.AsService, theirs, false},
		{hooks.AsReporter, theirs, true},
		{hooks.AsRoot, theirs, true},
	} {
		work := task(`report.set("Raw", fs.read("`+tt.path+`"))`, dir+"/allowed/**")
		work.Predicate.As, work.Filer = tt.as, sandbox.Filer{UID: 0, Known: true}
		out, err := runner.Run(context.Background(), work)
		if err != nil {
			t.Fatal(err)
		}
		if (out.Code == "") != tt.reads {
			t.Errorf("%s, %s: %q %s", tt.as, tt.path, out.Code, out.Error)
		}
	}
}

// An address that stands where an error's or a line's text is cut must not
// leave in part: half of it looks like no address.
func TestCutAddresses(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"192.168.201.177", "bobby@mail.example.org", "2001:db8:1111:2222:3333:4444:5555:6666"} {
		for _, size := range []int{sandbox.MaxErrorBytes, 4 * sandbox.MaxErrorBytes} {
			for _, filler := range []string{`("y"):rep(n)`, `("10.20.30.40 "):rep(n / 12) .. ("y"):rep(n % 12)`} {
				script := strings.NewReplacer("SIZE", strconv.Itoa(size), "SECRET", secret, "FILLER", filler).Replace(
					`for n = SIZE - 40, SIZE do log(FILLER .. " SECRET end") end local n = SIZE - 10 error(FILLER .. " SECRET end", 0)`)
				out, err := replay.Run(context.Background(), binary, task(script), replay.Fixtures{})
				if err != nil {
					t.Fatal(err)
				}
				for _, text := range append(out.Log, out.Error) {
					if strings.Contains(text, secret[:6]) {
						t.Errorf("size %d: %q", size, text[max(0, len(text)-60):])
					}
				}
			}
		}
	}
	out, err := replay.Run(context.Background(), binary, task(`log(("y"):rep(4085) .. " bobby@mail.example.org")`), replay.Fixtures{})
	if err != nil || strings.Contains(strings.Join(out.Log, ""), "bob") {
		t.Errorf("%v %q", err, out.Log)
	}
}
