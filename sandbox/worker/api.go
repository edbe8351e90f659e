package worker

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"hookline/internal/errs"
	"hookline/internal/redact"
	"hookline/sandbox/wire"
)

// openAPI makes report, fs, sys, time, log, and what later versions have:
// asking for that is a refusal with a clear word, on the record.
func (v *vm) openAPI() {
	v.library("report", map[string]lua.LGFunction{
		"get": v.reportGet, "names": v.reportNames, "set": v.reportSet,
	})
	v.later(v.library("fs", map[string]lua.LGFunction{"read": v.fsRead, "list": v.fsList, "stat": v.fsStat}), "fs")
	v.later(v.library("cmd", map[string]lua.LGFunction{"run": v.cmdRun}), "cmd")
	v.later(v.library("sys", map[string]lua.LGFunction{"facts": v.sysFacts}), "sys")
	v.library("time", map[string]lua.LGFunction{"now": v.timeNow})
	v.l.G.Global.RawSetString("log", v.function("", "log", v.logText))
}

// later makes every other name of a library a call that is not available.
func (v *vm) later(t *lua.LTable, library string) {
	mt := v.l.CreateTable(0, 2)
	mt.RawSetString("__metatable", lua.LFalse)
	mt.RawSetString("__index", v.l.NewFunction(func(l *lua.LState) int {
		name := library + "." + clip(lua.LVAsString(l.Get(2)), 32)
		l.Push(l.NewFunction(func(l *lua.LState) int {
			_, _, err := v.call(wire.OpUnavailable, name, nil)
			if err == nil {
				err = errors.New("refused")
			}
			v.raise(l, codeOf(err), "there is no %s in this version", name)
			return 0
		}))
		return 1
	}))
	t.Metatable = mt
}

func codeOf(err error) errs.Code {
	var refused *callError
	if errors.As(err, &refused) {
		return refused.code
	}
	return errs.CodeHookError
}

func (v *vm) name(l *lua.LState) string {
	if l.Get(1).Type() != lua.LTString {
		l.TypeError(1, lua.LTString)
	}
	return l.CheckString(1)
}

func (v *vm) reportGet(l *lua.LState) int {
	v.arguments(l, 1)
	name := v.name(l)
	body, none, err := v.call(wire.OpGet, name, nil)
	if err != nil {
		v.fail(l, "report.get: "+shown(name), err)
	}
	if none {
		l.Push(lua.LNil)
		return 1
	}
	v.budget.allocated(len(body))
	l.Push(lua.LString(body))
	return 1
}

func (v *vm) reportNames(l *lua.LState) int {
	v.arguments(l, 0)
	body, _, err := v.call(wire.OpNames, "", nil)
	if err == nil {
		err = v.pushNames(l, body)
	}
	if err != nil {
		v.fail(l, "report.names", err)
	}
	return 1
}

// pushNames pushes a list of names that the broker sent.
func (v *vm) pushNames(l *lua.LState, body []byte) error {
	v.budget.allocated(4 * len(body)) // values are larger than their text
	var names []string
	if err := json.Unmarshal(body, &names); err != nil {
		return errAnswer
	}
	t := l.CreateTable(len(names), 0)
	for i, name := range names {
		t.RawSetInt(i+1, lua.LString(name))
	}
	l.Push(t)
	return nil
}

func (v *vm) reportSet(l *lua.LState) int {
	v.arguments(l, 2)
	name := v.name(l)
	if err := v.setField(name, l.Get(2)); err != nil {
		v.fail(l, "report.set: "+shown(name), err)
	}
	return 0
}

func (v *vm) setField(name string, value lua.LValue) error {
	text, err := v.encode(value)
	if err != nil {
		return err
	}
	_, _, err = v.call(wire.OpSet, name, text)
	return err
}

// setReturned sets the fields of a table that the script returned. Anything
// else that it returned is no result.
func (v *vm) setReturned(result lua.LValue) error {
	t, ok := result.(*lua.LTable)
	if !ok {
		if result != lua.LNil {
			v.log("the script returned a " + result.Type().String() + ", which is no field: ignored")
		}
		return nil
	}
	var names []string
	var wrong error
	t.ForEach(func(key, _ lua.LValue) {
		name, ok := key.(lua.LString)
		if !ok {
			wrong = errors.New("the returned table has a key that is no field name")
		}
		names = append(names, string(name))
	})
	if wrong != nil {
		return wrong
	}
	slices.Sort(names)
	for _, name := range names {
		if err := v.setField(name, t.RawGetString(name)); err != nil {
			return &callError{code: codeOf(err), text: "returned field " + shown(name) + ": " + err.Error()}
		}
	}
	return nil
}

func (v *vm) sysFacts(l *lua.LState) int {
	v.arguments(l, 0)
	t := l.NewTable()
	facts := v.start.Facts
	t.RawSetString("os", lua.LString(facts.OS))
	t.RawSetString("release", lua.LString(facts.Release))
	t.RawSetString("kernel", lua.LString(facts.Kernel))
	t.RawSetString("arch", lua.LString(facts.Arch))
	l.Push(t)
	return 1
}

// timeNow is Unix seconds with milliseconds.
func (v *vm) timeNow(l *lua.LState) int {
	v.arguments(l, 0)
	ms := v.start.NowMS + time.Since(v.began).Milliseconds()
	l.Push(lua.LNumber(math.Round(float64(ms)) / 1000))
	return 1
}

func (v *vm) logText(l *lua.LState) int {
	v.arguments(l, 1)
	v.log(redact.Clip(lua.LVAsString(v.text(l, l.Get(1))), maxLogLine))
	return 0
}

// shown is a name or path as an error shows it.
func shown(s string) string {
	return strings.ToValidUTF8(clip(s, 80), "?")
}
