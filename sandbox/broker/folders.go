package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"hookline/hooks"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// List lists a folder, without "." and "..". Links on the way are as in
// ReadFile; a folder of the broker's own view of the system (/proc/net) is
// listed there.
func (h *Host) List(dir string, rules calls.Rules) ([]string, error) {
	o, err := h.open(dir, rules)
	if err != nil {
		return nil, err
	}
	defer o.close()
	var st unix.Stat_t
	if err := unix.Fstat(o.fd, &st); err != nil {
		return nil, reason(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, calls.Denied("not a folder")
	}
	open, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", o.fd), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, reason(err)
	}
	defer shut(open)
	all, err := names(open)
	if err != nil {
		return nil, err
	}
	return all, o.still()
}

// names reads the names of an open folder, sorted.
func names(fd int) ([]string, error) {
	var all []string
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, reason(err)
		case n == 0:
			slices.Sort(all)
			return all, nil
		}
		_, _, all = unix.ParseDirent(buf[:n], -1, all)
		if len(all) > sandbox.MaxListed {
			return nil, calls.TooMany()
		}
	}
}

// Stat looks at a path without opening it. A link in the last place is itself
// looked at, so that nothing is told of where it leads.
func (h *Host) Stat(p string, rules calls.Rules) (wire.FileInfo, error) {
	o, err := openOwned(p, rules)
	if err != nil {
		return wire.FileInfo{}, err
	}
	defer o.close()
	var st unix.Stat_t
	if err := unix.Fstat(o.fd, &st); err != nil {
		return wire.FileInfo{}, reason(err)
	}
	if err := o.still(); err != nil {
		return wire.FileInfo{}, err
	}
	return wire.FileInfo{
		Type: kind(st.Mode), Size: st.Size, Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid,
		Links: uint64(st.Nlink), ModTime: st.Mtim.Sec, //nolint:unconvert // another type on arm64
	}, nil
}

func kind(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "link"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "device"
}

// opened is a path that was opened as a path only, and the process that it
// belongs to, where it has to be one of a certain user.
type opened struct {
	fd      int
	process int // a handle on /proc/<pid>, -1 for none
	owner   uint32
}

func (o opened) close() {
	shut(o.fd)
	if o.process >= 0 {
		shut(o.process)
	}
}

// still reports, after a look, whether the process belongs to that user all
// the while: one that has run a program of root's meanwhile is root's.
func (o opened) still() error {
	if o.process < 0 {
		return nil
	}
	return checkOwner(o.process, o.owner)
}

func checkOwner(process int, owner uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(process, &st); err != nil {
		return reason(err)
	}
	if st.Uid != owner {
		return calls.Denied("the process does not belong to the user who filed the report")
	}
	return nil
}

// openOwned opens a path as a path only. Where the capability is one for
// processes of a certain user, it goes through a handle on the process, which
// stays that process's whoever gets its number next.
func openOwned(p string, rules calls.Rules) (opened, error) {
	pid, file, ofProcess := hooks.ProcessPath(p)
	owner, must := rules.Owner(p)
	switch {
	case !ofProcess && must:
		return opened{}, calls.Denied("no path of a process")
	case !ofProcess:
		fd, err := openPath(ownView(p))
		return opened{fd: fd, process: -1}, err
	}
	process, err := openPath("/proc/" + pid)
	if err != nil {
		return opened{}, err
	}
	if err := checkLeader(process, pid); err != nil {
		shut(process)
		return opened{}, err
	}
	if must {
		err = checkOwner(process, owner)
	}
	fd := -1
	if err == nil {
		fd, err = openBeneath(process, file)
	}
	if err != nil || !must {
		shut(process)
		process = -1
	}
	return opened{fd: fd, process: process, owner: owner}, err
}

// checkLeader refuses the number of a thread: what belongs to the peer is
// known by the numbers of its processes.
func checkLeader(process int, pid string) error {
	fd, err := unix.Openat(process, "status", unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return reason(err)
	}
	defer shut(fd)
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return reason(err)
	}
	_, rest, _ := strings.Cut(string(buf[:n]), "\nTgid:\t")
	if leader, _, ok := strings.Cut(rest, "\n"); !ok || leader != pid {
		return calls.Denied("the number is one of a thread, not of a process")
	}
	return nil
}
