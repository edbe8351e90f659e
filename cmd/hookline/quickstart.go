package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"hookline/internal/errs"
	"hookline/internal/onebox"
)

func newQuickstartCommand(a *app) *cobra.Command {
	var dir, store string
	c := &cobra.Command{
		Use:   "quickstart",
		Short: "One person on one machine: policy, server and peer, ready for a first hook",
		Long: `quickstart makes a deployment for one person on this machine: a key, a policy of
profile solo (your signature alone is enough, and each run asks you first), trust
metadata that your key signs, a server and a peer on loopback, opted in. It stays
in the foreground; Ctrl-C stops it, and running it again carries on in the same
folder and freshens the metadata, which holds for seven days.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				dir = filepath.Join(a.getenv("HOME"), ".local", "share", "hookline-quickstart")
			}
			if err := checkStore(store); err != nil {
				return err
			}
			return a.quickstart(c.Context(), dir, store)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the deployment (default ~/.local/share/hookline-quickstart)")
	c.Flags().StringVar(&store, "store", "", "address of an empty MongoDB database, mongodb://…, for a new deployment (default: the embedded store)")
	return c
}

func (a *app) quickstart(ctx context.Context, dir, store string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return errs.Wrap(errs.CodeBadInput, err, "cannot use the folder")
	}
	bin, err := binaries()
	if err != nil {
		return err
	}
	d, err := onebox.New(dir, bin)
	if err != nil {
		return errs.Wrap(errs.CodeUnavailable, err, "cannot start")
	}
	if err := useStore(d, store); err != nil {
		return err
	}
	me := personName()
	peer, err := a.startSolo(ctx, d, me)
	defer stopAll(d, peer)
	if err != nil {
		return errs.Wrap(errs.CodeUnavailable, err, "cannot start").
			WithHint("logs: %s", d.Path("server.log"))
	}
	trusted, err := d.Trusted()
	if err != nil {
		return err
	}
	if err := writeEnv(d, peer, me, trusted.Anchor().RootDigest); err != nil {
		return err
	}
	fmt.Fprint(a.out, nextSteps(d))
	return a.whileUp(ctx, d, peer)
}

// useStore gives a new deployment its store; one that is founded keeps its own.
func useStore(d *onebox.Deployment, store string) error {
	if store == "" || store == d.Store {
		return nil
	}
	if d.Founded() {
		return errs.New(errs.CodeConflict, "the deployment in %s has its store already", d.Dir).At("--store").
			WithHint("leave --store out, or give another folder with --dir")
	}
	d.Store = store
	return nil
}

// startSolo founds the deployment, or carries on with one that is there.
func (a *app) startSolo(ctx context.Context, d *onebox.Deployment, me string) (*onebox.Peer, error) {
	if err := passphrase(d); err != nil {
		return nil, err
	}
	plan := onebox.Solo(me)
	if d.Founded() {
		d.Plan = plan
		fmt.Fprintln(a.err, "starting the server again, and signing for the next seven days …")
		if err := d.StartServer(ctx); err != nil {
			return nil, err
		}
		if err := d.Freshen(ctx, me); err != nil {
			return nil, err
		}
	} else {
		fmt.Fprintln(a.err, "making your key, a solo policy that it signs, and the server …")
		if err := d.Found(ctx, plan); err != nil {
			return nil, err
		}
	}
	peer := d.Peer("peer")
	if peer.Enrolled() {
		return peer, peer.Start(ctx)
	}
	fmt.Fprintln(a.err, "enrolling this machine and opting it in: reports are sent, each hook asks first …")
	return d.AddPeer(ctx, "peer", "--send-reports=yes", "--hooks=ask")
}

// passphrase makes one for the key, once, in a file beside it: this folder is
// for trying Hookline, and whoever reads it could read the key anyway.
func passphrase(d *onebox.Deployment) error {
	path := d.Path("passphrase")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = []byte(rand.Text() + "\n")
		err = writeNew(path, b, 0o600)
	}
	if err != nil {
		return fileError(err, "cannot keep a passphrase for your key")
	}
	d.Passphrase = strings.TrimSpace(string(b))
	return nil
}

// personName is the user's name as a policy may have it.
func personName() string {
	u, err := user.Current()
	if err != nil {
		return "me"
	}
	name := regexp.MustCompile(`[^a-z0-9-]+`).ReplaceAllString(strings.ToLower(u.Username), "-")
	if name = strings.Trim(name, "-"); name == "" || name == "admin" {
		return "me"
	}
	return name
}

// writeEnv writes what a second terminal needs: the server's address and the root
// of trust, token and key, where the peer's state is.
func writeEnv(d *onebox.Deployment, peer *onebox.Peer, me, root string) error {
	token, err := os.ReadFile(d.Path(me + ".token"))
	if err != nil {
		return fileError(err, "cannot read your token")
	}
	env := fmt.Sprintf("export PATH=%s:\"$PATH\"\n", shellQuote(string(d.Bin)))
	for _, v := range [][2]string{
		{"HOOKLINE_SERVER", d.HTTP},
		{"HOOKLINE_TRUST_ROOT", root},
		{"HOOKLINE_TOKEN", strings.TrimSpace(string(token))},
		{"HOOKLINE_KEY", d.Path(me + ".key")},
		{"HOOKLINE_PASSPHRASE", d.Passphrase},
		{"HOOKLINE_PEER_STATE", peer.State()},
	} {
		env += fmt.Sprintf("export %s=%s\n", v[0], shellQuote(v[1]))
	}
	return writePrivate(d.Path("env"), []byte(env))
}

// shellQuote makes any text one word of a shell, which runs nothing of it.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func nextSteps(d *onebox.Deployment) string {
	return fmt.Sprintf(`
Ready. Server %s, deployment in %s.

In a second terminal:

  . %s
  hookline-peer exec -- YOUR-PROGRAM      # files a report when it crashes
  hookline hook init first --job latest   # a hook for that problem, in ./first
  hookline hook test first --report first/report.json --live --yes
  hookline hook submit first --key "$HOOKLINE_KEY"
  hookline hook activate first@1 --quantity 5
  hookline-peer pending                   # the run waits for your yes: prints its ID
  hookline-peer allow-once ID
  hookline result list --job latest
  hookline open /jobs/latest              # the page: report and new fields side by side
  hookline trust freshen --dir %s --key "$HOOKLINE_KEY" --yes

Do the last one again before a week is over: your signature says that nothing was
revoked behind the machines' backs, and without a fresh one they run no hook.

Ctrl-C here stops server and peer; run quickstart again to carry on (it freshens, too).
`, d.HTTP, d.Dir, shellWord(d.Path("env")), shellWord(d.Offline()))
}

// shellWord quotes a path that a shell would take apart.
func shellWord(path string) string {
	if regexp.MustCompile(`^[\w./~+-]+$`).MatchString(path) {
		return path
	}
	return shellQuote(path)
}

// whileUp waits for Ctrl-C, or says which process ended.
func (a *app) whileUp(ctx context.Context, d *onebox.Deployment, peer *onebox.Peer) error {
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.err, "stopping …")
		return nil
	case <-d.Server.Done():
		return errs.New(errs.CodeUnavailable, "the server ended").WithHint("its log: %s", d.Path("server.log"))
	case <-peer.Done():
		return errs.New(errs.CodeUnavailable, "the peer ended").WithHint("its log: %s", d.Path("peer.log"))
	}
}

func stopAll(d *onebox.Deployment, peer *onebox.Peer) {
	if peer != nil && peer.Process != nil {
		_ = peer.Stop()
	}
	_ = d.Stop()
}
