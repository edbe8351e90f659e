package worker_test

import (
	"strings"
	"testing"
	"time"

	"hookline/sandbox"
	"hookline/sandbox/wire"
)

func TestLimits(t *testing.T) {
	t.Parallel() // but its runs one after the other: some count to the end
	for _, tt := range []struct{ name, script, fate, text string }{
		{"instructions", `while true do end`, "limit-time", "50 million"},
		{"heap", `local t = {} for i = 1, 1e8 do t[i] = { i } end`, "limit-memory", "32 MiB"},
		{"heap of texts", `local t = {} for i = 1, 1e8 do t[i] = ("x"):rep(1000) .. i end`, "limit-memory", "32 MiB"},
		{"heap of coroutines", `local t = {} for i = 1, 900 do local c = coroutine.create(function(...) coroutine.yield(...) end)
			local a = {} for k = 1, 7000 do a[k] = k end coroutine.resume(c, unpack(a)) t[i] = c end`, "limit-memory", "32 MiB"},
		{"heap beneath its bound", `local t = {} for i = 1, 300 do t[i] = ("x"):rep(65536) end`, "well", ""},
		{"garbage", `for i = 1, 3000 do local s = ("x"):rep(65536) end`, "well", ""},
		{"calls", `local function f() return 1 + f() end f()`, "hook-error", "stack overflow"},
		{"calls beneath their bound", `local function f(n) if n > 0 then return 1 + f(n - 1) end return 0 end f(190)`, "well", ""},
		{"calls over their bound", `local function f(n) if n > 0 then return 1 + f(n - 1) end return 0 end f(200)`, "hook-error", "stack overflow"},
		{"registry", `local function f(...) return select("#", ...) end local t = {} for i = 1, 40000 do t[i] = i end f(unpack(t))`, "hook-error", "too many results"},
		{"registry by vararg", `local function f(...) return f(1, ...) end f()`, "hook-error", ""},
		{"array index", `local t = {} t[2^20] = 1 t[67108863] = 1 assert(#t == 0)`, "well", ""},
		{"string.rep", `("x"):rep(4194305)`, "limit-memory", "4 MiB"},
		{"string.rep beneath", `assert(#("x"):rep(4194304) == 4194304)`, "well", ""},
		{"string.rep by overflow", `("xxxxxxxxxxxxxxxx"):rep(2^60)`, "limit-memory", "4 MiB"},
		{"gsub", `("x"):rep(100000):gsub("x", ("y"):rep(100))`, "limit-memory", "4 MiB"},
		{"gsub of nothing", `("x"):rep(100000):gsub("", ("y"):rep(100))`, "limit-memory", "4 MiB"},
		{"concat", `local t = {} for i = 1, 100 do t[i] = ("x"):rep(50000) end table.concat(t)`, "limit-memory", "4 MiB"},
		{"format", `local s = ("x"):rep(2000000) string.format("%s%s%s", s, s, s)`, "limit-memory", "4 MiB"},
		{"coroutines", `for i = 1, 1001 do coroutine.create(print) end`, "limit-memory", "1000 coroutines"},
		{"coroutines beneath", `for i = 1, 1000 do coroutine.create(print) end`, "well", ""},
		{"depth of coroutines", `
			local function f(n) return coroutine.wrap(function() return f(n + 1) end)() end f(1)`, "hook-error", "nest too deeply"},
		{"depth of coroutines beneath", `
			local function f(n) if n == 16 then return n end return coroutine.wrap(function() return f(n + 1) end)() end assert(f(1) == 16)`, "well", ""},
		{"cyclic resume", `local a a = coroutine.create(function() return coroutine.resume(a) end)
			local _, ok, why = coroutine.resume(a) assert(not ok and why:find("non%-suspended"))`, "well", ""},
		{"removed", `
			for _, name in ipairs({ "load", "loadstring", "loadfile", "dofile", "require", "module", "getfenv", "setfenv", "newproxy",
				"_printregs", "collectgarbage", "os", "io", "debug", "package", "channel" }) do assert(_G[name] == nil, name) end
			assert(string.dump == nil and string.gfind == nil)`, "well", ""},
		{"no addresses", `
			for _, v in ipairs({ {}, print, function() end, coroutine.create(print), json.null }) do
				assert(not tostring(v):find("%d") and not string.format("%s", v):find("%d")) end
			assert(not pcall(string.format, "%d", {}) and not pcall(string.format, "%p", {}) and not pcall(string.format, "%v", {}))`, "well", ""},
		{"metatables of tables only", `
			assert(not pcall(setmetatable, "", {}) and not pcall(setmetatable, print, {}) and not pcall(setmetatable, 1, {}))
			getmetatable("").__index = nil assert(("x"):upper() == "X")`, "well", ""},
		{"compiling counts", strings.Repeat("-", 65000), "well", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := run(t, tt.script, wire.Start{RuntimeMS: 10_000}, nothing)
			if e.fate() == "limit-time" && e.fate() == tt.fate && e.Instructions <= sandbox.MaxInstructions {
				t.Skipf("too slow a machine: %d instructions after %v", e.Instructions, e.Took)
			}
			if e.fate() != tt.fate || !strings.Contains(e.Error, tt.text) {
				t.Errorf("%s: %q in line %d, expected %s with %q", e.fate(), e.Error, e.Line, tt.fate, tt.text)
			}
			if e.Instructions > 60_000_000 {
				t.Errorf("%d instructions", e.Instructions)
			}
			if tt.name == "compiling counts" && e.Instructions < 16*65000 {
				t.Errorf("%d instructions", e.Instructions)
			}
		})
	}
}

// What cannot be interrupted ends a little after its time all the same.
func TestTimeHoldsInOneStep(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"length":   `local t = {} for i = 1, 400000 do t[i] = i end for i = 400000, 2, -1 do t[i] = nil end while true do local n = #t end`,
		"next":     `local t = {} for i = 1, 100000 do t["k" .. i] = 1 end for i = 1, 100000 do t["k" .. i] = nil end while true do next(t) end`,
		"counting": `while true do end`,
	} {
		e := run(t, script, wire.Start{RuntimeMS: 300}, nothing)
		if e.fate() != "limit-time" || e.cpu() > 2*time.Second {
			t.Errorf("%s: %s after %v: %s", name, e.fate(), e.cpu(), e.Error)
		}
	}
}

// A step that does not come back is not waited for: here the compiler, which
// has some 20,000 constants to compare with one another and counts nothing
// before it is done.
func TestTimeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	e := run(t, worstSources()["short constants"], wire.Start{RuntimeMS: 1}, nothing)
	if e.fate() != "limit-time" || e.Instructions != 0 {
		t.Errorf("%s after %v and %d instructions: %s", e.fate(), e.Took, e.Instructions, e.Error)
	}
}

// A run takes little memory, and a run at its limit stays far beneath what
// the kernel lets it have.
func TestResidentMemory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		most         int // kB
	}{
		{"trivial", `log(report.get("peak"))`, 8 << 10},
		{"tables", `local t = {} for i = 1, 1e8 do t[i] = { i } if i % 1000 == 0 then log(report.get("peak")) end end`, 160 << 10},
		{"texts", `local t = {} for i = 1, 1e8 do t[i] = ("x"):rep(100000) log(report.get("peak")) end`, 160 << 10},
		{"array fill", `for i = 1, 100 do local t = {} t[300000] = 1 log(report.get("peak")) end`, 160 << 10},
		{"garbage", `for i = 1, 1000 do local s = ("x"):rep(1000000) log(report.get("peak")) end`, 160 << 10},
	} {
		e := run(t, tt.script, wire.Start{RuntimeMS: 5000}, nothing)
		if len(e.Log) == 0 {
			t.Fatalf("%s: %s: %s", tt.name, e.fate(), e.Error)
		}
		peak := 0
		for _, line := range e.Log {
			peak = max(peak, number(t, line))
		}
		t.Logf("%s: %d kB", tt.name, peak)
		if peak <= 0 || peak > tt.most {
			t.Errorf("%s: %d kB resident, expected at most %d", tt.name, peak, tt.most)
		}
	}
}
