package worker_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"hookline/sandbox"
	"hookline/sandbox/wire"
)

func traced(t *testing.T, script string) ended {
	t.Helper()
	return run(t, script, wire.Start{Trace: true, RuntimeMS: 10_000}, nothing)
}

func TestTrace(t *testing.T) {
	t.Parallel()
	script := `local a, s = 12, "x\n"
local t = { 1, 2, k = 3 }
local function double(n)
  local m = n * 2
  return m
end
for i = 1, 2 do
  a = double(i)
end
local c = coroutine.wrap(function(x)
  coroutine.yield(x)
  x = nil
end)
c(true)
c()
`
	want := []string{
		`hook.lua:1  local a, s = 12, "x\n"`,
		`hook.lua:2  local t = { 1, 2, k = 3 }   a=12 s="x\n"`,
		`hook.lua:3  local function double(n)   a=12 s="x\n" t=table(3)`,
		`hook.lua:7  for i = 1, 2 do   a=12 s="x\n" t=table(3) double=function`,
		`hook.lua:8  a = double(i)   a=12 s="x\n" t=table(3) double=function i=1`,
		`hook.lua:4    local m = n * 2   n=1`,
		`hook.lua:5    return m   n=1 m=2`,
		`hook.lua:7  for i = 1, 2 do   a=2 s="x\n" t=table(3) double=function`,
		`hook.lua:8  a = double(i)   a=2 s="x\n" t=table(3) double=function i=2`,
		`hook.lua:4    local m = n * 2   n=2`,
		`hook.lua:5    return m   n=2 m=4`,
		`hook.lua:7  for i = 1, 2 do   a=4 s="x\n" t=table(3) double=function`,
		`hook.lua:10  local c = coroutine.wrap(function(x)   a=4 s="x\n" t=table(3) double=function`,
		`hook.lua:14  c(true)   a=4 s="x\n" t=table(3) double=function c=function`,
		`hook.lua:11      coroutine.yield(x)   x=true`,
		`hook.lua:15  c()   a=4 s="x\n" t=table(3) double=function c=function`,
		`hook.lua:12      x = nil   x=true`,
		`hook.lua:13      end)   x=nil`,
	}
	e := traced(t, script)
	if e.fate() != "well" {
		t.Fatalf("%s: %s", e.fate(), e.Error)
	}
	if diff := cmp.Diff(want, e.Trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

func TestTraceIsBounded(t *testing.T) {
	t.Parallel()
	e := traced(t, "local n = 0\nfor i = 1, 100000 do\n  n = n + i\nend")
	if e.fate() != "well" || len(e.Trace) != 1001 || e.Trace[1000] != "… trace ends here: limit" {
		t.Errorf("%s: %s, %d lines: %.200q", e.fate(), e.Error, len(e.Trace), e.Trace)
	}
	var locals, names strings.Builder
	for i := range 150 {
		fmt.Fprintf(&locals, "local a%d = (\"\\255\\27[31m\\226\\128\\174\"):rep(1000)\n", i)
	}
	fmt.Fprintf(&names, "local %s = 1\nlocal b\n", strings.Repeat("a", 5000))
	for _, script := range []string{locals.String(), names.String(), "local a = 1 -- \x1b[31m \u202e\nlocal b = '\u202e'\nlocal c", "local t = setmetatable({}, { __tostring = error, __len = error, __index = error })\nlocal b"} {
		e := traced(t, script)
		if e.fate() != "well" || len(e.Trace) < 2 {
			t.Fatalf("%s: %s, %d lines", e.fate(), e.Error, len(e.Trace))
		}
		for _, line := range e.Trace {
			if len(line) > 1000 || !utf8.ValidString(line) || strings.ContainsAny(line, "\x1b\u202e\n") {
				t.Errorf("line %q", line)
			}
		}
		if n := len(strings.Join(e.Trace, "\n")); n > sandbox.MaxTraceBytes {
			t.Errorf("%d bytes", n)
		}
	}
}

// A traced run keeps every bound of one that is not.
func TestTraceKeepsTheBounds(t *testing.T) {
	t.Parallel()
	for script, fate := range map[string]string{
		"while true do end": "limit-time",
		"local t = {}\nfor i = 1, 1e8 do t[i] = ('x'):rep(10000) end":                     "limit-memory",
		"local function f() return 1 + f() end f()":                                       "hook-error",
		"local function f() return f() end\nlocal n = 0\nfor i = 1, 10 do pcall(f) end":   "limit-time",
		"local function f(n)\n return coroutine.wrap(function() f(n + 1) end)() end f(1)": "hook-error",
	} {
		start := wire.Start{Trace: true, RuntimeMS: 10_000}
		if fate == "limit-time" {
			start.RuntimeMS = 500
		}
		e := run(t, script, start, nothing)
		if e.fate() != fate {
			t.Errorf("%q: %s: %s", script, e.fate(), e.Error)
		}
		if len(e.Trace) == 0 {
			t.Errorf("%q: no trace", script)
		}
	}
	if e := run(t, "local a = 1\nlocal b = 2", wire.Start{}, nothing); len(e.Trace) > 0 {
		t.Errorf("a trace that nobody asked for: %q", e.Trace)
	}
}
