package problems

import (
	"context"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/looks"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
)

// maxBeside caps the results and runs on one page.
const maxBeside = 100

// group is what one hook job brought.
type group struct {
	Version kit.VersionRef
	JobID   string
	At      time.Time
	Denied  int64 // calls of the run that were refused
	Fields  kit.Fields
}

// run is one hook job in short.
type run struct {
	ID        string
	Version   kit.VersionRef
	State     string // the ending, the status of a job that has none
	Denied    int64  // calls that were refused
	Code      string
	Meaning   string // of the code
	Text      string
	HookError string
	Ended     time.Time
}

// brought is what hooks brought for a report, and how each of them ended.
type brought struct {
	Groups []group
	Fields int
	Cut    bool // values are cut
	Runs   []run
	More   bool // there are more runs than are shown
}

// jobPage is one of the two.
type jobPage struct {
	Report *reportPage
	Run    *runPage
}

type reportPage struct {
	Heading  string
	Subject  string
	Facts    []kit.Fact
	Original kit.Fields
	Cut      string // id of the job, where values are cut
	New      string // link to a new hook; "" where the person may not see hooks
	Brought  kit.Part[brought]
	Matching kit.Part[[]matching]
	Explain  *kit.Part[explanation]
}

func (p *pages) job(r *kit.Request) (kit.Answer, error) {
	j, err := p.Store.Job(r.Context(), r.ID("id"))
	if err != nil {
		return nil, err
	}
	if j.Workload == jobs.WorkHook {
		return p.hookRun(r, j)
	}
	names := p.names()
	peer, err := names.peer(r.Context(), j.PeerID)
	if err != nil {
		return nil, err
	}
	data := reportPage{
		Heading: headingOf(j), Subject: looks.Visible(j.Fingerprint), Facts: reportFacts(j, peer),
		Original: kit.Fields{Caption: "The report as the peer filed it", Fields: kit.ReportFields(j.Report)},
	}
	if left := originalBytes; kit.Within(data.Original.Fields, &left) {
		data.Cut = j.ID
	}
	if r.May(auth.HooksRead) {
		data.New = link("/hooks/new", "job", j.ID)
	}
	data.Brought = kit.Load(r, "results", func(ctx context.Context) (brought, error) { return p.brought(ctx, j.ID, names) })
	data.Matching = kit.Load(r, "active hooks", func(ctx context.Context) ([]matching, error) { return p.matching(ctx, j, names) })
	if data.Explain, err = p.explain(r, j, names); err != nil {
		return nil, err
	}
	return p.View("job", data.Heading+", "+string(j.Workload)+" "+j.ID, "Jobs", jobPage{Report: &data}).
		Follow([]string{live.Job(j.ID)}, []string{"results", "runs"}), nil
}

// headingOf says in a few words what happened.
func headingOf(j jobs.Job) string {
	if j.Workload == jobs.WorkBundle {
		return "Debug bundle"
	}
	program := kit.ProgramOf(j.Report)
	if program == "" {
		return "Problem report"
	}
	how := j.Report[hooks.FieldSignalName]
	if how == "" && j.Report[hooks.FieldSignal] != "" {
		how = "signal " + j.Report[hooks.FieldSignal]
	}
	if how == "" && j.Report[hooks.FieldExitCode] != "" {
		how = "exit code " + j.Report[hooks.FieldExitCode]
	}
	if how != "" {
		program += ", " + how
	}
	return looks.Visible(cut(program, 120))
}

func reportFacts(j jobs.Job, peer string) []kit.Fact {
	var facts []kit.Fact
	if j.ProblemID != "" {
		facts = append(facts, kit.Fact{Name: "Problem", Cell: kit.ID(j.ProblemID, "/problems/"+j.ProblemID)})
	}
	facts = append(facts,
		kit.Fact{Name: "Job", Cell: kit.ID(j.ID, "/jobs/"+j.ID)},
		kit.Fact{Name: "Peer", Cell: kit.Peer(j.PeerID, peer)},
		kit.Fact{Name: "Filed", Cell: kit.Time(j.CreatedAt)},
	)
	for _, f := range []struct{ name, field string }{
		{"Package", hooks.FieldPackage}, {"Package version", hooks.FieldPackageVersion}, {"Release", hooks.FieldRelease},
	} {
		if text := j.Report[f.field]; text != "" {
			facts = append(facts, kit.Fact{Name: f.name, Cell: kit.Text(cut(text, 80))})
		}
	}
	return facts
}

func (p *pages) brought(ctx context.Context, original string, names *names) (brought, error) {
	out := brought{}
	results, err := p.Store.Results(ctx, collector.ResultFilter{JobID: original, Limit: maxBeside})
	if err != nil {
		return out, err
	}
	list, err := p.Store.Jobs(ctx, jobs.Filter{Original: original, Limit: maxBeside})
	if err != nil {
		return out, err
	}
	denied := map[string]int64{}
	for _, j := range list {
		one, err := runOf(ctx, j, names)
		if err != nil {
			return out, err
		}
		out.Runs, denied[one.ID] = append(out.Runs, one), one.Denied
	}
	out.More = len(list) == maxBeside
	left := broughtBytes
	for _, res := range results {
		version, err := names.version(ctx, res.Hook, res.Version)
		if err != nil {
			return out, err
		}
		fields, err := kit.NewFields(res.Fields)
		if err != nil {
			return out, err
		}
		out.Fields += len(fields)
		out.Cut = kit.Within(fields, &left) || out.Cut
		out.Groups = append(out.Groups, group{
			Version: version, JobID: res.ID, At: res.CreatedAt, Denied: denied[res.ID],
			Fields: kit.Fields{Caption: "New fields of " + looks.Visible(res.Hook), Fields: fields},
		})
	}
	return out, nil
}

func runOf(ctx context.Context, j jobs.Job, names *names) (run, error) {
	version, err := names.version(ctx, j.Hook, j.Version)
	return run{
		ID: j.ID, Version: version, State: stateOf(j), Denied: j.Denied, Code: looks.Visible(j.FailedCode), Meaning: meaningOf(j.FailedCode),
		Text: looks.Visible(j.FailedText), HookError: looks.Visible(j.OwnError()), Ended: j.CompletedAt,
	}, err
}

// matching is an active hook with a match key of a report.
type matching struct {
	Version kit.VersionRef
	Explain string
}

func (p *pages) matching(ctx context.Context, j jobs.Job, names *names) ([]matching, error) {
	if len(j.Report) == 0 {
		return nil, nil
	}
	list, err := p.Store.ActiveByKeys(ctx, hooks.MatchKeys(j.Report))
	if err != nil {
		return nil, err
	}
	var out []matching
	for _, a := range list[:min(len(list), attachedVersion)] {
		ref, err := names.version(ctx, a.Hook, a.Digest)
		if err != nil {
			return nil, err
		}
		out = append(out, matching{Version: ref, Explain: p.explainLink(j.ID, a.Digest)})
	}
	return out, nil
}

func (p *pages) explainLink(job, digest string) string {
	if p.Explain == nil {
		return ""
	}
	return link("/jobs/"+job, "explain", digest) + "#explain"
}

// explanation is why a version ran or did not.
type explanation struct {
	Version kit.VersionRef
	Verdict string
	Code    string
	Meaning string
	Checks  []collector.Check
	HookJob string
}

// explain answers ?explain=DIGEST; nil where nobody asks.
func (p *pages) explain(r *kit.Request, j jobs.Job, names *names) (*kit.Part[explanation], error) {
	digest, err := r.Word("explain")
	if err != nil || digest == "" || p.Explain == nil {
		return nil, err
	}
	if !digestForm.MatchString(digest) {
		return nil, errs.New(errs.CodeBadInput, "it is no digest of a version").At("explain")
	}
	part := kit.Load(r, "explanation", func(ctx context.Context) (explanation, error) {
		original := j.ID
		if j.Workload == jobs.WorkHook {
			original = j.OriginalID
		}
		e, err := p.Explain(ctx, original, digest)
		if err != nil {
			return explanation{}, err
		}
		ref, err := names.version(ctx, e.Hook, e.Version)
		out := explanation{Version: ref, Verdict: e.Verdict, Code: e.Code, Meaning: meaningOf(e.Code), HookJob: e.HookJob}
		for _, c := range e.Checks {
			c.Note = looks.Visible(c.Note)
			out.Checks = append(out.Checks, c)
		}
		return out, err
	})
	return &part, nil
}
