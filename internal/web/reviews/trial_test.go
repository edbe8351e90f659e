package reviews_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/reviews"
)

// A report has up to 1 MiB, and so has what a trial brings: their page is short
// all the same.
func TestATrialOverALargeReport(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "report.set('Extra', 'a')\n", "/proc/version", 10)
	report, brought := hooks.Report{"DuplicateSignature": fingerprint, "ProblemType": "Crash"}, map[string]string{}
	for i := range 60 {
		name := fmt.Sprintf("Field%02d", i)
		report[name], brought[name] = strings.Repeat("x", 16<<10), strings.Repeat("y", 16<<10)
	}
	fields, err := json.Marshal(brought)
	w.ok(err)
	w.bench.trial = reviews.Trial{Ending: hooks.EndingSucceeded, Fields: fields}
	page := w.Want(at(v, "/trial?job="+w.saved(report).ID), auth.RoleAuthor)
	if len(page) > 160<<10 {
		t.Errorf("the page has %d kB", len(page)>>10)
	}
	for _, name := range []string{"Field00", "Field59"} {
		if strings.Count(page, name) < 2 {
			t.Errorf("%s is missing", name)
		}
	}
	wants(t, page, "… cut here")
}

// A call that nobody recorded is no fault of the hook, and the page says how to
// get further; what else ended a run is told as before.
func TestAStopThatNobodyRecorded(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "report.set('Extra', fs.read('/proc/version'))\n", "/proc/version", 10)
	job := w.saved(hooks.Report{"DuplicateSignature": fingerprint, "ProblemType": "Crash"})
	call := reviews.Call{Name: "fs.read", Arg: "/proc/<b>\u202e", Code: "call-failed", Unrecorded: true}
	stopped := reviews.Trial{Ending: hooks.EndingHookError, Code: "call-failed", Error: "fs.read: not recorded in the fixtures", Line: 1, Calls: []reviews.Call{call}, Asked: 1, Stop: &call}
	w.bench.trial = stopped
	page := w.Want(at(v, "/trial?job="+job.ID), auth.RoleReviewer)
	wants(t, page, "The script asked for fs.read of /proc/<b>⟨U+202E⟩ , which nobody recorded: the trial ends there, at line 1", "Paste a recording", `href="#recorded"`,
		"hookline hook test DIR --job "+job.ID+" --record", `action="`+at(v, "/trial")+`"`, `name="job" value="`+job.ID+`"`, "128.0 KiB")
	lacks(t, page, "notice bad")
	lacks(t, page, "hook-error")
	if strings.Contains(page, "/proc/<b>") {
		t.Error("what it asked for is markup")
	}
	w.bench.trial.Stop = &reviews.Call{}
	wants(t, w.Want(at(v, "/trial?job="+job.ID), auth.RoleReviewer), "The script asked for something, which nobody recorded")
	w.bench.trial.Stop, w.bench.trial.Code = nil, "hook-error"
	page = w.Want(at(v, "/trial?job="+job.ID), auth.RoleReviewer)
	wants(t, page, "notice bad", "hook-error", "1 call had no answer, since nobody recorded one, and the script went on")
	lacks(t, page, "The script asked for")
}

// What is pasted reaches the bench as it is, and is on the page again; nothing
// of it is kept. Who may not try hooks is refused, and that is in the log.
func TestTrialWithARecording(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "report.set('Extra', fs.read('/proc/version'))\n", "/proc/version", 10)
	job := w.saved(hooks.Report{"DuplicateSignature": fingerprint, "ProblemType": "Crash"})
	w.bench.trial = reviews.Trial{Ending: hooks.EndingSucceeded, Fields: []byte(`{"Extra":"Linux 6"}`)}
	const pasted, kept = "\nfiles:\n  /proc/version: </textarea><b>Linux", "\n\nfiles:\n  /proc/version: &lt;/textarea&gt;&lt;b&gt;Linux</textarea>"
	crossed := strings.ReplaceAll(pasted, "\n", "\r\n")
	a := w.Post(at(v, "/trial"), form("job", job.ID, "recording", crossed), auth.RoleReviewer)
	if a.Status != http.StatusOK || string(w.bench.recorded) != pasted || !strings.Contains(a.Body, kept) {
		t.Errorf("%d, recorded %q\n%s", a.Status, w.bench.recorded, a.Body)
	}
	wants(t, a.Body, "succeeded", "Linux 6")

	full := "# " + strings.Repeat("x", 128<<10-2)
	if a := w.Post(at(v, "/trial"), form("job", job.ID, "recording", full), auth.RoleOperator); a.Status != http.StatusOK || len(w.bench.recorded) != 128<<10 {
		t.Errorf("of the largest size: %d, %d bytes", a.Status, len(w.bench.recorded))
	}
	runs := len(w.bench.tried)
	for name, c := range map[string]struct {
		job, recording string
		role           auth.Role
		err            error
		status         int
		shown          string
		again          bool // on the form's page, with what was pasted
	}{
		"too large":      {job.ID, full + "x", auth.RoleAuthor, nil, 413, "it is longer than 128 KiB", true},
		"nothing":        {job.ID, "", auth.RoleAuthor, nil, 422, "nothing was pasted", true},
		"refused":        {job.ID, "typed: 1", auth.RoleAuthor, errs.New(errs.CodeBadInput, "unknown key typed").At("recording:1:1"), 422, "recording:1:1", true},
		"busy":           {job.ID, "typed: 1", auth.RoleAuthor, errs.New(errs.CodeUnavailable, "others are trying hooks"), 503, "Others are trying hooks. Try again", true},
		"broken":         {job.ID, "typed: 1", auth.RoleAuthor, fmt.Errorf("a pipe"), 500, "something broke inside", false},
		"a viewer":       {job.ID, "typed: 1", auth.RoleViewer, nil, 403, "Roles that may: ", false},
		"nobody":         {job.ID, "typed: 1", "", nil, 401, "", false},
		"no job":         {"", "typed: 1", auth.RoleAuthor, nil, 404, "no such job", false},
		"no id":          {strings.Repeat("0\xff", 5000), "typed: 1", auth.RoleAuthor, nil, 404, "no such job", false},
		"another job":    {"0198a000-0000-7000-8000-00000000000f", "typed: 1", auth.RoleAuthor, nil, 404, "", false},
		"more than form": {job.ID, strings.Repeat("x", 600<<10), auth.RoleAuthor, nil, 413, "shorten it", false},
	} {
		t.Run(name, func(t *testing.T) {
			w.bench.err = c.err
			roles := []auth.Role{c.role}
			if c.role == "" {
				roles = nil
			}
			a := w.Post(at(v, "/trial"), form("job", c.job, "recording", c.recording), roles...)
			if a.Status != c.status {
				t.Errorf("%d, want %d", a.Status, c.status)
			}
			wants(t, strings.ToLower(a.Body), strings.ToLower(c.shown))
			if again := strings.Contains(a.Body, "\n"+c.recording+"</textarea>"); again != c.again {
				t.Errorf("on the page again: %v", again)
			}
			lacks(t, a.Body, "Fields that it would add")
		})
	}
	if n := len(w.bench.tried) - runs; n != 3 { // refused, busy and broken
		t.Errorf("%d runs", n)
	}
	entries, err := w.DB.Entries(t.Context(), auth.EntryFilter{Limit: 100})
	w.ok(err)
	refused := 0
	for _, e := range entries {
		if e.Detail == "trial" {
			refused++
		}
		if strings.Contains(fmt.Sprint(e), "typed: 1") {
			t.Errorf("it is kept: %+v", e)
		}
	}
	if refused != 1 {
		t.Errorf("%d entries of trials, want that of the viewer alone", refused)
	}
	w.serve(nil)
	if a := w.Post(at(v, "/trial"), form("job", job.ID, "recording", "x"), auth.RoleAuthor); a.Status != http.StatusServiceUnavailable {
		t.Errorf("without a bench: %d", a.Status)
	}
}
