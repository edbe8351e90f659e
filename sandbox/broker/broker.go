// Package broker answers a worker's calls on the host it runs on. It is the
// live counterpart of the recorded broker in sandbox/replay, and only the
// small binary links it: a server cannot start one.
//
// A broker is a process of its own per run. It gets the task from the guard,
// locks itself in (its identity, landlock on the declared paths, no programs,
// no network), serves one worker, and hands the outcome back. What it may
// read is decided by package calls; this package makes sure that the file
// which is read is the one that was decided upon.
package broker

import (
	"io"

	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// Main serves one run: the task comes over task, the worker speaks over r and
// w, and the outcome goes to result. confine locks the process in, given the
// paths that will be read; where it fails nothing is served.
func Main(task io.Reader, result io.Writer, r io.Reader, w io.Writer, confine func(paths []string) error) error {
	var head sandbox.BrokerTask
	if _, _, err := wire.Read(task, &head, sandbox.MaxTaskBytes); err != nil {
		return err
	}
	var outcome sandbox.Outcome
	if err := confine(readable(head.Task)); err != nil {
		outcome.Code, outcome.Error = string(errs.CodeSandboxUnconfined), err.Error()
	} else {
		outcome = calls.Serve(r, w, head.Task, &Host{}, append(head.Deny, ownProc()...))
	}
	_, err := wire.Write(result, outcome, nil, sandbox.MaxTaskBytes)
	return err
}

// readable is what landlock has to leave open: the declared paths, and where
// well-known links that they cover lead.
func readable(t sandbox.Task) []string {
	paths := t.Predicate.Capabilities.FSRead
	for link, targets := range wellKnown() {
		if t.Predicate.Capabilities.Reads(link) {
			paths = append(paths[:len(paths):len(paths)], targets...)
		}
	}
	return paths
}
