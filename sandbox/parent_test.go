package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/replay"
	"hookline/sandbox/wire"
)

// stand makes a program that stands in for the small binary and misbehaves.
func stand(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), sandbox.BinaryName)
	writeProgram(t, path, []byte("#!/bin/sh\n"+script+"\n"))
	return path
}

// writeProgram writes a file that is run at once. No process may be started
// meanwhile: it would inherit the open file until it runs its own program, and
// a file that somebody writes to cannot be run ("text file busy").
func writeProgram(t *testing.T, path string, b []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

// The parent keeps time and reason whatever its two processes do.
func TestMisbehavingProcesses(t *testing.T) {
	t.Parallel()
	work := task("local x")
	work.Predicate.MaxRuntimeMS = 200
	for _, tt := range []struct {
		name, script   string
		code, recorded errs.Code // of the outcome, or of the error
	}{
		{"both hang", "exec sleep 60", errs.CodeLimitTime, errs.CodeLimitTime},
		{"both end", "exit 0", errs.CodeSandboxCrash, errs.CodeSandboxCrash},
		{"both are unconfined", "exit 97", errs.CodeSandboxUnconfined, errs.CodeSandboxUnconfined},
		{"both say nonsense", "echo nonsense; echo nonsense >&4 2>/dev/null; exec sleep 60", errs.CodeSandboxCrash, errs.CodeLimitCalls},
		{"both flood", "exec cat /dev/zero", errs.CodeSandboxCrash, errs.CodeSandboxCrash},
		{"both flood errors", "cat /dev/zero >&2", errs.CodeLimitTime, errs.CodeLimitTime},
		{"the worker does nothing", `[ "$1" = worker ] && exec sleep 60; exec "` + binary + `" "$@"`, errs.CodeLimitTime, errs.CodeLimitTime},
		{"the worker is gone", `[ "$1" = worker ] && exit 1; exec "` + binary + `" "$@"`, errs.CodeSandboxCrash, errs.CodeSandboxCrash},
		{"the broker is gone", `[ "$1" = broker ] && exit 1; exec "` + binary + `" "$@"`, errs.CodeSandboxCrash, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := stand(t, tt.script)
			began := time.Now()
			out, err := (&sandbox.Runner{Binary: path}).Run(context.Background(), work)
			check := func(what string, out sandbox.Outcome, err error, want errs.Code) {
				code := errs.Code(out.Code)
				if err != nil {
					code = errs.CodeOf(err)
				}
				if code != want {
					t.Errorf("%s: %q %q %v, expected %q", what, out.Code, out.Error, err, want)
				}
			}
			check("live", out, err, tt.code)
			out, err = replay.Run(context.Background(), path, work, replay.Fixtures{})
			check("recorded", out, err, tt.recorded)
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// A worker that has run and then ends like one that was never confined is a
// crash: what it read stays in the outcome.
func TestWorkerCannotTakeItsReadsBack(t *testing.T) {
	t.Parallel()
	frame := func(head wire.Request) string {
		bytes, err := wire.Encode(head, nil, sandbox.MaxFrameBytes)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, b := range bytes {
			text += fmt.Sprintf("\\%03o", b)
		}
		return "printf '" + text + "'; "
	}
	path := stand(t, `[ "$1" = worker ] || exec "`+binary+`" "$@"; `+
		frame(wire.Request{Op: wire.OpReady})+frame(wire.Request{Op: wire.OpRead, Arg: "/proc/meminfo"})+"sleep 0.2; exit 97")
	work := task("x", "/proc/meminfo")
	for name, run := range map[string]func() (sandbox.Outcome, error){
		"live": func() (sandbox.Outcome, error) {
			return (&sandbox.Runner{Binary: path}).Run(context.Background(), work)
		},
		"recorded": func() (sandbox.Outcome, error) {
			return replay.Run(context.Background(), path, work, replay.Fixtures{Files: map[string]string{"/proc/meminfo": "x"}})
		},
	} {
		out, err := run()
		if err != nil || out.Code != string(errs.CodeSandboxCrash) || len(out.Calls) != 1 {
			t.Errorf("%s: %+v %v", name, out, err)
		}
	}
}

func TestFindBinary(t *testing.T) {
	good := stand(t, "exit 0")
	t.Setenv("HOOKLINE_SANDBOX", good)
	if got, err := sandbox.FindBinary(); err != nil || got != good {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv("HOOKLINE_SANDBOX", t.TempDir())
	if _, err := sandbox.FindBinary(); err == nil {
		t.Error("a folder was taken")
	}
	t.Setenv("HOOKLINE_SANDBOX", "")
	t.Setenv("PATH", filepath.Dir(good))
	if got, err := sandbox.FindBinary(); err != nil || got != good {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := sandbox.FindBinary(); err == nil {
		t.Error("found where there is none")
	}
}
