package main

import (
	"strings"
	"testing"

	"hookline/hooks"
)

// What a reviewer reads names every path and every command whole, and shouts
// where there is reason to.
func TestStatementShowsWhatAHookMayDo(t *testing.T) {
	s := newStage(t)
	s.setVersion(s.statement(func(p *hooks.Predicate) {
		p.As = hooks.AsRoot
		p.Capabilities = hooks.Capabilities{
			FSRead: []string{"/etc/a, /etc/b", "/proc/{pid}/limits"},
			FSList: []string{"/etc/apt/*"},
			FSStat: []string{"/var/log/**"},
			CmdRun: []hooks.Command{
				{Name: "dmesg", Program: "/usr/bin/dmesg", Args: []string{"--level", "err, warn"}, Paths: []string{}, Reads: []string{"/etc/x"}, Syslog: true},
				{Name: "verify", Program: "/usr/bin/dpkg", Args: []string{"{package}", "{path}", "{pid}"}, Paths: []string{"/usr/bin/*"}, Reads: []string{}},
			},
		}
	}))
	const want = `
may
uses:           fs.read, fs.list, fs.stat, cmd.run, syslog, as.root, class.technical
runs as:        ROOT
reads files:    "/etc/a, /etc/b"
                /proc/{pid}/limits  of any process of the user who filed the report
lists folders:  /etc/apt/*          everything in it, one level
looks at:       /var/log/**         everything below, at any depth

may run dmesg, AS ROOT, AND READ THE KERNEL'S LOG
command line:   /usr/bin/dmesg --level "err, warn"
program reads:  /etc/x

may run verify, AS ROOT
command line:   /usr/bin/dpkg {package} {path} {pid}
{package}:      any Debian package name; over a report that somebody else filed only nginx
{pid}:          any process of root, over a report that root filed; over a report that somebody else filed none
{path}:         /usr/bin/*  everything in it, one level
program reads:  nothing

brings back
`
	if got := placed(hooks.PlacePackage, hooks.Predicate{As: hooks.AsRoot}); got != "any Debian package name; over a report that somebody else filed none" {
		t.Error(got)
	}
	for _, place := range []string{hooks.PlacePackage, hooks.PlacePID} {
		if got := placed(place, hooks.Predicate{As: hooks.AsReporter}); strings.Contains(got, "else") {
			t.Errorf("%s: %s", place, got)
		}
	}
	for _, command := range [][]string{{"review", "show"}, {"review", "approve", "--key", s.path("bob.key"), "--yes"}} {
		code, out := s.hookline(append(command, s.digest)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%v: %d\n%s", command, code, out)
		}
	}
}
