package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/strict"
	"hookline/signing"
	"hookline/signing/trust/keeper"

	"github.com/spf13/cobra"
)

// The files of the offline folder.
const (
	policyName    = "policy.yaml"
	setupKeyName  = "setup.key"
	setupHashName = "setup-keys.txt"
)

func newPolicyCommand(a *app) *cobra.Command {
	return group("policy", "Make and check the policy: who may sign, and how many",
		newPolicyInitCommand(a), newPolicyShowCommand(a), newPolicyCheckCommand(a), newPolicyDiffCommand(a))
}

// policyOptions are the flags of policy init; quickstart and demo fill them
// by hand.
type policyOptions struct {
	Dir       string
	Persons   []string // "alice=alice.pub:author,reviewer"
	Profile   string
	Reviewers int // -1: 2 in a team, 0 alone
	Lifetime  string
	Needs     []string // "as.root=3"
	Forbid    []string
}

func newPolicyInitCommand(a *app) *cobra.Command {
	o := policyOptions{}
	c := &cobra.Command{
		Use:   "init --dir DIR --person NAME=FILE.pub:ROLE,ROLE ...",
		Short: "Make the offline folder: policy.yaml, setup.key, setup-keys.txt",
		Long: `Makes the folder from which a deployment is trusted. Keep it off the server: the
server gets setup-keys.txt (hashes) and, from hookline trust init, trust.json, never
setup.key. Where nobody has the role revoker everybody of the policy may revoke.`,
		Example: `  hookline policy init --dir offline --person alice=alice.pub:author \
    --person bob=bob.pub:reviewer --person carol=carol.pub:reviewer
  hookline policy init --dir offline --profile solo --person me=me.pub:author`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.initPolicy(o)
			if err != nil {
				return err
			}
			return a.show(viewPolicy(p), func() {
				fmt.Fprintf(a.out, "made %s with %s, %s and %s\n", safe(o.Dir), policyName, setupKeyName, setupHashName)
				a.pairs([2]string{"deployment", p.Deployment}, [2]string{"policy digest", p.Digest}, [2]string{"may revoke", mayRevoke(p)})
				fmt.Fprintln(a.out, "next: hookline trust init --dir "+safe(o.Dir)+" --key FILE")
			})
		},
	}
	f := c.Flags()
	f.StringVar(&o.Dir, "dir", offlineDir, "folder to make the files in")
	f.StringArrayVar(&o.Persons, "person", nil, "NAME=FILE.pub:ROLE,ROLE (roles: author, reviewer, operator, revoker); repeat it")
	f.StringVar(&o.Profile, "profile", string(signing.ProfileTeam), "team, or solo: one author, no reviewers, owners are asked before each run")
	f.IntVar(&o.Reviewers, "reviewers", -1, "reviewers that every hook needs besides its author (team: 2)")
	f.StringVar(&o.Lifetime, "max-lifetime", "14d", "longest life of a hook, at most 14d")
	f.StringArrayVar(&o.Needs, "need", nil, "CAPABILITY=N: more reviewers for a capability; repeat it")
	f.StringSliceVar(&o.Forbid, "forbid", nil, "capabilities that nobody may use")
	return c
}

// mayRevoke says whose keys may sign revocations.
func mayRevoke(p *signing.Policy) string {
	text := strings.Join(keeper.PersonsOf(p, keeper.Revokers(p)), ", ")
	if !slices.ContainsFunc(p.Persons, func(person signing.Person) bool { return person.Has(signing.RoleRevoker) }) {
		text += " (everybody: nobody has the role revoker)"
	}
	return text
}

// initPolicy writes the offline folder. It overwrites nothing.
func (a *app) initPolicy(o policyOptions) (*signing.Policy, error) {
	p, err := a.buildPolicy(o)
	if err != nil {
		return nil, err
	}
	text := p.YAML()
	if p, err = signing.ParsePolicy(text); err != nil {
		return nil, notFromFile(err, "correct --person, --reviewers or --need; nothing was written")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fileError(err, "cannot make "+o.Dir)
	}
	key := enroll.NewSetupKey()
	files := []struct {
		name string
		b    []byte
		mode os.FileMode
	}{
		{policyName, text, 0o644},
		{setupKeyName, []byte(key + "\n"), 0o600},
		{setupHashName, []byte(enroll.HashSetupKey(key) + "\n"), 0o644},
	}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(o.Dir, f.name)); err == nil {
			return nil, fileError(os.ErrExist, "cannot write "+filepath.Join(o.Dir, f.name))
		}
	}
	for _, f := range files {
		if err := writeNew(filepath.Join(o.Dir, f.name), f.b, f.mode); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (a *app) buildPolicy(o policyOptions) (*signing.Policy, error) {
	if len(o.Persons) == 0 {
		return nil, usagef("it needs at least one --person NAME=FILE.pub:ROLES")
	}
	lifetime, err := strict.ParseDuration(o.Lifetime)
	if err != nil {
		return nil, usagef("--max-lifetime %q: %w", o.Lifetime, err)
	}
	p := &signing.Policy{
		Deployment:  newDeployment(),
		Profile:     signing.Profile(o.Profile),
		Reviewers:   o.Reviewers,
		Needs:       map[string]int{},
		Forbidden:   o.Forbid,
		MaxLifetime: lifetime,
	}
	if o.Reviewers < 0 {
		p.Reviewers = 2
		if p.Profile == signing.ProfileSolo {
			p.Reviewers = 0
		}
	}
	for _, need := range o.Needs {
		name, number, _ := strings.Cut(need, "=")
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, usagef("--need %q is not CAPABILITY=NUMBER", need)
		}
		p.Needs[name] = n
	}
	for _, text := range o.Persons {
		if p.Persons, err = addPerson(p.Persons, text); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// addPerson reads NAME=FILE:ROLES; a name that comes again adds a key.
func addPerson(persons []signing.Person, text string) ([]signing.Person, error) {
	name, rest, ok := strings.Cut(text, "=")
	colon := strings.LastIndex(rest, ":")
	if !ok || colon < 0 {
		return nil, usagef("--person %q is not NAME=FILE.pub:ROLE,ROLE", text)
	}
	b, err := readFile(rest[:colon], maxKeyFile)
	if err != nil {
		return nil, err
	}
	key, err := signing.ParsePublicKey(b)
	if err != nil {
		return nil, err
	}
	var roles []signing.Role
	for role := range strings.SplitSeq(rest[colon+1:], ",") {
		roles = append(roles, signing.Role(strings.TrimSpace(role)))
	}
	for i := range persons {
		if persons[i].Name == name {
			if !slices.Equal(persons[i].Roles, roles) {
				return nil, usagef("--person %s has different roles for two keys", name)
			}
			persons[i].Keys = append(persons[i].Keys, key)
			return persons, nil
		}
	}
	return append(persons, signing.Person{Name: name, Roles: roles, Keys: []signing.PublicKey{key}}), nil
}

func newDeployment() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: the program ends instead
	return "d-" + hex.EncodeToString(b)
}

// policyView is a policy for people and scripts.
type policyView struct {
	Deployment  string         `json:"deployment"`
	Digest      string         `json:"policy_digest"`
	Profile     string         `json:"profile"`
	Reviewers   int            `json:"reviewers"`
	Needs       map[string]int `json:"needs"`
	Forbidden   []string       `json:"forbidden"`
	MaxLifetime string         `json:"max_lifetime"`
	MayRevoke   string         `json:"may_revoke"`
	Persons     []personView   `json:"persons"`
	Unreachable []string       `json:"unreachable,omitempty"`
}

type personView struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
	Keys  []string `json:"key_ids"`
}

func viewPolicy(p *signing.Policy) policyView {
	v := policyView{
		Deployment: p.Deployment, Digest: p.Digest, Profile: string(p.Profile), Reviewers: p.Reviewers,
		Needs: p.Needs, Forbidden: p.Forbidden, MaxLifetime: strict.FormatDuration(p.MaxLifetime), Unreachable: p.Shortfalls(), MayRevoke: mayRevoke(p),
	}
	for _, person := range p.Persons {
		pv := personView{Name: person.Name}
		for _, r := range person.Roles {
			pv.Roles = append(pv.Roles, string(r))
		}
		for _, k := range person.Keys {
			pv.Keys = append(pv.Keys, string(k.ID))
		}
		v.Persons = append(v.Persons, pv)
	}
	return v
}

func readPolicy(path string) (*signing.Policy, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, policyName)
	}
	b, err := readFile(path, signing.MaxPolicyBytes)
	if err != nil {
		return nil, err
	}
	return signing.ParsePolicyFile(path, b)
}

func newPolicyShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE|DIR",
		Short: "Show who may sign what",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := readPolicy(args[0])
			if err != nil {
				return err
			}
			v := viewPolicy(p)
			return a.show(v, func() { a.policyTable(v) })
		},
	}
}

func (a *app) policyTable(v policyView) {
	var needs []string
	for _, name := range signing.CapabilityNames() {
		if n, ok := v.Needs[name]; ok {
			needs = append(needs, fmt.Sprintf("%s: %d", name, n))
		}
	}
	a.pairs(
		[2]string{"deployment", v.Deployment}, [2]string{"policy digest", v.Digest}, [2]string{"profile", v.Profile},
		[2]string{"reviewers", strconv.Itoa(v.Reviewers)}, [2]string{"needs", strings.Join(needs, ", ")},
		[2]string{"forbidden", strings.Join(v.Forbidden, ", ")}, [2]string{"max lifetime", v.MaxLifetime}, [2]string{"may revoke", v.MayRevoke},
	)
	fmt.Fprintln(a.out)
	rows := [][]string{{"PERSON", "ROLES", "KEY"}}
	for _, p := range v.Persons {
		for i, k := range p.Keys {
			row := []string{"", "", k}
			if i == 0 {
				row[0], row[1] = p.Name, strings.Join(p.Roles, ", ")
			}
			rows = append(rows, row)
		}
	}
	a.table(rows)
}

func newPolicyCheckCommand(a *app) *cobra.Command {
	var digest string
	c := &cobra.Command{
		Use:   "check FILE|DIR",
		Short: "Check a policy file and print its digest",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := readPolicy(args[0])
			if err != nil {
				return err
			}
			if digest != "" && digest != p.Digest {
				return errs.New(errs.CodePolicyDigest, "the policy's digest is %s, not %s", p.Digest, digest)
			}
			return a.show(viewPolicy(p), func() {
				fmt.Fprintf(a.out, "ok %s\n", p.Digest)
				for _, name := range p.Shortfalls() {
					fmt.Fprintf(a.err, "warning: needs.%s asks for more reviewers than there are: in effect it is forbidden\n", name)
				}
			})
		},
	}
	c.Flags().StringVar(&digest, "digest", "", "refuse the file unless this is its digest")
	return c
}

func newEnrollLineCommand(a *app) *cobra.Command {
	var dir, ca, caDigest, address string
	c := &cobra.Command{
		Use:   "enroll-line --dir DIR --ca ca.crt --address HOST:PORT",
		Short: "Print the line that a machine enrolls with; it holds a secret",
		Long: `Prints one line from the offline folder. It pins the root of the trust metadata and the server's CA, so
that the machine believes nothing that a server says. Carry it by hand.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			line, err := enrollLine(dir, ca, caDigest, address)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.out, line.String())
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "dir", offlineDir, "the offline folder")
	f.StringVar(&ca, "ca", "", "the server's ca.crt, copied by hand")
	f.StringVar(&caDigest, "ca-digest", "", "instead of --ca: hex SHA-256 of the CA certificate")
	f.StringVar(&address, "address", "", "host:port where peers reach hooklined")
	_ = c.MarkFlagRequired("address")
	c.MarkFlagsMutuallyExclusive("ca", "ca-digest")
	c.MarkFlagsOneRequired("ca", "ca-digest")
	return c
}

// enrollLine builds the line; ca is a file, or caDigest its digest.
func enrollLine(dir, ca, caDigest, address string) (enroll.Line, error) {
	k, err := keeper.Open(dir, time.Now)
	if err != nil {
		return enroll.Line{}, err
	}
	anchor, err := k.Anchor()
	if err != nil {
		return enroll.Line{}, err
	}
	key, err := readFile(filepath.Join(dir, setupKeyName), 1024)
	if err != nil {
		return enroll.Line{}, err
	}
	if ca != "" {
		if caDigest, err = digestOfCA(ca); err != nil {
			return enroll.Line{}, err
		}
	}
	line := enroll.Line{
		Address: address, Deployment: anchor.Deployment, RootDigest: anchor.RootDigest,
		CADigest: caDigest, SetupKey: strings.TrimSpace(string(key)),
	}
	return line, line.Validate()
}

func digestOfCA(path string) (string, error) {
	b, err := readFile(path, 64<<10)
	if err != nil {
		return "", err
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" || len(strings.TrimSpace(string(rest))) > 0 {
		return "", errs.New(errs.CodeBadInput, "cannot read %s: it is not one PEM certificate", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !cert.IsCA {
		return "", errs.New(errs.CodeBadInput, "cannot use %s: it is not a CA certificate", path).
			WithHint("copy ca.crt from the data folder of hooklined")
	}
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:]), nil
}
