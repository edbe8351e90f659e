package looks

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain, größer\n\ttext":   "plain, größer\n\ttext",
		"\x1b[31mred":             "⟨U+001B⟩[31mred",
		"a\u202eb":                "a⟨U+202E⟩b",
		"zero\u200bwidth\ufeff":   "zero⟨U+200B⟩width⟨U+FEFF⟩",
		"\xff\xfe":                `⟨\xff⟩⟨\xfe⟩`,
		"null\x00":                "null⟨U+0000⟩",
		"\ufffd stays":            "\ufffd stays",
		"line\u2028separator\r\n": "line⟨U+2028⟩separator⟨U+000D⟩\n",
	} {
		if got := Visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzVisible: nothing that hides or reorders text gets through, and text
// that is fit to be shown stays as it is.
func FuzzVisible(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b\u202e\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		got := Visible(s)
		if !utf8.ValidString(got) || Visible(got) != got {
			t.Errorf("%q became %q", s, got)
		}
		for _, r := range got {
			if unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || unicode.IsControl(r) && r != '\n' && r != '\t' {
				t.Errorf("%q became %q, which has %U", s, got, r)
			}
		}
	})
}

func TestCodeLines(t *testing.T) {
	script := "local a = 1\n\n\tb()\r\n-- \u00a0\u2800\u3164\u202e" + strings.Repeat(" ", 400) + "x"
	want := []CodeLine{{"local a = 1", false}, {"", false}, {"\tb()⟨U+000D⟩", false}, {"-- ⟨U+00A0⟩⟨U+2800⟩⟨U+3164⟩⟨U+202E⟩" + strings.Repeat(" ", 400) + "x", true}}
	got := CodeLines(script)
	if len(got) != len(want) {
		t.Fatalf("%d lines: %+v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d: %+v, want %+v", i+1, got[i], want[i])
		}
	}
}

// Every line of a script wraps: a box that scrolls to the side hides what runs.
func TestScriptsWrap(t *testing.T) {
	_, rule, _ := strings.Cut(string(styleSheet), ".script code {")
	rule, _, _ = strings.Cut(rule, "}")
	for _, want := range []string{"white-space: pre-wrap", "overflow-wrap: anywhere"} {
		if !strings.Contains(rule, want) {
			t.Errorf("no %s for scripts in %q", want, rule)
		}
	}
}

// maxSheet is how large the style sheet may be for all pages together, as it is
// sent.
const maxSheet = 15_500

func TestTheSheetStaysSmall(t *testing.T) {
	sent := string(NewSheet().content)
	if len(sent) > maxSheet {
		t.Errorf("the style sheet has %d bytes, more than %d: find what nothing uses", len(sent), maxSheet)
	}
	for _, brackets := range []string{"{}", "()", "[]"} {
		if a, b := strings.Count(sent, brackets[:1]), strings.Count(string(styleSheet), brackets[:1]); a != strings.Count(sent, brackets[1:]) || a == 0 || a > b {
			t.Errorf("%s are not in pairs any more", brackets)
		}
	}
	if strings.Contains(sent, "/*") || strings.Contains(sent, "\n ") {
		t.Error("comments or indents are sent")
	}
}
