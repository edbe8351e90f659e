package replay

import (
	"slices"
	"strings"
	"unicode/utf8"

	"hookline/internal/redact"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// FromRecording makes fixtures of what a machine answered to one run. What no
// fixtures file can hold (a path that no call is allowed to have) is left out.
func FromRecording(r sandbox.Recording) Fixtures {
	f := Fixtures{Files: map[string]string{}, Folders: map[string][]string{}, Stats: map[string]wire.FileInfo{}}
	for path, content := range r.Files {
		if calls.CheckPath(path) == nil {
			f.Files[path] = string(content)
		}
	}
	for dir, names := range r.Folders {
		if calls.CheckPath(dir) != nil {
			continue
		}
		f.Folders[dir] = []string{}
		for _, name := range names {
			if name = strings.ToValidUTF8(name, "\uFFFD"); validName(name) {
				f.Folders[dir] = append(f.Folders[dir], name)
			}
		}
	}
	for path, info := range r.Stats {
		if calls.CheckPath(path) == nil && slices.Contains(fileTypes(), info.Type) {
			info.Mode &= 0o7777
			info.Size, info.Links = max(info.Size, 0), info.Links&(1<<63-1)
			f.Stats[path] = info
		}
	}
	for _, c := range r.Commands {
		if c, ok := recorded(c); ok {
			f.Commands = append(f.Commands, c)
		}
	}
	f.Failed = f.failuresOf(r)
	for _, path := range r.Missing {
		if calls.CheckPath(path) == nil && !has(f.Files, path) && !has(f.Folders, path) && !has(f.Stats, path) {
			f.Missing = append(f.Missing, path)
		}
	}
	return f.canonical()
}

// Redacted is f with the contents of files, what commands printed and the
// reasons of failures redacted as text fields are, and how many of them that changed. Paths, names and
// arguments stay: the hook asks by them.
func (f Fixtures) Redacted(names redact.Names) (Fixtures, int) {
	changed, redactor := 0, redact.New(names)
	clean := func(text string) string {
		after := redactText(text, redactor)
		if after != text {
			changed++
		}
		return after
	}
	files := make(map[string]string, len(f.Files))
	for _, path := range sortedKeys(f.Files) {
		files[path] = clean(f.Files[path])
	}
	f.Files = files
	f.Commands = slices.Clone(f.Commands)
	for i := range f.Commands {
		c := &f.Commands[i]
		c.Stdout, c.Stderr = []byte(clean(string(c.Stdout))), []byte(clean(string(c.Stderr)))
		c.Error = reason(clean(c.Error))
	}
	f.Failed = slices.Clone(f.Failed)
	for i := range f.Failed {
		f.Failed[i].Error = reason(clean(f.Failed[i].Error))
	}
	return f.canonical(), changed
}

// redactText redacts each stretch of text between bytes that are none: one
// such byte must not save a whole file from it.
func redactText(s string, r *redact.Redactor) string {
	if utf8.ValidString(s) {
		return r.Text(s)
	}
	var b strings.Builder
	start := 0
	for i := 0; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		if c == utf8.RuneError && n == 1 {
			b.WriteString(r.Text(s[start:i]))
			b.WriteByte(s[i])
			start = i + 1
		}
		i += n
	}
	b.WriteString(r.Text(s[start:]))
	return b.String()
}

// Change is one answer that differs between two fixtures files.
type Change struct {
	How  string // added, removed or changed
	Kind string // files, folders, stats, commands, failed, missing or facts
	Name string // the path, or the command line
}

// Changes is what b would change of f, in the order of the file.
func (f Fixtures) Changes(b Fixtures) []Change {
	var out []Change
	if f.Facts != b.Facts {
		out = append(out, Change{How: "changed", Kind: "facts"})
	}
	out = append(out, changes("files", f.Files, b.Files, func(x, y string) bool { return x == y })...)
	out = append(out, changes("folders", f.Folders, b.Folders, slices.Equal[[]string])...)
	out = append(out, changes("stats", f.Stats, b.Stats, func(x, y wire.FileInfo) bool { return x == y })...)
	out = append(out, changes("commands", byLine(f.Commands), byLine(b.Commands), equalRuns)...)
	out = append(out, changes("failed", byCall(f.Failed), byCall(b.Failed), func(x, y sandbox.RecordedFailure) bool { return x == y })...)
	return append(out, changes("missing", set(f.Missing), set(b.Missing), func(bool, bool) bool { return true })...)
}

func changes[V any](kind string, before, after map[string]V, same func(V, V) bool) []Change {
	var out []Change
	for _, name := range sortedKeys(before) {
		if !has(after, name) {
			out = append(out, Change{"removed", kind, name})
		}
	}
	for _, name := range sortedKeys(after) {
		switch old, ok := before[name]; {
		case !ok:
			out = append(out, Change{"added", kind, name})
		case !same(old, after[name]):
			out = append(out, Change{"changed", kind, name})
		}
	}
	return out
}

func byLine(commands []sandbox.RecordedCommand) map[string][]sandbox.RecordedCommand {
	m := map[string][]sandbox.RecordedCommand{}
	for _, c := range commands {
		line := strings.Join(append([]string{c.Name}, c.Args...), " ")
		m[line] = append(m[line], c)
	}
	return m
}

func equalRuns(a, b []sandbox.RecordedCommand) bool { return slices.EqualFunc(a, b, sameAnswer) }

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}
