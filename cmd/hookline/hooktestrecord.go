package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"hookline/internal/errs"
	"hookline/internal/redact"
	"hookline/sandbox"
	"hookline/sandbox/replay"
)

// maxShownChanges is how many lines of a difference people read.
const maxShownChanges = 20

// record keeps what the machine answered as the folder's fixtures, and tries
// whether the hook brings the same over them.
func (a *app) record(ctx context.Context, t trial, out sandbox.Outcome) error {
	if out.Code != "" {
		fmt.Fprintln(a.err, "warning: nothing is recorded, since the run failed: what it did not ask any more would be missing")
		return nil
	}
	var recording sandbox.Recording
	if out.Recording != nil {
		recording = *out.Recording
	}
	f := replay.FromRecording(recording)
	f.Facts = t.task.Facts
	redacted := 0
	if !t.RawFixtures {
		f, redacted = f.Redacted(redact.Names{Hosts: t.task.Redact.Hosts, Users: t.task.Redact.Users})
	}
	b := f.YAML()
	if _, err := replay.ParseFixtures(b); err != nil {
		return errs.Wrap(errs.CodeTooLarge, err, "cannot keep what was recorded: fixtures hold less").
			WithHint("let the hook ask for less, or write fixtures by hand")
	}
	written, err := a.writeFixtures(t, b, f)
	if err != nil || !written {
		return err
	}
	a.warnOfFixtures(t, redacted)
	return a.compare(ctx, t, out, f)
}

// writeFixtures writes the file unless it says the same already; what an old
// one loses is shown first.
func (a *app) writeFixtures(t trial, b []byte, f replay.Fixtures) (bool, error) {
	path := t.file(fixturesName)
	old, err := readFile(path, replay.MaxFixtureBytes)
	switch {
	case errs.Is(err, errs.CodeNotFound):
	case err != nil:
		return false, err
	case bytes.Equal(old, b):
		fmt.Fprintf(a.err, "%s says the same already\n", safe(path))
		return false, nil
	default:
		a.fixtureChanges(path, old, f)
		if !t.Yes && !a.agrees("overwrite it?") {
			fmt.Fprintf(a.err, "%s stays as it is\n", safe(path))
			return false, nil
		}
	}
	if err := writePrivate(path, b); err != nil {
		return false, err
	}
	fmt.Fprintf(a.err, "wrote %s\n", safe(path))
	return true, nil
}

func (a *app) fixtureChanges(path string, old []byte, f replay.Fixtures) {
	before, err := replay.ParseFixtures(old)
	if err != nil {
		fmt.Fprintf(a.err, "%s is there and cannot be read as fixtures: %s\n", safe(path), safe(err.Error()))
		return
	}
	changes := before.Changes(f)
	fmt.Fprintf(a.err, "%s is there, and would change; its comments go:\n", safe(path))
	for i, c := range changes {
		if i == maxShownChanges {
			fmt.Fprintf(a.err, "  … and %d more\n", len(changes)-i)
			break
		}
		mark := map[string]string{"added": "+", "removed": "-", "changed": "~"}[c.How]
		fmt.Fprintln(a.err, strings.TrimRight(fmt.Sprintf("  %s %s %s", mark, c.Kind, safe(clip(c.Name, 100))), " "))
	}
	if len(changes) == 0 {
		fmt.Fprintln(a.err, "  only in how it is written")
	}
}

func (a *app) warnOfFixtures(t trial, redacted int) {
	const read = "read it before you share it"
	if t.RawFixtures {
		fmt.Fprintf(a.err, "warning: it holds what this machine said, nothing redacted: %s\n", read)
		return
	}
	fmt.Fprintf(a.err, "warning: it holds what this machine said (%s redacted; paths, names of files and arguments never are): %s\n", answers(redacted), read)
}

// compare runs the hook over what was just recorded: fixtures that give
// another result are worth a word.
func (a *app) compare(ctx context.Context, t trial, live sandbox.Outcome, f replay.Fixtures) error {
	task := t.task
	task.Record, task.Trace = false, false
	again, err := replay.Run(ctx, t.binary, task, f)
	if err != nil {
		return err
	}
	if again.Code != "" {
		fmt.Fprintf(a.err, "warning: over these fixtures the hook fails at line %d: %s\n", again.Line, safe(again.Error))
	} else if a.sameFields(live, again) {
		return nil
	}
	if !t.RawFixtures {
		fmt.Fprintln(a.err, "hint: the hook may work on what was redacted; --raw-fixtures keeps it")
	}
	return nil
}

// sameFields reports whether both runs bring the same, and warns of each field
// that differs.
func (a *app) sameFields(live, again sandbox.Outcome) bool {
	same := true
	names := map[string]bool{}
	for name := range live.Fields {
		names[name] = true
	}
	for name := range again.Fields {
		names[name] = true
	}
	for _, name := range sortedKeys(names) {
		before, here := live.Fields[name]
		after, there := again.Fields[name]
		if here && there && compact(before) == compact(after) {
			continue
		}
		same = false
		fmt.Fprintf(a.err, "warning: over these fixtures the hook brings another %s than just now\n", safe(name))
	}
	return same
}

func answers(n int) string {
	if n == 1 {
		return "1 answer was"
	}
	return fmt.Sprintf("%d answers were", n)
}
