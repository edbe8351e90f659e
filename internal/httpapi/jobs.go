package httpapi

import (
	"context"
	"fmt"

	"hookline/collector"
	"hookline/internal/api"
	"hookline/internal/jobs"
)

// maxBeside caps the hook jobs and results shown beside one original job. At
// most one result a version and original exists, so people see all of them.
const maxBeside = 200

type jobsQuery struct {
	Listing
	Workload string `query:"workload" enum:"report,bundle,hook"`
	Status   string `query:"status" enum:"pending,succeeded,failed"`
	Peer     string `query:"peer" maxLength:"128"`
	Problem  string `query:"problem" maxLength:"128"`
	Original string `query:"original" maxLength:"128" doc:"hook jobs of this original job"`
	Version  string `query:"version" maxLength:"128" doc:"hook jobs of this version digest"`
}

func (s *service) listJobs(ctx context.Context, in *jobsQuery) (api.Page[api.Job], error) {
	return s.jobsPage(ctx, jobs.Filter{
		Workload: jobs.Workload(in.Workload), Status: jobs.Status(in.Status), PeerID: in.Peer, ProblemID: in.Problem,
		Original: in.Original, Version: in.Version, After: in.After, Limit: in.Limit,
	})
}

func (s *service) listPeerJobs(ctx context.Context, in *struct {
	IDPath
	Listing
},
) (api.Page[api.Job], error) {
	if _, err := s.Peers.Peer(ctx, in.ID); err != nil {
		return api.Page[api.Job]{}, err
	}
	return s.jobsPage(ctx, jobs.Filter{PeerID: in.ID, After: in.After, Limit: in.Limit})
}

func (s *service) jobsPage(ctx context.Context, f jobs.Filter) (api.Page[api.Job], error) {
	list, err := s.Queries.Jobs(ctx, f)
	return page(list, err, f.Limit, func(j jobs.Job) (api.Job, string) { return jobOf(j), j.ID })
}

func (s *service) getJob(ctx context.Context, in *IDPath) (api.Job, error) {
	j, err := s.Queries.Job(ctx, in.ID)
	if err != nil {
		return api.Job{}, err
	}
	out := jobOf(j)
	if j.Workload == jobs.WorkHook {
		return out, nil
	}
	hookJobs, err := s.Queries.Jobs(ctx, jobs.Filter{Original: j.ID, Limit: maxBeside})
	if err != nil {
		return api.Job{}, fmt.Errorf("hook jobs of %s: %w", j.ID, err)
	}
	denied := map[string]*int64{}
	for _, h := range hookJobs {
		out.HookJobs = append(out.HookJobs, jobOf(h))
		denied[h.ID] = &h.Denied
	}
	results, err := s.Results.Results(ctx, collector.ResultFilter{JobID: j.ID, Limit: maxBeside})
	if err != nil {
		return api.Job{}, fmt.Errorf("results of %s: %w", j.ID, err)
	}
	for _, r := range results {
		one := resultOf(r)
		one.Denied = denied[r.ID]
		out.Results = append(out.Results, one)
	}
	return out, nil
}

type resultsQuery struct {
	Listing
	Job     string `query:"job" maxLength:"128" doc:"the original job"`
	Hook    string `query:"hook" maxLength:"64"`
	Version string `query:"version" maxLength:"128"`
	Problem string `query:"problem" maxLength:"128"`
}

// A page of results ends early where it has become large: they are read a few
// at a time, so that nobody's question fills the memory.
const (
	maxPageBytes  = 8 << 20
	resultsAtOnce = 8
)

func (s *service) listResults(ctx context.Context, in *resultsQuery) (api.Page[api.Result], error) {
	out := api.Page[api.Result]{Items: []api.Result{}, Next: in.After}
	for bytes := 0; bytes < maxPageBytes && len(out.Items) < in.Limit; {
		limit := min(resultsAtOnce, in.Limit-len(out.Items))
		list, err := s.Results.Results(ctx, collector.ResultFilter{
			JobID: in.Job, Hook: in.Hook, Version: in.Version, ProblemID: in.Problem, After: out.Next, Limit: limit,
		})
		if err != nil {
			return api.Page[api.Result]{}, err
		}
		for _, r := range list {
			out.Items = append(out.Items, resultOf(r))
			out.Next = r.ID
			bytes += len(r.Fields)
		}
		if len(list) < limit {
			out.Next = ""
			break
		}
	}
	return out, nil
}

func (s *service) getResult(ctx context.Context, in *IDPath) (api.Result, error) {
	r, err := s.Results.Result(ctx, in.ID)
	if err != nil {
		return api.Result{}, err
	}
	out := resultOf(r)
	j, err := s.Queries.Job(ctx, r.ID)
	out.Denied = &j.Denied
	return out, err
}

func (s *service) listProblems(ctx context.Context, in *Listing) (api.Page[api.ProblemBucket], error) {
	f := collector.ProblemFilter{After: in.After, Limit: in.Limit}
	list, err := s.Queries.Problems(ctx, f)
	return page(list, err, in.Limit, func(p collector.Problem) (api.ProblemBucket, string) { return problemBucketOf(p), f.Cursor(p) })
}

func (s *service) getProblem(ctx context.Context, in *IDPath) (api.ProblemBucket, error) {
	p, err := s.Queries.Problem(ctx, in.ID)
	return problemBucketOf(p), err
}

func (s *service) explain(ctx context.Context, in *struct {
	IDPath
	Version string `query:"version" maxLength:"128" doc:"version digest; may be left out for a hook job"`
},
) (api.Explanation, error) {
	e, err := s.Collector.Explain(ctx, in.ID, in.Version)
	out := api.Explanation{
		JobID: e.JobID, Hook: e.Hook, Version: e.Version, Verdict: e.Verdict, Code: e.Code, HookJob: e.HookJob,
		Checks: make([]api.ExplainStep, 0, len(e.Checks)),
	}
	for _, c := range e.Checks {
		out.Checks = append(out.Checks, api.ExplainStep{Check: c.Name, OK: c.OK, Note: c.Note})
	}
	return out, err
}
