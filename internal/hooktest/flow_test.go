package hooktest_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hookline/internal/api"
	"hookline/internal/onebox"
)

// An owner who wants to be asked sees the run waiting, says yes once, and the
// run comes under a new job; a second report waits again.
func TestOwnerIsAskedFirst(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=ask")
	v := live(t, d, hookFolder(t, d, "taint", taintScript, 10), 3)
	original, err := file(t.Context(), d, p, "first")
	must(t, err)
	refusal, err := p.AwaitRefusal(t.Context(), "alice", original)
	must(t, err)
	if refusal.Code != "waits-for-owner" || refusal.Decision != "deferred" {
		t.Errorf("the record says %+v, want waits-for-owner, deferred", refusal)
	}
	out, err := p.Do(t.Context(), "pending")
	must(t, err)
	waiting := strings.Fields(out)
	if len(waiting) == 0 || !strings.Contains(out, original) {
		t.Fatalf("pending does not show the run for %s: %q", original, out)
	}
	_, err = p.Do(t.Context(), "allow-once", waiting[0])
	must(t, err)
	r, err := d.AwaitResult(t.Context(), "alice", original)
	must(t, err)
	if r.ID == refusal.JobID {
		t.Errorf("the result came under the deferred job %s, want a new one", r.ID)
	}
	ledger := checkLedger(t, as(t, d, "alice"), v.Digest)
	if ledger.Received != 1 || ledger.Deferred != 1 {
		t.Errorf("ledger %+v, want 1 received and 1 deferred", ledger)
	}
	second, err := file(t.Context(), d, p, "second")
	must(t, err)
	again, err := p.AwaitRefusal(t.Context(), "alice", second)
	must(t, err)
	if again.Code != "waits-for-owner" {
		t.Errorf("the second report ran without being asked: %+v", again)
	}
	told, err := p.Do(t.Context(), "explain", "latest")
	must(t, err)
	if !strings.Contains(told, again.JobID) || !regexp.MustCompile(`check owner +waits, waits-for-owner`).MatchString(told) {
		t.Errorf("explain latest does not show the last decision with its checks:\n%s", told)
	}
}

// A machine whose owner said nothing files nothing and runs nothing.
func TestEverythingIsOffByDefault(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer")
	a, err := p.Try(t.Context(), "exec", "--", binaries.Path("crash"), "--to", "3")
	must(t, err)
	if !strings.Contains(a.Stderr, "--send-reports=yes") {
		t.Errorf("exec does not say how to opt in:\n%s", a.Stderr)
	}
	jobs, err := d.Hookline(t.Context(), "alice", "job", "list", "--output", "json")
	must(t, err)
	if strings.Contains(jobs, "fingerprint") {
		t.Errorf("a report left a machine that did not opt in: %s", jobs)
	}
}

// Quantity is exact, and explain tells why the fourth report had no run.
func TestQuantityEndsTheActivation(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	v := live(t, d, hookFolder(t, d, "taint", taintScript, 10), 2)
	c := as(t, d, "alice")
	for i := range 2 {
		id, err := file(t.Context(), d, p, fmt.Sprint(i))
		must(t, err)
		_, err = d.AwaitResult(t.Context(), "alice", id)
		must(t, err)
	}
	eventually(t, 10*time.Second, func() error {
		now, err := c.Version(t.Context(), v.Digest)
		if err == nil && (now.State != "expired" || now.Activation.Reason != "quantity") {
			err = fmt.Errorf("state %s, reason %s", now.State, now.Activation.Reason)
		}
		return err
	})
	late, err := file(t.Context(), d, p, "late")
	must(t, err)
	eventually(t, 10*time.Second, func() error {
		_, err := c.Job(t.Context(), late)
		return err
	})
	out, err := d.Hookline(t.Context(), "alice", "hook", "explain", "taint", "--job", late)
	must(t, err)
	if !strings.Contains(out, "expired") && !strings.Contains(out, "hook-not-active") {
		t.Errorf("explain does not say why:\n%s", out)
	}
}

// A hook that fails brings the field HookError_<hook> of a failed job, and
// nothing into hook_results.
func TestHookErrorIsAFieldOfTheFailedJob(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	v := live(t, d, hookFolder(t, d, "broken", "local x = nil\nreport.set('Tainted', x.y)\n", 10), 3)
	id, err := file(t.Context(), d, p, "first")
	must(t, err)
	var hookJob api.Job
	eventually(t, 20*time.Second, func() error {
		j, err := d.Job(t.Context(), "alice", id)
		if err != nil {
			return err
		}
		if len(j.HookJobs) == 0 || j.HookJobs[0].Status != "failed" {
			return fmt.Errorf("hook jobs: %+v", j.HookJobs)
		}
		hookJob = j.HookJobs[0]
		return nil
	})
	if hookJob.FailedCode != "hook-error" || !strings.Contains(hookJob.Workload.HookError, "2") {
		t.Errorf("failed job %+v, want hook-error with Lua line 2", hookJob)
	}
	ledger := checkLedger(t, as(t, d, "alice"), v.Digest)
	if ledger.Received != 0 || ledger.Failed != 1 || len(allResults(t, as(t, d, "alice"), v.Digest)) != 0 {
		t.Errorf("ledger %+v, want one failed and no result", ledger)
	}
}

// Neither a private key nor a secret stands in anything that the server keeps.
func TestNoSecretInTheServersFiles(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	live(t, d, hookFolder(t, d, "taint", taintScript, 10), 3)
	id, err := file(t.Context(), d, p, "first")
	must(t, err)
	_, err = d.AwaitResult(t.Context(), "alice", id)
	must(t, err)
	must(t, d.Stop())
	secrets := map[string][]byte{"a private key's header": []byte("SIGSTORE PRIVATE KEY")}
	for _, name := range []string{"admin.token", "alice.token", "bob.token", "offline/setup.key"} {
		b, err := os.ReadFile(d.Path(name))
		must(t, err)
		secrets[name] = bytes.TrimSpace(b)
	}
	files, err := filepath.Glob(d.Path("server", "*"))
	must(t, err)
	if len(files) < 2 {
		t.Fatalf("the server keeps only %v", files)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		must(t, err)
		for what, secret := range secrets {
			if len(secret) < 16 {
				t.Fatalf("%s is too short to look for: %q", what, secret)
			}
			if bytes.Contains(content, secret) {
				t.Errorf("%s holds %s in clear", f, what)
			}
		}
	}
}
