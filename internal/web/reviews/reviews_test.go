package reviews_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/reviews"
	"hookline/review"
)

// text is a page as a person reads it: no tags, one blank between words.
func text(page string) string {
	page = regexp.MustCompile(`(?s)<(style|script)\b.*?</(style|script)>`).ReplaceAllString(page, "")
	return strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " "))), " ")
}

func wants(t *testing.T, page string, texts ...string) {
	t.Helper()
	words := text(page)
	for _, want := range texts {
		if !strings.Contains(words, want) && !strings.Contains(page, want) {
			t.Errorf("no %q in\n%.6000s", want, words)
		}
	}
}

func lacks(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, not := range texts {
		if strings.Contains(text(page), not) || strings.Contains(page, not) {
			t.Errorf("%q in\n%.6000s", not, text(page))
		}
	}
}

// Each account sees what waits for it, and what it may do about the rest.
func TestQueue(t *testing.T) {
	w := newWorld(t)
	first := w.submit("first", "report.set('Extra', 'a')\n", "/proc/version", 10)
	w.Clock.Advance(2 * day)
	second := w.submit("second", "report.set('Extra', 'b')\n", "/proc/version", 10)
	w.approve(second, auth.RoleReviewer)
	w.Clock.Advance(time.Hour)

	page := w.Want("/reviews", auth.RoleReviewer)
	wants(t, page, "first@1", "2 days ago", "0 of 2", "you may approve", at(first, ""), "author")
	lacks(t, page, "second@1")
	wants(t, w.Want("/reviews", auth.RoleAdmin), "first@1", "second@1", "1 of 2")
	page = w.Want("/reviews", auth.RoleAuthor)
	wants(t, page, "No review waits for you", "Your own versions")
	lacks(t, page, "first@1")
	wants(t, w.Want("/reviews?list=all", auth.RoleAuthor), "first@1", "second@1", "you may not approve: author")
	wants(t, w.Want("/reviews?list=all", auth.RoleReviewer), "you may not approve: you have approved it")
	wants(t, w.Want("/reviews?list=all", auth.RoleViewer), "you may not approve: your account has no role of a reviewer")
	wants(t, w.Want("/reviews?list=all", auth.RoleOperator), "you may not approve: not a reviewer in the policy")
	wants(t, w.Want("/reviews?list=mine", auth.RoleAuthor), "first@1", "second@1", "submitted")
	wants(t, w.Want("/reviews?list=mine", auth.RoleReviewer), "None of your hooks waits")

	w.Post(at(first, "/answer"), form("verdict", "request-changes", "comment", "why so many?"), auth.RoleReviewer)
	wants(t, w.Want("/reviews?list=changes", auth.RoleViewer), "first@1", "changes-requested")
	lacks(t, w.Want("/reviews?list=all", auth.RoleAdmin), "first@1")
	if a := w.Get("/reviews?list=x", auth.RoleViewer); a.Status != http.StatusUnprocessableEntity && a.Status != http.StatusBadRequest {
		t.Errorf("another list: %d", a.Status)
	}
	if csv := w.Want("/reviews?list=all&format=csv", auth.RoleAdmin); !strings.Contains(csv, second.Digest) || strings.Contains(csv, first.Digest) {
		t.Errorf("export: %s", csv)
	}
}

// The page says what the policy needs and from whom, in words.
func TestStanding(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "report.set('Extra', 'a')\n", "/proc/version", 10)
	wants(t, w.Want(at(v, ""), auth.RoleReviewer), "2 reviewers needed, 0 given.", "You may approve.",
		"hookline review serve extra@1 --key KEY", "hookline review approve "+v.Digest+" --key KEY", "No earlier version was approved")
	w.approve(v, auth.RoleReviewer)
	wants(t, w.Want(at(v, ""), auth.RoleReviewer), "2 reviewers needed, 1 given: reviewer.", "You may not approve: you have approved it.", "signature of reviewer : approve")
	wants(t, w.Want(at(v, ""), auth.RoleAuthor), "You may not approve: author.")
	w.policy.Needs["fs.read"] = 3
	wants(t, w.Want(at(v, ""), auth.RoleAdmin), "3 reviewers needed, 1 given: reviewer (fs.read asks for 3).")
	delete(w.policy.Needs, "fs.read")
	w.approve(v, auth.RoleAdmin)
	page := w.Want(at(v, ""), auth.RoleReviewer)
	wants(t, page, "2 reviewers needed, 2 given", "An operator can activate it", "there is nothing to answer any more")
	lacks(t, page, "You may")
	for i, p := range w.policy.Persons { // the policy knows nobody of that name
		if p.Name == "admin" {
			w.policy.Persons[i].Name = "ada"
		}
	}
	v = w.submit("extra", "report.set('Extra', 'b')\n", "/proc/version", 10)
	wants(t, w.Want(at(v, ""), auth.RoleAdmin), "It is unknown whether you may approve: the policy has no person of your account's name")
	wants(t, w.Want("/reviews", auth.RoleAdmin), "extra@2")
}

// What changed since the last approved version, and what of it widens.
func TestDifference(t *testing.T) {
	w := newWorld(t)
	one := w.submit("extra", "local a = 1\nreport.set('Extra', 'a')\n", "/proc/version", 10)
	w.approve(one, auth.RoleReviewer)
	w.approve(one, auth.RoleAdmin)
	two := w.submit("extra", "local a = 1\nreport.set('Extra', 'never')\n", "/proc/version", 10)
	w.Post(at(two, "/answer"), form("verdict", "request-changes", "comment", "read **less**"), auth.RoleReviewer)
	w.Clock.Advance(3 * time.Hour)
	three := w.submit("extra", "local a = 2\nreport.set('Extra', 'a')\n", "/etc/**", 50)

	page := w.Want(at(three, ""), auth.RoleReviewer)
	wants(t, page, "Compared with extra@1", "the last approved version", "2 changes let it do or bring more.", "WIDER", "10 → 50",
		"/etc/** (everything below, at any depth)", "1 line added, 1 removed since extra@1", `<mark class="num">2</mark>`, `<ol class="diff numbered"`,
		"Your last word on this hook was “request-changes” on extra@2", "3 h ago", "against="+two.Digest, `href="?line=1#comment"`)
	lacks(t, page, `class="sides"`, "&#39;never&#39;")
	page = w.Want(at(three, "?view=split"), auth.RoleReviewer)
	wants(t, page, `<table class="sides"`, `href="?line=1&amp;view=split#comment"`)
	lacks(t, page, `<ol class="diff`)
	page = w.Want(at(three, "?against="+two.Digest), auth.RoleReviewer)
	wants(t, page, "Compared with extra@2", "which was chosen", "never", `value="`+two.Digest+`" selected`)
	wants(t, w.Want(at(two, ""), auth.RoleReviewer), "read <strong>less</strong>", "Changes were requested: the author sends a new version")

	other := w.submit("other", "-- x\n", "/proc/version", 10)
	for _, against := range []string{other.Digest, three.Digest, strings.Repeat("0", 64), "x"} {
		wants(t, w.Want(at(three, "?against="+against), auth.RoleReviewer), "this hook has no such other version")
	}
	w.policy.Reviewers = 3 // under another policy the first one counts no more
	page = w.Want(at(three, ""), auth.RoleReviewer)
	wants(t, page, "Version extra@1 does not count any more", "No earlier version was approved: all of it is new")
}

// Lint and trial: what came, and where they are not to be had.
func TestLint(t *testing.T) {
	w := newWorld(t)
	w.bench.findings = []reviews.Finding{
		{File: hooks.ScriptName, Line: 1, Severity: "error", Message: "it is <b>wrong</b>\u202e", Code: "undeclared"},
		{File: hooks.ManifestName, Severity: "warning", Message: "much", Code: "wide"},
	}
	v := w.submit("extra", "report.set('Extra', 'a')\n", "/proc/version", 10)
	for range 2 {
		wants(t, w.Want(at(v, ""), auth.RoleViewer), "hook.lua:1 error : it is <b>wrong</b>⟨U+202E⟩ undeclared", "hook.yaml warning : much wide", `href="#s1"`)
	}
	if w.bench.lints != 1 {
		t.Errorf("linted %d times", w.bench.lints)
	}
	w.bench.err = errs.New(errs.CodeUnavailable, "others are trying")
	v = w.submit("extra", "report.set('Extra', 'b')\n", "/proc/version", 10)
	wants(t, w.Want(at(v, ""), auth.RoleViewer), "Others are trying.", "Comments", "report")
	w.bench.err = nil
	wants(t, w.Want(at(v, ""), auth.RoleViewer), "hook.lua:1")
	w.serve(nil)
	wants(t, w.Want(at(v, ""), auth.RoleAuthor), "This server has no hookline-sandbox, and so no linter", "no hookline-sandbox to run a hook in")
}

func TestTrial(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "report.set('Extra', 'a')\n", "/proc/version", 10)
	wants(t, w.Want(at(v, ""), auth.RoleAuthor), "No report is saved here that this version is for")
	report := hooks.Report{"DuplicateSignature": fingerprint, "ProblemType": "Crash", "Evil": "<script>alert(1)</script>"}
	fits := w.saved(report)
	other := w.saved(hooks.Report{"DuplicateSignature": "another", "ProblemType": "Crash"})
	page := w.Want(at(v, ""), auth.RoleAuthor)
	wants(t, page, `<option value="`+fits.ID+`"`, `action="`+at(v, "/trial")+`"`)
	lacks(t, page, other.ID)

	w.bench.trial = reviews.Trial{
		Ending: hooks.EndingSucceeded, Fields: []byte(`{"Extra":"<img src=x onerror=alert(1)>\u202e"}`), NotSet: []string{"Other"}, Asked: 4, Took: 12 * time.Millisecond, Memory: 3 << 20,
		Calls: []reviews.Call{
			{Name: "fs.read", Arg: "/proc/<b>", Unrecorded: true, Code: "call-failed"},
			{Name: "fs.read", Arg: "/etc/shadow", Code: "denied", Reason: "not declared"},
		},
		Log: []string{"<i>said\x1b"},
	}
	page = w.Want(at(v, "/trial?job="+fits.ID), auth.RoleAuthor)
	wants(t, page, "succeeded", "12ms", "3.0 MiB", "2 listed, 4 in all", "1 call had no answer", "not recorded", "denied not declared", "Declared and not set: Other",
		"<img src=x onerror=alert(1)>⟨U+202E⟩", "<i>said⟨U+001B⟩", "/jobs/"+fits.ID, "The report", "<script>alert(1)</script>")
	for _, markup := range []string{"<img", "<i>", "<script>alert", "<b>"} {
		if strings.Contains(page, markup) {
			t.Errorf("%s is markup", markup)
		}
	}
	lacks(t, page, "not for such a report")
	wants(t, w.Want(at(v, "/trial?job="+other.ID), auth.RoleAuthor), "not for such a report")
	if len(w.bench.tried) != 2 || w.bench.tried[0] != fits.ID {
		t.Errorf("tried over %v", w.bench.tried)
	}

	w.bench.trial = reviews.Trial{Ending: hooks.EndingHookError, Code: "hook-error", Error: "attempt to <u>", Line: 3}
	wants(t, w.Want(at(v, "/trial?job="+fits.ID), auth.RoleAuthor), "attempt to <u>", "Line 3", "hook-error", "None.", "It asked for nothing.")
	for name, c := range map[string]struct {
		path   string
		role   auth.Role
		status int
	}{
		"a viewer":    {"?job=" + fits.ID, auth.RoleViewer, http.StatusForbidden},
		"no job":      {"", auth.RoleAuthor, http.StatusNotFound},
		"another job": {"?job=" + strings.Repeat("0", 36), auth.RoleAuthor, http.StatusNotFound},
		"a long word": {"?job=" + strings.Repeat("0", 300), auth.RoleAuthor, http.StatusUnprocessableEntity},
	} {
		if a := w.Get(at(v, "/trial"+c.path), c.role); a.Status != c.status {
			t.Errorf("%s: %d, want %d", name, a.Status, c.status)
		}
	}
	w.bench.err = errs.New(errs.CodeUnavailable, "others are trying hooks at this moment")
	if a := w.Get(at(v, "/trial?job="+fits.ID), auth.RoleAuthor); a.Status != http.StatusServiceUnavailable {
		t.Errorf("busy: %d", a.Status)
	}
	w.serve(nil)
	a := w.Get(at(v, "/trial?job="+fits.ID), auth.RoleAuthor)
	if wants(t, a.Body, "no hookline-sandbox to run a hook in", "hookline hook test"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("without a bench: %d", a.Status)
	}
}

// What is hidden in a script is shown, and nothing of it is markup.
func TestHostileVersion(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "-- <script>alert(1)</script> \u202e hx-get='/x'\nreport.set('Extra', 'a')\n--"+strings.Repeat("x", 300)+"\n", "/proc/version", 10)
	page := w.Want(at(v, ""), auth.RoleReviewer)
	wants(t, page, "<script>alert(1)</script> ⟨U+202E⟩ hx-get='/x'", "holds control or invisible characters", "1 line is longer than 200 characters")
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "\u202e") || strings.Contains(page, `class="com"`) && !strings.Contains(page, "manifest") {
		t.Error("it is shown as it is")
	}
	for _, digest := range []string{strings.Repeat("0", 64), "x", strings.ToUpper(v.Digest), v.Digest[:63]} {
		if a := w.Get("/versions/"+digest+"/review", auth.RoleViewer); a.Status != http.StatusNotFound {
			t.Errorf("%s: %d", digest, a.Status)
		}
	}
	if a := w.Get(at(v, "")); a.Status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", a.Status)
	}
}

// People say no here, and never yes.
func TestAnswer(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "report.set('Extra', 'a')\n", "/proc/version", 10)
	state := func() hooks.State {
		l, err := w.DB.Life(t.Context(), v.Digest)
		w.ok(err)
		return l.State()
	}
	for name, c := range map[string]struct {
		verdict, comment string
		role             auth.Role
		status           int
		shown            string
	}{
		"approve":     {"approve", "all good, I typed", auth.RoleReviewer, 422, "an approval is a signature"},
		"no word":     {"", "all good, I typed", auth.RoleReviewer, 422, "it is not approve, reject"},
		"another":     {"<b>", "all good, I typed", auth.RoleReviewer, 422, "it is not approve, reject"},
		"not why":     {"reject", "  ", auth.RoleReviewer, 422, "it must say why"},
		"too long":    {"reject", strings.Repeat("ä", 3000), auth.RoleReviewer, 413, "longer than 4000 bytes"},
		"control":     {"reject", "typed\x00this", auth.RoleReviewer, 422, "control character"},
		"the author":  {"reject", "typed", auth.RoleAuthor, 403, "reviewer"},
		"an operator": {"reject", "typed", auth.RoleOperator, 403, "reviewer"},
	} {
		a := w.Post(at(v, "/answer"), form("verdict", c.verdict, "comment", c.comment), c.role)
		if a.Status != c.status || !strings.Contains(strings.ToLower(text(a.Body)), c.shown) {
			t.Errorf("%s: %d, want %d, and %q in\n%s", name, a.Status, c.status, c.shown, text(a.Body))
		}
		if c.status == 422 && strings.HasPrefix(c.comment, "all good") && (!strings.Contains(a.Body, c.comment+"</textarea>") || !strings.Contains(a.Body, `href="`+at(v, "?line=1#comment")+`"`)) {
			t.Errorf("%s: what was typed is lost", name)
		}
	}
	if state() != hooks.StateSubmitted {
		t.Fatalf("it is %s", state())
	}
	a := w.Post(at(v, "/answer"), form("verdict", "request-changes", "comment", "one\r\ntwo"), auth.RoleReviewer)
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != at(v, "") || state() != hooks.StateChangesRequested {
		t.Errorf("%d to %s: %s", a.Status, a.Header.Get("Location"), state())
	}
	page := w.Want(at(v, ""), auth.RoleReviewer)
	wants(t, page, "Changes requested: extra@1.", "one<br>\ntwo", "Reject for good")
	lacks(t, page, `value="request-changes"`)
	w.Post(at(v, "/answer"), form("verdict", "reject", "comment", "no"), auth.RoleAdmin)
	wants(t, w.Want(at(v, ""), auth.RoleReviewer), "It is rejected: there is nothing to answer any more")
	a = w.Post(at(v, "/answer"), form("verdict", "reject", "comment", "again"), auth.RoleAdmin)
	if a.Status != http.StatusConflict {
		t.Errorf("twice: %d", a.Status)
	}
}

// Whoever may not is refused, and written down, before what was typed is looked
// at; what cannot be read is no line to those who may.
func TestTheGateIsAskedFirst(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "local a = 1\n", "/proc/version", 10)
	refused := func() (n int) {
		entries, err := w.DB.Entries(t.Context(), auth.EntryFilter{Limit: 200})
		w.ok(err)
		for _, e := range entries {
			if e.Target == "version/"+v.Digest && e.Outcome == string(errs.CodeForbidden) {
				n++
			}
		}
		return n
	}
	for name, c := range map[string]struct {
		below  string
		form   url.Values
		role   auth.Role
		status int
	}{
		"a line, a viewer":              {"/comment", form("text", "x", "line", "x"), auth.RoleViewer, http.StatusForbidden},
		"a line of a part, a viewer":    {"/comment", form("text", "x", "part", "script", "line", "99999999999999999999"), auth.RoleViewer, http.StatusForbidden},
		"nothing said, a viewer":        {"/comment", form(), auth.RoleViewer, http.StatusForbidden},
		"no thread, a viewer":           {"/resolve", form("thread", "x"), auth.RoleViewer, http.StatusForbidden},
		"approve, the author":           {"/answer", form("verdict", "approve"), auth.RoleAuthor, http.StatusForbidden},
		"approve, a viewer":             {"/answer", form("verdict", "approve", "comment", "x"), auth.RoleViewer, http.StatusForbidden},
		"another verdict, an operator":  {"/answer", form("verdict", "x"), auth.RoleOperator, http.StatusForbidden},
		"a line, a reviewer":            {"/comment", form("text", "x", "line", "x"), auth.RoleReviewer, http.StatusUnprocessableEntity},
		"a line of a part, a reviewer":  {"/comment", form("text", "x", "part", "script", "line", "1x"), auth.RoleReviewer, http.StatusUnprocessableEntity},
		"approve, a reviewer":           {"/answer", form("verdict", "approve"), auth.RoleReviewer, http.StatusUnprocessableEntity},
		"too large a line, a reviewer":  {"/comment", form("text", "x", "part", "script", "line", "99999999999999999999"), auth.RoleReviewer, http.StatusUnprocessableEntity},
		"a minus as a line, a reviewer": {"/comment", form("text", "x", "line", "-1"), auth.RoleReviewer, http.StatusUnprocessableEntity},
	} {
		before, want := refused(), 0
		if c.status == http.StatusForbidden {
			want = 1
		}
		if a := w.Post(at(v, c.below), c.form, c.role); a.Status != c.status {
			t.Errorf("%s: %d, want %d", name, a.Status, c.status)
		}
		if n := refused() - before; n != want {
			t.Errorf("%s: %d refusals are in the audit log, want %d", name, n, want)
		}
	}
	if n := len(w.comments(v)); n != 0 {
		t.Errorf("%d comments are stored", n)
	}
}

// comments is what the store has.
func (w *world) comments(v review.Version) []review.Comment {
	w.t.Helper()
	list, err := w.DB.Comments(w.t.Context(), v.Digest)
	w.ok(err)
	return list
}

// Comments stand at lines or on the whole, are answered, settled, and opened
// again; without script each step is a link or a form.
func TestComments(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "local a = 1\nreport.set('Extra', 'a')\n", "/proc/version", 10)
	page := w.Want(at(v, ""), auth.RoleReviewer)
	wants(t, page, "Nobody said anything yet", "On the whole version", `href="?line=2#comment"`, `href="?line=2&amp;part=manifest#comment"`)
	page = w.Want(at(v, "?line=2&part=script"), auth.RoleReviewer)
	wants(t, page, "On hook.lua, line 2", `name="line" value="2"`, `name="part" value="script"`, `id="s2" aria-current="true"`)
	wants(t, w.Want(at(v, "?line=3&part=manifest"), auth.RoleReviewer), "On hook.yaml, line 3", "<details open>")
	for _, nowhere := range []string{"?line=99", "?line=-1", "?line=x", "?line=99999999999999999999", "?answer=x"} {
		wants(t, w.Want(at(v, nowhere), auth.RoleReviewer), "On the whole version", `name="line" value=""`)
	}

	a := w.Post(at(v, "/comment"), form("part", "script", "line", "2", "text", "why *a*?"), auth.RoleReviewer)
	first := w.comments(v)[0]
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != at(v, "#c-"+first.ID) || first.Line != 2 || first.User != "reviewer" {
		t.Fatalf("%d %s %+v", a.Status, a.Header.Get("Location"), first)
	}
	w.Post(at(v, "/comment"), form("text", "on the whole"), auth.RoleOperator)
	page = w.Want(at(v, "?answer="+first.ID), auth.RoleAuthor)
	wants(t, page, "On the thread about hook.lua, line 2", `name="parent" value="`+first.ID+`"`, "2 open of 2", "why <em>a</em>?", "comment by reviewer", `href="#c-`+first.ID+`"`)
	w.Post(at(v, "/comment"), form("part", "script", "line", "2", "parent", first.ID, "text", "because"), auth.RoleAuthor)
	wants(t, w.Want(at(v, ""), auth.RoleViewer), "2 open of 2", "because")

	a = w.Post(at(v, "/resolve"), form("thread", first.ID), auth.RoleAuthor)
	if a.Status != http.StatusSeeOther {
		t.Errorf("settle: %d %s", a.Status, text(a.Body))
	}
	page = w.Want(at(v, ""), auth.RoleReviewer)
	wants(t, page, "The thread is settled.", "1 open of 2", "settled by author", "Open again", "settled by reviewer")
	if open, settled := strings.Index(page, "on the whole"), strings.Index(page, "settled by author"); open > settled {
		t.Error("what is open does not come first")
	}
	w.Post(at(v, "/resolve"), form("thread", first.ID, "open", "yes"), auth.RoleReviewer)
	wants(t, w.Want(at(v, ""), auth.RoleReviewer), "2 open of 2")

	viewer := w.Want(at(v, ""), auth.RoleViewer)
	lacks(t, viewer, `id="comment"`, "/resolve", "#comment\"", `id="answer"`)
	for _, path := range []string{"/comment", "/resolve"} {
		a := w.Post(at(v, path), form("text", "x", "thread", first.ID), auth.RoleViewer)
		if a.Status != http.StatusForbidden || !strings.Contains(text(a.Body), "reviewer") {
			t.Errorf("a viewer, %s: %d %s", path, a.Status, text(a.Body))
		}
	}
	entries, err := w.DB.Entries(t.Context(), auth.EntryFilter{Limit: 50})
	w.ok(err)
	refused := 0
	for _, e := range entries {
		if e.Actor == "viewer" && e.Target == "version/"+v.Digest {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d refusals in the audit log, want 2: %+v", refused, entries)
	}
}

// What people write is text with a little markup of ours; what cannot be taken
// is still there to be mended.
func TestHostileComments(t *testing.T) {
	w := newWorld(t)
	v := w.submit("extra", "local a = 1\n", "/proc/version", 10)
	for _, evil := range []string{
		"<script>alert(1)</script>", `<div hx-get="/x" hx-trigger="load">`, "[x](javascript:alert(1))", "a\u202eb", "![x](https://evil.example/p.png)", "&#x202e;", "</textarea></form><h1>x",
		`"><img src=x onerror=alert(1)>`, "<style>*{display:none}</style>", strings.Repeat(">", 4000), "[x]: javascript:alert(1)\n\n[x]", "<a href=//evil.example>x</a>",
	} {
		if a := w.Post(at(v, "/comment"), form("part", "script", "line", "1", "text", evil), auth.RoleReviewer); a.Status != http.StatusSeeOther {
			t.Errorf("%.40q: %d", evil, a.Status)
		}
	}
	page := w.Want(at(v, ""), auth.RoleReviewer)
	_, threads, _ := strings.Cut(page, `id="comments"`)
	threads, _, _ = strings.Cut(threads, "</section>")
	if n := strings.Count(threads, "<article"); n != 12 {
		t.Errorf("%d threads", n)
	}
	for _, bad := range []string{"<script", "<div hx", "<img", "<style", "<h1", "\u202e", `href="javascript`, `href="//evil`, "onerror=alert(1)>", "</textarea"} {
		if strings.Contains(threads, bad) {
			t.Errorf("%s is in the page", bad)
		}
	}
	wants(t, threads, "a⟨U+202E⟩b", "<script>alert(1)</script>")

	for name, c := range map[string]struct {
		text, part, line, parent string
		status                   int
	}{
		"too long":       {strings.Repeat("ä", 3000), "", "", "", 413},
		"nothing":        {" \n", "", "", "", 422},
		"null":           {"typed\x00", "", "", "", 422},
		"no line":        {"typed", "script", "x", "", 422},
		"another line":   {"typed", "script", "99", "", 422},
		"another part":   {"typed", "statement", "1", "", 422},
		"another thread": {"typed", "script", "1", "x", 404},
	} {
		a := w.Post(at(v, "/comment"), form("text", c.text, "part", c.part, "line", c.line, "parent", c.parent), auth.RoleReviewer)
		if a.Status != c.status || c.status == 422 && c.text == "typed" && !strings.Contains(a.Body, "typed</textarea>") {
			t.Errorf("%s: %d, want %d\n%s", name, a.Status, c.status, text(a.Body))
		}
	}
	if a := w.Post(at(v, "/comment"), form("text", strings.Repeat("x", 1<<20)), auth.RoleReviewer); a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a megabyte: %d", a.Status)
	}
	if n := len(w.comments(v)); n != 12 {
		t.Errorf("%d comments are stored", n)
	}
}
