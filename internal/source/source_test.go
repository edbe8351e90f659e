package source

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What a crashed program printed, and the frames that are found in it.
func TestFramesGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var kept tail
			kept.out = &bytes.Buffer{}
			// In pieces, as a pipe gives them.
			for chunk := b; len(chunk) > 0; chunk = chunk[min(7, len(chunk)):] {
				if _, err := kept.Write(chunk[:min(7, len(chunk))]); err != nil {
					t.Fatal(err)
				}
			}
			got := strings.Join(Frames(kept.traceback()), "\n") + "\n"
			golden := strings.TrimSuffix(path, ".txt") + ".frames"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPanicAndCrashHaveTheSameFrames(t *testing.T) {
	var frames [2][]string
	for i, name := range []string{"go-panic", "go-crash"} {
		b, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		frames[i] = Frames(b)
	}
	want := []string{"main.(*ledger).post", "main.transfer", "main.main"}
	if diff := cmp.Diff([2][]string{want, want}, frames); diff != "" {
		t.Error(diff)
	}
}

func TestTailKeepsEndOfStderrAndBeginOfTraceback(t *testing.T) {
	var out bytes.Buffer
	kept := tail{out: &out}
	noise := strings.Repeat("a line of noise\n", 5000)
	trace := "panic: oh\n\ngoroutine 7 [running]:\nmain.work(0x1)\n\t/src/w.go:3 +0x1\n\n"
	others := strings.Repeat("goroutine 9 [select]:\nmain.idle()\n\t/src/w.go:9 +0x1\n\n", 3000)
	for _, s := range []string{noise, trace, others, "last words"} {
		if _, err := kept.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if out.String() != noise+trace+others+"last words" {
		t.Error("what passes on is not what was written")
	}
	if text := kept.text(); len(text) > MaxStderr || !strings.HasSuffix(text, "last words") {
		t.Errorf("the tail has %d bytes and ends %q", len(text), text[len(text)-20:])
	}
	if got := Frames(kept.traceback()); len(got) != 1 || got[0] != "main.work" {
		t.Errorf("frames %v", got)
	}
}

func TestClean(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain\ttext\n", "plain\ttext\n"},
		{"red \x1b[31mtext", "red [31mtext"},
		{"nul \x00 here", "nul  here"},
		{"broken \xff\xfe", "broken \uFFFD"},
		{strings.Repeat("ä", 20), strings.Repeat("ä", 15)},
	} {
		if got := clean([]byte(tc.in), 31); got != tc.want {
			t.Errorf("clean(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestRelease(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n", "Debian 12"},
		{"NAME=Ubuntu\nVERSION_ID='24.04'\n", "Ubuntu 24.04"},
		{"NAME=\"Arch Linux\"\nID=arch\n", "Arch"},
		{"VERSION_ID=12\n", ""},
		{"", ""},
	} {
		if got := parseRelease([]byte(tc.in)); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.in, got, tc.want)
		}
	}
}

// fakeSystem is a root with a dpkg database.
func fakeSystem(t *testing.T) System {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{
		"var/lib/dpkg/info/nginx.list":        "/.\n/usr\n/usr/sbin\n/usr/sbin/nginx\n",
		"var/lib/dpkg/info/coreutils.list":    "/.\n/bin\n/bin/ls\n/usr/sbin/nginx-like\n",
		"var/lib/dpkg/info/libc6:amd64.list":  "/.\n/lib/x86_64-linux-gnu/libc.so.6\n",
		"var/lib/dpkg/info/removed.list":      "/usr/bin/removed\n",
		"var/lib/dpkg/info/nginx.md5sums":     "/usr/bin/nowhere",
		"var/lib/dpkg/info/../evil name.list": "/usr/bin/evil\n",
		"var/lib/dpkg/info/Evil Name.list":    "/usr/bin/evil\n",
		"var/lib/dpkg/status": "Package: coreutils\nStatus: install ok installed\nVersion: 9.1-1\n\n" +
			"Package: nginx\nStatus: install ok installed\nDescription: web server\n Version: 0.0\nVersion: 1.22.1-9+deb12u3\n\n" +
			"Package: removed\nStatus: deinstall ok config-files\nVersion: 1\n\n" +
			"Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n",
		"etc/os-release": "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n",
		"proc/uptime":    "12345.67 54321.00\n",
		"proc/meminfo":   "MemTotal: 100 kB\nMemFree: 50 kB\nBuffers: 1 kB\nSwapFree: 3 kB\n",
		"etc/passwd":     "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nbroken\nnobody:x:65534:65534::/:/\n",
	} {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return System{Root: root}
}

func TestPackage(t *testing.T) {
	s := fakeSystem(t)
	for _, tc := range []struct{ path, name, version string }{
		{"/usr/sbin/nginx", "nginx", "1.22.1-9+deb12u3"},
		{"/usr/sbin/nginx-like", "coreutils", "9.1-1"},
		{"/usr/bin/ls", "coreutils", "9.1-1"},
		{"/lib/x86_64-linux-gnu/libc.so.6", "libc6", "2.36-9"},
		{"/usr/bin/removed", "removed", ""},
		{"/usr/sbin", "nginx", "1.22.1-9+deb12u3"},
		{"/usr/sbin/ngin", "", ""},
		{"/usr/bin/evil", "", ""},
		{"/usr/bin/nowhere", "", ""},
		{"nginx", "", ""},
		{"", "", ""},
	} {
		name, version := s.Package(t.Context(), tc.path)
		if name != tc.name || version != tc.version {
			t.Errorf("%s: %q %q, want %q %q", tc.path, name, version, tc.name, tc.version)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if name, _ := s.Package(ended, "/usr/sbin/nginx"); name != "" {
		t.Errorf("with no time left: %q", name)
	}
	if name, _ := (System{Root: t.TempDir()}).Package(t.Context(), "/usr/sbin/nginx"); name != "" {
		t.Errorf("without dpkg: %q", name)
	}
}

func TestSystem(t *testing.T) {
	s := fakeSystem(t)
	if f := s.Facts(); f.Release != "Debian 12" || f.OS != "linux" || f.Kernel == "" || f.Arch == "" {
		t.Errorf("facts %+v", f)
	}
	if got := s.uptime(); got != "12345" {
		t.Errorf("uptime %q", got)
	}
	if got := s.memory(); got != "MemTotal: 100 kB\nMemFree: 50 kB\nSwapFree: 3 kB" {
		t.Errorf("memory %q", got)
	}
	if _, users := s.Names(); len(users) != 1 || users[0] != "ada" {
		t.Errorf("users %v", users)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("SOURCE_TEST_PANIC") == "1" {
		panicDeep(3)
	}
	os.Exit(m.Run())
}

//go:noinline
func panicDeep(n int) {
	if n == 0 {
		panic("as asked")
	}
	panicDeep(n - 1)
}

// execute runs argv and returns its code and the report that was filed, nil
// where none was.
func execute(t *testing.T, argv ...string) (int, hooks.Report, error) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var filed hooks.Report
	e := Exec{
		System: System{Root: "/"}, Stdin: null, Stdout: null, Stderr: null, Now: time.Now, Filed: func(string, error) {},
		File: func(_ context.Context, r hooks.Report) (string, error) {
			filed = r
			return "id", r.Validate()
		},
	}
	code, err := e.Run(t.Context(), argv)
	return code, filed, err
}

func TestExec(t *testing.T) {
	for _, tc := range []struct {
		name   string
		argv   []string
		code   int
		fields map[string]string // nil: no report
	}{
		{"success", []string{"true"}, 0, nil},
		{"an exit code", []string{"sh", "-c", "echo went wrong >&2; exit 3"}, 3, map[string]string{
			hooks.FieldExitCode: "3", hooks.FieldStderr: "went wrong", hooks.FieldCommandLine: "sh -c echo went wrong >&2; exit 3",
			hooks.FieldSignal: "", hooks.FieldFrames: "", hooks.FieldProblemType: "Crash",
		}},
		{"a signal", []string{"sh", "-c", "kill -SEGV $$"}, 139, map[string]string{
			hooks.FieldSignal: "11", hooks.FieldSignalName: "SIGSEGV", hooks.FieldExitCode: "", hooks.FieldFrames: "",
		}},
		{"killed", []string{"sh", "-c", "kill -9 $$"}, 137, map[string]string{hooks.FieldSignalName: "SIGKILL"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, report, err := execute(t, tc.argv...)
			if err != nil || code != tc.code {
				t.Fatalf("code %d, %v", code, err)
			}
			if (report != nil) != (tc.fields != nil) {
				t.Fatalf("report %v", report)
			}
			for name, want := range tc.fields {
				if report[name] != want {
					t.Errorf("%s is %q, want %q", name, report[name], want)
				}
			}
			if report == nil {
				return
			}
			for _, name := range []string{hooks.FieldExecutablePath, hooks.FieldKernel, hooks.FieldArchitecture, hooks.FieldUptime, hooks.FieldMemory, hooks.FieldDate} {
				if report[name] == "" {
					t.Errorf("%s is missing", name)
				}
			}
		})
	}
}

func TestExecOfAGoPanic(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOURCE_TEST_PANIC", "1")
	for _, mode := range []struct {
		traceback, field, value string
		code                    int
	}{{"single", hooks.FieldExitCode, "2", 2}, {"crash", hooks.FieldSignalName, "SIGABRT", 134}} {
		t.Setenv("GOTRACEBACK", mode.traceback)
		code, report, err := execute(t, self)
		if err != nil || code != mode.code || report[mode.field] != mode.value {
			t.Fatalf("%s: code %d, %s %q, %v", mode.traceback, code, mode.field, report[mode.field], err)
		}
		want := strings.Repeat("hookline/internal/source.panicDeep\n", 4) + "hookline/internal/source.TestMain\nmain.main"
		if diff := cmp.Diff(want, report[hooks.FieldFrames]); diff != "" {
			t.Errorf("%s: %s", mode.traceback, diff)
		}
		if !strings.HasPrefix(report[hooks.FieldTraceback], "panic: as asked\n") || report[hooks.FieldExecutablePath] != self {
			t.Errorf("traceback %.60q of %s", report[hooks.FieldTraceback], report[hooks.FieldExecutablePath])
		}
	}
}

func TestExecLimitsAreOfTheLiving(t *testing.T) {
	_, report, err := execute(t, "sh", "-c", "sleep 0.2; exit 1")
	if err != nil || !strings.Contains(report[hooks.FieldLimits], "Max open files") || report[hooks.FieldCgroup] == "" {
		t.Errorf("limits %q, cgroup %q, %v", report[hooks.FieldLimits], report[hooks.FieldCgroup], err)
	}
}

func TestExecOfNothing(t *testing.T) {
	for _, tc := range []struct {
		argv string
		code int
		says errs.Code
	}{
		{"/no/such/program", ExitNotFound, errs.CodeNotFound},
		{"no-such-program-here", ExitNotFound, errs.CodeNotFound},
		{"/etc/passwd", ExitNotExecutable, errs.CodeForbidden},
	} {
		code, report, err := execute(t, tc.argv)
		if code != tc.code || report != nil || errs.CodeOf(err) != tc.says || strings.Contains(err.Error(), "exec:") || strings.Contains(err.Error(), "fork") {
			t.Errorf("%s: code %d, report %v, %v", tc.argv, code, report, err)
		}
	}
}

// A command that leaves a process behind with its standard error does not
// hold exec up.
func TestExecWithALastingGrandchild(t *testing.T) {
	started := time.Now()
	code, report, err := execute(t, "sh", "-c", "echo bye >&2; sleep 30 & exit 4")
	if code != 4 || err != nil || report[hooks.FieldStderr] != "bye" {
		t.Errorf("code %d, stderr %q, %v", code, report[hooks.FieldStderr], err)
	}
	if time.Since(started) > 20*time.Second {
		t.Error("waited for the grandchild")
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	for _, tc := range []struct {
		text string
		code errs.Code
	}{
		{`{"Package":"nginx"}`, ""},
		{`{"Package":"nginx","Package":"x"}`, errs.CodeBadReport},
		{`{"Package":1}`, errs.CodeBadReport},
		{`[]`, errs.CodeBadReport},
		{`{"Package":"nginx"} more`, errs.CodeBadReport},
		{`{"x":"` + strings.Repeat("y", hooks.MaxReportBytes) + `"}`, errs.CodeTooLarge},
	} {
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path, nil); errs.CodeOf(err) != tc.code {
			t.Errorf("%.40s: %v, want %q", tc.text, err, tc.code)
		}
	}
	if _, err := ReadFile(path+".none", nil); errs.CodeOf(err) != errs.CodeNotFound {
		t.Errorf("no file: %v", err)
	}
}

func TestAskWithoutAGuard(t *testing.T) {
	_, err := Guard{Socket: filepath.Join(t.TempDir(), "guard.sock")}.File(t.Context(), "report", hooks.Report{"Package": "nginx"})
	if errs.CodeOf(err) != errs.CodeGuardNotRunning {
		t.Errorf("error %v", err)
	}
}
