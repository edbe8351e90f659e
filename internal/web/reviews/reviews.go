// Package reviews is the pages on which a version is judged: the queue, the
// difference against what was approved before, the lint's findings, a trial
// over a saved report, comments, and the words that need no signature.
package reviews

import (
	"context"
	"embed"

	"hookline/internal/jobs"
	"hookline/internal/web/kit"
	"hookline/review"
	"hookline/signing"
)

//go:embed templates
var files embed.FS

// Store is what these pages read.
type Store interface {
	review.Versions
	Job(ctx context.Context, id string) (jobs.Job, error)
	Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error)
}

// Bench lints a version and runs it over a saved report, in a confined
// process that reaches nothing of this machine.
type Bench interface {
	Lint(ctx context.Context, script, statement []byte) ([]Finding, error)
	Try(ctx context.Context, script, statement []byte, original jobs.Job) (Trial, error)
}

// Finding is one of lint.
type Finding struct {
	Line              int64 // 0 is none
	Severity, Message string
	Code              string
}

// Trial is what a run over a saved report gave.
type Trial struct {
	Outcome string
	Fields  []byte   // canonical JSON of the new fields; nil where there are none
	Error   string   // the hook's own
	Calls   []string // what it asked the machine for, which a recording answered or did not
	TookMS  int64
	Memory  int64 // bytes
}

// Parts is what these pages are made from.
type Parts struct {
	Store  Store
	Review *review.Service
	Rules  func() signing.Rules // that versions are held against now
	Bench  Bench                // nil where there is no sandbox binary
}

type pages struct {
	Parts
	*kit.Templates
}

// Routes are the routes of these pages.
func Routes(k *kit.Kit, parts Parts) ([]kit.Route, error) {
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	p := &pages{parts, t}
	_ = p
	return []kit.Route{}, nil
}
