package sandbox_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/sandbox"
)

// What lies under a declared path is as hostile as the rest: sizes at the cap,
// files that are gone, closed, changing, or no files at all.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "hookline-odd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(dir, 0o755))
	at := func(name string) string { return filepath.Join(dir, name) }
	must(os.WriteFile(at("cap"), []byte(strings.Repeat("x", sandbox.MaxReadBytes)), 0o644))
	must(os.WriteFile(at("over"), []byte(strings.Repeat("x", sandbox.MaxReadBytes+1)), 0o644))
	must(os.WriteFile(at("empty"), nil, 0o644))
	must(os.WriteFile(at("nul"), []byte("a\x00\xffb"), 0o644))
	must(os.WriteFile(at("closed"), []byte("CLOSED"), 0o000))
	must(os.Mkdir(at("folder"), 0o755))
	must(os.Symlink("gone", at("dangling")))
	must(os.Symlink("circle", at("circle")))
	must(os.Symlink("/proc/self/environ", at("environ")))
	must(os.Symlink("/proc/1/root/etc/hostname", at("through")))
	must(os.Symlink("/dev/zero", at("zero")))
	must(os.WriteFile(at("\u00fcber"), []byte("x"), 0o644))
	sparse, err := os.Create(at("sparse"))
	must(err)
	must(sparse.Truncate(sandbox.MaxReadBytes))
	must(sparse.Close())
	must(os.Chmod(at("sparse"), 0o644))
	var listen net.ListenConfig
	l, err := listen.Listen(context.Background(), "unix", at("socket"))
	must(err)
	t.Cleanup(func() { _ = l.Close() })

	for _, tt := range []struct{ name, code string }{
		{"cap", ""},
		{"over", "limit-read"},
		{"empty", ""},
		{"nul", ""},
		{"sparse", ""},
		{"closed", "call-failed"},
		{"gone", "call-failed"},
		{"folder", "denied"},
		{"folder/x", "call-failed"},
		{"cap/x", "call-failed"},
		{"dangling", "call-failed"},
		{"circle", "denied"},
		{"environ", "denied"},
		{"through", "denied"},
		{"zero", "denied"},
		{"socket", "denied"},
		{"\u00fcber", "denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := live(t, fmt.Sprintf(`report.set("Int", #fs.read(%q))`, at(tt.name)), dir+"/**", "/dev/**")
			if out.Code != tt.code {
				t.Errorf("%q %s", out.Code, out.Error)
			}
		})
	}
}

// Files that grow, shrink, vanish and come back while they are read give an
// answer or an error, and never more than the cap.
func TestChangingFile(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "hookline-changing")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "file")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.WriteFile(path, []byte(strings.Repeat("x", i*7919%(2*sandbox.MaxReadBytes))), 0o644)
			if i%5 == 0 {
				_ = os.Remove(path)
			}
			if i%7 == 0 {
				_ = os.Truncate(path, 1<<40)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	began := time.Now()
	out := live(t, `local most = 0
		for i = 1, 200 do
			local ok, text = pcall(fs.read, "`+path+`")
			if ok then most = math.max(most, #text) end
		end
		report.set("Bool", most <= `+fmt.Sprint(sandbox.MaxReadBytes)+`)`, dir+"/**")
	if out.Code != "" && out.Code != "limit-calls" || out.Code == "" && out.Fields["Bool"] != true {
		t.Errorf("%q %s %v", out.Code, out.Error, out.Fields)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
