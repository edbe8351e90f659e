package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hookline/internal/demo"
	"hookline/internal/errs"
	"hookline/internal/onebox"
)

func newDemoCommand(a *app) *cobra.Command {
	var stay bool
	var store string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job on this machine: crash, hook, review, result, refusals",
		Long: `demo starts a server and a peer on loopback, crashes a real program, and takes a
hook all the way: signed, reviewed, verified by the peer, run, its new fields
beside the report. Then it revokes the hook, puts a thief in the server's place,
and shows what the peer's own record says of each attempt. Nothing of it stays.

With --store mongodb://… the server keeps everything in a MongoDB database,
which must be empty; the demo clears it at its end.`,
		RunE: func(c *cobra.Command, _ []string) error {
			bin, err := binaries()
			if err != nil {
				return err
			}
			if err := checkStore(store); err != nil {
				return err
			}
			err = demo.Run(c.Context(), demo.Options{Out: a.out, Bin: bin, Color: a.colored(), Stay: stay, Store: store})
			if err != nil {
				return errs.Wrap(errs.CodeInternal, err, "demo: FAIL")
			}
			return nil
		},
	}
	c.Flags().BoolVar(&stay, "stay", false, "keep everything up after the verdict and print the page's address")
	c.Flags().StringVar(&store, "store", "", "address of an empty MongoDB database, mongodb://… (default: the embedded store)")
	return c
}

// checkStore refuses what is no address of a database server: paths belong to
// hooklined, these commands have a folder of their own.
func checkStore(address string) error {
	if address == "" || strings.HasPrefix(address, "mongodb://") || strings.HasPrefix(address, "mongodb+srv://") {
		return nil
	}
	return errs.New(errs.CodeBadInput, "it is no address of a MongoDB database").At("--store").
		WithHint("give mongodb://user:password@host/database, or leave it out for the embedded store")
}

// binaries is the folder of this program, where its siblings are.
func binaries() (onebox.Binaries, error) {
	self, err := os.Executable()
	if err != nil {
		return "", errs.Wrap(errs.CodeInternal, err, "cannot find the folder of the binaries")
	}
	return onebox.Binaries(filepath.Dir(self)), nil
}

// colored reports whether the output is a terminal that wants colours.
func (a *app) colored() bool {
	f, ok := a.out.(*os.File)
	_, no := a.env("NO_COLOR")
	return ok && !no && term.IsTerminal(int(f.Fd()))
}
