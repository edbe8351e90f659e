// Package spawn starts the processes of one run, and says how they ended.
//
// A process gets exactly the descriptors that it is given, an empty
// environment but for settings of its own runtime, and as root its own
// namespaces. It is always waited for, so that none stays behind.
package spawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hookline/internal/errs"
)

const (
	exitUnconfined = 97
	stuckAfter     = 10 * time.Second
	stderrBytes    = 4096
)

// Process is one started process of the small binary.
type Process struct {
	process *os.Process
	stderr  *os.File
	cpu     time.Duration // its hard limit of processor time
	ended   chan struct{}
	state   *os.ProcessState
	late    atomic.Bool // killed because its time was over
	killed  atomic.Bool // killed by this program, whatever for
}

// CPUSeconds is the processor time that a run of the given length may use: a
// bound behind the wall clock.
func CPUSeconds(runtime time.Duration) int { return int(runtime/time.Second) + 3 }

// Options are what to start and with what.
type Options struct {
	Binary  string
	Args    []string      // the mode and what follows it
	CPU     time.Duration // its hard limit of processor time, which it sets itself
	Isolate bool          // in namespaces of its own, where this process may make them
	Files   []*os.File    // its descriptors 0, 1 and from 3 on, or all of them; they stay the caller's to close
	Errors  bool          // Files has its standard error too, as descriptor 2
}

// Start starts a process.
func Start(o Options) (*Process, error) {
	p := &Process{cpu: o.CPU, ended: make(chan struct{})}
	given := o.Files
	if !o.Errors {
		in, out, err := Pipe(Reading)
		if err != nil {
			return nil, err
		}
		defer out.Close()
		p.stderr, given = in, append([]*os.File{o.Files[0], o.Files[1], out}, o.Files[2:]...)
	}
	attr := &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"GOMAXPROCS=1", "GOTRACEBACK=none"},
		Files: given,
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if o.Isolate && MayIsolate() == nil {
		attr.Sys.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWNS
	}
	started := make(chan error, 1)
	go p.live(started, o.Binary, append([]string{"hookline-sandbox"}, o.Args...), attr)
	if err := <-started; err != nil {
		CloseAll(p.stderr)
		return nil, err
	}
	return p, nil
}

// live starts the process and waits for its end, both on one thread that is
// kept for it: the kernel ends the process when that thread ends, so that a
// guard that is killed leaves none behind.
func (p *Process) live(started chan<- error, binary string, args []string, attr *os.ProcAttr) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	process, err := os.StartProcess(binary, args, attr)
	p.process = process
	started <- err
	if err != nil {
		return
	}
	p.state, _ = process.Wait()
	close(p.ended)
}

// MayIsolate says why this process cannot make namespaces, nil where it can.
func MayIsolate() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	switch {
	case os.Geteuid() != 0:
		return errors.New("not root")
	case unix.Capget(&header, &data[0]) != nil || data[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0:
		return errors.New("root without CAP_SYS_ADMIN")
	}
	return nil
}

// PeakMemory is the most resident memory that the process has used so far, in
// bytes, 0 where it cannot be known any more: what the kernel says of a process
// that has ended counts in the memory of the one that started it, which it
// shares until it executes.
func (p *Process) PeakMemory() int64 {
	select {
	case <-p.ended:
		return 0
	default:
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.process.Pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "\nVmHWM:")
	text, _, _ := strings.Cut(rest, " kB\n")
	kib, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0 // it is a zombie
	}
	return kib << 10
}

// PID is the process's number.
func (p *Process) PID() int { return p.process.Pid }

// Kill ends the process at once.
func (p *Process) Kill() {
	select {
	case <-p.ended:
	default:
		p.killed.Store(true)
		_ = p.process.Kill()
	}
}

// KillLate is Kill because its time is over.
func (p *Process) KillLate() {
	p.late.Store(true)
	p.Kill()
}

// Wait waits until the process has ended, and kills it after grace. One that
// the kernel cannot end yet, since it hangs in a file system that does not
// answer, is left to be reaped when it does.
func (p *Process) Wait(grace time.Duration) {
	if grace > 0 && p.endedWithin(grace) {
		return
	}
	p.Kill()
	p.endedWithin(stuckAfter)
}

func (p *Process) endedWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		return false
	}
}

// Close frees what the process held, after Wait and Fate.
func (p *Process) Close() { CloseAll(p.stderr) }

// Late reports whether the process was killed because its time was over.
func (p *Process) Late() bool { return p.late.Load() }

// Ended returns how a process ended: its code, or the signal that ended it.
// Call it after Wait; a process that hangs counts as killed.
func (p *Process) Ended() (code int, signal syscall.Signal) {
	select {
	case <-p.ended:
	default:
		return 0, syscall.SIGKILL
	}
	status, _ := p.state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 0, status.Signal()
	}
	return status.ExitStatus(), 0
}

// Fate says why a process ended that did not say so itself. Call it after Wait.
func (p *Process) Fate() (errs.Code, string) {
	select {
	case <-p.ended:
	default:
		return errs.CodeLimitTime, "hangs in the system, and cannot be ended"
	}
	words := p.lastWords()
	status, _ := p.state.Sys().(syscall.WaitStatus)
	switch {
	case p.late.Load():
		return errs.CodeLimitTime, "longer than its time, and killed"
	case status.Exited() && status.ExitStatus() == exitUnconfined:
		return errs.CodeSandboxUnconfined, "cannot be confined"
	case status.Signaled() && status.Signal() == syscall.SIGXCPU:
		return errs.CodeLimitTime, fmt.Sprintf("more than %v of processor time", p.cpu)
	case status.Signaled() && status.Signal() == syscall.SIGKILL && p.killed.Load():
		return errs.CodeSandboxCrash, "made no sense, and was killed"
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		if p.state.SystemTime()+p.state.UserTime() >= p.cpu-time.Second/2 {
			return errs.CodeLimitTime, fmt.Sprintf("more than %v of processor time", p.cpu)
		}
		return errs.CodeSandboxKilled, "killed from outside, by somebody or by a system that was short of memory"
	case outOfMemory(words):
		return errs.CodeLimitMemory, "more memory than the process may use"
	}
	return errs.CodeSandboxCrash, "ended without a word (" + p.state.String() + ")"
}

// outOfMemory knows the last words of Go's runtime when it cannot go on for
// want of memory, stack or threads. The runtime's own code faults only where
// it did not get the memory that it asked for; a fault of other code would be
// a panic. (The kernel's figure of memory used is no help: it counts the
// parent's in.)
func outOfMemory(words string) bool {
	for _, s := range []string{
		"SIGSEGV: segmentation violation", "out of memory", "cannot allocate memory", "stack exceeds", "stack overflow", "failed to create new OS thread", "thread exhaustion",
	} {
		if strings.Contains(words, s) {
			return true
		}
	}
	return false
}

// lastWords is what the process wrote on its standard error: never shown, only
// looked at for the reason of its end.
func (p *Process) lastWords() string {
	_ = p.stderr.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, stderrBytes)
	n := 0
	for n < len(buf) {
		m, err := p.stderr.Read(buf[n:])
		if n += m; err != nil {
			break
		}
	}
	return string(buf[:n])
}

// End names an end of a pipe.
type End int

// The ends that stay with the caller of Pipe.
const (
	Neither End = iota
	Reading
	Writing
)

// Pipe returns a pipe whose ends are closed in any other program that this
// process starts. The end that stays here takes deadlines; the ends that
// processes get block, since they are read without the runtime's poller.
func Pipe(mine End) (r, w *os.File, err error) {
	var fd [2]int
	if err := unix.Pipe2(fd[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	if mine != Neither {
		_ = unix.SetNonblock(fd[mine-Reading], true)
	}
	return os.NewFile(uintptr(fd[0]), "pipe"), os.NewFile(uintptr(fd[1]), "pipe"), nil
}

// Guard ends processes when ctx ends, and kills the worker when its time is
// over; stop undoes both.
func Guard(ctx context.Context, worker *Process, after time.Duration, others ...*Process) (stop func()) {
	timer := time.AfterFunc(after, worker.KillLate)
	undo := context.AfterFunc(ctx, func() {
		worker.Kill()
		for _, p := range others {
			p.Kill()
		}
	})
	return func() {
		timer.Stop()
		undo()
	}
}

// CloseAll closes files.
func CloseAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// ErrTimeout reports whether a pipe's deadline passed.
func ErrTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
