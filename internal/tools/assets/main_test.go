package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAssetsArePinned: what is embedded is what VERSIONS says, and README names
// its licence.
func TestAssetsArePinned(t *testing.T) {
	dir := filepath.Join("..", "..", "..", folder)
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	readme, known := string(read("README.md")), map[string]bool{"README.md": true, "VERSIONS": true, "hookline.js": true}
	for line := range strings.Lines(string(read("VERSIONS"))) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		a, err := parse(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := digestOf(read(a.file)); got != a.digest {
			t.Errorf("%s has the digest %s, and %s is pinned", a.file, got, a.digest)
		}
		if !strings.Contains(readme, "| "+a.file+" |") {
			t.Errorf("the README does not name the licence of %s", a.file)
		}
		known[a.file] = true
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !known[f.Name()] {
			t.Errorf("nothing pins %s", f.Name())
		}
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{"", "a b c d", "../a b c d e", "a --x c d e", "a b c d e f"} {
		if a, err := parse(bad); err == nil {
			t.Errorf("%q is %+v", bad, a)
		}
	}
}

func TestExtract(t *testing.T) {
	pack := func(name string, size int) *bytes.Buffer {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(size), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return &b
	}
	if got, err := extract(pack("package/x", 3), "package/x"); err != nil || len(got) != 3 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for name, b := range map[string]*bytes.Buffer{
		"another file": pack("package/y", 3), "too large": pack("package/x", maxBytes+1), "no package": bytes.NewBufferString("x"),
	} {
		if _, err := extract(b, "package/x"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
