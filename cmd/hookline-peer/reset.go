package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"hookline/internal/errs"
	"hookline/internal/guard"

	"github.com/spf13/cobra"
)

func (a *app) resetCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Forget how often and in which versions hooks have run here; recorded",
		Long: "Set the run counts and the highest versions back, so that what people signed can run here as if for the first time.\n" +
			"Nothing else is forgotten: not what is revoked, not the trust metadata, not the trusted time. It is for root and for\n" +
			"the user of hookline-peer, while hookline-peer run does not run, and the record says who did it.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.withoutGuard(func(g *guard.Guard) error { return a.reset(g, yes) })
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) reset(g *guard.Guard, yes bool) error {
	versions, hooks := g.Counts()
	if !yes {
		fmt.Fprintf(a.out, "This forgets the run counts of %d versions and the highest versions of %d hooks. Type yes to go on: ", versions, hooks)
		// At the end of the input there is no yes either.
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		if strings.TrimSpace(line) != "yes" {
			return errs.New(errs.CodeBadInput, "nothing was reset: the answer was not yes").WithHint("answer yes, or add --yes")
		}
	}
	versions, hooks, err := g.Reset(os.Getuid())
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "reset: the run counts of %d versions and the highest versions of %d hooks\n", versions, hooks)
	return nil
}
