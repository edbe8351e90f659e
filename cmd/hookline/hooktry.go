package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/source"
	"hookline/sandbox"
	"hookline/sandbox/replay"

	"github.com/spf13/cobra"
)

const maxFixturesFile = 4 << 20

func newHookLintCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lint [DIR]",
		Short: "Check hook.yaml and hook.lua without running anything",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := readFolder(args)
			if err != nil {
				return err
			}
			findings, err := a.lint(c, f)
			if err != nil {
				return err
			}
			if err := a.show(findings, func() { a.findings(f, findings) }); err != nil {
				return err
			}
			if hasErrors(findings) {
				return errFailed
			}
			return nil
		},
	}
}

func (a *app) lint(c *cobra.Command, f folder) ([]replay.Finding, error) {
	binary, err := a.sandboxBinary()
	if err != nil {
		return nil, err
	}
	findings, err := replay.Lint(c.Context(), binary, f.script, f.manifest.Predicate(a.now()))
	if findings == nil {
		findings = []replay.Finding{}
	}
	return findings, err
}

func hasErrors(findings []replay.Finding) bool {
	return slices.ContainsFunc(findings, func(f replay.Finding) bool { return f.Severity == "error" })
}

func (a *app) findings(f folder, findings []replay.Finding) {
	for _, x := range findings {
		if x.Line == 0 { // what the manifest has too much of
			fmt.Fprintf(a.out, "%s: %s: %s [%s]\n", safe(f.file(hooks.ManifestName)), safe(x.Severity), safe(x.Message), safe(x.Code))
			continue
		}
		fmt.Fprintf(a.out, "%s:%d:%d: %s: %s [%s]\n", safe(f.file(hooks.ScriptName)), x.Line, x.Column, safe(x.Severity), safe(x.Message), safe(x.Code))
	}
	if !hasErrors(findings) {
		fmt.Fprintf(a.out, "ok: %s, %s level, %s\n", safe(f.manifest.Hook), f.manifest.Level, fieldsOf(len(f.manifest.Fields), ""))
	}
}

// fieldsOf counts fields for people: "1 new field", "2 new fields".
func fieldsOf(n int, kind string) string {
	if n == 1 {
		return "1 " + kind + "field"
	}
	return fmt.Sprintf("%d %sfields", n, kind)
}

// testOptions are the flags of hook test.
type testOptions struct {
	Report   string
	Fixtures string
	Live     bool
}

func newHookTestCommand(a *app) *cobra.Command {
	o := testOptions{}
	c := &cobra.Command{
		Use:   "test [DIR] [--report FILE]",
		Short: "Run the hook over a report in the real sandbox, without server or key",
		Long: `Runs hook.lua in the sandbox that peers use and shows the fields it would add, what it
read, what was denied, time and memory. Reads are answered from fixtures; with --live
they read this machine, under the limits that would be signed. Exit code 1 means that
the run failed.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := readFolder(args)
			if err != nil {
				return err
			}
			outcome, err := a.testHook(c, f, o)
			if err != nil {
				return err
			}
			if err := a.show(outcome, func() { a.outcome(f, outcome) }); err != nil {
				return err
			}
			if outcome.Code != "" {
				return errFailed
			}
			return nil
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.Report, "report", "", "saved report (default: DIR/report.json)")
	fl.StringVar(&o.Fixtures, "fixtures", "", "recorded answers (default: DIR/fixtures.yaml where there is one)")
	fl.BoolVar(&o.Live, "live", false, "read this machine instead of fixtures")
	c.MarkFlagsMutuallyExclusive("fixtures", "live")
	return c
}

func (a *app) testHook(c *cobra.Command, f folder, o testOptions) (sandbox.Outcome, error) {
	var none sandbox.Outcome
	report, err := readReport(o.Report, f)
	if err != nil {
		return none, err
	}
	binary, err := a.sandboxBinary()
	if err != nil {
		return none, err
	}
	if !f.manifest.Match.Matches(f.manifest.Level, report) {
		fmt.Fprintln(a.err, "warning: the hook's match does not cover this report: no peer would run it for one like this")
	}
	task := sandbox.Task{
		Script: f.script, Predicate: f.manifest.Predicate(a.now()), Report: report,
		Redact: a.localNames(), Now: a.now(),
	}
	if o.Live {
		task.Facts = source.System{Root: "/"}.Facts()
		return (&sandbox.Runner{Binary: binary}).Run(c.Context(), task)
	}
	fixtures, err := readFixtures(o.Fixtures, f)
	if err != nil {
		return none, err
	}
	if fixtures.Facts == (hooks.Facts{}) {
		fixtures.Facts = hooks.Facts{OS: "linux", Release: report[hooks.FieldRelease], Kernel: report[hooks.FieldKernel], Arch: report[hooks.FieldArchitecture]}
	}
	return replay.Run(c.Context(), binary, task, fixtures)
}

func readReport(path string, f folder) (hooks.Report, error) {
	if path == "" {
		path = f.file(reportName)
		if _, err := os.Stat(path); err != nil {
			return nil, usagef("it needs --report FILE, or %s", path)
		}
	}
	b, err := readFile(path, hooks.MaxReportBytes)
	if err != nil {
		return nil, err
	}
	return hooks.ParseReport(b)
}

func readFixtures(path string, f folder) (replay.Fixtures, error) {
	given := path != ""
	if !given {
		path = f.file(fixturesName)
	}
	b, err := os.ReadFile(path)
	if !given && errors.Is(err, fs.ErrNotExist) {
		return replay.Fixtures{}, nil
	}
	if err != nil {
		return replay.Fixtures{}, fileError(err, "cannot read "+path)
	}
	if len(b) > maxFixturesFile {
		return replay.Fixtures{}, errs.New(errs.CodeTooLarge, "cannot read %s: it is longer than %d bytes", path, maxFixturesFile)
	}
	return replay.ParseFixtures(b)
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

func (a *app) outcome(f folder, o sandbox.Outcome) {
	if o.Code != "" {
		place := f.file(hooks.ScriptName)
		if o.Line > 0 {
			place += ":" + strconv.Itoa(o.Line)
		}
		fmt.Fprintf(a.out, "failed: %s: %s [%s]\n", safe(place), safe(o.Error), safe(o.Code))
	} else {
		fmt.Fprintf(a.out, "ok: %s\n", fieldsOf(len(o.Fields), "new "))
	}
	a.newFields(f, o)
	if len(o.Calls) > 0 {
		a.section("calls")
		rows := [][]string{{"CALL", "ARGUMENT", "ANSWER", "BYTES"}}
		for _, call := range o.Calls {
			answer := call.Code
			if answer == "" {
				answer = "ok"
			}
			rows = append(rows, []string{call.Name, call.Arg, answer, strconv.Itoa(call.Bytes)})
		}
		a.table(rows)
	}
	if len(o.Log) > 0 {
		a.section("log")
		for _, line := range o.Log {
			fmt.Fprintf(a.out, "  %s\n", safe(line))
		}
	}
	a.section("used")
	a.pairs(
		[2]string{"time", fmt.Sprintf("%s of %d ms", o.Stats.Wall.Round(time.Millisecond/10), f.manifest.Limits.MaxRuntime.Milliseconds())},
		[2]string{"instructions", fmt.Sprintf("%d of %d", o.Stats.Instructions, sandbox.MaxInstructions)},
		[2]string{"memory", kib(o.Stats.PeakHeap)},
		[2]string{"calls", fmt.Sprintf("%d, %d denied", o.Stats.Calls, o.Denied)},
	)
}

func (a *app) newFields(f folder, o sandbox.Outcome) {
	if len(o.Fields) == 0 {
		return
	}
	a.section("new fields")
	rows := [][]string{{"FIELD", "TYPE", "CLASS", "BYTES", "VALUE"}}
	for _, name := range sortedKeys(o.Fields) {
		d := f.manifest.Fields[name]
		text, err := encodeCompact(o.Fields[name])
		if err != nil {
			text = err.Error()
		}
		rows = append(rows, []string{name, string(d.Type), string(d.Class), fmt.Sprintf("%d/%d", len(text), d.MaxBytes), clip(text, 100)})
	}
	a.table(rows)
}

func kib(bytes int64) string {
	if bytes <= 0 {
		return ""
	}
	return strconv.FormatInt((bytes+1023)/1024, 10) + " KiB"
}

func encodeCompact(v any) (string, error) {
	b, err := hooks.Fields{"v": v}.Canonical()
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(b), `{"v":`), "}"), nil
}
