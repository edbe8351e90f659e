package onebox

import (
	"context"
	"os"
	"slices"
	"strings"

	"hookline/signing"
	"hookline/signing/trust"
)

// Offline is the folder with policy, setup key and trust metadata. People keep
// it away from the server; here it lies beside it.
func (d *Deployment) Offline() string { return d.Path("offline") }

// TrustFile is the trust metadata as the server gets it.
func (d *Deployment) TrustFile() string { return d.Path("offline", "trust.json") }

// MakeTrust makes the trust metadata; everybody signs at once.
func (d *Deployment) MakeTrust(ctx context.Context, plan Plan) error {
	_, err := d.Trust(ctx, plan.names(), "init")
	return err
}

// Trust runs a `hookline trust` command over the offline folder, with the keys
// of all these persons, who do not ask back, and the token of the first, and
// returns what it printed.
func (d *Deployment) Trust(ctx context.Context, persons []string, command string, args ...string) (string, error) {
	all := []string{"trust", command, "--dir", d.Offline()}
	if command != "publish" && command != "show" { // which need no signature
		all = append(all, d.signing(persons...)...)
	}
	return d.Hookline(ctx, persons[0], append(all, args...)...)
}

// Freshen signs snapshot and timestamp anew with a person's key and brings them
// to the server.
func (d *Deployment) Freshen(ctx context.Context, person string, args ...string) error {
	_, err := d.Trust(ctx, []string{person}, "freshen", args...)
	return err
}

// Revoke revokes for good, with a person's key and token: kind is hook,
// version, key or approval; the value is what that kind names, of an approval
// "digest/keyid".
func (d *Deployment) Revoke(ctx context.Context, person, kind, value, reason string) error {
	args := append([]string{"revoke", kind}, strings.Split(value, "/")...)
	args = append(append(args, "--reason", reason), d.signing(person)...)
	_, err := d.Hookline(ctx, person, args...)
	return err
}

// Trusted is the trust metadata of the offline folder, verified from its newest
// root as a machine does that enrolls now.
func (d *Deployment) Trusted() (*trust.Trusted, error) {
	b, err := os.ReadFile(d.TrustFile())
	if err != nil {
		return nil, err
	}
	bundle, err := trust.ParseBundle(b)
	if err != nil {
		return nil, err
	}
	policy, err := signing.ParsePolicy(bundle.Policy)
	if err != nil {
		return nil, err
	}
	root := trust.Digest(bundle.Roots[len(bundle.Roots)-1])
	return trust.Anchor{RootDigest: root, Deployment: policy.Deployment}.Open(bundle)
}

// signing are the flags of a command that signs with these persons' keys.
func (d *Deployment) signing(persons ...string) []string {
	flags := []string{"--yes"}
	for _, person := range persons {
		flags = append(flags, "--key", d.Path(person+".key"))
	}
	return flags
}

func (p Plan) names() (names []string) {
	for _, person := range p.Persons {
		names = append(names, person.Name)
	}
	return names
}

// serverRoles are the person's roles on the server, which knows no revokers:
// it takes what they sign from anybody.
func (p Person) serverRoles() []string {
	roles := slices.DeleteFunc(slices.Clone(p.Roles), func(r string) bool { return r == "revoker" })
	if len(roles) == 0 {
		return []string{"viewer"}
	}
	return roles
}
