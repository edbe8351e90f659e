package source

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Caps of what is read of dpkg's database.
const (
	maxPackages  = 50_000
	maxListBytes = 32 << 20
	maxStatus    = 256 << 20
)

// packageName is the grammar of Debian Policy 5.6.1.
var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{0,127}$`)

// Package finds the Debian package that owns an executable and its version by
// reading dpkg's database, which starts no program and needs no lock. Both
// are "" where no package owns it or ctx ends first.
func (s System) Package(ctx context.Context, executable string) (name, version string) {
	name = s.owner(ctx, candidates(executable))
	if name == "" {
		return "", ""
	}
	status, err := os.Open(filepath.Join(s.Root, "var/lib/dpkg/status"))
	if err != nil {
		return name, ""
	}
	defer status.Close()
	return name, installedVersion(ctx, status, name)
}

// candidates are the names under which dpkg may list a file: on a merged-usr
// system a package may ship /bin/x while the file is /usr/bin/x.
func candidates(executable string) [][]byte {
	if !filepath.IsAbs(executable) || strings.ContainsAny(executable, "\n\x00") {
		return nil
	}
	out := [][]byte{[]byte(executable)}
	if rest, ok := strings.CutPrefix(executable, "/usr"); ok && strings.HasPrefix(rest, "/") {
		out = append(out, []byte(rest))
	}
	return out
}

func (s System) owner(ctx context.Context, paths [][]byte) string {
	if len(paths) == 0 {
		return ""
	}
	dir := filepath.Join(s.Root, "var/lib/dpkg/info")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > maxPackages*8 {
		return ""
	}
	for _, e := range entries {
		base, isList := strings.CutSuffix(e.Name(), ".list")
		if !isList || ctx.Err() != nil {
			continue
		}
		name, _, _ := strings.Cut(base, ":")
		if packageName.MatchString(name) && lists(s.read(filepath.Join("var/lib/dpkg/info", e.Name()), maxListBytes), paths) {
			return name
		}
	}
	return ""
}

// lists reports whether one of the paths is a line of a package's file list.
func lists(list []byte, paths [][]byte) bool {
	for _, path := range paths {
		for at := 0; ; {
			i := bytes.Index(list[at:], path)
			if i < 0 {
				break
			}
			begin, end := at+i, at+i+len(path)
			if (begin == 0 || list[begin-1] == '\n') && (end == len(list) || list[end] == '\n') {
				return true
			}
			at = end
		}
	}
	return false
}

// installedVersion reads dpkg's status file up to the package's stanza.
func installedVersion(ctx context.Context, status io.Reader, name string) string {
	scanner := bufio.NewScanner(io.LimitReader(status, maxStatus))
	scanner.Buffer(make([]byte, 64<<10), 4<<20)
	var s stanza
	for n := 0; scanner.Scan(); n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ""
		}
		if s.line(scanner.Text()) && s.name == name && s.installed {
			return s.version
		}
	}
	if s.name == name && s.installed {
		return s.version
	}
	return ""
}

// stanza is one package of dpkg's status file, as far as it has been read.
type stanza struct {
	name, version string
	installed     bool
	ended         bool
}

// line takes one line; true says that the stanza is whole.
func (s *stanza) line(text string) bool {
	if text == "" {
		s.ended = true
		return true
	}
	if s.ended {
		*s = stanza{}
	}
	key, value, ok := strings.Cut(text, ":")
	if !ok || strings.HasPrefix(text, " ") {
		return false
	}
	value = strings.TrimSpace(value)
	switch key {
	case "Package":
		s.name = value
	case "Version":
		if len(value) <= 256 && !strings.ContainsAny(value, " \t") {
			s.version = clean([]byte(value), 256)
		}
	case "Status":
		s.installed = strings.HasSuffix(value, " installed")
	}
	return false
}
