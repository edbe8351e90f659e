package hooks_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/internal/errs"
)

const written = `# what an author writes
hook: kernel-taint
description: kernel taint flags beside the crash
level: problem
match: {fingerprints: ["/usr/bin/app:6:x:y:z", "/usr/bin/app:11:a:b:c"]}
capabilities:
  fs.read:
    - /sys/class/dmi/**
    - /proc/sys/kernel/tainted
    - /proc/pressure/*
fields:
  Pressure: {type: json, class: technical, max_bytes: 4096, raw: true}
  KernelTaint:
    type: text
    class: technical
    max_bytes: 1024
limits:
  lifetime: 7d
  max_reports: 100
  max_runs_per_peer: 1
  max_percent: 100
  max_bytes: 1048576
  max_result_bytes: 8192
  max_runtime: 2s
`

func TestParseManifest(t *testing.T) {
	m, err := hooks.ParseManifest([]byte(written))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(manifest(), m); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	for _, tc := range []struct{ name, old, with, at, says string }{
		{"unknown key", "level: problem", "level: problem\nlimit: 3", "hook.yaml:5:1", `unknown key "limit"`},
		{"unknown limit", "max_reports: 100", "max_report: 100", "hook.yaml:19:3", `unknown key "max_report" in limits`},
		{"duplicate", "hook: kernel-taint", "hook: a\nhook: b", "hook.yaml:3:1", `"hook" comes twice`},
		{"text for a number", "max_reports: 100", "max_reports: many", "hook.yaml:19:16", "must be a whole number"},
		{"null", "max_reports: 100", "max_reports:", "hook.yaml:19:15", "must be a whole number"},
		{"missing limit", "  max_reports: 100\n", "", "hook.yaml:18:3", "limits.max_reports is missing"},
		{"zero limit", "max_bytes: 1048576", "max_bytes: 0", "hook.yaml:22:14", "limits.max_bytes is missing or 0"},
		{"high limit", "max_percent: 100", "max_percent: 101", "hook.yaml:21:16", "limits.max_percent must be from 1 to 100"},
		{"missing lifetime", "  lifetime: 7d\n", "", "hook.yaml:18:3", "limits.lifetime is missing"},
		{"odd lifetime", "lifetime: 7d", "lifetime: 1500ms", "hook.yaml:18:13", "whole seconds"},
		{"no lifetime", "lifetime: 7d", "lifetime: week", "hook.yaml:18:13", "not a duration"},
		{"long runtime", "max_runtime: 2s", "max_runtime: 11s", "hook.yaml:24:16", "limits.max_runtime must be from 1ms to 10s"},
		{"no runtime", "  max_runtime: 2s\n", "", "hook.yaml:18:3", "limits.max_runtime is missing"},
		{"no time", "max_runtime: 2s", "max_runtime: 0s", "hook.yaml:24:16", "limits.max_runtime is missing or 0"},
		{"odd runtime", "max_runtime: 2s", "max_runtime: 10us", "hook.yaml:24:16", "whole milliseconds"},
		{"hook name", "hook: kernel-taint", "hook: Kernel", "hook.yaml:2:7", "hook must be a name"},
		{"no hook", "hook: kernel-taint\n", "", "hook.yaml:2:1", "hook is missing"},
		{"no description", "description: kernel taint flags beside the crash\n", "", "hook.yaml:2:1", "description is missing"},
		{"two lines", "description: kernel taint flags beside the crash", `description: "a\nb"`, "hook.yaml:3:14", "one line"},
		{"bidi", "description: kernel taint flags beside the crash", `description: "a\u202eb"`, "hook.yaml:3:14", "one line"},
		{"level", "level: problem", "level: global", "hook.yaml:4:8", "level must be problem or package"},
		{"no match", "match: {fingerprints: [\"/usr/bin/app:6:x:y:z\", \"/usr/bin/app:11:a:b:c\"]}\n", "", "hook.yaml:2:1", "match.fingerprints must list"},
		{"bad path", "/sys/class/dmi/**", "sys/class", "hook.yaml:8:7", "capabilities.fs.read must be absolute"},
		{"path twice", "/sys/class/dmi/**", "/proc/pressure/*", "hook.yaml:10:7", "lists \"/proc/pressure/*\" twice"},
		{"field type", "type: text", "type: string", "hook.yaml:14:11", "fields.KernelTaint.type must be"},
		{"field name", "  Pressure:", "  'Pres sure':", "hook.yaml:12:16", "fields.Pres sure must be printable"},
		{"field limit", "    max_bytes: 1024\n", "", "hook.yaml:14:5", "fields.KernelTaint.max_bytes is missing"},
		{"identity", "level: problem", "level: problem\nas: admin", "hook.yaml:5:5", "as must be service"},
		{"anchor", "hook: kernel-taint", "hook: &a kernel-taint", "hook.yaml:2:7", "anchors"},
		{"second document", "# what an author writes", "a: b\n---", "hook.yaml:2:1", "second YAML document"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(written, tc.old) {
				t.Fatalf("%q is not in the manifest", tc.old)
			}
			_, err := hooks.ParseManifest([]byte(strings.Replace(written, tc.old, tc.with, 1)))
			wantCode(t, err, errs.CodeBadManifest)
			if e, ok := errs.As(err); !ok || e.Field != tc.at || !strings.Contains(e.Message, tc.says) {
				t.Errorf("got %v, want %s: …%s…", err, tc.at, tc.says)
			}
		})
	}
	_, err := hooks.ParseManifest([]byte(strings.Repeat("#", hooks.MaxManifestBytes+1)))
	wantCode(t, err, errs.CodeBadManifest)
	_, err = hooks.ParseManifest(nil)
	wantCode(t, err, errs.CodeBadManifest)
}

func TestManifestYAMLRoundTrips(t *testing.T) {
	odd := manifest()
	odd.Description = `quotes " and \ and 'single' — and: a # mark`
	odd.Match.Fingerprints = []string{"&a:11:<b>"}
	odd.Match.Fingerprints = append(odd.Match.Fingerprints, "123", "yes", "~")
	odd.Limits.Lifetime = 90 * time.Minute
	odd.Limits.MaxRuntime = 1500 * time.Millisecond
	bare := packageManifest()
	bare.Match.From, bare.Match.Below = "", "1.10"
	bare.Capabilities.FSRead = []string{}
	for name, m := range map[string]hooks.Manifest{"problem": manifest(), "package": packageManifest(), "odd": odd, "bare": bare, "commands": commandManifest()} {
		b := m.YAML()
		got, err := hooks.ParseManifest(b)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, b)
			continue
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s\n%s", name, diff, b)
		}
		if strings.Count(string(b), "#") < 8 {
			t.Errorf("%s: hardly a comment in\n%s", name, b)
		}
	}
}

// A hint for a duration is one.
func TestHintsOfDurations(t *testing.T) {
	for key, line := range map[string]string{"lifetime": "  lifetime: 7d\n", "max_runtime": "  max_runtime: 2s\n"} {
		_, err := hooks.ParseManifest([]byte(strings.Replace(written, line, "", 1)))
		e, ok := errs.As(err)
		if !ok {
			t.Fatalf("%s: %v", key, err)
		}
		example := strings.TrimSuffix(strings.Fields(e.Hint + " - - -")[2], ",")
		with := "  " + key + ": " + example + "\n"
		if _, err := hooks.ParseManifest([]byte(strings.Replace(written, line, with, 1))); err != nil {
			t.Errorf("%s: the hint %q does not help: %v", key, e.Hint, err)
		}
	}
}

// The example in a manifest without commands is one when its marks are gone.
func TestExampleCommandOfTheTemplate(t *testing.T) {
	text, example, ok := strings.Cut(string(manifest().YAML()), "  cmd.run: []\n  # An example")
	_, example, found := strings.Cut(example, "\n")
	if !ok || !found {
		t.Fatalf("no example in\n%s", manifest().YAML())
	}
	m, err := hooks.ParseManifest([]byte(text + regexp.MustCompile(`(?m)^  # `).ReplaceAllString(example, "  ")))
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := m.Capabilities.Command("verify"); !ok || c.Check([]string{"--verify", "nginx"}) != nil || len(c.Reads) == 0 {
		t.Errorf("%+v", m.Capabilities.CmdRun)
	}
}

func TestManifestStatement(t *testing.T) {
	s := statement(t, manifest())
	p := s.Predicate
	if p.NotBefore != 1_770_000_000 || p.NotAfter != p.NotBefore+7*24*3600 || p.MaxRuntimeMS != 2000 || p.Version != 3 {
		t.Errorf("bound wrongly: %+v", p)
	}
	if s.ScriptDigest() != hooks.Digest([]byte(script)) || p.Fields[0].Name != "KernelTaint" {
		t.Errorf("got %+v", s)
	}
	for name, edit := range map[string]func(b *hooks.Binding){
		"deployment": func(b *hooks.Binding) { b.Deployment = "d-" },
		"author":     func(b *hooks.Binding) { b.Author = "" },
		"version":    func(b *hooks.Binding) { b.Version = 0 },
	} {
		b := binding()
		edit(&b)
		_, err := manifest().Statement(b, []byte(script))
		wantCode(t, err, errs.CodeStatementMalformed)
		if e, ok := errs.As(err); !ok || e.Field != name {
			t.Errorf("got %v, want %s", err, name)
		}
	}
	_, err := manifest().Statement(binding(), nil)
	wantCode(t, err, errs.CodeBadScript)
}

func TestCheckScript(t *testing.T) {
	for name, bad := range map[string]string{
		"empty": " \n", "too big": strings.Repeat("-", hooks.MaxScriptBytes+1), "compiled": "\x1bLua", "nul": "a\x00", "latin-1": "\xe4", "lone return": "--\rx()", "return at the end": "x()\r",
	} {
		if err := hooks.CheckScript([]byte(bad)); errs.CodeOf(err) != errs.CodeBadScript {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := hooks.CheckScript([]byte(strings.ReplaceAll(script, "\n", "\r\n"))); err != nil {
		t.Error(err)
	}
	if err := hooks.CheckScript([]byte(script)); err != nil {
		t.Error(err)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(written))
	f.Add(manifest().YAML())
	f.Add(packageManifest().YAML())
	f.Add([]byte("a: &x [*x]\n<<: {}\n---\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := hooks.ParseManifest(b)
		if err != nil {
			wantCode(t, err, errs.CodeBadManifest)
			if e, ok := errs.As(err); !ok || !strings.HasPrefix(e.Field, hooks.ManifestName) {
				t.Errorf("no place: %v", err)
			}
			return
		}
		if again, err := hooks.ParseManifest(m.YAML()); err != nil {
			t.Errorf("refuses its own YAML: %v\n%s", err, m.YAML())
		} else if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("another manifest: %s", diff)
		}
		s, err := m.Statement(binding(), []byte(script))
		if err != nil {
			t.Fatalf("no statement: %v", err)
		}
		raw := canonical(t, s)
		if _, err := hooks.ParseStatement(raw); err != nil {
			t.Errorf("the statement is refused: %v\n%s", err, raw)
		}
	})
}
