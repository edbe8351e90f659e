package web

import (
	"strings"
	"testing"

	"hookline/hooks"
)

func TestCodeLines(t *testing.T) {
	script := "local a = 1\n\n\tb()\r\n-- \u00a0\u2800\u3164\u202e" + strings.Repeat(" ", 400) + "x"
	want := []codeLine{{"local a = 1", false}, {"", false}, {"\tb()⟨U+000D⟩", false}, {"-- ⟨U+00A0⟩⟨U+2800⟩⟨U+3164⟩⟨U+202E⟩" + strings.Repeat(" ", 400) + "x", true}}
	got := codeLines(script)
	if len(got) != len(want) {
		t.Fatalf("%d lines: %+v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d: %+v, want %+v", i+1, got[i], want[i])
		}
	}
}

// What a command may be is all there, and what nobody should overlook is said.
func TestCommandSection(t *testing.T) {
	c := hooks.Command{
		Name: "verify", Program: "/usr/bin/dpkg", Args: []string{"-S", hooks.PlacePath, hooks.PlacePackage, hooks.PlacePID, "a b", ""},
		Paths: []string{"/usr/bin/*"}, Reads: []string{"/var/lib/dpkg/**"}, Syslog: true,
	}
	s := commandSection(c, hooks.Predicate{As: hooks.AsRoot})
	if s.Name != "May run verify" || s.Warn != "as root and read the kernel's log" {
		t.Errorf("%q %q", s.Name, s.Warn)
	}
	got := map[string]termValue{}
	for _, term := range s.Terms {
		got[term.Name] = term.Values[0]
	}
	only := "; over a report that somebody else filed, only what was signed"
	for name, want := range map[string]termValue{
		"Command line":     {Code: `/usr/bin/dpkg -S {path} {package} {pid} "a b" ""`},
		hooks.PlacePackage: {Note: "any Debian package name" + only},
		hooks.PlacePID:     {Note: "any process of the user who filed the report" + only},
		hooks.PlacePath:    {Code: "/usr/bin/*", Note: "everything in it, one level"},
		"Program reads":    {Code: "/var/lib/dpkg/**", Note: "everything below, at any depth"},
	} {
		if got[name] != want {
			t.Errorf("%s: %+v, want %+v", name, got[name], want)
		}
	}
}

// Every line of a script wraps: a box that scrolls to the side hides what runs.
func TestScriptsWrap(t *testing.T) {
	css, err := files.ReadFile("static/hookline.css")
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(string(css), ".script code {")
	rule, _, _ = strings.Cut(rule, "}")
	for _, want := range []string{"white-space: pre-wrap", "overflow-wrap: anywhere"} {
		if !strings.Contains(rule, want) {
			t.Errorf("no %s for scripts in %q", want, rule)
		}
	}
	page, err := files.ReadFile("templates/version.html")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), `<ol class="script">`) || strings.Contains(string(page), "wide") {
		t.Error("the script is not in a list that wraps")
	}
}
