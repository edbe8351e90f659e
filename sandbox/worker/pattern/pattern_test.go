package pattern_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"hookline/sandbox/worker/pattern"
)

func find(src, pat string) string {
	m := pattern.New(src, pat, func(int64) {})
	start, end, err := m.Find(0)
	if err != nil {
		return "error: " + err.Error()
	}
	if end < 0 {
		return "none"
	}
	captures, err := m.Captures(start, end)
	if err != nil {
		return "error: " + err.Error()
	}
	var out []string
	for _, c := range captures {
		if c.Position {
			out = append(out, fmt.Sprint("@", c.At))
		} else {
			out = append(out, c.Text)
		}
	}
	return fmt.Sprintf("%d-%d %s", start+1, end, strings.Join(out, "|"))
}

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
		if got := find(tt.src, tt.pat); got != tt.want {
			t.Errorf("find(%q, %q): %s, expected %s", tt.src, tt.pat, got, tt.want)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	deep := pattern.New("a", strings.Repeat("(", 40)+"a", func(int64) {})
	if _, _, err := deep.Find(0); !errors.Is(err, pattern.ErrCaptures) {
		t.Error(err)
	}
	long := pattern.New(strings.Repeat("a", 500), strings.Repeat("a?", 400), func(int64) {})
	if _, _, err := long.Find(0); !errors.Is(err, pattern.ErrTooComplex) {
		t.Error(err)
	}
	// Backtracking is told to the counter while it happens.
	var steps int64
	stop := errors.New("stop")
	func() {
		defer func() { _ = recover() }()
		m := pattern.New(strings.Repeat("a", 300), ".-.-.-.-.-.-.-.-b", func(n int64) {
			if steps += n; steps > 1_000_000 {
				panic(stop)
			}
		})
		_, _, _ = m.Find(0)
		t.Error("it ended")
	}()
	if steps < 1_000_000 {
		t.Errorf("%d steps", steps)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("hello", "(l+)%1?[^a-c]%b()$")
	f.Add("x", "%f[%a][]-]-")
	f.Fuzz(func(t *testing.T, src, pat string) {
		if len(src) > 20 || len(pat) > 12 {
			return
		}
		find(src, pat) // must neither panic nor run on
	})
}
