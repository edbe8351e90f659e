package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox/replay"

	"github.com/spf13/cobra"
)

// initOptions are the flags of hook init.
type initOptions struct {
	Name    string
	Job     string
	Dir     string
	Package string
	Level   string
}

func newHookInitCommand(a *app) *cobra.Command {
	o := initOptions{}
	c := &cobra.Command{
		Use:   "init [NAME] [--job ID]",
		Short: "Make a folder with a small working hook, filled in from a job",
		Long: `Makes hook.yaml, hook.lua, report.json and fixtures.yaml. With --job the manifest
matches that job's problem and report.json is its report; without, it is a template
for a package. What it makes passes hook lint and hook test as it is.`,
		Example: `  hookline hook init --job 0193...
  hookline hook init nginx-workers --package nginx`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Name = args[0]
			}
			return a.initHook(c, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Job, "job", "", "a report job to start from, or latest")
	f.StringVar(&o.Dir, "dir", "", "folder to make (default: the hook's name)")
	f.StringVar(&o.Package, "package", "", "package that the hook belongs to, without --job")
	f.StringVar(&o.Level, "level", "", "with --job: problem (this fingerprint) or package")
	return c
}

func (a *app) initHook(c *cobra.Command, o initOptions) error {
	report, err := a.initialReport(c, o)
	if err != nil {
		return err
	}
	starter, err := starterFor(o, report)
	if err != nil {
		return notFromFile(err, "choose another name: hookline hook init NAME")
	}
	dir := o.Dir
	if dir == "" {
		dir = starter.Manifest.Hook
	}
	if err := writeHookFolder(dir, starter, report); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "made %s with %s, %s, %s and %s\n", safe(dir), hooks.ManifestName, hooks.ScriptName, reportName, fixturesName)
	fmt.Fprintf(a.err, "next: hookline hook lint %[1]s; hookline hook test %[1]s (add --live to run it on this machine)\n", safe(dir))
	return nil
}

// initialReport is the job's report, or a made-up one of the package.
func (a *app) initialReport(c *cobra.Command, o initOptions) (hooks.Report, error) {
	if o.Job == "" {
		if o.Level != "" {
			return nil, usagef("--level needs --job")
		}
		pkg := o.Package
		if pkg == "" {
			pkg = "example"
		}
		return hooks.Report{
			hooks.FieldProblemType: "Crash", hooks.FieldPackage: pkg, hooks.FieldPackageVersion: "1.0-1",
			hooks.FieldExecutablePath: "/usr/bin/" + pkg, hooks.FieldSignal: "6", hooks.FieldSignalName: "SIGABRT",
		}, nil
	}
	if o.Package != "" {
		return nil, usagef("--package and --job exclude each other; use --level package")
	}
	_, report, err := a.jobReport(c.Context(), o.Job)
	return report, err
}

// starterFor makes the hook that the flags ask for.
func starterFor(o initOptions, report hooks.Report) (hooks.Starter, error) {
	level := hooks.Level(o.Level)
	switch {
	case o.Job == "":
		level = hooks.LevelPackage
	case level == "":
		level = hooks.LevelProblem
	case level != hooks.LevelProblem && level != hooks.LevelPackage:
		return hooks.Starter{}, usagef("--level %q is neither problem nor package", o.Level)
	}
	return hooks.NewStarter(o.Name, level, report)
}

func writeHookFolder(dir string, s hooks.Starter, report hooks.Report) error {
	pretty, err := encodeReport(report)
	if err != nil {
		return err
	}
	files := []struct {
		name string
		b    []byte
	}{
		{hooks.ManifestName, s.Manifest.YAML()},
		{hooks.ScriptName, s.Script},
		{reportName, pretty},
		{fixturesName, templateFixtures(report).YAML()},
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fileError(err, "cannot make "+dir)
	}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); err == nil {
			return fileError(os.ErrExist, "cannot write "+filepath.Join(dir, f.name))
		}
	}
	for _, f := range files {
		// The report may hold what its owner shows to few.
		if err := writeNew(filepath.Join(dir, f.name), f.b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func encodeReport(r hooks.Report) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return nil, errs.Wrap(errs.CodeInternal, err, "cannot encode the report")
	}
	return b.Bytes(), nil
}

// templateFixtures are recorded answers for the template's two reads, and the
// facts that the report tells of its machine.
func templateFixtures(r hooks.Report) replay.Fixtures {
	return replay.Fixtures{
		Facts: hooks.Facts{OS: "linux", Release: r[hooks.FieldRelease], Kernel: r[hooks.FieldKernel], Arch: r[hooks.FieldArchitecture]},
		Files: map[string]string{
			"/proc/meminfo":            "MemTotal:       16384000 kB\nMemFree:         2048000 kB\nMemAvailable:    8192000 kB\n",
			"/proc/sys/kernel/tainted": "0\n",
		},
	}
}
