package browsertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"hookline/internal/browsertest"
	"hookline/internal/onebox"
	"hookline/internal/waitfor"
)

// shared is what all tests look at: one server with everything on it, one
// browser. The first test that asks makes it.
type shared struct {
	once    sync.Once
	dir     string
	err     error
	skip    string
	world   *browsertest.World
	facts   browsertest.Facts
	browser *browsertest.Browser
	measuring
}

var everything shared

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hookline-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	everything.dir = dir
	defer everything.stop()
	return m.Run()
}

func (s *shared) stop() {
	if s.browser != nil {
		s.browser.Close()
	}
	if s.world != nil {
		s.world.Stop()
	}
}

// start makes the world and the browser. Without a browser tests are skipped,
// but not where the environment promises one.
func (s *shared) start() {
	program, named, err := browsertest.Program()
	if err != nil {
		if s.err = err; !named {
			s.skip = err.Error()
		}
		return
	}
	bin, err := binaries(filepath.Join(s.dir, "bin"))
	if err != nil {
		s.err = err
		return
	}
	ctx := context.Background() // it outlives the test that asks first
	if s.browser, s.err = browsertest.StartBrowser(ctx, program); s.err != nil {
		return
	}
	if s.world, s.err = browsertest.Found(ctx, filepath.Join(s.dir, "d"), bin); s.err != nil {
		return
	}
	if s.err = s.world.Fill(ctx); s.err != nil {
		return
	}
	s.facts, s.err = s.world.Facts(ctx)
}

// binaries are those that HOOKLINE_BIN names, else they are built.
func binaries(dir string) (onebox.Binaries, error) {
	bin := onebox.Binaries(os.Getenv("HOOKLINE_BIN"))
	packages := []string{"hookline/examples/crash"}
	if bin == "" {
		bin = onebox.Binaries(dir)
		packages = append(packages, "hookline/cmd/hookline", "hookline/cmd/hooklined", "hookline/cmd/hookline-peer", "hookline/cmd/hookline-sandbox")
	}
	build := exec.Command("go", append([]string{"build", "-o", string(bin) + "/"}, packages...)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.Join(errors.New("cannot build the programs: "+string(out)), err)
	}
	return bin, nil
}

// everybody returns the world and the browser, made once. The first that asks
// measures all pages too: whatever a test does, a sign-in even, changes some.
func everybody(t *testing.T) *shared {
	t.Helper()
	everything.once.Do(everything.start)
	switch {
	case everything.skip != "":
		t.Skip(everything.skip)
	case everything.err != nil:
		t.Fatal(everything.err)
	}
	everything.measured(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", everything.world.Server.Log())
		}
	})
	return &everything
}

// tab opens a tab for the test, as a person ("" is nobody) at a page.
func (s *shared) tab(t *testing.T, person, path string) *browsertest.Tab {
	t.Helper()
	tab, err := s.browser.Visit(s.world.HTTP, t.TempDir())
	must(t, err)
	t.Cleanup(tab.Close)
	if person == "" {
		must(t, tab.Open(path))
	} else {
		must(t, s.world.SignIn(t.Context(), tab, person, path))
	}
	return tab
}

// calm fails the test where a page gave any trouble.
func calm(t *testing.T, tab *browsertest.Tab, what string) {
	t.Helper()
	for _, trouble := range tab.Trouble() {
		t.Errorf("%s: %s", what, trouble)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	waitfor.True(t, browsertest.Patience, what, holds)
}
