package hooktest_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var updatePage = flag.Bool("update", false, "write docs/stolen-server.md anew")

const stolenPage = "../../docs/stolen-server.md"

// sequences are the tries that are no single message.
func sequences() [][2]string {
	return [][2]string{
		{"a hook that people signed, on a machine whose owner says no", "`not-opted-in`"},
		{"the same, on a machine whose owner wants to be asked", "`waits-for-owner`"},
		{"after the owner's yes to one run: another version, another script, and the same once more", "`waits-for-owner`, `script-digest-mismatch`, `waits-for-owner`"},
		{"a hook that was signed to run once, eight times at once", "one run; the others `run-limit` or `peer-busy`"},
		{"a hook that people signed, once more than they signed", "`run-limit`"},
		{"the same after kill -9 of the machine's guard and a restart", "`run-limit`"},
		{"a job under the id of one that ended, or twice", "no second run, no second decision"},
		{"an older version after a newer one has run", "`version-rollback`"},
		{"a job whose deadline has passed", "`job-deadline-passed`"},
		{"a timestamp that it never lets be replaced, until it runs out; and after a restart", "`trust-stale`"},
		{"a hook whose revocation has arrived while it runs", "stopped: `revoked`"},
		{"the same version again; with the revocation left out of newer metadata; with older metadata; after kill -9 and a restart", "`revoked`"},
		{"a hook of which one reviewer's key was revoked", "`threshold-not-met`"},
		{"metadata that is fresh by a key which people took out of the root, with the new root and without it", "`trust-under-signed`"},
		{"as the network side: to ask the guard for what its owner may ask, yes to hooks and to waiting runs among it", "`forbidden`"},
		{"as the network side: jobs and metadata as no server sent them", "as above"},
	}
}

// The page of the tables is made of the tables.
func TestStolenServerPage(t *testing.T) {
	want := page()
	if *updatePage {
		must(t, os.WriteFile(stolenPage, []byte(want), 0o644)) //nolint:gosec // a page of the documentation
	}
	is, err := os.ReadFile(stolenPage)
	must(t, err)
	if string(is) != want {
		t.Error("docs/stolen-server.md is not that of the tables: go test ./internal/hooktest -run StolenServerPage -update")
	}
}

func page() string {
	var b strings.Builder
	b.WriteString(`# A stolen server

Somebody holds the server: its database, the CA's key and with it the server's certificate, every token, the trust metadata. That is everything
that a server has. The people's keys are on the people's machines, and the offline folder is offline.

This page is made of the tables of ` + "`TestStolenServer`" + ` in ` + "`internal/hooktest`" + `, which ` + "`make check`" + ` runs: a deployment is founded with the
real programs, its people sign a hook, it runs on real machines; then the server is stopped and its folder copied, and a program of the thief's answers at
the same address with the same certificate and says all that follows to the real ` + "`hookline-peer`" + ` processes. After each try the machine's own record must have
the refusal, with its code, and nothing else; at the end only those runs stand in record and counts that the last table allows, no script of the thief's
left a trace, and a hook that people signed still runs. ` + "`go test ./internal/hooktest -run StolenServerPage -update`" + ` writes the page anew.

## What a thief tries with jobs

| the thief sends | the machine's record says |
|---|---|
`)
	row := func(does, says string) { fmt.Fprintf(&b, "| %s | %s |\n", does, says) }
	for _, try := range hookTries() {
		row(try.does, code(string(try.code)))
	}
	b.WriteString("\n## What a thief tries over time, and from inside the network side\n\n| the thief tries | what comes of it |\n|---|---|\n")
	for _, s := range sequences() {
		row(s[0], s[1])
	}
	for _, try := range sideTries() {
		row("as the network side: "+try.does, "the guard hangs up, records it, and starts another network side")
	}
	b.WriteString("\n## What a thief tries with trust metadata\n\nWhat people signed last stays in force, on disk too.\n\n| the thief shows | the machine's record says |\n|---|---|\n")
	for _, try := range trustTries() {
		row(try.does, code(string(try.code)))
	}
	b.WriteString("\n## What a thief tries over the stream\n\nNothing of it reaches the guard, and the next job is served.\n\n| the thief says | the network side |\n|---|---|\n")
	for _, try := range frameTries() {
		row(try.does, try.says())
	}
	b.WriteString("\n## What a thief tries when a machine enrols\n\nThe command ends with the code, and the machine is as it was.\n\n| the thief brings | code |\n|---|---|\n")
	for _, try := range slices.Concat(enrolTries(), secondTries()) {
		row(try.does, code(string(try.code)))
	}
	b.WriteString("\n## What a thief still can do\n\nEach of these is shown by the named part of `TestStolenServer`.\n\n| a thief can | what bounds it | shown by |\n|---|---|---|\n")
	for _, p := range powers() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.can, p.bound, p.shown)
	}
	return b.String()
}

func code(c string) string { return "`" + c + "`" }

func (f frameTry) says() string {
	switch {
	case f.ends:
		return "hangs up, and comes back"
	case f.code != "":
		return "refuses: " + code(string(f.code))
	case f.greets:
		return "hangs up, and comes back"
	}
	return "drops it"
}
