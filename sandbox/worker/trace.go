package worker

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode"

	lua "github.com/yuin/gopher-lua"

	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// tracer tells each line when the script comes to it, with the locals as they
// are then, so that an author can follow a trial run. What it shows is the
// script's own: printable and short.
type tracer struct {
	v      *vm
	main   *lua.FunctionProto
	scopes *scopes
	source []string // lines
	lines  int      // told so far
	bytes  int
	thread *lua.LState // where the last step was
	depth  int
	seen   map[*lua.LState][]int // line at each depth of each thread
}

// trace makes the budget call a tracer before each instruction.
func (v *vm) trace(script string, proto *lua.FunctionProto) {
	t := &tracer{v: v, main: proto, scopes: scopesOf(script), source: strings.Split(strings.TrimSuffix(script, "\n"), "\n"), seen: map[*lua.LState][]int{}}
	v.budget.trace, v.budget.next = t.step, 0
}

// step looks where the script is, and tells the line where it is another one.
func (t *tracer) step() {
	defer func() { _ = recover() }() // the VM's state can be half made at any instruction: that step is not told
	thread := t.v.l
	if running := thread.G.CurrentThread; running != nil {
		thread = running
	}
	frame, ok := thread.GetStack(0)
	if !ok {
		return
	}
	if _, err := thread.GetInfo("Sl", frame, lua.LNil); err != nil || frame.Source == "" || frame.CurrentLine < 1 || frame.CurrentLine > len(t.source) {
		return // inside the library, or past the last line
	}
	if depth := depthOf(thread); t.moved(thread, depth, frame.CurrentLine) {
		t.tell(t.text(thread, frame, depth))
	}
}

// moved reports whether a step is on another line than the last one. Coming
// back to the line of a call is not.
func (t *tracer) moved(thread *lua.LState, depth, line int) bool {
	seen := t.seen[thread]
	back := depth < len(seen) && seen[depth] == line
	deeper := thread == t.thread && depth > t.depth
	t.thread, t.depth = thread, depth
	if back && !deeper {
		t.seen[thread] = seen[:depth+1]
		return false
	}
	for len(seen) <= depth {
		seen = append(seen, 0)
	}
	seen[depth] = line
	t.seen[thread] = seen[:depth+1]
	return true
}

// depthOf is how many calls lead to where the thread is, and the threads that
// resumed it.
func depthOf(thread *lua.LState) int {
	depth := -1
	for up := thread; up != nil && depth < callDepth; up = up.Parent {
		depth += sort.Search(callDepth, func(level int) bool {
			_, ok := up.GetStack(level)
			return !ok
		})
	}
	return max(depth, 0)
}

func (t *tracer) text(thread *lua.LState, frame *lua.Debug, depth int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d  %s", chunkName, frame.CurrentLine, strings.Repeat("  ", min(depth, maxTraceIndent)))
	b.WriteString(printable(clip(strings.TrimSpace(t.source[frame.CurrentLine-1]), maxTraceSource)))
	b.WriteString("  ")
	for _, local := range t.locals(thread, frame) {
		if b.Len() >= maxTraceLine {
			break
		}
		// The name that the library has for the register may be a wrong one.
		if known, value := thread.GetLocal(frame, local.register+1); known != "" {
			fmt.Fprintf(&b, " %s=%s", printable(clip(local.name, maxTraceValue)), t.v.brief(value))
		}
	}
	return strings.TrimRight(clip(b.String(), maxTraceLine), " ")
}

// locals are those that the line sees at which a frame is.
func (t *tracer) locals(thread *lua.LState, frame *lua.Debug) []local {
	running, err := thread.GetInfo("f", frame, lua.LNil)
	fn, ok := running.(*lua.LFunction)
	if err != nil || !ok || fn.Proto == nil {
		return nil
	}
	var seen []local
	for _, local := range t.scopes.of(fn.Proto, t.main) {
		if local.from <= frame.CurrentLine && frame.CurrentLine <= local.to {
			seen = append(seen, local)
		}
	}
	return seen
}

// tell sends one line, or says that there will be no more.
func (t *tracer) tell(line string) {
	const ends = "… trace ends here: limit"
	t.lines++
	t.bytes += len(line) + 1
	if t.lines > maxTraceLines || t.bytes+len(ends) > sandbox.MaxTraceBytes {
		line, t.v.budget.trace = ends, nil
	}
	_ = t.v.tell(wire.Request{Op: wire.OpTrace}, []byte(strings.ToValidUTF8(line, "?")))
}

// brief is a value in a few characters.
func (v *vm) brief(value lua.LValue) string {
	switch value := value.(type) {
	case lua.LString:
		if len(value) > maxTraceValue {
			return strconv.Quote(string(value[:maxTraceValue])) + "…"
		}
		return strconv.Quote(string(value))
	case lua.LNumber, lua.LBool, *lua.LNilType:
		return value.String()
	case *lua.LTable:
		return "table(" + countOf(value) + ")"
	case nil:
		return "nil"
	}
	if value == v.null {
		return "json.null"
	}
	return value.Type().String()
}

// countOf is how many keys a table has, up to a bound.
func countOf(t *lua.LTable) string {
	key, _ := t.Next(lua.LNil)
	n := 0
	for ; key != lua.LNil; n++ {
		if n == maxTraceCount {
			return strconv.Itoa(n) + "+"
		}
		key, _ = t.Next(key)
	}
	return strconv.Itoa(n)
}

// printable takes out what could change how a terminal shows a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}
