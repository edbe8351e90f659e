// Command screenshots takes pictures of every page: it runs the demo, keeps it
// up, puts more on the pages, and goes through the table that the tests of the
// pages go by, in light and dark, at 1,280 and 360 pixels.
//
//	screenshots -bin bin -out bin/screenshots        # all
//	screenshots -bin bin -out bin/screenshots -best  # and the best into docs/pictures
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"hookline/internal/browsertest"
	"hookline/internal/demo"
	"hookline/internal/onebox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx)
	stop()
	os.Exit(code)
}

func run(ctx context.Context) int {
	bin := flag.String("bin", "bin", "folder of the programs")
	out := flag.String("out", "bin/screenshots", "folder of the pictures")
	only := flag.String("only", "", "regular expression of the pages' names")
	best := flag.Bool("best", false, "renew the pictures of the README, in "+bestDir)
	flag.Parse()
	if err := take(ctx, *bin, *out, *only, *best); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		return 1
	}
	return 0
}

func take(ctx context.Context, bin, out, only string, best bool) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("cannot read -only: %w", err)
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	program, _, err := browsertest.Program()
	if err != nil {
		return err
	}
	browser, err := browsertest.StartBrowser(ctx, program)
	if err != nil {
		return err
	}
	defer browser.Close()
	return withDemo(ctx, onebox.Binaries(bin), func(w *browsertest.World) error {
		p := &photographer{browser: browser, world: w, out: out, wanted: wanted, tops: map[string]int{}}
		if err := p.all(ctx); err != nil || !best {
			return err
		}
		return p.best()
	})
}

// withDemo runs the demo, keeps it up while a function works on it, and ends
// it.
func withDemo(ctx context.Context, bin onebox.Binaries, work func(*browsertest.World) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	said := &screen{stays: make(chan string, 1)}
	ended := make(chan error, 1)
	go func() { ended <- demo.Run(ctx, demo.Options{Out: said, Bin: bin, Stay: true}) }()
	var dir string
	select {
	case dir = <-said.stays:
	case err := <-ended:
		return fmt.Errorf("the demo ended: %w\n%s", err, said.text.String())
	}
	err := attached(ctx, dir, bin, work)
	cancel()
	if e := <-ended; err == nil {
		err = e
	}
	return err
}

func attached(ctx context.Context, dir string, bin onebox.Binaries, work func(*browsertest.World) error) error {
	d, err := onebox.New(dir, bin)
	if err != nil {
		return err
	}
	w := &browsertest.World{Deployment: d}
	defer w.Stop()
	if err := w.AddPeer(ctx, "web-1"); err != nil {
		return err
	}
	if err := w.Fill(ctx); err != nil {
		return err
	}
	return work(w)
}

// screen reads what the demo prints until it says where it lives.
type screen struct {
	mu    sync.Mutex
	text  strings.Builder
	stays chan string
}

var lives = regexp.MustCompile(`Everything lives in (\S+)\. Ctrl-C`)

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := io.MultiWriter(&s.text, os.Stdout).Write(b)
	if m := lives.FindSubmatch(b); m != nil {
		select {
		case s.stays <- string(m[1]):
		default: // said so before
		}
	}
	return n, err
}
