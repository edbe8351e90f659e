package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/internal/guard"
	"hookline/internal/guardwire"
)

// What a hook logged is shown line by line: no line of it can pass for one of
// the record, nor move the terminal's cursor.
func TestExplainShowsWhatWasLogged(t *testing.T) {
	e := guard.Entry{
		Kind: guard.KindOutcome, JobID: "j", Outcome: "empty", Log: []string{"canary one", "two\n    what left: {}", "\u202etxt\x1b[2J"},
		Reads: []guard.Read{{Name: "fs.read", Arg: "/proc\n    what left: {}"}},
	}
	got := printed(t, func(a *app) { a.explain(e) })
	if !strings.Contains(got, "    logged, and kept here: canary one\n") || strings.Contains(got, "\n    what left") || strings.ContainsAny(got, "\u202e\x1b") {
		t.Errorf("explained as\n%q", got)
	}
}

// The record's own lines move no cursor either.
func TestLogAsJSONIsEscaped(t *testing.T) {
	line := json.RawMessage("{\"log\":[\"a\u202eb\"]}")
	if got := printed(t, func(a *app) { a.showLines([]json.RawMessage{line}) }); got != `{"log":["a\u202eb"]}`+"\n" {
		t.Errorf("printed %q", got)
	}
}

// An owner's answer can be followed from its line.
func TestExplainNamesTheAsk(t *testing.T) {
	got := printed(t, func(a *app) {
		a.explain(guard.Entry{Kind: guard.KindOwner, JobID: "j", Ask: "0123456789ab", OriginalID: "o", Hook: "answer", Version: 1, Decision: "deny"})
	})
	if !strings.Contains(got, "the owner answered deny to 0123456789ab, hook answer v1 for report o\n") {
		t.Errorf("explained as\n%s", got)
	}
	if got := allowedText(guardwire.Allowed{ID: "0123456789ab", OriginalID: "o", WaitsFor: "a free slot"}); !strings.HasSuffix(got, "waits for a free slot") {
		t.Errorf("allowed: %s", got)
	}
}

// A line of the record says what to do about a code, where something is to do.
func TestExplainSaysOnlyWhatCanBeDone(t *testing.T) {
	for code, want := range map[errs.Code]string{
		errs.CodeNotInRollout: "    not-in-rollout: The peer is outside the signed percentage.\n",
		errs.CodeRunLimit:     "    run-limit: The version has run on this peer as often as people signed. Submit a new version to run it again.\n",
	} {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		a := &app{streams: streams{out: out}}
		a.explain(guard.Entry{Time: time.Unix(0, 0), Kind: guard.KindOutcome, JobID: "j", Code: string(code)})
		got, err := os.ReadFile(out.Name())
		if err := errors.Join(err, out.Close()); err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s: %v, got\n%s\nwant at its end\n%s", code, err, got, want)
		}
	}
}

// A line that sums up says how many of what, and whom it names.
func TestExplainTellsWhatWasOnlyCounted(t *testing.T) {
	got := printed(t, func(a *app) {
		a.explain(guard.Entry{Kind: guard.KindSummed, Reason: "18 more since 2026-11-02T09:00:00Z, only counted", Sums: []guard.Sum{
			{Kind: guard.KindDecision, Decision: "refused", Code: "no-match", Count: 17, First: "a", Last: "b"},
			{Kind: guard.KindNetwork, Count: 1},
		}})
	})
	for _, want := range []string{
		"too many lines that the other side caused, so only counted\n", "    18 more since 2026-11-02T09:00:00Z, only counted\n",
		"    decision refused, no-match: 17, the first a, the last b\n", "    network: 1\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("explained as\n%s\nwithout %q", got, want)
		}
	}
}

// A job without a line may be one of those that were only counted.
func TestExplainOfAJobWithoutALine(t *testing.T) {
	line := func(e guard.Entry) json.RawMessage {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ran := line(guard.Entry{Kind: guard.KindOutcome, JobID: "other"})
	summed := line(guard.Entry{Kind: guard.KindSummed, Sums: []guard.Sum{{Count: 17}, {Count: 1}}})
	for want, lines := range map[string][]json.RawMessage{
		`the record knows no job "j"`:                      {ran},
		`18 lines were too many to write and were only co`: {ran, summed},
	} {
		err := unknownJob(lines, "j")
		if errs.CodeOf(err) != errs.CodeNotFound || !strings.Contains(err.Error(), want) {
			t.Errorf("told %v, want %q", err, want)
		}
	}
}
