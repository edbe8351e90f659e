// Package hooktest_test runs whole deployments: real server, real peer, real
// people's keys, real crashes, and what a thief or a power cut does to them.
package hooktest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/onebox"
)

// binaries is where the real binaries are: HOOKLINE_BIN, else built anew.
var binaries onebox.Binaries

func TestMain(m *testing.M) { os.Exit(withBinaries(m.Run)) }

func withBinaries(run func() int) int {
	dir, err := os.MkdirTemp("", "hookline-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries = onebox.Binaries(os.Getenv("HOOKLINE_BIN"))
	packages := []string{"hookline/examples/crash", "hookline/internal/hooktest/thief", "hookline/internal/hooktest/wipe"}
	if binaries == "" {
		binaries = onebox.Binaries(dir)
		packages = append(packages, "hookline/cmd/hookline", "hookline/cmd/hooklined", "hookline/cmd/hookline-peer", "hookline/cmd/hookline-sandbox")
	}
	for _, p := range packages {
		build := exec.Command("go", "build", "-o", string(binaries)+"/", p)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "cannot build %s: %v\n%s", p, err, out)
			return 1
		}
	}
	return run()
}

// found starts a deployment that the test's end stops.
func found(t *testing.T, plan onebox.Plan) *onebox.Deployment {
	t.Helper()
	return foundOn(t, "", plan)
}

// deployment is one that is not founded yet.
func deployment(t *testing.T) *onebox.Deployment {
	t.Helper()
	d, err := onebox.New(filepath.Join(t.TempDir(), "d"), binaries)
	must(t, err)
	t.Cleanup(func() {
		if d.Server != nil {
			d.Server.Kill()
		}
		if t.Failed() && d.Server != nil {
			t.Logf("the server's log:\n%s", d.Server.Log())
		}
	})
	return d
}

func addPeer(t *testing.T, d *onebox.Deployment, name string, allow ...string) *onebox.Peer {
	t.Helper()
	p, err := d.AddPeer(t.Context(), name, allow...)
	if p != nil && p.Process != nil {
		t.Cleanup(func() {
			p.Kill()
			if t.Failed() {
				t.Logf("the peer's log:\n%s", p.Process.Log())
			}
		})
	}
	must(t, err)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// as is a REST client with a person's token.
func as(t *testing.T, d *onebox.Deployment, user string) *client.Client {
	t.Helper()
	secret, err := os.ReadFile(d.Path(user + ".token"))
	must(t, err)
	c, err := client.New(client.Config{Server: d.HTTP, Token: string(secret[:len(secret)-1])})
	must(t, err)
	return c
}

// hookFolder writes a hook of package "hooktest" that brings one field.
func hookFolder(t *testing.T, d *onebox.Deployment, name, script string, maxReports int) string {
	t.Helper()
	dir, err := writeHook(d, name, script, maxReports)
	must(t, err)
	return dir
}

func writeHook(d *onebox.Deployment, name, script string, maxReports int) (string, error) {
	dir := d.Path(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	manifest := fmt.Sprintf(`hook: %s
description: one field for a test
level: package
match: {package: hooktest}
as: service
capabilities: {fs.read: [/proc/sys/kernel/tainted]}
fields:
  Tainted: {type: text, class: technical, max_bytes: 256, raw: false}
limits:
  lifetime: 1d
  max_reports: %d
  max_runs_per_peer: 1000
  max_percent: 100
  max_bytes: 1048576
  max_result_bytes: 1024
  max_runtime: 2s
`, name, maxReports)
	if err := os.WriteFile(filepath.Join(dir, "hook.yaml"), []byte(manifest), 0o600); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "hook.lua"), []byte(script), 0o600)
}

const taintScript = `report.set("Tainted", fs.read("/proc/sys/kernel/tainted"))
`

// live brings a hook folder to active, with everybody's signatures.
func live(t *testing.T, d *onebox.Deployment, dir string, quantity int) api.Version {
	t.Helper()
	v, err := d.Submit(t.Context(), "alice", dir)
	must(t, err)
	for _, reviewer := range []string{"bob", "carol"} {
		v, err = d.Approve(t.Context(), reviewer, v.Digest)
		must(t, err)
	}
	v, err = d.Activate(t.Context(), "alice", v.Digest, quantity)
	must(t, err)
	return v
}

// file files a report of package "hooktest" through the peer and returns its id.
func file(ctx context.Context, d *onebox.Deployment, p *onebox.Peer, mark string) (string, error) {
	report, err := json.Marshal(hooks.Report{
		hooks.FieldExecutablePath: "/usr/bin/hooktest", hooks.FieldPackage: "hooktest", hooks.FieldPackageVersion: "1.0",
		hooks.FieldExitCode: "1", "Mark": mark,
	})
	if err != nil {
		return "", err
	}
	path := d.Path("report-" + mark + ".json")
	if err := os.WriteFile(path, report, 0o600); err != nil {
		return "", err
	}
	defer os.Remove(path)
	return p.Report(ctx, path)
}

// checkLedger reads a version and checks every identity of its ledger.
func checkLedger(t *testing.T, c *client.Client, digest string) hooks.Ledger {
	t.Helper()
	v, err := c.Version(t.Context(), digest)
	must(t, err)
	a := v.Activation
	if err := a.Ledger.Check(a.Quantity, a.MaxBytes); err != nil {
		t.Errorf("the ledger of %s: %v\n%+v", digest, err, a.Ledger)
	}
	return a.Ledger
}

// eventually waits until check holds.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	must(t, onebox.Eventually(t.Context(), within, check))
}
