// Command hookline-peer takes part in a Hookline deployment: it enrols this
// machine, runs its guard and network side, files problem reports, and tells
// the machine's owner what ran here and what left.
//
//	hookline-peer enroll LINE
//	hookline-peer allow --send-reports=yes --hooks=ask
//	hookline-peer run
//	hookline-peer exec -- CMD…
//	hookline-peer log
//
// Exit codes: 0 well, 1 refused or failed, 2 wrong usage, 3 not found, 4 not
// allowed, 5 unavailable; exec ends with the code of the command that it ran.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"hookline/internal/cli"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "devel"

func main() {
	os.Exit(run(context.Background(), os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// streams are the program's own.
type streams struct {
	in, out, err *os.File
}

// app is what all commands share.
type app struct {
	streams
	state string // --state
	now   func() time.Time
	code  int // of a command that exec ran, 0 where none did
}

func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s, now: time.Now}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil {
		cli.ShowFailure(s.err, cmd, err, cli.Hint)
	}
	if a.code != 0 {
		return a.code // the command's own
	}
	return cli.ExitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "hookline-peer",
		Short:         "Take part in a Hookline deployment: report problems, run signed hooks, see what left",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.PersistentFlags().StringVar(&a.state, "state", defaultState(), "folder of the peer's state ("+stateVariable+")")
	root.AddCommand(
		a.enrollCommand(), a.runCommand(), a.networkCommand(), a.execCommand(), a.reportCommand(),
		a.pendingCommand(), a.answerCommand("allow-once"), a.answerCommand("deny"), a.allowCommand(),
		a.logCommand(), a.explainCommand(), a.statusCommand(), a.doctorCommand(), a.resetCommand(), a.versionCommand(),
	)
	cli.Strict(root)
	return root
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { fmt.Fprintln(a.out, "hookline-peer", version) },
	}
}

// complain prints an error for people: what, the code to look up, and what to do.
func (a *app) complain(err error) { cli.ShowError(a.err, err, cli.Hint) }

// printable keeps terminal controls out of what is shown: names, reasons and
// fields come from other machines.
func printable(s string) string { return cli.SafeLines(s) }
