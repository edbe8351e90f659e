package attack

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func systemAttacks() []Attack {
	invalid := []unix.Errno{unix.EINVAL}
	missing := []unix.Errno{unix.EFAULT, unix.ENOENT, unix.EINVAL, unix.ENOEXEC}
	return slicesOf(
		Attack{Name: "mount", What: "mount a file system", try: func(Aim) error { return mount() }, reached: invalid},
		Attack{Name: "umount", What: "unmount a file system", try: func(a Aim) error { return unix.Unmount(a.Dir, 0) }, reached: invalid},
		Attack{Name: "fsopen", What: "make a file system to mount", try: func(Aim) error { return opened(unix.Fsopen("tmpfs", 0)) }},
		Attack{Name: "open-tree", What: "copy the tree of mounts", try: func(Aim) error {
			return opened(unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))
		}},
		Attack{Name: "unshare-mounts", What: "take mounts of its own", try: func(Aim) error { return unix.Unshare(unix.CLONE_NEWNS) }},
		Attack{Name: "unshare-net", What: "take a network of its own", try: func(Aim) error { return unix.Unshare(unix.CLONE_NEWNET) }},
		Attack{Name: "setns", What: "enter the guard's network", try: setns},
		Attack{Name: "chroot", What: "take another root folder", try: func(Aim) error { return unix.Chroot("/") }},
		Attack{Name: "pivot-root", What: "exchange the root of all", try: func(Aim) error { return unix.PivotRoot("/nonexistent", "/nonexistent") }, reached: missing},
		Attack{Name: "chdir", What: "enter a folder", try: func(a Aim) error { return unix.Chdir(a.Dir) }},
		Attack{Name: "bpf", What: "give the kernel a table of BPF", try: bpf, reached: invalid},
		Attack{Name: "perf", What: "measure the machine", try: perf, reached: []unix.Errno{unix.ENOENT}},
		Attack{Name: "keyctl", What: "look for its keyring", try: func(Aim) error {
			_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
			return err
		}},
		Attack{Name: "add-key", What: "keep a key in the kernel", try: func(Aim) error {
			_, err := unix.AddKey("user", "hookline-hostile", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
			return err
		}},
		Attack{Name: "init-module", What: "load a module", try: func(Aim) error { return call(unix.SYS_INIT_MODULE, 0, 0, 0) }, reached: missing},
		Attack{Name: "delete-module", What: "unload a module", try: func(Aim) error { return unix.DeleteModule("hookline-hostile", 0) }, reached: missing},
		Attack{Name: "kexec", What: "load another kernel", try: func(Aim) error { return call(unix.SYS_KEXEC_LOAD, 0, 0, 0, 1<<15) }, reached: invalid},
		Attack{Name: "reboot", What: "restart the machine", try: func(Aim) error { return call(unix.SYS_REBOOT, 0, 0, 0) }, reached: invalid},
		Attack{Name: "swapon", What: "swap to a file", try: func(Aim) error { return call(unix.SYS_SWAPON, 0, 0) }, reached: missing},
		Attack{Name: "settimeofday", What: "set the clock", try: func(Aim) error { return call(unix.SYS_SETTIMEOFDAY, 0, 0) }},
		Attack{Name: "sethostname", What: "rename the machine", try: func(Aim) error { return call(unix.SYS_SETHOSTNAME, 0, ^uintptr(0)) }, reached: invalid},
		Attack{Name: "syslog", What: "change the kernel's log", try: func(Aim) error { return call(unix.SYS_SYSLOG, 8, 0, 0) }, reached: invalid},
		Attack{Name: "setuid", What: "become root", try: func(Aim) error { return call(unix.SYS_SETRESUID, 0, 0, 0) }},
		Attack{Name: "setgroups", What: "join groups", try: func(Aim) error { return call(unix.SYS_SETGROUPS, 0, 0) }},
		Attack{Name: "capset", What: "take every capability", try: capset},
		Attack{Name: "dumpable", What: "open itself to its user", try: func(Aim) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }},
		Attack{Name: "outlive", What: "live on when the guard ends", try: func(Aim) error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) }},
		Attack{Name: "setsid", What: "leave its session", try: func(Aim) error { return call(unix.SYS_SETSID) }},
		Attack{Name: "personality", What: "take another personality", try: func(Aim) error { return call(unix.SYS_PERSONALITY, 0x0400000) }},
		Attack{Name: "userfaultfd", What: "handle page faults", try: func(Aim) error { return opened(descriptor(unix.SYS_USERFAULTFD, unix.O_CLOEXEC)) }},
		Attack{Name: "io-uring", What: "make system calls past the filter", try: ioUring},
		Attack{Name: "tiocsti", What: "type into a terminal", try: func(Aim) error {
			c := byte('x')
			return call(unix.SYS_IOCTL, 1, unix.TIOCSTI, uintptr(unsafe.Pointer(&c))) //nolint:gosec // a byte for the kernel
		}, reached: []unix.Errno{unix.ENOTTY, unix.EIO}},
		Attack{Name: "mq-open", What: "make a message queue", try: mqOpen},
		Attack{Name: "shmget", What: "make shared memory that stays", try: shmget},
		Attack{Name: "msgget", What: "make a queue that stays", try: func(Aim) error { return removed(unix.SYS_MSGGET, unix.SYS_MSGCTL, 0, 0o600) }},
		Attack{Name: "semget", What: "make semaphores that stay", try: semget},
	)
}

func mount() error {
	target := []byte("/\x00")
	return call(unix.SYS_MOUNT, 0, uintptr(unsafe.Pointer(&target[0])), 0, 0, 0) //nolint:gosec // a name for the kernel
}

func descriptor(nr uintptr, args ...uintptr) (int, error) {
	var a [6]uintptr
	copy(a[:], args)
	fd, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func setns(a Aim) error {
	fd, err := unix.Open(a.proc("ns/net"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return opened(fd, unix.Setns(fd, unix.CLONE_NEWNET))
}

func bpf(Aim) error {
	attr := [32]uint32{2, 4, 8, 1}                                                                                    // an array of one value
	return opened(descriptor(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))) //nolint:gosec // a struct for the kernel
}

func perf(Aim) error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK}
	attr.Size = uint32(unsafe.Sizeof(attr))
	return opened(unix.PerfEventOpen(&attr, -1, 0, -1, 0)) // all of one processor
}

func capset(Aim) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	all := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN}}
	return unix.Capset(&header, &all[0])
}

func ioUring(Aim) error {
	var params [120]byte
	return opened(descriptor(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)))) //nolint:gosec // a struct for the kernel
}

func mqOpen(Aim) error {
	name := []byte("hookline-hostile\x00")
	at := uintptr(unsafe.Pointer(&name[0])) //nolint:gosec // a name for the kernel
	fd, err := descriptor(unix.SYS_MQ_OPEN, at, unix.O_CREAT|unix.O_RDWR, 0o600, 0)
	if err == nil {
		_ = call(unix.SYS_MQ_UNLINK, at)
	}
	return opened(fd, err)
}

// removed makes something that stays beyond the process, and removes it.
func removed(get, control uintptr, args ...uintptr) error {
	id, err := descriptor(get, args...)
	if err != nil {
		return err
	}
	return call(control, uintptr(id), unix.IPC_RMID, 0)
}

func shmget(Aim) error {
	return removed(unix.SYS_SHMGET, unix.SYS_SHMCTL, unix.IPC_PRIVATE, 4096, unix.IPC_CREAT|0o600)
}

func semget(Aim) error {
	id, err := descriptor(unix.SYS_SEMGET, unix.IPC_PRIVATE, 1, unix.IPC_CREAT|0o600)
	if err != nil {
		return err
	}
	return call(unix.SYS_SEMCTL, uintptr(id), 0, unix.IPC_RMID)
}
