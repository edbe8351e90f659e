package browsertest

import (
	"context"
	"fmt"

	"hookline/internal/client"
)

// Facts are ids of the world that pages are reached by.
type Facts struct {
	Problem  string // with results
	Job      string // original, with a result
	HookJob  string // that brought it
	Failed   string // hook job that failed
	Peer     string
	Hook     string // with an active version, and one that waits
	Active   string // digest
	Waiting  string // digest, one approval short
	Changes  string // digest, of which changes were requested
	Rejected string // digest
	Broken   string // digest, whose runs fail
	Login    string // path of a sign-in link that nobody used
}

// Facts finds them where Fill left them.
func (w *World) Facts(ctx context.Context) (f Facts, err error) {
	c, err := w.Client("alice")
	if err != nil {
		return f, err
	}
	for _, find := range []func(context.Context, *client.Client) error{f.versions, f.jobs} {
		if err := find(ctx, c); err != nil {
			return f, fmt.Errorf("cannot find what the pages show: %w", err)
		}
	}
	// Bob's, for links end where their owner sets a password, as alice does.
	bob, err := w.Client("bob")
	if err != nil {
		return f, err
	}
	link, err := bob.CreateLoginLink(ctx)
	f.Login = link.Path
	return f, err
}

func (f *Facts) versions(ctx context.Context, c *client.Client) error {
	f.Hook = "kernel-facts"
	for hook, into := range map[string][]*string{f.Hook: {&f.Waiting, &f.Active}, "broken": {&f.Broken}, "wants-changes": {&f.Changes}, "rejected": {&f.Rejected}} {
		all, err := c.VersionsOf(ctx, hook, 0, 10)
		if err != nil {
			return err
		}
		if len(all.Items) < len(into) {
			return fmt.Errorf("%s has %d versions", hook, len(all.Items))
		}
		for i, digest := range into {
			*digest = all.Items[i].Digest
		}
	}
	return nil
}

func (f *Facts) jobs(ctx context.Context, c *client.Client) error {
	results, err := c.Results(ctx, client.List{Version: f.Active, Limit: 1})
	if err != nil {
		return err
	}
	failed, err := c.Jobs(ctx, client.List{Workload: "hook", Status: "failed", Version: f.Broken, Limit: 1})
	if err != nil {
		return err
	}
	if len(results.Items) == 0 || len(failed.Items) == 0 {
		return fmt.Errorf("there are no results or no failed runs")
	}
	r := results.Items[0]
	f.HookJob, f.Job, f.Problem, f.Peer, f.Failed = r.ID, r.JobID, r.ProblemID, r.PeerID, failed.Items[0].ID
	return nil
}

// Page is one page, and how somebody gets there.
type Page struct {
	Name   string // short and unique: of pictures, of rows in docs/pages.md
	Route  string // chi's pattern, as in the server's list; "" on the review page
	As     string // whoever looks at it; "" is somebody who is not signed in
	Local  bool   // on the review page of that person's own machine
	Path   func(Facts) string
	Status int  // 0 is 200
	Extra  bool // another look of a page: without a row of figures
	Runs   bool // a process for each load: its time is not that of queries
}

// Pages is every page: axe, sizes, pictures and headers all go by it.
func Pages() []Page {
	at := func(path string) func(Facts) string { return func(Facts) string { return path } }
	return []Page{
		{Name: "sign-in", Route: "/sign-in", Path: at("/sign-in")},
		{Name: "sign-in-link", Route: "/login/{code}", Path: func(f Facts) string { return f.Login }},
		{Name: "overview", Route: "/", As: "alice", Path: at("/")},
		{Name: "problems", Route: "/problems", As: "alice", Path: at("/problems")},
		{Name: "problem", Route: "/problems/{id}", As: "alice", Path: func(f Facts) string { return "/problems/" + f.Problem }},
		{Name: "hooks", Route: "/hooks", As: "alice", Path: at("/hooks")},
		{Name: "hook", Route: "/hooks/{hook}", As: "alice", Path: func(f Facts) string { return "/hooks/" + f.Hook }},
		{Name: "new-hook", Route: "/hooks/new", As: "alice", Path: func(f Facts) string { return "/hooks/new?job=" + f.Job }},
		{Name: "version", Route: "/versions/{digest}", As: "alice", Path: func(f Facts) string { return "/versions/" + f.Active }},
		{Name: "version-broken", Route: "/versions/{digest}", As: "alice", Path: func(f Facts) string { return "/versions/" + f.Broken }, Extra: true},
		{Name: "reviews", Route: "/reviews", As: "carol", Path: at("/reviews")},
		{Name: "review", Route: "/versions/{digest}/review", As: "carol", Path: func(f Facts) string { return "/versions/" + f.Waiting + "/review" }},
		{Name: "review-split", Route: "/versions/{digest}/review", As: "carol", Path: func(f Facts) string { return "/versions/" + f.Waiting + "/review?view=split" }, Extra: true},
		{Name: "review-comments", Route: "/versions/{digest}/review", As: "alice", Path: func(f Facts) string { return "/versions/" + f.Changes + "/review" }, Extra: true},
		{Name: "trial", Route: "/versions/{digest}/review/trial", As: "carol", Path: func(f Facts) string { return "/versions/" + f.Waiting + "/review/trial?job=" + f.Job }, Runs: true},
		{Name: "peers", Route: "/peers", As: "alice", Path: at("/peers")},
		{Name: "peer", Route: "/peers/{id}", As: "alice", Path: func(f Facts) string { return "/peers/" + f.Peer }},
		{Name: "peer-jobs", Route: "/peers/{id}", As: "alice", Path: func(f Facts) string { return "/peers/" + f.Peer + "?tab=jobs" }, Extra: true},
		{Name: "peer-bundles", Route: "/peers/{id}", As: "alice", Path: func(f Facts) string { return "/peers/" + f.Peer + "?tab=bundles" }, Extra: true},
		{Name: "jobs", Route: "/jobs", As: "alice", Path: at("/jobs")},
		{Name: "job", Route: "/jobs/{id}", As: "alice", Path: func(f Facts) string { return "/jobs/" + f.Job }},
		{Name: "job-of-hook", Route: "/jobs/{id}", As: "alice", Path: func(f Facts) string { return "/jobs/" + f.HookJob }, Extra: true},
		{Name: "job-failed", Route: "/jobs/{id}", As: "alice", Path: func(f Facts) string { return "/jobs/" + f.Failed }, Extra: true},
		{Name: "job-explained", Route: "/jobs/{id}", As: "alice", Path: func(f Facts) string { return "/jobs/" + f.Job + "?explain=" + f.Active }, Extra: true},
		{Name: "results", Route: "/results", As: "alice", Path: at("/results")},
		{Name: "audit", Route: "/audit", As: "alice", Path: at("/audit")},
		{Name: "users", Route: "/users", As: "admin", Path: at("/users")},
		{Name: "user", Route: "/users/{name}", As: "admin", Path: at("/users/carol")},
		{Name: "tokens", Route: "/tokens", As: "admin", Path: at("/tokens")},
		{Name: "account", Route: "/account", As: "alice", Path: at("/account")},
		{Name: "debug", Route: "/results", As: "alice", Path: at("/results?debug=1"), Extra: true},
		{Name: "no-results", Route: "/results", As: "alice", Path: at("/results?hook=wants-changes"), Extra: true},
		{Name: "not-allowed", Route: "/users", As: "carol", Path: at("/users"), Status: 403, Extra: true},
		{Name: "not-found", Route: "/{nothing}", As: "alice", Path: at("/nothing-here"), Status: 404, Extra: true},
		{Name: "local-queue", As: "carol", Local: true, Path: at("/")},
		{Name: "local-version", As: "carol", Local: true, Path: func(f Facts) string { return "/versions/" + f.Waiting }},
	}
}

// Others are the routes that a browser gets and that are no pages.
func Others() map[string]string {
	return map[string]string{
		"/live":                "the stream of events that pages with live parts hold open",
		"/hooks/new/hook.yaml": "a file: the new hook's manifest",
		"/hooks/new/hook.lua":  "a file: the new hook's script",
	}
}
