package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/signing"

	"github.com/spf13/cobra"
)

// submitOptions are the flags of hook submit.
type submitOptions struct {
	Key            string
	PassphraseFile string
	Policy         string
	NoLint         bool
	Number         int64
}

func newHookSubmitCommand(a *app) *cobra.Command {
	o := submitOptions{}
	c := &cobra.Command{
		Use:   "submit [DIR] --key KEY",
		Short: "Sign the hook with your key and upload it for review",
		Long: `Builds the statement (the digest of hook.lua and every limit), shows it, signs it on
this machine and uploads it. The version number is the next one of the hook: the
server tells the newest, and its author's signature must prove it.`,
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
	fl.BoolVar(&o.NoLint, "no-lint", false, "do not lint first; the server refuses errors all the same")
	fl.Int64Var(&o.Number, "number", 0, "sign this version number instead of the next one that the server can prove")
	_ = c.MarkFlagRequired("key")
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
	policy, err := a.policyOf(c.Context(), cl, o.Policy)
	if err != nil {
		return none, err
	}
	key, err := a.openSigner(o.Key, o.PassphraseFile)
	if err != nil {
		return none, err
	}
	number, err := a.nextNumber(c.Context(), cl, policy, f.manifest.Hook, o.Number)
	if err != nil {
		return none, err
	}
	st, err := f.manifest.Statement(hooks.Binding{
		Deployment: policy.Deployment, Author: string(key.Public().ID), Version: number, Now: a.now(),
	}, f.script)
	if err != nil {
		return none, err
	}
	statement, err := st.Canonical()
	if err != nil {
		return none, err
	}
	a.aboutToSign(st, hooks.Digest(statement))
	file, err := key.Sign(statement)
	if err != nil {
		return none, err
	}
	// What the server and every peer would refuse is refused before it leaves.
	if _, _, err := (signing.Rules{Policy: policy, Now: time.Now()}).Examine(f.script, statement, [][]byte{file}); err != nil {
		return none, err
	}
	v, err := cl.Submit(c.Context(), api.NewVersion{Manifest: f.yaml, Script: f.script, Statement: statement, Signature: file})
	if errs.Is(err, errs.CodeVersionTaken) && o.Number == 0 {
		return none, errs.Wrap(errs.CodeVersionTaken, err, "cannot submit %s@%d: somebody took the number just now", f.manifest.Hook, number).
			WithHint("look at that version, then submit again: the command takes the next number")
	}
	return v, err
}

// nextNumber is the number to sign. A number too high for good keeps every
// later version from the peers that ran it, so the server's word for the
// newest is not enough: its author must have signed it. A person who knows
// better gives the number.
func (a *app) nextNumber(ctx context.Context, c *client.Client, p *signing.Policy, hook string, given int64) (int64, error) {
	if given != 0 {
		return given, nil
	}
	latest, err := latestNumber(ctx, c, hook)
	if err != nil || latest == 0 {
		return 1, err
	}
	f, err := a.fetch(ctx, c, fmt.Sprintf("%s@%d", hook, latest))
	if err == nil {
		_, _, err = (signing.Rules{Policy: p, Now: time.Now()}).Examine(f.version.Script, f.version.Statement, f.version.Signatures)
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

// policyOf is the policy to sign under. A file given by the person wins; the
// server's own is taken if it is still the one that was seen at login. Where
// neither is there (a server from the environment) the person is told. A
// server of another deployment than at login gets nothing, whatever it shows.
func (a *app) policyOf(ctx context.Context, c *client.Client, file string) (*signing.Policy, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	p, err := policyIn(info)
	if err != nil {
		return nil, err
	}
	saved, err := a.settings()
	if err != nil {
		return nil, err
	}
	if saved.Deployment != "" && saved.Deployment != p.Deployment {
		return nil, errs.New(errs.CodeWrongDeployment, "cannot sign for this server: it is of deployment %s, at login it was %s", p.Deployment, saved.Deployment).
			WithHint("if it was set up anew on purpose, sign in again: hookline login")
	}
	want, from := "", "the signed one"
	if saved.RootDigest != "" {
		t, err := a.trusted(ctx)
		if err != nil {
			return nil, err
		}
		want = t.Policy().Digest
	}
	if file != "" {
		mine, err := readPolicy(file)
		if err != nil {
			return nil, err
		}
		want, from = mine.Digest, filepath.Base(file)
	}
	if want == "" {
		fmt.Fprintf(a.err, "warning: policy %s is the word of %s alone; pin it with --policy FILE, or with hookline login\n", short(p.Digest), safe(c.Server()))
	}
	if want != "" && want != p.Digest {
		return nil, errs.New(errs.CodePolicyDigest, "cannot trust the server's policy: its digest is %s, that of %s is %s", p.Digest, from, want).
			WithHint("if the policy was changed on purpose, sign in again: hookline login")
	}
	return p, nil
}

// policyIn reads the policy that a server shows, and refuses a server that
// says something else beside it.
func policyIn(info api.Info) (*signing.Policy, error) {
	p, err := signing.ParsePolicy(info.Policy)
	if err != nil {
		return nil, err
	}
	if info.Deployment != p.Deployment {
		return nil, errs.New(errs.CodeWrongDeployment, "cannot trust the server: it says deployment %s, its policy is of %s", info.Deployment, p.Deployment)
	}
	if info.PolicyDigest != p.Digest {
		return nil, errs.New(errs.CodePolicyDigest, "cannot trust the server: it says that its policy has digest %s, it has %s", info.PolicyDigest, p.Digest)
	}
	return p, nil
}
