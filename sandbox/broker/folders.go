package broker

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

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
	fd, err := h.open(dir, rules)
	if err != nil {
		return nil, err
	}
	defer shut(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, reason(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, calls.Denied("not a folder")
	}
	open, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, reason(err)
	}
	defer shut(open)
	return names(open)
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
	fd, err := openOwned(p, rules)
	if err != nil {
		return wire.FileInfo{}, err
	}
	defer shut(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return wire.FileInfo{}, reason(err)
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

// openOwned opens a path as a path only. Where the capability is one for
// processes of a certain user, it goes through a handle on the process, which
// stays that process's whoever gets its number next.
func openOwned(p string, rules calls.Rules) (int, error) {
	owner, must := rules.Owner(p)
	if !must {
		return openPath(ownView(p))
	}
	pid, file, ok := hooks.ProcessPath(p)
	if _, err := strconv.Atoi(pid); !ok || err != nil {
		return -1, calls.Denied("no path of a process")
	}
	process, err := openPath("/proc/" + pid)
	if err != nil {
		return -1, err
	}
	defer shut(process)
	var st unix.Stat_t
	if err := unix.Fstat(process, &st); err != nil {
		return -1, reason(err)
	}
	if st.Uid != owner {
		return -1, calls.Denied("the process does not belong to the user who filed the report")
	}
	return openBeneath(process, file)
}
