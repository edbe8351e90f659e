package worker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/sandbox/wire"
)

// fill repeats what piece makes until a script is as large as it may be.
func fill(before string, piece func(i int) string, after string) string {
	var b strings.Builder
	b.WriteString(before)
	for i := 0; ; i++ {
		p := piece(i)
		if b.Len()+len(p)+len(after) > hooks.MaxScriptBytes {
			break
		}
		b.WriteString(p)
	}
	return b.String() + after
}

func same(s string) func(int) string { return func(int) string { return s } }

// worstSources are scripts of 64 KiB that ask much of parser and compiler and
// that checkNesting lets through.
func worstSources() map[string]string {
	within := func(n int, open, shut, inner string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	return map[string]string{
		"constants":       fill("return {", func(i int) string { return fmt.Sprintf("%d,", i) }, "}"),
		"short constants": fill("", func(i int) string { return fmt.Sprintf("x=%d ", i) }, ""),
		"texts":           fill("", func(i int) string { return fmt.Sprintf("a'%x'", i) }, ""),
		"globals":         fill("", func(i int) string { return fmt.Sprintf("_%x=1 ", i) }, ""),
		"fields":          fill("x={", func(i int) string { return fmt.Sprintf("a%x=1,", i) }, "}"),
		"locals":          fill("", func(i int) string { return fmt.Sprintf("local a%x ", i) }, ""),
		"locals in blocks": fill("", func(int) string {
			return "do local " + strings.Repeat("a,", 190) + "a end "
		}, ""),
		"upvalues": fill("local a,b,c,d,e,f,g,h,i,j", same(" function x()a=b c=d e=f g=h i=j end"), " "),
		"upvalues through functions": func() string {
			deep := "function()" + within(100, "x=function()", " end", "a=1") + " end "
			return fill("local a ", same("y="+deep), "")
		}(),
		"empty tables":      fill("x={", same("{},"), "}"),
		"nested tables":     fill("", same("x="+within(140, "{", "}", "")+" "), ""),
		"nested functions":  fill("", same("x="+within(140, "function()return ", " end", "1")+" "), ""),
		"nested brackets":   fill("", same("x="+within(140, "(", ")", "1")+" "), ""),
		"nested blocks":     fill("", same(within(140, "do ", "end ", "")), ""),
		"functions":         fill("", same("function a()end "), ""),
		"anonymous":         fill("x={", same("function()end,"), "}"),
		"empty statements":  fill("", same("do end "), ""),
		"ifs":               fill("", same("if a then elseif b then elseif c then else end "), ""),
		"elseif chains":     fill("", same("if a then "+strings.Repeat("elseif a then ", 140)+"end "), ""),
		"loops":             fill("", same("for i=1,2 do end "), ""),
		"gotos":             fill("", func(i int) string { return fmt.Sprintf("goto l%x ::l%x:: ", i, i) }, ""),
		"gotos to the end":  fill("", same("goto e "), "::e::"),
		"labels":            fill("", func(i int) string { return fmt.Sprintf("::l%x:: do end ", i) }, ""),
		"gotos to nowhere":  fill("", same("goto e "), ""),
		"breaks":            fill("while a do ", same("if a then break end "), "end"),
		"escapes":           fill("x='", same(`\0`), "'"),
		"quoted bytes":      fill("x='", same(`\255`), "'"),
		"long string":       fill("x=[[", same("a"), "]]"),
		"newlines":          fill("", same("\n"), ""),
		"comments":          fill("", same("--[[]]"), ""),
		"concat":            fill("", same("x='a'"+strings.Repeat("..'a'", 240)+" "), ""),
		"sums":              fill("", same("x=a"+strings.Repeat("+a", 240)+" "), ""),
		"constant sums":     fill("", same("x=1"+strings.Repeat("+1", 240)+" "), ""),
		"ands":              fill("", same("x=a"+strings.Repeat(" and a or a", 120)+" "), ""),
		"comparisons":       fill("", same("x=a"+strings.Repeat("<a", 240)+" "), ""),
		"nots":              fill("", same("x="+strings.Repeat("not ", 240)+"a "), ""),
		"calls":             fill("", same("a"+strings.Repeat("()", 240)+" "), ""),
		"methods":           fill("", same("a"+strings.Repeat(":a()", 120)+" "), ""),
		"indexes":           fill("", same("x=a"+strings.Repeat(".a", 240)+" "), ""),
		"arguments":         fill("a(", same("1,"), "1)"),
		"variables":         fill("a", same(",a"), "=1"),
		"values":            fill("a=1", same(",1"), ""),
		"parameters":        fill("function a(a", same(",a"), ")end"),
		"returns":           fill("return 1", same(",1"), ""),
		"calls as values":   fill("x={", same("a(),"), "}"),
		"varargs":           fill("x={", same("...,"), "}"),
		"numbers":           fill("x=", same("9"), ""),
		"long name":         fill("x=", same("a"), ""),
		"syntax errors":     fill("", same("= "), ""),
		"unfinished string": fill("x='", same("a"), ""),
		"NUL":               fill("x=1 ", same("\x00"), ""),
	}
}

// Whatever the compiler is given, it ends in time and with a clear word.
func TestCompilingIsBounded(t *testing.T) {
	t.Parallel()
	for name, script := range worstSources() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := run(t, script, wire.Start{}, nothing)
			switch e.fate() {
			case "well", "hook-error":
				if e.Instructions < 8*int64(len(script)) {
					t.Errorf("compiling counted %d steps", e.Instructions)
				}
			case "bad-script", "limit-memory", "limit-time": // on a busy machine, 20,000 constants take seconds
			default:
				t.Errorf("%s: %s", e.fate(), e.Error)
			}
			if e.cpu() > 3500*time.Millisecond {
				t.Errorf("took %v of processor time", e.cpu())
			}
		})
	}
}

func TestSourceLimits(t *testing.T) {
	t.Parallel()
	e := run(t, worstSources()["anonymous"], wire.Start{}, nothing)
	if e.fate() != "bad-script" || !strings.Contains(e.Error, "1000 functions") {
		t.Errorf("%s: %s", e.fate(), e.Error)
	}
	if e := run(t, strings.Repeat(" ", hooks.MaxScriptBytes+1), wire.Start{}, nothing); e.fate() != "bad-script" {
		t.Errorf("too large a script: %s", e.fate())
	}
}
