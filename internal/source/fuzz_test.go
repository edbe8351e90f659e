package source

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"hookline/hooks"
)

// Whatever a program prints: the report that comes of it is valid.
func FuzzTraceback(f *testing.F) {
	for _, name := range []string{"go-panic", "go-crash", "go-maps", "go-nilp", "go-signal", "c-segfault"} {
		b, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(9))
	}
	f.Add([]byte("panic: \xff\x00\n\ngoroutine 1 [running]:\nmain.\x1b[31m(\n"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		kept := tail{out: io.Discard}
		for chunk := b; len(chunk) > 0; chunk = chunk[min(int(piece)+1, len(chunk)):] {
			if _, err := kept.Write(chunk[:min(int(piece)+1, len(chunk))]); err != nil {
				t.Fatal(err)
			}
		}
		report := hooks.Report{hooks.FieldProblemType: "Crash"}
		addTraceback(report, &kept)
		if err := report.Validate(); err != nil {
			t.Fatalf("%v: %q", err, report)
		}
		frames := Frames(b)
		if len(frames) > MaxFrames {
			t.Fatalf("%d frames", len(frames))
		}
		for _, name := range frames {
			if name == "" || strings.ContainsAny(name, " \n\t") {
				t.Fatalf("frame %q", name)
			}
		}
	})
}

func FuzzRelease(f *testing.F) {
	f.Add([]byte("NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n"))
	f.Add([]byte("NAME='\nVERSION_ID=\"\n=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s := parseRelease(b); !utf8.ValidString(s) || len(s) > 100 || strings.ContainsAny(s, "\x00\x1b") {
			t.Fatalf("%q", s)
		}
	})
}

func FuzzDpkg(f *testing.F) {
	f.Add([]byte("Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n"), []byte("/usr/sbin/nginx\n"), "nginx")
	f.Add([]byte(": \n :\n\n\nPackage:"), []byte("\n\n"), "")
	f.Fuzz(func(t *testing.T, status, list []byte, name string) {
		v := installedVersion(t.Context(), bytes.NewReader(status), name)
		if !utf8.ValidString(v) || len(v) > 256 || strings.ContainsAny(v, " \n\t\x00") {
			t.Fatalf("version %q", v)
		}
		paths := candidates("/usr/sbin/" + name)
		found := lists(list, paths)
		want := false
		for line := range bytes.SplitSeq(list, []byte("\n")) {
			for _, p := range paths {
				want = want || bytes.Equal(line, p)
			}
		}
		if found != want {
			t.Fatalf("lists %v, want %v", found, want)
		}
	})
}
