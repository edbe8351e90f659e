package main

import (
	"io"
	"time"

	"hookline/internal/cli"
	"hookline/internal/client"
	"hookline/internal/errs"

	"github.com/spf13/cobra"
)

// app is what every command works with; nothing else of the process is used.
type app struct {
	in        io.Reader
	out       io.Writer // results only
	err       io.Writer // questions, progress, errors
	env       func(string) (string, bool)
	now       func() time.Time
	output    string // table, json or yaml
	server    string // flag; see settings
	tokenFile string // flag
	allowHTTP bool   // flag
}

func newApp(env func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) *app {
	return &app{in: stdin, out: stdout, err: stderr, env: env, now: time.Now, output: outputTable}
}

// getenv is the variable's value, "" where it is not set.
func (a *app) getenv(name string) string {
	v, _ := a.env(name)
	return v
}

// client makes a client of the server that flags, environment or the file
// written by login name, in this order.
func (a *app) client() (*client.Client, error) {
	s, err := a.settings()
	if err != nil {
		return nil, err
	}
	if s.Server == "" {
		return nil, errs.New(errs.CodeBadInput, "cannot tell which server to ask").
			WithHint("sign in once: hookline login --server URL --token-file FILE")
	}
	if s.Token == "" {
		return nil, errs.New(errs.CodeUnauthenticated, "cannot ask %s without a token", s.Server).
			WithHint("sign in once: hookline login --server URL --token-file FILE")
	}
	return client.New(client.Config{Server: s.Server, Token: s.Token, AllowHTTP: a.allowHTTP})
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "hookline",
		Short: "Small, reviewed, signed collection scripts for machines that show a problem",
		Long: `hookline writes, tries, reviews and signs hooks, and asks the server.

Private keys stay on this machine; the server never sees one.

Exit codes: 0 well; 1 refused or failed; 2 wrong usage; 3 not found; 4 not allowed, or
not signed in; 5 unavailable: try again later.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return checkOutput(a.output)
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.server, "server", "", "URL of hooklined (HOOKLINE_SERVER)")
	flags.StringVar(&a.tokenFile, "token-file", "", "file that holds the token (or the token itself in HOOKLINE_TOKEN)")
	flags.BoolVar(&a.allowHTTP, "allow-http", false, "send the token over plain HTTP to other machines too")
	flags.StringVarP(&a.output, "output", "o", outputTable, "table, json or yaml")
	root.AddCommand(
		newLoginCommand(a), newOpenCommand(a), newTokenCommand(a), newUserCommand(a),
		newKeyCommand(a), newPolicyCommand(a), newTrustCommand(a), newRevokeCommand(a), newEnrollLineCommand(a),
		newHookCommand(a), newExplainCommand(a), newVerifyCommand(a), newReviewCommand(a),
		newJobCommand(a), newResultCommand(a), newProblemCommand(a), newPeerCommand(a),
		newAdminCommand(a), newQuickstartCommand(a), newDemoCommand(a), newVersionCommand(a),
	)
	cli.Strict(root)
	return root
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   use,
		Short: short,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q for %q", args[0], c.CommandPath())
			}
			return c.Help()
		},
	}
	c.AddCommand(commands...)
	return c
}
