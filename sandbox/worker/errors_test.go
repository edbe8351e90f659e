package worker_test

import (
	"testing"

	"hookline/sandbox/wire"
)

// Errors are told in Lua's own words and at the line of the script, caught or
// not. Each script catches its error; what is logged is what pcall gave.
func TestCaughtErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script, text string }{
		{"host function", "local ok, e = pcall(fs.read, '/gone')\nlog(e)", "hook.lua:1: fs.read: /gone: no such file"},
		{"host function on another line", "local ok, e =\n\n  pcall(fs.stat, '/gone')\nlog(e)", "hook.lua:3: fs.stat: /gone: no such file"},
		{"host function in a function", "local ok, e = pcall(function()\n  fs.read('/gone')\nend)\nlog(e)", "hook.lua:2: fs.read: /gone: no such file"},
		{"pcall of pcall", "local _, ok, e = pcall(pcall, fs.read, '/gone')\nlog(e)", "hook.lua:1: fs.read: /gone: no such file"},
		{"xpcall", "xpcall(function()\n fs.read('/gone') end, log)", "hook.lua:2: fs.read: /gone: no such file"},
		{"xpcall of the host", "\nlocal ok, e = xpcall(fs.list, function(e) return e end)\nlog(e)", "hook.lua:2: wrong number of arguments to 'fs.list' (1 expected, got 0)"},
		{"wrapped host function", "local f = coroutine.wrap(fs.read)\nlocal ok, e = pcall(f, '/gone')\nlog(e)", "hook.lua:2: fs.read: /gone: no such file"},
		{"host function as a coroutine", "local c = coroutine.create(fs.read)\nlocal ok, e = coroutine.resume(c, '/gone')\nlog(e)", "hook.lua:2: fs.read: /gone: no such file"},
		{"library as a coroutine", "local c = coroutine.create(string.rep)\nlocal ok, e = coroutine.resume(c)\nlog(e)", "hook.lua:2: bad argument #1 to 'string.rep' (string expected, got nil)"},
		{"in a coroutine", "local c = coroutine.create(function()\n fs.read('/gone') end)\nlocal ok, e = coroutine.resume(c)\nlog(e)", "hook.lua:2: fs.read: /gone: no such file"},
		{"denied", "local ok, e = pcall(fs.write, 'x')\nlog(e)", "hook.lua:1: there is no fs.write in this version"},
		{"too large", "local ok, e = pcall(string.rep, 'x', 1e9)\nlog(e)", "hook.lua:1: string.rep: result would be larger than 4 MiB"},

		{"bad argument by pcall", "local ok, e = pcall(string.rep, 'x')\nlog(e)", "hook.lua:1: bad argument #2 to 'string.rep' (number expected, got nil)"},
		{"bad argument", "local ok, e = pcall(function()\n return (string.rep('x')) end)\nlog(e)", "hook.lua:2: bad argument #2 to 'string.rep' (number expected, got nil)"},
		{"bad argument of a method", "local ok, e = pcall(function() local s = ('x'):rep({}) end)\nlog(e)", "hook.lua:1: bad argument #2 to 'string.rep' (number expected, got table)"},
		{"bad argument of a global", "local ok, e = pcall(function() for k in pairs(nil) do end end)\nlog(e)", "hook.lua:1: bad argument #1 to 'pairs' (table expected, got nil)"},
		{"bad argument of another name", "local each = ipairs\nlocal ok, e = pcall(each)\nlog(e)", "hook.lua:2: bad argument #1 to 'ipairs' (table expected, got nil)"},
		{"bad argument of cmd.run", "local ok, e = pcall(cmd.run, 'say', { {} })\nlog(e)", "hook.lua:1: bad argument #2 to 'cmd.run' (argument 1 of the command is a table)"},
		{"bad argument of math", "local ok, e = pcall(math.random, 0)\nlog(e)", "hook.lua:1: bad argument #1 to 'math.random' (interval is empty)"},
		{"bad argument after a callback", "local ok, e = pcall(table.concat, {}, {})\nlog(e)", "hook.lua:1: bad argument #2 to 'table.concat' (string expected, got table)"},
		{"number of arguments", "local ok, e = pcall(fs.read)\nlog(e)", "hook.lua:1: wrong number of arguments to 'fs.read' (1 expected, got 0)"},
		{"number of arguments of a global", "local ok, e = pcall(function() log('a', 'b') end)\nlog(e)", "hook.lua:1: wrong number of arguments to 'log' (1 expected, got 2)"},

		{"index nil", "local t = {}\nlocal ok, e = pcall(function()\n return t.a.foo end)\nlog(e)", "hook.lua:3: attempt to index a nil value with key 'foo'"},
		{"index nil by number", "local ok, e = pcall(function() local t; return t[1] end)\nlog(e)", "hook.lua:1: attempt to index a nil value with key '1'"},
		{"method of nil", "local ok, e = pcall(function() local t; return t:foo() end)\nlog(e)", "hook.lua:1: attempt to index a nil value with key 'foo'"},
		{"set in nil", "local ok, e = pcall(function() local t; t.foo = 1 end)\nlog(e)", "hook.lua:1: attempt to index a nil value with key 'foo'"},
		{"index a number", "local ok, e = pcall(function() return (1).foo end)\nlog(e)", "hook.lua:1: attempt to index a number value with key 'foo'"},
		{"index a boolean", "local ok, e = pcall(function() return (true).foo end)\nlog(e)", "hook.lua:1: attempt to index a boolean value with key 'foo'"},
		{"index a function", "local ok, e = pcall(function() return print.foo end)\nlog(e)", "hook.lua:1: attempt to index a function value with key 'foo'"},
		{"set in a string", "local ok, e = pcall(function() local s = 'x' s.foo = 1 end)\nlog(e)", "hook.lua:1: attempt to index a string value with key 'foo'"},
		{"index json.null", "local ok, e = pcall(function() return json.null.foo end)\nlog(e)", "hook.lua:1: attempt to index a userdata value with key 'foo'"},
		{"length of nil", "local ok, e = pcall(function()\n local t\n return #t end)\nlog(e)", "hook.lua:3: attempt to get length of a nil value"},
		{"length of a number", "local ok, e = pcall(function() return #1 end)\nlog(e)", "hook.lua:1: attempt to get length of a number value"},
		{"call a global", "local ok, e = pcall(function()\n nothing() end)\nlog(e)", "hook.lua:2: attempt to call a nil value ('nothing')"},
		{"call a field", "local ok, e = pcall(function() local x = string.nothing('a') end)\nlog(e)", "hook.lua:1: attempt to call a nil value ('nothing')"},
		{"call a method", "local ok, e = pcall(function() local x = ('x'):nothing() end)\nlog(e)", "hook.lua:1: attempt to call a nil value ('nothing')"},
		{"call at the end", "local ok, e = pcall(function()\n return nothing() end)\nlog(e)", "hook.lua:2: attempt to call a nil value ('nothing')"},
		{"call by pcall", "local ok, e = pcall(nil)\nlog(e)", "hook.lua:1: attempt to call a nil value"},
		{"call a string", "local ok, e = pcall('x')\nlog(e)", "hook.lua:1: attempt to call a string value"},
		{"call a table", "local ok, e = pcall({})\nlog(e)", "hook.lua:1: attempt to call a table value"},
		{"call in a loop", "local ok, e = pcall(function() for a in nil do end end)\nlog(e)", "hook.lua:1: attempt to call a nil value"},
		{"add nil", "local ok, e = pcall(function() return 1 + nil end)\nlog(e)", "hook.lua:1: attempt to perform arithmetic on a nil value"},
		{"subtract from a table", "local ok, e = pcall(function() return {} - 1 end)\nlog(e)", "hook.lua:1: attempt to perform arithmetic on a table value"},
		{"multiply a text", "local ok, e = pcall(function() return 'x' * 2 end)\nlog(e)", "hook.lua:1: attempt to perform arithmetic on a string value"},
		{"negate nil", "local ok, e = pcall(function() local x; return -x end)\nlog(e)", "hook.lua:1: attempt to perform arithmetic on a nil value"},
		{"negate a table", "local ok, e = pcall(function() return -{} end)\nlog(e)", "hook.lua:1: attempt to perform arithmetic on a value that is no number"},
		{"concatenate nil", "local ok, e = pcall(function() return 'x' .. nil end)\nlog(e)", "hook.lua:1: attempt to concatenate a nil value"},
		{"concatenate a table", "local ok, e = pcall(function() return {} .. 'x' end)\nlog(e)", "hook.lua:1: attempt to concatenate a table value"},
		{"compare", "local ok, e = pcall(function() return 1 < nil end)\nlog(e)", "hook.lua:1: attempt to compare number with nil"},
		{"for", "local ok, e = pcall(function() for i = 1, nil do end end)\nlog(e)", "hook.lua:1: 'for' limit must be a number"},
		{"many values", "local t = {} for i = 1, 16000 do t[i] = i end\nlocal function f(...) local n = select('#', ...) return n + select('#', ...) end\nlocal function g(...) return 1 + f(...) end\nlocal ok, e = pcall(g, unpack(t))\nlog(e)", "hook.lua:2: stack overflow"},

		{"error", "local ok, e = pcall(function()\n error('x') end)\nlog(e)", "hook.lua:2: x"},
		{"error of the caller", "local function f() error('x', 2) end\nlocal ok, e = pcall(function()\n f() end)\nlog(e)", "hook.lua:3: x"},
		{"error by pcall", "local ok, e = pcall(error, 'x')\nlog(e)", "hook.lua:1: x"},
		{"error of a text that begins with a space", "local ok, e = pcall(error, ' x', 0)\nlog(e)", " x"},
		{"error without a place", "local ok, e = pcall(error, '__len undefined', 0)\nlog(e)", "__len undefined"},
		{"the script's own words stay", "local ok, e = pcall(function()\n error('bad argument #1 to mine (no)') end)\nlog(e)", "hook.lua:2: bad argument #1 to mine (no)"},
		{"raised again", "local ok, e = pcall(function()\n local ok, e = pcall(string.rep)\n error(e, 0) end)\nlog(e)", "hook.lua:2: bad argument #1 to 'string.rep' (string expected, got nil)"},
		{"assert of a text", "local ok, e = pcall(assert, false, 'x')\nlog(e)", "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := run(t, tt.script, wire.Start{}, broker)
			if e.fate() != "well" || len(e.Log) != 1 || e.Log[0] != tt.text {
				t.Errorf("%s %q: logged %q, expected %q", e.fate(), e.Error, e.Log, tt.text)
			}
		})
	}
}

// Uncaught, an error brings its code and line.
func TestUncaughtErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script, fate, text string
		line                     int
	}{
		{"host function", "\nfs.read('/gone')", "call-failed", "fs.read: /gone: no such file", 2},
		{"host function raised again", "local ok, e = pcall(fs.read, '/gone')\nerror(e, 0)", "call-failed", "fs.read: /gone: no such file", 1},
		{"host function in a coroutine", "\n\ncoroutine.wrap(fs.read)('/gone')", "call-failed", "fs.read: /gone: no such file", 3},
		{"refused", "fs.write('x')", "denied", "there is no fs.write in this version", 1},
		{"too large", "\nlocal s = ('x'):rep(1e9)", "limit-memory", "string.rep: result would be larger than 4 MiB", 2},
		{"bad argument", "\nlocal s = string.rep('x')", "hook-error", "bad argument #2 to 'string.rep' (number expected, got nil)", 2},
		{"number of arguments", "\n\nfs.read()", "hook-error", "wrong number of arguments to 'fs.read' (1 expected, got 0)", 3},
		{"index nil", "local t\n\nreturn t.foo", "hook-error", "attempt to index a nil value with key 'foo'", 3},
		{"length of nil", "\nreturn #nil", "hook-error", "attempt to get length of a nil value", 2},
		{"call nil", "\nnothing()", "hook-error", "attempt to call a nil value ('nothing')", 2},
		{"concatenate nil", "\nreturn 'x' .. nil", "hook-error", "attempt to concatenate a nil value", 2},
		{"error", "\nerror('x')", "hook-error", "x", 2},
		{"error beyond the first call", "\nerror('x', 9)", "hook-error", "x", 2},
		{"error without a place", "error('x', 0)", "hook-error", "x", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := run(t, tt.script, wire.Start{}, broker)
			if e.fate() != tt.fate || e.Error != tt.text || e.Line != tt.line {
				t.Errorf("%s: %q in line %d, expected %s: %q in line %d", e.fate(), e.Error, e.Line, tt.fate, tt.text, tt.line)
			}
		})
	}
}
