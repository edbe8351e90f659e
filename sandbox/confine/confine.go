// Package confine locks the running process in, before it does anything else.
//
// Worker leaves a process that can compute, read and write its pipes, and end.
// Broker leaves one that can open for reading what its run declares. Both are
// one-way and hold for all threads. Any step that fails is an error, and the
// caller must then end without running anything: there is no weaker mode.
//
// They work only in a pure Go program (no cgo), which is how the small binary
// is built: only there can a step be made on all threads of the process.
package confine

import (
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hookline/sandbox"
)

// Bounds of the Go runtime within the data limit.
const (
	maxStackBytes = 8 << 20
	maxThreads    = 12
	softMemory    = 80 << 20 // collect harder before the data limit is reached
)

// Nobody is who a worker of a root guard becomes.
const nobody = sandbox.Nobody

// Worker locks in a process that runs Lua. cpuSeconds is a last bound, above
// the wall clock that the worker and its parent keep.
func Worker(cpuSeconds uint64) error {
	return steps([]step{
		{"close files", func() error { return closeFrom(3) }},
		{"start timers", startTimers},
		{"leave the file system", leaveFiles},
		{"drop the user", func() error { return becomeUser(nobody, nobody) }},
		{"bind its life to the guard's", bind},
		{"set no_new_privs", noNewPrivs},
		{"set landlock", func() error { return landlock(nil) }},
		{"set limits", func() error { return workerLimits(cpuSeconds) }},
		{"set seccomp", func() error { return seccomp(workerFilter(os.Getpid())) }},
	})
}

// Broker locks in a process that reads files: as user and group, where it was
// started as root, and only under the given paths. openFrom is the first file
// descriptor that it does not need.
func Broker(uid, gid uint32, paths []string, openFrom int, cpuSeconds uint64) error {
	return steps([]step{
		{"close files", func() error { return closeFrom(openFrom) }},
		{"start timers", startTimers},
		{"set the user", func() error { return becomeUser(uid, gid) }},
		{"drop capabilities", keepReading},
		{"bind its life to the guard's", bind},
		{"set no_new_privs", noNewPrivs},
		{"set landlock", func() error { return landlock(paths) }},
		{"set limits", func() error { return brokerLimits(cpuSeconds) }},
		{"set seccomp", func() error { return seccomp(brokerFilter(os.Getpid())) }},
	})
}

type step struct {
	name string
	do   func() error
}

func steps(all []step) error {
	for _, s := range all {
		if err := s.do(); err != nil {
			return fmt.Errorf("cannot %s: %w", s.name, err)
		}
	}
	return nil
}

// closeFrom closes what a careless parent left open. The runtime has opened
// nothing yet that it needs: timers start afterwards.
func closeFrom(first int) error {
	return unix.CloseRange(uint(first), ^uint(0)>>1, 0)
}

// startTimers makes the runtime open its poller, which the filter forbids later.
func startTimers() error {
	done := make(chan struct{})
	time.AfterFunc(time.Microsecond, func() { close(done) })
	<-done
	debug.SetMaxStack(maxStackBytes)
	debug.SetMaxThreads(maxThreads)
	debug.SetMemoryLimit(softMemory)
	return nil
}

// leaveFiles takes an empty file system as root directory, where the process
// may: as root within a mount namespace of its own. Elsewhere landlock and
// seccomp alone keep files away.
func leaveFiles() error {
	if os.Geteuid() != 0 || os.Getpid() != 1 {
		return nil // not root, or no namespaces: the parent could not make any
	}
	const over = "/proc" // any folder that exists: the mount is this process's own
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("none", over, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=4k,nr_inodes=2,mode=0555"); err != nil {
		return err
	}
	if err := unix.Chroot(over); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// becomeUser drops groups, group and user on all threads. Without root there
// is nothing to drop, and no other user can be had.
func becomeUser(uid, gid uint32) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setresgid(int(gid), int(gid), int(gid)); err != nil {
		return err
	}
	if err := syscall.Setresuid(int(uid), int(uid), int(uid)); err != nil {
		return err
	}
	if uint32(os.Getuid()) != uid || uint32(os.Geteuid()) != uid || uint32(os.Getegid()) != gid {
		return syscall.EPERM
	}
	return nil
}

// bind ends this process with the one that started it, which becoming another
// user has undone, and closes its memory to its own user and to programs that
// collect cores, which the limit on core files does not stop.
func bind() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

func noNewPrivs() error {
	return onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
}

// onAllThreads makes one system call on every thread of the process. Pointers
// among the arguments stay where they are for its time.
//
//go:uintptrescapes
func onAllThreads(nr, a, b, c uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(nr, a, b, c, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func setLimits(limits map[int]uint64) error {
	for resource, value := range limits {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return err
		}
	}
	return nil
}

func workerLimits(cpuSeconds uint64) error {
	return setLimits(map[int]uint64{
		unix.RLIMIT_DATA: sandbox.MaxDataBytes, unix.RLIMIT_CPU: cpuSeconds, unix.RLIMIT_NOFILE: 0,
		unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0, unix.RLIMIT_MEMLOCK: 0,
	})
}

func brokerLimits(cpuSeconds uint64) error {
	return setLimits(map[int]uint64{
		unix.RLIMIT_DATA: 2 * sandbox.MaxDataBytes, unix.RLIMIT_CPU: cpuSeconds, unix.RLIMIT_NOFILE: 32,
		unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0, unix.RLIMIT_MEMLOCK: 0,
	})
}
