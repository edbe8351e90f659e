package worker

import (
	"sort"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func (v *vm) openTable() {
	v.library("table", map[string]lua.LGFunction{
		"concat": v.tabConcat, "insert": v.tabInsert, "remove": v.tabRemove,
		"sort": v.tabSort, "maxn": v.tabMaxN, "getn": v.tabGetN,
	})
}

// size is #t, whose cost is counted: it can be as long as the table.
func (v *vm) size(t *lua.LTable) int {
	n := t.Len()
	v.budget.spend(int64(max(t.MaxN(), n)) / 16)
	return n
}

func (v *vm) tabGetN(l *lua.LState) int {
	l.Push(lua.LNumber(v.size(l.CheckTable(1))))
	return 1
}

func (v *vm) tabMaxN(l *lua.LState) int {
	n := l.CheckTable(1).MaxN()
	v.budget.spend(int64(n) / 16)
	l.Push(lua.LNumber(n))
	return 1
}

func (v *vm) tabConcat(l *lua.LState) int {
	t := l.CheckTable(1)
	sep := ""
	if l.Get(2) != lua.LNil {
		sep = l.CheckString(2)
	}
	from := wholeOr(l, 3, 1)
	to := wholeOr(l, 4, v.size(t))
	var out strings.Builder
	for i := from; i <= to; i++ {
		v.budget.spend(1)
		value := element(t, i)
		if !lua.LVCanConvToString(value) {
			l.RaiseError("invalid value (%s) at index %d in table for 'concat'", value.Type().String(), i)
		}
		text := lua.LVAsString(value)
		if out.Len()+len(text)+len(sep) > maxStringBytes {
			v.tooLarge(l, "table.concat")
		}
		v.budget.allocated(len(text) + len(sep))
		out.WriteString(text)
		if i < to {
			out.WriteString(sep)
		}
	}
	l.Push(lua.LString(out.String()))
	return 1
}

func (v *vm) tabInsert(l *lua.LState) int {
	t := l.CheckTable(1)
	end := v.size(t) + 1
	switch l.GetTop() {
	case 2:
		t.RawSetInt(end, l.Get(2))
	case 3:
		at := whole(l, 2)
		if at >= end || at < 1 {
			t.RawSet(lua.LNumber(at), l.Get(3))
			return 0
		}
		v.budget.spend(int64(end-at) / 16)
		t.Insert(at, l.Get(3))
	default:
		l.RaiseError("wrong number of arguments to 'table.insert'")
	}
	return 0
}

func (v *vm) tabRemove(l *lua.LState) int {
	t := l.CheckTable(1)
	size := v.size(t)
	at := wholeOr(l, 2, size)
	if size == 0 || at < 1 || at > size {
		l.Push(lua.LNil)
		return 1
	}
	v.budget.spend(int64(size-at) / 16)
	removed := element(t, at)
	for i := at; i < size; i++ {
		t.RawSetInt(i, element(t, i+1))
	}
	t.RawSetInt(size, lua.LNil)
	l.Push(removed)
	return 1
}

// tabSort sorts a copy, so that a comparison that changes the table cannot
// break the sorting, and writes it back.
func (v *vm) tabSort(l *lua.LState) int {
	t := l.CheckTable(1)
	by := l.Get(2)
	if by != lua.LNil {
		l.CheckFunction(2)
	}
	size := v.size(t)
	v.budget.allocated(size * 16)
	values := make([]lua.LValue, size)
	for i := range values {
		values[i] = element(t, i+1)
	}
	sort.Sort(&sorter{v: v, l: l, by: by, values: values})
	for i, value := range values {
		t.RawSetInt(i+1, value)
	}
	return 0
}

type sorter struct {
	v      *vm
	l      *lua.LState
	by     lua.LValue
	values []lua.LValue
}

func (s *sorter) Len() int      { return len(s.values) }
func (s *sorter) Swap(i, j int) { s.values[i], s.values[j] = s.values[j], s.values[i] }

func (s *sorter) Less(i, j int) bool {
	s.v.budget.spend(1)
	a, b := s.values[i], s.values[j]
	if s.by != lua.LNil {
		return lua.LVAsBool(s.v.callLua(s.l, s.by, a, b))
	}
	switch a := a.(type) {
	case lua.LNumber:
		if b, ok := b.(lua.LNumber); ok {
			return a < b
		}
	case lua.LString:
		if b, ok := b.(lua.LString); ok {
			s.v.budget.spend(int64(min(len(a), len(b))) / 64)
			return a < b
		}
	}
	defer s.v.enter(s.l)()
	return s.l.LessThan(a, b) // metamethods, or an error
}
