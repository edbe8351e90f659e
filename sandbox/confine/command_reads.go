package confine

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"hookline/hooks"
	"hookline/sandbox/rooted"
)

// allowRead opens what a command may read: a regular file, or a folder with
// all below. A link is followed only where root alone has made it, and not to
// what is never read. What does not exist needs no rule. It returns a handle
// that must stay open, -1 for none. The error has the code denied where it
// would open what belongs to the peer.
func (r ruleset) allowRead(pattern string, peers own) (pin int, err error) {
	p, deep := strings.CutSuffix(pattern, "/**")
	fd, real, err := openSigned(p, deep)
	if err != nil {
		return -1, nil // the program will be refused it
	}
	pin, err = r.allowOpen(fd, real, deep, peers)
	if pin != fd {
		shut(fd)
	}
	return pin, err
}

func (r ruleset) allowOpen(fd int, real string, deep bool, peers own) (pin int, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, err
	}
	if peers.opened(real, &st) {
		return -1, refused("the program could read what belongs to the peer itself")
	}
	kernels := strings.HasPrefix(real, "/proc/") || strings.HasPrefix(real, "/sys/")
	var access uint64
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFREG && !deep && (st.Nlink == 1 || kernels || onlyRoot(real)):
		access = readFile
	case kind == unix.S_IFDIR && deep:
		access = readFile | readDir
	default:
		return -1, nil
	}
	if err := r.allow(fd, access); err != nil || !kernels {
		return -1, err
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	return fd, err
}

// onlyRoot reports whether only root can have put a file there: one with
// several names may otherwise be one from elsewhere.
func onlyRoot(p string) bool {
	_, _, err := rooted.Resolve(p)
	return err == nil
}

// openSigned opens a signed path as a path only, and says where it really is.
// Where a link is in it, its last part included, all of it must be root's
// alone, and what is never read is not read by another name either.
func openSigned(p string, deep bool) (fd int, real string, err error) {
	fd, err = openPlain(p)
	if err == nil && !isLink(fd) {
		return fd, p, nil
	}
	if err == nil {
		shut(fd)
	}
	if real, _, err = rooted.Resolve(p); err != nil {
		return -1, "", err
	}
	pattern := real
	if deep {
		pattern = path.Join(real, "**")
	}
	if hooks.CheckReads(pattern) != "" {
		return -1, "", unix.EACCES
	}
	fd, err = openPlain(real)
	return fd, real, err
}

// openPlain opens a path without links as a path only; a link in the last
// place is opened itself.
func openPlain(p string) (int, error) {
	return unix.Openat2(unix.AT_FDCWD, p, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
}

func isLink(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK
}

// own is what belongs to the peer itself, and no program may read: by name, and
// by what the kernel knows files by, since a mount gives them other names.
type own struct {
	paths []string
	files map[fileID]bool // these
	above map[fileID]bool // the folders on the way to them
}

type fileID struct{ dev, ino uint64 }

func idOf(st *unix.Stat_t) fileID {
	return fileID{uint64(st.Dev), st.Ino} //nolint:unconvert // another type on other architectures
}

// lookAt looks at clean absolute paths. What is not there has a name only.
func lookAt(paths []string) own {
	o := own{paths: paths, files: map[fileID]bool{}, above: map[fileID]bool{}}
	for _, p := range paths {
		var st unix.Stat_t
		if unix.Lstat(p, &st) == nil {
			o.files[idOf(&st)] = true
		}
		for dir := path.Dir(p); ; dir = path.Dir(dir) {
			if unix.Lstat(dir, &st) == nil {
				o.above[idOf(&st)] = true
			}
			if dir == "/" || dir == "." {
				break
			}
		}
	}
	return o
}

// opened reports whether a file or folder, opened by its real path, is at,
// above or below one of the peer's own.
func (o own) opened(real string, st *unix.Stat_t) bool {
	for _, p := range o.paths {
		if p == real || strings.HasPrefix(p, real+"/") || strings.HasPrefix(real, p+"/") {
			return true
		}
	}
	if id := idOf(st); o.files[id] || o.above[id] {
		return true
	}
	for dir := path.Dir(real); dir != "/" && dir != "."; dir = path.Dir(dir) {
		var st unix.Stat_t
		if unix.Lstat(dir, &st) == nil && o.files[idOf(&st)] {
			return true
		}
	}
	return false
}
