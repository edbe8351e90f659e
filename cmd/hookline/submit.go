package main

import (
	"context"
	"fmt"
	"path/filepath"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"

	"github.com/spf13/cobra"
)

// submitOptions are the flags of hook submit.
type submitOptions struct {
	Key            string
	PassphraseFile string
	Policy         string
	Statement      string // files, of an author who signed elsewhere
	Signature      string
	NoLint         bool
	Number         int64
}

func newHookSubmitCommand(a *app) *cobra.Command {
	o := submitOptions{}
	c := &cobra.Command{
		Use:   "submit [DIR] --key KEY",
		Short: "Sign the hook with your key and upload it for review",
		Long: `Builds the statement (the digest of hook.lua and every limit), shows it and what changed
since the last approved version, signs it on this machine and uploads it. The version
number is the next one of the hook: the server tells the newest, and its author's
signature must prove it.

Who signs with another tool gives the files: --statement as hook statement wrote it, and
--signature over its very bytes.`,
		Example: `  hookline hook submit ./extra --key alice.key
  hookline hook submit ./extra --statement statement.json --signature alice.sigstore.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := readFolder(args)
			if err != nil {
				return err
			}
			v, err := a.submit(c, f, o)
			if err != nil {
				return err
			}
			return a.show(v, func() {
				a.section("submitted")
				a.pairs(
					[2]string{"version", fmt.Sprintf("%s@%d", v.Hook, v.Number)}, [2]string{"digest", v.Digest},
					[2]string{"state", v.State}, [2]string{"approvals", fmt.Sprintf("%d of %d", v.Approvals, v.Needed)},
				)
			})
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.Key, "key", "", keyUse)
	fl.StringVar(&o.PassphraseFile, "passphrase-file", "", passphraseFileUse)
	fl.StringVar(&o.Policy, "policy", "", "policy file to trust instead of the server's word")
	fl.StringVar(&o.Statement, "statement", "", "statement that was signed elsewhere, see hook statement")
	fl.StringVar(&o.Signature, "signature", "", "the author's signature file over it")
	fl.BoolVar(&o.NoLint, "no-lint", false, "do not lint first; the server refuses errors all the same")
	fl.Int64Var(&o.Number, "number", 0, "sign this version number instead of the next one that the server can prove")
	c.MarkFlagsOneRequired("key", "signature")
	c.MarkFlagsMutuallyExclusive("key", "signature")
	c.MarkFlagsMutuallyExclusive("number", "statement")
	c.MarkFlagsRequiredTogether("statement", "signature")
	return c
}

func (a *app) submit(c *cobra.Command, f folder, o submitOptions) (api.Version, error) {
	var none api.Version
	if !o.NoLint {
		findings, err := a.lint(c, f)
		if err != nil {
			return none, err
		}
		// Warnings too: the reviewers will see them.
		a.toRead().findingLines(f.file(hooks.ManifestName), f.file(hooks.ScriptName), findings)
		if hasErrors(findings) {
			return none, errs.New(errs.CodeBadScript, "cannot submit: lint found errors")
		}
	}
	cl, err := a.client()
	if err != nil {
		return none, err
	}
	rules, err := a.rules(c.Context(), cl, o.Policy)
	if err != nil {
		return none, err
	}
	signed := a.signHere
	if o.Signature != "" {
		signed = a.signedElsewhere
	}
	statement, file, err := signed(c.Context(), cl, rules, f, o)
	if err != nil {
		return none, err
	}
	// What the server and every peer would refuse is refused before it leaves.
	st, _, err := rules.Examine(f.script, statement, [][]byte{file})
	if err != nil {
		return none, err
	}
	v, err := cl.Submit(c.Context(), api.NewVersion{Manifest: f.yaml, Script: f.script, Statement: statement, Signature: file})
	if errs.Is(err, errs.CodeVersionTaken) && o.Number == 0 {
		return none, errs.Wrap(errs.CodeVersionTaken, err, "cannot submit %s@%d: somebody took the number just now", st.Predicate.Hook, st.Predicate.Version).
			WithHint("look at that version, then submit again: the command takes the next number")
	}
	return v, err
}

// signHere builds the statement, shows it and signs it.
func (a *app) signHere(ctx context.Context, cl *client.Client, rules signing.Rules, f folder, o submitOptions) (statement, file []byte, err error) {
	key, err := a.openSigner(o.Key, o.PassphraseFile)
	if err != nil {
		return nil, nil, err
	}
	st, statement, err := a.draft(ctx, cl, rules, f, key.Public().ID, o.Number)
	if err != nil {
		return nil, nil, err
	}
	if err := a.toSubmit(ctx, cl, rules, st, statement, f.script); err != nil {
		return nil, nil, err
	}
	file, err = key.Sign(statement)
	return statement, file, err
}

// signedElsewhere reads what the author signed with another tool.
func (a *app) signedElsewhere(ctx context.Context, cl *client.Client, rules signing.Rules, f folder, o submitOptions) (statement, file []byte, err error) {
	if statement, err = readFile(o.Statement, hooks.MaxStatementBytes); err != nil {
		return nil, nil, err
	}
	if file, err = readFile(o.Signature, signing.MaxSignatureFileBytes); err != nil {
		return nil, nil, err
	}
	st, err := hooks.ParseStatement(statement)
	if err != nil {
		return nil, nil, err
	}
	return statement, file, a.toSubmit(ctx, cl, rules, st, statement, f.script)
}

// toSubmit shows what an author's signature covers, and what changed.
func (a *app) toSubmit(ctx context.Context, cl *client.Client, rules signing.Rules, st hooks.Statement, statement, script []byte) error {
	a.aboutToSign(st, hooks.Digest(statement))
	b, err := a.lastApproved(ctx, cl, rules, st.Predicate.Hook, st.Predicate.Version)
	if err != nil {
		return err
	}
	view := a.toRead()
	if !view.difference(b, st, script) {
		view.section(fmt.Sprintf("script, %d bytes", len(script)))
		view.script(script)
	}
	return nil
}

// nextNumber is the number to sign. A number too high for good keeps every
// later version from the peers that ran it, so the server's word for the
// newest is not enough: its author must have signed it. A person who knows
// better gives the number.
func (a *app) nextNumber(ctx context.Context, c *client.Client, rules signing.Rules, hook string, given int64) (int64, error) {
	if given != 0 {
		return given, nil
	}
	latest, err := latestNumber(ctx, c, hook)
	if err != nil || latest == 0 {
		return 1, err
	}
	f, err := a.fetch(ctx, c, fmt.Sprintf("%s@%d", hook, latest))
	if err == nil {
		_, _, err = numbering(rules).Examine(f.version.Script, f.version.Statement, f.version.Signatures)
	}
	if errs.Is(err, errs.CodeUnavailable) {
		return 0, err
	}
	if err != nil {
		return 0, errs.Wrap(errs.CodeOf(err), err, "cannot submit: the server says that %s@%d is the newest version, and does not prove it", hook, latest).
			WithHint("if you know the next number (the policy may have changed since), give it: --number N")
	}
	return latest + 1, nil
}

// numbering are rules under which a revoked version still has had its number.
// What a revoked key signed proves none: it may be a thief's.
func numbering(rules signing.Rules) signing.Rules {
	var kept []signing.Revocation
	for _, r := range rules.Revoked.List() {
		if r.Kind == signing.RevokeKey || r.Kind == signing.RevokeApproval {
			kept = append(kept, r)
		}
	}
	rules.Revoked = signing.NewRevocations(kept...)
	return rules
}

// rules are what this machine holds versions against, now: the newest policy
// and revocations that lead from the root that login remembered. All commands
// that sign or verify get them here. policyFile is the flag's value: a policy
// that the person has in hand, and the deployment's has to be.
func (a *app) rules(ctx context.Context, c *client.Client, policyFile string) (signing.Rules, error) {
	t, err := a.trustedAs(ctx, c, policyFile)
	if err != nil {
		return signing.Rules{}, err
	}
	now := a.now()
	return t.Rules(t.Floor(now), now), nil
}

// trustedAs is trusted, whose policy has to be that of the file, if any.
func (a *app) trustedAs(ctx context.Context, c *client.Client, policyFile string) (*trust.Trusted, error) {
	t, err := a.trusted(ctx)
	if err != nil || policyFile == "" {
		return t, err
	}
	mine, err := readPolicy(policyFile)
	if err != nil {
		return nil, err
	}
	if got := t.Policy().Digest; got != mine.Digest {
		return nil, errs.New(errs.CodePolicyDigest, "cannot trust the policy of %s: its digest is %s, that of %s is %s", c.Server(), got, filepath.Base(policyFile), mine.Digest).
			WithHint("compare them: hookline policy show")
	}
	return t, nil
}

// latestNumber is 0 where the hook has no version yet.
func latestNumber(ctx context.Context, c *client.Client, hook string) (int64, error) {
	page, err := c.VersionsOf(ctx, hook, 0, 1)
	if errs.Is(err, errs.CodeNotFound) || err == nil && len(page.Items) == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if n := page.Items[0].Number; n > 0 {
		return n, nil
	}
	return 0, endless()
}
