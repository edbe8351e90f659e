package inwords

import (
	"slices"
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
	got := map[string]Value{}
	for _, term := range s.Terms {
		got[term.Name] = term.Values[0]
	}
	only := "; over a report that somebody else filed, only what was signed"
	for name, want := range map[string]Value{
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

// What reaches farthest is said in front of all else.
func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		p    hooks.Predicate
		want []string
	}{
		"reads a file": {hooks.Predicate{As: hooks.AsService, Capabilities: hooks.ReadingOnly("/etc/os-release")}, nil},
		"root":         {hooks.Predicate{As: hooks.AsRoot}, []string{"Runs as root."}},
		"programs": {
			hooks.Predicate{Capabilities: hooks.Capabilities{CmdRun: []hooks.Command{{Syslog: true}, {Syslog: true}}}},
			[]string{"Runs programs: 2.", "Reads the kernel's log."},
		},
		"raw": {hooks.Predicate{Fields: []hooks.DeclaredField{{Raw: true}, {Raw: true}}}, []string{"Brings back text that is not redacted."}},
	} {
		if got := warnings(c.p); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Paths and words of a statement are quoted where they could be taken for
// several, and hidden characters are shown.
func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"/proc/meminfo": "/proc/meminfo",
		"":              `""`,
		"a b":           `"a b"`,
		"a\u202eb":      "\"a\\u202eb\"",
		"/x/{pid}/y":    "/x/{pid}/y",
	} {
		if got := quoted(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if v := paths([]string{"/a/**"}); !strings.Contains(v[0].Note, "any depth") {
		t.Errorf("%+v", v)
	}
}

// What a hook is for leads to it.
func TestMatchLeadsToItsProblems(t *testing.T) {
	p := hooks.Predicate{Level: hooks.LevelProblem, Match: hooks.Match{Fingerprints: []string{"/usr/bin/app:6"}}}
	v := matchSection(hooks.Statement{Predicate: p}).Terms[0].Values[0]
	if want := "/problems/" + hooks.Digest([]byte("/usr/bin/app:6"))[:32]; v.Link != want || v.Code != "/usr/bin/app:6" {
		t.Errorf("%+v, want %s", v, want)
	}
	p = hooks.Predicate{Level: hooks.LevelPackage, Match: hooks.Match{Package: "a&b"}}
	if v := matchSection(hooks.Statement{Predicate: p}).Terms[0].Values[0]; v.Link != "/problems?package=a%26b" {
		t.Errorf("%+v", v)
	}
}
