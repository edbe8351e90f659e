// Package replay runs hooks in the real sandbox over recorded answers: the
// worker process is the one of live runs, the broker answers in process from
// Fixtures and touches nothing of the host. It serves hook test, CI and the
// server's lint and trial runs.
package replay

import (
	"context"
	"os"
	"strconv"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/spawn"
	"hookline/sandbox/wire"
)

// grace is how long the worker may take to end once its run is over.
const grace = time.Second

// Run runs the task in a confined worker of binary over the fixtures. The
// outcome tells how the hook ended; an error means that the run could not be
// set up or confined.
func Run(ctx context.Context, binary string, t sandbox.Task, f Fixtures) (sandbox.Outcome, error) {
	if out, ok := sandbox.Refused(t); ok {
		return out, nil
	}
	if t.Facts == (hooks.Facts{}) {
		t.Facts = f.Facts
	}
	began := time.Now()
	w, err := start(binary, "worker", t.Runtime())
	if err != nil {
		return sandbox.Outcome{}, err
	}
	defer w.close()
	stop := w.guard(ctx, t.Runtime()+sandbox.KillAfter)
	defer stop()
	out := calls.Serve(w.out, w.in, t, newHost(f), nil)
	if ctx.Err() != nil {
		return sandbox.Outcome{}, ctx.Err()
	}
	if t.Measure {
		out.Stats.PeakMemory = w.process.PeakMemory()
	}
	stop() // what is killed from here on is not late
	out, err = sandbox.Conclude(out, w.process, t)
	out.Stats.Wall = time.Since(began)
	return out, err
}

// missable are the layers that a recorded run does without where they cannot
// be had, as in containers and on old kernels: there is nothing of the host to
// keep a worker from, and what keeps it from asking, seccomp, always holds.
const missable = sandbox.LayerLandlock + "," + sandbox.LayerNamespaces

// worker is a process of the small binary and this end of its two pipes.
type worker struct {
	process *spawn.Process
	in, out *os.File
}

func start(binary, mode string, runtime time.Duration) (*worker, error) {
	childIn, in, err := spawn.Pipe(spawn.Writing)
	if err != nil {
		return nil, err
	}
	out, childOut, err := spawn.Pipe(spawn.Reading)
	if err != nil {
		spawn.CloseAll(childIn, in)
		return nil, err
	}
	cpu := spawn.CPUSeconds(runtime)
	process, err := spawn.Start(spawn.Options{
		Binary: binary, Args: []string{mode, strconv.Itoa(cpu), "without=" + missable}, CPU: time.Duration(cpu) * time.Second, Isolate: true,
		Files: []*os.File{childIn, childOut},
	})
	spawn.CloseAll(childIn, childOut)
	if err != nil {
		spawn.CloseAll(in, out)
		return nil, errs.Wrap(errs.CodeSandboxUnconfined, err, "cannot start the sandbox")
	}
	return &worker{process: process, in: in, out: out}, nil
}

// guard kills the worker when its time is over; the pipes then end by
// themselves, and their own deadline only stands behind that.
func (w *worker) guard(ctx context.Context, after time.Duration) (stop func()) {
	deadline := time.Now().Add(after + grace)
	_ = w.in.SetWriteDeadline(deadline)
	_ = w.out.SetReadDeadline(deadline)
	return spawn.Guard(ctx, w.process, after)
}

func (w *worker) close() {
	spawn.CloseAll(w.in, w.out)
	w.process.Wait(0)
	w.process.Close()
}

// Finding is what the linter says about a script; the shape of lint.Finding,
// which callers must not link (it parses Lua).
type Finding = wire.Finding

// Lint checks a script against what would be signed, in a confined process.
// A script that stops or breaks the linter is an error with the code of the
// limit that it hit.
func Lint(ctx context.Context, binary string, script []byte, p hooks.Predicate) ([]Finding, error) {
	if err := hooks.CheckScript(script); err != nil {
		return []Finding{{File: hooks.ScriptName, Line: 1, Column: 1, Severity: "error", Code: string(errs.CodeBadScript), Message: err.Error()}}, nil
	}
	w, err := start(binary, "lint", sandbox.LintRuntime)
	if err != nil {
		return nil, err
	}
	defer w.close()
	stop := w.guard(ctx, sandbox.LintRuntime+sandbox.KillAfter)
	defer stop()
	var answer wire.LintAnswer
	_, err = wire.Write(w.in, wire.LintTask{Predicate: p}, script, sandbox.MaxFrameBytes)
	if err == nil {
		_, _, err = wire.Read(w.out, &answer, sandbox.MaxFrameBytes)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, w.lost()
	}
	findings := answer.Findings[:min(len(answer.Findings), sandbox.MaxFindings)]
	for i := range findings {
		findings[i] = placed(findings[i])
	}
	return findings, nil
}

// placed is a finding in one of the two files, whatever the linter says: in
// the manifest with no line, or in the script with one.
func placed(f Finding) Finding {
	if f.File == hooks.ManifestName {
		f.Line, f.Column = 0, 0
		return f
	}
	f.File, f.Key = hooks.ScriptName, ""
	f.Line, f.Column = max(f.Line, 1), max(f.Column, 1)
	return f
}

// lost is why the linter gave no answer.
func (w *worker) lost() error {
	w.process.Wait(grace)
	code, message := w.process.Fate()
	if code == errs.CodeSandboxUnconfined {
		return errs.New(code, "the linter %s", message)
	}
	return errs.New(code, "cannot lint the script: the linter ended: %s", message).
		WithHint("the script is too large or too deeply nested for the compiler")
}
