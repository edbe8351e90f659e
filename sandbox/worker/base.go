package worker

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"hookline/internal/redact"
)

// openBase makes the global functions. What the library has beyond them
// (load, dofile, require, getfenv, newproxy, collectgarbage…) does not exist
// here; os, io, debug, package and channel are never opened.
func (v *vm) openBase() {
	globals := v.l.G.Global
	v.fill("", globals, map[string]lua.LGFunction{
		"assert": v.assert, "error": v.errorOf, "pcall": v.pcall, "xpcall": v.xpcall,
		"type": typeOf, "tostring": v.tostring, "tonumber": tonumber, "print": v.print,
		"next": v.next, "select": selectOf, "unpack": v.unpack,
		"rawequal": rawequal, "rawget": rawget, "rawset": rawset,
		"getmetatable": getmetatable, "setmetatable": setmetatable,
	})
	next := v.function("", "next", v.next)
	globals.RawSetString("pairs", v.function("", "pairs", func(l *lua.LState) int {
		t := l.CheckTable(1)
		l.Push(next)
		l.Push(t)
		l.Push(lua.LNil)
		return 3
	}))
	step := v.function("", "ipairs", v.ipairsStep)
	globals.RawSetString("ipairs", v.function("", "ipairs", func(l *lua.LState) int {
		t := l.CheckTable(1)
		l.Push(step)
		l.Push(t)
		l.Push(lua.LNumber(0))
		return 3
	}))
	globals.RawSetString("_G", globals)
	globals.RawSetString("_VERSION", lua.LString("Lua 5.1"))
}

func (v *vm) fill(library string, t *lua.LTable, functions map[string]lua.LGFunction) {
	for name, fn := range functions {
		t.RawSetString(name, v.function(library, name, fn))
	}
}

func (v *vm) library(name string, functions map[string]lua.LGFunction) *lua.LTable {
	t := v.l.CreateTable(0, len(functions)) // NewTable has room for 32 of each
	v.fill(name, t, functions)
	v.l.G.Global.RawSetString(name, t)
	return t
}

// enter marks that l is inside a Go function that calls Lua back; a yield
// there would leave the Go function in the middle.
func (v *vm) enter(l *lua.LState) (leave func()) {
	v.inGo[l]++
	return func() {
		if v.inGo[l]--; v.inGo[l] == 0 {
			delete(v.inGo, l)
		}
	}
}

// call calls fn from Go and returns its first result.
func (v *vm) callLua(l *lua.LState, fn lua.LValue, args ...lua.LValue) lua.LValue {
	defer v.enter(l)()
	l.Push(fn)
	for _, arg := range args {
		l.Push(arg)
	}
	l.Call(len(args), 1)
	result := l.Get(-1)
	l.Pop(1)
	return result
}

func (v *vm) assert(l *lua.LState) int {
	if lua.LVAsBool(l.CheckAny(1)) {
		return l.GetTop()
	}
	if message := l.Get(2); message != lua.LNil {
		v.ownError(l, message)
	}
	l.RaiseError("assertion failed!")
	return 0
}

func (v *vm) errorOf(l *lua.LState) int {
	level := min(l.OptInt(2, 1), callDepth)
	value := l.Get(1)
	if text, ok := value.(lua.LString); ok {
		v.budget.allocated(len(text))
		if level > 0 {
			value = lua.LString(where(l, level)) + " " + text
		}
	}
	v.ownError(l, value)
	return 0
}

// ownError raises a value that the script made: a text of it stays as it is.
func (v *vm) ownError(l *lua.LState, value lua.LValue) {
	if text, ok := value.(lua.LString); ok {
		v.own = string(text)
	}
	l.Error(value, 0)
}

func (v *vm) pcall(l *lua.LState) int {
	l.CheckAny(1)
	defer v.enter(l)()
	if err := l.PCall(l.GetTop()-1, lua.MultRet, nil); err != nil {
		l.SetTop(0)
		l.Push(lua.LFalse)
		l.Push(v.errorValue(l, err))
		return 2
	}
	l.Insert(lua.LTrue, 1)
	return l.GetTop()
}

func (v *vm) xpcall(l *lua.LState) int {
	fn, handler := l.CheckAny(1), l.CheckFunction(2)
	defer v.enter(l)()
	l.SetTop(0)
	l.Push(fn)
	told := l.NewFunction(func(l *lua.LState) int {
		value := v.caught(l, l.Get(1))
		l.Push(handler)
		l.Push(value)
		l.Call(1, 1)
		return 1
	})
	if err := l.PCall(0, lua.MultRet, told); err != nil {
		l.SetTop(0)
		l.Push(lua.LFalse)
		l.Push(v.errorValue(l, err))
		return 2
	}
	l.Insert(lua.LTrue, 1)
	return l.GetTop()
}

func typeOf(l *lua.LState) int {
	l.Push(lua.LString(l.CheckAny(1).Type().String()))
	return 1
}

func (v *vm) tostring(l *lua.LState) int {
	l.Push(v.text(l, l.CheckAny(1)))
	return 1
}

// text is tostring: without addresses, which would tell about the process.
func (v *vm) text(l *lua.LState, value lua.LValue) lua.LValue {
	if t, ok := value.(*lua.LTable); ok {
		if mt, ok := t.Metatable.(*lua.LTable); ok {
			if fn, ok := mt.RawGetString("__tostring").(*lua.LFunction); ok {
				return v.callLua(l, fn, value)
			}
		}
	}
	switch value := value.(type) {
	case lua.LString:
		return value
	case *lua.LNilType, lua.LBool, lua.LNumber:
		return lua.LString(value.String())
	}
	if value == v.null {
		return lua.LString("null")
	}
	return lua.LString(value.Type().String())
}

func (v *vm) print(l *lua.LState) int {
	var b strings.Builder
	for i := 1; i <= l.GetTop() && b.Len() <= maxLogLine; i++ {
		if i > 1 {
			b.WriteByte('\t')
		}
		b.WriteString(lua.LVAsString(v.text(l, l.Get(i))))
	}
	v.log(redact.Clip(b.String(), maxLogLine))
	return 0
}

// tonumber is Lua's: decimal, hexadecimal with 0x, or whole numbers of a base.
func tonumber(l *lua.LState) int {
	value := l.CheckAny(1)
	base := l.OptInt(2, 10)
	if base < 2 || base > 36 {
		l.ArgError(2, "base out of range")
	}
	result := lua.LNil
	switch value := value.(type) {
	case lua.LNumber:
		if base == 10 {
			result = value
		}
	case lua.LString:
		if n, ok := parseNumber(string(value), base); ok {
			result = lua.LNumber(n)
		}
	}
	l.Push(result)
	return 1
}

func parseNumber(text string, base int) (float64, bool) {
	text = strings.TrimSpace(text)
	if len(text) > 200 || strings.Contains(text, "_") {
		return 0, false
	}
	if base != 10 {
		n, err := strconv.ParseInt(text, base, 64)
		return float64(n), err == nil
	}
	digits := strings.TrimLeft(text, "+-")
	if hex := strings.ToLower(digits); strings.HasPrefix(hex, "0x") {
		n, err := strconv.ParseUint(hex[2:], 16, 64)
		if strings.HasPrefix(text, "-") {
			return -float64(n), err == nil
		}
		return float64(n), err == nil
	}
	if digits == "" || digits[0] != '.' && (digits[0] < '0' || digits[0] > '9') {
		return 0, false // inf, nan and the like are not numbers of Lua
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

func (v *vm) next(l *lua.LState) int {
	t := l.CheckTable(1)
	key, value := t.Next(l.Get(2))
	l.Push(key)
	if key == lua.LNil {
		return 1
	}
	l.Push(value)
	return 2
}

func (v *vm) ipairsStep(l *lua.LState) int {
	t, i := l.CheckTable(1), l.CheckInt(2)+1
	value := t.RawGetInt(i)
	if value == lua.LNil || value == nil {
		l.Push(lua.LNil)
		return 1
	}
	l.Push(lua.LNumber(i))
	l.Push(value)
	return 2
}

func selectOf(l *lua.LState) int {
	count := l.GetTop() - 1
	if l.Get(1) == lua.LString("#") {
		l.Push(lua.LNumber(count))
		return 1
	}
	n := whole(l, 1)
	if n < 0 {
		n += count + 1
	}
	if n < 1 {
		l.ArgError(1, "index out of range")
	}
	return max(count-n+1, 0)
}

// whole is an argument as an integer; numbers that are none, or beyond 2^53,
// are refused, so that arithmetic on it cannot overflow.
func whole(l *lua.LState, n int) int {
	f := float64(l.CheckNumber(n))
	if math.IsNaN(f) || math.Abs(f) > 1<<53 {
		l.ArgError(n, "number has no integer representation")
	}
	return int(f)
}

func wholeOr(l *lua.LState, n, otherwise int) int {
	if l.Get(n) == lua.LNil {
		return otherwise
	}
	return whole(l, n)
}

func (v *vm) unpack(l *lua.LState) int {
	t := l.CheckTable(1)
	v.budget.spend(int64(t.MaxN()) / 16)
	from := wholeOr(l, 2, 1)
	to := wholeOr(l, 3, t.Len())
	if from > to {
		return 0
	}
	if to-from >= registryMax/2 {
		l.RaiseError("too many results to unpack")
	}
	v.budget.spend(int64(to - from))
	for i := from; i <= to; i++ {
		l.Push(element(t, i))
	}
	return to - from + 1
}

// element is t[i] without metamethods.
func element(t *lua.LTable, i int) lua.LValue {
	value := t.RawGet(lua.LNumber(i))
	if value == nil {
		return lua.LNil
	}
	return value
}

func rawequal(l *lua.LState) int {
	l.Push(lua.LBool(l.CheckAny(1) == l.CheckAny(2)))
	return 1
}

func rawget(l *lua.LState) int {
	l.Push(l.RawGet(l.CheckTable(1), l.CheckAny(2)))
	return 1
}

func rawset(l *lua.LState) int {
	l.RawSet(l.CheckTable(1), l.CheckAny(2), l.CheckAny(3))
	l.SetTop(1)
	return 1
}

// getmetatable gives nothing of the host: the metatable of strings is shared
// by all of them, so that a copy stands for it.
func getmetatable(l *lua.LState) int {
	switch value := l.CheckAny(1).(type) {
	case *lua.LTable:
		mt, ok := value.Metatable.(*lua.LTable)
		if !ok {
			l.Push(lua.LNil)
			return 1
		}
		if shown := mt.RawGetString("__metatable"); shown != lua.LNil {
			l.Push(shown)
			return 1
		}
		l.Push(mt)
	case lua.LString:
		mt := l.NewTable()
		mt.RawSetString("__index", l.GetGlobal("string"))
		l.Push(mt)
	default:
		l.Push(lua.LNil)
	}
	return 1
}

func setmetatable(l *lua.LState) int {
	t := l.CheckTable(1)
	l.CheckTypes(2, lua.LTNil, lua.LTTable)
	if old, ok := t.Metatable.(*lua.LTable); ok && old.RawGetString("__metatable") != lua.LNil {
		l.RaiseError("cannot change a protected metatable")
	}
	t.Metatable = l.Get(2)
	l.SetTop(1)
	return 1
}

// grow refuses a string that would be larger than the library makes.
func (v *vm) grow(l *lua.LState, what string, size int) {
	if size > maxStringBytes || size < 0 {
		v.tooLarge(l, what)
	}
	v.budget.allocated(size)
}
