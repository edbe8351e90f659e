package replay

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/strict"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// MaxFixtureBytes caps a fixtures file: what one run can bring over its pipes
// (sandbox.MaxTrafficBytes) in base64, and some room for paths.
const MaxFixtureBytes = 12 << 20

// Fixtures are the recorded answers of one run. A path stands in Files,
// Folders and Stats for fs.read, fs.list and fs.stat, or in Missing for all
// three; a call of anything else fails with a hint.
type Fixtures struct {
	Files    map[string]string        // path → content
	Folders  map[string][]string      // path → names, sorted
	Stats    map[string]wire.FileInfo // path → what fs.stat tells
	Commands []sandbox.RecordedCommand
	Failed   []sandbox.RecordedFailure // calls of a path that fail otherwise
	Missing  []string                  // paths that do not exist, sorted
	Facts    hooks.Facts               // for sys.facts(); used where the task has none
}

// fixtureFile is the file's form. What is not UTF-8 stands under the keys that
// end with _base64, since YAML is text.
type fixtureFile struct {
	Facts struct {
		OS      string `yaml:"os"`
		Release string `yaml:"release"`
		Kernel  string `yaml:"kernel"`
		Arch    string `yaml:"arch"`
	} `yaml:"facts"`
	Files       map[string]string      `yaml:"files"`
	FilesBase64 map[string]string      `yaml:"files_base64"`
	Folders     map[string][]string    `yaml:"folders"`
	Stats       map[string]fixtureStat `yaml:"stats"`
	Commands    []fixtureCommand       `yaml:"commands"`
	Failed      []fixtureFailure       `yaml:"failed"`
	Missing     []string               `yaml:"missing"`
}

type fixtureStat struct {
	Type    string `yaml:"type"`
	Size    int64  `yaml:"size"`
	Mode    string `yaml:"mode"` // octal, in quotes
	UID     int64  `yaml:"uid"`
	GID     int64  `yaml:"gid"`
	Links   int64  `yaml:"links"`
	ModTime int64  `yaml:"mtime"`
}

type fixtureCommand struct {
	Name         string        `yaml:"name"`
	Args         []string      `yaml:"args"`
	Stdout       string        `yaml:"stdout"`
	StdoutBase64 string        `yaml:"stdout_base64"`
	Stderr       string        `yaml:"stderr"`
	StderrBase64 string        `yaml:"stderr_base64"`
	Exit         int64         `yaml:"exit"`
	Error        *fixtureError `yaml:"error"`
}

// ParseFixtures reads a fixtures file: strict YAML with the keys facts (os,
// release, kernel, arch), files and files_base64 (path to content), folders
// (path to names), stats (path to type, size, mode, uid, gid, links, mtime),
// commands (name, args, and stdout, stderr, exit or error: code, message;
// stdout_base64, stderr_base64), failed (call, path, code, message) and missing
// (paths), all of them optional. Errors name line and column.
func ParseFixtures(b []byte) (Fixtures, error) {
	var file fixtureFile
	at, err := strict.DecodeAt("fixtures.yaml", b, MaxFixtureBytes, &file)
	if err != nil {
		return Fixtures{}, err
	}
	f := Fixtures{Files: file.Files, Facts: hooks.Facts(file.Facts), Missing: file.Missing}
	p := parser{at: at}
	p.files(&f, file.FilesBase64)
	p.folders(&f, file.Folders)
	p.stats(&f, file.Stats)
	p.commands(&f, file.Commands)
	p.failed(&f, file.Failed)
	p.missing(f)
	if p.err != nil {
		return Fixtures{}, p.err
	}
	return f.canonical(), nil
}

// parser keeps the first thing that is wrong.
type parser struct {
	at  strict.Positions
	err *errs.Error
}

func (p *parser) bad(path, format string, args ...any) {
	if p.err == nil {
		p.err = errs.New(errs.CodeBadInput, format, args...).At(p.at.At(path))
	}
}

func (p *parser) path(section, name string) {
	if err := calls.CheckPath(name); err != nil {
		p.bad(section+"."+name, "%s: %s", calls.Clip(calls.Printable(name), 80), err.Message)
	}
}

func (p *parser) base64(path, text string) string {
	b, err := base64.StdEncoding.Strict().DecodeString(strings.TrimRight(text, "\n"))
	if err != nil {
		p.bad(path, "is no base64")
	}
	return string(b)
}

func (p *parser) files(f *Fixtures, binary map[string]string) {
	for _, name := range sortedKeys(f.Files) {
		p.path("files", name)
	}
	for _, name := range sortedKeys(binary) {
		p.path("files_base64", name)
		if _, twice := f.Files[name]; twice {
			p.bad("files_base64."+name, "a path cannot be in files and files_base64")
		}
		if f.Files == nil {
			f.Files = map[string]string{}
		}
		f.Files[name] = p.base64("files_base64."+name, binary[name])
	}
}

func (p *parser) folders(f *Fixtures, folders map[string][]string) {
	f.Folders = folders
	for _, dir := range sortedKeys(folders) {
		p.path("folders", dir)
		for i, name := range folders[dir] {
			if !validName(name) {
				p.bad(fmt.Sprintf("folders.%s[%d]", dir, i), "must be a name without /")
			}
		}
	}
}

// validName knows what a folder can hold: one name, at most 255 bytes.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\x00")
}

// fileTypes are those of wire.FileInfo.
func fileTypes() []string { return []string{"device", "directory", "fifo", "file", "link", "socket"} }

func (p *parser) stats(f *Fixtures, stats map[string]fixtureStat) {
	f.Stats = map[string]wire.FileInfo{}
	for _, name := range sortedKeys(stats) {
		s, key := stats[name], "stats."+name
		p.path("stats", name)
		if !slices.Contains(fileTypes(), s.Type) {
			p.bad(key+".type", "type must be one of %s", strings.Join(fileTypes(), ", "))
		}
		for _, n := range []struct {
			key  string
			n    int64
			most int64
		}{{"size", s.Size, math.MaxInt64}, {"uid", s.UID, math.MaxUint32}, {"gid", s.GID, math.MaxUint32}, {"links", s.Links, math.MaxInt64}} {
			if n.n < 0 || n.n > n.most {
				p.bad(key+"."+n.key, "%s must be 0 to %d", n.key, n.most)
			}
		}
		mode, err := strconv.ParseUint(cmp.Or(s.Mode, "0"), 8, 12)
		if err != nil {
			p.bad(key+".mode", `mode must be octal permission bits in quotes, as "0644"`)
		}
		f.Stats[name] = wire.FileInfo{
			Type: s.Type, Size: s.Size, Mode: uint32(mode), UID: uint32(s.UID), GID: uint32(s.GID), Links: uint64(s.Links), ModTime: s.ModTime,
		}
	}
}

func (p *parser) commands(f *Fixtures, commands []fixtureCommand) {
	for i, c := range commands {
		key := fmt.Sprintf("commands[%d]", i)
		if !hooks.ValidHookName(c.Name) {
			p.bad(key+".name", "name must be what the hook calls the command by")
		}
		if !validArgs(c.Args) {
			p.bad(key+".args", "args must be at most %d arguments of at most %d bytes of printable ASCII", hooks.MaxArguments, hooks.MaxPathLength)
		}
		if c.Exit < 0 || c.Exit > 255 {
			p.bad(key+".exit", "exit must be 0 to 255")
		}
		p.commandError(key, c)
		ran := sandbox.RecordedCommand{
			Name: c.Name, Args: c.Args, Exit: int(c.Exit),
			Stdout: p.output(key, "stdout", c.Stdout, c.StdoutBase64), Stderr: p.output(key, "stderr", c.Stderr, c.StderrBase64),
		}
		if c.Error != nil {
			ran.Code, ran.Error = c.Error.Code, c.Error.Message
		}
		f.Commands = append(f.Commands, ran)
	}
}

func (p *parser) output(key, name, text, binary string) []byte {
	if text != "" && binary != "" {
		p.bad(key+"."+name, "give %s or %s_base64, not both", name, name)
	}
	if binary != "" {
		text = p.base64(key+"."+name+"_base64", binary)
	}
	return []byte(text)
}

func validArgs(args []string) bool {
	return len(args) <= hooks.MaxArguments && !slices.ContainsFunc(args, func(a string) bool {
		return len(a) > hooks.MaxPathLength || strings.ContainsFunc(a, func(r rune) bool { return r < 0x20 || r > 0x7e })
	})
}

func (p *parser) missing(f Fixtures) {
	for i, name := range f.Missing {
		key := fmt.Sprintf("missing[%d]", i)
		if err := calls.CheckPath(name); err != nil {
			p.bad(key, "%s: %s", calls.Clip(calls.Printable(name), 80), err.Message)
		}
		for section, there := range map[string]bool{"files": has(f.Files, name), "folders": has(f.Folders, name), "stats": has(f.Stats, name)} {
			if there {
				p.bad(key, "a path cannot be in %s and missing", section)
			}
		}
	}
}

func has[V any](m map[string]V, key string) bool { _, ok := m[key]; return ok }

// canonical is f with its lists sorted, each entry once, and nil for what is
// empty. Equal commands stay in the order in which they ran.
func (f Fixtures) canonical() Fixtures {
	f.Missing = slices.Compact(slices.Sorted(slices.Values(f.Missing)))
	if len(f.Missing) == 0 {
		f.Missing = nil
	}
	f.Files, f.Stats = orNil(f.Files), orNil(f.Stats)
	folders := make(map[string][]string, len(f.Folders))
	for dir, names := range f.Folders {
		folders[dir] = slices.Compact(slices.Sorted(slices.Values(names)))
	}
	f.Folders = orNil(folders)
	f.Commands = slices.SortedStableFunc(slices.Values(f.Commands), func(a, b sandbox.RecordedCommand) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), slices.Compare(a.Args, b.Args))
	})
	f.Commands = withoutRepeats(f.Commands)
	f.Failed = f.sortedFailures()
	return f
}

// withoutRepeats drops the last answers of a command line that are the same as
// the one before: that one is given again anyway.
func withoutRepeats(sorted []sandbox.RecordedCommand) []sandbox.RecordedCommand {
	var kept []sandbox.RecordedCommand
	for i, c := range sorted {
		last := i+1 == len(sorted) || !sameLine(c, sorted[i+1])
		kept = append(kept, c)
		for n := len(kept); last && n > 1 && sameLine(kept[n-2], c) && sameAnswer(kept[n-2], c); n-- {
			kept = kept[:n-1]
		}
	}
	return kept
}

func sameLine(a, b sandbox.RecordedCommand) bool {
	return a.Name == b.Name && slices.Equal(a.Args, b.Args)
}

func sameAnswer(a, b sandbox.RecordedCommand) bool {
	return a.Exit == b.Exit && a.Code == b.Code && a.Error == b.Error && bytes.Equal(a.Stdout, b.Stdout) && bytes.Equal(a.Stderr, b.Stderr)
}

func orNil[V any](m map[string]V) map[string]V {
	if len(m) == 0 {
		return nil
	}
	return m
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
