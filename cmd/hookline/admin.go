package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hookline/internal/cli"
	"hookline/internal/errs"
)

// serverProgram has the stores; this program has none of them.
const serverProgram = "hooklined"

func newAdminCommand(a *app) *cobra.Command {
	return group("admin", "Move and back up a whole store", newAdminExport(a), newAdminImport(a))
}

func newAdminExport(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "export --store ADDRESS|--data DIR --out FILE",
		Short: "Write the whole store to an archive: a backup, or to move it",
		Long: `export writes all that a store holds to one file: the same bytes, whichever kind of
store it comes from. A server may go on with a store in a file; servers of one on
MongoDB must be stopped. Who reads the archive reads all reports, and the hashes
of the tokens. It runs the hooklined beside this program.`,
		RunE: func(c *cobra.Command, _ []string) error { return a.runServer(c) },
	}
	adminFlags(c)
	c.Flags().String("out", "", "file to write; - is standard output")
	return c
}

func newAdminImport(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "import --store ADDRESS|--data DIR --in FILE",
		Short: "Bring an archive into a store",
		Long: `import checks the whole of an archive and brings it into a new store. If it is
stopped, the same command goes on where it was; until it is whole, no server
starts on the store. The archive's users, roles and tokens are let in as they
are: import only what you have kept as safe as the store. It runs the hooklined
beside this program.`,
		RunE: func(c *cobra.Command, _ []string) error { return a.runServer(c) },
	}
	adminFlags(c)
	c.Flags().String("in", "", "archive")
	c.Flags().Bool("merge", false, "into a store that has records: add those that it lacks")
	return c
}

func adminFlags(c *cobra.Command) {
	c.Flags().String("store", "", "the store: a path, or mongodb://… (HOOKLINE_STORE)")
	c.Flags().String("store-file", "", "file with that on its one line, for an address with a password (HOOKLINE_STORE_FILE)")
	c.Flags().String("data", "", "folder of the server's own files, with the embedded database (HOOKLINE_DATA)")
}

// runServer runs the command of the same name of the server's program, which
// shows all there is to see, and ends as that does.
func (a *app) runServer(c *cobra.Command) error {
	bin, err := binaries()
	if err != nil {
		return err
	}
	if err := bin.Check(serverProgram); err != nil {
		return errs.Wrap(errs.CodeNotFound, err, "cannot run %s", c.CommandPath()).
			WithHint("run it on the server's machine, where hooklined is beside hookline")
	}
	cmd := exec.CommandContext(context.WithoutCancel(c.Context()), bin.Path(serverProgram), append([]string{c.Name()}, given(c)...)...) //nolint:gosec // our own program
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.out, a.err
	if err := cmd.Start(); err != nil {
		return errs.Wrap(errs.CodeUnavailable, errs.Plain(err), "cannot start %s", bin.Path(serverProgram))
	}
	defer passOn(c.Context(), cmd.Process)()
	err = cmd.Wait()
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		return cli.Ended(e.ExitCode())
	}
	return err
}

// passOn asks a process to end when ctx does, again and again: it may not
// listen yet.
func passOn(ctx context.Context, p *os.Process) (stop func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-done:
			return
		}
		for {
			_ = p.Signal(syscall.SIGTERM)
			select {
			case <-done:
				return
			case <-time.After(time.Second):
			}
		}
	}()
	return func() { close(done) }
}

// given are the flags of a command itself as they were given.
func given(c *cobra.Command) (args []string) {
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return args
}
