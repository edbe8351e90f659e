package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/guard"
	"hookline/internal/guardwire"
	"hookline/sandbox"
)

// printed is what an app prints.
func printed(t *testing.T, do func(*app)) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	do(&app{streams: streams{out: out}})
	text, err := os.ReadFile(out.Name())
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The owner reads what a run may start, argument by argument, and what the
// program gets to see.
func TestPendingShowsEveryPower(t *testing.T) {
	p := guardwire.Pending{
		ID: "0123456789ab", Hook: "look", Version: 3, As: "service", Author: "alice", Reads: []string{"/proc/meminfo"},
		Lists: []string{"/var/log", "/etc/apt"}, Stats: []string{"/var/**"},
		Commands: []hooks.Command{
			{Name: "own", Program: "/usr/bin/dpkg", Args: []string{"-S", "{path}", "a b,c"}, Paths: []string{"/usr/**"}, Reads: []string{"/var/lib/dpkg/**"}},
			{Name: "log", Program: "/usr/bin/dmesg", Args: []string{"--kernel\x1b[2J"}, Syslog: true},
		},
		AskedAt: time.Unix(0, 0), NotAfter: time.Unix(3600, 0),
	}
	got := printed(t, func(a *app) { a.showPending(p) })
	for _, want := range []string{
		"may read     /proc/meminfo\n", "may list     /var/log, /etc/apt\n", "may look at  /var/**\n",
		"may start    /usr/bin/dpkg -S {path} \"a b,c\"; {path} is one of /usr/**; it reads /var/lib/dpkg/**\n",
		"/usr/bin/dmesg --kernel", "; it reads the kernel's log\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("without %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("it moves the terminal's cursor: %q", got)
	}
	if bare := printed(t, func(a *app) { a.showPending(guardwire.Pending{}) }); strings.Contains(bare, "may start") || !strings.Contains(bare, "may read    nothing\n") {
		t.Errorf("a run that may nothing:\n%s", bare)
	}
}

// Lines from before endings were recorded are told apart too.
func TestLogTellsEndings(t *testing.T) {
	for _, tc := range []struct {
		entry guard.Entry
		want  string
	}{
		{guard.Entry{Ending: hooks.EndingSucceeded, Outcome: "received", Denied: 2, Fields: []byte(`{"A":"1"}`)}, "succeeded, 2 calls denied: A"},
		{guard.Entry{Outcome: "received", Fields: []byte(`{"A":"1"}`)}, "succeeded: A"},
		{guard.Entry{Outcome: "empty", Denied: 1}, "empty, 1 call denied"},
		{guard.Entry{Outcome: "failed", Code: "limit-memory"}, "limit"},
		{guard.Entry{Outcome: "failed", Code: "sandbox-crash"}, "killed"},
		{guard.Entry{Outcome: "failed", Code: "storage-full"}, "failed"},
	} {
		tc.entry.Kind = guard.KindOutcome
		if got := result(tc.entry); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.entry, got, tc.want)
		}
		if got := printed(t, func(a *app) { a.explain(tc.entry) }); !strings.Contains(got, "ended: "+strings.SplitN(tc.want, ":", 2)[0]) {
			t.Errorf("explained as\n%s", got)
		}
	}
	if got := result(guard.Entry{Kind: guard.KindTrust, Decision: "taken", Reason: "fresh metadata"}); got != "taken: fresh metadata" {
		t.Errorf("metadata: %q", got)
	}
	if got := result(guard.Entry{Kind: guard.KindDecision, Decision: "refused", Ending: hooks.EndingRefused}); got != "refused" {
		t.Errorf("a refusal: %q", got)
	}
}

// A report whose filer is not known makes nobody's run, never root's.
func TestReporterIdentity(t *testing.T) {
	if got := reporterIdentity(sandbox.Filer{}); got != (sandbox.Credential{}) {
		t.Errorf("unknown: %+v", got)
	}
	if got := reporterIdentity(sandbox.Filer{UID: 4_000_000_000, Known: true}); got.UID != 4_000_000_000 || got.GID != 4_000_000_000 {
		t.Errorf("a user without a name: %+v", got)
	}
	if os.Geteuid() == 0 {
		network, _ := networkIdentity()
		if got := reporterIdentity(sandbox.Filer{UID: uint32(network), Known: true}); got != (sandbox.Credential{}) {
			t.Errorf("the network side's user: %+v", got)
		}
		if got := serviceIdentity(); got.UID == uint32(network) {
			t.Errorf("hooks run as the network side's user: %+v", got)
		}
	}
}

// Each check of a decision stands there with its verdict, those of the
// signatures one by one.
func TestExplainTellsEachCheck(t *testing.T) {
	names := guard.CheckNames()
	for _, tc := range []struct {
		name    string
		entry   guard.Entry
		passed  int
		refused string // its line, "" where none did
	}{
		{"it ran", guard.Entry{Decision: "run"}, len(names), ""},
		{"first of all", guard.Entry{Decision: "refused", Check: "opted in", Code: "not-opted-in", Reason: "no"}, 0, "refused, not-opted-in: no"},
		{"a revoked version", guard.Entry{Decision: "refused", Check: "signed/revocations", Code: "revoked", Reason: "dave did\x1b[2J"}, 8, "refused, revoked: dave did"},
		{"the owner is asked", guard.Entry{Decision: "deferred", Check: "owner", Code: "waits-for-owner", Reason: "first"}, len(names) - 2, "waits, waits-for-owner: first"},
	} {
		tc.entry.Kind = guard.KindDecision
		got := printed(t, func(a *app) { a.explain(tc.entry) })
		rest := len(names) - tc.passed
		if tc.refused != "" {
			rest--
		}
		if n := strings.Count(got, " passed\n"); n != tc.passed {
			t.Errorf("%s: %d passed, want %d\n%s", tc.name, n, tc.passed, got)
		}
		if n := strings.Count(got, " not reached\n"); n != rest || !strings.Contains(got, tc.refused) || strings.Contains(got, "\x1b") {
			t.Errorf("%s: %d not reached, want %d\n%s", tc.name, n, rest, got)
		}
	}
	for _, e := range []guard.Entry{
		{Kind: guard.KindDecision, Decision: "refused", Code: "revoked", Reason: "from before"},
		{Kind: guard.KindTrust, Decision: "refused", Code: "trust-rollback", Reason: "older"},
	} {
		if got := printed(t, func(a *app) { a.explain(e) }); strings.Contains(got, "check ") || !strings.Contains(got, e.Reason) {
			t.Errorf("without a check:\n%s", got)
		}
	}
}

// How fresh the metadata is reads differently at each level.
func TestTrustText(t *testing.T) {
	for want, trusting := range map[string]guardwire.Trusting{
		"fresh: 49 % of its life": {Share: 0.49}, "grows old: 50 % of its life": {Share: 0.5},
		"SOON TOO OLD: 80 % of its life": {Share: 0.8}, "NO HOOK RUNS: it ended": {Share: 1, Refusal: "it ended"},
	} {
		if got := trustText(trusting); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
