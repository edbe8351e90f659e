package hooks

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/internal/strict"
)

// YAML writes the manifest as `hookline hook init` leaves it for the author:
// every key, with a comment that says what it bounds. ParseManifest reads it
// back to the same manifest.
func (m Manifest) YAML() []byte {
	w := &yamlWriter{}
	w.line("# What this hook may do; docs/hook-yaml.md explains every key. People sign a")
	w.line("# statement made from this file and hook.lua; a limit that is missing is refused, never unlimited.")
	w.line("hook: %s", quote(m.Hook))
	w.line("description: %s", quote(m.Description))
	w.line("")
	m.writeMatch(w)
	w.line("")
	w.line("# Who reads: service (an unprivileged user), reporter (the user who owns the report)")
	w.line("# or root. Policy and peer owners may ask for more, or refuse.")
	w.line("as: %s", m.As)
	w.line("")
	m.writeCapabilities(w)
	w.line("")
	m.writeFields(w)
	w.line("")
	m.writeLimits(w)
	return []byte(w.b.String())
}

func (m Manifest) writeMatch(w *yamlWriter) {
	if m.Level == LevelPackage {
		w.line("# Runs for every problem of one package, in a range of its versions.")
		w.line("level: package")
		w.line("match:")
		w.line("  package: %s", quote(m.Match.Package))
		w.line("  from: %s # Debian version, inclusive; empty is no bound", quote(m.Match.From))
		w.line("  below: %s # Debian version, exclusive; empty is no bound", quote(m.Match.Below))
		return
	}
	w.line("# Runs for reports of these problems only.")
	w.line("level: %s", quote(string(m.Level)))
	w.line("match:")
	w.list("  ", "fingerprints", m.Match.Fingerprints)
}

func (m Manifest) writeCapabilities(w *yamlWriter) {
	c := m.Capabilities
	w.line(`# What fs.read opens, fs.list lists and fs.stat looks at: exact, "/dir/*" (one level), "/dir/**"`)
	w.line(`# (any depth), or "/proc/{pid}/name" for a process of the user who filed the report.`)
	w.line("capabilities:")
	w.list("  ", "fs.read", c.FSRead)
	w.list("  ", "fs.list", c.FSList)
	w.list("  ", "fs.stat", c.FSStat)
	w.line("  # Programs for cmd.run(name, {args}): args are exact, or {package}, {pid}, {path} alone; paths is what")
	w.line("  # {path} may be, reads what the program may read (files, or folders with all below: /dir/**).")
	if len(c.CmdRun) == 0 {
		w.line("  cmd.run: []")
		w.line("  # An example, in place of that line; the script calls it by cmd.run(\"verify\", {\"--verify\", name}):")
		w.b.WriteString(exampleCommand)
		return
	}
	w.line("  cmd.run:")
	for _, cmd := range c.CmdRun {
		w.line("    - name: %s", quote(cmd.Name))
		w.line("      program: %s", quote(cmd.Program))
		w.list("      ", "args", cmd.Args)
		w.list("      ", "paths", cmd.Paths)
		w.list("      ", "reads", cmd.Reads)
		w.line("      syslog: %t # may read the kernel's log", cmd.Syslog)
	}
}

// exampleCommand stands in a manifest without commands, for its author to take
// the comment marks off.
const exampleCommand = `  # cmd.run:
  #   - name: verify
  #     program: /usr/bin/dpkg
  #     args: ["--verify", "{package}"]
  #     paths: []
  #     reads: [/etc/dpkg/**, /usr/**, /var/lib/dpkg/**]
  #     syslog: false # true: may read the kernel's log
`

func (m Manifest) writeFields(w *yamlWriter) {
	w.line("# What the hook brings back. type: text, int, number, bool or json; class: technical,")
	w.line("# config, log, network or personal; max_bytes counts the value's JSON; raw: true sends")
	w.line("# text as it is, false takes addresses, host and user names out on the peer.")
	if len(m.Fields) == 0 {
		w.line("fields: {}")
		return
	}
	w.line("fields:")
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		f := m.Fields[name]
		w.line("  %s:", quote(name))
		w.line("    type: %s", quote(string(f.Type)))
		w.line("    class: %s", quote(string(f.Class)))
		w.line("    max_bytes: %d", f.MaxBytes)
		w.line("    raw: %t", f.Raw)
	}
}

func (m Manifest) writeLimits(w *yamlWriter) {
	w.line("limits:")
	for _, l := range []struct{ key, value, comment string }{
		{"lifetime", strict.FormatDuration(m.Limits.Lifetime), "how long the signed version may run at all"},
		{"max_reports", number(m.Limits.MaxReports), "results that are collected before the hook ends"},
		{"max_runs_per_peer", number(m.Limits.MaxRunsPerPeer), "runs on one machine"},
		{"max_percent", number(m.Limits.MaxPercent), "share of all machines that may run it"},
		{"max_bytes", number(m.Limits.MaxBytes), "all results together"},
		{"max_result_bytes", number(m.Limits.MaxResultBytes), "one result"},
		{"max_runtime", strict.FormatDuration(m.Limits.MaxRuntime.Truncate(time.Millisecond)), "one run, at most 10s"},
	} {
		w.line("  %-26s # %s", l.key+": "+l.value, l.comment)
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

type yamlWriter struct{ b strings.Builder }

func (w *yamlWriter) line(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }

func (w *yamlWriter) list(indent, key string, items []string) {
	if len(items) == 0 {
		w.line("%s%s: []", indent, key)
		return
	}
	w.line("%s%s:", indent, key)
	for _, item := range items {
		w.line("%s  - %s", indent, quote(item))
	}
}

// quote writes a string as YAML: plain where nothing could be misread, else in
// double quotes, whose escapes YAML shares with JSON.
func quote(s string) string {
	if plain(s) {
		return s
	}
	b, err := canonicalJSON(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

// plain is narrow on purpose: a word or path that starts with a letter or
// slash and is no bool, null or number in any YAML version.
func plain(s string) bool {
	if s == "" || slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}, strings.ToLower(s)) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		inner := i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
		if !letter && !inner && c != '/' {
			return false
		}
	}
	return true
}
