package replay_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/sandbox/replay"
)

func TestParseFixtures(t *testing.T) {
	t.Parallel()
	got, err := replay.ParseFixtures([]byte(`
files:
  /proc/meminfo: |
    MemTotal: 1 kB
  /etc/hostname: web
missing: [/etc/gone]
facts: {os: linux, release: Debian 12, kernel: "6.1", arch: amd64}
`))
	want := replay.Fixtures{
		Files:   map[string]string{"/proc/meminfo": "MemTotal: 1 kB\n", "/etc/hostname": "web"},
		Missing: []string{"/etc/gone"},
		Facts:   hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1", Arch: "amd64"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestBadFixtures(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fles: {}":                               "fixtures.yaml:1:1",
		"files: [1]":                             "fixtures.yaml:1",
		"files: {relative: x}":                   "absolute",
		"files: {/a/../b: x}":                    "absolute",
		"missing: [\"/a//b\"]":                   "absolute",
		"files: {/a: x}\nmissing: [/a]":          "files and missing",
		"files: {/a: x, /a: y}":                  "fixtures.yaml:1",
		"facts: {host: x}":                       "fixtures.yaml:1",
		"missing: " + strings.Repeat("[", 10000): "fixtures.yaml",
	} {
		if _, err := replay.ParseFixtures([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, expected %q", text, err, want)
		}
	}
}

func FuzzParseFixtures(f *testing.F) {
	f.Add([]byte("files: {/a: x}\nmissing: [/b]\nfacts: {os: linux}\n"))
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
	})
}
