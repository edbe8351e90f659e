package hookpages

import (
	"net/http"
	"net/url"
	"path"

	"hookline/hooks"
	"hookline/internal/code"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/kit"
)

// starterPage is a new hook for a problem, filled in.
type starterPage struct {
	Name     string // "" where there is nothing to start from
	Job      string
	Problem  string
	Program  string // what had the problem
	Level    string
	Package  string // "" where the report names none
	Levels   []levelLink
	Manifest []code.Line
	Script   []code.Line
	ToYAML   string // where the files are
	ToLua    string
	Commands []command
	Empty    kit.Empty
}

type levelLink struct {
	Text, Link string
	Here       bool
}

// command is one line to type, and what it does.
type command struct{ Line, Does string }

// starter shows a manifest and a script for a problem, and how to go on.
func (p *pages) starter(r *kit.Request) (kit.Answer, error) {
	if q := r.URL.Query(); q.Get("job") == "" && q.Get("problem") == "" {
		return p.nothingToStartFrom(r)
	}
	job, err := p.startFrom(r)
	if err != nil {
		return nil, err
	}
	level, s, err := newStarter(r, job)
	if err != nil {
		return nil, err
	}
	name := s.Manifest.Hook
	page := starterPage{
		Name: name, Job: job.ID, Problem: job.ProblemID, Level: string(level), Package: job.Report[hooks.FieldPackage],
		Program:  kit.Program(job.Report[hooks.FieldExecutablePath], job.Report[hooks.FieldPackage]),
		Manifest: p.Painter.YAML(s.Manifest.YAML()), Script: p.Painter.Lua(s.Script), Commands: commands(name, job.ID, level),
	}
	query := url.Values{"job": {job.ID}, "level": {string(level)}}.Encode()
	page.ToYAML, page.ToLua = "/hooks/new/"+hooks.ManifestName+"?"+query, "/hooks/new/"+hooks.ScriptName+"?"+query
	page.Levels = []levelLink{{"for this problem", r.With("level", ""), level == hooks.LevelProblem}}
	if page.Package != "" {
		page.Levels = append(page.Levels, levelLink{"for its package", r.With("level", string(hooks.LevelPackage)), level == hooks.LevelPackage})
	}
	return p.View("new", "New hook for "+job.ID, sectionName, page), nil
}

// nothingToStartFrom says where new hooks come from; a hook can be called
// "new", too.
func (p *pages) nothingToStartFrom(r *kit.Request) (kit.Answer, error) {
	n, err := p.Store.LatestNumber(r.Context(), newHook)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		return p.hookNamed(r, newHook)
	}
	return p.View("new", "New hook", sectionName, starterPage{Empty: kit.Empty{
		Text:    "A hook starts from a problem: choose one, or take the newest report.",
		Command: "hookline hook init --job latest", Link: "/problems", Label: "Choose a problem",
	}}), nil
}

// newHook is the name whose page is at this one's address.
const newHook = "new"

// startFrom is the report job that the address names, or the newest one of the
// problem that it names.
func (p *pages) startFrom(r *kit.Request) (jobs.Job, error) {
	id, err := r.Word("job")
	if err != nil {
		return jobs.Job{}, err
	}
	if id == "" {
		if id, err = p.newestReport(r); err != nil {
			return jobs.Job{}, err
		}
	}
	job, err := p.Store.Job(r.Context(), id)
	if err != nil {
		return jobs.Job{}, err
	}
	if job.Workload == jobs.WorkHook && job.OriginalID != "" {
		if job, err = p.Store.Job(r.Context(), job.OriginalID); err != nil {
			return jobs.Job{}, err
		}
	}
	if len(job.Report) == 0 {
		return jobs.Job{}, errs.New(errs.CodeNotFound, "this job has no report to start from").WithHint("choose a job of workload report: hookline job list --workload report")
	}
	return job, nil
}

func (p *pages) newestReport(r *kit.Request) (string, error) {
	problem, err := r.Word("problem")
	if err != nil {
		return "", err
	}
	if _, err := p.Store.Problem(r.Context(), problem); err != nil {
		return "", err
	}
	list, err := p.Store.Jobs(r.Context(), jobs.Filter{Workload: jobs.WorkReport, ProblemID: problem, Limit: 1})
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", errs.New(errs.CodeNotFound, "no report of this problem is there any more").
			WithHint("make a hook by hand: hookline hook init NAME --package PACKAGE")
	}
	return list[0].ID, nil
}

// newStarter makes the hook that the address asks for.
func newStarter(r *kit.Request, job jobs.Job) (hooks.Level, hooks.Starter, error) {
	word, err := r.One("level", string(hooks.LevelProblem), string(hooks.LevelPackage))
	if err != nil {
		return "", hooks.Starter{}, err
	}
	s, err := hooks.NewStarter("", hooks.Level(word), job.Report)
	return hooks.Level(word), s, err
}

func commands(name, job string, level hooks.Level) []command {
	start := "hookline hook init --job " + job
	if level != hooks.LevelProblem {
		start += " --level " + string(level)
	}
	return []command{
		{start, "makes the folder " + name + " with both files, the report, and recorded answers for tests"},
		{"hookline hook lint " + name, "looks for mistakes"},
		{"hookline hook test " + name, "runs it in the sandbox over the saved report, without a server"},
		{"hookline hook submit " + name + " --key KEY", "signs it with your key and uploads it for review"},
	}
}

// starterFile is one of the two files as it is.
func (p *pages) starterFile(r *kit.Request) (kit.Answer, error) {
	job, err := p.startFrom(r)
	if err != nil {
		return nil, err
	}
	_, s, err := newStarter(r, job)
	if err != nil {
		return nil, err
	}
	name, content := path.Base(r.URL.Path), s.Manifest.YAML()
	if name == hooks.ScriptName {
		content = s.Script
	}
	return kit.Raw(func(w http.ResponseWriter, _ *kit.Request) error {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		_, _ = w.Write(content) // a client that has gone is no failure of ours
		return nil
	}), nil
}
