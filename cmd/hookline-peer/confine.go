package main

import (
	"os"
	"os/user"
	"strconv"
	"syscall"

	"hookline/internal/errs"
	"hookline/sandbox/confine"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// shutIn makes this process the network side: in its own folder, as its own
// user, able to read of the file system that folder and what a resolver needs.
// The folder may lie below others that the user cannot pass, so it is entered
// first.
func shutIn(dir string, uid, gid int) error {
	if err := os.Chdir(dir); err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot enter the network side's folder")
	}
	if uid >= 0 {
		if err := become(uid, gid); err != nil {
			return errs.Wrap(errs.CodeInternal, err, "cannot become user %d", uid)
		}
	}
	if os.Geteuid() == 0 {
		return errs.New(errs.CodeInternal, "the network side must not be root")
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot close the network side to its own user")
	}
	// Becoming another user clears what the guard asked of the kernel.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot bind the network side's life to the guard's")
	}
	// All of /etc, since resolv.conf is replaced when the network changes, and
	// a rule on one file does not follow that. A kernel without landlock leaves
	// what the user alone gives.
	err := landlock.V5.BestEffort().RestrictPaths(
		landlock.RWDirs("."),
		landlock.RODirs("/etc", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager").IgnoreIfMissing(),
	)
	if err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot confine the network side")
	}
	// Without root it is the owner's own user, whom the guard obeys: it is told
	// apart by its process, so there must be no other of it.
	if err := confine.Alone(); err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot keep the network side to one process")
	}
	return nil
}

// become gives root away for good, in all threads.
func become(uid, gid int) error {
	if err := syscall.Setgroups([]int{}); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	if err := syscall.Setuid(uid); err != nil {
		return err
	}
	if syscall.Setuid(0) == nil {
		return errs.New(errs.CodeInternal, "root could be taken back")
	}
	return nil
}

// groupOf is a user's own group, the number of the user where nobody knows.
func groupOf(uid int) uint32 {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return uint32(uid)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return uint32(uid)
	}
	return uint32(gid)
}
