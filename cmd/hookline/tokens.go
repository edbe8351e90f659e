package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
)

// tokenOptions are the flags of token create.
type tokenOptions struct {
	api.NewToken
	Out string
}

func newTokenCommand(a *app) *cobra.Command {
	o := tokenOptions{}
	c := &cobra.Command{
		Use:   "create --user NAME [--role ROLE ...]",
		Short: "Make a token, and its user where there is none; it is shown once",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return a.createToken(c, o) },
	}
	f := c.Flags()
	f.StringVar(&o.User, "user", "", "whose token")
	f.StringSliceVar(&o.Roles, "role", nil, "roles of a new user: admin, author, reviewer, operator, viewer")
	f.StringVar(&o.Name, "name", "", "what the token is for")
	f.IntVar(&o.Days, "days", 90, "how long it is good, 1 to 366")
	f.StringVar(&o.Out, "out", "", "write the token to this new file instead of showing it")
	_ = c.MarkFlagRequired("user")
	return group("token", "Tokens of the REST API", c, newTokenList(a), newTokenRevoke(a))
}

func newTokenList(a *app) *cobra.Command {
	var l client.List
	var user string
	c := query(a, "list", "List your tokens and sign-in links, newest first; an admin sees everybody's",
		func(c *cobra.Command, cl *client.Client) (api.Page[api.TokenInfo], error) {
			return cl.Tokens(c.Context(), user, l)
		},
		func(p api.Page[api.TokenInfo]) { a.tokens(p.Items); a.more(p.Next) })
	c.Flags().StringVar(&user, "user", "", "of this user only")
	pageFlags(c, &l)
	return c
}

func newTokenRevoke(a *app) *cobra.Command {
	return lookup(a, "revoke ID", "Make a token or sign-in link worthless, at once",
		func(c *cobra.Command, cl *client.Client, id string) (api.TokenInfo, error) {
			return cl.RevokeToken(c.Context(), id)
		},
		func(t api.TokenInfo) {
			fmt.Fprintf(a.out, "token %s of %s opens nothing any more\n", safe(t.ID), safe(t.User))
		})
}

func (a *app) tokens(items []api.TokenInfo) {
	rows := [][]string{{"TOKEN", "KIND", "USER", "NAME", "MADE", "GOOD UNTIL"}}
	for _, t := range items {
		rows = append(rows, []string{t.ID, t.Kind, t.User, t.Name, clock(t.CreatedAt), a.untilOf(t.ExpiresAt)})
	}
	a.list(rows, "no tokens: make one with hookline token create")
}

// untilOf says when a token ends, and whether it has.
func (a *app) untilOf(t time.Time) string {
	if !a.now().Before(t) {
		return clock(t) + " (over)"
	}
	return clock(t)
}

func (a *app) createToken(c *cobra.Command, o tokenOptions) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	// The file first: a token that could not be written would be good for
	// months, with nobody who has it.
	if o.Out != "" {
		if err := writeNew(o.Out, nil, 0o600); err != nil {
			return err
		}
	}
	t, err := cl.CreateToken(c.Context(), o.NewToken)
	if err != nil {
		if o.Out != "" {
			_ = os.Remove(o.Out) // empty; the server's refusal is what matters
		}
		return err
	}
	if o.Out != "" {
		if err := writePrivate(o.Out, []byte(t.Secret+"\n")); err != nil {
			return err
		}
		t.Secret = ""
	}
	return a.show(t, func() {
		if t.Secret != "" {
			fmt.Fprintln(a.out, safe(t.Secret))
		}
		fmt.Fprintf(a.err, "token %s of %s, good until %s\n", safe(t.ID), safe(t.User), clock(t.ExpiresAt))
	})
}

func newOpenCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "open [PAGE]",
		Short:   "Print a link that signs a browser in, once, and leads to a page",
		Example: "  hookline open\n  hookline open /jobs/latest\n  hookline open /jobs/01890a5d-ac96-774b-bcce-b302099a8057",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			page := ""
			if len(args) > 0 {
				if page, err = pageToOpen(c.Context(), cl, args[0]); err != nil {
					return err
				}
			}
			link, err := cl.CreateLoginLink(c.Context())
			if err != nil {
				return err
			}
			if !strings.HasPrefix(link.Path, "/") {
				return errs.New(errs.CodeInternal, "cannot use the link that the server gave: it is not a path")
			}
			address := cl.Server() + link.Path
			if page != "" {
				address += "?next=" + url.QueryEscape(page)
			}
			view := struct {
				URL       string `json:"url"`
				ExpiresAt string `json:"expires_at"`
			}{address, clock(link.ExpiresAt)}
			return a.show(view, func() {
				fmt.Fprintln(a.out, safe(address))
				fmt.Fprintf(a.err, "good once, until %s\n", view.ExpiresAt)
			})
		},
	}
}

// pages is every page, with the words behind ? that it may take. The server
// decides what there is.
var pages = regexp.MustCompile(`^/((problems|jobs|results|hooks|versions|reviews|peers|audit|users|tokens|account)(/[A-Za-z0-9._/-]{1,200})?)?(\?[!-~]{1,1000})?$`)

// pageToOpen is a page that the link can lead to, /jobs/latest that of the
// newest report.
func pageToOpen(ctx context.Context, cl *client.Client, page string) (string, error) {
	if page == "/jobs/"+latest {
		id, err := originalID(ctx, cl, latest)
		return "/jobs/" + id, err
	}
	if !pages.MatchString(page) {
		return "", errs.New(errs.CodeBadInput, "cannot open %q: it is no page", page).
			WithHint("pages are /problems, /jobs, /results, /hooks, /reviews, /peers, /audit, /users, /tokens, /account and those below them, such as /jobs/latest")
	}
	return page, nil
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
			}{version, runtime.Version()}
			return a.show(v, func() { fmt.Fprintf(a.out, "hookline %s (%s)\n", v.Version, v.Go) })
		},
	}
}
