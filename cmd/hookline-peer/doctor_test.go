package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hookline/internal/guard"
	"hookline/internal/guardwire"
	"hookline/sandbox/confine"
)

// What can be had follows from the layers, the user and the owner's word.
func TestConclude(t *testing.T) {
	t.Parallel()
	no := false
	all := []confine.Layer{
		{Layer: "namespaces", OK: true, Needed: true},
		{Layer: "capabilities", OK: true, Needed: true},
		{Layer: "landlock", OK: true, Needed: true},
		{Layer: "seccomp", OK: true, Needed: true},
	}
	without := func(name string, needed bool) []confine.Layer {
		layers := append([]confine.Layer{}, all...)
		for i := range layers {
			if layers[i].Layer == name {
				layers[i] = confine.Layer{Layer: name, Needed: needed}
			}
		}
		return layers
	}
	lacking := append([]confine.Layer{}, all...)
	lacking[1].Lacks = []string{"CAP_SETPCAP", "CAP_SYSLOG"}
	open := guard.Config{Ceilings: guard.Ceilings{Root: true, Syslog: true}}
	accepting := open
	accepting.Sandbox.AllowWithout = []string{"landlock"}
	closed := open
	closed.Ceilings.Commands = &no
	for name, tt := range map[string]struct {
		layers []confine.Layer
		user   int
		config guard.Config
		want   string // hooks, as root, commands, log: y or n
		line   string
	}{
		"all of it":               {all, 0, open, "yyyy", ""},
		"nothing allowed":         {all, 0, guard.Config{}, "ynyn", ""},
		"programs kept out":       {all, 0, closed, "yynn", ""},
		"an ordinary user":        {without("namespaces", false), 1000, open, "ynyn", ""},
		"no namespaces":           {without("namespaces", true), 0, open, "nnnn", "sandbox: {allow_without: [namespaces]}"},
		"no landlock":             {without("landlock", true), 0, open, "nnnn", "sandbox: {allow_without: [landlock]}"},
		"no landlock, accepted":   {without("landlock", true), 0, accepting, "yynn", ""},
		"one more than accepted":  {without("namespaces", true), 0, accepting, "nnnn", "sandbox: {allow_without: [landlock, namespaces]}"},
		"no seccomp":              {without("seccomp", true), 0, accepting, "nnnn", ""},
		"root without some power": {lacking, 0, open, "yynn", ""},
	} {
		d := diagnosis{User: tt.user, Layers: tt.layers, Accepted: tt.config.Sandbox.AllowWithout}
		d.conclude(tt.config)
		got := ""
		for _, v := range []verdict{d.Hooks, d.AsRoot, d.Commands, d.Log} {
			got += yesNo(v.OK)[:1]
			if !v.OK && v.Why == "" {
				t.Errorf("%s: no reason is given", name)
			}
		}
		if got != tt.want || d.Config != tt.line {
			t.Errorf("%s: %s, %q", name, got, d.Config)
		}
	}
}

// As root a sandbox that others can change is not executed at all.
func TestDoctorRefusesUnsafeBinary(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: an ordinary user trusts what that user may execute")
	}
	data, err := os.ReadFile(filepath.Join(bin, "hookline-sandbox"))
	if err != nil {
		t.Fatal(err)
	}
	unsafe := filepath.Join(t.TempDir(), "hookline-sandbox")
	if err := os.WriteFile(unsafe, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(unsafe, 0o757); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "hookline-peer"), "--state", t.TempDir(), "doctor", "-o", "json")
	cmd.Env = append(os.Environ(), "HOOKLINE_SANDBOX="+unsafe)
	var out bytes.Buffer
	cmd.Stdout = &out
	var d diagnosis
	if err := cmd.Run(); err == nil || json.Unmarshal(out.Bytes(), &d) != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if d.Hooks.OK || len(d.Layers) > 0 || !strings.Contains(d.Problem, "can be changed by others") {
		t.Errorf("%+v", d)
	}
}

// Metadata that is too old keeps hooks from running whatever confines them;
// where something else does, that stays what is told.
func TestDoctorOnOldMetadata(t *testing.T) {
	t.Parallel()
	yes := verdict{OK: true}
	d := diagnosis{Hooks: yes, AsRoot: yes, Commands: yes, Log: yes}
	d.trusts(guardwire.Trusting{Share: 0.9})
	if !d.Hooks.OK || !d.Trust.OK || !strings.HasPrefix(d.Trust.Why, "SOON TOO OLD") {
		t.Errorf("soon too old: %+v", d)
	}
	d.trusts(guardwire.Trusting{Share: 1, Refusal: "it expired"})
	if d.Hooks.OK || d.AsRoot.OK || d.Commands.OK || d.Log.OK || d.Trust.OK || d.Problem != "it expired" {
		t.Errorf("too old: %+v", d)
	}
	d = diagnosis{Problem: "no sandbox"}
	if d.trusts(guardwire.Trusting{Share: 1, Refusal: "it expired"}); d.Problem != "no sandbox" || d.Trust.OK {
		t.Errorf("both: %+v", d)
	}
}
