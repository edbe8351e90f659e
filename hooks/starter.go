package hooks

import (
	"fmt"
	"path"
	"strings"
	"time"

	"hookline/internal/errs"
)

// Starter is a small hook that works as it is, made for one report: what
// `hookline hook init` writes, and what the pages show.
type Starter struct {
	Manifest Manifest
	Script   []byte
}

// NewStarter makes a hook for a report, at level problem (its fingerprint) or
// package; name "" takes one from the package or program. A name that is none
// is errs.CodeBadManifest, a report without a package at level package
// errs.CodeBadInput.
func NewStarter(name string, level Level, r Report) (Starter, error) {
	m := Manifest{
		Hook:         name,
		Description:  "memory and kernel taint when the problem was reported",
		As:           AsService,
		Capabilities: ReadingOnly("/proc/meminfo", "/proc/sys/kernel/tainted"),
		Fields:       map[string]ManifestField{},
		Limits: Limits{
			Lifetime: 7 * 24 * time.Hour, MaxReports: 20, MaxRunsPerPeer: 3, MaxPercent: 100,
			MaxBytes: 256 << 10, MaxResultBytes: 4096, MaxRuntime: 2 * time.Second,
		},
		Level: level,
	}
	if m.Hook == "" {
		m.Hook = starterName(r)
	}
	fresh := freshFields(r)
	for _, field := range fresh {
		m.Fields[field] = ManifestField{Type: TypeInt, Class: ClassTechnical, MaxBytes: 32}
	}
	switch pkg := r[FieldPackage]; {
	case level == LevelProblem:
		m.Match = Match{Fingerprints: []string{Fingerprint(r)}}
	case level == LevelPackage && pkg != "":
		m.Match = Match{Fingerprints: []string{}, Package: pkg}
	case level == LevelPackage:
		return Starter{}, errs.New(errs.CodeBadInput, "cannot make a hook for a package: the report names none").At("level")
	default:
		return Starter{}, errs.New(errs.CodeBadInput, "level %q is neither problem nor package", clip(string(level))).At("level")
	}
	s := Starter{Manifest: m, Script: fmt.Appendf(nil, starterScript, fresh[0], fresh[1])}
	_, err := ParseManifest(m.YAML())
	return s, err
}

// starterName makes a name of the package or program.
func starterName(r Report) string {
	base := r[FieldPackage]
	if base == "" {
		base = path.Base(r[FieldExecutablePath])
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

// freshFields names the starter's two fields so that the report has neither.
func freshFields(r Report) [2]string {
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

const starterScript = `-- Runs on the machine that showed the problem, over its own copy of the report.
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
