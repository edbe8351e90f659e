package worker

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// strFormat is Lua's string.format: at most two digits of width and of
// precision, and only the conversions of Lua, so that nothing of Go's own
// formatting can be reached.
func (v *vm) strFormat(l *lua.LState) int {
	text := l.CheckString(1)
	var out strings.Builder
	arg := 1
	for i := 0; i < len(text); i++ {
		v.budget.spend(1)
		if text[i] != '%' {
			out.WriteByte(text[i])
			continue
		}
		if i++; i < len(text) && text[i] == '%' {
			out.WriteByte('%')
			continue
		}
		spec, verb, next := parseSpec(l, text, i)
		arg++
		piece := v.convert(l, spec, verb, arg)
		if out.Len()+len(piece) > maxStringBytes {
			v.tooLarge(l, "string.format")
		}
		v.budget.allocated(len(piece))
		out.WriteString(piece)
		i = next
	}
	l.Push(lua.LString(out.String()))
	return 1
}

// parseSpec reads flags, width, precision and verb from i on; next is the
// index of the verb.
func parseSpec(l *lua.LState, text string, i int) (spec string, verb byte, next int) {
	from := i
	digits := func() {
		for n := 0; i < len(text) && text[i] >= '0' && text[i] <= '9'; n++ {
			if n == 2 {
				l.RaiseError("invalid format (width or precision too long)")
			}
			i++
		}
	}
	for i < len(text) && strings.IndexByte("-+ #0", text[i]) >= 0 {
		i++
	}
	if i-from > 5 {
		l.RaiseError("invalid format (repeated flags)")
	}
	digits()
	if i < len(text) && text[i] == '.' {
		i++
		digits()
	}
	if i >= len(text) {
		l.RaiseError("invalid format (ends with '%%')")
	}
	return text[from:i], text[i], i
}

func (v *vm) convert(l *lua.LState, spec string, verb byte, arg int) string {
	switch verb {
	case 'd', 'i':
		return fmt.Sprintf("%"+spec+"d", integer(l, arg))
	case 'u':
		return fmt.Sprintf("%"+spec+"d", uint64(integer(l, arg)))
	case 'x', 'X', 'o':
		return fmt.Sprintf("%"+spec+string(rune(verb)), uint64(integer(l, arg)))
	case 'c':
		return string([]byte{byte(integer(l, arg))})
	case 'e', 'E', 'f', 'g', 'G':
		return float(spec, verb, float64(l.CheckNumber(arg)))
	case 'q':
		return quoted(l.CheckString(arg))
	case 's':
		s := lua.LVAsString(v.text(l, l.CheckAny(arg)))
		if len(s) >= 100 && !strings.Contains(spec, ".") {
			return s
		}
		return padded(spec, s)
	}
	l.RaiseError("invalid conversion '%%%s' to 'format'", strconv.QuoteRuneToASCII(rune(verb)))
	return ""
}

// integer is an argument cut to a whole number, as C does it within its range.
func integer(l *lua.LState, arg int) int64 {
	f := float64(l.CheckNumber(arg))
	if math.IsNaN(f) || f >= 1<<63 || f < -(1<<63) {
		l.ArgError(arg, "number has no integer representation")
	}
	return int64(f)
}

func float(spec string, verb byte, f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return padded(strings.Split(strings.ReplaceAll(spec, "0", ""), ".")[0], strings.ToLower(fmt.Sprint(f)))
	}
	if (verb == 'g' || verb == 'G') && !strings.Contains(spec, ".") {
		spec += ".6"
	}
	return fmt.Sprintf("%"+spec+string(rune(verb)), f)
}

// padded applies width, '-' and precision in bytes, as Lua counts them.
func padded(spec, s string) string {
	left := strings.Contains(spec, "-")
	width, precision, cut := strings.Cut(strings.TrimLeft(spec, "-+ #0"), ".")
	if cut {
		n, _ := strconv.Atoi(precision)
		s = clip(s, n)
	}
	n, _ := strconv.Atoi(width)
	if n <= len(s) {
		return s
	}
	if left {
		return s + strings.Repeat(" ", n-len(s))
	}
	return strings.Repeat(" ", n-len(s)) + s
}

func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\r':
			b.WriteString(`\r`)
		case 0:
			b.WriteString(`\000`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
