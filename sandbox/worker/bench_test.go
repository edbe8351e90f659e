package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"hookline/internal/errs"
)

// logLines is what the parsing benchmarks work on: lines as a journal has them.
func logLines(n int) string {
	var b strings.Builder
	units := []string{"nginx", "postgres", "sshd", "cron", "kernel"}
	levels := []string{"info", "info", "warning", "error"}
	for i := range n {
		fmt.Fprintf(&b, "Nov %2d %02d:%02d:%02d web-%d %s[%d]: level=%s request=%d took=%d.%03dms path=/a/%d/b\n",
			1+i%28, i%24, i%60, (i*7)%60, i%9, units[i%len(units)], 1000+i%977, levels[i%len(levels)], i, i%300, i%1000, i%40)
	}
	return b.String()
}

// parseChunks are what a hook does to lines, in the ways that authors write it.
var parseChunks = map[string]string{
	"fields": `
local count, total, slow, levels = 0, 0, 0, {}
for line in text:gmatch("[^\n]+") do
  count = count + 1
  local unit, pid = line:match("(%w+)%[(%d+)%]:")
  local level = line:match("level=(%w+)")
  local took = tonumber(line:match("took=([%d.]+)ms"))
  if took then
    total = total + took
    if took > 250 then slow = slow + 1 end
  end
  if level then levels[level] = (levels[level] or 0) + 1 end
  if unit and line:find("error", 1, true) then
    local of = levels[unit] or 0
    levels[unit] = of + tonumber(pid) % 7
  end
end
assert(count == 10000 and levels.error > 0)`,
	"pairs": `
local seen = {}
for line in text:gmatch("(.-)\n") do
  for key, value in line:gmatch("(%w+)=(%S+)") do
    local t = seen[key]
    if not t then t = {} seen[key] = t end
    t[value] = (t[value] or 0) + 1
  end
end
assert(seen.level.error)`,
	"cut": `
local at, count, units = 1, 0, {}
while true do
  local stop = text:find("\n", at, true)
  if not stop then break end
  local line = text:sub(at, stop - 1)
  at = stop + 1
  count = count + 1
  local open = line:find("[", 17, true)
  local unit = line:sub(line:find(" ", 17, true) + 1, open - 1)
  if line:sub(1, 3) == "Nov" and line:byte(5) ~= 35 then
    units[unit] = (units[unit] or 0) + #line
  end
end
assert(count == 10000)`,
	"bytes": `
local sum, words = 0, 0
for line in text:gmatch("[^\n]+") do
  local inside = false
  for i = 1, #line do
    local c = line:byte(i)
    sum = (sum * 31 + c) % 65521
    if c == 32 then inside = false elseif not inside then inside, words = true, words + 1 end
  end
end
assert(words == 90000)`,
	"replace": `
local out = {}
for line in text:gmatch("[^\n]*\n") do
  line = line:gsub("%d+", "#"):gsub("%s+$", "")
  out[#out + 1] = string.format("%s %d", line:lower(), #line)
end
assert(#out == 10000)`,
}

func compiled(b *testing.B, script string) *lua.FunctionProto {
	b.Helper()
	chunk, err := parse.Parse(strings.NewReader("local text = ...\n"+script), chunkName)
	if err != nil {
		b.Fatal(err)
	}
	proto, err := lua.Compile(chunk, chunkName)
	if err != nil {
		b.Fatal(err)
	}
	return proto
}

// BenchmarkParse10000 is a hook's VM with its budget, in process.
func BenchmarkParse10000(b *testing.B) {
	text := lua.LString(logLines(10000))
	for name, script := range parseChunks {
		b.Run(name, func(b *testing.B) {
			proto := compiled(b, script)
			b.ReportAllocs()
			for b.Loop() {
				runOurs(b, proto, text)
			}
		})
	}
}

// BenchmarkParse10000Bare is the same in gopher-lua as it comes.
func BenchmarkParse10000Bare(b *testing.B) {
	text := lua.LString(logLines(10000))
	for name, script := range parseChunks {
		b.Run(name, func(b *testing.B) {
			proto := compiled(b, script)
			b.ReportAllocs()
			for b.Loop() {
				runBare(b, proto, text)
			}
		})
	}
}

// BenchmarkParse10000Ratio runs the two in turn and reports the quickest of
// ours by the quickest of the bare ones: on a busy machine the one figure that
// tells something.
func BenchmarkParse10000Ratio(b *testing.B) {
	text := lua.LString(logLines(10000))
	for name, script := range parseChunks {
		b.Run(name, func(b *testing.B) {
			proto := compiled(b, script)
			ours, bare := time.Hour, time.Hour
			for b.Loop() {
				began := time.Now()
				runOurs(b, proto, text)
				between := time.Now()
				runBare(b, proto, text)
				ours, bare = min(ours, between.Sub(began)), min(bare, time.Since(between))
			}
			b.ReportMetric(float64(ours)/float64(bare), "ours/bare")
		})
	}
}

func runOurs(b *testing.B, proto *lua.FunctionProto, text lua.LValue) {
	b.Helper()
	k := &worker{}
	k.budget.end = func(code errs.Code, message string, line int) { b.Fatal(code, message, line) }
	runChunk(b, k.newVM("_G").l, proto, text)
}

func runBare(b *testing.B, proto *lua.FunctionProto, text lua.LValue) {
	b.Helper()
	l := lua.NewState()
	defer l.Close()
	runChunk(b, l, proto, text)
}

func runChunk(b *testing.B, l *lua.LState, proto *lua.FunctionProto, text lua.LValue) {
	b.Helper()
	l.Push(l.NewFunctionFromProto(proto))
	l.Push(text)
	if err := l.PCall(1, 0, nil); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkTrivial is what a run of one line costs within the worker.
func BenchmarkTrivial(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		k := &worker{}
		v := k.newVM(`local x = 1`)
		fn, _, err := compile(v.l, `local x = 1`)
		if err != nil {
			b.Fatal(err)
		}
		v.execute(fn)
	}
}
