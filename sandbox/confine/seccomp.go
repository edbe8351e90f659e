package confine

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in the kernel's struct seccomp_data; arguments are little endian on
// both architectures.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
	offArg1   = 24
	offArg2   = 32
	offArg3   = 40
	offArg4   = 48
)

const (
	actAllow = unix.SECCOMP_RET_ALLOW
	actKill  = unix.SECCOMP_RET_KILL_PROCESS
)

func deny(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

// uncounted is memory that the limit on data does not see: what others could
// share, and what passes for a stack.
const uncounted = unix.MAP_SHARED | unix.MAP_GROWSDOWN

// threadFlags are what Go's runtime starts a thread with; settls is set on
// some architectures only.
const (
	threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	settls      = unix.CLONE_SETTLS
)

// workerFilter allows what the Go runtime and two pipes need, and kills the
// process at anything else.
func workerFilter(pid int) []bpf.Instruction {
	return append(append(prologue(), goRuntime(pid)...), bpf.RetConstant{Val: actKill})
}

// brokerFilter allows to open and look at files besides, and refuses anything
// else. A list of what is forbidden would not do: the owner of a file needs no
// capability to change its mode. The flags of openat2, which paths without links
// need, are in memory, where a filter cannot look.
func brokerFilter(pid int) []bpf.Instruction {
	f := append(prologue(), goRuntime(pid)...)
	for _, nr := range []uint32{unix.SYS_OPENAT2, unix.SYS_READLINKAT, unix.SYS_FSTAT, unix.SYS_GETDENTS64} {
		f = append(f, on(nr, bpf.RetConstant{Val: actAllow})...)
	}
	f = append(f, on(unix.SYS_OPENAT, noneOf(offArg2, writing)...)...)
	return append(f, bpf.RetConstant{Val: deny(unix.EPERM)})
}

// goRuntime allows what a confined Go program needs to compute, and to read and
// write what is open.
func goRuntime(pid int) []bpf.Instruction {
	var f []bpf.Instruction
	for _, nr := range []uint32{
		unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE, unix.SYS_FUTEX, unix.SYS_MUNMAP, unix.SYS_MADVISE,
		unix.SYS_NANOSLEEP, unix.SYS_SCHED_YIELD, unix.SYS_EPOLL_PWAIT, unix.SYS_RT_SIGRETURN,
		unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGACTION, unix.SYS_SIGALTSTACK, unix.SYS_GETPID, unix.SYS_GETTID,
		unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_CLOCK_GETTIME, unix.SYS_RESTART_SYSCALL,
	} {
		f = append(f, on(nr, bpf.RetConstant{Val: actAllow})...)
	}
	f = append(f, on(unix.SYS_PRCTL, bpf.RetConstant{Val: deny(unix.EPERM)})...)
	f = append(f, on(unix.SYS_SCHED_GETAFFINITY, bpf.RetConstant{Val: deny(unix.EPERM)})...)
	f = append(f, on(unix.SYS_CLONE3, bpf.RetConstant{Val: deny(unix.ENOSYS)})...)
	f = append(f, on(unix.SYS_CLONE, // threads of this process, nothing else
		bpf.LoadAbsolute{Off: offArg0, Size: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: ^uint32(settls)},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: threadFlags, SkipFalse: 1},
		bpf.RetConstant{Val: actAllow},
		bpf.RetConstant{Val: actKill},
	)...)
	f = append(f, on(unix.SYS_MMAP, // no memory that can be run, or that is not counted
		bpf.LoadAbsolute{Off: offArg2, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.PROT_EXEC, SkipTrue: 3},
		bpf.LoadAbsolute{Off: offArg3, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: uncounted, SkipTrue: 1},
		bpf.RetConstant{Val: actAllow},
		bpf.RetConstant{Val: actKill},
	)...)
	return append(f, on(unix.SYS_TGKILL, // only itself
		bpf.LoadAbsolute{Off: offArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(pid), SkipFalse: 1},
		bpf.RetConstant{Val: actAllow},
		bpf.RetConstant{Val: actKill},
	)...)
}

// Alone keeps this process from starting others and from touching those that
// are there: what it may ask of them is decided by its own number. It holds for
// all threads and cannot be undone. Unlike Worker and Broker it works in any
// program.
func Alone() error {
	runtime.LockOSThread() // the filter needs no_new_privs on the same thread
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return seccomp(append(append(prologue(), alone(os.Getpid())...), bpf.RetConstant{Val: actAllow}))
}

// alone refuses new processes, other programs, and signals and looks into
// other processes. Threads stay possible.
func alone(pid int) []bpf.Instruction {
	var f []bpf.Instruction
	refused := []uint32{
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
		unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_OPEN,
		unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_KCMP, unix.SYS_IO_URING_SETUP,
	}
	if runtime.GOARCH == "amd64" {
		const fork, vfork = 57, 58 // newer architectures have only clone
		refused = append(refused, fork, vfork)
	}
	for _, nr := range refused {
		f = append(f, on(nr, bpf.RetConstant{Val: deny(unix.EPERM)})...)
	}
	f = append(f, on(unix.SYS_CLONE3, bpf.RetConstant{Val: deny(unix.ENOSYS)})...)
	f = append(f, on(unix.SYS_CLONE,
		bpf.LoadAbsolute{Off: offArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.CLONE_THREAD, SkipFalse: 1},
		bpf.RetConstant{Val: actAllow},
		bpf.RetConstant{Val: deny(unix.EPERM)},
	)...)
	return append(f, on(unix.SYS_TGKILL,
		bpf.LoadAbsolute{Off: offArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(pid), SkipFalse: 1},
		bpf.RetConstant{Val: actAllow},
		bpf.RetConstant{Val: deny(unix.EPERM)},
	)...)
}

// prologue kills calls by another architecture's numbers, then loads the number.
func prologue() []bpf.Instruction {
	f := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch(), SkipTrue: 1},
		bpf.RetConstant{Val: actKill},
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
	}
	const x32 = 0x40000000 // numbers of the x32 ABI, on amd64
	return append(f,
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32, SkipFalse: 1},
		bpf.RetConstant{Val: actKill},
	)
}

func auditArch() uint32 {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64
	}
	return 0 // matches nothing: every call is killed
}

// on runs then, which must return, where the number is nr.
func on(nr uint32, then ...bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nr, SkipFalse: uint8(len(then))},
	}, then...)
}

// seccomp installs a filter on all threads.
func seccomp(filter []bpf.Instruction) error {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	failed, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))) //nolint:gosec // a struct for the kernel
	runtime.KeepAlive(code)
	if errno != 0 {
		return errno
	}
	if failed != 0 {
		return fmt.Errorf("thread %d did not take the filter", failed)
	}
	return nil
}
