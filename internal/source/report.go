package source

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"hookline/hooks"
	"hookline/internal/errs"

	"golang.org/x/sys/unix"
)

// live is what only a living process shows. Each capture keeps what it found
// and leaves what it did not.
type live struct {
	system System
	pid    int
	stop   func()

	mu                         sync.Mutex
	executable, limits, cgroup string
}

func (l *live) capture() {
	dir := filepath.Join("proc", strconv.Itoa(l.pid))
	limits := clean(l.system.read(filepath.Join(dir, "limits"), maxProcFile), maxProcFile)
	cgroup := clean(l.system.read(filepath.Join(dir, "cgroup"), maxProcFile), maxProcFile)
	exe, err := os.Readlink(filepath.Join(l.system.Root, dir, "exe"))
	// A dead process has no executable any more, and its cgroup is the root's.
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.executable = strings.TrimSuffix(exe, " (deleted)")
	l.limits, l.cgroup = strings.TrimRight(limits, "\n"), strings.TrimRight(cgroup, "\n")
}

// report builds the report of a dead command.
func (e Exec) report(ctx context.Context, r *running, d death) hooks.Report {
	report := hooks.Report{
		hooks.FieldProblemType: "Crash",
		hooks.FieldDate:        stamp(e.Now()),
	}
	e.addProcess(ctx, report, r, d)
	addTraceback(report, r.stderr)
	facts := e.System.Facts()
	set(report, hooks.FieldRelease, facts.Release)
	set(report, hooks.FieldKernel, facts.Kernel)
	set(report, hooks.FieldArchitecture, facts.Arch)
	set(report, hooks.FieldUptime, e.System.uptime())
	set(report, hooks.FieldMemory, e.System.memory())
	return report
}

func (e Exec) addProcess(ctx context.Context, report hooks.Report, r *running, d death) {
	r.live.mu.Lock()
	executable, limits, cgroup := r.live.executable, r.live.limits, r.live.cgroup
	r.live.mu.Unlock()
	if executable == "" {
		executable = resolved(r.cmd.Path)
	}
	set(report, hooks.FieldExecutablePath, clean([]byte(executable), 1024))
	set(report, hooks.FieldLimits, limits)
	set(report, hooks.FieldCgroup, cgroup)
	set(report, hooks.FieldCommandLine, clean([]byte(strings.Join(r.argv, " ")), maxCmdline))
	if d.signal != 0 {
		report[hooks.FieldSignal] = strconv.Itoa(int(d.signal))
		set(report, hooks.FieldSignalName, unix.SignalName(d.signal))
	} else {
		report[hooks.FieldExitCode] = strconv.Itoa(d.exit)
	}
	name, version := e.System.Package(ctx, executable)
	set(report, hooks.FieldPackage, name)
	set(report, hooks.FieldPackageVersion, version)
}

// resolved is the file behind a command's path, the path itself where it is gone.
func resolved(path string) string {
	if full, err := exec.LookPath(path); err == nil {
		path = full
	}
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	if full, err := filepath.EvalSymlinks(path); err == nil {
		path = full
	}
	return path
}

func addTraceback(report hooks.Report, stderr *tail) {
	set(report, hooks.FieldStderr, stderr.text())
	trace := stderr.traceback()
	frames := Frames(trace)
	if len(frames) == 0 {
		return
	}
	set(report, hooks.FieldTraceback, clean(trace, MaxTraceback))
	set(report, hooks.FieldFrames, clean([]byte(strings.Join(frames, "\n")), MaxFrames*300))
}

func openError(path string, err error) error {
	code, hint := errs.CodeBadInput, "give the path of a JSON file, or - to read standard input"
	switch {
	case errors.Is(err, os.ErrNotExist):
		code = errs.CodeNotFound
	case errors.Is(err, os.ErrPermission):
		code, hint = errs.CodeForbidden, "check the permissions of the file"
	}
	return errs.Wrap(code, errs.Plain(err), "cannot read %s", path).WithHint("%s", hint)
}

// ReadFile reads a report in JSON from a file, "-" being in.
func ReadFile(path string, in *os.File) (hooks.Report, error) {
	f := in
	if path != "-" {
		opened, err := os.Open(path)
		if err != nil {
			return nil, openError(path, err)
		}
		defer opened.Close()
		f = opened
	}
	b, err := readCapped(f, hooks.MaxReportBytes)
	if err != nil {
		return nil, err
	}
	return hooks.ParseReport(b)
}
