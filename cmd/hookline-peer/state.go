package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guard"
	"hookline/internal/guardwire"
	"hookline/internal/source"
	"hookline/sandbox"
)

// Where root's peer keeps its state, and who its network side becomes.
const (
	systemState = "/var/lib/hookline-peer"
	networkUser = "hookline-peer"
	// networkID stands in where there is no such user yet: an id that no
	// distribution gives away, and not nobody's, whom hooks may run as.
	networkID = 64117
	// hooksUser is who root's hooks run as that were not signed for another
	// user, where it exists: never the network side's, whose key it could read.
	hooksUser = "hookline-hooks"
)

// stateVariable names the state folder where --state does not.
const stateVariable = "HOOKLINE_PEER_STATE"

func defaultState() string {
	if dir := os.Getenv(stateVariable); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return systemState
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "hookline-peer")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return systemState
	}
	return filepath.Join(home, ".local", "state", "hookline-peer")
}

func (a *app) guardDir() string { return filepath.Join(a.state, "guard") }
func (a *app) netDir() string   { return filepath.Join(a.state, "net") }

func (a *app) guardSocket() source.Guard {
	return source.Guard{Socket: filepath.Join(a.guardDir(), guard.SocketName)}
}

// makeState makes the state's folders. Root's may be passed through, to the
// guard's socket; what is inside is closed.
func (a *app) makeState() error {
	full, err := filepath.Abs(a.state)
	if err != nil {
		return errs.Wrap(errs.CodeBadInput, err, "cannot use the state folder")
	}
	a.state = full
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	err = os.MkdirAll(a.state, mode)
	if err == nil {
		err = os.MkdirAll(a.netDir(), 0o700)
	}
	if err != nil {
		return errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot make the state folder %s", a.state).
			WithHint("run it as root, or give a folder of your own: --state DIR")
	}
	return a.checkState()
}

// checkState refuses folders that somebody else could swap files in: root
// would then write, and give away, what a link there names.
func (a *app) checkState() error {
	uid, _ := networkIdentity()
	for dir, owners := range map[string][]int{a.state: {os.Geteuid()}, a.netDir(): {os.Geteuid(), uid, networkID}, a.guardDir(): {os.Geteuid()}} {
		info, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return errs.Wrap(errs.CodeForbidden, err, "cannot look at the state folder")
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || !info.IsDir() || !slices.Contains(owners, int(st.Uid)) || info.Mode().Perm()&0o002 != 0 {
			return errs.New(errs.CodeForbidden, "cannot use %s: it is not a folder that only user %d can change", dir, os.Geteuid()).
				WithHint("give a folder of your own: --state DIR")
		}
	}
	return nil
}

// networkIdentity is who the network side becomes: -1 is to stay, where we
// are not root.
func networkIdentity() (uid, gid int) {
	if os.Geteuid() != 0 {
		return -1, -1
	}
	u, err := user.Lookup(networkUser)
	if err != nil {
		return networkID, networkID
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if uidErr != nil || gidErr != nil || uid == 0 || gid == 0 {
		return networkID, networkID
	}
	return uid, gid
}

// serviceIdentity is who a hook is that was not signed to be another user:
// hooksUser's, else nobody, which is the zero Credential.
func serviceIdentity() sandbox.Credential {
	u, err := user.Lookup(hooksUser)
	if err != nil {
		return sandbox.Credential{}
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	network, networkGroup := networkIdentity()
	if uidErr != nil || gidErr != nil || int(uid) == network || int(gid) == networkGroup {
		return sandbox.Credential{}
	}
	return sandbox.Credential{UID: uint32(uid), GID: uint32(gid)}
}

// reporterIdentity is who filed a report, nobody where that is not known and
// for the network side's own user.
func reporterIdentity(f sandbox.Filer) sandbox.Credential {
	if network, _ := networkIdentity(); !f.Known || int64(f.UID) == int64(network) {
		return sandbox.Credential{}
	}
	return sandbox.Credential{UID: f.UID, GID: groupOf(int(f.UID))}
}

// giveNet hands the network side its folder and nothing else. Links in it are
// not followed.
func (a *app) giveNet(uid, gid int) error {
	if uid < 0 {
		return nil
	}
	if err := chownFlat(a.netDir(), uid, gid); err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot hand the network side its folder")
	}
	return nil
}

// chownFlat gives a folder and what is directly in it away.
func chownFlat(dir string, uid, gid int) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := root.Lchown(e.Name(), uid, gid); err != nil {
			return err
		}
	}
	return root.Lchown(".", uid, gid)
}

// guardOptions are a guard's on this machine.
func (a *app) guardOptions(log *slog.Logger) guard.Options {
	system := source.System{Root: "/"}
	hosts, users := system.Names()
	return guard.Options{
		Dir: a.guardDir(), Facts: system.Facts(), Redact: sandbox.Redaction{Hosts: hosts, Users: users},
		Now: a.now, Log: log, Sandbox: func(guard.Setting) guard.Sandbox { return noSandbox{} },
	}
}

// noSandbox stands where nothing may run: the owner's commands while the
// guard is not running.
type noSandbox struct{}

func (noSandbox) Run(context.Context, sandbox.Task) (sandbox.Outcome, error) {
	return sandbox.Outcome{}, errs.New(errs.CodeSandboxUnconfined, "cannot run a hook: no sandbox here")
}

// ask does an owner's request: by the running guard, else on its files.
func (a *app) ask(ctx context.Context, req guardwire.Request) (guardwire.Reply, error) {
	var reply guardwire.Reply
	err := patiently(ctx, func() (err error) {
		reply, err = a.guardSocket().Ask(ctx, req)
		if !errs.Is(err, errs.CodeGuardNotRunning) || req.Op == guardwire.OpFile {
			return err
		}
		return a.withoutGuard(func(g *guard.Guard) error {
			reply = g.Handle(guard.Caller{UID: os.Getuid()}, req)
			return source.ReplyError(reply)
		})
	})
	return reply, err
}

// withoutGuard does one thing with the guard's folder while no guard runs.
func (a *app) withoutGuard(do func(*guard.Guard) error) error {
	g, err := guard.Open(a.guardOptions(slog.New(slog.NewTextHandler(a.err, nil))))
	if err != nil {
		return err
	}
	err = do(g)
	return errors.Join(err, g.Close())
}

// patience is how long a command waits for another one, or for a guard that
// is just starting and does not answer yet: both hold the folder for moments.
const patience = 3 * time.Second

// patiently tries again while somebody else holds the guard's folder.
func patiently(ctx context.Context, try func() error) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	again := time.NewTicker(30 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if !errs.Is(err, errs.CodeStateHeld) {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

// file hands a report to the running guard.
func (a *app) file(ctx context.Context, from string, r hooks.Report) (string, error) {
	return a.guardSocket().File(ctx, from, r)
}
