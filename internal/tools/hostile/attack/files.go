package attack

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func fileAttacks() []Attack {
	return slicesOf(
		Attack{Name: "read-secret", What: "read a file that was not declared", try: func(a Aim) error { return read(filepath.Join(a.Dir, "secret")) }},
		Attack{Name: "list-folder", What: "list a folder that was not declared", try: func(a Aim) error { return list(a.Dir) }},
		Attack{Name: "read-environ", What: "read the guard's environment", try: func(a Aim) error { return read(a.proc("environ")) }},
		Attack{Name: "read-memory", What: "open the guard's memory", try: func(a Aim) error { return open(a.proc("mem"), unix.O_RDONLY) }},
		Attack{Name: "write-memory", What: "open the guard's memory for writing", try: func(a Aim) error { return open(a.proc("mem"), unix.O_RDWR) }},
		Attack{Name: "guard-root", What: "open the guard's root folder", try: func(a Aim) error { return open(a.proc("root/etc/passwd"), unix.O_RDONLY) }},
		Attack{Name: "write", What: "open an own file for writing", try: func(a Aim) error { return open(a.own(), unix.O_WRONLY) }},
		Attack{Name: "append", What: "open an own file for appending", try: func(a Aim) error { return open(a.own(), unix.O_RDWR|unix.O_APPEND) }},
		Attack{Name: "open-truncate", What: "open an own file, emptying it", try: func(a Aim) error { return open(a.own(), unix.O_RDONLY|unix.O_TRUNC) }},
		Attack{Name: "open2-write", What: "open an own file for writing, past filters of flags", try: func(a Aim) error { return open2(a.own(), unix.O_WRONLY) }},
		Attack{Name: "open2-truncate", What: "open an own file, emptying it, past filters of flags", try: func(a Aim) error { return open2(a.own(), unix.O_RDONLY|unix.O_TRUNC) }},
		Attack{Name: "open2-create", What: "create a file, past filters of flags", try: func(a Aim) error { return open2(a.own()+".new", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL) }},
		Attack{Name: "open2-sysctl", What: "open a setting of the kernel for writing, past filters of flags", try: func(Aim) error { return open2("/proc/sys/kernel/core_pattern", unix.O_WRONLY) }},
		Attack{Name: "write-data", What: "write to an own file", try: func(a Aim) error { return writeTo(a.own(), unix.O_WRONLY) }},
		Attack{Name: "append-data", What: "write to the end of an own file", try: func(a Aim) error { return writeTo(a.own(), unix.O_WRONLY|unix.O_APPEND) }},
		Attack{Name: "create", What: "create a file", try: func(a Aim) error { return open(a.own()+".new", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL) }},
		Attack{Name: "tmpfile", What: "create a file without a name", try: func(a Aim) error { return open(a.Dir, unix.O_WRONLY|unix.O_TMPFILE) }},
		Attack{Name: "truncate", What: "empty an own file", try: func(a Aim) error { return unix.Truncate(a.own(), 0) }},
		Attack{Name: "unlink", What: "remove an own file", try: func(a Aim) error { return unix.Unlinkat(unix.AT_FDCWD, a.own(), 0) }},
		Attack{Name: "rename", What: "rename an own file", try: func(a Aim) error { return unix.Renameat2(unix.AT_FDCWD, a.own(), unix.AT_FDCWD, a.own()+".new", 0) }},
		Attack{Name: "mkdir", What: "make a folder", try: func(a Aim) error { return unix.Mkdirat(unix.AT_FDCWD, a.own()+".new", 0o755) }},
		Attack{Name: "link", What: "give an own file another name", try: func(a Aim) error { return unix.Linkat(unix.AT_FDCWD, a.own(), unix.AT_FDCWD, a.own()+".new", 0) }},
		Attack{Name: "symlink", What: "make a link", try: func(a Aim) error { return unix.Symlinkat("secret", unix.AT_FDCWD, a.own()+".new") }},
		Attack{Name: "fifo", What: "make a FIFO", try: func(a Aim) error { return unix.Mknodat(unix.AT_FDCWD, a.own()+".new", unix.S_IFIFO|0o644, 0) }},
		Attack{Name: "device", What: "make a device", try: func(a Aim) error { return unix.Mknodat(unix.AT_FDCWD, a.own()+".new", unix.S_IFCHR|0o644, 1<<8|5) }},
		Attack{Name: "chmod", What: "change an own file's mode", try: func(a Aim) error { return unix.Fchmodat(unix.AT_FDCWD, a.own(), 0o777, 0) }},
		Attack{Name: "chown", What: "set an own file's owner", try: func(a Aim) error { return unix.Fchownat(unix.AT_FDCWD, a.own(), -1, -1, 0) }},
		Attack{Name: "utime", What: "change an own file's times", try: func(a Aim) error { return unix.UtimesNanoAt(unix.AT_FDCWD, a.own(), make([]unix.Timespec, 2), 0) }},
		Attack{Name: "setxattr", What: "set an attribute of an own file", try: func(a Aim) error { return unix.Setxattr(a.own(), "user.hostile", []byte("x"), 0) }},
		Attack{Name: "removexattr", What: "remove an attribute of an own file", try: func(a Aim) error { return unix.Removexattr(a.own(), "user.hostile") }, reached: []unix.Errno{unix.ENODATA}},
		Attack{Name: "getxattr", What: "read an attribute of an own file", try: getxattr, reached: []unix.Errno{unix.ENODATA}},
		Attack{Name: "open-by-handle", What: "open a file by a handle, past all folders", try: byHandle},
		Attack{Name: "inotify", What: "watch a folder", try: func(Aim) error { return opened(unix.InotifyInit1(0)) }},
		Attack{Name: "fanotify", What: "watch the file system", try: func(Aim) error { return opened(unix.FanotifyInit(0, 0)) }},
		Attack{Name: "quotactl", What: "have quotas written", try: func(Aim) error { return call(unix.SYS_QUOTACTL, 0x800001<<8, 0, 0, 0) }},
		Attack{Name: "sysctl", What: "open a setting of the kernel for writing", try: func(Aim) error { return open("/proc/sys/kernel/core_pattern", unix.O_WRONLY) }},
		Attack{Name: "kmsg", What: "open the kernel's log", try: func(Aim) error { return open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK) }},
		Attack{Name: "device-memory", What: "open the machine's memory", try: func(Aim) error { return open("/dev/mem", unix.O_RDONLY) }},
	)
}

// slicesOf is its arguments, one to a line.
func slicesOf(all ...Attack) []Attack { return all }

func (a Aim) proc(name string) string { return fmt.Sprintf("/proc/%d/%s", a.Guard, name) }

func open(path string, flags int) error { return opened(unix.Open(path, flags|unix.O_CLOEXEC, 0o644)) }

// open2 opens with flags that lie in memory, where no filter sees them.
func open2(path string, flags int) error {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC)}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o644
	}
	return opened(unix.Openat2(unix.AT_FDCWD, path, &how))
}

func getxattr(a Aim) error {
	_, err := unix.Getxattr(a.own(), "user.hostile", nil)
	return err
}

func writeTo(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte("x"))
	return opened(fd, err)
}

func read(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Read(fd, make([]byte, 64))
	return opened(fd, err)
}

func list(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.ReadDirent(fd, make([]byte, 4096))
	return opened(fd, err)
}

func byHandle(a Aim) error {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, filepath.Join(a.Dir, "secret"), 0)
	if err != nil {
		return err
	}
	mount, err := unix.Open(a.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		mount = unix.AT_FDCWD
	}
	return opened(unix.OpenByHandleAt(mount, handle, unix.O_RDONLY))
}
