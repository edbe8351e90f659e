// Package reviews is the pages on which a version is judged: the queue, the
// difference against what was approved before, the lint's findings, a trial
// over a saved report, comments, and the words that need no signature.
package reviews

import (
	"context"
	"embed"
	"net/http"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/code"
	"hookline/internal/jobs"
	"hookline/internal/web/inwords"
	"hookline/internal/web/kit"
	"hookline/review"
	"hookline/signing"
)

//go:embed templates
var files embed.FS

// sectionName is the entry of the navigation that these pages belong to.
const sectionName = "Reviews"

// Store is what these pages read.
type Store interface {
	review.Versions
	Job(ctx context.Context, id string) (jobs.Job, error)
	Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error)
	Problems(ctx context.Context, f collector.ProblemFilter) ([]collector.Problem, error)
}

// Bench lints a version and runs it over a saved report, in a confined
// process that reaches nothing of this machine. What the version asks a machine
// for is answered from a recording, as hook test --record writes it; one that
// cannot be read is refused. nil is none.
type Bench interface {
	Lint(ctx context.Context, script, statement []byte) ([]Finding, error)
	Try(ctx context.Context, script, statement []byte, original jobs.Job, recording []byte) (Trial, error)
}

// Finding is one of lint.
type Finding struct {
	File     string // hook.lua, or hook.yaml for what the statement says
	Line     int64  // 0 is none
	Severity string // "error" or "warning"
	Message  string
	Code     string
}

// Trial is what a run over a saved report gave.
type Trial struct {
	Ending hooks.Ending
	Code   string // why it failed, "" where it ended well
	Error  string // the hook's own
	Line   int64  // of the script where it failed; 0 is unknown
	Fields []byte // canonical JSON of the new fields; nil where there are none
	NotSet []string
	Calls  []Call // what it asked the machine for
	Stop   *Call  // that nobody recorded, which ended the run; its name is "" where it is not in Calls
	Asked  int    // calls in all, of the report too
	Denied int
	Log    []string
	Took   time.Duration
	Memory int64 // bytes; 0 is unknown
}

// Call is one thing that a hook asked the machine for.
type Call struct {
	Name, Arg    string
	Code, Reason string
	Unrecorded   bool // there was no answer for it
	Bytes        int64
}

// Parts is what these pages are made from.
type Parts struct {
	Store  Store
	Review *review.Service
	// Painter colors scripts. Pages share one, for what it remembers.
	Painter *code.Painter
	Rules   func() signing.Rules // that versions are held against now
	Bench   Bench                // nil where there is no sandbox binary
}

type pages struct {
	Parts
	*kit.Templates
	markdown *markdown
	linted   *linted
}

// Routes are the routes of these pages.
func Routes(k *kit.Kit, parts Parts) ([]kit.Route, error) {
	if err := inwords.Share(k); err != nil {
		return nil, err
	}
	if err := k.Extend(code.AddTo); err != nil {
		return nil, err
	}
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	p := &pages{parts, t, newMarkdown(), &linted{found: map[string][]Finding{}}}
	const one = "/versions/{digest}/review"
	return []kit.Route{
		{Method: http.MethodGet, Path: "/reviews", Access: kit.Reads(auth.HooksRead), Page: p.queue},
		{Method: http.MethodGet, Path: one, Access: kit.Reads(auth.HooksRead), Page: p.version},
		{Method: http.MethodGet, Path: one + "/trial", Access: kit.Reads(auth.HooksComment), Page: p.trial},
		{Method: http.MethodPost, Path: one + "/trial", Access: kit.Acts(auth.HooksComment), Page: p.tryRecorded},
		{Method: http.MethodPost, Path: one + "/answer", Access: kit.Acts(auth.HooksReview), Page: p.answer},
		{Method: http.MethodPost, Path: one + "/comment", Access: kit.Acts(auth.HooksComment), Page: p.comment},
		{Method: http.MethodPost, Path: one + "/resolve", Access: kit.Acts(auth.HooksComment), Page: p.resolve},
	}, nil
}

// path is where a version is reviewed.
func path(digest string) string { return "/versions/" + digest + "/review" }
