// Command hookline-peer takes part in a Hookline deployment: it enrols this
// machine, runs its guard and network side, files problem reports, and tells
// the machine's owner what ran here and what left.
//
//	hookline-peer enroll LINE
//	hookline-peer allow --send-reports=yes --hooks=ask
//	hookline-peer run
//	hookline-peer exec -- CMD…
//	hookline-peer log
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"hookline/internal/errs"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "devel"

// Exit codes other than a command's own.
const (
	exitFailed = 1
	exitUsage  = 2
)

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
	code  int // of a command that exec ran
}

func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s, now: time.Now}
	root := a.root()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		complain(s.err, err)
		if errors.As(err, new(usageError)) {
			return exitUsage
		}
		if a.code == 0 {
			return exitFailed
		}
	}
	return a.code
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
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		a.enrollCommand(), a.runCommand(), a.networkCommand(), a.execCommand(), a.reportCommand(),
		a.pendingCommand(), a.answerCommand("allow-once"), a.answerCommand("deny"), a.allowCommand(),
		a.logCommand(), a.explainCommand(), a.statusCommand(), a.versionCommand(),
	)
	for _, c := range append(root.Commands(), root) {
		if c.Args != nil {
			check := c.Args
			c.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return usageError{err}
				}
				return nil
			}
		}
	}
	return root
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { fmt.Fprintln(a.out, "hookline-peer", version) },
	}
}

// usageError is a wrong command line.
type usageError struct{ error }

// complain prints an error for people: what, the code to look up, and what to do.
func complain(w io.Writer, err error) {
	fmt.Fprintf(w, "hookline-peer: %s\n", printable(err.Error()))
	if e, ok := errs.As(err); ok {
		if e.Hint != "" {
			fmt.Fprintf(w, "  hint: %s\n", printable(e.Hint))
		}
		fmt.Fprintf(w, "  code: %s\n", e.Code)
	}
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(w, "  try: hookline-peer --help")
	}
}

// printable keeps terminal controls out of what is shown: names, reasons and
// fields come from other machines.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028' || r == '\u2029' {
			return '\uFFFD'
		}
		return r
	}, s)
}
