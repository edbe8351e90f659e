package guard

import (
	"encoding/json"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
)

// What a hook logs is in the record, for the owner, and in nothing that leaves.
func TestLogStaysHere(t *testing.T) {
	k := newKit(t).realSandbox()
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	for n, tc := range []struct {
		lua  string
		code errs.Code
	}{
		{`log("canary one") print("canary", "two") report.set("Answer", "42")`, ""},
		{`log("canary one") print("canary", "two")`, ""},
		{`log("canary one") print("canary", "two") error("no luck")`, errs.CodeHookError},
	} {
		end := s.end(k.runScript(original, tc.lua, func(p *hooks.Predicate) { p.Version = int64(n + 1) }))
		if end.Code != string(tc.code) {
			t.Fatalf("%s: %s", end.Code, end.Reason)
		}
		e := lastEntry(t, g, KindOutcome)
		if got := strings.Join(e.Log, "|"); got != "canary one|canary\ttwo" && got != "canary one|canary two" {
			t.Errorf("recorded %q", got)
		}
		b, err := json.Marshal(end)
		if err != nil || strings.Contains(string(b), "canary") || strings.Contains(string(end.Finish.Fields), "canary") {
			t.Errorf("it left: %s, %v", b, err)
		}
	}
}

// A hook cannot wash the record out with what it logs.
func TestKeptLogIsBounded(t *testing.T) {
	many := strings.Split(strings.Repeat("a line of some length\n", sandbox.MaxLogBytes/22), "\n")
	for name, tc := range map[string]struct {
		log  []string
		last string
	}{
		"nothing":           {nil, ""},
		"a few":             {[]string{"one", "two"}, "two"},
		"many":              {many, "more lines"},
		"one long":          {[]string{strings.Repeat("x", sandbox.MaxLogBytes)}, "x …"},
		"one broken":        {[]string{strings.Join(many, "\n")}, "more lines"},
		"grows when stored": {[]string{strings.Repeat("\x01", 4000), strings.Repeat("\x01", 4000)}, "… 1 more lines"},
		"empty ones":        {make([]string, 16<<10), "more lines"},
	} {
		got := keptLog(tc.log)
		b, err := json.Marshal(got)
		if err != nil || len(b) > maxLogKept+100 {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
		if len(got) == 0 != (tc.last == "") || len(got) > 0 && !strings.Contains(got[len(got)-1], tc.last) {
			t.Errorf("%s: %d lines, the last is %q", name, len(got), got[max(0, len(got)-1):])
		}
		for _, line := range got {
			if strings.Contains(line, "\n") {
				t.Errorf("%s: a line in a line: %q", name, line)
			}
		}
	}
}
