package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// maxBeside caps the results and runs on one page.
const maxBeside = 200

// versionRef names a hook version; Number is 0 where it is not known.
type versionRef struct {
	Hook   string
	Number int64
	Digest string
}

// group is what one hook job brought.
type group struct {
	Version versionRef
	JobID   string
	At      time.Time
	Denied  int64 // calls of the run that were refused
	Fields  fieldTable
}

// run is one hook job in short.
type run struct {
	ID        string
	Version   versionRef
	State     string // the ending, the status of a job that has none
	Denied    int64  // calls that were refused
	Code      string
	Meaning   string // of the code
	Text      string
	HookError string
	Ended     time.Time
}

type jobPage struct {
	base
	Job      jobs.Job
	Peer     string
	Heading  string
	Subject  string
	Original fieldTable
	Groups   []group
	NewCount int
	Runs     []run
}

func (s *site) job(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	j, err := s.Queries.Job(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	if j.Workload == jobs.WorkHook {
		return s.hookJob(w, r, p, j)
	}
	heading := headingOf(j.Report)
	page := jobPage{base: s.base(heading+", report "+j.ID, p), Job: j, Heading: heading, Subject: visible(j.Fingerprint)}
	page.Original = fieldTable{Caption: "The report as the peer filed it", Fields: reportFields(j.Report)}
	if page.Peer, err = s.peerName(r.Context(), j.PeerID); err != nil {
		return err
	}
	numbers := s.numbers()
	if page.Groups, err = s.groups(r.Context(), j.ID, numbers); err != nil {
		return err
	}
	for _, g := range page.Groups {
		page.NewCount += len(g.Fields.Fields)
	}
	list, err := s.Queries.Jobs(r.Context(), jobs.Filter{Original: j.ID, Limit: maxBeside})
	if err != nil {
		return err
	}
	for _, h := range list {
		one, err := runOf(r.Context(), h, numbers)
		if err != nil {
			return err
		}
		page.Runs = append(page.Runs, one)
		for i := range page.Groups {
			if page.Groups[i].JobID == one.ID {
				page.Groups[i].Denied = one.Denied
			}
		}
	}
	return s.render(w, http.StatusOK, "job", page)
}

// headingOf says in a few words what happened.
func headingOf(r hooks.Report) string {
	program := programOf(r[hooks.FieldExecutablePath], r[hooks.FieldPackage])
	if program == "" {
		return "Problem report"
	}
	how := r[hooks.FieldSignalName]
	if how == "" && r[hooks.FieldSignal] != "" {
		how = "signal " + r[hooks.FieldSignal]
	}
	if how == "" && r[hooks.FieldExitCode] != "" {
		how = "exit code " + r[hooks.FieldExitCode]
	}
	if how == "" {
		return visible(program)
	}
	return visible(program + ", " + how)
}

// programOf is the short name of what had the problem.
func programOf(executable, pkg string) string {
	if name := executable[strings.LastIndexByte(executable, '/')+1:]; name != "" {
		return name
	}
	return pkg
}

// groups lists what hooks brought for an original job.
func (s *site) groups(ctx context.Context, original string, numbers lookup) ([]group, error) {
	results, err := s.Results.Results(ctx, collector.ResultFilter{JobID: original, Limit: maxBeside})
	if err != nil {
		return nil, err
	}
	out := make([]group, 0, len(results))
	for _, res := range results {
		version, err := numbers(ctx, res.Hook, res.Version)
		if err != nil {
			return nil, err
		}
		fields, err := newFields(res.Fields)
		if err != nil {
			return nil, err
		}
		caption := "New fields of " + res.Hook
		out = append(out, group{Version: version, JobID: res.ID, At: res.CreatedAt, Fields: fieldTable{caption, fields}})
	}
	return out, nil
}

// lookup finds a version's number.
type lookup func(ctx context.Context, hook, digest string) (versionRef, error)

// numbers looks each version up once a page.
func (s *site) numbers() lookup {
	known := map[string]versionRef{}
	return func(ctx context.Context, hook, digest string) (versionRef, error) {
		if ref, ok := known[digest]; ok {
			return ref, nil
		}
		l, err := s.Versions.Life(ctx, digest)
		if err != nil && !errs.Is(err, errs.CodeNotFound) {
			return versionRef{}, err
		}
		known[digest] = versionRef{Hook: hook, Number: l.Version.Number, Digest: digest}
		return known[digest], nil
	}
}

func runOf(ctx context.Context, j jobs.Job, numbers lookup) (run, error) {
	version, err := numbers(ctx, j.Hook, j.Version)
	return run{
		ID: j.ID, Version: version, State: stateOf(j), Denied: j.Denied, Code: j.FailedCode, Meaning: meaningOf(j.FailedCode),
		Text: visible(j.FailedText), HookError: visible(j.OwnError()), Ended: j.CompletedAt,
	}, err
}

// stateOf is how a job ended, or its status.
func stateOf(j jobs.Job) string {
	if e := j.Ending(); e != "" {
		return string(e)
	}
	return string(j.Status)
}

// meaningOf says what a code means; peers of a newer version may have others.
func meaningOf(code string) string {
	for _, info := range errs.Table() {
		if string(info.Code) == code {
			return info.Meaning
		}
	}
	return ""
}

func (s *site) peerName(ctx context.Context, id string) (string, error) {
	p, err := s.Peers.Peer(ctx, id)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		return "", err
	}
	if p.Name == "" {
		return id, nil
	}
	return visible(p.Name), nil
}

type hookJobPage struct {
	base
	Job       jobs.Job
	Peer      string
	Run       run
	Fields    fieldTable
	HookError fieldTable
}

// hookJob is the page of one hook run.
func (s *site) hookJob(w http.ResponseWriter, r *http.Request, p auth.Principal, j jobs.Job) error {
	page := hookJobPage{base: s.base("Hook run "+j.ID, p), Job: j}
	var err error
	if page.Run, err = runOf(r.Context(), j, s.numbers()); err != nil {
		return err
	}
	if page.Peer, err = s.peerName(r.Context(), j.PeerID); err != nil {
		return err
	}
	results, err := s.Results.Results(r.Context(), collector.ResultFilter{JobID: j.OriginalID, Limit: maxBeside})
	if err != nil {
		return err
	}
	for _, res := range results {
		if res.ID != j.ID {
			continue
		}
		page.Fields.Caption = "New fields"
		if page.Fields.Fields, err = newFields(res.Fields); err != nil {
			return err
		}
	}
	if e := j.OwnError(); e != "" {
		page.HookError = fieldTable{"Error", []field{newField("HookError_"+j.Hook, e)}}
	}
	return s.render(w, http.StatusOK, "hookjob", page)
}
