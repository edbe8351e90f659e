package pattern_test

import (
	"fmt"
	"strings"
	"testing"

	"hookline/sandbox/worker/pattern"
)

func find(src, pat string, tick func(int64)) string {
	m := pattern.New(tick)
	m.Reset(src, pattern.Compile(pat))
	start, end, err := m.Find(0)
	return shown(start, end, err, m.Count(), func(i int) (pattern.Capture, error) { return m.Capture(i, start, end) })
}

func findPlainly(src, pat string, tick func(int64)) string {
	m := newPlain(src, pat, tick)
	start, end, err := m.Find(0)
	var captures []pattern.Capture
	if err == nil && end >= 0 {
		captures, err = m.Captures(start, end)
	}
	return shown(start, end, err, len(captures), func(i int) (pattern.Capture, error) { return captures[i], nil })
}

func shown(start, end int, err error, count int, capture func(int) (pattern.Capture, error)) string {
	if err == nil && end < 0 {
		return "none"
	}
	var out []string
	for i := 0; i < count && err == nil; i++ {
		var c pattern.Capture
		if c, err = capture(i); c.Position {
			out = append(out, fmt.Sprint("@", c.At))
		} else {
			out = append(out, c.Text)
		}
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprintf("%d-%d %s", start+1, end, strings.Join(out, "|"))
}

func uncounted(int64) {}

// The expected values are those of Lua 5.1.
func TestFind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ src, pat, want string }{
		{"hello", "l+", "3-4 ll"},
		{"hello", "^l", "none"},
		{"hello", "lo$", "4-5 lo"},
		{"a$b", "$b", "2-3 $b"},
		{"hello", "", "1-0 "},
		{"key = value", "^(%w+)%s*=%s*(%w+)$", "1-11 key|value"},
		{"aaa", "a-", "1-0 "},
		{"<<a>>", "<(.-)>", "1-4 <a"},
		{"abc", "()b()", "2-2 @2|@3"},
		{"x[1]y", "%[(%d)%]", "2-4 1"},
		{"f(a(b)c)d", "%b()", "2-8 (a(b)c)"},
		{"THE (quick) fox", "%f[%a]%a+%f[%A]", "1-3 THE"},
		{"\"it's\"", "([\"'])(.-)%1", "1-6 \"|it's"},
		{"a.b-c", "[.-]", "2-2 ."},
		{"a]b", "[]]", "2-2 ]"},
		{"a^b", "[%^]", "2-2 ^"},
		{"abc9", "[^a-c]", "4-4 9"},
		{"0x1F", "%x+$", "3-4 1F"},
		{"tab\there", "%c", "4-4 \t"},
		{"x\x00y", "%z", "2-2 \x00"},
		{"a-z", "[a%-z]+", "1-3 a-z"},
		{"ab", "a?b?c?", "1-2 ab"},
		{"é", "%w", "none"},
		{"abc", "%", "error: malformed pattern (ends with '%')"},
		{"abc", "[a", "error: malformed pattern (missing ']')"},
		{"abc", "[%", "error: malformed pattern (missing ']')"},
		{"abc", "(a", "error: unfinished capture"},
		{"abc", "a)", "error: invalid pattern capture"},
		{"abc", "%1", "error: invalid pattern capture"},
		{"abc", "%b", "error: unbalanced pattern"},
		{"abc", "%f", "error: missing '[' after '%f' in pattern"},
	} {
		if got := find(tt.src, tt.pat, uncounted); got != tt.want {
			t.Errorf("find(%q, %q): %s, expected %s", tt.src, tt.pat, got, tt.want)
		}
		if got := findPlainly(tt.src, tt.pat, uncounted); got != tt.want {
			t.Errorf("the plain matcher: find(%q, %q): %s, expected %s", tt.src, tt.pat, got, tt.want)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, src, pat, want string }{
		{"captures", "a", strings.Repeat("(", 40) + "a", pattern.ErrCaptures.Error()},
		{"depth", strings.Repeat("a", 500), strings.Repeat("a?", 400), pattern.ErrTooComplex.Error()},
		{"length", strings.Repeat("a", 9000), strings.Repeat(".", 8000), pattern.ErrTooComplex.Error()},
	} {
		if got := find(tt.src, tt.pat, uncounted); got != "error: "+tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}

// All work is told to the counter while it happens, so that it can be ended.
func TestWorkIsCounted(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 1<<20)
	for _, tt := range []struct {
		name, src, pat string
		least          int64
	}{
		{"backtracking", strings.Repeat("a", 300), ".-.-.-.-.-.-.-.-b", 1_000_000},
		{"greedy backtracking", strings.Repeat("a", 300), ".*.*.*.*.*.*.*.*b", 1_000_000},
		{"known next", strings.Repeat("a", 3000), ".*.*b", 1_000_000},
		{"lazy, known next", strings.Repeat("a", 3000), ".-.-b", 1_000_000},
		{"captures", strings.Repeat("a", 300), "(.-)(.-)(.-)(.-)b", 1_000_000},
		{"optional", strings.Repeat("a", 60), strings.Repeat("a?", 60) + strings.Repeat("a", 60), 1_000_000},
		{"balance", strings.Repeat("(", 3000), "%b()", 1_000_000},
		{"back reference", strings.Repeat("a", 3000), "(.+)%1b", 1_000_000},
		{"text not found", long, "b", 1 << 14},
		{"set not found", long, "[^a]", 1 << 17},
		{"long set", long, "a+$b", 1 << 17},
		{"frontier", long, "%f[b]", 1 << 19},
	} {
		var steps int64
		func() {
			defer func() { _ = recover() }()
			find(tt.src, tt.pat, func(n int64) {
				if steps += n; steps >= tt.least {
					panic("enough")
				}
			})
		}()
		if steps < tt.least {
			t.Errorf("%s: %d steps, expected %d", tt.name, steps, tt.least)
		}
	}
}

// FuzzFind holds the matcher against the plain one.
func FuzzFind(f *testing.F) {
	for _, seed := range [][2]string{
		{"hello", "(l+)%1?[^a-c]%b()$"},
		{"x", "%f[%a][]-]-"},
		{"key = value", "^(%w+)%s*=%s*(%w+)$"},
		{"a(b)c)", "()%b()(.-)%)"},
		{"aaab", "a*)b"},
		{"ab", "(a(b)%1%2"},
		{"x*y", "%*.?$"},
		{"--", "%--"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, src, pat string) {
		if len(src) > 20 || len(pat) > 12 {
			return
		}
		got, want := find(src, pat, uncounted), findPlainly(src, pat, uncounted)
		if got != want {
			t.Errorf("find(%q, %q): %s, plainly: %s", src, pat, got, want)
		}
	})
}
