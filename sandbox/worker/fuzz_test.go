package worker

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// dice makes choices of fuzzed bytes; after their end it always takes the first.
type dice struct{ bytes []byte }

func (d *dice) roll(sides int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	n := int(d.bytes[0])
	d.bytes = d.bytes[1:]
	return n % sides
}

func (d *dice) of(words []string) string { return words[d.roll(len(words))] }

var hostFunctions = strings.Fields(`report.get report.names report.set fs.read fs.list fs.stat cmd.run sys.facts time.now log print
	json.encode json.decode string.byte string.char string.find string.format string.gmatch string.gsub string.len string.lower string.match
	string.rep string.reverse string.sub string.upper table.concat table.insert table.remove table.sort table.maxn table.getn
	math.abs math.floor math.fmod math.frexp math.ldexp math.max math.min math.modf math.pow math.random math.randomseed
	coroutine.create coroutine.resume coroutine.running coroutine.status coroutine.wrap coroutine.yield
	assert error pcall xpcall type tostring tonumber next select unpack rawequal rawget rawset getmetatable setmetatable pairs ipairs
	fs.write cmd.exec sys.x report`)

// oddValues are what a function should not be given, and a little of what it
// should. v is a table of earlier results, f a function that takes a function.
var oddValues = []string{
	`nil`, `true`, `0`, `1`, `-1`, `2`, `0.5`, `-0.5`, `1/0`, `-1/0`, `0/0`, `2^31`, `-2^31`, `2^53`, `-2^53`, `2^63`, `2^64`, `1e308`, `"#"`,
	`""`, `"a"`, `"k"`, `"1"`, `"0x"`, `"/d"`, `"__index"`, `("x"):rep(1000)`, `("x"):rep(300000)`, `"\0\255\n%"`, `"%d %s %5.2f %q %c"`, `"%99.99f"`,
	`"(.-)%1"`, `"[%a-z]*"`, `"%b()%f[%w]"`, `"^.*$"`, `"((((("`, `"%"`, `"[]"`, `"()"`, `"a-b?"`, `'{"a":[1,null,{}]}'`, `"[[[[[["`,
	`{}`, `{ 1, 2, 3 }`, `{ "a", "b" }`, `{ a = 1 }`, `{ 1, nil, 3 }`, `{ { { {} } } }`, `{ [0/0 == 0] = 1, [2^40] = 2, [-1] = 3 }`,
	`cyclic`, `weird`, `v`, `v[1]`, `v[2]`, `v[3]`, `v[#v]`, `_G`, `string`, `json.null`, `print`, `try`, `pcall`, `error`,
	`function() end`, `function(...) return ... end`, `function(...) return v end`, `function(a) error(a) end`, `function(a, b) return a < b end`,
	`function(...) coroutine.yield(...) end`, `function(t) table.remove(t) end`, `coroutine.create(print)`, `coroutine.create(function() coroutine.yield(v) end)`,
	`coroutine.running()`, `...`,
}

const fuzzPrelude = `local v = { 1, "a", {} }
local cyclic = {} cyclic[1] = cyclic cyclic.a = { cyclic }
local function odd(...) return ... end
local weird = setmetatable({}, { __index = odd, __newindex = odd, __call = odd, __tostring = odd, __len = odd, __eq = odd, __lt = odd,
  __le = odd, __concat = odd, __add = odd, __unm = odd, __metatable = 1 })
local function try(f, ...)
  local r = { pcall(f, ...) }
  if type(r[2]) == "string" and r[2]:find("broke the Lua machine", 1, true) then log("BROKE " .. #v) end
  for i = 2, 4 do if r[i] ~= nil and #v < 100 then v[#v + 1] = r[i] end end
end
`

// script writes calls of the library with odd arguments.
func (d *dice) script() string {
	var b strings.Builder
	b.WriteString(fuzzPrelude)
	for range 1 + d.roll(12) {
		call := d.of(hostFunctions)
		args := make([]string, d.roll(5))
		for i := range args {
			args[i] = d.of(oddValues)
		}
		list := strings.Join(args, ", ")
		with := call
		if list != "" {
			with += ", " + list
		}
		switch d.roll(6) {
		case 0, 1, 2:
			fmt.Fprintf(&b, "try(%s)\n", with)
		case 3:
			fmt.Fprintf(&b, "try(coroutine.wrap(function(...) return (%s)(%s) end))\n", call, list)
		case 4:
			fmt.Fprintf(&b, "for i = 1, %d do try(%s) end\n", 1+d.roll(40), with)
		case 5:
			fmt.Fprintf(&b, "v[1] = (%s)(%s)\n", call, list)
		}
	}
	if d.roll(3) == 0 {
		fmt.Fprintf(&b, "return %s\n", d.of(oddValues))
	}
	return b.String()
}

// answer is what a broker says that nobody can trust.
func (d *dice) answer() (wire.Response, []byte) {
	head := wire.Response{
		Code:  d.of([]string{"", "", "", "", "denied", "call-failed", "x", "limit-time", "\x00"}),
		Error: d.of([]string{"", "no such file", strings.Repeat("e", 5000), "\xff\x00%s%d", "hook.lua:1: x"}),
		Nil:   d.roll(4) == 3,
		Exit:  []int{0, 1, -1, 1 << 40}[d.roll(4)],
		Split: []int{0, 1, -1, 4, 1 << 40, -1 << 62}[d.roll(6)],
	}
	tail := d.of([]string{
		"", "text", "[]", `["a","b"]`, `[1,{}]`, `{"a":1}`, "null", "{", `{"type":"file","size":-1}`, `{"size":1e400}`, `{"size":"x"}`,
		strings.Repeat("[", 100_000), strings.Repeat("\x00", 300_000), `[` + strings.Repeat(`"a",`, 50_000) + `"a"]`,
	})
	return head, []byte(tail)
}

// converse is a broker of one run; it returns the last word and the log.
func (d *dice) converse(in io.Writer, out io.Reader) (last wire.Request, log string) {
	for {
		var said wire.Request
		tail, _, err := wire.Read(out, &said, sandbox.MaxFrameBytes)
		if err != nil {
			return last, log
		}
		switch said.Op {
		case wire.OpEnd:
			return said, log
		case wire.OpLog:
			log += string(tail) + "\n"
		case wire.OpTrace:
		default:
			head, body := d.answer()
			if _, err := wire.Write(in, head, body, sandbox.MaxFrameBytes); err != nil {
				return last, log
			}
		}
	}
}

// fuzzSteps is what a fuzzed run may count: the rest of the budget is taken
// away before it begins, so that an endless loop does not take long.
const fuzzSteps = 100_000

// othersHeap is what the test process itself holds, and the fuzzing engine.
var othersHeap = sync.OnceValue(func() int64 {
	runtime.GC()
	var b budget
	_, live := b.heap()
	return live
})

// runInProcess runs a script against a broker that rolls dice.
func runInProcess(script string, trace bool, d *dice) (last wire.Request, log string, escaped any) {
	fromBroker, toWorker := io.Pipe()
	fromWorker, toBroker := io.Pipe()
	k := &worker{r: wire.NewReader(fromBroker), w: toBroker, exit: func(int) { runtime.Goexit() }, start: wire.Start{Trace: trace}, began: time.Now()}
	k.budget.end = k.finish
	k.budget.used = sandbox.MaxInstructions - fuzzSteps
	k.budget.others = othersHeap()
	done := make(chan any, 1)
	go func() {
		defer func() { _ = toBroker.Close() }()
		defer func() { done <- recover() }()
		k.run(script)
	}()
	last, log = d.converse(toWorker, fromWorker)
	_ = fromWorker.Close()
	_ = toWorker.Close()
	if strings.Contains(last.Error, "while compiling") {
		return last, log, nil // said from beside: the script's goroutine waits for its end for ever
	}
	return last, log, <-done
}

// FuzzHostFunctions calls everything that a script can reach with odd
// arguments, and answers what it asks with nonsense. Nothing may escape from
// the VM, and each run has an end.
func FuzzHostFunctions(f *testing.F) {
	for i := range hostFunctions { // each function once, in some way
		f.Add([]byte{3, byte(i), 2, byte(3 * i), byte(7 * i), 0, byte(i), 1, byte(5 * i), 3, byte(i), 3, byte(i), byte(2 * i), 52, 4, 9, 0, 3}, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, choices []byte, trace bool) {
		if len(choices) > 400 {
			return
		}
		d := &dice{bytes: choices}
		script := d.script()
		last, log, escaped := runInProcess(script, trace, d)
		switch {
		case escaped != nil:
			t.Fatalf("escaped: %v\n%s", escaped, script)
		case last.Op != wire.OpEnd:
			t.Fatalf("no end\n%s", script)
		case strings.Contains(log, "BROKE") || strings.Contains(last.Error, "broke the Lua machine"):
			t.Fatalf("the library panicked: %q %q\n%s", log, last.Error, script)
		case last.Instructions > 2*sandbox.MaxInstructions || last.Instructions < 0:
			t.Fatalf("%d steps\n%s", last.Instructions, script)
		case last.Code == string(errs.CodeBadScript):
			t.Fatalf("the generator's own mistake: %s in line %d\n%s", last.Error, last.Line, script)
		}
	})
}

// The compiler cannot be told to stop, so its memory is looked at from beside.
func TestHeapIsLookedAtWhileCompiling(t *testing.T) {
	t.Parallel()
	fromWorker, toBroker := io.Pipe()
	k := &worker{w: toBroker, exit: func(int) { runtime.Goexit() }}
	k.budget.others = -2 * sandbox.MaxHeapBytes // as if so much were in use
	looked := k.lookWhile()
	last, _ := (&dice{}).converse(io.Discard, fromWorker)
	looked()
	if last.Code != string(errs.CodeLimitMemory) || !strings.Contains(last.Error, "while compiling") {
		t.Errorf("%+v", last)
	}
}

// Whatever runs counts, wherever it runs.
func TestEverythingCounts(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"a loop":    `while true do end`,
		"a pcall":   `while true do pcall(function() while true do end end) end`,
		"a handler": `xpcall(error, function() while true do end end)`,
		"coroutines": `
			local function spin() for i = 1, 1000 do end coroutine.yield() return spin() end
			local t = {} for i = 1, 10 do t[i] = coroutine.create(spin) end
			while true do for _, c in ipairs(t) do coroutine.resume(c) end end`,
		"a coroutine":         `coroutine.resume(coroutine.create(function() while true do end end))`,
		"a wrapped coroutine": `coroutine.wrap(function() while true do end end)()`,
		"a nested coroutine":  `coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)()`,
		"a metamethod":        `local t = setmetatable({}, { __index = function() while true do end end }) local x = t.a`,
		"a comparison":        `table.sort({ 3, 1, 2 }, function() while true do end end)`,
		"a replacement":       `("a"):gsub("a", function() while true do end end)`,
		"patterns":            `local s = ("a"):rep(1000) while true do s:find(".-.-.-.-.-b") end`,
		"the library":         `local s = ("a"):rep(100000) while true do s:upper() end`,
		"JSON":                `local s = ("a"):rep(100000) while true do json.encode(s) end`,
	} {
		last, _, escaped := runInProcess(script, false, &dice{})
		if escaped != nil || last.Code != string(errs.CodeLimitTime) || !strings.Contains(last.Error, "50 million") {
			t.Errorf("%s: %+v, %v", name, last, escaped)
		}
		if last.Instructions > sandbox.MaxInstructions+1_000_000 {
			t.Errorf("%s: %d instructions", name, last.Instructions)
		}
	}
}
