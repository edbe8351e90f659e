package worker

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"hookline/sandbox/worker/pattern"
)

const (
	maxStringBytes = 4 << 20 // one string that the library makes
	maxLogLine     = 4 << 10
)

func (v *vm) openString() {
	t := v.library("string", map[string]lua.LGFunction{
		"byte": v.strByte, "char": v.strChar, "find": v.strFind, "format": v.strFormat,
		"gmatch": v.strGmatch, "gsub": v.strGsub, "len": strLen, "lower": v.strLower,
		"match": v.strMatch, "rep": v.strRep, "reverse": v.strReverse, "sub": v.strSub, "upper": v.strUpper,
	})
	mt := v.l.NewTable()
	mt.RawSetString("__index", t)
	v.l.SetMetatable(lua.LString(""), mt)
}

// span turns Lua's first and last index into bounds within a string.
func span(size, from, to int) (start, end int) {
	if from < 0 {
		from = max(size+from+1, 1)
	} else if from == 0 {
		from = 1
	}
	if to < 0 {
		to = size + to + 1
	}
	to = min(to, size)
	if from > to {
		return 0, 0
	}
	return from - 1, to
}

func (v *vm) strByte(l *lua.LState) int {
	s := l.CheckString(1)
	from := wholeOr(l, 2, 1)
	start, end := span(len(s), from, wholeOr(l, 3, from))
	if end-start > registryMax/2 {
		l.RaiseError("string slice too long")
	}
	v.budget.spend(int64(end - start))
	for i := start; i < end; i++ {
		l.Push(lua.LNumber(s[i]))
	}
	return end - start
}

func (v *vm) strChar(l *lua.LState) int {
	out := make([]byte, l.GetTop())
	for i := range out {
		c := whole(l, i+1)
		if c < 0 || c > 255 {
			l.ArgError(i+1, "invalid value")
		}
		out[i] = byte(c)
	}
	l.Push(lua.LString(out))
	return 1
}

func strLen(l *lua.LState) int {
	l.Push(lua.LNumber(len(l.CheckString(1))))
	return 1
}

func (v *vm) strLower(l *lua.LState) int { return v.mapped(l, 'A', 'Z') }
func (v *vm) strUpper(l *lua.LState) int { return v.mapped(l, 'a', 'z') }

// mapped flips the case of the ASCII letters between first and last.
func (v *vm) mapped(l *lua.LState, first, last byte) int {
	s := l.CheckString(1)
	v.grow(l, "string", len(s))
	out := []byte(s)
	for i, c := range out {
		if first <= c && c <= last {
			out[i] = c ^ 0x20
		}
	}
	l.Push(lua.LString(out))
	return 1
}

func (v *vm) strReverse(l *lua.LState) int {
	s := l.CheckString(1)
	v.grow(l, "string.reverse", len(s))
	out := make([]byte, len(s))
	for i := range len(s) {
		out[len(s)-1-i] = s[i]
	}
	l.Push(lua.LString(out))
	return 1
}

func (v *vm) strSub(l *lua.LState) int {
	s := l.CheckString(1)
	start, end := span(len(s), whole(l, 2), wholeOr(l, 3, -1))
	l.Push(lua.LString(s[start:end]))
	return 1
}

func (v *vm) strRep(l *lua.LState) int {
	s := l.CheckString(1)
	n := l.CheckNumber(2)
	if n < 1 || len(s) == 0 || n != n {
		l.Push(lua.LString(""))
		return 1
	}
	if float64(n)*float64(len(s)) > maxStringBytes {
		v.tooLarge(l, "string.rep")
	}
	v.grow(l, "string.rep", int(n)*len(s))
	l.Push(lua.LString(strings.Repeat(s, int(n))))
	return 1
}

// matcher makes a matcher of arguments 1 and 2.
func (v *vm) matcher(l *lua.LState) (s string, m *pattern.Matcher) {
	s = l.CheckString(1)
	return s, pattern.New(s, l.CheckString(2), v.budget.spend)
}

func start(l *lua.LState, arg, size int) int {
	init := wholeOr(l, arg, 1)
	if init < 0 {
		init += size + 1
	}
	return min(max(init-1, 0), size)
}

func (v *vm) strFind(l *lua.LState) int {
	s, m := v.matcher(l)
	init := start(l, 3, len(s))
	pat := l.CheckString(2)
	if lua.LVAsBool(l.Get(4)) || !strings.ContainsAny(pat, "^$*+?.([%-") {
		v.budget.spend(int64(len(s)-init)/16 + int64(len(pat)))
		i := strings.Index(s[init:], pat)
		if i < 0 {
			l.Push(lua.LNil)
			return 1
		}
		l.Push(lua.LNumber(init + i + 1))
		l.Push(lua.LNumber(init + i + len(pat)))
		return 2
	}
	from, to, err := m.Find(init)
	if err != nil {
		l.RaiseError("%s", err.Error())
	}
	if to < 0 {
		l.Push(lua.LNil)
		return 1
	}
	l.Push(lua.LNumber(from + 1))
	l.Push(lua.LNumber(to))
	if !m.HasCaptures() {
		return 2
	}
	return 2 + v.pushCaptures(l, m, from, to)
}

func (v *vm) strMatch(l *lua.LState) int {
	s, m := v.matcher(l)
	from, to, err := m.Find(start(l, 3, len(s)))
	if err != nil {
		l.RaiseError("%s", err.Error())
	}
	if to < 0 {
		l.Push(lua.LNil)
		return 1
	}
	return v.pushCaptures(l, m, from, to)
}

func (v *vm) pushCaptures(l *lua.LState, m *pattern.Matcher, from, to int) int {
	captures, err := m.Captures(from, to)
	if err != nil {
		l.RaiseError("%s", err.Error())
	}
	for _, c := range captures {
		l.Push(captured(c))
	}
	return len(captures)
}

func captured(c pattern.Capture) lua.LValue {
	if c.Position {
		return lua.LNumber(c.At)
	}
	return lua.LString(c.Text)
}

// strGmatch finds one match at a time, so that leaving the loop early costs
// nothing.
func (v *vm) strGmatch(l *lua.LState) int {
	s, m := v.matcher(l)
	at := 0
	l.Push(l.NewFunction(func(l *lua.LState) int {
		if at > len(s) {
			l.Push(lua.LNil)
			return 1
		}
		from, to, err := m.Find(at)
		if err != nil {
			l.RaiseError("%s", err.Error())
		}
		if to < 0 {
			at = len(s) + 1
			l.Push(lua.LNil)
			return 1
		}
		at = to
		if to == from {
			at++
		}
		return v.pushCaptures(l, m, from, to)
	}))
	return 1
}

func (v *vm) strGsub(l *lua.LState) int {
	s, m := v.matcher(l)
	l.CheckTypes(3, lua.LTString, lua.LTNumber, lua.LTTable, lua.LTFunction)
	limit := wholeOr(l, 4, len(s)+1)
	var out strings.Builder
	at, count := 0, 0
	for count < limit {
		v.budget.spend(1)
		end, err := m.MatchAt(at)
		if err != nil {
			l.RaiseError("%s", err.Error())
		}
		if end >= 0 {
			count++
			v.replace(l, &out, m, at, end)
		}
		switch {
		case end > at:
			at = end
		case at < len(s):
			out.WriteByte(s[at])
			at++
		default:
			at = len(s) + 1
		}
		if at > len(s) || m.Anchored() {
			break
		}
	}
	if at < len(s) {
		v.grow(l, "string.gsub", out.Len()+len(s)-at)
		out.WriteString(s[at:])
	}
	l.Push(lua.LString(out.String()))
	l.Push(lua.LNumber(count))
	return 2
}

// replace writes what stands for the match from start to end.
func (v *vm) replace(l *lua.LState, out *strings.Builder, m *pattern.Matcher, start, end int) {
	captures, err := m.Captures(start, end)
	if err != nil {
		l.RaiseError("%s", err.Error())
	}
	whole := m.Text(start, end)
	var text string
	switch by := l.Get(3).(type) {
	case *lua.LTable:
		text = v.replacement(l, v.index(l, by, captured(captures[0])), whole)
	case *lua.LFunction:
		args := make([]lua.LValue, len(captures))
		for i, c := range captures {
			args[i] = captured(c)
		}
		text = v.replacement(l, v.callLua(l, by, args...), whole)
	default:
		text = v.expand(l, lua.LVAsString(by), captures, whole)
	}
	if out.Len()+len(text) > maxStringBytes {
		v.tooLarge(l, "string.gsub")
	}
	v.budget.allocated(len(text))
	out.WriteString(text)
}

func (v *vm) index(l *lua.LState, t *lua.LTable, key lua.LValue) lua.LValue {
	defer v.enter(l)()
	return l.GetTable(t, key)
}

func (v *vm) replacement(l *lua.LState, value lua.LValue, whole string) string {
	switch {
	case lua.LVIsFalse(value):
		return whole
	case lua.LVCanConvToString(value):
		return lua.LVAsString(value)
	}
	l.RaiseError("invalid replacement value (a %s)", value.Type().String())
	return ""
}

// expand fills %0 to %9 of a replacement text.
func (v *vm) expand(l *lua.LState, text string, captures []pattern.Capture, whole string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch c := text[i]; {
		case c == '0':
			b.WriteString(whole)
		case c >= '1' && c <= '9':
			n := int(c - '1')
			if n >= len(captures) {
				l.RaiseError("invalid capture index")
			}
			b.WriteString(lua.LVAsString(captured(captures[n])))
		default:
			b.WriteByte(c)
		}
		if b.Len() > maxStringBytes {
			v.tooLarge(l, "string.gsub")
		}
	}
	return b.String()
}
