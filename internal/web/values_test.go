package web

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hookline/hooks"
)

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
