package main

import (
	"context"
	"fmt"
	"slices"

	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/signing"

	"github.com/spf13/cobra"
)

func newHookAttachCommand(a *app) *cobra.Command {
	var policyFile, comment string
	c := &cobra.Command{
		Use:   "attach HOOK@NUMBER|DIGEST FILE",
		Short: "Upload a reviewer's signature file that was made elsewhere",
		Long: `Takes a sigstore bundle that a reviewer made with another tool, over the bytes that
hook statement writes. It is verified on this machine first. The server keeps who
uploaded it, which need not be who signed.`,
		Example: "  hookline hook attach extra@3 bob.sigstore.json",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			run := a.changes(func(ctx context.Context, cl *client.Client, ref string) (api.Version, error) {
				return a.attach(ctx, cl, ref, args[1], policyFile, comment)
			})
			return run(c, args)
		},
	}
	c.Flags().StringVar(&policyFile, "policy", "", "policy file to trust instead of the server's word")
	c.Flags().StringVar(&comment, "comment", "", "a word to the author")
	return c
}

func (a *app) attach(ctx context.Context, cl *client.Client, ref, path, policyFile, comment string) (api.Version, error) {
	var none api.Version
	file, err := readFile(path, signing.MaxSignatureFileBytes)
	if err != nil {
		return none, err
	}
	signature, err := signing.ParseFile(file)
	if err != nil {
		return none, err
	}
	f, err := a.fetch(ctx, cl, ref)
	if err != nil {
		return none, err
	}
	rules, err := a.rules(ctx, cl, policyFile)
	if err != nil {
		return none, err
	}
	person, err := counts(rules, f, file, signature.Hint)
	if err != nil {
		return none, err
	}
	p := f.statement.Predicate
	fmt.Fprintf(a.err, "signature of %s (key %s) for %s@%d: it holds\n", safe(person), signature.Hint.Short(), safe(p.Hook), p.Version)
	return cl.Review(ctx, f.digest, api.NewReview{Verdict: "approve", Comment: comment, Signature: file})
}

// counts says whom a signature file adds to a version's reviewers, and why it
// adds nobody.
func counts(rules signing.Rules, f fetched, file []byte, id signing.KeyID) (string, error) {
	_, before, err := rules.Examine(f.version.Script, f.version.Statement, f.version.Signatures)
	if err != nil {
		return "", err
	}
	if err := mayReview(rules.Policy, id, f); err != nil {
		return "", err
	}
	_, after, err := rules.Examine(f.version.Script, f.version.Statement, append(slices.Clone(f.version.Signatures), file))
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(after.Void, func(v signing.Void) bool { return v.KeyID == id }); i >= 0 {
		v := after.Void[i]
		return "", errs.New(v.Code, "the signature of %s does not count: %s", v.Person, v.Reason).
			WithHint("sign with a key that counts: hookline policy show; what was revoked stays so")
	}
	person, _ := rules.Policy.Person(id)
	signed := func(s signing.Signer) bool { return s.Person == person.Name }
	if slices.ContainsFunc(before.Reviewers, signed) || !slices.ContainsFunc(after.Reviewers, signed) {
		err := errs.New(errs.CodeConflict, "%s has signed this version already", person.Name)
		if before.Met() {
			return "", err.WithHint("it has all the approvals that it needs; an operator activates it: hookline hook activate")
		}
		return "", err.WithHint("one more reviewer is needed, not one more signature")
	}
	return person.Name, nil
}
