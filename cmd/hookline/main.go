// Command hookline is what authors, reviewers and operators use: it makes
// keys and policies, tries hooks in the sandbox, signs on the machine of the
// person who signs, and asks the server.
//
// Exit codes: 0 well, 1 refused or failed, 2 wrong usage, 3 not found, 4 not
// allowed, 5 unavailable.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"hookline/internal/cli"
)

// version is set by the linker.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program over explicit streams and environment.
func run(ctx context.Context, args []string, env func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) int {
	a := newApp(env, stdin, stdout, stderr)
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if c, err := root.ExecuteContextC(ctx); err != nil {
		cli.ShowFailure(stderr, c, err, hintOf)
		return cli.ExitCode(err)
	}
	return cli.ExitOK
}
