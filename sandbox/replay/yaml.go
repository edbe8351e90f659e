package replay

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"hookline/sandbox"
)

// YAML writes the fixtures for people to read and change: in one order, texts
// of several lines as blocks. ParseFixtures reads it back to the same.
func (f Fixtures) YAML() []byte {
	f = f.canonical()
	w := &writer{}
	w.line("# What `hookline hook test` answers instead of a real machine.")
	empty := w.b.Len()
	w.facts(f)
	w.files(f)
	w.lists(f)
	w.commands(f.Commands)
	w.failed(f.Failed)
	w.items("", "missing", f.Missing)
	if w.b.Len() == empty {
		w.line("files: {}")
	}
	return []byte(w.b.String())
}

type writer struct{ b strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }

func (w *writer) facts(f Fixtures) {
	names := [][2]string{{"os", f.Facts.OS}, {"release", f.Facts.Release}, {"kernel", f.Facts.Kernel}, {"arch", f.Facts.Arch}}
	names = slices.DeleteFunc(names, func(n [2]string) bool { return n[1] == "" })
	if len(names) > 0 {
		w.line("facts:")
	}
	for _, n := range names {
		w.line("  %s: %s", n[0], scalar(n[1]))
	}
}

func (w *writer) files(f Fixtures) {
	var binary []string
	title := "files:"
	for _, path := range sortedKeys(f.Files) {
		if !utf8.ValidString(f.Files[path]) {
			binary = append(binary, path)
			continue
		}
		w.title(&title)
		w.text("  ", key(path), f.Files[path])
	}
	title = "files_base64:"
	for _, path := range binary {
		w.title(&title)
		w.base64("  ", key(path), f.Files[path])
	}
}

// title writes the name of a section before its first entry.
func (w *writer) title(title *string) {
	if *title != "" {
		w.line("%s", *title)
		*title = ""
	}
}

func (w *writer) lists(f Fixtures) {
	title := "folders:"
	for _, dir := range sortedKeys(f.Folders) {
		w.title(&title)
		w.items("  ", strings.TrimSuffix(key(dir), ":"), f.Folders[dir])
	}
	title = "stats:"
	for _, path := range sortedKeys(f.Stats) {
		w.title(&title)
		s := f.Stats[path]
		w.line(`  %s {type: %s, size: %d, mode: "%04o", uid: %d, gid: %d, links: %d, mtime: %d}`,
			key(path), s.Type, s.Size, s.Mode, s.UID, s.GID, s.Links, s.ModTime)
	}
}

// items writes a list; at the top an empty one is left out.
func (w *writer) items(indent, key string, items []string) {
	if len(items) == 0 {
		if indent != "" {
			w.line("%s%s: []", indent, key)
		}
		return
	}
	w.line("%s%s:", indent, key)
	for _, item := range items {
		w.line("%s  - %s", indent, scalar(item))
	}
}

func (w *writer) commands(commands []sandbox.RecordedCommand) {
	if len(commands) > 0 {
		w.line("commands:")
	}
	for _, c := range commands {
		args := make([]string, len(c.Args))
		for i, a := range c.Args {
			args[i] = quoted(a)
		}
		w.line("  - name: %s", scalar(c.Name))
		w.line("    args: [%s]", strings.Join(args, ", "))
		if c.Code != "" {
			w.line("    error: {code: %s, message: %s}", c.Code, quoted(c.Error))
			continue
		}
		for _, out := range []struct{ name, text string }{{"stdout", string(c.Stdout)}, {"stderr", string(c.Stderr)}} {
			if utf8.ValidString(out.text) {
				w.text("    ", out.name+":", out.text)
			} else {
				w.base64("    ", out.name+"_base64:", out.text)
			}
		}
		w.line("    exit: %d", c.Exit)
	}
}

// text writes a value: as a block where that is exact, else in quotes.
func (w *writer) text(indent, key, text string) {
	header, ok := block(text)
	if !ok {
		w.line("%s%s %s", indent, key, scalar(text))
		return
	}
	w.line("%s%s %s", indent, key, header)
	w.indented(indent, text)
}

func (w *writer) indented(indent, text string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if line != "" {
			line = indent + "  " + line
		}
		w.line("%s", line)
	}
}

const base64Line = 76

func (w *writer) base64(indent, key, data string) {
	w.line("%s%s |-", indent, key)
	for chunk := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString([]byte(data))), base64Line) {
		w.indented(indent, string(chunk))
	}
}

// block is the header of a literal block that holds exactly text, false where
// there is none that every reader takes the same way.
func block(text string) (header string, ok bool) {
	body := strings.TrimSuffix(text, "\n")
	if !strings.Contains(body, "\n") || strings.HasPrefix(body, "\n") || strings.HasSuffix(body, "\n") {
		return "", false
	}
	for line := range strings.SplitSeq(body, "\n") {
		if strings.Trim(line, " \t") == "" && line != "" || strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && !readable(r) }) {
			return "", false
		}
	}
	header = "|"
	if body[0] == ' ' || body[0] == '\t' {
		header += "2"
	}
	if body == text {
		header += "-"
	}
	return header, true
}

// readable characters are seen as what they are.
func readable(r rune) bool {
	return r >= 0x20 && r <= 0x7e || r > 0xa0 && r != utf8.RuneError && unicode.IsPrint(r)
}

// maxKey is what YAML reads as a key on one line, with some room.
const maxKey = 1000

// key is "path:" of an entry of a section, or the two-line form where that is
// too long.
func key(path string) string {
	text := scalar(path)
	if len(text) > maxKey {
		return "? " + text + "\n  :"
	}
	return text + ":"
}

// scalar writes a string plain where no reader could take it for anything
// else, else in quotes.
func scalar(s string) string {
	if plain(s) {
		return s
	}
	return quoted(s)
}

func plain(s string) bool {
	if s == "" || slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}, strings.ToLower(s)) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '/'
		inner := i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
		if !letter && !inner {
			return false
		}
	}
	return true
}

// quoted writes valid UTF-8 in double quotes, everything that is not readable
// as an escape.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == 0:
			b.WriteString(`\0`)
		case readable(r):
			b.WriteRune(r)
		case r <= 0xff:
			b.WriteString(`\x` + hex(r, 2))
		case r <= 0xffff:
			b.WriteString(`\u` + hex(r, 4))
		default:
			b.WriteString(`\U` + hex(r, 8))
		}
	}
	b.WriteByte('"')
	return b.String()
}

func hex(r rune, width int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, width-len(s))) + s
}
