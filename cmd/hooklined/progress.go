package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"hookline/store/archive"
)

// progress shows how far a long command has come: on a terminal one line that
// changes, else a line now and then.
type progress struct {
	to       io.Writer
	terminal bool
	now      func() time.Time
	begun    time.Time // the step
	step     string
	shown    time.Time
	drawn    bool
}

// How often progress is shown.
const (
	terminalEvery = 200 * time.Millisecond
	lineEvery     = 5 * time.Second
)

func newProgress(to io.Writer) *progress {
	f, ok := to.(*os.File)
	p := &progress{to: to, terminal: ok && term.IsTerminal(int(f.Fd())), now: time.Now}
	p.shown = p.now()
	return p
}

func (p *progress) show(s archive.Progress) {
	now, every := p.now(), lineEvery
	if p.terminal {
		every = terminalEvery
	}
	if s.Step != p.step {
		p.step, p.begun = s.Step, now
	}
	if now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	line := fmt.Sprintf("%s: %d records", p.step, s.Records)
	if s.Percent >= 0 {
		line += fmt.Sprintf(", %.0f %%", s.Percent)
	}
	if took := now.Sub(p.begun).Seconds(); took > 0 {
		line += fmt.Sprintf(", %.0f a second", float64(s.Records)/took)
	}
	if !p.terminal {
		fmt.Fprintln(p.to, line)
		return
	}
	fmt.Fprintf(p.to, "\r%s\x1b[K", line)
	p.drawn = true
}

// end clears the line on a terminal.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.drawn = false
	}
}
