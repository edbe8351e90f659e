package worker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox/worker/pattern"
)

const chunkName = "hook.lua"

// vm is one restricted Lua state and what its replaced library needs.
type vm struct {
	*worker
	l       *lua.LState
	threads int                 // coroutines made so far
	inGo    map[*lua.LState]int // Go functions that a thread is inside of: no yield there
	soft    raised              // the last error that stands for a code
	own     string              // the text that the script, or raise, made an error of last: nobody rewords that
	current called              // the function of the library that was called last
	rand    uint64

	small    [256]lua.LValue             // whole numbers that were given before; see number
	programs map[string]*pattern.Program // patterns that were used, a few
	matchers []*pattern.Matcher          // free ones

	null  *lua.LUserData // json.null
	array *lua.LTable    // metatable of decoded empty arrays
}

// raised is a Lua error that stands for a code as long as nobody changes it.
type raised struct {
	text string
	code errs.Code
}

// run compiles and runs the script, sets what it returns, and ends the process.
func (k *worker) run(script string) {
	if len(script) > hooks.MaxScriptBytes {
		k.finish(errs.CodeBadScript, "larger than 64 KiB", 0)
	}
	line, err := checkNesting(script)
	if err != nil {
		k.finish(errs.CodeBadScript, err.Error(), line)
	}
	v := k.newVM(script)
	looked := k.lookWhile()
	fn, line, err := compile(v.l, script)
	looked()
	if err != nil {
		k.finish(errs.CodeBadScript, err.Error(), line)
	}
	k.budget.state = v.l
	k.budget.spend(compileSteps * int64(len(script)))
	if k.start.Trace {
		v.trace(script, fn.Proto)
	}
	code, text, line := v.execute(fn)
	k.finish(code, text, line)
}

// limitArrays sets what gopher-lua keeps for the whole process, once.
var limitArrays = sync.OnceFunc(func() { lua.MaxArrayIndex = maxArrayIndex })

// newVM makes a VM for one script, without the larger libraries that it does
// not name: a third of the making. A global can only be reached by its name in
// the source, or through _G.
func (k *worker) newVM(script string) *vm {
	limitArrays()
	v := &vm{worker: k, inGo: map[*lua.LState]int{}, programs: map[string]*pattern.Program{}, rand: uint64(k.start.NowMS)}
	v.l = lua.NewState(lua.Options{
		CallStackSize: callDepth, RegistrySize: registrySize, RegistryMaxSize: registryMax,
		RegistryGrowStep: registrySize, SkipOpenLibs: true,
	})
	v.l.SetContext(&k.budget)
	v.openBase()
	v.openString()
	everything := strings.Contains(script, "_G")
	for name, open := range map[string]func(){"table": v.openTable, "math": v.openMath, "coroutine": v.openCoroutine} {
		if everything || strings.Contains(script, name) {
			open()
		}
	}
	v.openJSON()
	v.openWords()
	v.openAPI()
	return v
}

// number is a number for the VM. Each costs the heap an object, so the small
// ones, bytes and places in a line above all, are made once.
func (v *vm) number(n int) lua.LValue {
	if n < 0 || n >= len(v.small) {
		return lua.LNumber(n)
	}
	if v.small[n] == nil {
		v.small[n] = lua.LNumber(n)
	}
	return v.small[n]
}

// compile parses and compiles a script; line is where it is wrong.
func compile(l *lua.LState, script string) (fn *lua.LFunction, line int, err error) {
	defer func() {
		if recover() != nil { // the compiler's own errors are panics
			fn, err = nil, errors.New("cannot be compiled")
		}
	}()
	chunk, err := parse.Parse(strings.NewReader(script), chunkName)
	if err != nil {
		var syntax *parse.Error
		if errors.As(err, &syntax) {
			if syntax.Pos.Line == parse.EOF {
				return nil, 1 + strings.Count(script, "\n"), errors.New("syntax error: the script ends too early")
			}
			return nil, syntax.Pos.Line, fmt.Errorf("syntax error near '%s'", clip(syntax.Token, 40))
		}
		return nil, 0, err
	}
	proto, err := lua.Compile(chunk, chunkName)
	if err != nil {
		var wrong *lua.CompileError
		if errors.As(err, &wrong) {
			return nil, max(wrong.Line, 0), errors.New(wrong.Message)
		}
		return nil, 0, err
	}
	return l.NewFunctionFromProto(proto), 0, nil
}

// execute runs the chunk and sets the fields that it returned.
func (v *vm) execute(fn *lua.LFunction) (code errs.Code, text string, line int) {
	defer func() {
		if recover() != nil { // a fault of the VM that no pcall holds
			code, text, line = errs.CodeHookError, brokeMachine, v.budget.line()
		}
	}()
	v.l.Push(fn)
	if err := v.l.PCall(0, 1, nil); err != nil {
		return v.failure(err)
	}
	result := v.l.Get(-1)
	v.l.SetTop(0)
	if err := v.setReturned(result); err != nil {
		var refused *callError
		if errors.As(err, &refused) {
			return refused.code, refused.text, 0
		}
		return errs.CodeHookError, err.Error(), 0
	}
	return "", "", 0
}

// failure turns an uncaught error into a code, a text and a line. An error
// value that is a table or a function is named, never run.
func (v *vm) failure(err error) (code errs.Code, text string, line int) {
	var raised *lua.ApiError
	if !errors.As(err, &raised) {
		return errs.CodeHookError, "the script failed", 0
	}
	switch object := raised.Object.(type) {
	case lua.LString:
		text = string(object)
	case lua.LNumber, lua.LBool:
		text = object.String()
	case nil:
		text = "error without a value"
	default:
		text = "error value is a " + object.Type().String()
	}
	code = errs.CodeHookError
	if v.soft.text != "" && text == v.soft.text {
		code = v.soft.code
	}
	line, text = position(v.plain(text))
	return code, text, line
}

// position cuts "hook.lua:12: " off an error's text.
func position(text string) (line int, rest string) {
	after, ok := strings.CutPrefix(text, chunkName+":")
	if !ok {
		return 0, text
	}
	digits, rest, ok := strings.Cut(after, ":")
	if !ok {
		return 0, text
	}
	line, err := strconv.Atoi(digits)
	if err != nil || line < 1 {
		return 0, text
	}
	return line, strings.TrimLeft(rest, " ")
}
