package confine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/rooted"
)

// Bounds of a command beyond those of package sandbox.
const (
	commandFiles   = 64      // open files; what is pinned comes on top
	commandStack   = 8 << 20 // bytes of its main stack
	commandThreads = 512     // the kernel counts all of its user's, and none of root's
	commandNice    = 10      // behind whatever the machine is there for
	noCores        = 1       // 0 would still hand a core to a program that collects them
)

// Environment of a command, whole: nothing of the guard's own.
func commandEnvironment() []string {
	return []string{"LC_ALL=C", "PATH=/usr/bin:/bin", "HOME=/", "TERM=dumb"}
}

// libraryFolders are where a dynamically linked program finds what it links.
func libraryFolders() []string { return []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64"} }

// Becoming is how this process becomes a command.
type Becoming struct {
	Task       sandbox.CommandTask
	CPUSeconds uint64
	Without    []string // layers that may be missing; landlock never is
	Status     int      // a descriptor that says by its end that the program runs
}

// Command locks this process in and executes the task's program in its place,
// by the handle that was checked. It returns only where that failed, with the
// code of what the hook hears.
//
// What is left is one process: no other is to be had, so that nothing can
// escape the parent's kill, and no keeper of orphans is needed. It can still
//
//   - read what was signed, its own program and loader, and the files of
//     /lib, /lib64, /usr/lib and /usr/lib64, as far as its user may; as root
//     whatever their owner (CAP_DAC_READ_SEARCH), and nothing else;
//   - see of any path that its user can reach whether it is there, its owner,
//     size, times and flags, and where a link leads, and how full file systems
//     are: landlock does not hold what only looks;
//   - ask for facts of the system, and for priority, group and session of other
//     processes by their number; started by root, of its own namespace only;
//   - read the whole log of the kernel, where that was signed;
//   - lock files that it reads for as long as it runs, and so hold up a writer
//     that waits for them;
//   - run what it maps from files that it reads, as programs do with libraries;
//   - use memory, processor time, descriptors and threads up to its limits. Of
//     root the kernel counts no threads: there memory and time bound them;
//   - take time in ways that others can measure.
//
// It cannot change, create or remove anything, start or signal another process,
// reach a network or another process, or gain a right.
func Command(b Becoming) error {
	runtime.LockOSThread() // capabilities are the thread's that goes on
	t := b.Task
	if err := checkTask(t); err != nil {
		return err
	}
	argv, env, err := vectors(append([]string{path.Base(t.Program)}, t.Args...), commandEnvironment())
	if err != nil {
		return err
	}
	var run program
	var pinned []int
	err = steps(b.Without, []step{
		{"close files", "", func() error { return closeCommandFiles(b.Status) }},
		{"leave the guard's namespaces", "files", isolated},
		{"become its user", "user", func() error { return becomeCommand(t.UID, t.GID, t.Syslog) }},
		{"bind its life to the guard's", "", bind},
		{"set no_new_privs", "", noNewPrivs},
		{"open the program", "", func() (err error) { run, err = openProgram(t.Program); return err }},
		{"set landlock", sandbox.LayerLandlock, func() (err error) { pinned, err = commandRules(run, t.Reads, t.Deny); return err }},
		{"set limits", "limits", func() error { return commandLimits(b.CPUSeconds, len(pinned)) }},
		{"set seccomp", "seccomp", func() error { return seccomp(commandFilter(os.Getpid(), t.Syslog)) }},
	})
	if err != nil {
		return coded(err)
	}
	return failed(t.Program, execProgram(run.fd, argv, env))
}

// checkTask holds a task against the caps of a statement once more.
func checkTask(t sandbox.CommandTask) error {
	if len(t.Args) > hooks.MaxArguments || len(t.Reads) > hooks.MaxPaths {
		return errs.New(errs.CodeBadInput, "the command is too large")
	}
	for _, p := range append([]string{t.Program}, t.Reads...) {
		if !path.IsAbs(p) || path.Clean(p) != p || strings.Contains(p, "\x00") {
			return errs.New(errs.CodeBadInput, "a path of the command is not absolute and clean")
		}
		if hooks.NeverRead(strings.TrimSuffix(p, "/**")) != "" {
			return refused("%s is never read", p)
		}
	}
	return nil
}

// coded gives an error of the confinement its code.
func coded(err error) error {
	if e, ok := errs.As(err); ok {
		return e // it says what about the program is wrong, not how far this came
	}
	return errs.Wrap(errs.CodeSandboxUnconfined, err, "cannot confine the command")
}

// closeCommandFiles keeps the standard files, and the status pipe until the
// program runs.
func closeCommandFiles(status int) error {
	unix.CloseOnExec(status)
	if err := unix.CloseRange(3, uint(status)-1, 0); err != nil && status > 3 {
		return err
	}
	return closeFrom(status + 1)
}

// commandRules, without which no command runs whatever the owner accepts for
// hooks, lets the program be executed, and lets it read its loader, its
// libraries, and what was signed. Files of /proc and /sys are made anew at
// every look, and a rule would be lost: they are pinned by handles, which the
// program inherits and which open nothing more.
func commandRules(run program, reads, deny []string) (pinned []int, err error) {
	r, err := newRuleset()
	var m *MissingError
	if errors.As(err, &m) {
		return nil, refused("no command runs without landlock: %v", m.Err)
	}
	if err != nil {
		return nil, err
	}
	if err := r.allow(run.fd, readFile|execute); err != nil {
		return nil, err
	}
	if run.interpreter != "" {
		if err := r.allowLibraries(run.interpreter); err != nil {
			return nil, err
		}
	}
	peers := lookAt(deny)
	for _, p := range expand(reads) {
		fd, err := r.allowRead(p, peers)
		if err != nil {
			return nil, err
		}
		if fd >= 0 {
			pinned = append(pinned, fd)
		}
	}
	return pinned, r.restrict()
}

// expand maps the links of /proc into the reader's own entry to that entry:
// this process keeps its number when it becomes the program.
func expand(reads []string) []string {
	own := fmt.Sprintf("/proc/%d", os.Getpid())
	if self, err := os.Readlink("/proc/self"); err == nil {
		own = "/proc/" + self // as /proc counts, which may be mounted for other namespaces
	}
	var out []string
	for _, p := range reads {
		switch rest, net := strings.CutPrefix(p, "/proc/net/"); {
		case p == "/proc/mounts": // and the same in the form that newer programs read
			out = append(out, own+"/mounts", own+"/mountinfo")
		case net:
			out = append(out, own+"/net/"+rest)
		default:
			out = append(out, p)
		}
	}
	return out
}

// allowLibraries opens a loader and the folders of libraries, each only if
// root alone can change it.
func (r ruleset) allowLibraries(loader string) error {
	if err := r.allowRooted(loader, readFile|execute); err != nil {
		return err
	}
	done := []string{}
	for _, p := range append(libraryFolders(), "/etc/ld.so.cache") {
		real, _, err := rooted.Resolve(p)
		if err != nil || slices.Contains(done, real) {
			continue
		}
		done = append(done, real)
		if err := r.allowRooted(real, readFile); err != nil {
			return err
		}
	}
	return nil
}

func (r ruleset) allowRooted(real string, access uint64) error {
	fd, err := unix.Open(real, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed(real, err)
	}
	defer shut(fd)
	return r.allow(fd, access)
}

func commandLimits(cpuSeconds uint64, pinned int) error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, commandNice); err != nil {
		return err
	}
	return setLimits(map[int]uint64{
		unix.RLIMIT_DATA: sandbox.MaxCommandDataBytes, unix.RLIMIT_AS: maxAddresses, unix.RLIMIT_CPU: cpuSeconds,
		unix.RLIMIT_NOFILE: uint64(commandFiles + pinned), unix.RLIMIT_STACK: commandStack, unix.RLIMIT_NPROC: commandThreads,
		unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: noCores, unix.RLIMIT_MEMLOCK: 0, unix.RLIMIT_MSGQUEUE: 0,
	})
}

// vectors are arguments and environment as the kernel takes them.
func vectors(args, env []string) (argv, envv []*byte, err error) {
	if argv, err = syscall.SlicePtrFromStrings(args); err == nil {
		envv, err = syscall.SlicePtrFromStrings(env)
	}
	if err != nil {
		return nil, nil, errs.New(errs.CodeBadInput, "an argument of the command has a zero byte")
	}
	return argv, envv, nil
}

// execProgram executes the file of a handle in this process's place. The call is
// raw: the runtime must not start a thread meanwhile.
func execProgram(fd int, argv, env []*byte) error {
	var none [1]byte
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&none)), //nolint:gosec // as the kernel takes it
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&env[0])), unix.AT_EMPTY_PATH, 0) //nolint:gosec // as the kernel takes it
	runtime.KeepAlive(argv)
	runtime.KeepAlive(env)
	return errno
}
