package main

import (
	"encoding/json"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/api"
)

// Every command that changes a version names it by its digest, and shows it.
func TestChangesNameTheDigest(t *testing.T) {
	s := newStage(t)
	for _, tt := range []struct {
		args []string
		path string
	}{
		{[]string{"review", "reject", "answer@4", "--comment", "no"}, "/reviews"},
		{[]string{"review", "request-changes", s.digest[:8], "--comment", "smaller"}, "/reviews"},
		{[]string{"review", "approve", s.digest, "--key", s.path("bob.key"), "--yes"}, "/reviews"},
		{[]string{"hook", "activate", "answer@4", "--quantity", "2"}, "/activation"},
		{[]string{"hook", "disable", "answer@4", "--reason", "loud"}, "/disable"},
	} {
		s.thief.got = nil
		s.want(0, "digest:   "+s.digest, tt.args...)
		if want := "/api/versions/" + s.digest + tt.path; s.thief.askedFor != want || s.thief.got == nil {
			t.Errorf("%v: asked for %s, want %s", tt.args, s.thief.askedFor, want)
		}
		_, out := s.hookline(append(tt.args, "-o", "json")...)
		var v api.Version
		if err := json.Unmarshal([]byte(out[strings.LastIndex(out, "\n{\n")+1:]), &v); err != nil || v.Digest != s.digest {
			t.Errorf("%v as JSON: %v\n%s", tt.args, err, out)
		}
	}
}

// A number is the server's word: what it names is checked where it is shown,
// and it approves nothing unasked. The digest that show ends with does.
func TestApproveTakesTheDigestShown(t *testing.T) {
	s := newStage(t)
	code, out := s.hookline("review", "show", "answer@4")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if want := "hookline review approve " + s.digest + " --key FILE"; code != 0 || lines[len(lines)-1] != want {
		t.Errorf("review show ends with %q, want %q", lines[len(lines)-1], want)
	}
	read := s.digest
	code, out = s.hookline("hook", "digest", "answer@4")
	if code != 0 || out != read+"\n" {
		t.Errorf("hook digest: %d %q", code, out)
	}

	// The author signed a second statement under the same number.
	s.setVersion(s.statement(func(p *hooks.Predicate) { p.As = hooks.AsRoot }))
	for _, tt := range []struct {
		ref  string
		code int
		text string
	}{
		{read, 1, "another statement"},
		{read[:63], 2, "the whole digest"},
		{"answer@4", 2, "the whole digest"},
		{"answer@4x", 2, "is not hook@number"},
	} {
		s.want(tt.code, tt.text, "review", "approve", tt.ref, "--key", s.path("bob.key"), "--yes")
	}
	if s.thief.got != nil {
		t.Errorf("something was sent: %s", s.thief.got)
	}
	for _, change := range []func(*hooks.Predicate){
		func(p *hooks.Predicate) { p.Version = 5 }, func(p *hooks.Predicate) { p.Hook = "other" },
	} {
		s.setVersion(s.statement(change))
		for _, command := range [][]string{{"review", "show"}, {"hook", "digest"}, {"hook", "activate"}} {
			s.want(1, "instead of answer@4", append(command, "answer@4")...)
		}
	}
}

// A reviewer's clock may be a little behind the author's, no more.
func TestApproveOpensNow(t *testing.T) {
	s := newStage(t)
	for ahead, code := range map[int64]int{200: 0, 400: 4} {
		s.setVersion(s.statement(func(p *hooks.Predicate) { p.NotBefore += ahead }))
		text := "you sign this statement"
		if code != 0 {
			text = "not-yet-valid"
		}
		s.want(code, text, "review", "approve", s.digest, "--key", s.path("bob.key"), "--yes")
	}
}
