package onebox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ReadyTimeout bounds how long a process may take until it says that it is ready.
const ReadyTimeout = 30 * time.Second

// Process is one of our programs, running.
type Process struct {
	Ready string // the line on standard output that said so
	cmd   *exec.Cmd
	log   *tail
	done  chan struct{}
	err   error
}

// start runs a program and waits for the line on its standard output that
// begins with ready. Its standard error goes to the file named log as well.
func start(ctx context.Context, log string, env []string, ready string, argv ...string) (*Process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &Process{log: &tail{}, done: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...) //nolint:noctx // it outlives the call: Stop and Kill end it
	p.cmd.Env = env
	p.cmd.Stderr = io.MultiWriter(file, p.log)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", argv[0], err)
	}
	line := make(chan string, 1)
	go p.watch(out, ready, line, file)
	return p, p.await(ctx, line)
}

func (p *Process) watch(out io.Reader, ready string, line chan<- string, log io.WriteCloser) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), ready) {
			select {
			case line <- lines.Text():
			default: // it said so before
			}
		}
	}
	p.err = p.cmd.Wait()
	log.Close()
	close(p.done)
}

func (p *Process) await(ctx context.Context, line <-chan string) error {
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	select {
	case p.Ready = <-line:
		return nil
	case <-p.done:
		return fmt.Errorf("%s ended before it was ready: %w\n%s", p.cmd.Path, errors.Join(p.err), p.log)
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s was not ready in time: %w\n%s", p.cmd.Path, ctx.Err(), p.log)
	}
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error says that it has ended already
	<-p.done
}

// Stop asks the process to end, as a service manager does, and waits.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return p.err
	case <-time.After(ReadyTimeout):
		p.Kill()
		return fmt.Errorf("%s did not stop on SIGTERM\n%s", p.cmd.Path, p.log)
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Log is the end of what the process wrote on standard error.
func (p *Process) Log() string { return p.log.String() }

// tail keeps the last 16 KiB written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - 16<<10; over > 0 {
		t.buf = append([]byte(nil), t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

// Answer is what a command printed and how it ended.
type Answer struct {
	Stdout, Stderr string
	Code           int
}

// run runs a command to its end. A non-zero exit is in the answer, not an error.
func run(ctx context.Context, env []string, stdin string, argv ...string) (Answer, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Stdin = env, &out, &errOut, strings.NewReader(stdin)
	err := cmd.Run()
	answer := Answer{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return answer, err
}

// Eventually calls check until it returns nil; after the time given it
// returns check's last error.
func Eventually(ctx context.Context, within time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", within, err)
		}
	}
}
