package worker

import (
	"strings"
	"testing"

	"github.com/yuin/gopher-lua/parse"
)

func TestNesting(t *testing.T) {
	t.Parallel()
	times := strings.Repeat
	for _, tt := range []struct {
		name, script string
		refused      bool
	}{
		{"plain", "local a = 1\nreport.set('x', a .. 'b')\n", false},
		{"many statements", times("log('a' .. x .. 'b')\n", 2000), false},
		{"many assignments", times("x = x + 1 y = -x\n", 2000), false},
		{"a long table", "return {" + times("1, 'a', { b = 2 },\n", 3000) + "}", false},
		{"many functions", times("local function f(a) if a then return 1 elseif b then return 2 else for i = 1, 2 do end end end\n", 500), false},
		{"many ifs", times("if a then b() elseif c then d() elseif e then f() end ", 1000), false},
		{"brackets in text", "local s = '" + times("(", 5000) + "' -- " + times("{", 5000) + "\nlocal t = [==[" + times("[", 5000) + "]==]", false},
		{"comments", "--[[" + times("{", 5000) + "]] local a --[=[ ]] ]=] = 1", false},
		{"braces", times("{", 200), true},
		{"parentheses", "return " + times("(", 200) + "1" + times(")", 200), true},
		{"functions", times("function() ", 200), true},
		{"blocks", times("do ", 200) + times("end ", 200), true},
		{"ifs", times("if a then ", 200), true},
		{"elseifs", "if a then " + times("elseif a then ", 200) + "end", true},
		{"concat", "return 'a'" + times("..'a'", 300), true},
		{"concat over lines", "return 'a'" + times("\n..'a'", 300), true},
		{"sum", "return 1" + times("+1", 300), true},
		{"not", "return " + times("not ", 300) + "1", true},
		{"minus", "return " + times("- ", 300) + "1", true},
		{"and", "return 1" + times(" and 1", 300), true},
		{"calls", "f" + times("()", 300), true},
		{"indexes", "x = a" + times("[1]", 300), true},
		{"a thousand functions", times("function a()end ", maxFunctions), false},
		{"more functions", times("function a()end ", maxFunctions+1), true},
		{"fields", "x = a" + times(".a", 300), true},
	} {
		if line, err := checkNesting(tt.script); (err != nil) != tt.refused {
			t.Errorf("%s: %v in line %d", tt.name, err, line)
		}
	}
	if line, err := checkNesting("\n\n" + times("{\n", 200)); err == nil || line != maxNesting+3 {
		t.Errorf("line %d, %v", line, err)
	}
}

// What passes can be parsed and compiled on a small stack, whatever it is.
func FuzzNesting(f *testing.F) {
	f.Add("local t = { a = [[x]], b = function() return not 1 end } -- c\nif a then elseif b then end")
	f.Add("x = 'unfinished\ny = [==[ no end")
	f.Fuzz(func(t *testing.T, script string) {
		if len(script) > 4096 {
			return
		}
		if _, err := checkNesting(script); err != nil {
			return
		}
		_, _ = parse.Parse(strings.NewReader(script), "x")
	})
}
