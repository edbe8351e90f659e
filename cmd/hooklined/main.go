// Command hooklined is the Hookline server: peers connect to it over gRPC
// with mutual TLS, people over REST and in their browsers.
//
//	hooklined ca --data DIR --policy policy.yaml
//	hooklined serve --data DIR --policy policy.yaml --setup-keys setup-keys.txt
//
// It holds no key with which anybody could make a peer run code.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hookline/internal/errs"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "devel"

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// usageError is a wrong flag or argument.
type usageError struct{ error }

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "hooklined: %v\n", err)
	if e, ok := errs.As(err); ok {
		if e.Hint != "" {
			fmt.Fprintf(os.Stderr, "  hint: %s\n", e.Hint)
		}
		fmt.Fprintf(os.Stderr, "  code: %s\n", e.Code)
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(os.Stderr, "  try: hooklined --help")
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "hooklined",
		Short:         "The Hookline server",
		Long:          "The Hookline server. Every flag can be given in the environment too:\n--setup-keys is HOOKLINE_SETUP_KEYS. A flag wins over the environment.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(), newCA(), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "hooklined", version)
			return err
		},
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, got %q", cmd.CommandPath(), args[0])}
	}
	return nil
}
