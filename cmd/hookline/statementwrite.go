package main

import (
	"context"
	"fmt"
	"os"

	"hookline/hooks"
	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/signing"

	"github.com/spf13/cobra"
)

// statementOptions are the flags of hook statement.
type statementOptions struct {
	Out    string
	Author string
	Policy string
	Number int64
}

func newHookStatementCommand(a *app) *cobra.Command {
	var o statementOptions
	c := &cobra.Command{
		Use:   "statement DIR|HOOK@NUMBER|DIGEST [--out FILE]",
		Short: "Write the exact bytes that people sign, for signing elsewhere",
		Long: `Writes the statement of a hook's folder, as its next version, or of a version that the
server has. Sign the file as it is, every byte counts:

  cosign attest-blob --key alice.key --statement statement.json --bundle alice.sigstore.json …

The author's signature goes with hook submit --statement FILE --signature FILE, a
reviewer's with hook attach DIGEST FILE. The times in a new statement count from now.`,
		Example: `  hookline hook statement ./extra --author alice.pub --out statement.json
  hookline hook statement extra@3 --out statement.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.writeStatement(c.Context(), args[0], o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Out, "out", "", "file to write; must not exist (default: standard output)")
	f.StringVar(&o.Author, "author", "", "for a folder: the author's public key, a FILE.pub or agent:KEY")
	f.StringVar(&o.Policy, "policy", "", "policy file to trust instead of the server's word")
	f.Int64Var(&o.Number, "number", 0, "for a folder: this version number instead of the next one that the server can prove")
	return c
}

func (a *app) writeStatement(ctx context.Context, ref string, o statementOptions) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var st hooks.Statement
	var statement []byte
	if info, statErr := os.Stat(ref); statErr == nil && info.IsDir() {
		st, statement, err = a.draftOfFolder(ctx, cl, ref, o)
	} else {
		var f fetched
		f, err = a.fetch(ctx, cl, ref)
		st, statement = f.statement, f.version.Statement
	}
	if err != nil {
		return err
	}
	// What goes to standard output is the statement alone: a person reads here.
	view := *a
	view.out = a.err
	fmt.Fprintln(view.out, "whoever signs the file signs this statement:")
	view.statement(st, hooks.Digest(statement))
	if o.Out == "" {
		if _, err := a.out.Write(statement); err != nil {
			return errs.Wrap(errs.CodeInternal, err, "cannot write the statement")
		}
		return nil
	}
	return writeNew(o.Out, statement, 0o644)
}

func (a *app) draftOfFolder(ctx context.Context, cl *client.Client, dir string, o statementOptions) (hooks.Statement, []byte, error) {
	var none hooks.Statement
	if o.Author == "" {
		return none, nil, usagef("it needs --author: the statement of a new version names its author's key")
	}
	f, err := readFolder([]string{dir})
	if err != nil {
		return none, nil, err
	}
	author, err := a.readPublic(o.Author, "")
	if err != nil {
		return none, nil, err
	}
	rules, err := a.rules(ctx, cl, o.Policy)
	if err != nil {
		return none, nil, err
	}
	return a.draft(ctx, cl, rules, f, author.ID, o.Number)
}

// draft makes the statement of a folder's next version, or of the version
// with the given number where it is not 0.
func (a *app) draft(ctx context.Context, cl *client.Client, rules signing.Rules, f folder, author signing.KeyID, number int64) (hooks.Statement, []byte, error) {
	number, err := a.nextNumber(ctx, cl, rules, f.manifest.Hook, number)
	if err != nil {
		return hooks.Statement{}, nil, err
	}
	st, err := f.manifest.Statement(hooks.Binding{
		Deployment: rules.Policy.Deployment, Author: string(author), Version: number, Now: a.now(),
	}, f.script)
	if err != nil {
		return hooks.Statement{}, nil, err
	}
	statement, err := st.Canonical()
	return st, statement, err
}
