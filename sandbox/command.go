package sandbox

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox/spawn"
	"hookline/sandbox/wire"
)

// command starts what a broker asks for, if people signed it, and returns the
// answer with its output. The broker has checked the same; it is not believed.
func (r *run) command(ctx context.Context, call CommandCall) (CommandAnswer, []byte) {
	refused := func(err error) (CommandAnswer, []byte) {
		return CommandAnswer{Code: string(errs.CodeOf(err)), Error: messageOf(err)}, nil
	}
	if r.commands++; r.commands > MaxCommandRuns {
		return refused(errs.New(errs.CodeLimitCalls, "more than %d commands", MaxCommandRuns))
	}
	cmd, err := r.allowed(call)
	if err != nil {
		return refused(err)
	}
	task := CommandTask{
		Program: cmd.Program, Args: call.Args, Reads: cmd.Reads, UID: r.who.UID, GID: r.who.GID, Syslog: cmd.Syslog,
		Deny: r.deny,
	}
	out, err := r.runner.runCommand(ctx, task, min(CommandRuntime, time.Until(r.ends)))
	if err != nil {
		return refused(err)
	}
	return CommandAnswer{Exit: out.Exit, Split: len(out.Stdout)}, append(out.Stdout, out.Stderr...)
}

func messageOf(err error) string {
	if e, ok := errs.As(err); ok {
		return e.Error()
	}
	return "cannot run the command"
}

// allowed holds a call against what was signed, and against what nobody can
// sign away.
func (r *run) allowed(call CommandCall) (hooks.Command, error) {
	p := r.task.Predicate
	cmd, ok := p.Capabilities.Command(call.Name)
	if !ok {
		return cmd, errs.New(errs.CodeDenied, "not among the signed commands")
	}
	if err := cmd.Check(call.Args); err != nil {
		return cmd, errs.New(errs.CodeDenied, "%v", err)
	}
	if r.task.Steered() && len(p.Chosen(cmd, call.Args)) > 0 {
		return cmd, errs.New(errs.CodeDenied, "a report that somebody else filed must not choose what a program of root gets")
	}
	for i, place := range cmd.Args {
		switch {
		case place == hooks.PlacePID && !r.owns(call.Args[i]):
			return cmd, errs.New(errs.CodeDenied, "the process does not belong to the user who filed the report")
		case place == hooks.PlacePath && hooks.NeverRead(call.Args[i]) != "":
			return cmd, errs.New(errs.CodeDenied, "%s", hooks.NeverRead(call.Args[i]))
		}
	}
	return cmd, nil
}

// owns reports whether a process belongs to the user who filed the report.
func (r *run) owns(pid string) bool {
	info, err := os.Lstat("/proc/" + pid)
	if err != nil || !r.task.Filer.Known {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == r.task.Filer.UID
}

// runCommand runs one command in its shim and waits for its end.
func (r *Runner) runCommand(ctx context.Context, task CommandTask, limit time.Duration) (CommandOutput, error) {
	if limit <= 0 {
		return CommandOutput{}, errs.New(errs.CodeLimitTime, "the time of the run is over")
	}
	c, err := r.startCommand()
	if err != nil {
		return CommandOutput{}, errs.Wrap(errs.CodeSandboxUnconfined, err, "cannot start a command")
	}
	defer c.close()
	stop := spawn.Guard(ctx, c.process, limit)
	defer stop()
	deadline := time.Now().Add(limit + brokerGrace)
	for _, f := range []*os.File{c.stdout, c.stderr, c.status} {
		_ = f.SetReadDeadline(deadline)
	}
	_ = c.task.SetWriteDeadline(deadline)
	_, err = wire.Write(c.task, task, nil, MaxTaskBytes)
	_ = c.task.Close()
	if err != nil {
		err = errs.New(errs.CodeCallFailed, "the command's shim ended before it had its task")
	} else {
		err = c.refusal()
	}
	if err != nil {
		return CommandOutput{}, err
	}
	return c.collect(limit)
}

// command is one program under way, and this end of its pipes.
type command struct {
	process                      *spawn.Process
	task, stdout, stderr, status *os.File
}

func (r *Runner) startCommand() (*command, error) {
	var files [10]*os.File
	for i, mine := range []spawn.End{spawn.Neither, spawn.Reading, spawn.Reading, spawn.Writing, spawn.Reading} {
		in, out, err := spawn.Pipe(mine)
		if err != nil {
			spawn.CloseAll(files[:]...)
			return nil, err
		}
		files[2*i], files[2*i+1] = in, out
	}
	process, err := spawn.Start(spawn.Options{
		Binary: r.Binary, Args: r.mode("command", CommandCPUSeconds), CPU: CommandCPUSeconds * time.Second, Isolate: true,
		Files: []*os.File{files[0], files[3], files[5], files[6], files[9]}, Errors: true,
	})
	spawn.CloseAll(files[0], files[1], files[3], files[5], files[6], files[9])
	if err != nil {
		spawn.CloseAll(files[2], files[4], files[7], files[8])
		return nil, err
	}
	return &command{process: process, task: files[7], stdout: files[2], stderr: files[4], status: files[8]}, nil
}

func (c *command) close() {
	c.process.Wait(0)
	c.process.Close()
	spawn.CloseAll(c.task, c.stdout, c.stderr, c.status)
}

// refusal waits until the program runs, and returns why it does not.
func (c *command) refusal() error {
	var answer CommandAnswer
	_, _, err := wire.Read(c.status, &answer, MaxFrameBytes)
	switch {
	case errors.Is(err, io.EOF):
		return nil // the shim closed it by becoming the program, or died
	case spawn.ErrTimeout(err):
		return tooLong()
	case err != nil:
		return errs.New(errs.CodeCallFailed, "the command's shim made no sense")
	case answer.Code == string(errs.CodeDenied):
		return errs.New(errs.CodeDenied, "%.200s", answer.Error)
	}
	return errs.New(errs.CodeCallFailed, "%.200s", answer.Error)
}

func tooLong() error {
	return errs.New(errs.CodeLimitTime, "the command ran longer than %v", CommandRuntime)
}

// collect reads what the program prints, kills it over its cap, and returns
// how it ended.
func (c *command) collect(limit time.Duration) (CommandOutput, error) {
	var out CommandOutput
	budget := newAllowance(MaxOutputBytes)
	var reading sync.WaitGroup
	reading.Go(func() { out.Stderr = c.drain(c.stderr, budget) })
	out.Stdout = c.drain(c.stdout, budget)
	reading.Wait()
	c.process.Wait(limit + brokerGrace) // it may have closed what it prints to, and go on
	exit, signal := c.process.Ended()
	switch {
	case budget.exceeded():
		return CommandOutput{}, errs.New(errs.CodeLimitOutput, "the command printed more than %d KiB", MaxOutputBytes>>10)
	case c.process.Late():
		return CommandOutput{}, errs.New(errs.CodeLimitTime, "the command ran longer than %v", limit.Round(time.Millisecond))
	case signal != 0:
		return CommandOutput{}, c.killed(signal)
	}
	out.Exit = exit
	return out, nil
}

// killed says why a program was ended by a signal.
func (c *command) killed(signal syscall.Signal) error {
	switch signal {
	case syscall.SIGXCPU, syscall.SIGKILL:
		return errs.New(errs.CodeLimitTime, "the command used more than %d s of processor time, or was killed", CommandCPUSeconds)
	case syscall.SIGSYS:
		return errs.New(errs.CodeDenied, "the program asked the system for something that no command may do")
	}
	return errs.New(errs.CodeCallFailed, "the program was ended by signal %d (%v)", int(signal), signal)
}

// drain reads to the end, or until the allowance is used up.
func (c *command) drain(f *os.File, a *allowance) []byte {
	var out []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := f.Read(buf)
		if !a.take(n) {
			c.process.Kill()
			return nil
		}
		out = append(out, buf[:n]...)
		if err != nil {
			return out
		}
	}
}

// allowance is bytes that several readers share.
type allowance struct {
	mu   sync.Mutex
	left int
}

func newAllowance(n int) *allowance { return &allowance{left: n} }

func (a *allowance) take(n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left -= n
	return a.left >= 0
}

func (a *allowance) exceeded() bool { return !a.take(0) }
