package replay_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/internal/redact"
	"hookline/sandbox"
	"hookline/sandbox/replay"
	"hookline/sandbox/wire"
)

const wholeFile = "# What `hookline hook test` answers instead of a real machine." + `
facts:
  os: linux
  release: "Debian 12"
  kernel: "6.1"
  arch: amd64
files:
  /etc/hostname: web
  /proc/meminfo: |
    MemTotal: 1 kB

    MemFree: 1 kB
  /proc/pagetypeinfo: |2-
      page
    type
  "/tmp/a b": "\ttab\0\n\x1b[2J\u202e\"\\"
files_base64:
  /proc/1/auxv: |-
    //4AAQ==
folders:
  /etc/apt:
    - "a b.list"
    - sources.list
  /var/empty: []
stats:
  /etc/passwd: {type: file, size: 1800, mode: "0644", uid: 0, gid: 0, links: 1, mtime: 1700000000}
commands:
  - name: dmesg
    args: []
    stdout: |
      [1] one
      [2] two
    stderr: ""
    exit: 0
  - name: verify
    args: ["--root", "{x}", "nginx"]
    stdout_base64: |-
      /w==
    stderr: gone
    exit: 137
  - name: verify
    args: ["x"]
    error: {code: limit-time, message: "the command ran longer than 1.5s"}
failed:
  - call: fs.list
    path: /root
    code: call-failed
    message: "the system does not permit it"
  - call: fs.read
    path: /root
    code: denied
    message: "not a regular file"
missing:
  - /etc/gone
`

func whole() replay.Fixtures {
	return replay.Fixtures{
		Files: map[string]string{
			"/etc/hostname": "web", "/proc/meminfo": "MemTotal: 1 kB\n\nMemFree: 1 kB\n", "/proc/pagetypeinfo": "  page\ntype",
			"/tmp/a b": "\ttab\x00\n\x1b[2J\u202e\"\\", "/proc/1/auxv": "\xff\xfe\x00\x01",
		},
		Folders: map[string][]string{"/etc/apt": {"a b.list", "sources.list"}, "/var/empty": nil},
		Stats:   map[string]wire.FileInfo{"/etc/passwd": {Type: "file", Size: 1800, Mode: 0o644, Links: 1, ModTime: 1700000000}},
		Commands: []sandbox.RecordedCommand{
			{Name: "dmesg", Args: []string{}, Stdout: []byte("[1] one\n[2] two\n"), Stderr: []byte{}},
			{Name: "verify", Args: []string{"--root", "{x}", "nginx"}, Stdout: []byte("\xff"), Stderr: []byte("gone"), Exit: 137},
			{Name: "verify", Args: []string{"x"}, Stdout: []byte{}, Stderr: []byte{}, Code: "limit-time", Error: "the command ran longer than 1.5s"},
		},
		Failed: []sandbox.RecordedFailure{
			{Call: "fs.list", Path: "/root", Code: "call-failed", Error: "the system does not permit it"},
			{Call: "fs.read", Path: "/root", Code: "denied", Error: "not a regular file"},
		},
		Missing: []string{"/etc/gone"},
		Facts:   hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1", Arch: "amd64"},
	}
}

func TestFixturesFile(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(wholeFile, string(whole().YAML())); diff != "" {
		t.Error(diff)
	}
	got, err := replay.ParseFixtures([]byte(wholeFile))
	if diff := cmp.Diff(whole(), got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// What authors write by hand is shorter than what is written for them.
func TestFixturesByHand(t *testing.T) {
	t.Parallel()
	got, err := replay.ParseFixtures([]byte(`
facts: {os: linux}
files: {/etc/hostname: web}
folders: {/srv: [b, a, b]}
stats: {/srv: {type: directory}}
commands: [{name: uname, stdout: "Linux\n"}]
missing: [/b, /a]
`))
	want := replay.Fixtures{
		Facts: hooks.Facts{OS: "linux"}, Files: map[string]string{"/etc/hostname": "web"},
		Folders: map[string][]string{"/srv": {"a", "b"}}, Stats: map[string]wire.FileInfo{"/srv": {Type: "directory"}},
		Commands: []sandbox.RecordedCommand{{Name: "uname", Stdout: []byte("Linux\n"), Stderr: []byte{}}}, Missing: []string{"/a", "/b"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestBadFixtures(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fles: {}":                                              "fixtures.yaml:1:1",
		"files: [1]":                                            "fixtures.yaml:1",
		"files: {relative: x}":                                  "absolute",
		"files: {/a/../b: x}":                                   "absolute",
		"missing: [\"/a//b\"]":                                  "absolute",
		"files: {/a: x}\nmissing: [/a]":                         "fixtures.yaml:2:11: a path cannot be in files and missing",
		"folders: {/a: [x]}\nmissing: [/a]":                     "folders and missing",
		"stats: {/a: {type: file}}\nmissing: [/a]":              "stats and missing",
		"files: {/a: x, /a: y}":                                 "fixtures.yaml:1",
		"files: {/a: x}\nfiles_base64: {/a: eA==}":              "fixtures.yaml:2:20: a path cannot be in files and files_base64",
		"files_base64: {/a: \"e A\"}":                           "is no base64",
		"files_base64: {/a: eB==}":                              "is no base64",
		"facts: {host: x}":                                      "fixtures.yaml:1",
		"missing: " + strings.Repeat("[", 10000):                "fixtures.yaml",
		"folders: {/a: [b/c]}":                                  "fixtures.yaml:1:16: must be a name",
		"folders: {/a: [..]}":                                   "must be a name",
		"folders: {a: []}":                                      "absolute",
		"stats: {/a: {}}":                                       "type must be one of device",
		"stats: {/a: {type: file, uid: -1}}":                    "uid must be 0 to 4294967295",
		"stats: {/a: {type: file, gid: 4294967296}}":            "gid must be",
		"stats: {/a: {type: file, links: -1}}":                  "links must be",
		"stats: {/a: {type: file, size: -1}}":                   "size must be",
		"stats: {/a: {type: file, mode: \"0888\"}}":             "mode must be octal",
		"stats: {/a: {type: file, mode: \"10000\"}}":            "mode must be octal",
		"stats: {a: {type: file}}":                              "absolute",
		"commands: [{name: A}]":                                 "name must be",
		"commands: [{args: []}]":                                "name must be",
		"commands: [{name: a, args: [\"\\n\"]}]":                "args must be",
		"commands: [{name: a, exit: 256}]":                      "exit must be",
		"commands: [{name: a, exit: -1}]":                       "exit must be",
		"commands: [{name: a, stdout: x, stdout_base64: eA==}]": "not both",
		"commands: [{name: a, stderr_base64: \"?\"}]":           "is no base64",
		"commands: [{name: a, error: {code: odd}}]":             "fixtures.yaml:1:36: code must be one of call-failed, denied, limit-output, limit-time",
		"commands: [{name: a, error: {message: x}}]":            "code must be one of",
		"commands: [{name: a, exit: 1, error: {code: denied}}]": "an error, or output",
		"commands: [{name: a, error: {code: denied, message: \"" + strings.Repeat("x", 201) + "\"}}]": "at most 200 bytes",
		"failed: [{call: fs.open, path: /a, code: denied}]":                                           "fixtures.yaml:1:17: call must be one of fs.list, fs.read, fs.stat",
		"failed: [{call: fs.read, path: a, code: denied}]":                                            "absolute",
		"failed: [{call: fs.read, path: /a, code: limit-time}]":                                       "code must be one of call-failed, denied, limit-read",
		"failed: [{call: fs.read, path: /a, code: denied, message: \"a\\nb\"}]":                       "one line",
		"files: {/a: x}\nfailed: [{call: fs.read, path: /a, code: denied}]":                           "fixtures.yaml:2:10: fs.read of a path has one answer",
		"failed: [{call: fs.stat, path: /a, code: denied}, {call: fs.stat, path: /a, code: denied}]":  "has one answer",
	} {
		if _, err := replay.ParseFixtures([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, expected %q", text, err, want)
		}
	}
}

// nasty are strings that YAML has tripped over.
func nasty() []string {
	return []string{
		"", " ", "\n", "\n\n", "a", "a\n", "a\nb", "a\nb\n", "a\nb\n\n", "\na\nb", " a\nb", "\ta\nb\n", "a\n \nb", "a\n\n\nb\n", "a \nb \n", "a\r\nb\r\n", "a\rb",
		"# a\n# b\n", "a: b\nc: d\n", "- a\n- b", "---\n...\n", "...\n---", "%YAML 1.1\n--- a\n", "true", "null", "~", "1", "1e3", "0x1f", "2001-01-01", ".inf", "=", "<<", "!x", "&a", "*a",
		"a\x00b", "\x01\x7f", "\u0085\u00a0\u2028\u2029\ufeff\ufffe\uffff\ufffd", "\U0001f600\U000e0001", "\u202e", "é\nü\n", "\xff", "a\n\xfe\n", "\"'\\`", "a\n\tb\n", "| x\n> y", strings.Repeat("x", 5000), strings.Repeat("y\n", 3000),
		"a #b\nc", "key:\n  - x\n", "\\n", "{", "[", "a,b", "? a\n: b", "\u00a0a\nb", "a\n\u00a0\nb",
	}
}

func random(r *rand.Rand) replay.Fixtures {
	pick := func() string {
		all := nasty()
		s := all[r.IntN(len(all))]
		if r.IntN(3) == 0 {
			s += all[r.IntN(len(all))]
		}
		return s
	}
	path := func() string {
		name := []string{"a", "b c", "x:y", "#", "- d", "\"q'", strings.Repeat("\"", 200) + strings.Repeat("\\", 290), "{pid}", "1"}
		return "/" + name[r.IntN(len(name))]
	}
	rec := sandbox.Recording{Files: map[string][]byte{}, Folders: map[string][]string{}, Stats: map[string]wire.FileInfo{}}
	for range r.IntN(5) {
		rec.Files[path()] = []byte(pick())
		rec.Folders[path()] = []string{pick(), pick()}
		rec.Stats[path()] = wire.FileInfo{Type: "link", Size: r.Int64(), Mode: r.Uint32(), UID: r.Uint32(), GID: r.Uint32(), Links: r.Uint64(), ModTime: r.Int64() - r.Int64()}
		rec.Missing = append(rec.Missing, path())
		rec.Failed = append(rec.Failed, sandbox.RecordedFailure{
			Call: []string{"fs.read", "fs.list", "fs.stat", "fs.x"}[r.IntN(4)], Path: path(), Code: []string{"denied", "limit-read", "x"}[r.IntN(3)], Error: pick(),
		})
		rec.Commands = append(rec.Commands, sandbox.RecordedCommand{
			Name: []string{"a", "b-1"}[r.IntN(2)], Args: []string{strings.TrimPrefix(path(), "/")}, Stdout: []byte(pick()), Stderr: []byte(pick()), Exit: r.IntN(300),
			Code: []string{"", "limit-time", "x"}[r.IntN(3)], Error: pick(),
		})
	}
	return replay.FromRecording(rec)
}

func TestFixturesRoundTrip(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 400 {
		f := random(r)
		got, err := replay.ParseFixtures(f.YAML())
		if diff := cmp.Diff(f, got); diff != "" || err != nil {
			t.Fatalf("seed %d: %v\n%s\n%s", seed, err, diff, f.YAML())
		}
	}
}

func FuzzParseFixtures(f *testing.F) {
	f.Add([]byte("files: {/a: x}\nmissing: [/b]\nfacts: {os: linux}\n"))
	f.Add([]byte(wholeFile))
	for _, s := range nasty() {
		f.Add(replay.Fixtures{Files: map[string]string{"/a": s}}.YAML())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := replay.ParseFixtures(b)
		if err != nil {
			return
		}
		for path := range got.Files {
			if !strings.HasPrefix(path, "/") {
				t.Errorf("path %q", path)
			}
		}
		again, err := replay.ParseFixtures(got.YAML())
		if diff := cmp.Diff(got, again); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

func TestFromRecordingLeavesOutWhatNoFileHolds(t *testing.T) {
	t.Parallel()
	f := replay.FromRecording(sandbox.Recording{
		Files:    map[string][]byte{"relative": nil, "/a": []byte("x"), "/b\n": nil},
		Folders:  map[string][]string{"/d": {"x", "..", "", "a/b", "n\xff", "x"}, "d/": nil},
		Stats:    map[string]wire.FileInfo{"/a": {Type: "file", Mode: 0o177777, Links: 1 << 63, Size: -1}, "/s": {Type: "door"}},
		Commands: []sandbox.RecordedCommand{{Name: "c", Args: []string{"\x00"}}, {Name: "No Name"}, {Name: "c", Exit: -1}, {Name: "d", Code: "limit-calls"}},
		Missing:  []string{"/a", "/d", "/gone", "/gone", "gone"},
		Failed: []sandbox.RecordedFailure{
			{Call: "fs.read", Path: "/a", Code: "denied"},
			{Call: "fs.open", Path: "/b", Code: "denied"},
			{Call: "fs.read", Path: "b", Code: "denied"},
			{Call: "fs.read", Path: "/b", Code: "limit-time"},
			{Call: "fs.read", Path: "/b", Code: "denied", Error: "x"},
			{Call: "fs.read", Path: "/b", Code: "limit-read", Error: "\x1b" + strings.Repeat("y", 300)},
		},
	})
	want := replay.Fixtures{
		Files: map[string]string{"/a": "x"}, Folders: map[string][]string{"/d": {"n\ufffd", "x"}},
		Stats: map[string]wire.FileInfo{"/a": {Type: "file", Mode: 0o7777}}, Commands: []sandbox.RecordedCommand{{Name: "c"}}, Missing: []string{"/gone"},
		Failed: []sandbox.RecordedFailure{{Call: "fs.read", Path: "/b", Code: "limit-read", Error: " " + strings.Repeat("y", 199)}},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
}

func TestRedactedFixtures(t *testing.T) {
	t.Parallel()
	before := replay.Fixtures{
		Files:    map[string]string{"/home/alice/x": "host web7 of alice", "/plain": "1\n", "/bin": "\xffweb7\xfe web7"},
		Commands: []sandbox.RecordedCommand{{Name: "who", Args: []string{"alice"}, Stdout: []byte("alice tty1\n"), Stderr: []byte("")}, {Name: "x", Code: "denied", Error: "web7 says no"}},
		Failed:   []sandbox.RecordedFailure{{Call: "fs.read", Path: "/x", Code: "denied", Error: "a link to /home/alice/x"}},
	}
	after, changed := before.Redacted(redact.Names{Hosts: []string{"web7"}, Users: []string{"alice"}})
	text := fmt.Sprintf("%q %q %q %q", after.Files, after.Commands[0].Stdout, after.Commands[1].Error, after.Failed[0].Error)
	if strings.Contains(after.Failed[0].Error, "alice") || before.Failed[0].Error == after.Failed[0].Error {
		t.Errorf("%+v", after.Failed)
	}
	if changed != 5 || strings.Contains(text, "web7") || strings.Contains(string(after.Commands[0].Stdout), "alice") || strings.Contains(after.Files["/home/alice/x"], "alice") {
		t.Errorf("%d changed: %s", changed, text)
	}
	if after.Files["/plain"] != "1\n" || after.Commands[0].Args[0] != "alice" || string(before.Commands[0].Stdout) != "alice tty1\n" {
		t.Errorf("%+v\n%+v", before, after)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	before, after := whole(), whole()
	if got := before.Changes(after); len(got) != 0 {
		t.Errorf("%v", got)
	}
	after.Facts.OS = "other"
	after.Files = map[string]string{"/etc/hostname": "other", "/new": ""}
	after.Folders, after.Stats = nil, map[string]wire.FileInfo{"/etc/passwd": {Type: "link"}}
	after.Commands = after.Commands[:1]
	after.Failed = []sandbox.RecordedFailure{{Call: "fs.read", Path: "/root", Code: "call-failed"}}
	after.Missing = []string{"/etc/gone", "/more"}
	want := []string{
		"changed facts ", "removed files /proc/1/auxv", "removed files /proc/meminfo", "removed files /proc/pagetypeinfo", "removed files /tmp/a b",
		"changed files /etc/hostname", "added files /new", "removed folders /etc/apt", "removed folders /var/empty", "changed stats /etc/passwd",
		"removed commands verify --root {x} nginx", "removed commands verify x", "removed failed fs.list /root", "changed failed fs.read /root", "added missing /more",
	}
	var got []string
	for _, c := range before.Changes(after) {
		got = append(got, c.How+" "+c.Kind+" "+c.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
