package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"

	"github.com/spf13/cobra"
)

// revokeOptions are the flags of revoke.
type revokeOptions struct {
	keyOptions
	Dir    string
	Reason string
}

func newRevokeCommand(a *app) *cobra.Command {
	return group("revoke", "Revoke a hook, a version, a key or an approval, for ever",
		newRevokeKind(a, signing.RevokeHook, "hook NAME", "Revoke all versions of a hook, those to come too"),
		newRevokeKind(a, signing.RevokeVersion, "version DIGEST|HOOK@NUMBER", "Revoke one version"),
		newRevokeKind(a, signing.RevokeKey, "key ID|FILE.pub", "Revoke a key: no signature of it counts any more"),
		newRevokeKind(a, signing.RevokeApproval, "approval DIGEST|HOOK@NUMBER KEY", "Withdraw one signature under one version"))
}

func newRevokeKind(a *app, kind signing.RevocationKind, use, short string) *cobra.Command {
	var o revokeOptions
	args := 1
	if kind == signing.RevokeApproval {
		args = 2
	}
	c := &cobra.Command{
		Use:   use + " --reason TEXT --key FILE",
		Short: short,
		Long: `Signs the next version of the revocations with a revoker's key and brings it to the
server, which pushes it to the machines at once: runs are stopped, nothing of it runs
again. It cannot be taken back. The newest revocations are fetched first and verified from
the root that login remembers. With --dir they are those of an offline folder; where a
server is known too, it gets them.`,
		Args: cobra.ExactArgs(args),
		RunE: func(c *cobra.Command, args []string) error {
			return a.revoke(c.Context(), kind, args, o)
		},
	}
	c.Flags().StringVar(&o.Dir, "dir", "", "revoke in this offline folder")
	c.Flags().StringVar(&o.Reason, "reason", "", "why; everybody who meets it reads it")
	o.flags(c)
	_ = c.MarkFlagRequired("reason")
	_ = c.MarkFlagRequired("key")
	return c
}

func (a *app) revoke(ctx context.Context, kind signing.RevocationKind, args []string, o revokeOptions) error {
	if len(o.Keys) != 1 {
		return usagef("it takes one --key")
	}
	cl, err := a.serverFor(false)
	if err != nil {
		return err
	}
	if cl == nil && o.Dir == "" {
		_, err := a.client()
		return err
	}
	base, err := a.revocationBase(ctx, cl, o.Dir)
	if err != nil {
		return err
	}
	value, err := a.revocationValue(ctx, cl, base.trusted().Policy(), kind, args)
	if err != nil {
		return err
	}
	one := signing.Revocation{Kind: kind, Value: value, Reason: o.Reason}
	a.toRead().toRevoke(base.trusted(), one)
	if kind == signing.RevokeHook {
		a.toRead().warnNoHook(ctx, cl, value)
	}
	if !o.Yes {
		if err := a.confirm("Revoke this for ever?"); err != nil {
			return err
		}
	}
	key, err := a.openSigner(o.Keys[0], o.PassphraseFile)
	if err != nil {
		return err
	}
	if err := a.revokeWith(ctx, cl, base, key, one); err != nil {
		return err
	}
	done, _ := base.trusted().Revoked().Find(kind, value)
	return a.show(done, func() {
		fmt.Fprintf(a.out, "revoked %s, by %s\n", safe(done.ID()), safe(done.By))
		if cl == nil {
			fmt.Fprintln(a.out, "next: hookline trust publish")
			return
		}
		fmt.Fprintln(a.out, "connected machines know it; whoever freshens hears of it from the server (if that may be stolen: --dir, then trust freshen)")
	})
}

func (a *app) toRevoke(t *trust.Trusted, one signing.Revocation) {
	if was, ok := t.Revoked().Find(one.Kind, one.Value); ok {
		fmt.Fprintf(a.out, "%s is revoked already, by %s on %s: %s\n", safe(was.ID()), safe(was.By), clock(was.At), safe(was.Reason))
		return
	}
	fmt.Fprintf(a.out, "you sign revocations version %d: all that is revoked already (%d), and for ever\n", t.RevocationsVersion()+1, t.Revoked().Len())
	a.pairs([2]string{"revoke", one.ID()}, [2]string{"reason", one.Reason})
	if one.Kind == signing.RevokeKey {
		if person, ok := t.Policy().Person(signing.KeyID(one.Value)); ok {
			a.pairs([2]string{"key of", person.Name})
		} else {
			fmt.Fprintln(a.out, "WARNING: the policy knows no such key")
		}
	}
}

// warnNoHook warns where the server has no version of a hook, since a misspelt
// name would be gone for ever and the hook meant would go on. It may be meant so:
// a name can be revoked before it is used.
func (a *app) warnNoHook(ctx context.Context, cl *client.Client, name string) {
	if cl == nil {
		return
	}
	page, err := cl.VersionsOf(ctx, name, 0, 1)
	if errs.Is(err, errs.CodeNotFound) || err == nil && len(page.Items) == 0 {
		fmt.Fprintln(a.out, "WARNING: the server has no hook of this name")
	}
}

// base is where revocations are made: an offline folder, or metadata that was
// fetched and verified.
type base interface {
	trusted() *trust.Trusted
	revoke(key *signer.Signer, one signing.Revocation) (file []byte, err error)
	take(b trust.Bundle) error
}

func (a *app) revocationBase(ctx context.Context, cl *client.Client, dir string) (base, error) {
	if dir == "" {
		t, err := a.trusted(ctx)
		return &fetchedBase{app: a, t: t}, err
	}
	k, err := a.keeper(dir)
	if err != nil {
		return nil, err
	}
	if _, err := k.Bundle(); err != nil {
		return nil, err
	}
	if cl != nil {
		err = a.takeFrom(ctx, cl, k)
	}
	return folderBase{k}, err
}

type folderBase struct{ k *keeper.Keeper }

func (b folderBase) trusted() *trust.Trusted { return b.k.Trusted() }

func (b folderBase) revoke(key *signer.Signer, one signing.Revocation) ([]byte, error) {
	return b.k.Revoke(key, one)
}

func (b folderBase) take(bundle trust.Bundle) error {
	_, err := b.k.Take(bundle)
	return err
}

type fetchedBase struct {
	app *app
	t   *trust.Trusted
}

func (b *fetchedBase) trusted() *trust.Trusted { return b.t }

func (b *fetchedBase) revoke(key *signer.Signer, one signing.Revocation) ([]byte, error) {
	file, next, err := keeper.NextRevocations(b.t, key, b.app.now(), one)
	if err != nil {
		return nil, err
	}
	b.t = next
	return file, nil
}

func (b *fetchedBase) take(bundle trust.Bundle) error {
	next, err := b.t.Update(bundle)
	if err != nil {
		return err
	}
	b.t = next
	return nil
}

// revokeTries bounds how often another revoker may come in between.
const revokeTries = 4

// revokeWith signs, sends, and looks whether the server's newest revocations
// carry it: of two revokers at once, one has to sign anew over the other's.
func (a *app) revokeWith(ctx context.Context, cl *client.Client, b base, key *signer.Signer, one signing.Revocation) error {
	file, err := b.revoke(key, one)
	if errs.Is(err, errs.CodeConflict) && cl != nil {
		// Signed before, and perhaps never sent.
		if file = newestFile(b.trusted()); len(file) > 0 {
			err = nil
		}
	}
	if err != nil || cl == nil {
		return err
	}
	for range revokeTries {
		// Refused as too old: another revoker was first with this version.
		if _, err := cl.PostRevocations(ctx, file); err != nil && !errs.Is(err, errs.CodeTrustRollback) {
			return err
		}
		served, err := fetchTrust(ctx, cl)
		if err != nil {
			return err
		}
		if err := b.take(served); err != nil {
			return err
		}
		carried, err := keeper.Carried(b.trusted())
		if err != nil {
			return err
		}
		if _, there := carried.Find(one.Kind, one.Value); there && newestIs(served, b.trusted()) {
			return nil
		}
		if file, err = b.revoke(key, one); err != nil {
			return err
		}
	}
	return errs.New(errs.CodeConflict, "cannot revoke: others revoke at the same time, again and again").WithHint("try again")
}

// newestFile is the newest revocations' metadata.
func newestFile(t *trust.Trusted) []byte {
	b := t.Bundle()
	if len(b.Pushed) > 0 {
		return b.Pushed
	}
	return b.Revocations
}

// newestIs reports whether the server serves the revocations that are known
// here as the newest.
func newestIs(served trust.Bundle, t *trust.Trusted) bool {
	newest := served.Revocations
	if len(served.Pushed) > 0 {
		newest = served.Pushed
	}
	return string(newest) == string(newestFile(t))
}

// revocationValue makes what a person typed into what a revocation names.
func (a *app) revocationValue(ctx context.Context, cl *client.Client, p *signing.Policy, kind signing.RevocationKind, args []string) (string, error) {
	switch kind {
	case signing.RevokeVersion:
		return a.versionToRevoke(ctx, cl, args[0])
	case signing.RevokeKey:
		return keyToRevoke(p, args[0])
	case signing.RevokeApproval:
		digest, err := a.versionToRevoke(ctx, cl, args[0])
		if err != nil {
			return "", err
		}
		key, err := keyToRevoke(p, args[1])
		return signing.ApprovalValue(digest, signing.KeyID(key)), err
	}
	return args[0], nil
}

// versionToRevoke is a whole digest; other names are asked of the server, and
// what it sends is checked.
func (a *app) versionToRevoke(ctx context.Context, cl *client.Client, text string) (string, error) {
	r, err := parseVersionRef(text)
	if err != nil {
		return "", err
	}
	if r.exact() {
		return r.prefix, nil
	}
	if cl == nil {
		return "", usagef("without a server a version is named by its whole digest, not %s", text)
	}
	f, err := a.fetch(ctx, cl, text)
	if err != nil {
		return "", err
	}
	p := f.statement.Predicate
	fmt.Fprintf(a.err, "%s@%d has the digest %s\n", safe(p.Hook), p.Version, f.digest)
	return f.digest, nil
}

// keyToRevoke is a key id, a file, or the first digits of a key of the policy.
func keyToRevoke(p *signing.Policy, ref string) (string, error) {
	lower := strings.ToLower(ref)
	if _, err := os.Stat(ref); err != nil && rootDigest.MatchString(lower) {
		return lower, nil // also one that the policy knows no more
	}
	var keys []signing.PublicKey
	for _, person := range p.Persons {
		keys = append(keys, person.Keys...)
	}
	if _, err := os.Stat(ref); err == nil {
		file, err := publicKeys([]string{ref})
		if err != nil {
			return "", err
		}
		return string(file[0].ID), nil
	}
	id, err := findKey(keys, ref)
	if err == nil && id == "" {
		err = errs.New(errs.CodeNotFound, "the policy has no key %s", ref).WithHint("give the whole key id, or the .pub file")
	}
	return string(id), err
}
