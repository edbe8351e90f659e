package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hookline/internal/tools/hostile/corpus"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// snippets reads the hostile corpus, with the fixture folder filled in.
func snippets(t testing.TB, fixtures string) []corpus.Snippet {
	t.Helper()
	all, err := corpus.Read(filepath.Join("testdata", "hostile"), fixtures)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// makeFixtures makes the files that the snippets aim at.
func makeFixtures(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hookline-fixtures")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := corpus.MakeFixtures(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// hostileTask gives a snippet little time where time is what has to end it,
// and enough on a busy machine where something else has to.
func hostileTask(s corpus.Snippet, fixtures string) sandbox.Task {
	if s.TimesOut() {
		return s.Task(fixtures, 600*time.Millisecond)
	}
	return s.Task(fixtures, 10*time.Second)
}

func checkHostile(t *testing.T, s corpus.Snippet, out sandbox.Outcome, err error, took time.Duration) {
	const busy = 3 * time.Second // start and end of processes on a busy machine
	t.Helper()
	for _, wrong := range s.Check(out, err) {
		t.Errorf("%s: %s", s.Attack, wrong)
	}
	if limit := hostileTask(s, "").Runtime() + sandbox.KillAfter + busy; took > limit {
		t.Errorf("took %v, more than %v", took, limit)
	}
}

func TestHostileCorpusRecorded(t *testing.T) {
	t.Parallel()
	const dir = "/fixtures"
	f := replay.Fixtures{Files: map[string]string{
		"/proc/meminfo": "MemTotal: 1 kB\n", dir + "/allowed/ok": "hello\n",
		dir + "/allowed/huge": strings.Repeat("x", sandbox.MaxReadBytes+1),
	}}
	for _, s := range snippets(t, dir) {
		if about(s, "link_", "hard_", "fifo", `"yes"`, `"sleep"`) {
			continue // about real files and programs: nothing to record
		}
		t.Run(s.File, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			out, err := replay.Run(context.Background(), binary, hostileTask(s, dir), f)
			checkHostile(t, s, out, err, time.Since(began))
		})
	}
}

func about(s corpus.Snippet, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(s.Script, word) })
}

func TestHostileCorpusLive(t *testing.T) {
	t.Parallel()
	dir := makeFixtures(t)
	runner := &sandbox.Runner{Binary: binary}
	for _, s := range snippets(t, dir) {
		t.Run(s.File, func(t *testing.T) {
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

func TestHostileCorpusOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("TestHostileCorpusLive runs as an ordinary user already")
	}
	t.Parallel()
	dir := makeFixtures(t)
	good := corpus.Good(dir)
	job := corpus.Job{Binary: binary, Without: withoutRoot(), Parallel: 2, Good: &good}
	all := map[string]corpus.Snippet{}
	for _, s := range snippets(t, dir) {
		job.Runs = append(job.Runs, corpus.Run{Name: s.File, Task: hostileTask(s, dir)})
		all[s.File] = s
	}
	cmd := childCommand(copyProgram(t, "sandbox.test"), true)
	input, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; seen++ {
		var r corpus.Result
		if err := dec.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		t.Run(r.Name, func(t *testing.T) {
			for _, wrong := range r.Wrong {
				t.Error(wrong)
			}
			if r.Name != "" {
				checkHostile(t, all[r.Name], r.Outcome, r.Err(), r.Took)
			}
		})
	}
	if seen != len(all)+1 {
		t.Errorf("%d results of %d snippets", seen, len(all))
	}
}

// withoutRoot are the layers that an ordinary user has to do without.
func withoutRoot() []string { return []string{sandbox.LayerNamespaces} }

// childCommand is the test program as a guard, see corpus.Serve; ordinary
// drops root.
func childCommand(program string, ordinary bool) *exec.Cmd {
	cmd := exec.Command(program)
	cmd.Env = []string{childEnv + "=1"}
	cmd.Stderr = os.Stderr
	if ordinary && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sandbox.Nobody, Gid: sandbox.Nobody}}
	}
	return cmd
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
