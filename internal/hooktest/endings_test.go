package hooktest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/internal/api"
	"hookline/internal/errs"
	"hookline/internal/onebox"
)

// How a run ended is told apart everywhere: on the peer in its record and its
// commands, at the server in the API, the command line and the result.
func TestEndingsAreToldApart(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	// What is asked for depends on the report, so that no lint can know it.
	const ask = `pcall(fs.read, report.get("ExecutablePath"))` + "\n"
	cases := map[string]struct {
		script, ending, code, reason string
		denied                       int64
	}{
		"brings":  {taintScript, "succeeded", "", "", 0},
		"catches": {ask + ask + taintScript, "succeeded", "", "", 2},
		"nothing": {ask, "empty", "", "", 1},
		"raises":  {ask + `error("no luck")` + "\n", "hook-error", "hook-error", "line 2: no luck", 1},
		"loops":   {"while true do end\n", "limit", "limit-time", "million instructions", 0},
		"asks":    {`fs.read(report.get("ExecutablePath"))` + "\n", "denied", "denied", "fs.read: /usr/bin/hooktest", 1},
	}
	versions := map[string]api.Version{}
	for name, c := range cases {
		versions[name] = live(t, d, hookFolder(t, d, name, c.script, 10), 5)
	}
	id, err := file(t.Context(), d, p, "first")
	must(t, err)
	ended := map[string]api.Job{}
	eventually(t, time.Minute, func() error {
		j, err := d.Job(t.Context(), "alice", id)
		for _, h := range j.HookJobs {
			if h.Status != "pending" {
				ended[h.Workload.Hook] = h
			}
		}
		if err == nil && len(ended) < len(cases) {
			err = fmt.Errorf("%d of %d runs ended", len(ended), len(cases))
		}
		return err
	})
	records, err := p.Log(t.Context())
	must(t, err)
	list, err := d.Hookline(t.Context(), "alice", "job", "list", "--workload", "hook")
	must(t, err)
	log, err := p.Do(t.Context(), "log")
	must(t, err)
	for name, c := range cases {
		j := ended[name]
		if j.Ending != c.ending || j.FailedCode != c.code || j.Denied != c.denied || !strings.Contains(j.FailedReason, c.reason) {
			t.Errorf("%s: %s, %s, %d denied: %q; want %+v", name, j.Ending, j.FailedCode, j.Denied, j.FailedReason, c)
		}
		words := c.ending
		switch c.denied {
		case 1:
			words += ", 1 call denied"
		case 2:
			words += ", 2 calls denied"
		}
		line(t, list, j.ID, words, c.code)
		line(t, log, "outcome", j.ID, words, c.code)
		found := false
		for _, r := range records {
			found = found || r.Kind == "outcome" && r.JobID == j.ID && r.Ending == c.ending && r.Denied == c.denied && r.Code == c.code
		}
		if !found {
			t.Errorf("%s: not so in the peer's record", name)
		}
	}
	result, err := as(t, d, "alice").Result(t.Context(), ended["catches"].ID)
	if err != nil || result.Denied == nil || *result.Denied != 2 {
		t.Errorf("the result says %v, %v", result.Denied, err)
	}
	shown, err := p.Do(t.Context(), "explain", ended["catches"].ID)
	must(t, err)
	for _, want := range []string{"ended: succeeded, 2 calls denied", "fs.read /usr/bin/hooktest: denied", "may read /proc/sys/kernel/tainted", "used "} {
		if !strings.Contains(shown, want) {
			t.Errorf("hookline-peer explain says nothing of %q:\n%s", want, shown)
		}
	}
	// Refused before anything runs, by an owner who lets hooks run for a second.
	p.Kill()
	config := "send_reports: yes\nallow_hooks: yes\nceilings: {max_runtime: 1s}\n"
	must(t, os.WriteFile(filepath.Join(p.State(), "guard", "config.yaml"), []byte(config), 0o600))
	must(t, p.Start(t.Context()))
	again, err := file(t.Context(), d, p, "again")
	must(t, err)
	j := hookJob(t, d, again, versions["brings"].Digest, "failed")
	if j.Ending != "refused" || j.FailedCode != string(errs.CodeOwnerCeiling) || !strings.Contains(j.FailedReason, "runtime of 2s") {
		t.Errorf("refused: %+v", j)
	}
}

// line asks for one line that has all of these.
func line(t *testing.T, text string, parts ...string) {
	t.Helper()
next:
	for l := range strings.Lines(text) {
		for _, part := range parts {
			if !strings.Contains(l, part) {
				continue next
			}
		}
		return
	}
	t.Errorf("no line has %q:\n%s", parts, text)
}
