package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox/wire"
)

// errAnswer is an answer that no broker of this version gives.
var errAnswer = &callError{code: errs.CodeCallFailed, text: "the answer cannot be read"}

func (v *vm) fsRead(l *lua.LState) int {
	v.arguments(l, 1)
	path := v.name(l)
	body, _, err := v.call(wire.OpRead, path, nil)
	if err != nil {
		v.fail(l, "fs.read: "+shown(path), err)
	}
	v.budget.allocated(len(body))
	l.Push(lua.LString(body))
	return 1
}

// fsList gives the names in a folder.
func (v *vm) fsList(l *lua.LState) int {
	v.arguments(l, 1)
	path := v.name(l)
	body, _, err := v.call(wire.OpList, path, nil)
	if err == nil {
		err = v.pushNames(l, body)
	}
	if err != nil {
		v.fail(l, "fs.list: "+shown(path), err)
	}
	return 1
}

// fsStat gives a table about a path.
func (v *vm) fsStat(l *lua.LState) int {
	v.arguments(l, 1)
	path := v.name(l)
	body, _, err := v.call(wire.OpStat, path, nil)
	var info wire.FileInfo
	if err == nil && json.Unmarshal(body, &info) != nil {
		err = errAnswer
	}
	if err != nil {
		v.fail(l, "fs.stat: "+shown(path), err)
	}
	t := l.CreateTable(0, 7)
	t.RawSetString("type", lua.LString(info.Type))
	for _, number := range []struct {
		name  string
		value float64
	}{
		{"size", float64(info.Size)},
		{"mode", float64(info.Mode)},
		{"uid", float64(info.UID)},
		{"gid", float64(info.GID)},
		{"links", float64(info.Links)},
		{"mtime", float64(info.ModTime)},
	} {
		t.RawSetString(number.name, lua.LNumber(number.value))
	}
	l.Push(t)
	return 1
}

// cmdRun runs a declared command: stdout, stderr, exit code.
func (v *vm) cmdRun(l *lua.LState) int {
	v.arguments(l, 2)
	name := v.name(l)
	args, err := v.commandArguments(l.CheckTable(2))
	if err != nil {
		l.ArgError(2, err.Error())
	}
	text, err := json.Marshal(args)
	if err != nil {
		l.ArgError(2, "cannot be sent")
	}
	answer, body, err := v.ask(wire.OpRun, name, text)
	if err == nil && (answer.Split < 0 || answer.Split > len(body)) {
		err = errAnswer
	}
	if err != nil {
		v.fail(l, "cmd.run: "+shown(name), err)
	}
	v.budget.allocated(len(body))
	l.Push(lua.LString(body[:answer.Split]))
	l.Push(lua.LString(body[answer.Split:]))
	l.Push(lua.LNumber(answer.Exit))
	return 3
}

// commandArguments reads a list of texts and whole numbers. What is signed
// decides about them; here is only what could not be sent as it stands.
func (v *vm) commandArguments(t *lua.LTable) ([]string, error) {
	size := v.size(t)
	if size > hooks.MaxArguments {
		return nil, fmt.Errorf("more than %d arguments of a command", hooks.MaxArguments)
	}
	count := 0
	for key, _ := t.Next(lua.LNil); key != lua.LNil; key, _ = t.Next(key) {
		if count++; count > size {
			return nil, errors.New("the arguments of a command must be a list")
		}
	}
	args := make([]string, size)
	for i := range args {
		text, err := commandArgument(element(t, i+1))
		if err != nil {
			return nil, fmt.Errorf("argument %d of the command %w", i+1, err)
		}
		args[i] = text
	}
	return args, nil
}

func commandArgument(value lua.LValue) (string, error) {
	switch value := value.(type) {
	case lua.LString:
		switch {
		case len(value) > hooks.MaxPathLength:
			return "", fmt.Errorf("is longer than %d bytes", hooks.MaxPathLength)
		case !utf8.ValidString(string(value)):
			return "", errors.New("is not UTF-8")
		}
		return string(value), nil
	case lua.LNumber:
		if f := float64(value); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return strconv.FormatInt(int64(f), 10), nil
		}
		return "", errors.New("is not a whole number")
	}
	return "", fmt.Errorf("is a %s", value.Type().String())
}
