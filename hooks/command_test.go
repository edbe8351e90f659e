package hooks_test

import (
	"slices"
	"strings"
	"testing"

	"hookline/hooks"
)

func TestCommandCheck(t *testing.T) {
	command := func(args ...string) hooks.Command {
		return hooks.Command{Name: "x", Program: "/bin/x", Args: args, Paths: []string{"/data/**", "/one"}}
	}
	for _, tc := range []struct {
		name     string
		pattern  []string
		args     []string
		refusal  string // part of it; "" where the arguments pass
		chosen   []string
		pkgMatch string
	}{
		{name: "none", pattern: nil, args: nil},
		{name: "exact", pattern: []string{"-r"}, args: []string{"-r"}},
		{name: "another", pattern: []string{"-r"}, args: []string{"-a"}, refusal: `must be "-r"`},
		{name: "one more", pattern: []string{"-r"}, args: []string{"-r", "LD_PRELOAD=/tmp/x.so"}, refusal: "takes 1 argument(s), not 2: give the whole list as signed: -r"},
		{name: "one less", pattern: []string{"-r"}, args: nil, refusal: "takes 1"},
		{name: "package", pattern: []string{"-V", "{package}"}, args: []string{"-V", "libc6"}, chosen: []string{"libc6"}},
		{name: "the hook's own package", pattern: []string{"{package}"}, args: []string{"nginx"}, pkgMatch: "nginx"},
		{name: "an option for a package", pattern: []string{"{package}"}, args: []string{"--admindir=/tmp"}, refusal: "no package name"},
		{name: "a package with capitals", pattern: []string{"{package}"}, args: []string{"Nginx"}, refusal: "no package name"},
		{name: "a package and a newline", pattern: []string{"{package}"}, args: []string{"nginx\n"}, refusal: "no package name"},
		{name: "a placeholder as it is", pattern: []string{"{package}"}, args: []string{"{package}"}, refusal: "no package name"},
		{name: "pid", pattern: []string{"{pid}"}, args: []string{"4194304"}, chosen: []string{"4194304"}},
		{name: "pid 0", pattern: []string{"{pid}"}, args: []string{"0"}, refusal: "no process number"},
		{name: "pid with a zero", pattern: []string{"{pid}"}, args: []string{"01"}, refusal: "no process number"},
		{name: "a negative pid", pattern: []string{"{pid}"}, args: []string{"-1"}, refusal: "no process number"},
		{name: "a pid beyond the kernel's", pattern: []string{"{pid}"}, args: []string{"4194305"}, refusal: "no process number"},
		{name: "a thread's folder", pattern: []string{"{pid}"}, args: []string{"1/root"}, refusal: "no process number"},
		{name: "path", pattern: []string{"{path}"}, args: []string{"/data/a b"}, chosen: []string{"/data/a b"}},
		{name: "a signed path", pattern: []string{"{path}"}, args: []string{"/one"}},
		{name: "a path elsewhere", pattern: []string{"{path}"}, args: []string{"/etc/shadow"}, refusal: "not within the signed paths"},
		{name: "a path with dots", pattern: []string{"{path}"}, args: []string{"/data/../etc/shadow"}, refusal: "no absolute, clean path"},
		{name: "a pattern for a path", pattern: []string{"{path}"}, args: []string{"/data/**"}, refusal: "no absolute, clean path"},
		{name: "a relative path", pattern: []string{"{path}"}, args: []string{"-/data/x"}, refusal: "no absolute, clean path"},
		{name: "a path with NUL", pattern: []string{"{path}"}, args: []string{"/data/a\x00b"}, refusal: "no absolute, clean path"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := command(tc.pattern...)
			err := c.Check(tc.args)
			if tc.refusal == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.refusal) {
				t.Fatalf("got %v, want %q", err, tc.refusal)
			}
			if err != nil {
				return
			}
			p := hooks.Predicate{Match: hooks.Match{Package: tc.pkgMatch}}
			if got := p.Chosen(c, tc.args); !slices.Equal(got, tc.chosen) {
				t.Errorf("chosen by the hook: %q, want %q", got, tc.chosen)
			}
		})
	}
}

func TestBracesInArguments(t *testing.T) {
	for arg, want := range map[string]bool{
		"-f=${Version}": true, "{}": true, "{Path}": true, "a{": true, "}{": true, "{1}": true,
		"x{path}": false, "${path}": false, "{user}": false, "{{pid}": false, "{pid}}": false,
	} {
		m := commandManifest()
		m.Capabilities.CmdRun[0].Args = append(m.Capabilities.CmdRun[0].Args, arg)
		if _, err := m.Statement(binding(), []byte(script)); (err == nil) != want {
			t.Errorf("%q can be signed: %v, want %v", arg, err == nil, want)
		}
	}
}

// What passes is the signed pattern but for its placeholders, and nothing that
// a program could take for an option stands in a placeholder.
func FuzzCommandCheck(f *testing.F) {
	f.Add("-k\n{path}", "-k\n/data/x", "/data/**")
	f.Add("{pid}\n{package}", "12\nlibc6", "/one")
	f.Add("--\n{path}", "--\n/one", "/one")
	f.Fuzz(func(t *testing.T, pattern, given, path string) {
		m := commandManifest()
		m.Capabilities.CmdRun = []hooks.Command{{Name: "x", Program: "/bin/x", Args: strings.Split(pattern, "\n"), Paths: []string{path}, Reads: []string{}}}
		s, err := m.Statement(binding(), []byte(script))
		if err != nil {
			return // no pattern that could be signed
		}
		c, args := s.Predicate.Capabilities.CmdRun[0], strings.Split(given, "\n")
		if c.Check(args) != nil {
			return
		}
		if len(args) != len(c.Args) {
			t.Fatalf("%q passes %q", args, c.Args)
		}
		for i, a := range args {
			if c.Args[i] == hooks.PlacePackage || c.Args[i] == hooks.PlacePID || c.Args[i] == hooks.PlacePath {
				if strings.HasPrefix(a, "-") || strings.ContainsAny(a, "{}\x00\n*") || a == "" {
					t.Fatalf("%q stands for %q", a, c.Args[i])
				}
			} else if a != c.Args[i] {
				t.Fatalf("%q passes %q", a, c.Args[i])
			}
		}
	})
}

func TestCover(t *testing.T) {
	patterns := []string{"/a/b", "/a/*", "/d/**", "/proc/{pid}/limits", "/proc/{pid}/net/dev"}
	for path, want := range map[string]hooks.Coverage{
		"/a/b": hooks.CoveredExact, "/a/c": hooks.ByPattern, "/a/c/d": hooks.NotCovered, "/d/x/y": hooks.ByPattern,
		"/proc/12/limits": hooks.ByProcess, "/proc/self/limits": hooks.NotCovered, "/proc/{pid}/limits": hooks.NotCovered,
		"/proc/12/environ": hooks.NotCovered, "/proc/12/net/dev": hooks.ByProcess, "/proc/012/limits": hooks.NotCovered,
		"/proc/12/x/limits": hooks.NotCovered, "/proc/99999999/limits": hooks.NotCovered,
	} {
		if got := hooks.Cover(patterns, path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
