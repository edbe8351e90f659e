package confine

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// commandFilter allows what programs need that read and print, and refuses
// anything else. A command is one process: threads are to be had, processes
// are not, and of programs only the one that is executed by its handle, which
// landlock holds to the one that was checked.
func commandFilter(pid int, syslog bool) []bpf.Instruction {
	f := prologue()
	for _, nr := range append(readAndPrint(), oldReadAndPrint()...) {
		f = append(f, on(nr, bpf.RetConstant{Val: actAllow})...)
	}
	f = append(f, on(unix.SYS_CLONE3, bpf.RetConstant{Val: deny(unix.ENOSYS)})...)  // the C library then takes clone
	f = append(f, on(unix.SYS_OPENAT2, bpf.RetConstant{Val: deny(unix.ENOSYS)})...) // its flags cannot be looked at
	for _, nr := range attributes() {
		f = append(f, on(nr, bpf.RetConstant{Val: deny(unix.EOPNOTSUPP)})...) // as of a file system that has none: ls goes on
	}
	f = append(f, on(unix.SYS_OPENAT, noneOf(offArg2, writing)...)...)
	if oldOpen != 0 {
		f = append(f, on(oldOpen, noneOf(offArg1, writing)...)...)
	}
	f = append(f, on(unix.SYS_CLONE, onlyThreads()...)...)
	f = append(f, on(unix.SYS_EXECVEAT, only(offArg4, unix.AT_EMPTY_PATH)...)...)
	f = append(f, on(unix.SYS_MMAP, mapping()...)...)
	f = append(f, on(unix.SYS_MPROTECT, noneOf(offArg2, unix.PROT_EXEC)...)...)
	f = append(f, on(unix.SYS_KILL, only(offArg0, uint32(pid))...)...)
	f = append(f, on(unix.SYS_TGKILL, only(offArg0, uint32(pid))...)...)
	f = append(f, on(unix.SYS_FCNTL, only(offArg1, harmlessFcntl()...)...)...)
	f = append(f, on(unix.SYS_IOCTL, only(offArg1, unix.TCGETS, unix.TIOCGWINSZ, fioNRead, fioNBIO, fioClex, fioNClex)...)...)
	f = append(f, on(unix.SYS_PRCTL, only(offArg0, unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_GET_DUMPABLE,
		unix.PR_CAPBSET_READ, unix.PR_GET_NO_NEW_PRIVS, unix.PR_SET_VMA)...)...)
	f = append(f, on(unix.SYS_PRLIMIT64, ownLimits()...)...)
	if syslog {
		f = append(f, on(unix.SYS_SYSLOG, only(offArg0, syslogReadAll, syslogUnread, syslogSize)...)...)
	}
	return append(f, bpf.RetConstant{Val: deny(unix.EPERM)})
}

// The kinds of syslog(2) that take nothing away from other readers.
const (
	syslogReadAll = 3
	syslogUnread  = 9
	syslogSize    = 10
)

// The harmless ones of ioctl that have no name in package unix.
const (
	fioNClex = 0x5450
	fioClex  = 0x5451
	fioNBIO  = 0x5421
	fioNRead = 0x541b
)

// writing are the flags of open that could change something.
const writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY

// readAndPrint are system calls that are allowed whatever their arguments.
func readAndPrint() []uint32 {
	return []uint32{
		// what is open
		unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_READV, unix.SYS_PREADV, unix.SYS_WRITE, unix.SYS_WRITEV,
		unix.SYS_CLOSE, unix.SYS_CLOSE_RANGE, unix.SYS_LSEEK, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_PIPE2, unix.SYS_FADVISE64,
		unix.SYS_PSELECT6, unix.SYS_PPOLL, unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2,
		// looking at files
		unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_STATX, unix.SYS_STATFS, unix.SYS_FSTATFS, unix.SYS_READLINKAT,
		unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_GETDENTS64, unix.SYS_GETCWD, unix.SYS_CHDIR, unix.SYS_FCHDIR, unix.SYS_UMASK,
		// memory and threads
		unix.SYS_BRK, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MADVISE, unix.SYS_FUTEX, unix.SYS_SET_TID_ADDRESS,
		unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_MEMBARRIER, unix.SYS_SCHED_YIELD, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
		unix.SYS_RESTART_SYSCALL,
		// its own signals and times
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPENDING, unix.SYS_RT_SIGSUSPEND,
		unix.SYS_RT_SIGTIMEDWAIT, unix.SYS_SIGALTSTACK, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME,
		unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY, unix.SYS_SETITIMER, unix.SYS_GETITIMER, unix.SYS_TIMES,
		// who and where it is
		unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
		unix.SYS_GETRESUID, unix.SYS_GETRESGID, unix.SYS_GETGROUPS, unix.SYS_GETPGID, unix.SYS_GETSID, unix.SYS_CAPGET,
		unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_GETRUSAGE, unix.SYS_GETRANDOM, unix.SYS_GETCPU, unix.SYS_GETPRIORITY,
		unix.SYS_SCHED_GETAFFINITY, unix.SYS_SCHED_GETPARAM, unix.SYS_SCHED_GETSCHEDULER,
		unix.SYS_SCHED_GET_PRIORITY_MAX, unix.SYS_SCHED_GET_PRIORITY_MIN,
	}
}

// attributes are the calls that read extended attributes, whose values may be
// secret and which landlock does not hold.
func attributes() []uint32 {
	return []uint32{
		unix.SYS_GETXATTR, unix.SYS_LGETXATTR, unix.SYS_FGETXATTR, unix.SYS_LISTXATTR, unix.SYS_LLISTXATTR, unix.SYS_FLISTXATTR,
	}
}

// harmlessFcntl are the commands of fcntl that touch nobody else: it names no
// process to be told by signals, and waits for no lock.
func harmlessFcntl() []uint32 {
	return []uint32{
		unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL,
		unix.F_GETLK, unix.F_SETLK, unix.F_OFD_GETLK, unix.F_OFD_SETLK,
	}
}

// only allows the call where an argument has one of the values.
func only(offset uint32, values ...uint32) []bpf.Instruction {
	f := []bpf.Instruction{bpf.LoadAbsolute{Off: offset, Size: 4}}
	for _, v := range values {
		f = append(f, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipFalse: 1}, bpf.RetConstant{Val: actAllow})
	}
	return append(f, bpf.RetConstant{Val: deny(unix.EPERM)})
}

// noneOf allows the call where an argument has none of the bits.
func noneOf(offset, bits uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bits, SkipTrue: 1},
		bpf.RetConstant{Val: actAllow},
		bpf.RetConstant{Val: deny(unix.EPERM)},
	}
}

func onlyThreads() []bpf.Instruction {
	const other = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
		unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP | unix.CLONE_PTRACE
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.CLONE_THREAD, SkipFalse: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: other, SkipTrue: 1},
		bpf.RetConstant{Val: actAllow},
		bpf.RetConstant{Val: deny(unix.EPERM)},
	}
}

// mapping allows memory that can be run only where it comes from a file, and
// cannot be written as well: a library. It allows none that the limit on data
// does not see.
func mapping() []bpf.Instruction {
	const anonymous = unix.MAP_SHARED | unix.MAP_ANONYMOUS
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArg3, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.MAP_GROWSDOWN, SkipTrue: 8},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: anonymous},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: anonymous, SkipTrue: 6},
		bpf.LoadAbsolute{Off: offArg2, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.PROT_EXEC, SkipFalse: 3},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.PROT_WRITE, SkipTrue: 3},
		bpf.LoadAbsolute{Off: offArg3, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.MAP_ANONYMOUS, SkipTrue: 1},
		bpf.RetConstant{Val: actAllow},
		bpf.RetConstant{Val: deny(unix.EPERM)},
	}
}

// ownLimits allows to look at its own limits: no other process, nothing new.
func ownLimits() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 5},
		bpf.LoadAbsolute{Off: offArg2, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 3},
		bpf.LoadAbsolute{Off: offArg2 + 4, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1},
		bpf.RetConstant{Val: actAllow},
		bpf.RetConstant{Val: deny(unix.EPERM)},
	}
}
