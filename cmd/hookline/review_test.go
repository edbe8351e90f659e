package main

import (
	"encoding/json"
	"strings"
	"testing"

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
