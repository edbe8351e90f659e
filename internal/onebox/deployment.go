// Package onebox runs a whole Hookline deployment on this one machine: real
// processes of the real binaries, in a folder of its own, on loopback. The
// quickstart, the demo, the end-to-end tests and the benchmarks use it.
//
//	d, err := onebox.New(dir, binaries)
//	err = d.Found(ctx, onebox.Team()) // keys, policy, server, accounts
//	peer, err := d.AddPeer(ctx, "web-1", "--send-reports=yes", "--hooks=yes")
//	id, _, err := peer.Exec(ctx, "/usr/bin/false")
package onebox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Binaries is a folder with hookline, hooklined, hookline-peer,
// hookline-sandbox and, for the demo, crash, thief and wipe.
type Binaries string

// Path is the path of one of them.
func (b Binaries) Path(name string) string { return filepath.Join(string(b), name) }

// Check says which binary is missing.
func (b Binaries) Check(names ...string) error {
	for _, name := range names {
		if _, err := os.Stat(b.Path(name)); err != nil {
			return fmt.Errorf("cannot find %s: %w (build it with: make build)", name, err)
		}
	}
	return nil
}

// Person is somebody of the deployment, with roles in the policy and, under
// the same names, on the server.
type Person struct {
	Name  string
	Roles []string
}

// Plan is who takes part and how many reviewers a hook needs.
type Plan struct {
	Profile   string
	Reviewers int
	Persons   []Person
}

// Solo is one person on one machine: author and operator, nobody to review.
func Solo(name string) Plan {
	return Plan{"solo", 0, []Person{{name, []string{"author", "operator"}}}}
}

// Team is an author and two reviewers, of whom a hook needs both; one of them
// may revoke.
func Team() Plan {
	return Plan{"team", 2, []Person{
		{"alice", []string{"author", "operator"}},
		{"bob", []string{"reviewer"}},
		{"carol", []string{"reviewer", "revoker"}},
	}}
}

// Deployment is one server with its offline folder, people and peers.
type Deployment struct {
	Dir    string
	Bin    Binaries
	Plan   Plan
	Server *Process
	HTTP   string // base URL
	GRPC   string // host:port

	// Passphrase opens the private keys that the deployment makes.
	Passphrase string

	// Store is where the server keeps everything: the address of a MongoDB
	// database, or "" for the embedded store. It is remembered.
	Store string
}

// New is the deployment of a folder, an empty one or one that a deployment
// was founded in before; nothing runs yet.
func New(dir string, bin Binaries) (*Deployment, error) {
	if err := bin.Check("hookline", "hooklined", "hookline-peer", "hookline-sandbox"); err != nil {
		return nil, err
	}
	d := &Deployment{Dir: dir, Bin: bin, Passphrase: "of throw-away keys"} //nolint:gosec // of keys that go with the folder
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := d.recallStore(); err != nil {
		return nil, err
	}
	return d, d.recallAddresses()
}

// storeFile holds the store's address, which may have a password.
const storeFile = "store.address"

func (d *Deployment) recallStore() error {
	b, err := os.ReadFile(d.Path(storeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	d.Store = strings.TrimSpace(string(b))
	return err
}

// recallAddresses reads the addresses of an earlier start: peers that enrolled
// then know no others.
func (d *Deployment) recallAddresses() error {
	b, err := os.ReadFile(d.Path("addresses"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		_, err = fmt.Sscanf(string(b), addressFormat, &d.HTTP, &d.GRPC)
	}
	if err != nil {
		return fmt.Errorf("cannot read the addresses of the last start: %w", err)
	}
	return nil
}

const addressFormat = "http=%s grpc=%s"

// Founded reports whether keys, policy and accounts are there already.
func (d *Deployment) Founded() bool {
	_, err := os.Stat(d.Path("admin.token"))
	return err == nil
}

// Path is a path inside the deployment's folder.
func (d *Deployment) Path(parts ...string) string {
	return filepath.Join(append([]string{d.Dir}, parts...)...)
}

// Found makes keys, policy and trust metadata, starts the server and gives
// everybody a token.
func (d *Deployment) Found(ctx context.Context, plan Plan) error {
	for _, step := range []func(context.Context, Plan) error{d.MakeKeys, d.MakePolicy, d.MakeTrust, d.startFirst, d.MakeTokens} {
		if err := step(ctx, plan); err != nil {
			return err
		}
	}
	return nil
}

// MakeKeys makes each person's key pair: NAME.key and NAME.pub.
func (d *Deployment) MakeKeys(ctx context.Context, plan Plan) error {
	for _, p := range plan.Persons {
		if _, err := d.Hookline(ctx, "", "key", "generate", d.Path(p.Name)); err != nil {
			return err
		}
	}
	return nil
}

// MakePolicy makes the offline folder with policy and setup key.
func (d *Deployment) MakePolicy(ctx context.Context, plan Plan) error {
	d.Plan = plan
	args := []string{"policy", "init", "--dir", d.Offline(), "--profile", plan.Profile, "--reviewers", fmt.Sprint(plan.Reviewers)}
	for _, p := range plan.Persons {
		args = append(args, "--person", fmt.Sprintf("%s=%s:%s", p.Name, d.Path(p.Name+".pub"), strings.Join(p.Roles, ",")))
	}
	_, err := d.Hookline(ctx, "", args...)
	return err
}

func (d *Deployment) startFirst(ctx context.Context, _ Plan) error { return d.StartServer(ctx) }

// MakeTokens gives each person an account and a token, NAME.token, and signs
// them in: their own configuration remembers the root of the offline folder.
func (d *Deployment) MakeTokens(ctx context.Context, plan Plan) error {
	if err := d.takeAdminToken(); err != nil {
		return err
	}
	for _, p := range plan.Persons {
		var token struct{ Secret string }
		if err := d.JSON(ctx, "admin", &token, "token", "create", "--user", p.Name, "--role", strings.Join(p.serverRoles(), ","), "--days", "30"); err != nil {
			return err
		}
		if err := os.WriteFile(d.Path(p.Name+".token"), []byte(token.Secret+"\n"), 0o600); err != nil {
			return err
		}
		if _, err := d.Hookline(ctx, p.Name, "login", "--dir", d.Offline()); err != nil {
			return err
		}
	}
	return nil
}

// takeAdminToken moves the first token away from the server, whose folder may
// be on another disk.
func (d *Deployment) takeAdminToken() error {
	secret, err := os.ReadFile(d.Path("server", "admin.token"))
	if errors.Is(err, fs.ErrNotExist) && d.Store != "" {
		return errors.New("the database has users already: name an empty one in the store's address")
	}
	if err == nil {
		err = os.WriteFile(d.Path("admin.token"), secret, 0o600)
	}
	if err != nil {
		return err
	}
	return os.Remove(d.Path("server", "admin.token"))
}

// StartServer starts hooklined; a second start uses the ports of the first.
func (d *Deployment) StartServer(ctx context.Context) error {
	grpc, http := "127.0.0.1:0", "127.0.0.1:0"
	if d.GRPC != "" {
		grpc, http = d.GRPC, strings.TrimPrefix(d.HTTP, "http://")
	}
	argv := []string{
		d.Bin.Path("hooklined"), "serve", "--data", d.Path("server"), "--trust", d.TrustFile(),
		"--setup-keys", d.Path("offline", "setup-keys.txt"), "--grpc", grpc, "--http", http,
	}
	if d.Store != "" {
		if err := os.WriteFile(d.Path(storeFile), []byte(d.Store+"\n"), 0o600); err != nil {
			return err
		}
		argv = append(argv, "--store-file", d.Path(storeFile))
	}
	p, err := start(ctx, d.Path("server.log"), d.env(""), "hooklined ready", argv...)
	if err != nil {
		return err
	}
	d.Server = p
	if d.GRPC != "" {
		return nil // a second start: others may be reading the addresses
	}
	addresses := strings.TrimPrefix(p.Ready, "hooklined ready ")
	if _, err := fmt.Sscanf(addresses, addressFormat, &d.HTTP, &d.GRPC); err != nil {
		return fmt.Errorf("cannot read the server's ready line %q: %w", p.Ready, err)
	}
	return os.WriteFile(d.Path("addresses"), []byte(addresses+"\n"), 0o600)
}

// Hookline runs the CLI as a person ("" is nobody) and returns its standard
// output; an exit code other than 0 is an error with what it printed.
func (d *Deployment) Hookline(ctx context.Context, user string, args ...string) (string, error) {
	a, err := d.Try(ctx, user, args...)
	if err == nil && a.Code != 0 {
		err = fmt.Errorf("hookline %s: exit %d\n%s%s", strings.Join(args, " "), a.Code, a.Stdout, a.Stderr)
	}
	return a.Stdout, err
}

// Try is Hookline for a command that may be refused.
func (d *Deployment) Try(ctx context.Context, user string, args ...string) (Answer, error) {
	return run(ctx, d.env(user), "", append([]string{d.Bin.Path("hookline")}, args...)...)
}

// Serve starts a command of the CLI that stays, as a person, and waits for the
// line on its standard output that begins with ready.
func (d *Deployment) Serve(ctx context.Context, user, ready string, args ...string) (*Process, error) {
	return start(ctx, d.Path(user+"-"+args[0]+".log"), d.env(user), ready, append([]string{d.Bin.Path("hookline")}, args...)...)
}

// JSON runs the CLI with --output json and decodes what it printed.
func (d *Deployment) JSON(ctx context.Context, user string, into any, args ...string) error {
	out, err := d.Hookline(ctx, user, append(args, "--output", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("cannot decode what hookline %s printed: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// env is a small environment of our own; nothing of the caller's leaks in.
func (d *Deployment) env(user string) []string {
	env := []string{
		"PATH=" + string(d.Bin) + ":/usr/bin:/bin:/usr/sbin:/sbin",
		"HOME=" + d.Dir,
		"HOOKLINE_PASSPHRASE=" + d.Passphrase,
		"HOOKLINE_SERVER=" + d.HTTP,
	}
	if user != "" {
		env = append(env, "XDG_CONFIG_HOME="+d.Path("config", user)) // people have machines of their own
		if secret, err := os.ReadFile(d.Path(user + ".token")); err == nil {
			env = append(env, "HOOKLINE_TOKEN="+strings.TrimSpace(string(secret)))
		}
	}
	return env
}

// Stop ends the server as a service manager does.
func (d *Deployment) Stop() error {
	if d.Server == nil {
		return nil
	}
	return d.Server.Stop()
}
