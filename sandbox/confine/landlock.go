package confine

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"hookline/sandbox"
)

// What a rule may open.
const (
	readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readDir  = unix.LANDLOCK_ACCESS_FS_READ_DIR
	execute  = unix.LANDLOCK_ACCESS_FS_EXECUTE
)

// ruleset is a set of landlock rules in the making. Without any rule it
// forbids the whole file system; the network it always forbids.
type ruleset struct{ fd int }

// newRuleset makes one that handles all that the kernel's version can forbid.
// What older versions cannot is covered by seccomp: truncation (before 3), the
// network (4), ioctl on devices (5), signals and abstract sockets (6).
func newRuleset() (ruleset, error) {
	abi, err := LandlockABI()
	if err != nil {
		return ruleset{}, missing(sandbox.LayerLandlock, err)
	}
	abi = capABI(abi)
	attr := handled(abi)
	size := unsafe.Sizeof(unix.LandlockRulesetAttr{}.Handled_access_fs)
	if abi >= 4 {
		size += unsafe.Sizeof(attr.Handled_access_net)
	}
	if abi >= 6 {
		size += unsafe.Sizeof(attr.Scoped)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET,
		uintptr(unsafe.Pointer(&attr)), size, 0) //nolint:gosec // a struct for the kernel
	if errno != 0 {
		return ruleset{}, errno
	}
	return ruleset{int(fd)}, nil
}

// LandlockABI is the version of landlock that the kernel has.
func LandlockABI() (int, error) {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case errors.Is(errno, unix.ENOSYS):
		return 0, errors.New("the kernel has no landlock")
	case errors.Is(errno, unix.EOPNOTSUPP):
		return 0, errors.New("landlock is switched off on this kernel")
	case errno != 0:
		return 0, fmt.Errorf("the kernel does not let landlock be used: %w", errno)
	}
	return int(abi), nil
}

// handled is everything that the kernel's version of landlock can forbid and
// that this program knows.
func handled(abi int) unix.LandlockRulesetAttr {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_REFER - 1}
	if abi >= 2 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
}

// allow adds a rule for the file or folder of a handle, and all below it.
func (r ruleset) allow(fd int, access uint64) error {
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(r.fd),
		unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0) //nolint:gosec // a struct for the kernel
	if errno != 0 {
		return errno
	}
	return nil
}

// allowPattern adds a rule for a path as capabilities have it. One that does
// not exist, or is out of reach, needs none. What lies in /proc and /sys is
// allowed as a whole, since the kernel makes those files anew at every look
// and a rule would be lost; the broker's own rules are exact.
func (r ruleset) allowPattern(pattern string, access uint64) error {
	p := strings.TrimSuffix(strings.TrimSuffix(pattern, "/**"), "/*")
	for _, root := range []string{"/proc", "/sys"} {
		if strings.HasPrefix(p, root+"/") {
			p = root
		}
	}
	fd, err := unix.Open(p, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer shut(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &^= readDir // files have no such right
	}
	if access == 0 {
		return nil
	}
	return r.allow(fd, access)
}

// restrict puts the rules in force on all threads.
func (r ruleset) restrict() error {
	defer shut(r.fd)
	return onAllThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(r.fd), 0)
}

// landlock forbids the file system and the network but for reading files and
// listing folders by the given patterns.
func landlock(read, list []string) error {
	r, err := newRuleset()
	if err != nil {
		return err
	}
	for _, p := range read {
		if err := r.allowPattern(p, readFile); err != nil {
			return err
		}
	}
	for _, p := range list {
		if err := r.allowPattern(p, readDir); err != nil {
			return err
		}
	}
	return r.restrict()
}

// shut closes a descriptor through which nothing was written.
func shut(fd int) { _ = unix.Close(fd) }
