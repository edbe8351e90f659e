package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"hookline/internal/errs"
	"hookline/internal/guard"
	"hookline/internal/guardwire"
	"hookline/internal/peer"
	"hookline/sandbox"
	"hookline/sandbox/rooted"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the guard and its network side until a signal ends them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return a.run(ctx)
		},
	}
}

func (a *app) run(ctx context.Context) error {
	if err := a.makeState(); err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(a.err, nil)).With("part", "guard")
	opts, err := a.liveOptions(log)
	if err != nil {
		return err
	}
	var g *guard.Guard
	err = patiently(ctx, func() (err error) {
		g, err = guard.Open(opts)
		return err
	})
	if err != nil {
		return err
	}
	child, err := a.networkSide()
	if err == nil {
		err = g.Run(ctx, child)
	}
	return errors.Join(err, g.Close())
}

// liveOptions are the options of a guard that runs hooks.
func (a *app) liveOptions(log *slog.Logger) (guard.Options, error) {
	opts := a.guardOptions(log)
	binary, err := sandbox.FindBinary()
	if err != nil {
		return opts, err
	}
	if err := onlyRoots(binary); err != nil {
		return opts, err
	}
	service := serviceIdentity()
	opts.Sandbox = func(s guard.Setting) guard.Sandbox {
		return &sandbox.Runner{
			Binary: binary, Deny: append([]string{a.state}, s.Deny...), Without: s.Without,
			Service: service, Reporter: reporterIdentity(s.Filer),
		}
	}
	var once sync.Once
	opts.OnConnected = func() { once.Do(func() { fmt.Fprintln(a.out, "hookline-peer ready") }) }
	if os.Geteuid() != 0 {
		// The network side is the same user's then: it must not be able to
		// look into the guard's memory.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return opts, errs.Wrap(errs.CodeInternal, err, "cannot close the guard to its own user")
		}
	}
	return opts, nil
}

// onlyRoots refuses, to a guard that is root, a program that somebody else
// could change.
func onlyRoots(program string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := rooted.Executable(program); err != nil {
		return errs.Wrap(errs.CodeSandboxUnconfined, err, "cannot use %s as root", program).
			WithHint("hookline-peer doctor; put it where only root can write, for example in /usr/local/bin")
	}
	return nil
}

// networkSide is this program again, under its hidden command.
func (a *app) networkSide() (guard.Child, error) {
	self, err := os.Executable()
	if err != nil {
		return guard.Child{}, errs.Wrap(errs.CodeInternal, err, "cannot find this program")
	}
	uid, gid := networkIdentity()
	if err := a.giveNet(uid, gid); err != nil {
		return guard.Child{}, err
	}
	return guard.Child{Program: self, Args: []string{"network"}, Dir: a.netDir(), UID: uid, GID: gid, Stderr: a.err}, nil
}

// networkCommand is what the guard starts as its child; it is of no use to
// people.
func (a *app) networkCommand() *cobra.Command {
	var dir string
	var uid, gid int
	cmd := &cobra.Command{
		Use: "network", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := shutIn(dir, uid, gid); err != nil {
				return err
			}
			conn, err := guardwire.Inherited(3)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(a.err, nil)).With("part", "network")
			return peer.Run(cmd.Context(), peer.Config{Dir: ".", Guard: conn, Version: version, Log: log})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "its folder")
	cmd.Flags().IntVar(&uid, "uid", -1, "user to become")
	cmd.Flags().IntVar(&gid, "gid", -1, "group to become")
	return cmd
}
