package confine

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlock forbids the file system and the network but for reading under the
// given paths. What lies in /proc and /sys is allowed as a whole there, since
// the kernel makes those files anew at every look and a rule would be lost;
// the broker's own rules are exact.
func landlock(paths []string) error {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return fmt.Errorf("the kernel has no landlock: %w", errno)
	}
	attr := handled(int(abi))
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
		return errno
	}
	defer func() { _ = unix.Close(int(fd)) }()
	for _, p := range paths {
		if err := allowReading(int(fd), p); err != nil {
			return err
		}
	}
	return onAllThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0)
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

// allowReading adds a rule for a declared path. One that does not exist, or
// is out of reach, needs none.
func allowReading(ruleset int, declared string) error {
	p := strings.TrimSuffix(strings.TrimSuffix(declared, "/**"), "/*")
	for _, root := range []string{"/proc", "/sys"} {
		if strings.HasPrefix(p, root+"/") {
			p = root
		}
	}
	fd, err := unix.Open(p, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	rule := unix.LandlockPathBeneathAttr{Allowed_access: unix.LANDLOCK_ACCESS_FS_READ_FILE, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset),
		unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0) //nolint:gosec // a struct for the kernel
	if errno != 0 {
		return errno
	}
	return nil
}
