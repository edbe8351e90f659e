package problems

import (
	"context"
	"strconv"
	"time"

	"hookline/internal/jobs"
	"hookline/internal/looks"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
)

type runPage struct {
	Run      run
	Pending  bool
	Original string
	Facts    []kit.Fact
	Timeline []moment
	Result   kit.Part[runResult]
	Beside   kit.Part[brought] // other runs for the same report
	Explain  *kit.Part[explanation]
	Why      string // link
}

// runResult is what a run brought.
type runResult struct {
	Fields kit.Fields
	Cut    bool // values are cut
	Error  kit.Fields
}

// moment is one step in the life of a hook job.
type moment struct {
	Name  string
	At    time.Time
	After string // the time since the step before; "" where it is not known
	Class string // done, bad, or "" for what has not been
	Note  string
}

// hookRun is the page of one hook job.
func (p *pages) hookRun(r *kit.Request, j jobs.Job) (kit.Answer, error) {
	names := p.names()
	one, err := runOf(r.Context(), j, names)
	if err != nil {
		return nil, err
	}
	peer, err := names.peer(r.Context(), j.PeerID)
	if err != nil {
		return nil, err
	}
	data := runPage{
		Run: one, Pending: j.CompletedAt.IsZero(), Original: j.OriginalID, Facts: runFacts(j, one, peer), Timeline: timeline(j, r.Now()),
		Why: p.explainLink(j.ID, j.Version),
	}
	data.Result = kit.Load(r, "result", func(ctx context.Context) (runResult, error) { return p.runResult(ctx, j) })
	data.Beside = kit.Load(r, "other runs", func(ctx context.Context) (brought, error) {
		all, err := p.brought(ctx, j.OriginalID, names)
		var others []run
		for _, one := range all.Runs {
			if one.ID != j.ID {
				others = append(others, one)
			}
		}
		all.Runs = others
		return all, err
	})
	if data.Explain, err = p.explain(r, j, names); err != nil {
		return nil, err
	}
	return p.View("job", "Hook run "+looks.Visible(one.Version.Name())+", job "+j.ID, "Jobs", jobPage{Run: &data}).
		Follow([]string{live.Job(j.ID), live.Job(j.OriginalID)}, []string{"ending", "timeline", "results", "runs"}), nil
}

func runFacts(j jobs.Job, one run, peer string) []kit.Fact {
	facts := []kit.Fact{
		{Name: "Original report", Cell: kit.ID(j.OriginalID, "/jobs/"+j.OriginalID)},
		{Name: "Version", Cell: one.Version.Cell().With(kit.Short(one.Version.Digest))},
		{Name: "Job", Cell: kit.ID(j.ID, "/jobs/"+j.ID)},
		{Name: "Peer", Cell: kit.Peer(j.PeerID, peer)},
	}
	if j.ProblemID != "" {
		facts = append(facts, kit.Fact{Name: "Problem", Cell: kit.ID(j.ProblemID, "/problems/"+j.ProblemID)})
	}
	facts = append(facts, kit.Fact{Name: "Triggered by", Cell: kit.Text(j.TriggeredBy)})
	if j.Bytes > 0 {
		facts = append(facts, kit.Fact{Name: "Size", Cell: kit.Text(kit.Bytes(j.Bytes))})
	}
	return append(facts, kit.Fact{Name: "Calls denied", Cell: kit.Number(j.Denied)})
}

// timeline is what has been, what is awaited and what never was.
func timeline(j jobs.Job, now time.Time) []moment {
	over := !j.CompletedAt.IsZero()
	steps := []moment{
		{Name: "Stored", At: j.CreatedAt},
		{Name: "Sent to the peer", At: j.SentAt},
		{Name: "Acknowledged by the peer", At: j.AckedAt},
		{Name: "Done", At: j.CompletedAt},
	}
	var last time.Time
	for i := range steps {
		s := &steps[i]
		switch {
		case !s.At.IsZero():
			s.Class = "done"
			if !last.IsZero() && !s.At.Before(last) {
				s.After = tookOf(s.At.Sub(last)) + " later"
			}
			last = s.At
		case over:
			s.Note = "never"
		default:
			s.Note = "not yet"
		}
	}
	done := &steps[len(steps)-1]
	switch {
	case over && j.Status == jobs.Failed:
		done.Name, done.Class = "Failed", "bad"
	case !over && !j.Deadline.IsZero():
		done.Note = "not yet; it fails " + kit.Ago(j.Deadline, now) + " if the peer does not answer"
		if !j.Deadline.After(now) {
			done.Note = "not yet; its time is over"
		}
	}
	return steps
}

// tookOf writes how long a step took.
func tookOf(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return kit.Span(d)
}

func (p *pages) runResult(ctx context.Context, j jobs.Job) (runResult, error) {
	out := runResult{}
	if e := j.OwnError(); e != "" {
		out.Error = kit.Fields{Caption: "Error", Fields: []kit.Field{kit.NewField("HookError_"+j.Hook, e)}}
	}
	res, err := p.Store.Result(ctx, j.ID)
	if notFound(err) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Fields.Caption = "New fields"
	if out.Fields.Fields, err = kit.NewFields(res.Fields); err != nil {
		return out, err
	}
	left := originalBytes
	out.Cut = kit.Within(out.Fields.Fields, &left)
	return out, nil
}
