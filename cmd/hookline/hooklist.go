package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"

	"github.com/spf13/cobra"
)

// pageFlags adds what every list takes.
func pageFlags(c *cobra.Command, l *client.List) {
	c.Flags().StringVar(&l.After, "after", "", "continue after this page")
	c.Flags().IntVar(&l.Limit, "limit", 0, "at most so many (1 to 200)")
}

func newHookListCommand(a *app) *cobra.Command {
	var l client.List
	c := &cobra.Command{
		Use:   "list",
		Short: "List hooks, the newest version of each",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			page, err := cl.Hooks(c.Context(), l)
			if err != nil {
				return err
			}
			return a.show(page, func() { a.versions(page.Items); a.more(page.Next) })
		},
	}
	pageFlags(c, &l)
	return c
}

func (a *app) versions(items []api.Version) {
	rows := [][]string{{"VERSION", "DIGEST", "STATE", "APPROVALS", "RESULTS", "BY", "SUBMITTED"}}
	for _, v := range items {
		results := ""
		if act := v.Activation; act != nil {
			results = fmt.Sprintf("%d/%d", act.Ledger.Received, act.Quantity)
		}
		rows = append(rows, []string{
			fmt.Sprintf("%s@%d", v.Hook, v.Number), short(v.Digest), v.State,
			approvals(v, "/"), results, v.SubmittedBy, clock(v.SubmittedAt),
		})
	}
	a.list(rows, "no hook versions")
}

// approvals is how many signatures of reviewers count, of how many that are
// needed; where the version is refused as a whole, nobody's do, and it says why.
func approvals(v api.Version, of string) string {
	if v.Refusal != nil && v.Needed == 0 {
		return "- (" + v.Refusal.Code + ")"
	}
	text := fmt.Sprintf("%d%s%d", v.Approvals, of, v.Needed)
	if n := len(v.Void); n > 0 {
		text += fmt.Sprintf(" (%d void)", n)
	}
	return text
}

func newHookShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show HOOK|HOOK@NUMBER|DIGEST",
		Short: "Show a hook's versions, or one version",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			if _, refErr := parseVersionRef(args[0]); refErr == nil {
				return a.showVersion(c, cl, args[0])
			}
			page, err := cl.VersionsOf(c.Context(), args[0], 0, 0)
			if err != nil {
				return err
			}
			if len(page.Items) == 0 {
				return errs.New(errs.CodeNotFound, "there is no hook %s", args[0])
			}
			return a.show(page, func() { a.versions(page.Items) })
		},
	}
}

func (a *app) showVersion(c *cobra.Command, cl *client.Client, text string) error {
	f, err := a.fetch(c.Context(), cl, text)
	if err != nil {
		return err
	}
	return a.show(f.version, func() {
		a.statement(f.statement, f.digest)
		a.life(f.version)
	})
}

func newHookDigestCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "digest HOOK@NUMBER|DIGEST",
		Short: "Print the digest of a version, which names it for ever",
		Long: `Prints the digest that the server says HOOK@NUMBER has now, after checking that the
statement and the script belong to it. A review that starts with the digest is of
one version to its end: review show DIGEST, then review approve DIGEST.`,
		Example: "  DIGEST=$(hookline hook digest first@1)",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			f, err := a.fetch(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			view := struct {
				Digest string `json:"digest"`
			}{f.digest}
			return a.show(view, func() { fmt.Fprintln(a.out, f.digest) })
		},
	}
}

// changes runs a command that changes the version it is given, and shows how
// the version stands then.
func (a *app) changes(change func(ctx context.Context, cl *client.Client, ref string) (api.Version, error)) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		v, err := change(c.Context(), cl, args[0])
		if err != nil {
			return err
		}
		return a.show(v, func() { a.changed(v) })
	}
}

// changed says which version a command changed, and how it stands now.
func (a *app) changed(v api.Version) {
	a.pairs([2]string{"version", fmt.Sprintf("%s@%d", v.Hook, v.Number)}, [2]string{"digest", v.Digest})
	a.life(v)
}

// life prints where a version stands: state, reviews, ledger.
func (a *app) life(v api.Version) {
	a.section("state")
	a.pairs(
		[2]string{"state", v.State}, [2]string{"submitted", clock(v.SubmittedAt) + " by " + v.SubmittedBy},
		[2]string{"author", v.Author}, [2]string{"approvals", approvals(v, " of ")}, [2]string{"refused", refusalText(v.Refusal)},
	)
	if len(v.Void) > 0 {
		a.section("signatures that do not count")
		rows := [][]string{{"WHO", "KEY", "CODE", "WHY"}}
		for _, s := range v.Void {
			rows = append(rows, []string{s.Person, short(s.KeyID), s.Code, clip(s.Reason, maxWhy)})
		}
		a.table(rows)
	}
	if len(v.Reviews) > 0 {
		a.section("reviews")
		rows := [][]string{{"AT", "WHO", "VERDICT", "KEY", "COMMENT"}}
		for _, r := range v.Reviews {
			rows = append(rows, []string{clock(r.At), reviewedBy(r), r.Verdict, short(r.KeyID), clip(r.Comment, 100)})
		}
		a.table(rows)
	}
	if act := v.Activation; act != nil {
		a.section("activation")
		l := act.Ledger
		a.pairs(
			[2]string{"state", strings.TrimSuffix(act.State+": "+act.Reason, ": ")},
			[2]string{"results", fmt.Sprintf("%d of %d, %d bytes of %d", l.Received, act.Quantity, l.Bytes, act.MaxBytes)},
			[2]string{"deadline", clock(act.Deadline)},
			[2]string{"rollout", fmt.Sprintf("%d%%, %d a minute", act.Rollout.Percent, act.Rollout.PerMinute)},
			[2]string{"ledger", ledgerLine(l)},
		)
	}
}

// maxWhy is how much of a reason is shown, in characters.
const maxWhy = 300

// refusalText says why a version may not run as it stands, "" where it may.
func refusalText(r *api.Refusal) string {
	if r == nil {
		return ""
	}
	return r.Code + ": " + clip(r.Reason, maxWhy)
}

// reviewedBy names who signed, and who uploaded it where that is another.
func reviewedBy(r api.Review) string {
	switch r.Person {
	case "":
		return r.User
	case r.User:
		return r.Person
	}
	return "signature of " + r.Person + ", uploaded by " + r.User
}

func ledgerLine(l hooks.Ledger) string {
	return fmt.Sprintf("%d issued = %d out + %d received + %d empty + %d failed + %d refused + %d deferred + %d cancelled + %d timed out",
		l.Issued, l.Leased, l.Received, l.Empty, l.Failed, l.Refused, l.Deferred, l.Cancelled, l.TimedOut)
}

func newHookExplainCommand(a *app) *cobra.Command { return explainCommand(a) }

// newExplainCommand is the same at the top, where people look for it first.
func newExplainCommand(a *app) *cobra.Command { return explainCommand(a) }

func explainCommand(a *app) *cobra.Command {
	var job string
	c := &cobra.Command{
		Use:   "explain --job ID [HOOK|HOOK@NUMBER|DIGEST]",
		Short: "Say why a hook did or did not run for a job",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			id, err := originalID(c.Context(), cl, job)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.explainOne(c, cl, id, args[0])
			}
			return a.explainAll(c, cl, id)
		},
	}
	c.Flags().StringVar(&job, "job", "", "the original job (or latest), or a hook job")
	_ = c.MarkFlagRequired("job")
	return c
}

func (a *app) explainOne(c *cobra.Command, cl *client.Client, job, text string) error {
	digest, err := a.newestOrRef(c, cl, text)
	if err != nil {
		return err
	}
	e, err := cl.Explain(c.Context(), job, digest)
	if err != nil {
		return err
	}
	return a.show(e, func() { a.explanation(e) })
}

// newestOrRef takes a hook's name for its newest version.
func (a *app) newestOrRef(c *cobra.Command, cl *client.Client, text string) (string, error) {
	if _, err := parseVersionRef(text); err == nil {
		return a.resolveDigest(c.Context(), cl, text)
	}
	page, err := cl.VersionsOf(c.Context(), text, 0, 1)
	if err != nil {
		return "", err
	}
	if len(page.Items) == 0 {
		return "", errs.New(errs.CodeNotFound, "there is no hook %s", text)
	}
	return page.Items[0].Digest, nil
}

// explainAll explains a hook job by itself, and an original job for the
// newest version of every hook.
func (a *app) explainAll(c *cobra.Command, cl *client.Client, job string) error {
	j, err := cl.Job(c.Context(), job)
	if err != nil {
		return err
	}
	if j.Workload.Type == "hook" {
		e, err := cl.Explain(c.Context(), job, "")
		if err != nil {
			return err
		}
		return a.show(e, func() { a.explanation(e) })
	}
	list := []api.Explanation{}
	err = newWalker(cl).eachHook(c.Context(), func(v api.Version) error {
		e, err := cl.Explain(c.Context(), job, v.Digest)
		if err == nil {
			list = append(list, e)
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.show(list, func() {
		rows := [][]string{{"HOOK", "DIGEST", "CODE", "VERDICT"}}
		for _, e := range list {
			rows = append(rows, []string{e.Hook, short(e.Version), e.Code, e.Verdict})
		}
		a.table(rows)
	})
}

func (a *app) explanation(e api.Explanation) {
	a.pairs(
		[2]string{"job", e.JobID}, [2]string{"hook", e.Hook}, [2]string{"version", e.Version},
		[2]string{"hook job", e.HookJob}, [2]string{"code", e.Code},
	)
	fmt.Fprintln(a.out)
	rows := [][]string{{"", "CHECK", "NOTE"}}
	for _, s := range e.Checks {
		mark := "ok"
		if !s.OK {
			mark = "NO"
		}
		rows = append(rows, []string{mark, s.Check, s.Note})
	}
	a.table(rows)
	fmt.Fprintf(a.out, "\n%s\n", safe(e.Verdict))
}

func count(n int64) string { return strconv.FormatInt(n, 10) }
