package server

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/reviews"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// Bounds of what the pages of reviewers run.
const (
	maxTrials = 2               // processes at a time
	trialWait = 3 * time.Second // for one of them to end
	trialTime = 20 * time.Second
)

// trialFiler is who filed the report, as far as a trial is concerned: the
// first user id that most systems give to a person, as in hook test.
const trialFiler = 1000

// bench lints and tries versions for their reviewers, in confined processes of
// the small binary. What a hook asks a machine for is answered from a recording,
// or from none: nothing of this machine is looked at.
type bench struct {
	path  string
	slots chan struct{}
	log   *slog.Logger
}

// newBench is nil where there is no small binary.
func newBench(path string, log *slog.Logger) reviews.Bench {
	if path = smallBinary(path); path == "" {
		return nil
	}
	return &bench{path: path, slots: make(chan struct{}, maxTrials), log: log}
}

// enter waits for a place, and bounds what is done in it.
func (b *bench) enter(ctx context.Context) (inside context.Context, leave func(), err error) {
	wait := time.NewTimer(trialWait)
	defer wait.Stop()
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-wait.C:
		return nil, nil, errs.New(errs.CodeUnavailable, "others are trying hooks at this moment").WithHint("try again in a few seconds")
	}
	inside, cancel := context.WithTimeout(ctx, trialTime)
	return inside, func() {
		cancel()
		<-b.slots
	}, nil
}

// Lint is what the linter finds in a version.
func (b *bench) Lint(ctx context.Context, script, statement []byte) ([]reviews.Finding, error) {
	st, err := hooks.ParseStatement(statement)
	if err != nil {
		return nil, err
	}
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	found, err := replay.Lint(ctx, b.path, script, st.Predicate)
	if err != nil {
		return nil, b.explained(ctx, err)
	}
	out := make([]reviews.Finding, 0, len(found))
	for _, f := range found {
		one := reviews.Finding{File: f.File, Severity: f.Severity, Message: f.Message, Code: f.Code}
		if f.File != hooks.ManifestName {
			one.Line = int64(f.Line)
		}
		out = append(out, one)
	}
	return out, nil
}

// Try runs a version over a saved report, with recorded answers or none. The
// statement bounds the run as it does on a machine: what it does not allow is
// denied before a recording is asked.
func (b *bench) Try(ctx context.Context, script, statement []byte, original jobs.Job, recording []byte) (reviews.Trial, error) {
	st, err := hooks.ParseStatement(statement)
	if err != nil {
		return reviews.Trial{}, err
	}
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return reviews.Trial{}, err
	}
	defer leave()
	r := original.Report
	fixtures, err := recorded(recording) // in a place, since reading it takes time too
	if err != nil {
		return reviews.Trial{}, err
	}
	if fixtures.Facts == (hooks.Facts{}) {
		fixtures.Facts = hooks.Facts{OS: "linux", Release: r[hooks.FieldRelease], Kernel: r[hooks.FieldKernel], Arch: r[hooks.FieldArchitecture]}
	}
	out, err := replay.Run(ctx, b.path, sandbox.Task{
		Script: script, Predicate: st.Predicate, Report: r, Now: time.Now().UTC(), Measure: true,
		Filer: sandbox.Filer{UID: trialFiler, Known: true},
	}, fixtures)
	if err != nil {
		return reviews.Trial{}, b.explained(ctx, err)
	}
	return trialOf(st.Predicate, out)
}

// recorded reads a recording that somebody pasted; nil is an empty one.
// Refusals name its line and column.
func recorded(b []byte) (replay.Fixtures, error) {
	if b == nil {
		return replay.Fixtures{}, nil
	}
	f, err := replay.ParseFixtures(b)
	if e, ok := errs.As(err); ok {
		_, place, _ := strings.Cut(e.Field, ":")
		e = e.At(strings.TrimSuffix("recording:"+place, ":"))
		if e.Hint == "" {
			e = e.WithHint("paste the whole fixtures.yaml that hook test --record wrote; its form stands in: hookline hook test --help")
		}
		return f, e
	}
	return f, err
}

// explained keeps a process that could not be had out of a page's way.
func (b *bench) explained(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errs.New(errs.CodeUnavailable, "it took longer than %v", trialTime).WithHint("try again; on your own machine: hookline hook test")
	case errs.Is(err, errs.CodeSandboxUnconfined):
		b.log.WarnContext(ctx, "the sandbox cannot be had here", "error", err)
		return errs.New(errs.CodeUnavailable, "this server cannot confine a hook").WithHint("try it on your own machine: hookline hook test")
	}
	return err
}

// trialOf is what a reviewer sees of an outcome.
func trialOf(p hooks.Predicate, out sandbox.Outcome) (reviews.Trial, error) {
	t := reviews.Trial{
		Code: out.Code, Error: out.Error, Line: int64(out.Line), Asked: out.Stats.Calls, Denied: out.Denied, Log: out.Log,
		Took: out.Stats.Wall, Memory: out.Stats.PeakMemory, Ending: out.Ending(),
	}
	if out.Code == "" && len(out.Fields) > 0 {
		var err error
		if t.Fields, err = out.Fields.Canonical(); err != nil {
			return t, err
		}
	}
	for _, f := range p.Fields {
		if _, set := out.Fields[f.Name]; !set && out.Code == "" {
			t.NotSet = append(t.NotSet, f.Name)
		}
	}
	slices.Sort(t.NotSet)
	for _, c := range out.Calls {
		call := reviews.Call{Name: c.Name, Arg: c.Arg, Code: c.Code, Reason: c.Reason, Bytes: int64(c.Bytes)}
		if call.Unrecorded = strings.Contains(c.Reason, replay.NotRecorded); call.Unrecorded {
			call.Reason = ""
		}
		t.Calls = append(t.Calls, call)
	}
	t.Stop = stopOf(out, t.Calls)
	return t, nil
}

// stopOf is the call that nobody recorded where that ended the run: the last
// such one, unless there were more calls than are listed.
func stopOf(out sandbox.Outcome, calls []reviews.Call) *reviews.Call {
	if out.Code != string(errs.CodeCallFailed) || !strings.Contains(out.Error, replay.NotRecorded) {
		return nil
	}
	stop := reviews.Call{}
	if len(calls) < sandbox.MaxRecordedCalls {
		for _, c := range calls {
			if c.Unrecorded {
				stop = c
			}
		}
	}
	return &stop
}
