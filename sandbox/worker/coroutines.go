package worker

import (
	lua "github.com/yuin/gopher-lua"

	"hookline/internal/errs"
)

// openCoroutine wraps the library's coroutines: each counts into the same
// budget, their number and nesting are bounded, one that is running further
// up cannot be resumed, and none yields out of the middle of a Go function.
func (v *vm) openCoroutine() {
	v.l.Push(v.l.NewFunction(lua.OpenCoroutine))
	v.l.Call(0, 1)
	given := v.l.Get(-1).(*lua.LTable)
	v.l.Pop(1)
	original := func(name string) lua.LGFunction {
		return given.RawGetString(name).(*lua.LFunction).GFunction
	}
	create, wrap, resume, yield := original("create"), original("wrap"), original("resume"), original("yield")
	running, status := original("running"), original("status")
	v.library("coroutine", map[string]lua.LGFunction{
		"create": func(l *lua.LState) int { return v.coMake(l, create) },
		"wrap":   func(l *lua.LState) int { return v.coWrap(l, wrap) },
		"resume": func(l *lua.LState) int {
			if reason := v.cannotResume(l, l.CheckThread(1)); reason != "" {
				l.Push(lua.LFalse)
				l.Push(lua.LString(reason))
				return 2
			}
			count := resume(l)
			if count == 2 && l.Get(-2) == lua.LFalse {
				value := v.caught(l, l.Get(-1))
				l.Pop(1)
				l.Push(value)
			}
			return count
		},
		"yield": func(l *lua.LState) int {
			if l.Parent == nil {
				l.RaiseError("attempt to yield from outside a coroutine")
			}
			if v.inGo[l] > 0 {
				l.RaiseError("attempt to yield across a call from the library")
			}
			return yield(l)
		},
		"running": running,
		"status":  status,
	})
}

// coMake makes a coroutine with a small stack of its own, and the budget.
func (v *vm) coMake(l *lua.LState, create lua.LGFunction) int {
	if v.threads++; v.threads > maxThreads {
		v.finish(errs.CodeLimitMemory, "more than 1000 coroutines", v.budget.line())
	}
	l.CheckFunction(1)
	options := l.Options
	l.Options.RegistrySize, l.Options.CallStackSize = threadRegistry, threadFrames
	l.RemoveContext() // else each coroutine would get a child context, which leaks
	count := create(l)
	l.SetContext(&v.budget)
	l.Options = options
	v.budget.allocated(threadFrames * 100)
	if th, ok := l.Get(-1).(*lua.LState); ok {
		th.Options = options
		th.SetContext(&v.budget)
	}
	return count
}

// coWrap gives a function that checks before it resumes. The thread is the
// first upvalue, as the library's own wrapper wants it.
func (v *vm) coWrap(l *lua.LState, wrap lua.LGFunction) int {
	v.coMake(l, wrap)
	wrapped, ok := l.Get(-1).(*lua.LFunction)
	if !ok || len(wrapped.Upvalues) == 0 {
		l.RaiseError("cannot make a coroutine")
	}
	th, _ := wrapped.Upvalues[0].Value().(*lua.LState)
	th.SetContext(&v.budget)
	l.Pop(1)
	l.Push(l.NewClosure(func(l *lua.LState) int {
		if reason := v.cannotResume(l, th); reason != "" {
			l.RaiseError("%s", reason)
		}
		return wrapped.GFunction(l)
	}, th))
	return 1
}

func (v *vm) cannotResume(l, th *lua.LState) string {
	if th.Dead {
		return "cannot resume dead coroutine"
	}
	depth := 0
	for up := l; up != nil; up = up.Parent {
		if up == th {
			return "cannot resume non-suspended coroutine"
		}
		if depth++; depth > maxThreadDepth {
			return "coroutines nest too deeply"
		}
	}
	return ""
}
