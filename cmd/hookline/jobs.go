package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
)

// query is a command without arguments that asks the server once.
func query[T any](a *app, use, short string, ask func(*cobra.Command, *client.Client) (T, error), table func(T)) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			v, err := ask(c, cl)
			if err != nil {
				return err
			}
			return a.show(v, func() { table(v) })
		},
	}
}

// lookup is query with one id.
func lookup[T any](a *app, use, short string, ask func(*cobra.Command, *client.Client, string) (T, error), table func(T)) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			v, err := ask(c, cl, args[0])
			if err != nil {
				return err
			}
			return a.show(v, func() { table(v) })
		},
	}
}

func newJobCommand(a *app) *cobra.Command {
	var l client.List
	list := query(a, "list", "List jobs, newest first",
		func(c *cobra.Command, cl *client.Client) (api.Page[api.Job], error) { return cl.Jobs(c.Context(), l) },
		func(p api.Page[api.Job]) { a.jobs(p.Items); a.more(p.Next) })
	f := list.Flags()
	f.StringVar(&l.Workload, "workload", "", "report, bundle or hook")
	f.StringVar(&l.Status, "status", "", "pending, succeeded or failed; the list says of a hook job how it ended")
	f.StringVar(&l.Peer, "peer", "", "of this peer")
	f.StringVar(&l.Problem, "problem", "", "of this problem")
	f.StringVar(&l.Original, "original", "", "hook jobs of this original job")
	f.StringVar(&l.Version, "version", "", "hook jobs of this version (full digest)")
	pageFlags(list, &l)
	show := lookup(a, "show ID|latest", "Show a job; an original one with its new fields",
		func(c *cobra.Command, cl *client.Client, id string) (api.Job, error) {
			id, err := originalID(c.Context(), cl, id)
			if err != nil {
				return api.Job{}, err
			}
			return jobWithFields(c.Context(), cl, id)
		},
		a.job)
	return group("job", "Reports, bundles and hook runs", list, show)
}

// jobWithFields is a job, and of a hook run that brought something what it
// brought, where the caller may see that.
func jobWithFields(ctx context.Context, cl *client.Client, id string) (api.Job, error) {
	j, err := cl.Job(ctx, id)
	if err != nil || j.Workload.Type != "hook" || j.Outcome != string(hooks.OutcomeReceived) {
		return j, err
	}
	if r, err := cl.Result(ctx, id); err == nil {
		j.Results = []api.Result{r}
	}
	return j, nil
}

func (a *app) jobs(items []api.Job) {
	rows := [][]string{{"JOB", "WORKLOAD", "STATUS", "CODE", "PEER", "ABOUT", "CREATED"}}
	for _, j := range items {
		about := j.Workload.Fingerprint
		if j.Workload.Type == "hook" {
			about = j.Workload.Hook + " for " + j.Workload.OriginalID
		}
		rows = append(rows, []string{j.ID, j.Workload.Type, stateOf(j), j.FailedCode, j.PeerID, clip(about, 60), clock(j.CreatedAt)})
	}
	a.list(rows, "no jobs: hookline-peer exec files a report when a program crashes")
}

func (a *app) job(j api.Job) {
	w := j.Workload
	failed := strings.Trim(j.FailedCode+": "+j.FailedReason, ": ")
	if strings.HasPrefix(failed, w.HookError) {
		w.HookError = "" // another writing of the same
	}
	brought := ""
	if j.Outcome == string(hooks.OutcomeReceived) && len(j.Results) == 0 {
		brought = "hookline result show " + j.ID
	}
	a.pairs(
		[2]string{"job", j.ID}, [2]string{"workload", w.Type}, [2]string{"status", j.Status}, [2]string{"ending", endingOf(j)},
		[2]string{"failed", failed}, [2]string{"new fields", brought}, [2]string{"HookError_" + w.Hook, w.HookError},
		[2]string{"peer", j.PeerID}, [2]string{"triggered by", j.TriggeredBy},
		[2]string{"hook", w.Hook}, [2]string{"version", w.Version}, [2]string{"original job", w.OriginalID},
		[2]string{"problem", w.ProblemID}, [2]string{"fingerprint", w.Fingerprint},
		[2]string{"created", clock(j.CreatedAt)}, [2]string{"sent", clockOf(j.SentAt)},
		[2]string{"acknowledged", clockOf(j.AckedAt)}, [2]string{"completed", clockOf(j.CompletedAt)},
	)
	for _, r := range j.Results {
		title := fmt.Sprintf("new fields by %s (result %s)", safe(r.Hook), safe(r.ID))
		if n := deniedText(r); n != "" {
			title += ", calls denied: " + n
		}
		a.section(title)
		a.resultFields(r)
	}
	if len(j.HookJobs) > 0 {
		a.section("hook jobs")
		a.jobs(j.HookJobs)
	}
	a.report(w.Report) // the longest comes last
}

// endingOf is how a job ended: "succeeded, 2 calls denied". Older servers do
// not say it.
func endingOf(j api.Job) string {
	e := hooks.Ending(j.Ending)
	if e == "" {
		e = hooks.EndingOf(hooks.Outcome(j.Outcome), errs.Code(j.FailedCode))
	}
	return e.Words(j.Denied)
}

// stateOf is the status, and of a hook job how it ended, once it has.
func stateOf(j api.Job) string {
	if ending := endingOf(j); j.Workload.Type == "hook" && ending != "" {
		return ending
	}
	return j.Status
}

func (a *app) report(r hooks.Report) {
	if len(r) == 0 {
		return
	}
	a.section("report")
	for _, name := range sortedKeys(r) {
		a.field(name, r[name])
	}
}

// maxFieldLines is what a table shows of one value.
const maxFieldLines = 12

// latest names the newest report wherever a command takes an original job.
const latest = "latest"

// originalID is the id itself, or that of the newest report for "latest".
func originalID(ctx context.Context, cl *client.Client, id string) (string, error) {
	if id != latest {
		return id, nil
	}
	page, err := cl.Jobs(ctx, client.List{Workload: "report", Limit: 1})
	if err != nil {
		return "", err
	}
	if len(page.Items) == 0 {
		return "", errs.New(errs.CodeNotFound, "there is no report yet").WithHint("file one: hookline-peer exec -- CMD")
	}
	return page.Items[0].ID, nil
}

// field prints a value on one line, or indented below its name.
func (a *app) field(name, value string) {
	value = strings.TrimRight(value, "\n")
	if !strings.Contains(value, "\n") {
		fmt.Fprintf(a.out, "  %s: %s\n", safe(name), safe(value))
		return
	}
	fmt.Fprintf(a.out, "  %s:\n", safe(name))
	shown := 0
	for line := range strings.Lines(value) {
		if shown++; shown > maxFieldLines {
			fmt.Fprintf(a.out, "    … %d more lines: --output json has them\n", strings.Count(value, "\n")+1-maxFieldLines)
			return
		}
		fmt.Fprintf(a.out, "    %s\n", safe(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")))
	}
}

func (a *app) resultFields(r api.Result) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(r.Fields, &fields); err != nil {
		fmt.Fprintf(a.out, "  %s\n", safe(string(r.Fields)))
		return
	}
	for _, name := range sortedKeys(fields) {
		var text string
		if err := json.Unmarshal(fields[name], &text); err != nil {
			text = string(fields[name])
		}
		a.field(name, text)
	}
}

func newResultCommand(a *app) *cobra.Command {
	var l client.List
	list := query(a, "list", "List what hooks brought back, newest first",
		func(c *cobra.Command, cl *client.Client) (api.Page[api.Result], error) {
			id, err := originalID(c.Context(), cl, l.Job)
			if err != nil {
				return api.Page[api.Result]{}, err
			}
			l.Job = id
			return cl.Results(c.Context(), l)
		},
		func(p api.Page[api.Result]) { a.results(p.Items); a.more(p.Next) })
	f := list.Flags()
	f.StringVar(&l.Job, "job", "", "of this original job, or latest")
	f.StringVar(&l.Hook, "hook", "", "of this hook")
	f.StringVar(&l.Version, "version", "", "of this version (full digest)")
	f.StringVar(&l.Problem, "problem", "", "of this problem")
	pageFlags(list, &l)
	show := lookup(a, "show ID", "Show the new fields of one hook job",
		func(c *cobra.Command, cl *client.Client, id string) (api.Result, error) {
			return cl.Result(c.Context(), id)
		},
		func(r api.Result) {
			a.pairs(
				[2]string{"result", r.ID}, [2]string{"original job", r.JobID}, [2]string{"hook", r.Hook}, [2]string{"version", r.Version},
				[2]string{"peer", r.PeerID}, [2]string{"problem", r.ProblemID}, [2]string{"bytes", count(r.Bytes)},
				[2]string{"calls denied", deniedText(r)}, [2]string{"created", clock(r.CreatedAt)},
			)
			a.section("new fields")
			a.resultFields(r)
		})
	return group("result", "What hooks brought back", list, show)
}

// deniedText is how many calls of a result's run were refused, "" for none.
func deniedText(r api.Result) string {
	if r.Denied == nil || *r.Denied == 0 {
		return ""
	}
	return count(*r.Denied)
}

func (a *app) results(items []api.Result) {
	rows := [][]string{{"RESULT", "ORIGINAL JOB", "HOOK", "VERSION", "PEER", "BYTES", "CREATED"}}
	for _, r := range items {
		rows = append(rows, []string{r.ID, r.JobID, r.Hook, short(r.Version), r.PeerID, count(r.Bytes), clock(r.CreatedAt)})
	}
	a.list(rows, "no results: hookline hook explain HOOK --job latest says why")
}

func newProblemCommand(a *app) *cobra.Command {
	var l client.List
	list := query(a, "list", "List problems, the last seen first",
		func(c *cobra.Command, cl *client.Client) (api.Page[api.ProblemBucket], error) {
			return cl.Problems(c.Context(), l)
		},
		func(p api.Page[api.ProblemBucket]) { a.problems(p.Items); a.more(p.Next) })
	pageFlags(list, &l)
	show := lookup(a, "show ID", "Show a problem",
		func(c *cobra.Command, cl *client.Client, id string) (api.ProblemBucket, error) {
			return cl.Problem(c.Context(), id)
		},
		func(p api.ProblemBucket) {
			a.pairs(
				[2]string{"problem", p.ID}, [2]string{"fingerprint", p.Fingerprint}, [2]string{"package", p.Package},
				[2]string{"executable", p.Executable}, [2]string{"reports", count(p.Reports)},
				[2]string{"first seen", clock(p.FirstSeen)}, [2]string{"last seen", clock(p.LastSeen)},
			)
		})
	return group("problem", "Buckets of reports with one fingerprint", list, show)
}

func (a *app) problems(items []api.ProblemBucket) {
	rows := [][]string{{"PROBLEM", "REPORTS", "PACKAGE", "FINGERPRINT", "LAST SEEN"}}
	for _, p := range items {
		rows = append(rows, []string{p.ID, count(p.Reports), p.Package, clip(p.Fingerprint, 60), clock(p.LastSeen)})
	}
	a.list(rows, "no problems: no report has come in")
}
