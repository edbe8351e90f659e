// Package broker answers a worker's calls on the host it runs on. It is the
// live counterpart of the recorded broker in sandbox/replay, and only the
// small binary links it: a server cannot start one.
//
// A broker is a process of its own per run. It gets the task from the guard,
// locks itself in (its identity, landlock on the declared paths, no programs,
// no network), serves one worker, and hands the outcome back. What it may
// read is decided by package calls; this package makes sure that the file
// which is read is the one that was decided upon. It starts no command either:
// it asks the guard, which holds the call against the signed pattern again.
package broker

import (
	"io"
	"runtime/debug"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// gcPercent lets a broker, which lives for milliseconds and keeps little, go
// on for longer before it collects.
const gcPercent = 400

// Opened is what a broker must be able to open, for whom.
type Opened struct {
	UID, GID uint32
	Read     []string // files, by the patterns of capabilities
	List     []string // folders, by the patterns of capabilities
	Without  []string // layers that may be missing
}

// Main serves one run: the task comes over task, the worker speaks over r and
// w, and the outcome goes to result. confine locks the process in; where it
// fails nothing is served.
func Main(task io.Reader, result io.Writer, r io.Reader, w io.Writer, confine func(Opened) error) error {
	var head sandbox.BrokerTask
	if _, _, err := wire.Read(task, &head, sandbox.MaxTaskBytes); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	c := head.Task.Predicate.Capabilities
	var outcome sandbox.Outcome
	if err := confine(Opened{UID: head.UID, GID: head.GID, Read: readable(c), List: c.FSList, Without: head.Without}); err != nil {
		outcome.Code, outcome.Error = string(errs.CodeSandboxUnconfined), err.Error()
	} else {
		host := &Host{guard: guard{answers: task, calls: result}}
		outcome = calls.Serve(r, w, head.Task, host, append(head.Deny, ownProc()...))
	}
	_, err := wire.Write(result, sandbox.FromBroker{Outcome: &outcome}, nil, sandbox.MaxTaskBytes)
	return err
}

// readable is what landlock has to leave open: the declared paths, and where
// well-known links that they cover lead.
func readable(c hooks.Capabilities) []string {
	paths := c.FSRead
	for link, targets := range wellKnown() {
		if c.Reads(link) {
			paths = append(paths[:len(paths):len(paths)], targets...)
		}
	}
	return paths
}

// guard is the way to whoever may start commands.
type guard struct {
	answers io.Reader
	calls   io.Writer
}

// Run implements calls.Host.
func (g guard) Run(name string, args []string) (sandbox.CommandOutput, error) {
	call := sandbox.FromBroker{Command: &sandbox.CommandCall{Name: name, Args: args}}
	if _, err := wire.Write(g.calls, call, nil, sandbox.MaxTaskBytes); err != nil {
		return sandbox.CommandOutput{}, err
	}
	var answer sandbox.CommandAnswer
	output, _, err := wire.Read(g.answers, &answer, sandbox.MaxFrameBytes)
	switch {
	case err != nil:
		return sandbox.CommandOutput{}, err
	case answer.Code != "":
		return sandbox.CommandOutput{}, &calls.Error{Code: errs.Code(answer.Code), Message: answer.Error}
	case answer.Split < 0 || answer.Split > len(output):
		return sandbox.CommandOutput{}, wire.ErrMalformed
	}
	return sandbox.CommandOutput{Stdout: output[:answer.Split], Stderr: output[answer.Split:], Exit: answer.Exit}, nil
}
