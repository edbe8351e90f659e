// Command probe is what the tests run as a confined command: it tries what no
// command may do, and prints what it could.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	switch os.Args[1] {
	case "try":
		try(os.Args[2], os.Args[3], os.Args[4:])
	case "memory":
		eat()
	case "cpu":
		for {
			runtime.Gosched()
		}
	case "threads":
		fmt.Println(threads())
	case "become":
		fmt.Println(become(os.Args[2]))
	case "tables":
		fmt.Println(addresses())
	case "wait":
		fmt.Println("waits")
		time.Sleep(time.Minute)
	case "bounding":
		fmt.Println(bounding())
	case "capabilities":
		b, err := os.ReadFile("/proc/thread-self/status")
		fmt.Printf("%s%v\n", b, err)
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var have [2]unix.CapUserData
		fmt.Println(unix.Capget(&header, &have[0]), have)
	}
}

// try prints each thing that it could do and must not, given a folder and a
// file that its user may write, the number of the guard, and what alone to
// try, if not all.
func try(dir, guard string, alone []string) {
	parent, _ := strconv.Atoi(guard)
	file := dir + "/file"
	for what, do := range map[string]func() error{
		"open for writing":  func() error { return open(file, unix.O_WRONLY) },
		"open for both":     func() error { return open(file, unix.O_RDWR) },
		"truncate by open":  func() error { return open(file, unix.O_RDONLY|unix.O_TRUNC) },
		"create":            func() error { return open(dir+"/new", unix.O_CREAT|unix.O_RDONLY) },
		"create unnamed":    func() error { return open(dir, unix.O_TMPFILE|unix.O_RDWR) },
		"chmod":             func() error { return os.Chmod(file, 0o777) },
		"chown":             func() error { return os.Chown(file, os.Getuid(), os.Getgid()) },
		"set times":         func() error { return os.Chtimes(file, time.Now(), time.Now()) },
		"read an attribute": func() error { return call(unix.SYS_GETXATTR, 0, 0, 0) },
		"of a link":         func() error { return call(unix.SYS_LGETXATTR, 0, 0, 0) },
		"of an open file":   func() error { return call(unix.SYS_FGETXATTR, ^uintptr(0), 0, 0) },
		"list attributes":   func() error { return call(unix.SYS_LISTXATTR, 0, 0, 0) },
		"list a link's":     func() error { return call(unix.SYS_LLISTXATTR, 0, 0, 0) },
		"list a file's":     func() error { return call(unix.SYS_FLISTXATTR, ^uintptr(0), 0, 0) },
		"set an attribute":  func() error { return unix.Setxattr(file, "user.x", []byte("x"), 0) },
		"truncate":          func() error { return os.Truncate(file, 0) },
		"rename":            func() error { return os.Rename(file, dir+"/other") },
		"remove":            func() error { return os.Remove(file) },
		"link":              func() error { return os.Link(file, dir+"/link") },
		"symlink":           func() error { return os.Symlink(file, dir+"/symlink") },
		"make a folder":     func() error { return os.Mkdir(dir+"/folder", 0o755) },
		"make a pipe":       func() error { return unix.Mkfifo(dir+"/fifo", 0o600) },
		"internet socket":   func() error { return socket(unix.AF_INET, unix.SOCK_STREAM) },
		"unix socket":       func() error { return socket(unix.AF_UNIX, unix.SOCK_STREAM) },
		"netlink socket":    func() error { return socket(unix.AF_NETLINK, unix.SOCK_RAW) },
		"socket pair":       func() error { _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err },
		"fork":              func() error { return fork(uintptr(unix.SIGCHLD)) },
		"fork a namespace":  func() error { return fork(uintptr(unix.SIGCHLD | unix.CLONE_NEWUSER)) },
		"run a program":     func() error { return exec.Command("/usr/bin/true").Run() },
		"become a program":  func() error { return become("/usr/bin/true") },
		"trace":             func() error { return unix.PtraceSeize(parent) },
		"be traced":         func() error { return call(unix.SYS_PTRACE, 0, 0, 0) },
		"read memory":       func() error { return readMemory(parent) },
		"kill the guard":    func() error { return unix.Kill(parent, 0) },
		"kill init":         func() error { return unix.Kill(-1, 0) },
		"thread signal":     func() error { return unix.Tgkill(parent, parent, 0) },
		"hold a process":    func() error { _, err := unix.PidfdOpen(parent, 0); return err },
		"signal by files":   func() error { _, err := unix.FcntlInt(0, unix.F_SETOWN, parent); return err },
		"limits of guard":   func() error { return unix.Prlimit(parent, unix.RLIMIT_CORE, nil, &unix.Rlimit{}) },
		"own limits":        func() error { return unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: 1, Max: 1}) },
		"priority of guard": func() error { return unix.Setpriority(unix.PRIO_PROCESS, parent, 19) },
		"outlive the guard": func() error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) },
		"new session":       func() error { _, err := unix.Setsid(); return err },
		"new group":         func() error { return unix.Setpgid(0, 0) },
		"mount":             func() error { return unix.Mount("none", "/mnt", "tmpfs", 0, "") },
		"unmount":           func() error { return unix.Unmount("/proc", unix.MNT_DETACH) },
		"change root":       func() error { return unix.Chroot("/") },
		"unshare":           func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"enter namespaces":  func() error { return unix.Setns(0, 0) },
		"bpf":               func() error { return call(unix.SYS_BPF, 0, 0, 0) },
		"keys":              func() error { return call(unix.SYS_KEYCTL, 0, ^uintptr(2), 0) },
		"add a key":         func() error { return call(unix.SYS_ADD_KEY, 0, 0, 0) },
		"kernel's log":      func() error { _, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 64)); return err },
		"clear the log":     func() error { _, err := unix.Klogctl(unix.SYSLOG_ACTION_CLEAR, nil); return err },
		"perf":              func() error { return call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0) },
		"userfaultfd":       func() error { return call(unix.SYS_USERFAULTFD, 0, 0, 0) },
		"io_uring":          func() error { return call(unix.SYS_IO_URING_SETUP, 1, 0, 0) },
		"modules":           func() error { return call(unix.SYS_FINIT_MODULE, 0, 0, 0) },
		"reboot":            func() error { return call(unix.SYS_REBOOT, 0, 0, 0) },
		"memory file":       func() error { _, err := unix.MemfdCreate("x", 0); return err },
		"memory to run": func() error {
			_, err := unix.Mmap(-1, 0, 4096, unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
			return err
		},
		"memory made so":    func() error { return unix.Mprotect(page(), unix.PROT_READ|unix.PROT_EXEC) },
		"shared memory":     func() error { return call(unix.SYS_SHMGET, 0, 4096, 0o1600) },
		"message queue":     func() error { return call(unix.SYS_MSGGET, 0, 0o1600, 0) },
		"watch files":       func() error { _, err := unix.InotifyInit1(0); return err },
		"type for others":   func() error { return call(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&[]byte("x")[0]))) },
		"become another":    func() error { return call(unix.SYS_SETRESUID, 1, 1, 1) },
		"become root":       func() error { return ifNotRoot(func() error { return call(unix.SYS_SETRESUID, 0, 0, 0) }) },
		"regain powers":     regain,
		"read shadow":       func() error { return open("/etc/shadow", unix.O_RDONLY) },
		"read another file": func() error { return open("/etc/hostname", unix.O_RDONLY) },
		"read its folder":   func() error { return open(dir, unix.O_RDONLY|unix.O_DIRECTORY) },
		"read environments": func() error { return open("/proc/"+guard+"/environ", unix.O_RDONLY) },
		"read init's":       func() error { return open("/proc/1/environ", unix.O_RDONLY) },
		"read its own":      func() error { return open("/proc/self/environ", unix.O_RDONLY) },
		"read processes":    func() error { return open("/proc", unix.O_RDONLY) },
		"read devices":      func() error { return open("/dev/null", unix.O_RDONLY) },
		"openat2":           func() error { _, err := unix.Openat2(unix.AT_FDCWD, file, &unix.OpenHow{}); return err },
		"lock a file":       func() error { return unix.Flock(1, unix.LOCK_EX|unix.LOCK_NB) },
		"open by handle":    func() error { return call(unix.SYS_OPEN_BY_HANDLE_AT, 0, 0, 0) },
		"its own rules":     func() error { return call(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1) },
		"its own filter":    func() error { return call(unix.SYS_SECCOMP, 2, 0, 0) },
		"set the clock":     func() error { return call(unix.SYS_CLOCK_SETTIME, 0, 0, 0) },
		"set the name":      func() error { return unix.Sethostname([]byte("x")) },
		"personality":       func() error { return call(unix.SYS_PERSONALITY, 0x0400000, 0, 0) },
		"swap":              func() error { return call(unix.SYS_SWAPOFF, 0, 0, 0) },
		"quota":             func() error { return call(unix.SYS_QUOTACTL, 0, 0, 0) },
		"watch everything":  func() error { return call(unix.SYS_FANOTIFY_INIT, 0, 0, 0) },
	} {
		if len(alone) > 0 && !slices.Contains(alone, what) {
			continue
		}
		// These others would mean that the kernel had a look at it.
		switch err := do(); err {
		case nil, unix.EFAULT, unix.EINVAL, unix.EBADF, unix.ENOENT, unix.EEXIST, unix.ENOTTY:
			fmt.Printf("%s: %v\n", what, err)
		}
	}
	fmt.Println("tried")
}

func call(nr, a, b, c uintptr) error {
	if _, _, errno := syscall.RawSyscall6(nr, a, b, c, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func open(path string, flags int) error {
	fd, err := unix.Open(path, flags, 0o600)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

func socket(family, kind int) error {
	_, err := unix.Socket(family, kind, 0)
	return err
}

func fork(flags uintptr) error {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, flags, 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
	return nil
}

// become executes another program by its handle, as the shim does.
func become(path string) error {
	fd, err := unix.Open(path, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	empty, argv := []byte{0}, []*byte{nil}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&argv[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}

func readMemory(pid int) error {
	b := make([]byte, 8)
	_, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &b[0], Len: 8}}, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
	return err
}

func page() []byte {
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	return b
}

func ifNotRoot(do func() error) error {
	if os.Getuid() == 0 {
		return unix.EPERM
	}
	return do()
}

func regain() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	all := [2]unix.CapUserData{{Effective: ^uint32(0), Permitted: ^uint32(0)}}
	return unix.Capset(&header, &all[0])
}

// eat uses more and more memory.
func eat() {
	for n := 1; ; n++ {
		b := make([]byte, 8<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
		fmt.Println(n * 8)
	}
}

var kept [][]byte

// threads starts threads until there are no more to be had, which the runtime
// does not survive, or as many as would do.
func threads() int {
	for range 2000 {
		go func() {
			runtime.LockOSThread()
			time.Sleep(time.Minute)
		}()
	}
	time.Sleep(time.Second)
	return 2000
}

// addresses is how many MiB of memory can be mapped, which costs page tables as
// soon as it is looked at.
func addresses() (most int) {
	for size := 1 << 20; size >= 1; size /= 2 {
		for most < 1<<24 {
			if _, err := unix.Mmap(-1, 0, size<<20, unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE); err != nil {
				break
			}
			most += size
		}
	}
	return most
}

// bounding are the capabilities that a program could yet get.
func bounding() []uintptr {
	have := []uintptr{}
	for c := range uintptr(64) {
		if held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err == nil && held == 1 {
			have = append(have, c)
		}
	}
	return have
}
