package main

import (
	"context"
	"fmt"
	"time"

	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/internal/strict"
	"hookline/signing/trust/keeper"

	"github.com/spf13/cobra"
)

// trustFreshen are the flags of trust freshen.
type trustFreshen struct {
	keyOptions
	Dir     string
	Life    string
	Offline bool
}

func newTrustFreshenCommand(a *app) *cobra.Command {
	var o trustFreshen
	c := &cobra.Command{
		Use:   "freshen --dir DIR --key FILE",
		Short: "Sign that this is the newest, and put what is fully signed in force",
		Long: `Signs snapshot and timestamp anew, for seven days: without it machines stop running
hooks when the old ones expire. What is staged and fully signed comes in force. It can
change nothing else, so the key may be that of a timer; never keep it on the server.

Where a server is known (login, --server) its metadata is fetched first, verified, and
what others have revoked or published since is taken along; afterwards it gets the result.`,
		Example: `  hookline trust freshen --dir offline --key alice.key
  HOOKLINE_PASSPHRASE=... hookline trust freshen --dir offline --key cron.key --yes`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.freshen(c.Context(), o)
		},
	}
	dirFlag(c, &o.Dir)
	c.Flags().StringVar(&o.Life, "life", strict.FormatDuration(keeper.FreshLife), "how long machines go on without the next one, at most 14d")
	c.Flags().BoolVar(&o.Offline, "offline", false, "ask and tell no server")
	o.flags(c)
	_ = c.MarkFlagRequired("key")
	return c
}

func (a *app) freshen(ctx context.Context, o trustFreshen) error {
	life, err := strict.ParseDuration(o.Life)
	if err != nil {
		return usagef("--life %q: %w", o.Life, err)
	}
	if len(o.Keys) != 1 {
		return usagef("it takes one --key")
	}
	k, err := a.keeper(o.Dir)
	if err != nil {
		return err
	}
	cl, err := a.serverFor(o.Offline)
	if err != nil {
		return err
	}
	if cl != nil {
		if err := a.takeFrom(ctx, cl, k); err != nil {
			return err
		}
	}
	a.toRead().toFreshen(k, a.now().Add(life))
	if !o.Yes {
		if err := a.confirm("Do you sign that?"); err != nil {
			return err
		}
	}
	key, err := a.openSigner(o.Keys[0], o.PassphraseFile)
	if err != nil {
		return err
	}
	if _, err := k.Freshen(key, life); err != nil {
		return err
	}
	if cl != nil {
		if _, err := publish(ctx, cl, k); err != nil {
			return err
		}
	}
	v, err := a.viewTrust(k, o.Dir, nil)
	if err != nil {
		return err
	}
	return a.show(v, func() {
		fmt.Fprintf(a.out, "fresh until %s\n", clock(a.now().Add(life)))
		if cl != nil {
			fmt.Fprintf(a.out, "published to %s\n", safe(cl.Server()))
		}
		for _, s := range v.Staged {
			a.missing(s)
		}
	})
}

// toFreshen tells what the signature means.
func (a *app) toFreshen(k *keeper.Keeper, until time.Time) {
	fmt.Fprintf(a.out, "you sign that this is the newest, until %s:\n", clock(until))
	if t := k.Trusted(); t != nil {
		for _, r := range t.Roles() {
			if r.Name == roleRoot || r.Name == roleTargets {
				fmt.Fprintf(a.out, "  %s version %d\n", r.Name, r.Version)
			}
		}
		fmt.Fprintf(a.out, "  revocations version %d, %d revoked\n", t.RevocationsVersion(), t.Revoked().Len())
	}
	if k.Ready() {
		fmt.Fprintln(a.out, "and this comes in force, which is fully signed:")
		a.toSign(k.Staged())
	}
}

// serverFor is the server that flags, environment or login name; nil where
// none does, or the person wants none.
func (a *app) serverFor(offline bool) (*client.Client, error) {
	if offline {
		return nil, nil
	}
	s, err := a.settings()
	if err != nil || s.Server == "" {
		return nil, err
	}
	return a.client()
}

// takeFrom takes what others published or revoked. The server is not believed.
func (a *app) takeFrom(ctx context.Context, cl *client.Client, k *keeper.Keeper) error {
	if k.Trusted() == nil {
		return nil // nothing could be verified against
	}
	b, err := fetchTrust(ctx, cl)
	if errs.Is(err, errs.CodeUnavailable) {
		return errs.Wrap(errs.CodeUnavailable, err, "cannot ask for what others revoked").
			WithHint("without the server, and without what was revoked meanwhile: --offline")
	}
	if err != nil {
		return err
	}
	news, err := k.Take(b)
	if errs.Is(err, errs.CodeTrustRollback) {
		fmt.Fprintln(a.err, "note: the server has older metadata than this folder")
		err = nil
	}
	if news {
		fmt.Fprintf(a.err, "took newer metadata from %s\n", safe(cl.Server()))
	}
	return err
}

// takeIfThere is takeFrom where a server is known and answers: people also sign
// on machines without a network, and what is revoked reaches others anyway.
func (a *app) takeIfThere(ctx context.Context, k *keeper.Keeper) error {
	cl, err := a.serverFor(false)
	if err != nil || cl == nil {
		return err
	}
	err = a.takeFrom(ctx, cl, k)
	if errs.Is(err, errs.CodeUnavailable) {
		fmt.Fprintf(a.err, "note: %s\n", safe(err.Error()))
		return nil
	}
	return err
}

func publish(ctx context.Context, cl *client.Client, k *keeper.Keeper) (api.TrustChange, error) {
	b, err := k.Bundle()
	if err != nil {
		return api.TrustChange{}, err
	}
	encoded, err := b.Encode()
	if err != nil {
		return api.TrustChange{}, errs.Wrap(errs.CodeInternal, err, "cannot encode the trust metadata")
	}
	return cl.PutTrust(ctx, encoded)
}

func newTrustPublishCommand(a *app) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "publish --dir DIR",
		Short: "Bring what is in force to the server, which pushes it to the machines",
		Long: `Sends trust.json to the server. It needs the role operator or admin there, and no key:
the signatures in it decide. A server takes nothing older than it has.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keeper(dir)
			if err != nil {
				return err
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			change, err := publish(c.Context(), cl, k)
			if err != nil {
				return err
			}
			return a.show(change, func() {
				text := "published to"
				if !change.Changed {
					text = "nothing new for"
				}
				fmt.Fprintf(a.out, "%s %s\n", text, safe(cl.Server()))
				a.pairs([2]string{"root", change.RootDigest}, [2]string{"policy", change.PolicyDigest}, [2]string{"revocations", fmt.Sprint(change.Revocations)})
			})
		},
	}
	dirFlag(c, &dir)
	return c
}
