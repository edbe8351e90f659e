package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/source"
	"hookline/sandbox"
	"hookline/sandbox/replay"

	"github.com/spf13/cobra"
)

// testOptions are the flags of hook test.
type testOptions struct {
	Report      string
	Job         string
	Fixtures    string
	FiledBy     string
	Live        bool
	Record      bool
	RawFixtures bool
	Trace       bool
	Yes         bool
}

func newHookTestCommand(a *app) *cobra.Command {
	o := testOptions{}
	c := &cobra.Command{
		Use:   "test [DIR] [--report FILE|--job ID]",
		Short: "Run the hook over a report in the real sandbox, without key",
		Long: `Runs hook.lua in the sandbox that peers use and shows the fields it would add to the
report, every call of the machine, and how much of each limit it used. Calls are
answered from fixtures; with --live by this machine, under the limits that would be
signed, after a question. --record is --live and keeps the answers as fixtures.yaml,
redacted as text fields are: paths, names and arguments stay as they are.

Fixtures can be written by hand as well, under the keys facts (os, release, kernel,
arch), files and files_base64 (path: content), folders (path: [names]), stats (path:
{type, size, mode, uid, gid, links, mtime}), commands ([{name, args, stdout, stderr,
exit}], or error: {code, message}), failed ([{call, path, code, message}]) and missing
([paths]).

In JSON and YAML all times are nanoseconds: took, wall, and what has that unit in used,
where limit and left (percent) are absent for what has no limit.

Exit codes: 0 the run ended well, with new fields or without; 1 it failed, or could not
be made; 2 wrong usage; 3 a file or job is not there; 4 not allowed to see the job;
5 the server or the sandbox is not available.`,
		Example: `  hookline hook test first
  hookline hook test first --job latest --record
  hookline hook test first --trace`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := readFolder(args)
			if err != nil {
				return err
			}
			t, err := a.newTrial(c.Context(), f, o)
			if err != nil {
				return err
			}
			out, err := a.try(c.Context(), t)
			if err != nil {
				return err
			}
			result := t.result(out)
			if err := a.show(result, func() { a.tested(t, result) }); err != nil {
				return err
			}
			if out.Code != "" {
				return errFailed
			}
			return nil
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.Report, "report", "", "saved report (default: DIR/report.json)")
	fl.StringVar(&o.Job, "job", "", "a report job of the server to take the report of, or latest")
	fl.StringVar(&o.Fixtures, "fixtures", "", "recorded answers (default: DIR/fixtures.yaml where there is one)")
	fl.BoolVar(&o.Live, "live", false, "run on this machine instead of over fixtures; asks first")
	fl.BoolVar(&o.Record, "record", false, "run on this machine, and keep its answers in DIR/fixtures.yaml")
	fl.BoolVar(&o.RawFixtures, "raw-fixtures", false, "with --record: keep the answers as they are, personal data included")
	fl.BoolVar(&o.Trace, "trace", false, "show each line of Lua as it runs, with its locals")
	fl.StringVar(&o.FiledBy, "filed-by", "", "user id that filed the report (default: yours with --live, else 1000): whose processes {pid} means, who a reporter's hook runs as where you are root, and whether the report may steer root's")
	fl.BoolVar(&o.Yes, "yes", false, "do not ask")
	c.MarkFlagsMutuallyExclusive("fixtures", "live")
	c.MarkFlagsMutuallyExclusive("fixtures", "record")
	c.MarkFlagsMutuallyExclusive("report", "job")
	return c
}

// trial is one test run of a hook.
type trial struct {
	folder
	testOptions
	binary string
	from   string // what the report is called
	task   sandbox.Task
}

func (a *app) newTrial(ctx context.Context, f folder, o testOptions) (trial, error) {
	t := trial{folder: f, testOptions: o}
	if o.RawFixtures && !o.Record {
		return t, usagef("--raw-fixtures needs --record")
	}
	filer, err := o.filer()
	if err != nil {
		return t, err
	}
	report, err := a.reportToTry(ctx, &t)
	if err != nil {
		return t, err
	}
	if t.binary, err = a.sandboxBinary(); err != nil {
		return t, err
	}
	if !f.manifest.Match.Matches(f.manifest.Level, report) {
		fmt.Fprintln(a.err, "warning: the hook's match does not cover this report: no peer would run it for one like this")
	}
	t.task = sandbox.Task{
		Script: f.script, Predicate: f.manifest.Predicate(a.now()), Report: report,
		Redact: a.localNames(), Now: a.now(), Filer: filer, Trace: o.Trace, Record: o.Record, Measure: true,
	}
	return t, nil
}

func (o testOptions) live() bool { return o.Live || o.Record }

// somebody is the first user id that most systems give to a person.
const somebody = 1000

// filer is who filed the report, as far as the run is concerned.
func (o testOptions) filer() (sandbox.Filer, error) {
	switch {
	case o.FiledBy != "":
		uid, err := strconv.ParseUint(o.FiledBy, 10, 32)
		if err != nil || uid == noUser {
			return sandbox.Filer{}, usagef("--filed-by %q is not a user id", o.FiledBy)
		}
		return sandbox.Filer{UID: uint32(uid), Known: true}, nil
	case o.live():
		return sandbox.Filer{UID: you().UID, Known: true}, nil
	}
	return sandbox.Filer{UID: somebody, Known: true}, nil
}

// noUser is the id that the system takes for no user at all.
const noUser = 1<<32 - 1

// reporter is who a hook that runs as the reporter is, where we are root: the
// user who filed the report. A user whom the system does not know has no group
// of their own.
func (t trial) reporter() sandbox.Credential {
	if me := you(); t.FiledBy == "" || me.UID == t.task.Filer.UID {
		return me
	}
	who := sandbox.Credential{UID: t.task.Filer.UID, GID: sandbox.Nobody}
	if u, err := user.LookupId(strconv.FormatUint(uint64(who.UID), 10)); err == nil {
		if gid, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
			who.GID = uint32(gid)
		}
	}
	return who
}

// you are the user who typed the command; under sudo, who called it.
func you() sandbox.Credential {
	me := sandbox.Credential{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	if me.UID != 0 {
		return me
	}
	uid, err := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 32)
	gid, gerr := strconv.ParseUint(os.Getenv("SUDO_GID"), 10, 32)
	if err != nil || gerr != nil {
		return me
	}
	return sandbox.Credential{UID: uint32(uid), GID: uint32(gid)}
}

// reportToTry is the report of a job, of a file, or the one in the folder.
func (a *app) reportToTry(ctx context.Context, t *trial) (hooks.Report, error) {
	if t.Job != "" {
		job, report, err := a.jobReport(ctx, t.Job)
		t.from = "job " + job
		return report, err
	}
	path := t.Report
	if path == "" {
		path = t.file(reportName)
		if _, err := os.Stat(path); err != nil {
			return nil, usagef("it needs --report FILE, --job ID, or %s", path)
		}
	}
	t.from = filepath.Base(path)
	b, err := readFile(path, hooks.MaxReportBytes)
	if err != nil {
		return nil, err
	}
	return hooks.ParseReport(b)
}

// jobReport fetches the report of a job, and the job's id.
func (a *app) jobReport(ctx context.Context, name string) (id string, r hooks.Report, err error) {
	cl, err := a.client()
	if err != nil {
		return "", nil, err
	}
	if id, err = originalID(ctx, cl, name); err != nil {
		return "", nil, err
	}
	job, err := cl.Job(ctx, id)
	if err != nil {
		return "", nil, err
	}
	if len(job.Workload.Report) == 0 {
		return "", nil, errs.New(errs.CodeBadInput, "cannot take the report of job %s: it is a %s job, not a report", name, job.Workload.Type).
			WithHint("hookline job list --workload report")
	}
	return id, job.Workload.Report, job.Workload.Report.Validate()
}

// try runs the hook: over fixtures, or here.
func (a *app) try(ctx context.Context, t trial) (sandbox.Outcome, error) {
	if t.live() {
		return a.tryHere(ctx, t)
	}
	fixtures, err := readFixtures(t.Fixtures, t.folder)
	if err != nil {
		return sandbox.Outcome{}, err
	}
	if fixtures.Facts == (hooks.Facts{}) {
		r := t.task.Report
		fixtures.Facts = hooks.Facts{OS: "linux", Release: r[hooks.FieldRelease], Kernel: r[hooks.FieldKernel], Arch: r[hooks.FieldArchitecture]}
	}
	return replay.Run(ctx, t.binary, t.task, fixtures)
}

func readFixtures(path string, f folder) (replay.Fixtures, error) {
	given := path != ""
	if !given {
		path = f.file(fixturesName)
	}
	if _, err := os.Stat(path); !given && errors.Is(err, fs.ErrNotExist) {
		return replay.Fixtures{}, nil
	}
	b, err := readFile(path, replay.MaxFixtureBytes)
	if err != nil {
		return replay.Fixtures{}, err
	}
	return replay.ParseFixtures(b)
}

// tryHere runs the hook on this machine, once its author has agreed.
func (a *app) tryHere(ctx context.Context, t trial) (sandbox.Outcome, error) {
	reporter := t.reporter()
	as, err := runsAs(t.task.Predicate.As, os.Geteuid(), reporter)
	if err != nil {
		return sandbox.Outcome{}, err
	}
	view := *a
	view.out = a.err
	fmt.Fprintf(a.err, "%s would run on this machine. It may:\n", safe(t.manifest.Hook))
	view.may(t.task.Predicate, as)
	if err := a.mayRunHere(t); err != nil {
		return sandbox.Outcome{}, err
	}
	t.task.Facts = source.System{Root: "/"}.Facts()
	out, err := (&sandbox.Runner{Binary: t.binary, Reporter: reporter, Deny: a.ownFiles(), Without: []string{sandbox.LayerNamespaces}}).Run(ctx, t.task)
	if err != nil {
		return out, err
	}
	if t.Record {
		err = a.record(ctx, t, out)
	}
	out.Recording = nil // it is in the fixtures
	return out, err
}

// runsAs says who the hook would be here, and who on a peer. euid is who this
// process is, reporter the user who filed the report.
func runsAs(as hooks.Identity, euid int, reporter sandbox.Credential) (string, error) {
	here := fmt.Sprintf("you (uid %d)", euid)
	if euid == 0 {
		here = fmt.Sprintf("nobody (uid %d)", sandbox.Nobody)
	}
	switch as {
	case hooks.AsRoot:
		if euid != 0 {
			return "", errs.New(errs.CodeSandboxUnconfined, "cannot run the hook here: it runs as root, and you are not root").
				WithHint("on a peer it runs as root, where its owner and the policy allow that; here: use sudo, or run it over fixtures, without --live")
		}
		return "ROOT, as on a peer", nil
	case hooks.AsReporter:
		switch {
		case euid != 0:
		case reporter.UID == 0 || reporter.GID == 0: // as on a peer: never as root
			here += ", since the report counts as root's: --filed-by UID makes it another user's"
		default:
			here = fmt.Sprintf("uid %d, who filed the report as --filed-by or sudo says", reporter.UID)
		}
		return here + "; on a peer the user who filed the report", nil
	case hooks.AsService:
	}
	return here + "; on a peer its unprivileged service user", nil
}

// ownFiles are kept from every hook that is tried here: the saved token.
func (a *app) ownFiles() []string {
	path, err := a.configPath()
	if err != nil {
		return nil
	}
	return []string{filepath.Dir(path)}
}

// mayRunHere asks, and is nil for a yes.
func (a *app) mayRunHere(t trial) error {
	if t.Yes {
		return nil
	}
	if _, ok := a.terminal(); !ok {
		return errs.New(errs.CodeBadInput, "cannot run the hook on this machine unasked: standard input is not a terminal").
			WithHint("add --yes; or leave out --live and --record, and it runs over fixtures")
	}
	fmt.Fprintln(a.err)
	if !a.agrees("run it on this machine?") {
		return errs.New(errs.CodeBadInput, "nothing was run: the answer was not y")
	}
	return nil
}

// agrees asks the terminal a question that only a y answers.
func (a *app) agrees(question string) bool {
	if _, ok := a.terminal(); !ok {
		return false
	}
	fmt.Fprintf(a.err, "%s [y/N] ", safe(question))
	var answer string
	_, err := fmt.Fscanln(a.in, &answer)
	answer = strings.ToLower(answer)
	return err == nil && (answer == "y" || answer == "yes")
}

// localNames is what a peer would redact if it were this machine.
func (a *app) localNames() sandbox.Redaction {
	var r sandbox.Redaction
	if host, err := os.Hostname(); err == nil {
		r.Hosts = append(r.Hosts, host)
	}
	if user := a.getenv("USER"); user != "" && user != "root" {
		r.Users = append(r.Users, user)
	}
	return r
}
