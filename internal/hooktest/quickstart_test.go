package hooktest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hookline/internal/onebox"
)

// quickstart is `hookline quickstart` in its terminal, and a second terminal.
type quickstart struct {
	store string // the deployment's, on its first start; "" is the embedded one
	dir   string // the deployment
	work  string // where the second terminal stands
	cmd   *exec.Cmd
	out   *screen
	done  chan error
	said  map[string]string // what the reader has filled in: JOB, ID, YOUR-PROGRAM
}

// screen keeps what a process printed.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// The commands that quickstart prints bring a first hook's result from the
// reader's own crash; Ctrl-C stops all, and a second start carries on.
func TestQuickstart(t *testing.T) { onStores(t, testQuickstart) }

func testQuickstart(t *testing.T, store string) {
	q := &quickstart{
		store: store, dir: filepath.Join(t.TempDir(), "q"), work: t.TempDir(),
		said: map[string]string{"YOUR-PROGRAM": binaries.Path("crash") + " --to 3"},
	}
	q.start(t)
	job := q.follow(t)
	q.stop(t)

	q.store = "" // the deployment remembers it
	q.start(t)
	if out := q.run(t, "hookline result list --job "+job); !strings.Contains(out, job) {
		t.Errorf("the result is not there after the second start:\n%s", out)
	}
	q.eventually(t, "hookline-peer status", `(?m)^connected\s+(yes)`)
	next := q.crash(t, "hookline-peer exec -- "+q.said["YOUR-PROGRAM"])
	q.eventually(t, "hookline-peer pending", `(?m)^([0-9a-f]{12})\s.*`+next)
	q.stop(t)
}

// follow does what the second terminal is told to, and returns the job.
func (q *quickstart) follow(t *testing.T) string {
	t.Helper()
	commands := q.commands()
	if len(commands) != 11 {
		t.Fatalf("quickstart prints %d commands, this test knows 11:\n%s", len(commands), q.out)
	}
	for _, c := range commands[1:] { // the first is the env file, which run reads each time
		for word, value := range q.said {
			c = strings.ReplaceAll(c, word, value)
		}
		switch {
		case strings.HasPrefix(c, "hookline-peer exec"):
			q.said["JOB"] = q.crash(t, c)
			q.eventually(t, "hookline job show "+q.said["JOB"], "(fingerprint|FINGERPRINT)")
		case strings.HasPrefix(c, "hookline-peer pending"):
			q.said[" ID"] = " " + q.eventually(t, c, `(?m)^([0-9a-f]{12})\s`)
		case strings.HasPrefix(c, "hookline result list"):
			q.eventually(t, c, "(first)")
		case strings.HasPrefix(c, "hookline open"):
			q.page(t, q.run(t, c))
		default:
			q.run(t, c)
		}
	}
	return q.said["JOB"]
}

// commands are the indented lines under "In a second terminal".
func (q *quickstart) commands() []string {
	_, text, _ := strings.Cut(q.out.String(), "In a second terminal:")
	var found []string
	for line := range strings.Lines(text) {
		command, ok := strings.CutPrefix(line, "  ")
		if ok {
			command, _, _ = strings.Cut(command, "#")
			found = append(found, strings.TrimSpace(command))
		}
	}
	return found
}

// crash runs an exec and returns the id of the report.
func (q *quickstart) crash(t *testing.T, command string) string {
	t.Helper()
	out, err := q.try(t, "GOTRACEBACK=crash "+command)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGABRT) {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	id := regexp.MustCompile(`filed report (\S+)`).FindStringSubmatch(out)
	if id == nil {
		t.Fatalf("%s filed no report:\n%s", command, out)
	}
	return id[1]
}

// page opens the printed link as a browser does, which keeps its cookie, and
// presses the button.
func (q *quickstart) page(t *testing.T, printed string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	link := regexp.MustCompile(`http://\S+`).FindString(printed)
	for _, step := range []struct{ method, shows string }{{http.MethodGet, `<form method="post" id="sign-in">`}, {http.MethodPost, q.said["JOB"]}} {
		request, err := http.NewRequestWithContext(t.Context(), step.method, link, nil)
		must(t, err)
		response, err := browser.Do(request)
		must(t, err)
		text, err := io.ReadAll(response.Body)
		must(t, errors.Join(err, response.Body.Close()))
		if response.StatusCode != http.StatusOK || !strings.Contains(string(text), step.shows) {
			t.Errorf("%s of the link leads to %s, %s, without %s:\n%s", step.method, response.Request.URL.Path, response.Status, step.shows, text)
		}
	}
}

func (q *quickstart) start(t *testing.T) {
	t.Helper()
	q.out, q.done = &screen{}, make(chan error, 1)
	q.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), binaries.Path("hookline"), "quickstart", "--dir", q.dir)
	if q.store != "" {
		q.cmd.Args = append(q.cmd.Args, "--store", q.store)
	}
	q.cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + q.work}
	q.cmd.Stdout, q.cmd.Stderr = q.out, q.out
	q.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, q.cmd.Start())
	cmd, done := q.cmd, q.done
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // an error says that it has ended already
	eventually(t, onebox.ReadyTimeout, func() error {
		if !strings.Contains(q.out.String(), "Ready.") || !strings.Contains(q.out.String(), "Ctrl-C here") {
			return fmt.Errorf("quickstart is not ready:\n%s", q.out)
		}
		return nil
	})
}

// stop is Ctrl-C in the first terminal; nothing stays behind.
func (q *quickstart) stop(t *testing.T) {
	t.Helper()
	children := childrenOf(t, q.cmd.Process.Pid)
	if len(children) != 2 {
		t.Errorf("quickstart has %d processes under it, want server and peer", len(children))
	}
	must(t, q.cmd.Process.Signal(os.Interrupt))
	select {
	case err := <-q.done:
		if err != nil {
			t.Errorf("quickstart ended with %v:\n%s", err, q.out)
		}
	case <-time.After(onebox.ReadyTimeout):
		t.Fatalf("quickstart does not stop on Ctrl-C:\n%s", q.out)
	}
	eventually(t, 5*time.Second, func() error { return allGone(children) })
}

// try runs a command in the second terminal, and returns all it printed.
func (q *quickstart) try(t *testing.T, command string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", ". "+filepath.Join(q.dir, "env")+"; "+command)
	cmd.Dir, cmd.Env = q.work, []string{"PATH=/usr/bin:/bin", "HOME=" + q.work}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (q *quickstart) run(t *testing.T, command string) string {
	t.Helper()
	out, err := q.try(t, command)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

// eventually runs a command until it works and shows what the pattern finds,
// of which it returns the first group.
func (q *quickstart) eventually(t *testing.T, command, pattern string) (found string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	eventually(t, 20*time.Second, func() error {
		out, err := q.try(t, command)
		m := re.FindStringSubmatch(out)
		if err == nil && m == nil {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("%s does not show %s: %w\n%s", command, pattern, err, out)
		}
		found = m[1]
		return nil
	})
	return found
}
