// Command hooklined is the Hookline server: peers connect to it over gRPC
// with mutual TLS, people over REST and in their browsers.
//
//	hooklined ca --data DIR --policy policy.yaml
//	hooklined serve --data DIR --trust offline/trust.json --setup-keys setup-keys.txt
//	hooklined export --data DIR --out FILE
//	hooklined import --store mongodb://… --in FILE
//
// It holds no key with which anybody could make a peer run code.
//
// Exit codes: 0 well, 1 refused or failed, 2 wrong usage, 3 not found, 4 not
// allowed, 5 unavailable.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hookline/internal/cli"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil {
		cli.ShowFailure(os.Stderr, cmd, err, cli.Hint)
	}
	return cli.ExitCode(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "hooklined",
		Short:         "The Hookline server",
		Long:          "The Hookline server. Every flag can be given in the environment too:\n--setup-keys is HOOKLINE_SETUP_KEYS. A flag wins over the environment.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(), newCA(), newExport(), newImport(), newVersion())
	cli.Strict(root)
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "hooklined", version)
			return err
		},
	}
}
