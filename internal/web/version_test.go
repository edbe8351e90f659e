package web

import (
	"strings"
	"testing"

	"hookline/hooks"
)

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

// A box that scrolls to the side would hide what runs.
func TestScriptsWrap(t *testing.T) {
	page, err := files.ReadFile("templates/version.html")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), `<ol class="script">`) || strings.Contains(string(page), "wide") {
		t.Error("the script is not in a list that wraps")
	}
}
