package guard

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"hookline/internal/guardwire"

	"github.com/cenkalti/backoff/v5"
)

// Child says how the network side is started: this same program with a hidden
// command, which becomes its user, shuts itself in, and finds its end of the
// socketpair as descriptor 3.
type Child struct {
	Program string // path of this program
	Args    []string
	Dir     string // the network side's own folder
	UID     int    // to become, -1 to stay
	GID     int
	Stderr  *os.File
}

// How long the network side has to end after its socket was closed, and what
// a restart waits at most.
const (
	childGrace  = 5 * time.Second
	maxRestart  = 30 * time.Second
	healthyTime = time.Minute
)

// Run serves the owner's socket and keeps a network side running until ctx
// ends.
func (g *Guard) Run(ctx context.Context, child Child) error {
	l, err := g.Listen()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g.mu.Lock()
	g.serving = true
	g.mu.Unlock()
	answered := make(chan error, 1)
	go func() {
		answered <- g.Answer(ctx, l)
		cancel()
	}()
	g.superviseNetwork(ctx, child)
	return <-answered
}

// superviseNetwork starts the network side again whenever it ends, later each
// time it ends soon.
func (g *Guard) superviseNetwork(ctx context.Context, child Child) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, maxRestart
	for ctx.Err() == nil {
		started := time.Now()
		err := g.runChild(ctx, child)
		if ctx.Err() != nil {
			return
		}
		g.opts.Log.Warn("the network side ended and is started again", "error", err)
		if err != nil {
			g.setTrouble(err.Error())
		}
		if time.Since(started) > healthyTime {
			wait.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait.NextBackOff()):
		}
	}
}

func (g *Guard) setTrouble(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trouble = cut(text, 500)
}

// runChild starts one network side and serves it until it ends.
func (g *Guard) runChild(ctx context.Context, child Child) error {
	conn, theirs, err := guardwire.Pair()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ended := make(chan error, 1)
	started := make(chan error, 1)
	cmd := child.command(theirs)
	go func() {
		// The kernel ends the child when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		theirs.Close()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	g.setChild(cmd.Process.Pid)
	defer g.setChild(0)
	served := g.Serve(ctx, conn)
	if served != nil {
		g.noteForeign(Entry{Kind: KindNetwork, Reason: cut("the network side was stopped: "+served.Error(), 500)})
	}
	// Closed already where Serve ended by an error.
	_ = conn.Close()
	select {
	case err = <-ended:
	case <-time.After(childGrace):
		// A process that has ended meanwhile needs no kill.
		_ = cmd.Process.Kill()
		err = <-ended
	}
	return errors.Join(served, err)
}

func (g *Guard) setChild(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.childPID = pid
}

// command is the child's. Of the environment it gets only what steers the Go
// runtime.
func (c Child) command(socket *os.File) *exec.Cmd {
	args := append(append([]string{}, c.Args...), "--dir", c.Dir, "--uid", strconv.Itoa(c.UID), "--gid", strconv.Itoa(c.GID))
	// Its life ends with its socket, then with Kill: no context.
	cmd := exec.Command(c.Program, args...) //nolint:noctx // see above
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	for _, name := range []string{"GODEBUG", "GOTRACEBACK"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Stderr = c.Stderr
	cmd.ExtraFiles = []*os.File{socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd
}
