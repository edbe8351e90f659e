package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"

	"github.com/spf13/cobra"
)

// The roles of the trust metadata, as flags name them: freshen is both
// snapshot and timestamp.
const (
	roleRoot    = "root"
	roleTargets = "targets"
	roleFreshen = "freshen"
)

func newTrustCommand(a *app) *cobra.Command {
	c := group("trust", "Make and sign what machines trust: policy, certificates, revocations",
		newTrustInitCommand(a), newTrustShowCommand(a), newTrustSignCommand(a), newTrustFreshenCommand(a),
		newTrustPublishCommand(a), newTrustReplaceCommand(a), newTrustRotateCommand(a))
	c.Long = `The offline folder holds metadata that people sign (The Update Framework). Machines pin
its root when they enrol; whatever the server says, they follow only what the people sign
whom that root names. A change is staged (init, replace, rotate), signed by as many people
as it takes (sign), put in force by one freshen key (freshen) and brought to the server
(freshen, publish). The folder goes from one person to the next; it holds no private key.`
	return c
}

// keyOptions are the flags of commands that sign.
type keyOptions struct {
	Keys           []string
	PassphraseFile string
	Yes            bool
}

func (o *keyOptions) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&o.Keys, "key", nil, keyUse+"; repeat it")
	c.Flags().StringVar(&o.PassphraseFile, "passphrase-file", "", passphraseFileUse)
	c.Flags().BoolVar(&o.Yes, "yes", false, "do not ask before signing")
}

// offlineDir is the folder where none is named.
const offlineDir = "offline"

func dirFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "dir", offlineDir, "the offline folder")
}

func (a *app) keeper(dir string) (*keeper.Keeper, error) { return keeper.Open(dir, a.now) }

// trustInit are the flags of trust init.
type trustInit struct {
	keyOptions
	Dir, Policy, CA  string
	Add, Freshen     []string
	RootThreshold    int
	TargetsThreshold int
}

func newTrustInitCommand(a *app) *cobra.Command {
	var o trustInit
	c := &cobra.Command{
		Use:   "init --dir DIR --key FILE ...",
		Short: "Make the first trust metadata of an offline folder",
		Long: `Stages the first root, targets and revocations over the folder's policy.yaml. Root and
targets are signed with the first key of each person of the policy, as many of them as a
hook's signatures ask for at most; fewer are refused. With --key it signs at once; when
enough have signed, and one of them may freshen, it is in force.`,
		Example: `  hookline trust init --dir offline --key alice.key
  hookline trust init --dir offline --add spare.pub --freshen cron.pub`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.trustInit(o)
			if err != nil {
				return err
			}
			return a.signStaged(c.Context(), k, o.Dir, o.keyOptions)
		},
	}
	f := c.Flags()
	dirFlag(c, &o.Dir)
	f.StringVar(&o.Policy, "policy", "", "the policy file (default DIR/policy.yaml)")
	f.StringVar(&o.CA, "ca", "", "certificates of the server's authorities, PEM: machines take them instead of the one of their enroll line")
	f.StringArrayVar(&o.Add, "add", nil, "FILE.pub: one more key for root and targets, such as a spare one in a safe; repeat it")
	f.StringArrayVar(&o.Freshen, "freshen", nil, "FILE.pub: one more key that may freshen, such as that of a timer; repeat it")
	f.IntVar(&o.RootThreshold, "root-threshold", 0, "signatures that a new root needs (default: as many as a hook can need)")
	f.IntVar(&o.TargetsThreshold, "targets-threshold", 0, "signatures that a new policy needs (default: the same)")
	o.flags(c)
	return c
}

func (a *app) trustInit(o trustInit) (*keeper.Keeper, error) {
	if o.Policy == "" {
		o.Policy = filepath.Join(o.Dir, policyName)
	}
	plan := keeper.Plan{RootThreshold: o.RootThreshold, TargetsThreshold: o.TargetsThreshold}
	var err error
	if plan.Policy, err = readFile(o.Policy, signing.MaxPolicyBytes); err != nil {
		return nil, err
	}
	policy, err := signing.ParsePolicyFile(o.Policy, plan.Policy)
	if err != nil {
		return nil, err
	}
	if o.CA != "" {
		if plan.CA, err = readFile(o.CA, trust.MaxCABytes); err != nil {
			return nil, err
		}
	}
	for _, person := range policy.Persons {
		plan.Root = append(plan.Root, person.Keys[0])
	}
	more, err := publicKeys(o.Add)
	if err != nil {
		return nil, err
	}
	plan.Root = append(plan.Root, more...)
	plan.Targets = plan.Root
	if plan.Freshen, err = publicKeys(o.Freshen); err != nil {
		return nil, err
	}
	return keeper.Init(o.Dir, plan, a.now)
}

func publicKeys(paths []string) ([]signing.PublicKey, error) {
	var keys []signing.PublicKey
	for _, path := range paths {
		b, err := readFile(path, maxKeyFile)
		if err != nil {
			return nil, err
		}
		key, err := signing.ParsePublicKey(b)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func newTrustSignCommand(a *app) *cobra.Command {
	var dir string
	var o keyOptions
	c := &cobra.Command{
		Use:   "sign --dir DIR --key FILE ...",
		Short: "Show what is staged, and sign it",
		Long: `Shows what would change, line by line, asks, and signs with each key what that key may
sign. When enough people have signed, and one of the keys may freshen, it is in force.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keeper(dir)
			if err != nil {
				return err
			}
			return a.signStaged(c.Context(), k, dir, o)
		},
	}
	dirFlag(c, &dir)
	o.flags(c)
	_ = c.MarkFlagRequired("key")
	return c
}

// signStaged shows what is staged and signs it; without a key it only shows.
func (a *app) signStaged(ctx context.Context, k *keeper.Keeper, dir string, o keyOptions) error {
	staged := k.Staged()
	if len(staged) == 0 {
		return errs.New(errs.CodeBadInput, "there is nothing to sign in %s", dir).WithHint("hookline trust replace and rotate stage something")
	}
	view := a.toRead()
	view.toSign(staged)
	if len(o.Keys) > 0 {
		if err := a.signWith(ctx, k, o); err != nil {
			return err
		}
	}
	var server *serverView
	if len(k.Staged()) == 0 {
		server = a.compareServer(ctx, k, false) // to say that it waits for it
	}
	v, err := a.viewTrust(k, dir, server)
	if err != nil {
		return err
	}
	return a.show(v, func() {
		if len(v.Staged) == 0 {
			fmt.Fprintf(a.out, "in force, root digest %s\n", v.RootDigest)
		}
		for _, s := range v.Staged {
			a.missing(s)
		}
		a.next(v)
	})
}

func (a *app) signWith(ctx context.Context, k *keeper.Keeper, o keyOptions) error {
	if !o.Yes {
		if err := a.confirm("Have you read this, and do you sign it?"); err != nil {
			return err
		}
	}
	keys, err := a.openSigners(o.Keys, o.PassphraseFile)
	if err != nil {
		return err
	}
	if _, err := k.Sign(signersOf(keys)...); err != nil {
		return err
	}
	if !k.Ready() {
		return nil
	}
	i := slices.IndexFunc(keys, func(s *signer.Signer) bool { return k.MayFreshen(s.Public().ID) })
	if i < 0 {
		return nil
	}
	if err := a.takeIfThere(ctx, k); err != nil || !k.Ready() {
		return err
	}
	_, err = k.Freshen(keys[i], 0)
	return err
}

func signersOf(keys []*signer.Signer) []keeper.Signer {
	out := make([]keeper.Signer, len(keys))
	for i, key := range keys {
		out[i] = key
	}
	return out
}

// toSign prints what signatures would cover, as a difference to what is in force.
func (a *app) toSign(staged []keeper.Staged) {
	for _, s := range staged {
		a.section(fmt.Sprintf("to sign: %s version %d", s.Role, s.Version))
		for _, line := range s.Difference {
			fmt.Fprintln(a.out, safe(line))
		}
	}
	fmt.Fprintln(a.out)
}

// trustRotate are the flags of trust rotate.
type trustRotate struct {
	keyOptions
	Dir              string
	Add, Remove      []string
	Roles            []string
	RootThreshold    int
	TargetsThreshold int
}

func newTrustRotateCommand(a *app) *cobra.Command {
	var o trustRotate
	c := &cobra.Command{
		Use:   "rotate --dir DIR [--add FILE.pub] [--remove KEY]",
		Short: "Stage a new root: other keys or thresholds, or the same for another year",
		Long: `Stages the next root. It needs enough signatures of the old root's keys and of its own.
--add gives a key to root, targets and freshen, --remove takes it from wherever it is;
--role narrows both. Where the policy in force would miss signatures, it is staged, too.`,
		Example: `  hookline trust rotate --dir offline --add dave.pub --remove bob.pub --key alice.key
  hookline trust rotate --dir offline --add cron.pub --role freshen`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keeper(o.Dir)
			if err != nil {
				return err
			}
			r, err := o.rotation(k)
			if err != nil {
				return err
			}
			if err := k.Rotate(r); err != nil {
				return err
			}
			return a.signStaged(c.Context(), k, o.Dir, o.keyOptions)
		},
	}
	f := c.Flags()
	dirFlag(c, &o.Dir)
	f.StringArrayVar(&o.Add, "add", nil, "FILE.pub of a key to add; repeat it")
	f.StringArrayVar(&o.Remove, "remove", nil, "key to remove: FILE.pub, its id or at least 8 digits of it; repeat it")
	f.StringSliceVar(&o.Roles, "role", nil, "root, targets, freshen: of these only")
	f.IntVar(&o.RootThreshold, "root-threshold", 0, "signatures that a new root needs (0: as many as now)")
	f.IntVar(&o.TargetsThreshold, "targets-threshold", 0, "signatures that a new policy needs (0: as many as now)")
	o.flags(c)
	return c
}

func (o trustRotate) rotation(k *keeper.Keeper) (keeper.Rotation, error) {
	r := keeper.Rotation{
		Add: map[string][]signing.PublicKey{}, Remove: map[string][]signing.KeyID{},
		RootThreshold: o.RootThreshold, TargetsThreshold: o.TargetsThreshold,
	}
	roles, err := tufRoles(o.Roles)
	if err != nil {
		return r, err
	}
	add, err := publicKeys(o.Add)
	if err != nil {
		return r, err
	}
	for _, role := range roles {
		r.Add[role] = add
	}
	for _, ref := range o.Remove {
		found := false
		for _, role := range roles {
			id, err := findKey(k.KeysOf(role), ref)
			if err != nil {
				return r, err
			}
			if id != "" {
				r.Remove[role], found = append(r.Remove[role], id), true
			}
		}
		if !found {
			return r, errs.New(errs.CodeNotFound, "there is no key %s to remove", ref).WithHint("see which there are: hookline trust show")
		}
	}
	return r, nil
}

// tufRoles are the roles of the metadata that flags name; all where none is named.
func tufRoles(names []string) ([]string, error) {
	if len(names) == 0 {
		names = []string{roleRoot, roleTargets, roleFreshen}
	}
	var roles []string
	for _, name := range names {
		switch name {
		case roleRoot, roleTargets:
			roles = append(roles, name)
		case roleFreshen:
			roles = append(roles, keeper.FreshenRoles()...)
		default:
			return nil, usagef("--role %q is none of root, targets, freshen", name)
		}
	}
	return roles, nil
}

// findKey finds a key by its file, its id or the first digits of it; "" where
// it is not among them.
func findKey(keys []signing.PublicKey, ref string) (signing.KeyID, error) {
	want := strings.ToLower(ref)
	if _, err := os.Stat(ref); err == nil {
		file, err := publicKeys([]string{ref})
		if err != nil {
			return "", err
		}
		want = string(file[0].ID)
	} else if len(want) < minPrefix {
		return "", usagef("%q is neither a .pub file nor a key id (at least %d digits of it)", ref, minPrefix)
	}
	var found signing.KeyID
	for _, key := range keys {
		if !strings.HasPrefix(string(key.ID), want) {
			continue
		}
		if found != "" {
			return "", errs.New(errs.CodeBadInput, "cannot tell which key %s is: give more digits", ref)
		}
		found = key.ID
	}
	return found, nil
}

func newTrustReplaceCommand(a *app) *cobra.Command {
	var dir, policy, ca string
	var noCA bool
	var o keyOptions
	c := &cobra.Command{
		Use:   "replace --dir DIR [--policy FILE] [--ca FILE]",
		Short: "Stage a new policy or new certificates, or the same for another year",
		Long: `Stages the next targets: what machines take from then on. It needs the signatures of
the targets' keys, as many as the root says. Look first at what would become of the hooks:
hookline policy diff offline NEW.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keeper(dir)
			if err != nil {
				return err
			}
			p, certificates, err := replacement(policy, ca, noCA)
			if err != nil {
				return err
			}
			if err := k.ReplaceTargets(p, certificates); err != nil {
				return err
			}
			return a.signStaged(c.Context(), k, dir, o)
		},
	}
	dirFlag(c, &dir)
	c.Flags().StringVar(&policy, "policy", "", "the new policy file")
	c.Flags().StringVar(&ca, "ca", "", "new certificates of the server's authorities, PEM")
	c.Flags().BoolVar(&noCA, "no-ca", false, "take the certificates out: machines go by those of their enroll lines")
	c.MarkFlagsMutuallyExclusive("ca", "no-ca")
	o.flags(c)
	return c
}

// replacement reads the files; nil stands for what is to stay.
func replacement(policy, ca string, noCA bool) (p, certificates []byte, err error) {
	if policy != "" {
		if p, err = readFile(policy, signing.MaxPolicyBytes); err != nil {
			return nil, nil, err
		}
		if _, err := signing.ParsePolicyFile(policy, p); err != nil {
			return nil, nil, err
		}
	}
	if noCA {
		return p, []byte{}, nil
	}
	if ca != "" {
		if certificates, err = readFile(ca, trust.MaxCABytes); err != nil {
			return nil, nil, err
		}
	}
	return p, certificates, nil
}

// share is how much of its life a role has behind it.
func share(r trust.Role, now time.Time) float64 {
	return max(0, float64(now.Sub(r.SignedAt))/float64(r.Expires.Sub(r.SignedAt)))
}
