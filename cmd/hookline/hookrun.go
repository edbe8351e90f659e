package main

import (
	"context"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/strict"

	"github.com/spf13/cobra"
)

// activateOptions are the flags of hook activate and hook bounds.
type activateOptions struct {
	Quantity  int64
	For       string
	Deadline  string
	Percent   int64
	PerMinute int64
}

// boundFlags are their names.
func boundFlags() []string { return []string{"quantity", "for", "deadline", "percent", "per-minute"} }

// register adds the flags; the defaults are said in words.
func (o *activateOptions) register(c *cobra.Command, quantity, until, percent, perMinute string) {
	fl := c.Flags()
	fl.Int64Var(&o.Quantity, "quantity", 0, "results wanted (default: "+quantity+")")
	fl.StringVar(&o.For, "for", "", "how long, for example 2h or 3d (default: "+until+")")
	fl.StringVar(&o.Deadline, "deadline", "", "until when, RFC 3339")
	fl.Int64Var(&o.Percent, "percent", 0, "percent of the peers (default: "+percent+")")
	fl.Int64Var(&o.PerMinute, "per-minute", 0, "leases a minute (default: "+perMinute+")")
	c.MarkFlagsMutuallyExclusive("for", "deadline")
}

func newHookActivateCommand(a *app) *cobra.Command {
	var o activateOptions
	c := &cobra.Command{
		Use:   "activate HOOK@NUMBER|DIGEST",
		Short: "Start an approved version within its signed bounds",
		Args:  cobra.ExactArgs(1),
		RunE: a.changes(func(ctx context.Context, cl *client.Client, ref string) (api.Version, error) {
			f, err := a.fetch(ctx, cl, ref)
			if err != nil {
				return api.Version{}, err
			}
			body, err := a.bounds(signedBounds(f.statement.Predicate), o)
			if err != nil {
				return api.Version{}, err
			}
			return cl.Activate(ctx, f.digest, body)
		}),
	}
	o.register(c, "the signed max_reports", "until the signed not_after", "the signed max_percent", "600")
	return c
}

func newHookBoundsCommand(a *app) *cobra.Command {
	var o activateOptions
	c := &cobra.Command{
		Use:   "bounds HOOK@NUMBER|DIGEST",
		Short: "Change quantity, deadline or rollout of an active version",
		Long: `Changes what an active version may still do, within the bounds that people signed.
What no flag names stays as it is. Quantity counts the results that are in already.`,
		Example: "  hookline hook bounds first@1 --quantity 50 --for 2d",
		Args:    cobra.ExactArgs(1),
		PreRunE: func(c *cobra.Command, _ []string) error {
			for _, name := range boundFlags() {
				if c.Flags().Changed(name) {
					return nil
				}
			}
			return usagef("it needs one of --quantity, --for, --deadline, --percent, --per-minute")
		},
		RunE: a.changes(func(ctx context.Context, cl *client.Client, ref string) (api.Version, error) {
			f, err := a.fetch(ctx, cl, ref)
			if err != nil {
				return api.Version{}, err
			}
			now := signedBounds(f.statement.Predicate)
			if act := f.version.Activation; act != nil {
				now = api.NewActivation{Quantity: act.Quantity, Deadline: act.Deadline, Percent: act.Rollout.Percent, PerMinute: act.Rollout.PerMinute}
			}
			body, err := a.bounds(now, o)
			if err != nil {
				return api.Version{}, err
			}
			return cl.Bounds(ctx, f.digest, body)
		}),
	}
	const same = "as it is"
	o.register(c, same, same, same, same)
	return c
}

// signedBounds are the widest that people signed.
func signedBounds(p hooks.Predicate) api.NewActivation {
	return api.NewActivation{Quantity: p.MaxReports, Deadline: time.Unix(p.NotAfter, 0).UTC()}
}

// bounds are those that the flags ask for, and n where they ask for nothing.
func (a *app) bounds(n api.NewActivation, o activateOptions) (api.NewActivation, error) {
	if o.Quantity != 0 {
		n.Quantity = o.Quantity
	}
	if o.Percent != 0 {
		n.Percent = o.Percent
	}
	if o.PerMinute != 0 {
		n.PerMinute = o.PerMinute
	}
	switch {
	case o.For != "":
		d, err := strict.ParseDuration(o.For)
		if err != nil {
			return n, usagef("--for %q: %w", o.For, err)
		}
		n.Deadline = a.now().UTC().Add(d).Truncate(time.Second)
	case o.Deadline != "":
		t, err := time.Parse(time.RFC3339, o.Deadline)
		if err != nil {
			return n, usagef("--deadline %q is not a time like 2026-11-30T12:00:00Z", o.Deadline)
		}
		n.Deadline = t.UTC()
	}
	return n, nil
}

func newHookPauseCommand(a *app) *cobra.Command {
	return a.sayWhy("pause", "Stop a version until it is activated again", "reason",
		func(ctx context.Context, cl *client.Client, digest, reason string) (api.Version, error) {
			return cl.Pause(ctx, digest, api.Stop{Reason: reason})
		})
}

func newHookDisableCommand(a *app) *cobra.Command {
	return a.sayWhy("disable", "Stop a version at once", "reason",
		func(ctx context.Context, cl *client.Client, digest, reason string) (api.Version, error) {
			return cl.Disable(ctx, digest, api.Stop{Reason: reason})
		})
}

// sayWhy is a command that does something to a version and must say why, in
// the flag of that name.
func (a *app) sayWhy(name, short, flag string, do func(ctx context.Context, cl *client.Client, digest, why string) (api.Version, error)) *cobra.Command {
	var why string
	c := &cobra.Command{
		Use:   name + " HOOK@NUMBER|DIGEST --" + flag + " TEXT",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: a.changes(func(ctx context.Context, cl *client.Client, ref string) (api.Version, error) {
			digest, err := a.resolveDigest(ctx, cl, ref)
			if err != nil {
				return api.Version{}, err
			}
			return do(ctx, cl, digest, why)
		}),
	}
	c.Flags().StringVar(&why, flag, "", "why")
	_ = c.MarkFlagRequired(flag)
	return c
}
