package lint_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/hooks/lint"
	"hookline/sandbox"
)

func TestCharacters(t *testing.T) {
	const hidden, like = " error character-hidden", " warning character-lookalike"
	for _, tc := range []struct{ name, script, want string }{
		{"umlauts", "-- größer als früher: Straße, Übergröße\nlocal a = 'Überlauf'", ""},
		{"other scripts", "-- Ошибка с диском. Σφάλμα δίσκου. 磁盘错误。ディスクエラー 디스크 오류 خطأ في القرص\n", ""},
		{"chinese with latin", "-- 读取CPU使用率（每秒），单位：MB\nlocal a = 'CPU使用率：100％'", ""},
		{"whole words that look alike, in comments", "-- рос сор о а\n", ""},
		{"whole words that look alike, among others", "local a = 'нос и рос'", ""},
		{"units", "-- 5 µs, 10 μs, Δt < 3 °C, λ1, ½, №\n", ""},
		{"typography", "-- “quotes” – dashes — and … dots\u00a0here\n", ""},
		{"windows lines", "local a = 1\r\nlocal b = 2\r\n", ""},
		{"tabs", "local\ta = 1", ""},
		{"emoji", "-- ✅ done 🎉\n", ""},

		{"bidi in a comment", "local a = 1\n-- a \u202e b \u2066 c", "2:6" + hidden + ", 2:12" + hidden},
		{"bidi in a string", "local a = 'x\u202dy'", "1:13" + hidden},
		{"direction marks", "-- \u200e\u200f\u061c", "1:4" + hidden + ", 1:7" + hidden + ", 1:10" + hidden},
		{"zero width", "local a = 'pass\u200bwd'", "1:16" + hidden},
		{"joiners", "-- a\u200cb\u200dc\u2060d\ufeffe", "1:5" + hidden + ", 1:9" + hidden + ", 1:13" + hidden + ", 1:17" + hidden},
		{"soft hyphen, filler, selector, tag", "-- \u00ad\u3164\ufe0f\U000e0041", "1:4" + hidden + ", 1:6" + hidden + ", 1:9" + hidden + ", 1:12" + hidden},
		{"byte order mark", "\ufefflocal a = 1", "1:1" + hidden},
		{"terminal controls", "-- \x1b[2J\x07\x7f\u009b", "1:4" + hidden + ", 1:8" + hidden + ", 1:9" + hidden + ", 1:10" + hidden},
		{"carriage return alone", "-- harmless\rlocal a = 1", "1:12" + hidden},
		{"carriage return after the line", "-- a\n\r-- b", "2:1" + hidden},
		{"line separators", "-- a\u2028b\u2029c\u0085d", "1:5" + hidden + ", 1:9" + hidden + ", 1:13" + hidden},
		{"escapes are no characters", `local a = '\226\128\174'`, ""},
		{"in a long string", "local a = [==[\n]]\u202e]==]\n--[[ \n\u200b]]", "2:3" + hidden + ", 4:1" + hidden},

		{"mixed in a string", "local a = '/\u0435tc'", "1:13" + like},
		{"mixed in a comment", "-- p\u0430ypal", "1:5" + like},
		{"greek omicron", "local a = 'r\u03bfot'", "1:13" + like},
		{"cyrillic and greek", "-- \u0436\u03c9", "1:4" + like},
		{"whole word in a string", "local a = '\u0441\u043e\u0441'", "1:12" + like},
		{"whole word in a long string", "local a = [[\u0440]]", "1:13" + like},
		{"fullwidth", "-- \uff52eport", "1:4" + like},
		{"mathematical", "local a = '\U0001d5ba'", "1:12" + like},
		{"dotless i", "local a = 'f\u0131le'", "1:13" + like},
		{"slashes and dashes", "local a = '\u2044etc\u2215x'\nlocal b = '\u2011k'", "1:12" + like + ", 1:18" + like + ", 2:12" + like},
		{"space", "local a = 'a\u00a0b'", "1:13" + like},
		{"letter in code", "local \u0430 = 1", "1:7 error character-lookalike"},
		{"after a quote that is escaped", `local a = 'x\'` + "\u0435tc'", "1:15" + like},
		{"after a comment that is none", "local a = 1 - -1 local b = '\u0435tc'", "1:29" + like},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.Join(found(t, tc.script, hooks.Predicate{}), ", "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// What people see of a finding names the character and what to do.
func TestCharacterMessages(t *testing.T) {
	for script, want := range map[string]string{
		"-- \u202e":             `U+202E changes the direction of text, so that people read another order than Lua (Trojan Source, CVE-2021-42574); remove it, or write it in a string as \226\128\174`,
		"local a = '/\u0435tc'": `the word "еtc" mixes Cyrillic and Latin: it has U+0435, which looks like "e"`,
		"-- a\rlocal b":         `U+000D ends a line for Lua, but not for many who show it; remove it, or write it in a string as \013`,
		"local a = '\uff52'":    `U+FF52 looks like "r" and is another character`,
	} {
		if got := lint.Check([]byte(script), hooks.Predicate{}); len(got) != 1 || got[0].Message != want {
			t.Errorf("%q: %v", script, got)
		}
	}
}

// Errors cannot be pushed out by warnings, and what is left out is counted.
func TestTooManyFindings(t *testing.T) {
	warnings := strings.Repeat("fs.read(report.get('x'))\n", 300)
	got := lint.Check([]byte(warnings+"os.exit()\n-- \u202e"), hooks.Predicate{})
	last := got[len(got)-1]
	if len(got) != sandbox.MaxFindings || got[198].Code != lint.CodeCharacter || got[197].Code != lint.CodeRemoved || last.Code != lint.CodeMore || last.Message != "… and 103 more" {
		t.Errorf("%d findings, the last ones %+v", len(got), got[len(got)-3:])
	}
	got = lint.Check([]byte(strings.Repeat("os.exit()\n", 300)), hooks.Predicate{})
	if len(got) != 200 || got[198].Severity != lint.SeverityError || got[199].Message != "… and 101 more" {
		t.Errorf("%d findings, the last ones %+v", len(got), got[len(got)-3:])
	}
}

// Text that is slow to look at ends in time: the worst that fits into a script.
func TestTime(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, (hooks.MaxScriptBytes-2)/len(s)) }
	many := "local function f(p0"
	for i := range 150 {
		many += fmt.Sprintf(",a%d", i)
	}
	many += ") "
	for i := range 150 {
		many += fmt.Sprintf("fs.read(a%d) ", i)
	}
	many += "end "
	var words strings.Builder
	for r := rune(0x4e00); words.Len() < hooks.MaxScriptBytes-10; r++ {
		words.WriteRune(r)
	}
	for name, script := range map[string]string{
		"brackets":  fill("[="),
		"quotes":    fill("'\\'"),
		"dashes":    fill("- "),
		"bidi":      "--" + fill("\u202e"),
		"mixed":     "--" + fill("a\u0430 "),
		"one word":  "--" + fill("a\u0430"),
		"scripts":   "--" + words.String(),
		"calls":     many + strings.Repeat("f() ", (hooks.MaxScriptBytes-len(many))/4),
		"texts":     "local s = '" + strings.Repeat("x", 4000) + "' " + strings.Repeat("s = s .. 'y' ", 4500),
		"one line":  strings.Repeat("os.exit() ", 6000),
		"recursion": "local function f(a, b) cmd.run(a, b) f(b, a) f(a .. 'x', b) f(b, b) f(a, {a, b}) end f('x', {})",
	} {
		began := time.Now()
		if got := lint.Check([]byte(script), predicate()); len(got) > 0 && got[0].Code == lint.CodeScript {
			t.Errorf("%s: not looked at: %v", name, got)
		} else if name == "calls" && !slices.ContainsFunc(got, func(f lint.Finding) bool { return f.Code == lint.CodeTooComplex }) {
			t.Errorf("%s: followed to the end", name)
		}
		if took := time.Since(began); took > 4*time.Second { // the worker's own limit is 5 s
			t.Errorf("%s: took %v", name, took)
		} else {
			t.Logf("%s: %v", name, took)
		}
	}
}

// Every pair of characters that look alike has its ASCII twin.
func TestTwins(t *testing.T) {
	letters, symbols := 0, 0
	for r := rune(0x80); r <= 0x1ffff; r++ {
		if twin := lint.LikeLetter(r); twin != "" {
			if letters++; len(twin) != 1 || twin[0] <= ' ' || twin[0] > '~' {
				t.Errorf("%U looks like %q", r, twin)
			}
		}
		if twin := lint.LikeSymbol(r); twin != "" {
			if symbols++; len(twin) != 1 || twin[0] < ' ' || twin[0] > '~' {
				t.Errorf("%U looks like %q", r, twin)
			}
		}
	}
	if letters < 150 || symbols < 30 {
		t.Errorf("%d letters and %d signs", letters, symbols)
	}
}

// What a script makes of texts is bounded in all.
func TestMemory(t *testing.T) {
	script := "local t = {" + strings.Repeat("'x', ", 63) + "'x'}\nlocal s = '" + strings.Repeat("s", 4000) + "'\n" +
		"for _, v in ipairs(t) do " + strings.Repeat("fs.read(v..s) ", 2000) + "end\n"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	lint.Check([]byte(script), hooks.Predicate{})
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 100 {
		t.Errorf("%d MiB for %d KiB of script", got, len(script)>>10)
	} else {
		t.Logf("%d MiB", got)
	}
}

func FuzzCharacters(f *testing.F) {
	f.Add("local a = '\u0435tc' -- \u202e\r")
	f.Add("--[==[ ]=] ]==] [[ \u200b ]] '\\'\u0430'")
	f.Fuzz(func(t *testing.T, script string) {
		lines := strings.Split(script, "\n")
		for _, x := range lint.Check([]byte(script), hooks.Predicate{}) {
			if x.Code != lint.CodeCharacter && x.Code != lint.CodeLookalike {
				continue
			}
			if x.Line < 1 || x.Line > len(lines) || x.Column < 1 || x.Column > len(lines[x.Line-1]) {
				t.Errorf("%+v is not in the script", x)
			}
		}
		clean := !strings.ContainsAny(script, "\u202e\u200b\u2066")
		if hooks.CheckScript([]byte(script)) == nil && !clean && !hasError(lint.Check([]byte(script), hooks.Predicate{})) {
			t.Error("a hidden character passed")
		}
	})
}

func hasError(found []lint.Finding) bool {
	for _, f := range found {
		if f.Severity == lint.SeverityError {
			return true
		}
	}
	return false
}
