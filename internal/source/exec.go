package source

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"

	"golang.org/x/sys/unix"
)

// Exec runs commands and reports their deaths.
type Exec struct {
	System System
	// File hands a report to the guard and returns the id under which it is kept.
	File func(ctx context.Context, r hooks.Report) (id string, err error)
	// Filed is told how filing went; err is nil where id is set.
	Filed  func(id string, err error)
	Stdin  *os.File
	Stdout *os.File
	Stderr *os.File
	Now    func() time.Time
}

// Exit codes of a command that could not be started, as shells use them.
const (
	ExitNotExecutable = 126
	ExitNotFound      = 127
)

// Timeouts of what happens after the command's death.
const (
	gatherTimeout = 5 * time.Second
	fileTimeout   = 10 * time.Second
	// drain is how long the rest of the standard error is waited for where a
	// grandchild keeps it open.
	drain = time.Second
)

// Run runs argv and returns its exit code, 128 + the number where a signal
// ended it. The error is about the start only. Where the command died by a
// signal that was not passed on to it, or by a non-zero exit, a report is
// filed first; trouble with that never changes the code.
func (e Exec) Run(ctx context.Context, argv []string) (int, error) {
	run, err := e.start(argv)
	if err != nil {
		return startCode(err), startError(argv[0], err)
	}
	state, err := run.wait()
	if err != nil {
		return ExitNotExecutable, errs.Wrap(errs.CodeInternal, err, "cannot wait for the command")
	}
	death := deathOf(state)
	if !death.worthReport(run.forwarded()) {
		return death.code(), nil
	}
	gather, cancel := context.WithTimeout(ctx, gatherTimeout)
	report := e.report(gather, run, death)
	cancel()
	file, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	e.Filed(e.File(file, report))
	return death.code(), nil
}

func startError(program string, err error) error {
	code := errs.CodeBadInput
	switch {
	case startCode(err) == ExitNotFound:
		code = errs.CodeNotFound
	case errors.Is(err, os.ErrPermission):
		code = errs.CodeForbidden
	}
	return errs.Wrap(code, errs.Plain(err), "cannot run %s", program).
		WithHint("check the name and that the file may be executed; no report is filed")
}

func startCode(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return ExitNotFound
	}
	return ExitNotExecutable
}

// death is how a command ended.
type death struct {
	signal syscall.Signal // 0 where it exited
	exit   int
}

func deathOf(state *os.ProcessState) death {
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return death{signal: status.Signal()}
	}
	return death{exit: state.ExitCode()}
}

func (d death) code() int {
	if d.signal != 0 {
		return 128 + int(d.signal)
	}
	return d.exit
}

// worthReport leaves out a death that somebody asked for through us.
func (d death) worthReport(forwarded map[syscall.Signal]bool) bool {
	return d.code() != 0 && !forwarded[d.signal]
}

// running is a started command.
type running struct {
	cmd     *exec.Cmd
	argv    []string
	started time.Time
	stderr  *tail
	copied  chan struct{} // closed when the standard error has ended
	pipe    *os.File
	live    live

	mu     sync.Mutex
	passed map[syscall.Signal]bool
}

func (e Exec) start(argv []string) (*running, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	// The command outlives our own context: only its own end or a signal ends it.
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // see above
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.Stdin, e.Stdout, write
	r := &running{
		cmd: cmd, argv: argv, started: e.Now(), pipe: read,
		stderr: &tail{out: e.Stderr}, copied: make(chan struct{}), passed: map[syscall.Signal]bool{},
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwardable()...)
	if err := cmd.Start(); err != nil {
		signal.Stop(signals)
		read.Close()
		return nil, err
	}
	done := make(chan struct{})
	r.live = live{system: e.System, pid: cmd.Process.Pid}
	r.live.capture()
	go r.copyStderr()
	go r.watch(signals, done)
	r.live.stop = func() {
		signal.Stop(signals)
		close(done)
	}
	return r, nil
}

// forwardable are the signals that reach the command through us. SIGCHLD and
// SIGURG are ours, SIGPIPE is about our own output; the rest cannot be caught.
func forwardable() []os.Signal {
	return []os.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT, syscall.SIGWINCH,
	}
}

func (r *running) copyStderr() {
	defer close(r.copied)
	// The end of the pipe, however it comes, is the end of the copy.
	_, _ = io.Copy(r.stderr, r.pipe)
}

// watch passes signals on and looks at the living process again and again,
// since a shell may exec its program later.
func (r *running) watch(signals <-chan os.Signal, done <-chan struct{}) {
	wait := 20 * time.Millisecond
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case s := <-signals:
			r.forward(s)
		case <-timer.C:
			r.live.capture()
			wait = min(2*wait, 10*time.Second)
			timer.Reset(wait)
		}
	}
}

// forward passes a signal on, unless the terminal has already sent it to the
// whole foreground process group.
func (r *running) forward(s os.Signal) {
	number, ok := s.(syscall.Signal)
	if !ok {
		return
	}
	r.mu.Lock()
	r.passed[number] = true
	r.mu.Unlock()
	if (number == syscall.SIGINT || number == syscall.SIGQUIT || number == syscall.SIGWINCH) && inForeground() {
		return
	}
	// A command that is already dead needs no signal.
	_ = r.cmd.Process.Signal(s)
}

// inForeground reports whether our process group is the one that the
// controlling terminal sends keyboard signals to.
func inForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

func (r *running) forwarded() map[syscall.Signal]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passed
}

// wait ends with the command, and with its standard error where nobody else
// keeps that open.
func (r *running) wait() (*os.ProcessState, error) {
	state, err := r.cmd.Process.Wait()
	r.live.stop()
	select {
	case <-r.copied:
	case <-time.After(drain):
		// A read in progress ends, so that the tail is ours to look at.
		_ = r.pipe.SetReadDeadline(time.Now())
		<-r.copied
	}
	r.pipe.Close()
	return state, err
}
