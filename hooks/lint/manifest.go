package lint

import (
	"fmt"
	"slices"
	"strings"

	"hookline/hooks"
)

// manifest checks what is declared, whatever the script does with it.
func (c *checker) manifest() {
	for _, kind := range pathKinds() {
		for i, pattern := range c.allowed(kind) {
			c.declaredPath(kind, pattern, index(keyOf(kind), i))
		}
	}
	for i, cmd := range c.p.Capabilities.CmdRun {
		c.declaredCommand(cmd, index(keyOf(sinkRun), i))
	}
}

// keyOf is the predicate's list of a kind of use.
func keyOf(kind string) string { return "capabilities." + kind }

func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// steered is why a wildcard of a hook that runs as root opens less than it says.
const steered = "over a report that somebody else filed, only exact paths are open as root"

func (c *checker) declaredPath(kind, pattern, key string) {
	if reason := neverWhole(kind, pattern); reason != "" {
		c.declares(SeverityError, CodePathNever, key, "the manifest asks to %s %q, which is never open: %s", verb(kind), pattern, reason)
		return
	}
	if c.p.As == hooks.AsRoot && strings.HasSuffix(pattern, "*") {
		c.declares(SeverityWarning, CodeSteered, key, "the manifest asks to %s %q as root; %s", verb(kind), pattern, steered)
	}
	if whole := wholeOf(pattern); kind == sinkRead && whole != "" {
		closed := ""
		if places := neverWithin(pattern); len(places) > 0 {
			closed = " (never open there: " + strings.Join(places, ", ") + ")"
		}
		c.declares(SeverityWarning, CodeWide, key, "the manifest asks to read %q, which covers %s; name what is needed%s", pattern, whole, closed)
	}
}

// wholeOf is what a pattern covers if that is more than any one purpose needs:
// a top folder, one that holds those of many programs, or somebody's home.
func wholeOf(pattern string) string {
	dir, deep := strings.CutSuffix(pattern, "/**")
	if !deep {
		var flat bool
		if dir, flat = strings.CutSuffix(pattern, "/*"); !flat || !slices.Contains([]string{"/etc", "/home", "/root", "/run", "/tmp", "/var/tmp"}, dir) {
			return ""
		}
		return "all files in " + dir
	}
	parts := strings.Split(dir[1:], "/")
	switch {
	case len(parts) == 1, slices.Contains([]string{"/var/lib", "/var/log", "/var/cache", "/var/spool", "/var/backups", "/var/tmp", "/run/user", "/usr/local"}, dir):
		return "the whole of " + dir
	case len(parts) == 2 && parts[0] == "home":
		return "the whole home of " + parts[1]
	}
	return ""
}

// neverWithin names places that a pattern covers and that are never open.
func neverWithin(pattern string) []string {
	var inside []string
	for _, place := range []struct{ example, name string }{
		{"/etc/shadow", "/etc/shadow"},
		{"/etc/gshadow", "/etc/gshadow"},
		{"/etc/sudoers", "/etc/sudoers"},
		{"/etc/ssl/private/x", "/etc/ssl/private"},
		{"/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_*"},
		{"/etc/wireguard/x", "/etc/wireguard"},
		{"/home/x/.ssh/x", "/home/*/.ssh"},
		{"/home/x/.gnupg/x", "/home/*/.gnupg"},
		{"/root/.ssh/x", "/root/.ssh"},
		{"/root/.gnupg/x", "/root/.gnupg"},
		{"/root/.bash_history", "/root/.bash_history"},
		{"/run/secrets/x", "/run/secrets"},
		{"/var/lib/private/x", "/var/lib/private"},
		{"/proc/self/environ", "/proc/self"},
		{"/proc/1/environ", "environment and memory of processes"},
		{"/proc/kcore", "/proc/kcore"},
		{"/sys/kernel/debug/x", "/sys/kernel/debug"},
	} {
		if hooks.Cover([]string{pattern}, place.example) != hooks.NotCovered && hooks.NeverRead(place.example) != "" {
			inside = append(inside, place.name)
		}
	}
	return inside
}

// neverWhole is why nothing that a pattern covers is ever open.
func neverWhole(kind, pattern string) string {
	p := strings.Replace(pattern, hooks.PlacePID, "1", 1)
	if dir, ok := strings.CutSuffix(strings.TrimRight(p, "*"), "/"); ok {
		p = dir + "/x"
	}
	return never(kind, p, p != pattern)
}

func (c *checker) declaredCommand(cmd hooks.Command, key string) {
	p := newProgram(cmd.Program)
	for _, w := range p.judge(cmd.Args) {
		severity, code := SeverityError, CodeProgram
		if w.odd {
			severity, code = SeverityWarning, CodeProgramOdd
		}
		c.declares(severity, code, key, "command %q: %s", cmd.Name, w.text)
	}
	readsLog := p.is("dmesg", "journalctl")
	switch {
	case cmd.Syslog && !readsLog:
		c.declares(SeverityWarning, CodeProgramOdd, key+".syslog", "command %q: %s has no use for the kernel's log; leave syslog out", cmd.Name, cmd.Program)
	case !cmd.Syslog && p.is("dmesg"):
		c.declares(SeverityWarning, CodeProgramOdd, key, "command %q: without syslog: true it fails wherever the kernel's log is restricted", cmd.Name)
	}
	for i, pattern := range cmd.Paths {
		if reason := neverWhole("", pattern); reason != "" {
			c.declares(SeverityError, CodePathNever, index(key+".paths", i), "command %q: %s may be %q, which is never open: %s", cmd.Name, hooks.PlacePath, pattern, reason)
		}
	}
	if c.p.As == hooks.AsRoot {
		c.steeredCommand(cmd, key)
	}
}

// steeredCommand says which placeholders a hook as root cannot fill over a
// report that somebody else filed; see hooks.Predicate.Chosen.
func (c *checker) steeredCommand(cmd hooks.Command, key string) {
	wide := slices.ContainsFunc(cmd.Paths, func(p string) bool { return strings.HasSuffix(p, "*") })
	for i, arg := range cmd.Args {
		if arg == hooks.PlacePID || arg == hooks.PlacePath && wide || arg == hooks.PlacePackage && c.p.Match.Package == "" {
			c.declares(SeverityWarning, CodeSteered, index(key+".args", i), "command %q takes %s as root; over a report that somebody else filed it is refused", cmd.Name, arg)
		}
	}
}
