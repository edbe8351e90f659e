package sandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// outcomes says which codes satisfy an outcome of the manifest. A memory
// bound of the library (string.rep and its like) is a Lua error that can be
// caught, so it stands wherever the manifest asks for an error or another
// limit; see special for the rest.
func outcomes(name string) []string {
	failed := []string{
		"hook-error", "bad-script", "denied", "call-failed", "limit-memory",
		"field-type", "field-undeclared", "field-exists",
	}
	return map[string][]string{
		"OK":        {""},
		"ISOLATED":  {""},
		"NOLEAK":    {""},
		"CAPTURED":  {""},
		"SANITISED": {""},
		"ERR":       failed,
		"TRUNCATED": failed,
		"NIL":       {"hook-error", "limit-memory"},
		"DENY":      {"denied"},
		"TIMEOUT":   {"limit-time"},
		"MEMORY":    {"limit-memory"},
		"LIMIT":     {"limit-calls", "limit-read", "limit-result", "limit-memory", "limit-time"},
		"REJECT":    {"bad-script"},
		"CRASH":     {"sandbox-crash", "limit-memory"},
	}[name]
}

// special holds the snippets that end otherwise than the manifest has it, and why.
func special(file string) []string {
	return map[string][]string{
		// string.find is our own and does what Lua does: no match, no Go panic.
		"089_str_find_init.lua": {""},
		// An error value with __tostring is named, never run: the script just ends.
		"008_tostring_loop.lua": {"hook-error"},
		// cmd.run and fs.list are not there yet: refused, on the record.
		"127_cmd_output_flood.lua": {"denied"},
		"128_cmd_hang.lua":         {"denied"},
	}[file]
}

type snippet struct {
	file, attack, expected string
	script                 string
}

func (s snippet) codes() []string {
	codes := special(s.file)
	for _, name := range strings.Split(s.expected, "_") {
		codes = append(codes, outcomes(name)...)
	}
	return codes
}

// corpus reads the hostile snippets, with the fixture folder filled in.
func corpus(t testing.TB, fixtures string) []snippet {
	t.Helper()
	dir := filepath.Join("testdata", "hostile")
	f, err := os.Open(filepath.Join(dir, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []snippet
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		part := strings.Split(lines.Text(), "\t")
		if len(part) != 3 || part[0] == "file" {
			continue
		}
		script := generated(part[0])
		if script == "" {
			b, err := os.ReadFile(filepath.Join(dir, "lua", part[0]))
			if err != nil {
				t.Fatal(err)
			}
			script = string(b)
		}
		all = append(all, snippet{part[0], part[1], part[2], strings.ReplaceAll(script, "@FIX@", fixtures)})
	}
	if len(all) < 100 {
		t.Fatalf("only %d snippets in the manifest", len(all))
	}
	return all
}

// generated makes the snippets that are megabytes of the same.
func generated(file string) string {
	switch file {
	case "161_src_consts.lua":
		var b strings.Builder
		b.WriteString("local t={")
		for i := range 300_000 {
			fmt.Fprintf(&b, "%q,", fmt.Sprintf("k%d", i))
		}
		return b.String() + "}"
	case "163_src_concat.lua":
		return "return " + strings.Repeat(`"a"..`, 60_000) + `"a"`
	case "164_src_nested_fn.lua":
		return strings.Repeat("return function() ", 60_000) + "return 1 " + strings.Repeat("end ", 60_000)
	}
	return ""
}

// makeFixtures makes the files that the snippets aim at.
func makeFixtures(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hookline-fixtures")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	allowed := filepath.Join(dir, "allowed")
	do(os.Chmod(dir, 0o755))
	do(os.Mkdir(allowed, 0o755))
	do(os.WriteFile(filepath.Join(dir, "secret"), []byte("TOPSECRET\n"), 0o644))
	do(os.WriteFile(filepath.Join(allowed, "ok"), []byte("hello\n"), 0o644))
	do(os.WriteFile(filepath.Join(allowed, "big"), []byte(strings.Repeat("x", 200000)), 0o644))
	do(os.Symlink("../secret", filepath.Join(allowed, "link_secret")))
	do(os.Symlink("..", filepath.Join(allowed, "link_dir")))
	do(os.Symlink("ok", filepath.Join(allowed, "link_ok")))
	do(os.Symlink("link_ok", filepath.Join(allowed, "link_link")))
	do(os.Link(filepath.Join(dir, "secret"), filepath.Join(allowed, "hard_secret")))
	do(syscall.Mkfifo(filepath.Join(allowed, "fifo"), 0o644))
	if os.Geteuid() == 0 {
		do(syscall.Mknod(filepath.Join(allowed, "zero"), syscall.S_IFCHR|0o666, 1<<8|5))
	}
	huge, err := os.Create(filepath.Join(allowed, "huge"))
	do(err)
	do(huge.Truncate(10 << 30))
	do(huge.Close())
	return dir
}

// hostileTask gives a snippet little time where time is what has to end it,
// and enough on a busy machine where something else has to.
func hostileTask(s snippet, fixtures string) sandbox.Task {
	t := task(s.script, fixtures+"/allowed/**", "/proc/meminfo")
	t.Predicate.MaxRuntimeMS = 10_000
	if strings.HasPrefix(s.expected, "TIMEOUT") {
		t.Predicate.MaxRuntimeMS = 600
	}
	return t
}

func checkHostile(t *testing.T, s snippet, out sandbox.Outcome, err error, took time.Duration) {
	const busy = 3 * time.Second // start and end of processes on a busy machine
	t.Helper()
	if err != nil {
		t.Fatalf("%s: cannot run: %v", s.attack, err)
	}
	if !slices.Contains(s.codes(), out.Code) {
		t.Errorf("%s: code %q (%s, line %d), expected %s = one of %q", s.attack, out.Code, out.Error, out.Line, s.expected, s.codes())
	}
	if limit := hostileTask(s, "").Runtime() + sandbox.KillAfter + busy; took > limit {
		t.Errorf("took %v, more than %v", took, limit)
	}
	if len(out.Error) > sandbox.MaxErrorBytes {
		t.Errorf("error text has %d bytes", len(out.Error))
	}
	text := fmt.Sprintf("%+v", out)
	for _, leak := range []string{"TOPSECRET", "goroutine", "0xc0", ".go:", "runtime error"} {
		if strings.Contains(text, leak) {
			t.Errorf("the outcome holds %q: %.300s", leak, text)
		}
	}
	if out.Code != "" && len(out.Fields) > 0 {
		t.Errorf("a failed run brought fields: %v", out.Fields)
	}
}

func TestHostileCorpusRecorded(t *testing.T) {
	t.Parallel()
	const dir = "/fixtures"
	f := replay.Fixtures{Files: map[string]string{
		"/proc/meminfo": "MemTotal: 1 kB\n", dir + "/allowed/ok": "hello\n",
		dir + "/allowed/huge": strings.Repeat("x", sandbox.MaxReadBytes+1),
	}}
	for _, s := range corpus(t, dir) {
		if strings.Contains(s.script, "link_") || strings.Contains(s.script, "hard_") || strings.Contains(s.script, "fifo") {
			continue // about real files: nothing to record
		}
		t.Run(s.file, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			out, err := replay.Run(context.Background(), binary, hostileTask(s, dir), f)
			checkHostile(t, s, out, err, time.Since(began))
		})
	}
}

func TestHostileCorpusLive(t *testing.T) {
	t.Parallel()
	dir := makeFixtures(t)
	runner := &sandbox.Runner{Binary: binary}
	for _, s := range corpus(t, dir) {
		t.Run(s.file, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			out, err := runner.Run(context.Background(), hostileTask(s, dir))
			checkHostile(t, s, out, err, time.Since(began))
		})
	}
}

// The same as an ordinary user, when the tests run as root: a child of the
// test program drops to nobody and runs the corpus there.
const childEnv = "HOOKLINE_SANDBOX_TEST_CHILD"

type childResult struct {
	File    string
	Outcome sandbox.Outcome
	Error   string
	Took    time.Duration
}

func TestHostileCorpusOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("TestHostileCorpusLive runs as an ordinary user already")
	}
	t.Parallel()
	dir := makeFixtures(t)
	snippets := corpus(t, dir)
	copied := copyProgram(t, "sandbox.test")
	cmd := exec.Command(copied)
	cmd.Env = []string{childEnv + "=" + binary}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sandbox.Nobody, Gid: sandbox.Nobody}}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer in.Close()
		enc := json.NewEncoder(in)
		for _, s := range snippets {
			_ = enc.Encode(childTask{s.file, hostileTask(s, dir)})
		}
	}()
	results := map[string]childResult{}
	dec := json.NewDecoder(out)
	for {
		var r childResult
		if err := dec.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		results[r.File] = r
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, s := range snippets {
		r, ok := results[s.file]
		if !ok {
			t.Errorf("%s: not run", s.file)
			continue
		}
		var err error
		if r.Error != "" {
			err = fmt.Errorf("%s", r.Error)
		}
		t.Run(s.file, func(t *testing.T) { checkHostile(t, s, r.Outcome, err, r.Took) })
	}
}

type childTask struct {
	File string
	Task sandbox.Task
}

// child is the test program as an ordinary user: tasks in, outcomes out.
func child() int {
	runner := &sandbox.Runner{Binary: os.Getenv(childEnv)}
	dec, enc := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	results := make(chan childResult)
	slots := make(chan struct{}, 2)
	count := 0
	go func() {
		for {
			var c childTask
			if dec.Decode(&c) != nil {
				break
			}
			count++
			slots <- struct{}{}
			go func() {
				began := time.Now()
				out, err := runner.Run(context.Background(), c.Task)
				r := childResult{File: c.File, Outcome: out, Took: time.Since(began)}
				if err != nil {
					r.Error = err.Error()
				}
				results <- r
				<-slots
			}()
		}
		for range cap(slots) {
			slots <- struct{}{}
		}
		close(results)
	}()
	for r := range results {
		if enc.Encode(r) != nil {
			return 1
		}
	}
	return 0
}

// copyProgram copies the test program to where any user may run it.
func copyProgram(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(binary), name)
	writeProgram(t, path, b)
	return path
}
