package hooks_test

import (
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
)

// A starter passes as it is, whatever the report says.
func TestStarter(t *testing.T) {
	crash := hooks.Report{
		hooks.FieldProblemType: "Crash", hooks.FieldPackage: "nginx", hooks.FieldPackageVersion: "1.0-1",
		hooks.FieldExecutablePath: "/usr/sbin/nginx", hooks.FieldSignal: "6",
	}
	with := func(pairs ...string) hooks.Report {
		r := hooks.Report{}
		for name, value := range crash {
			r[name] = value
		}
		for i := 0; i < len(pairs); i += 2 {
			r[pairs[i]] = pairs[i+1]
		}
		return r
	}
	for name, c := range map[string]struct {
		name   string
		level  hooks.Level
		report hooks.Report
		hook   string
		code   errs.Code
		sets   string
	}{
		"of a problem":        {"", hooks.LevelProblem, crash, "nginx-machine-state", "", `"KernelTaint"`},
		"of a package":        {"workers", hooks.LevelPackage, crash, "workers", "", `"MemAvailableKiB"`},
		"no package":          {"", hooks.LevelProblem, with(hooks.FieldPackage, ""), "nginx-machine-state", "", ""},
		"no name at all":      {"", hooks.LevelProblem, with(hooks.FieldPackage, "…", hooks.FieldExecutablePath, ""), "machine-state", "", ""},
		"a hostile package":   {"", hooks.LevelProblem, with(hooks.FieldPackage, "a\n\"b: {{<script>\x00\u202e"), "a--b-----script-machine-state", "", ""},
		"fields that exist":   {"", hooks.LevelProblem, with("KernelTaint", "x", "KernelTaint2", "y"), "nginx-machine-state", "", `"KernelTaint3"`},
		"package of none":     {"", hooks.LevelPackage, with(hooks.FieldPackage, ""), "", errs.CodeBadInput, ""},
		"no level":            {"", "", crash, "", errs.CodeBadInput, ""},
		"a name that is none": {"No Name", hooks.LevelProblem, crash, "", errs.CodeBadManifest, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := hooks.NewStarter(c.name, c.level, c.report)
			if errs.CodeOf(err) != c.code && (err != nil || c.code != "") {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if err != nil {
				return
			}
			m, err := hooks.ParseManifest(s.Manifest.YAML())
			if err != nil || m.Hook != c.hook || m.Level != c.level {
				t.Errorf("%q at %s: %v", m.Hook, m.Level, err)
			}
			if err := hooks.CheckScript(s.Script); err != nil || !strings.Contains(string(s.Script), c.sets) {
				t.Errorf("%v\n%s", err, s.Script)
			}
			if c.level == hooks.LevelProblem && m.Match.Fingerprints[0] != hooks.Fingerprint(c.report) {
				t.Errorf("it matches %v", m.Match)
			}
		})
	}
}
