package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"hookline/internal/api"
	"hookline/internal/errs"
)

// What a hook run brought stands in its own job, or where to see it; why it
// failed stands there once.
func TestJobShowsARun(t *testing.T) {
	s := newStage(t)
	const id = "0198a1b2-0000-7000-8000-000000000001"
	run := api.Job{ID: id, Status: "failed", Outcome: "failed", Ending: "hook-error", Workload: api.Workload{Type: "hook", Hook: "answer", OriginalID: "o"}}
	var job api.Job
	readable := true
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		var out any
		switch {
		case strings.HasSuffix(r.URL.Path, "/jobs"):
			out = api.Page[api.Job]{Items: []api.Job{job, {ID: "o", Status: "succeeded", Workload: api.Workload{Type: "report"}}}}
		case strings.Contains(r.URL.Path, "/jobs/"):
			out = job
		case strings.Contains(r.URL.Path, "/results/") && readable:
			out = api.Result{ID: id, Hook: "answer", Fields: json.RawMessage(`{"Answer":"forty-two"}`)}
		case strings.Contains(r.URL.Path, "/results/"):
			w.WriteHeader(http.StatusForbidden)
			out = api.Problem{Status: http.StatusForbidden, Code: string(errs.CodeForbidden), Detail: "no"}
		default:
			return false
		}
		_ = json.NewEncoder(w).Encode(out)
		return true
	}
	shows := func(args ...string) string {
		t.Helper()
		code, out := s.hookline(args...)
		if code != 0 {
			t.Fatalf("%v: %d %s", args, code, out)
		}
		return out
	}
	job = run
	job.FailedCode, job.FailedReason, job.Workload.HookError = "hook-error", "line 2: no luck", "hook-error: line 2: no luck"
	if out := shows("job", "show", id); strings.Count(out, "no luck") != 1 || strings.Contains(out, "result show") {
		t.Errorf("failed:\n%s", out)
	}
	if out := shows("job", "list"); !strings.Contains(out, "hook-error  hook-error") || strings.Contains(out, "failed") || !strings.Contains(out, "succeeded") {
		t.Errorf("list:\n%s", out)
	}
	job.Workload.HookError = "something else"
	if out := shows("job", "show", id); !strings.Contains(out, "no luck") || !strings.Contains(out, "HookError_answer:  something else") {
		t.Errorf("two reasons:\n%s", out)
	}
	job = run
	job.Status, job.Outcome, job.Ending = "succeeded", "received", "succeeded"
	if out := shows("job", "show", id); !strings.Contains(out, "forty-two") {
		t.Errorf("without its fields:\n%s", out)
	}
	readable = false
	if out := shows("job", "show", id); !strings.Contains(out, "hookline result show "+id) {
		t.Errorf("without a pointer:\n%s", out)
	}
}
