package hooks_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
)

var update = flag.Bool("update", false, "write the generated files under testdata/vectors")

const vectors = "../testdata/vectors"

// script is the script that the vectors bind.
const script = "report.set(\"KernelTaint\", fs.read(\"/proc/sys/kernel/tainted\"))\n"

// binding is what the vectors are bound to.
func binding() hooks.Binding {
	return hooks.Binding{
		Deployment: "d-00112233445566778899aabbccddeeff",
		Author:     strings.Repeat("ab", 32),
		Version:    3,
		Now:        time.Unix(1_770_000_000, 0),
	}
}

// manifest is a valid one of level problem.
func manifest() hooks.Manifest {
	return hooks.Manifest{
		Hook:         "kernel-taint",
		Description:  "kernel taint flags beside the crash",
		Level:        hooks.LevelProblem,
		Match:        hooks.Match{Fingerprints: []string{"/usr/bin/app:11:a:b:c", "/usr/bin/app:6:x:y:z"}},
		As:           hooks.AsService,
		Capabilities: hooks.ReadingOnly("/proc/pressure/*", "/proc/sys/kernel/tainted", "/sys/class/dmi/**"),
		Fields: map[string]hooks.ManifestField{
			"KernelTaint": {Type: hooks.TypeText, Class: hooks.ClassTechnical, MaxBytes: 1024},
			"Pressure":    {Type: hooks.TypeJSON, Class: hooks.ClassTechnical, MaxBytes: 4096, Raw: true},
		},
		Limits: hooks.Limits{
			Lifetime: 7 * 24 * time.Hour, MaxReports: 100, MaxRunsPerPeer: 1, MaxPercent: 100,
			MaxBytes: 1 << 20, MaxResultBytes: 8192, MaxRuntime: 2 * time.Second,
		},
	}
}

// commandManifest asks for every capability.
func commandManifest() hooks.Manifest {
	m := packageManifest()
	m.Capabilities = hooks.Capabilities{
		FSRead: []string{"/proc/{pid}/limits"}, FSList: []string{"/proc/{pid}/fd"}, FSStat: []string{"/var/lib/app/**"},
		CmdRun: []hooks.Command{
			{Name: "disk", Program: "/bin/df", Args: []string{"-k", "{path}"}, Paths: []string{"/var/lib/app/**"}, Reads: []string{}},
			{Name: "kernel-log", Program: "/usr/bin/dmesg", Args: []string{"--kernel"}, Paths: []string{}, Reads: []string{}, Syslog: true},
			{Name: "verify", Program: "/usr/bin/dpkg", Args: []string{"--verify", "{package}"}, Paths: []string{}, Reads: []string{"/usr/**", "/var/lib/dpkg/**"}},
		},
	}
	return m
}

func packageManifest() hooks.Manifest {
	m := manifest()
	m.Level = hooks.LevelPackage
	m.Match = hooks.Match{Fingerprints: []string{}, Package: "nginx", From: "1.22.1-9", Below: "1:1.24~rc1"}
	return m
}

func statement(t testing.TB, m hooks.Manifest) hooks.Statement {
	t.Helper()
	s, err := m.Statement(binding(), []byte(script))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func canonical(t testing.TB, s hooks.Statement) []byte {
	t.Helper()
	b, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantCode(t testing.TB, err error, code errs.Code) {
	t.Helper()
	if got := errs.CodeOf(err); got != code {
		t.Errorf("got code %q (%v), want %q", got, err, code)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readJSON(t testing.TB, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(read(t, name), into); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	name = filepath.Join(vectors, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeJSON(t testing.TB, name string, v any) {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	write(t, name, append(b, '\n'))
}
