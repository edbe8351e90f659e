// Package browsertest looks at the pages as people do: in a real browser, over
// a server that real programs filled. Its tests are what `make check` knows of
// the pages; internal/tools/screenshots takes pictures with the same parts.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/chromedp/chromedp"
)

// Patience bounds every single thing that a browser is asked to do.
const Patience = 30 * time.Second

// ProgramVariable names the browser's program in the environment.
const ProgramVariable = "HOOKLINE_CHROMIUM"

// ErrNoBrowser says that no program of a browser was named or found.
var ErrNoBrowser = errors.New("no browser: install Debian's chromium (apt-get install chromium), or name a program with " + ProgramVariable)

// Program is the browser's program: the one that the environment names, else
// chromium where the system has it. named says that it must be there.
func Program() (path string, named bool, err error) {
	path, named = os.LookupEnv(ProgramVariable)
	if !named {
		path = "chromium"
	}
	path, err = exec.LookPath(path)
	if err != nil {
		return "", named, fmt.Errorf("%w (%w)", ErrNoBrowser, err)
	}
	return path, named, nil
}

// Browser is one headless browser. Its visitors share nothing but the process.
type Browser struct {
	ctx  context.Context
	stop context.CancelFunc
}

// StartBrowser starts a browser. Close ends it.
func StartBrowser(ctx context.Context, program string) (*Browser, error) {
	// As root it runs without its own sandbox: it sees pages of this machine only.
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.DisableGPU, chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("lang", "en-US"), chromedp.Flag("no-proxy-server", true))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.WithoutCancel(ctx), options...)
	inner, stopInner := chromedp.NewContext(allocator)
	b := &Browser{ctx: inner, stop: func() { stopInner(); stopAllocator() }}
	started := make(chan error, 1)
	go func() { started <- chromedp.Do(inner) }()
	select {
	case err := <-started:
		if err != nil {
			b.stop()
			return nil, fmt.Errorf("cannot start %s: %w", program, err)
		}
		return b, nil
	case <-time.After(Patience):
		b.stop()
		return nil, fmt.Errorf("%s was not ready in %s", program, Patience)
	case <-ctx.Done():
		b.stop()
		return nil, ctx.Err()
	}
}

// Close ends the browser and waits until it has gone.
func (b *Browser) Close() {
	_ = chromedp.Cancel(b.ctx) // an error says that it has gone already
	b.stop()
}
