package lint

import (
	"slices"
	"strings"

	"hookline/hooks"
)

// manifest checks what is declared, whatever the script does with it.
func (c *checker) manifest() {
	for _, kind := range pathKinds() {
		for _, pattern := range c.allowed(kind) {
			c.declaredPath(kind, pattern)
		}
	}
	for _, cmd := range c.p.Capabilities.CmdRun {
		c.declaredCommand(cmd)
	}
}

// steered is why a wildcard of a hook that runs as root opens less than it says.
const steered = "over a report that somebody else filed, only exact paths are open as root"

func (c *checker) declaredPath(kind, pattern string) {
	if reason := neverWhole(kind, pattern); reason != "" {
		c.add(SeverityError, CodePathNever, 0, "", "the manifest asks to %s %q, which is never open: %s", verb(kind), pattern, reason)
	} else if c.p.As == hooks.AsRoot && strings.HasSuffix(pattern, "*") {
		c.add(SeverityWarning, CodeSteered, 0, "", "the manifest asks to %s %q as root; %s", verb(kind), pattern, steered)
	}
}

// neverWhole is why nothing that a pattern covers is ever open.
func neverWhole(kind, pattern string) string {
	p := strings.Replace(pattern, hooks.PlacePID, "1", 1)
	if dir, ok := strings.CutSuffix(strings.TrimRight(p, "*"), "/"); ok {
		p = dir + "/x"
	}
	return never(kind, p, p != pattern)
}

func (c *checker) declaredCommand(cmd hooks.Command) {
	p := newProgram(cmd.Program)
	for _, w := range p.judge(cmd.Args) {
		severity, code := SeverityError, CodeProgram
		if w.odd {
			severity, code = SeverityWarning, CodeProgramOdd
		}
		c.add(severity, code, 0, "", "command %q: %s", cmd.Name, w.text)
	}
	readsLog := p.is("dmesg", "journalctl")
	switch {
	case cmd.Syslog && !readsLog:
		c.add(SeverityWarning, CodeProgramOdd, 0, "", "command %q: %s has no use for the kernel's log; leave syslog out", cmd.Name, cmd.Program)
	case !cmd.Syslog && p.is("dmesg"):
		c.add(SeverityWarning, CodeProgramOdd, 0, "", "command %q: without syslog: true it fails wherever the kernel's log is restricted", cmd.Name)
	}
	for _, pattern := range cmd.Paths {
		if reason := neverWhole("", pattern); reason != "" {
			c.add(SeverityError, CodePathNever, 0, "", "command %q: %s may be %q, which is never open: %s", cmd.Name, hooks.PlacePath, pattern, reason)
		}
	}
	if c.p.As == hooks.AsRoot {
		c.steeredCommand(cmd)
	}
}

// steeredCommand says which placeholders a hook as root cannot fill over a
// report that somebody else filed; see hooks.Predicate.Chosen.
func (c *checker) steeredCommand(cmd hooks.Command) {
	wide := slices.ContainsFunc(cmd.Paths, func(p string) bool { return strings.HasSuffix(p, "*") })
	for _, arg := range cmd.Args {
		if arg == hooks.PlacePID || arg == hooks.PlacePath && wide || arg == hooks.PlacePackage && c.p.Match.Package == "" {
			c.add(SeverityWarning, CodeSteered, 0, "", "command %q takes %s as root; over a report that somebody else filed it is refused", cmd.Name, arg)
		}
	}
}
