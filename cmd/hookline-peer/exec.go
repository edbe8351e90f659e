package main

import (
	"context"
	"fmt"

	"hookline/hooks"
	"hookline/internal/source"

	"github.com/spf13/cobra"
)

func (a *app) execCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec -- CMD [ARG…]",
		Short: "Run a command; when it dies by a signal or a non-zero exit, file a report",
		Long: "Run a command with this terminal and these signals. When it dies by a signal or a non-zero exit, what can be\n" +
			"known from outside is filed as a problem report, if the owner lets reports be sent. The exit code is the\n" +
			"command's own, 128 + the signal's number where one ended it.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e := source.Exec{
				System: source.System{Root: "/"}, Stdin: a.in, Stdout: a.out, Stderr: a.err, Now: a.now, Filed: a.filed,
				File: func(ctx context.Context, r hooks.Report) (string, error) { return a.file(ctx, "exec", r) },
			}
			code, err := e.Run(cmd.Context(), args)
			a.code = code
			return err
		},
	}
	// Flags behind the command's name are the command's, also without --.
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// filed tells what became of the report, on standard error: standard output
// is the command's.
func (a *app) filed(id string, err error) {
	if err != nil {
		fmt.Fprintln(a.err, "hookline-peer: the command failed and no report was filed")
		a.complain(err)
		return
	}
	fmt.Fprintln(a.err, "hookline-peer: the command failed; filed report", id)
}

func (a *app) reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report FILE",
		Short: "File a problem report: a JSON object of strings, - reads standard input",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := source.ReadFile(args[0], a.in)
			if err != nil {
				return err
			}
			id, err := a.file(cmd.Context(), "report", r)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.out, id)
			return nil
		},
	}
}
