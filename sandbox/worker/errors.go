package worker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"hookline/internal/errs"
)

// What goes wrong in a script is told in Lua's own words, at the line of the
// script. The VM has words of its own for much of it; they are put right in
// two places: the metatables of openWords know the value and the name, and
// plain knows the rest by its text.

// called is a function of the library as an author writes it.
type called struct{ library, name string }

func (c called) String() string {
	if c.library == "" {
		return c.name
	}
	return c.library + "." + c.name
}

// function makes a function of the library that says who it is, for errors.
func (v *vm) function(library, name string, fn lua.LGFunction) *lua.LFunction {
	return v.l.NewFunction(func(l *lua.LState) int {
		v.current = called{library, name}
		return fn(l)
	})
}

// arguments refuses calls with another number of arguments: an argument too
// many is a mistake that should not pass unseen.
func (v *vm) arguments(l *lua.LState, n int) {
	if l.GetTop() != n {
		l.RaiseError("wrong number of arguments to '%v' (%d expected, got %d)", v.current, n, l.GetTop())
	}
}

// openWords gives the values that have no metatable one that says what is
// wrong with their use. No script can see it: getmetatable gives none of them.
func (v *vm) openWords() {
	words := v.l.CreateTable(0, 5)
	index := v.l.NewFunction(func(l *lua.LState) int {
		l.RaiseError("attempt to index a %s value with key '%s'", l.Get(1).Type(), shown(l.Get(2).String()))
		return 0
	})
	call := v.l.NewFunction(func(l *lua.LState) int {
		name := ""
		if frame, ok := l.GetStack(0); ok {
			if _, err := l.GetInfo("n", frame, lua.LNil); err == nil && frame.Name != "?" && !strings.HasPrefix(frame.Name, "(") {
				name = " ('" + shown(frame.Name) + "')"
			}
		}
		l.RaiseError("attempt to call a %s value%s", l.Get(1).Type(), name)
		return 0
	})
	words.RawSetString("__index", index)
	words.RawSetString("__newindex", index)
	words.RawSetString("__call", call)
	for event, does := range map[string]string{"__len": "get length of", "__unm": "perform arithmetic on"} {
		words.RawSetString(event, v.l.NewFunction(func(l *lua.LState) int {
			l.RaiseError("attempt to %s a %s value", does, l.Get(1).Type())
			return 0
		}))
	}
	for _, value := range []lua.LValue{lua.LNil, lua.LFalse, lua.LNumber(0), v.l.NewFunction(typeOf), v.l} {
		v.l.SetMetatable(value, words)
	}
	v.null.Metatable = words
	if ofStrings, ok := v.l.GetMetatable(lua.LString("")).(*lua.LTable); ok {
		ofStrings.RawSetString("__newindex", index)
		ofStrings.RawSetString("__call", call)
	}
}

// where is the place of a script that an error is about, as its text begins:
// that of the level-th call from the running one, or the nearest one further
// up that is in the script, also through the coroutines that resumed this one.
func where(l *lua.LState, level int) string {
	from := level
	for thread := l; thread != nil; thread, level = thread.Parent, 0 {
		for ; level <= callDepth; level++ {
			frame, ok := thread.GetStack(level)
			if !ok {
				break
			}
			if _, err := thread.GetInfo("Sl", frame, lua.LNil); err == nil && frame.Source != "" && frame.CurrentLine > 0 {
				return chunkName + ":" + strconv.Itoa(frame.CurrentLine) + ":"
			}
		}
	}
	if from > 1 {
		return where(l, 1) // there are not so many calls
	}
	return chunkName + ":"
}

// raise is a Lua error at the caller's line that stands for code while it
// goes uncaught and unchanged.
func (v *vm) raise(l *lua.LState, code errs.Code, format string, args ...any) {
	text := where(l, 1) + " " + fmt.Sprintf(format, args...)
	v.soft, v.own = raised{text: text, code: code}, text
	l.Error(lua.LString(text), 0)
}

// tooLarge raises the soft memory bound of the library.
func (v *vm) tooLarge(l *lua.LState, what string) {
	v.raise(l, errs.CodeLimitMemory, "%s: result would be larger than 4 MiB", what)
}

// fail raises what went wrong with a brokered call.
func (v *vm) fail(l *lua.LState, what string, err error) {
	v.raise(l, codeOf(err), "%s: %s", what, err.Error())
}

// errorValue is what pcall gives for an error that it caught.
func (v *vm) errorValue(l *lua.LState, err error) lua.LValue {
	var raised *lua.ApiError
	if !errors.As(err, &raised) || raised.Object == nil {
		return lua.LString(brokeMachine)
	}
	return v.caught(l, raised.Object)
}

// caught is an error's value as the script may see it, at where l is.
func (v *vm) caught(l *lua.LState, value lua.LValue) lua.LValue {
	text, ok := value.(lua.LString)
	if !ok {
		return value
	}
	if strings.HasPrefix(string(text), " ") && string(text) != v.own { // raised in a coroutine of the library alone
		text = lua.LString(where(l, 0)) + text
	}
	return lua.LString(v.plain(string(text)))
}

// brokeMachine stands for a fault of the VM, whose own text tells about its insides.
const brokeMachine = "the script broke the Lua machine"

// plain is the text of an error in Lua's own words. What the script raised
// itself stays as it is.
func (v *vm) plain(text string) string {
	if text == v.own {
		return text
	}
	if strings.HasPrefix(text, "runtime error: ") || strings.HasPrefix(text, "interface conversion: ") {
		return brokeMachine
	}
	line, rest := position(text)
	if line == 0 {
		return text
	}
	if told := v.words(rest); told != rest {
		return fmt.Sprintf("%s:%d: %s", chunkName, line, told)
	}
	return text
}

// words puts a text of the VM into Lua's words. What it does not know stays.
func (v *vm) words(text string) string {
	switch text {
	case "attempt to call a non-function object":
		return "attempt to call a table value" // all others have words of their own
	case "__unm undefined":
		return "attempt to perform arithmetic on a value that is no number"
	case "registry overflow":
		return "stack overflow"
	case "for statement init must be a number":
		return "'for' initial value must be a number"
	case "for statement limit must be a number":
		return "'for' limit must be a number"
	case "for statement step must be a number":
		return "'for' step must be a number"
	}
	if after, ok := strings.CutPrefix(text, "bad argument #"); ok {
		n, rest, _ := strings.Cut(after, " to ")
		if name, why, ok := strings.Cut(rest, " ("); ok && !strings.HasPrefix(name, "'") {
			return fmt.Sprintf("bad argument #%s to '%v' (%s", n, v.current, why)
		}
	}
	if after, ok := strings.CutPrefix(text, "cannot perform "); ok {
		event, kinds, _ := strings.Cut(after, " operation between ")
		left, right, _ := strings.Cut(kinds, " and ")
		return wrongOperand(text, event, left, right)
	}
	return text
}

// wrongOperand names the operand that an operation cannot take, as Lua does:
// the first, unless that one will do.
func wrongOperand(text, event, left, right string) string {
	does := "perform arithmetic on"
	switch event {
	case "add", "sub", "mul", "div", "mod", "pow":
	case "concat":
		does = "concatenate"
	default:
		return text
	}
	textOrNumber := func(kind string) bool { return kind == "string" || kind == "number" }
	wrong := left
	if left == "number" || left == "string" && !textOrNumber(right) {
		wrong = right
	}
	return fmt.Sprintf("attempt to %s a %s value", does, wrong)
}
