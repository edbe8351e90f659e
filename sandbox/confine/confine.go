// Package confine locks the running process in, before it does anything else.
//
// Worker leaves a process that can compute, read and write its pipes, and end.
// Broker leaves one that can open for reading what its run declares. Command
// becomes another program, which reads what was signed and prints. All are
// one-way and hold for all threads. Any step that fails is an error, and the
// caller must then end without running anything. Two layers can be missing on
// a machine, landlock and namespaces; that is an error too, unless the machine's
// owner accepts it: see MissingError.
//
// They work only in a pure Go program (no cgo), which is how the small binary
// is built: only there can a step be made on all threads of the process.
package confine

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
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

// maxAddresses is RLIMIT_AS of every process, since page tables are in no other
// limit: without it, reading one byte of each 2 MiB of an empty mapping takes
// 4 KiB each time, and with it 4 MiB in all. Go's runtime has 1,233 MiB reserved
// before a program starts, and takes up to 256 MiB of data; journalctl maps
// 512 MiB of files.
const maxAddresses = 2 << 30

// Nobody is who a worker of a root guard becomes.
const nobody = sandbox.Nobody

// Worker locks in a process that runs Lua. cpuSeconds is a last bound, above
// the wall clock that the worker and its parent keep. without are layers that
// may be missing.
func Worker(cpuSeconds uint64, without []string) error {
	return steps(without, []step{
		{"close files", "", func() error { return closeFrom(3) }},
		{"start timers", "", startTimers},
		{"leave the file system", "files", leaveFiles},
		{"drop the user", "user", func() error { return becomeUser(nobody, nobody) }},
		{"bind its life to the guard's", "", bind},
		{"set no_new_privs", "", noNewPrivs},
		{"set landlock", sandbox.LayerLandlock, func() error { return landlock(nil, nil) }},
		{"set limits", "limits", func() error { return workerLimits(cpuSeconds) }},
		{"set seccomp", "seccomp", func() error { return seccomp(workerFilter(os.Getpid())) }},
	})
}

// Reading is what a broker may open, and for whom.
type Reading struct {
	UID, GID   uint32   // who it becomes, where it was started as root
	Read       []string // files, by the patterns of capabilities
	List       []string // folders to list, by the patterns of capabilities
	Without    []string // layers that may be missing
	OpenFrom   int      // the first file descriptor that it does not need
	CPUSeconds uint64
}

// Broker locks in a process that reads files and lists folders.
//
// What it opens it can only read: landlock forbids writing, the filter the
// flags of openat that write, and a broker of root owns no file, since it is
// nobody with one capability. One thing is left: the filter does not see the
// flags of openat2. Where landlock is older than version 3, a broker that was
// taken over can empty a signed file that its user may write; where it is
// missing, it can empty and create any file of that user, and write to its FIFOs
// and devices; no byte gets into a file (RLIMIT_FSIZE is 0). A broker of root
// has landlock in any case: it could read everything.
func Broker(o Reading) error {
	without := o.Without
	if os.Geteuid() == 0 && o.UID == 0 {
		without = slices.DeleteFunc(slices.Clone(without), func(layer string) bool { return layer == sandbox.LayerLandlock })
	}
	return steps(without, []step{
		{"close files", "", func() error { return closeFrom(o.OpenFrom) }},
		{"start timers", "", startTimers},
		{"set the user", "user", func() error { return becomeReader(o.UID, o.GID) }},
		{"bind its life to the guard's", "", bind},
		{"set no_new_privs", "", noNewPrivs},
		{"set landlock", sandbox.LayerLandlock, func() error { return landlock(o.Read, o.List) }},
		{"set limits", "limits", func() error { return brokerLimits(o.CPUSeconds) }},
		{"set seccomp", "seccomp", func() error { return seccomp(brokerFilter(os.Getpid())) }},
	})
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

// leaveFiles takes an empty file system as root directory, as root within a
// mount namespace of its own. An ordinary user cannot: there landlock and
// seccomp alone keep files away.
func leaveFiles() error {
	if err := isolated(); err != nil || os.Geteuid() != 0 {
		return err
	}
	empty, err := emptyFiles()
	if err != nil {
		return missing(sandbox.LayerNamespaces, fmt.Errorf("cannot make an empty file system: %w", err))
	}
	if err := unix.Fchdir(empty); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	if err := unix.Close(empty); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// emptyFiles returns a folder with nothing in it, on a file system of its own
// that is mounted nowhere: whatever namespace this process is in, nothing of
// the machine's is covered.
func emptyFiles() (int, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer shut(fs)
	for key, value := range map[string]string{"size": "4k", "nr_inodes": "2", "mode": "0555"} {
		if err := unix.FsconfigSetString(fs, key, value); err != nil {
			return -1, err
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

// isolated says, where this process was started as root, that it is not in
// namespaces of its own: it would be the first process there.
func isolated() error {
	if os.Geteuid() == 0 && os.Getpid() != 1 {
		return missing(sandbox.LayerNamespaces, errors.New("the guard may not make any, for want of CAP_SYS_ADMIN"))
	}
	return nil
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
	return onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1)
}

// onAllThreads makes one system call on every thread of the process. Pointers
// among the arguments stay where they are for its time.
//
//go:uintptrescapes
func onAllThreads(nr, a, b uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(nr, a, b, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// setLimits sets limits for good; one that is already lower stays.
func setLimits(limits map[int]uint64) error {
	for resource, value := range limits {
		var have unix.Rlimit
		if err := unix.Getrlimit(resource, &have); err != nil {
			return err
		}
		value = min(value, have.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return err
		}
	}
	return nil
}

func workerLimits(cpuSeconds uint64) error {
	return setLimits(map[int]uint64{
		unix.RLIMIT_DATA: sandbox.MaxDataBytes, unix.RLIMIT_AS: maxAddresses, unix.RLIMIT_CPU: cpuSeconds,
		unix.RLIMIT_NOFILE: 0, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0, unix.RLIMIT_MEMLOCK: 0,
	})
}

func brokerLimits(cpuSeconds uint64) error {
	return setLimits(map[int]uint64{
		unix.RLIMIT_DATA: 2 * sandbox.MaxDataBytes, unix.RLIMIT_AS: maxAddresses, unix.RLIMIT_CPU: cpuSeconds,
		unix.RLIMIT_NOFILE: 32, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0, unix.RLIMIT_MEMLOCK: 0,
	})
}
