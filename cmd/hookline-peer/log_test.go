package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/internal/guard"
)

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
