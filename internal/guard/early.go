package guard

import (
	"context"

	"hookline/sandbox"
)

// preparer is a Sandbox whose processes can start before there is a task for
// them: sandbox.Runner.
type preparer interface {
	Prepare(w sandbox.Wanted) (*sandbox.Prepared, error)
}

// box is the sandbox of one run. Its processes start while the disk takes the
// decision: they hold nothing of the run before it is counted.
type box struct {
	ready chan struct{} // closed when the others are there
	plain Sandbox
	early *sandbox.Prepared
	err   error
}

// open starts the sandbox of a run that may happen.
func (g *Guard) open(s Setting, w sandbox.Wanted) *box {
	b := &box{ready: make(chan struct{})}
	go func() {
		defer close(b.ready)
		b.plain = g.opts.Sandbox(s)
		if p, ok := b.plain.(preparer); ok {
			b.early, b.err = p.Prepare(w)
		}
	}()
	return b
}

// run runs the task in the processes that were started, or in new ones where
// the sandbox cannot start them early.
func (b *box) run(ctx context.Context, t sandbox.Task) (sandbox.Outcome, error) {
	<-b.ready
	switch {
	case b.err != nil:
		return sandbox.Outcome{}, b.err
	case b.early != nil:
		defer b.early.Close()
		return b.early.Run(ctx, t)
	}
	return b.plain.Run(ctx, t)
}

// close ends the processes of a run that does not happen after all.
func (b *box) close() {
	<-b.ready
	if b.early != nil {
		b.early.Close()
	}
}
