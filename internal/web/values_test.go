package web

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"hookline/hooks"
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
		if got := visible(in); got != want {
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
		got := visible(s)
		if !utf8.ValidString(got) || visible(got) != got {
			t.Errorf("%q became %q", s, got)
		}
		for _, r := range got {
			if unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || unicode.IsControl(r) && r != '\n' && r != '\t' {
				t.Errorf("%q became %q, which has %U", s, got, r)
			}
		}
	})
}

func TestNewFields(t *testing.T) {
	fields, err := newFields([]byte(`{"B":{"x":[1,2]},"A":"text\nof two","C":12.5,"D":true,"E":""}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []field{
		{Name: "A", Text: "text\nof two"},
		{Name: "B", Text: "{\n  \"x\": [\n    1,\n    2\n  ]\n}"},
		{Name: "C", Text: "12.5"},
		{Name: "D", Text: "true"},
		{Name: "E"},
	}
	for i, f := range fields {
		if f != want[i] {
			t.Errorf("field %d: %+v, want %+v", i, f, want[i])
		}
	}
	if _, err := newFields([]byte(`[]`)); err == nil {
		t.Error("an array was taken for fields")
	}
}

func TestLongValuesAreCut(t *testing.T) {
	f := newField("x", strings.Repeat("ä", maxValueBytes))
	if !f.Long || len(f.Text) > maxValueBytes+100 || !strings.HasSuffix(f.Text, "524288 bytes in all") || !utf8.ValidString(f.Text) {
		t.Errorf("long %v, %d bytes, ends %q", f.Long, len(f.Text), f.Text[len(f.Text)-40:])
	}
}

func TestHeadingOf(t *testing.T) {
	for want, r := range map[string]hooks.Report{
		"crash, SIGABRT":        {"ExecutablePath": "/usr/bin/crash", "SignalName": "SIGABRT"},
		"crash, signal 6":       {"ExecutablePath": "/usr/bin/crash", "Signal": "6"},
		"nginx, exit code 2":    {"Package": "nginx", "ExitCode": "2"},
		"crash":                 {"ExecutablePath": "crash"},
		"Problem report":        {},
		"⟨U+202E⟩, exit code 1": {"ExecutablePath": "/\u202e", "ExitCode": "1"},
	} {
		if got := headingOf(r); got != want {
			t.Errorf("%v: %q, want %q", r, got, want)
		}
	}
}

func TestStamp(t *testing.T) {
	if got := stamp(time.Time{}); got != "never" {
		t.Errorf("zero time: %q", got)
	}
}
