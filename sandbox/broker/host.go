package broker

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"hookline/hooks"
	"hookline/sandbox"
	"hookline/sandbox/calls"
)

// Host looks at this machine. It implements calls.Host.
type Host struct {
	guard
	proc int    // a handle on /proc, 0 for none yet
	buf  []byte // what was read last
}

// wellKnown are links that systems put in place of real files, with the
// targets that are followed without a capability of their own: what is read
// is what the path means to everybody.
func wellKnown() map[string][]string {
	return map[string][]string{
		"/etc/os-release": {"/usr/lib/os-release"},
		"/etc/resolv.conf": {
			"/run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/resolv.conf",
			"/run/resolvconf/resolv.conf", "/run/NetworkManager/resolv.conf", "/run/connman/resolv.conf",
		},
		"/etc/hostname": {"/run/hostname"},
	}
}

// ReadFile reads a regular file. The last part of the path may be a link,
// followed once, to a path that the capabilities allow as well or that
// wellKnown lists; a link anywhere before it is refused. /proc/mounts and
// /proc/net, which are links into the reader's own /proc entry, are read
// there: they are the machine's, not the reader's.
//
// The file is first opened as a path only, which has no effect on devices and
// pipes, then looked at, then opened for reading through that very handle: what
// is read is what was looked at. A file with several hard links is refused,
// since it may be one from elsewhere.
func (h *Host) ReadFile(p string, rules calls.Rules) ([]byte, error) {
	if b, ok, err := h.readKernel(p); ok {
		return b, err
	}
	o, err := h.open(p, rules)
	if err != nil {
		return nil, err
	}
	defer o.close()
	if err := checkRegular(o.fd); err != nil {
		return nil, err
	}
	b, err := h.readThrough(o.fd)
	if err != nil {
		return nil, err
	}
	return b, o.still()
}

// open opens a path as a path only, where a link in the last place is followed
// once, to what the rules open as well.
func (h *Host) open(p string, rules calls.Rules) (opened, error) {
	o, err := openOwned(p, rules)
	if err != nil {
		return opened{}, err
	}
	target, err := linkTarget(o.fd, p)
	if err == nil && target == "" {
		return o, nil
	}
	o.close()
	if err == nil {
		err = checkTarget(p, target, rules)
	}
	if err != nil {
		return opened{}, err
	}
	return openOwned(target, rules)
}

// readKernel reads a file of /proc in one step, false where that will not do.
// There are no devices and pipes in the kernel's own file system, and nothing
// but it is looked at: neither links nor what is mounted over it.
func (h *Host) readKernel(p string) ([]byte, bool, error) {
	file, ok := strings.CutPrefix(p, "/proc/")
	if _, _, ofProcess := hooks.ProcessPath(p); !ok || ofProcess {
		return nil, false, nil
	}
	if h.proc == 0 && !h.openProc() {
		return nil, false, nil
	}
	fd, err := unix.Openat2(h.proc, file, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return nil, false, nil // the long way finds out why
	}
	defer shut(fd)
	b, err := h.readOpen(fd) // what is no file there is a folder, and cannot be read
	return b, true, err
}

// openProc opens the kernel's own file system, if it is that.
func (h *Host) openProc() bool {
	fd, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	var st unix.Stat_t
	// Its root has this number in every mount of it (PROC_ROOT_INO).
	if unix.Fstat(fd, &st) != nil || st.Ino != 1 || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		shut(fd)
		return false
	}
	h.proc = fd
	return true
}

// ownView maps the links of /proc into the reader's own entry to that entry.
func ownView(p string) string {
	own := fmt.Sprintf("/proc/%d", os.Getpid())
	if p == "/proc/mounts" {
		return own + "/mounts"
	}
	if rest, ok := strings.CutPrefix(p, "/proc/net/"); ok {
		return own + "/net/" + rest
	}
	return p
}

// ownProc is the broker's own entry in /proc, which is never read by name.
func ownProc() []string { return []string{fmt.Sprintf("/proc/%d", os.Getpid())} }

// openPath opens a clean absolute path as a path only, without following any
// link: a link in the last place is opened itself.
func openPath(p string) (int, error) {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer shut(root)
	return openBeneath(root, p[1:])
}

// openBeneath is openPath for a path below a folder.
func openBeneath(folder int, p string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for range 8 { // a renamed folder on the way asks for another try
		fd, err := unix.Openat2(folder, p, &how)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		return fd, reason(err)
	}
	return -1, calls.Failed("the file system is changing under it")
}

// reason is an error of the system as the hook hears it.
func reason(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ESRCH):
		return calls.Failed("no such file")
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return calls.Failed("the system does not permit it")
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		return calls.Denied("a folder of the path is a link")
	case errors.Is(err, unix.EAGAIN):
		return calls.Failed("nothing to read now")
	case errors.Is(err, unix.EISDIR):
		return calls.Denied("not a regular file")
	}
	return calls.Failed("cannot read the file")
}

// linkTarget is the absolute path that a link leads to, "" for no link.
func linkTarget(fd int, p string) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", reason(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", nil
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", calls.Denied("a link that cannot be followed")
	}
	target := string(buf[:n])
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(p), target)
	}
	return path.Clean(target), nil
}

// checkTarget refuses where a link leads, unless the target may be read.
func checkTarget(link, target string, rules calls.Rules) error {
	if slices.Contains(wellKnown()[link], target) {
		if err := rules.CheckDenied(target); err != nil {
			return err
		}
		return nil
	}
	if err := rules.Check(target); err != nil {
		return calls.Denied("a link to " + calls.Clip(calls.Printable(target), 80) + ": " + err.Message)
	}
	return nil
}

func checkRegular(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return reason(err)
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return calls.Denied("a link to a link")
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return calls.Denied("not a regular file")
	case st.Nlink != 1:
		return calls.Denied("the file has several names (hard links)")
	case st.Size > sandbox.MaxReadBytes:
		return calls.TooLarge()
	}
	return nil
}

// shut closes a descriptor that was only read: nothing can be lost.
func shut(fd int) { _ = unix.Close(fd) }

// readThrough opens what a path handle points at for reading, and reads it.
func (h *Host) readThrough(fd int) ([]byte, error) {
	open, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, reason(err)
	}
	defer shut(open)
	return h.readOpen(open)
}

// readOpen reads an open file to its end, into a buffer that the next read
// uses again.
func (h *Host) readOpen(fd int) ([]byte, error) {
	if h.buf == nil {
		h.buf = make([]byte, 16<<10)
	}
	size := 0
	for {
		if size == len(h.buf) {
			h.buf = append(h.buf, make([]byte, len(h.buf))...)
		}
		n, err := unix.Read(fd, h.buf[size:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, reason(err)
		case n == 0:
			return h.buf[:size], nil
		}
		if size += n; size > sandbox.MaxReadBytes {
			return nil, calls.TooLarge()
		}
	}
}

var _ calls.Host = (*Host)(nil)
