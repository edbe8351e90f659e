package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

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
	m, err := initialManifest(o, report)
	if err != nil {
		return notFromFile(err, "choose another name: hookline hook init NAME")
	}
	dir := o.Dir
	if dir == "" {
		dir = m.Hook
	}
	if err := writeHookFolder(dir, m, report); err != nil {
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

func initialManifest(o initOptions, report hooks.Report) (hooks.Manifest, error) {
	m := hooks.Manifest{
		Hook:         o.Name,
		Description:  "memory and kernel taint when the problem was reported",
		As:           hooks.AsService,
		Capabilities: hooks.ReadingOnly("/proc/meminfo", "/proc/sys/kernel/tainted"),
		Fields:       map[string]hooks.ManifestField{},
		Limits: hooks.Limits{
			Lifetime: 7 * 24 * time.Hour, MaxReports: 20, MaxRunsPerPeer: 3, MaxPercent: 100,
			MaxBytes: 256 << 10, MaxResultBytes: 4096, MaxRuntime: 2 * time.Second,
		},
	}
	if m.Hook == "" {
		m.Hook = hookNameOf(report)
	}
	for _, name := range freshFields(report) {
		m.Fields[name] = hooks.ManifestField{Type: hooks.TypeInt, Class: hooks.ClassTechnical, MaxBytes: 32}
	}
	pkg := report[hooks.FieldPackage]
	switch level := hooks.Level(o.Level); {
	case level == hooks.LevelPackage && pkg == "":
		return m, errs.New(errs.CodeBadInput, "cannot make a hook for a package: the report names none")
	case level == hooks.LevelPackage || o.Job == "":
		m.Level, m.Match = hooks.LevelPackage, hooks.Match{Fingerprints: []string{}, Package: pkg}
	case level == hooks.LevelProblem || level == "":
		m.Level, m.Match = hooks.LevelProblem, hooks.Match{Fingerprints: []string{hooks.Fingerprint(report)}}
	default:
		return m, usagef("--level %q is neither problem nor package", o.Level)
	}
	_, err := hooks.ParseManifest(m.YAML())
	return m, err
}

// hookNameOf makes a name of the package or program.
func hookNameOf(r hooks.Report) string {
	base := r[hooks.FieldPackage]
	if base == "" {
		base = path.Base(r[hooks.FieldExecutablePath])
	}
	clean := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, base)
	if clean = strings.Trim(clean[:min(len(clean), 40)], "-"); clean == "" {
		return "machine-state"
	}
	return clean + "-machine-state"
}

// freshFields names the template's two fields so that the report has neither.
func freshFields(r hooks.Report) [2]string {
	names := [2]string{"MemAvailableKiB", "KernelTaint"}
	for i, name := range names {
		for n := 2; ; n++ {
			if _, taken := r[names[i]]; !taken {
				break
			}
			names[i] = fmt.Sprintf("%s%d", name, n)
		}
	}
	return names
}

const scriptTemplate = `-- Runs on the machine that showed the problem, over its own copy of the report.
-- It may do what hook.yaml declares (fs.read, fs.list, fs.stat, cmd.run) and set new
-- fields that hook.yaml declares; report.get(name) reads the original. Change it to
-- ask your own question.

local meminfo = fs.read("/proc/meminfo")
local available = meminfo:match("MemAvailable:%%s+(%%d+)")
if available then
  report.set(%q, tonumber(available))
end

local tainted = fs.read("/proc/sys/kernel/tainted")
report.set(%q, tonumber(tainted:match("%%d+")))
`

func writeHookFolder(dir string, m hooks.Manifest, report hooks.Report) error {
	names := freshFields(report)
	pretty, err := encodeReport(report)
	if err != nil {
		return err
	}
	files := []struct {
		name string
		b    []byte
	}{
		{hooks.ManifestName, m.YAML()},
		{hooks.ScriptName, fmt.Appendf(nil, scriptTemplate, names[0], names[1])},
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
