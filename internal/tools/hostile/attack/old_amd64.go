package attack

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// oldAttacks are calls by numbers that newer architectures do not have, which
// a list of what is forbidden would easily forget.
func oldAttacks() []Attack {
	named := func(nr uintptr, args ...uintptr) func(Aim) error {
		return func(a Aim) error {
			path, err := unix.BytePtrFromString(a.own())
			if err != nil {
				return err
			}
			return call(nr, append([]uintptr{uintptr(unsafe.Pointer(path))}, args...)...) //nolint:gosec // a name for the kernel
		}
	}
	return slicesOf(
		Attack{Name: "old-open", What: "open an own file for writing, by the old call", try: named(unix.SYS_OPEN, unix.O_WRONLY, 0)},
		Attack{Name: "old-creat", What: "create a file, by the old call", try: named(unix.SYS_CREAT, 0o644)},
		Attack{Name: "old-chmod", What: "change a mode, by the old call", try: named(unix.SYS_CHMOD, 0o777)},
		Attack{Name: "old-chown", What: "set an owner, by the old call", try: named(unix.SYS_CHOWN, ^uintptr(0), ^uintptr(0))},
		Attack{Name: "old-utime", What: "change times, by the old call", try: named(unix.SYS_UTIME, 0)},
		Attack{Name: "old-unlink", What: "remove a file, by the old call", try: named(unix.SYS_UNLINK)},
		Attack{Name: "old-fork", What: "start a process, by the old call", try: func(Aim) error {
			pid, _, errno := syscall.RawSyscall(unix.SYS_FORK, 0, 0, 0)
			return forked(pid, errno)
		}},
		Attack{Name: "old-x32", What: "make a call of the x32 kind", try: func(Aim) error { return call(0x40000000 | unix.SYS_GETPID) }},
		Attack{Name: "ioperm", What: "reach the machine's ports", try: func(Aim) error { return unix.Ioperm(0x80, 1, 1) }},
	)
}
