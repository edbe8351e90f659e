package worker

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"hookline/sandbox/worker/pattern"
)

func (v *vm) openString() {
	t := v.library("string", map[string]lua.LGFunction{
		"byte": v.strByte, "char": v.strChar, "find": v.strFind, "format": v.strFormat,
		"gmatch": v.strGmatch, "gsub": v.strGsub, "len": strLen, "lower": v.strLower,
		"match": v.strMatch, "rep": v.strRep, "reverse": v.strReverse, "sub": v.strSub, "upper": v.strUpper,
	})
	mt := v.l.CreateTable(0, 3)
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
		l.Push(v.number(int(s[i])))
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
	v.budget.spend(int64(len(s)) / 8)
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
	v.budget.spend(int64(len(s)) / 8)
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

// program is a pattern ready to match. Those that a script writes down are
// used again and again, so a few are kept.
func (v *vm) program(pat string) *pattern.Program {
	if prog, ok := v.programs[pat]; ok {
		return prog
	}
	v.budget.allocated(patternItemBytes * len(pat))
	prog := pattern.Compile(pat)
	if len(pat) <= maxKeptPattern {
		if len(v.programs) >= maxKeptPatterns {
			clear(v.programs)
		}
		pat = strings.Clone(pat) // it may be a piece of something large
		prog = pattern.Compile(pat)
		v.programs[pat] = prog
	}
	return prog
}

// matcher lends a matcher of s and a pattern; give takes it back. One that an
// error left behind is not used again.
func (v *vm) matcher(s string, prog *pattern.Program) *pattern.Matcher {
	var m *pattern.Matcher
	if n := len(v.matchers); n > 0 {
		m, v.matchers = v.matchers[n-1], v.matchers[:n-1]
	} else {
		m = pattern.New(v.budget.spend)
	}
	m.Reset(s, prog)
	return m
}

func (v *vm) give(m *pattern.Matcher) {
	m.Reset("", nil)
	v.matchers = append(v.matchers, m)
}

// search finds the first match from init on; ok is false where there is none.
func search(l *lua.LState, m *pattern.Matcher, init int) (from, to int, ok bool) {
	from, to, err := m.Find(init)
	if err != nil {
		l.RaiseError("%s", err.Error())
	}
	return from, to, to >= 0
}

func start(l *lua.LState, arg, size int) int {
	init := wholeOr(l, arg, 1)
	if init < 0 {
		init += size + 1
	}
	return min(max(init-1, 0), size)
}

func (v *vm) strFind(l *lua.LState) int {
	s, pat := l.CheckString(1), l.CheckString(2)
	init := start(l, 3, len(s))
	if lua.LVAsBool(l.Get(4)) || !strings.ContainsAny(pat, "^$*+?.([%-") {
		i := strings.Index(s[init:], pat)
		seen := i
		if i < 0 {
			seen = len(s) - init
		}
		v.budget.spend(int64(seen+len(pat)) / 16)
		if i < 0 {
			l.Push(lua.LNil)
			return 1
		}
		first := v.number(init + i + 1)
		last := first
		if len(pat) != 1 {
			last = v.number(init + i + len(pat))
		}
		l.Push(first)
		l.Push(last)
		return 2
	}
	m := v.matcher(s, v.program(pat))
	count := 1
	if from, to, ok := search(l, m, init); !ok {
		l.Push(lua.LNil)
	} else {
		l.Push(v.number(from + 1))
		l.Push(v.number(to))
		count = 2
		if m.HasCaptures() {
			count += pushCaptures(l, m, from, to)
		}
	}
	v.give(m)
	return count
}

func (v *vm) strMatch(l *lua.LState) int {
	s := l.CheckString(1)
	m := v.matcher(s, v.program(l.CheckString(2)))
	count := 1
	if from, to, ok := search(l, m, start(l, 3, len(s))); ok {
		count = pushCaptures(l, m, from, to)
	} else {
		l.Push(lua.LNil)
	}
	v.give(m)
	return count
}

func pushCaptures(l *lua.LState, m *pattern.Matcher, from, to int) int {
	count := m.Count()
	for i := range count {
		l.Push(capture(l, m, i, from, to))
	}
	return count
}

// capture is capture i of the match from start to end.
func capture(l *lua.LState, m *pattern.Matcher, i, start, end int) lua.LValue {
	c, err := m.Capture(i, start, end)
	if err != nil {
		l.RaiseError("%s", err.Error())
	}
	if c.Position {
		return lua.LNumber(c.At)
	}
	return lua.LString(c.Text)
}

// strGmatch finds one match at a time, so that leaving the loop early costs
// nothing.
func (v *vm) strGmatch(l *lua.LState) int {
	s, prog := l.CheckString(1), v.program(l.CheckString(2))
	at := 0
	l.Push(l.NewFunction(func(l *lua.LState) int {
		if at > len(s) {
			l.Push(lua.LNil)
			return 1
		}
		m := v.matcher(s, prog)
		from, to, ok := search(l, m, at)
		count := 1
		if ok {
			at = max(to, from+1)
			count = pushCaptures(l, m, from, to)
		} else {
			at = len(s) + 1
			l.Push(lua.LNil)
		}
		v.give(m)
		return count
	}))
	return 1
}

func (v *vm) strGsub(l *lua.LState) int {
	s, prog := l.CheckString(1), v.program(l.CheckString(2))
	l.CheckTypes(3, lua.LTString, lua.LTNumber, lua.LTTable, lua.LTFunction)
	limit := wholeOr(l, 4, len(s)+1)
	m := v.matcher(s, prog)
	var out strings.Builder
	at, count := 0, 0
	for count < limit && at <= len(s) {
		from, to, ok := search(l, m, at)
		if !ok {
			break
		}
		count++
		v.append(l, &out, s[at:from])
		v.replace(l, &out, m, from, to)
		if at = to; to == from {
			if at < len(s) {
				out.WriteByte(s[at])
			}
			at++
		}
		if prog.Anchored() {
			break
		}
	}
	v.give(m)
	if count == 0 {
		l.Push(lua.LString(s))
	} else {
		v.append(l, &out, s[min(at, len(s)):])
		l.Push(lua.LString(out.String()))
	}
	l.Push(v.number(count))
	return 2
}

// append writes one more piece of a result.
func (v *vm) append(l *lua.LState, out *strings.Builder, text string) {
	if out.Len()+len(text) > maxStringBytes {
		v.tooLarge(l, "string.gsub")
	}
	v.budget.allocated(len(text))
	out.WriteString(text)
}

// replace writes what stands for the match from start to end.
func (v *vm) replace(l *lua.LState, out *strings.Builder, m *pattern.Matcher, start, end int) {
	whole := m.Text(start, end)
	var text string
	switch by := l.Get(3).(type) {
	case *lua.LTable:
		text = v.replacement(l, v.index(l, by, capture(l, m, 0, start, end)), whole)
	case *lua.LFunction:
		args := make([]lua.LValue, m.Count())
		for i := range args {
			args[i] = capture(l, m, i, start, end)
		}
		text = v.replacement(l, v.callLua(l, by, args...), whole)
	default:
		text = v.expand(l, lua.LVAsString(by), m, start, end)
	}
	v.append(l, out, text)
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
func (v *vm) expand(l *lua.LState, text string, m *pattern.Matcher, start, end int) string {
	if strings.IndexByte(text, '%') < 0 {
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
			b.WriteString(m.Text(start, end))
		case c >= '1' && c <= '9':
			n := int(c - '1')
			if n >= m.Count() {
				l.RaiseError("invalid capture index")
			}
			b.WriteString(lua.LVAsString(capture(l, m, n, start, end)))
		default:
			b.WriteByte(c)
		}
		if b.Len() > maxStringBytes {
			v.tooLarge(l, "string.gsub")
		}
	}
	return b.String()
}
