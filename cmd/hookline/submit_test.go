package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/signing"
)

// initFolder makes a hook folder from the stage's job.
func (s *stage) initFolder() string {
	s.t.Helper()
	dir := s.path("folder")
	s.want(0, "made", "hook", "init", "answer", "--job", "j1", "--dir", dir)
	return dir
}

func (s *stage) serveJob(report hooks.Report) {
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/jobs/") {
			return false
		}
		_ = json.NewEncoder(w).Encode(api.Job{ID: "j1", Workload: api.Workload{Type: "report", Report: report}})
		return true
	}
}

func crash() hooks.Report {
	return hooks.Report{
		hooks.FieldExecutablePath: "/usr/bin/Crash Demo", hooks.FieldSignal: "6",
		"MemAvailableKiB": "taken", hooks.FieldStderr: "\u202e\"quotes\" and\nlines: #",
	}
}

func TestInitFromJob(t *testing.T) {
	s := newStage(t)
	s.serveJob(crash())
	dir := s.initFolder()
	f, err := readFolder([]string{dir})
	s.must(err)
	if got := f.manifest.Match.Fingerprints; len(got) != 1 || got[0] != hooks.Fingerprint(crash()) {
		t.Errorf("fingerprints %q", got)
	}
	if _, taken := f.manifest.Fields["MemAvailableKiB"]; taken {
		t.Error("the manifest declares a field that the report has")
	}
	b, err := os.ReadFile(f.file(reportName))
	s.must(err)
	saved, err := hooks.ParseReport(b)
	if err != nil || saved[hooks.FieldStderr] != crash()[hooks.FieldStderr] {
		t.Errorf("report.json: %v %q", err, saved)
	}
	s.want(1, "overwritten", "hook", "init", "answer", "--job", "j1", "--dir", dir)
	s.want(0, "made", "hook", "init", "--job", "j1", "--dir", s.path("other"), "--level", "problem")
	if f, err = readFolder([]string{s.path("other")}); err != nil || f.manifest.Hook != "crash-demo-machine-state" {
		t.Errorf("hook %q, %v", f.manifest.Hook, err)
	}
	s.want(1, "names none", "hook", "init", "--job", "j1", "--dir", s.path("third"), "--level", "package")
}

func TestSubmit(t *testing.T) {
	s := newStage(t)
	s.serveJob(crash())
	dir := s.initFolder()
	s.want(0, "answer@5", "hook", "submit", dir, "--key", s.path("alice.key"), "--no-lint")
	var sent api.NewVersion
	s.must(json.Unmarshal(s.thief.got, &sent))
	p, err := signing.ParsePolicy(s.thief.info.Policy)
	s.must(err)
	st, standing, err := (signing.Rules{Policy: p, Now: time.Now()}).Examine(sent.Script, sent.Statement, [][]byte{sent.Signature})
	if err != nil || standing.Author.Person != "alice" || st.Predicate.Version != 5 {
		t.Errorf("what was sent: %+v, %v", standing, err)
	}

	s.thief.got = nil
	s.want(4, "not an author", "hook", "submit", dir, "--key", s.path("bob.key"), "--no-lint")
	s.setPolicy(append(s.thief.info.Policy, "# mine\n"...), s.thief.info.Deployment)
	s.want(4, "[trust-root-mismatch]", "hook", "submit", dir, "--key", s.path("alice.key"), "--no-lint")
	if s.thief.got != nil {
		t.Errorf("something was sent: %s", s.thief.got)
	}
}

func TestSubmitNumberTaken(t *testing.T) {
	s := newStage(t)
	s.serveJob(crash())
	dir := s.initFolder()
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: 409, Code: "version-taken", Title: "Conflict", Detail: "version 5 exists"})
		return true
	}
	args := []string{"hook", "submit", dir, "--key", s.path("alice.key"), "--no-lint"}
	s.want(1, "somebody took the number just now", args...)
	s.want(1, "error: version 5 exists", append(args, "--number", "5")...)
}

// A number that no author signed is not counted on from: one too high would
// lock out every later version.
func TestSubmitNumberIsProven(t *testing.T) {
	tests := []struct {
		name string
		lie  func(s *stage)
		code int
		text string
	}{
		{"a number from nowhere", func(s *stage) { s.thief.version.Number = 1 << 40 }, 1, "does not prove it"},
		{"a statement without its author's signature", func(s *stage) { s.thief.version.Signatures = nil }, 4, "does not prove it"},
		{"another hook's version", func(s *stage) {
			s.setVersion(s.statement(func(p *hooks.Predicate) { p.Hook = "other" }))
		}, 1, "does not prove it"},
		{"a number below one", func(s *stage) { s.thief.version.Number = -7 }, 1, "leads back"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.serveJob(crash())
			dir := s.initFolder()
			tt.lie(s)
			s.thief.got = nil
			args := []string{"hook", "submit", dir, "--key", s.path("alice.key"), "--no-lint"}
			s.want(tt.code, tt.text, args...)
			if s.thief.got != nil {
				t.Errorf("something was sent: %s", s.thief.got)
			}
			s.want(0, "answer@5", append(args, "--number", "5")...)
		})
	}
	s := newStage(t)
	s.serveJob(crash())
	dir := s.initFolder()
	for _, number := range []string{"-1", "9007199254740993"} {
		s.want(1, "version", "hook", "submit", dir, "--key", s.path("alice.key"), "--no-lint", "--number", number)
	}
	if s.thief.got != nil {
		t.Errorf("something was sent: %s", s.thief.got)
	}
}

// A server that was another deployment at login gets no signature, even with
// a policy that the person has in hand.
func TestDeploymentIsPinned(t *testing.T) {
	s := newStage(t)
	s.serveJob(crash())
	dir := s.initFolder()
	b := []byte(strings.ReplaceAll(string(s.thief.info.Policy), strings.Repeat("1", 32), strings.Repeat("2", 32)))
	s.setPolicy(b, "d-"+strings.Repeat("2", 32))
	s.thief.got = nil
	s.must(os.WriteFile(s.path("policy.yaml"), s.thief.info.Policy, 0o600))
	for _, args := range [][]string{
		{"hook", "submit", dir, "--key", s.path("alice.key"), "--no-lint"},
		{"hook", "statement", dir, "--author", s.path("alice.pub")},
		{"review", "approve", s.digest, "--key", s.path("bob.key"), "--yes"},
	} {
		s.want(4, "[trust-root-mismatch]", args...)
		s.want(4, "[trust-root-mismatch]", append(args, "--policy", s.path("policy.yaml"))...)
	}
	if s.thief.got != nil {
		t.Errorf("something was sent: %s", s.thief.got)
	}
}
